//! What a decision costs: `cargo run --release -p policy --example decide_cost`.
//!
//! Twelve AWS-style statements with wildcards and thing-name variables, a
//! thousand topics, nothing cached by topic. Prints nanoseconds per decision.

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::sync::Arc;

use policy::{
    Authorizer, Connection, DeviceAction, Dialect, Document, Facts, Hardening, NamedPolicy,
    Request, Resource, Scope, ThingFacts,
};

const THING: &str = "pump-0001";

#[expect(
    clippy::print_stdout,
    reason = "printing the figures is what this program is for"
)]
#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn main() {
    let scope = Scope {
        partition: "aws".to_owned(),
        region: "eu-central-1".to_owned(),
        account: "111122223333".to_owned(),
    };
    for statements in [4, 12, 40] {
        let facts = Arc::new(facts(statements));
        let started = std::time::Instant::now();
        let rounds = 10_000;
        for _ in 0..rounds {
            let authorizer = authorizer(&facts, &scope);
            black_box(authorizer.decide(&publish("a")));
        }
        let compile = started.elapsed() / rounds;

        let authorizer = authorizer(&facts, &scope);
        for (what, tail) in [("allowed", "shadow/update"), ("denied", "nothing/such")] {
            let topics: Vec<String> = (0..1_000)
                .map(|n| format!("$aws/things/{THING}/{tail}/{n}"))
                .collect();
            let started = std::time::Instant::now();
            for _ in 0..1_000 {
                for topic in &topics {
                    black_box(authorizer.decide(black_box(&publish(topic))));
                }
            }
            let each_ns = started.elapsed().as_nanos() / 1_000_000;
            println!("{statements:2} statements, {what}: {each_ns} ns; compile {compile:?}");
        }
    }
}

fn publish(topic: &str) -> Request<'_> {
    Request {
        action: DeviceAction::Publish,
        resource: Resource::Topic(topic),
        now_ms: 0,
    }
}

fn authorizer(facts: &Arc<Facts>, scope: &Scope) -> Authorizer {
    let connection = Connection {
        client_id: Some(THING.to_owned()),
        source_ip: Ipv4Addr::LOCALHOST.into(),
        persistent: false,
        last_will_topic: None,
        has_will: false,
        domain_name: None,
        secure_transport: true,
    };
    Authorizer::new(Arc::clone(facts), &connection, scope, Hardening::standard())
}

/// Every third statement is a Deny; the one that allows stands last.
fn facts(statements: usize) -> Facts {
    let arn = "arn:aws:iot:eu-central-1:111122223333:topic";
    let thing = "${iot:Connection.Thing.ThingName}";
    let mut list: Vec<String> = (1..statements)
        .map(|n| {
            let effect = if n % 3 == 0 { "Deny" } else { "Allow" };
            let resource = format!("{arn}/$aws/things/{thing}/part{n}/*");
            format!(
                r#"{{"Effect":"{effect}","Action":["iot:Publish","iot:Receive"],"Resource":"{resource}"}}"#
            )
        })
        .collect();
    list.push(format!(
        r#"{{"Effect":"Allow","Action":"iot:Pub*","Resource":"{arn}/$aws/things/{thing}/shadow/*"}}"#
    ));
    let text = format!(
        r#"{{"Version":"2012-10-17","Statement":[{}]}}"#,
        list.join(",")
    );
    let document = Document::parse(&text, Dialect::Iot).expect("the policy above is right");
    let policy = NamedPolicy {
        name: "cost".into(),
        arn: "arn:aws:iot:eu-central-1:111122223333:policy/cost".into(),
        version: "1".into(),
        document: Arc::new(document),
        text: text.into(),
    };
    let thing = ThingFacts {
        name: THING.to_owned(),
        ..ThingFacts::default()
    };
    Facts {
        certificate: None,
        things: vec![thing],
        policies: vec![policy],
    }
}
