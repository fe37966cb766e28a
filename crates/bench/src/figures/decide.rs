//! A policy decision that was not made before: twelve statements with variables, compiled.

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::{Result, ensure};
use model::{Clock as _, SystemClock};
use policy::{
    Authorizer, Connection, DeviceAction, Dialect, Document, Facts, Hardening, NamedPolicy,
    Request, Resource, Scope, ThingFacts, Verdict,
};

use super::Figure;

const THING: &str = "pump-0001";
const STATEMENTS: usize = 12;
const TOPICS: usize = 1_000;
const ROUNDS: usize = 1_000;

pub(super) fn measure() -> Result<Vec<Figure>> {
    let scope = Scope {
        partition: "aws".to_owned(),
        region: "eu-central-1".to_owned(),
        account: "111122223333".to_owned(),
    };
    let connection = Connection {
        client_id: Some(THING.to_owned()),
        source_ip: Ipv4Addr::LOCALHOST.into(),
        persistent: false,
        last_will_topic: None,
        has_will: false,
        domain_name: None,
        secure_transport: true,
    };
    let facts = Arc::new(facts()?);
    let authorizer = Authorizer::new(facts, &connection, &scope, Hardening::standard());
    let topics: Vec<String> = (0..TOPICS)
        .map(|n| format!("$aws/things/{THING}/shadow/update/{n}"))
        .collect();
    let began = SystemClock.instant();
    for _ in 0..ROUNDS {
        for topic in &topics {
            let verdict = authorizer.decide(black_box(&Request {
                action: DeviceAction::Publish,
                resource: Resource::Topic(topic),
                now_ms: 0,
            }));
            ensure!(matches!(verdict, Verdict::Allowed), "the policy allows it");
        }
    }
    let decisions = (TOPICS * ROUNDS) as f64;
    let each_ns = (SystemClock.instant() - began).as_secs_f64() * 1e9 / decisions;
    let detail = format!(
        "{STATEMENTS} statements with a thing-name variable, every third a Deny, the one that allows \
         last; {TOPICS} topics in turn, nothing remembered"
    );
    let what = "a policy decision, made for the first time";
    Ok(vec![Figure::below(what, each_ns, "ns", 200.0, detail)])
}

fn facts() -> Result<Facts> {
    let arn = "arn:aws:iot:eu-central-1:111122223333:topic";
    let thing = "${iot:Connection.Thing.ThingName}";
    let mut statements: Vec<String> = (1..STATEMENTS)
        .map(|n| {
            let resource = format!("{arn}/$aws/things/{thing}");
            let effect = if n % 3 == 0 { "Deny" } else { "Allow" };
            format!(
                r#"{{"Effect":"{effect}","Action":["iot:Publish","iot:Receive"],"Resource":"{resource}/part{n}/*"}}"#
            )
        })
        .collect();
    statements.push(format!(
        r#"{{"Effect":"Allow","Action":"iot:Pub*","Resource":"{arn}/$aws/things/{thing}/shadow/*"}}"#
    ));
    let statements = statements.join(",");
    let text = format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#);
    let document = Document::parse(&text, Dialect::Iot)?;
    Ok(Facts {
        certificate: None,
        things: vec![ThingFacts {
            name: THING.to_owned(),
            ..ThingFacts::default()
        }],
        policies: vec![NamedPolicy {
            name: "cost".into(),
            arn: "arn:aws:iot:eu-central-1:111122223333:policy/cost".into(),
            version: "1".into(),
            document: Arc::new(document),
            text: text.into(),
        }],
    })
}
