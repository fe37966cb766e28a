//! A short notation for policies and requests, so that cases stay on one line.
//!
//! A policy is statements separated by `;`, each `Effect Actions Resource [if {condition}]`:
//! `Allow Publish,Receive topic/a/*; Deny * !topic/b if {"Bool":{..}}`. A `!`
//! makes `NotAction` or `NotResource`. A request is an action and what it is
//! done to: `Publish a/b`, `UpdateThingShadow dev1 cfg`, `ListRetainedMessages`.

use std::collections::BTreeMap;
use std::sync::Arc;

use policy::{
    Authorizer, Connection, DeviceAction, Dialect, Document, Facts, GroupFacts, Hardening,
    NamedPolicy, Request, Resource, Scope, ThingFacts, Verdict,
};

pub(crate) const A: &str = "arn:aws:iot:us-east-1:111122223333:";

/// 2026-06-15T12:00:00Z.
pub(crate) const NOW_MS: i64 = 1_781_524_800_000;

/// The principal of core.md 7.7: a certificate attached to thing `dev1` of type
/// `pump`, attribute `site=north`, in group `g1` whose parent is `g0`; connected
/// as `dev1` from 10.9.9.9 without will and with a clean session.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) facts: Facts,
    pub(crate) connection: Connection,
}

impl World {
    pub(crate) fn with(policy: &str) -> Self {
        let world = Self {
            facts: Facts {
                certificate: Some(policy::CertificateFacts {
                    id: "ab".repeat(32),
                    serial: "4711".to_owned(),
                    ..Default::default()
                }),
                things: vec![thing("dev1")],
                policies: Vec::new(),
            },
            connection: Connection {
                client_id: Some("dev1".to_owned()),
                source_ip: "10.9.9.9".parse().expect("an address"),
                persistent: false,
                last_will_topic: None,
                has_will: false,
                domain_name: None,
                secure_transport: true,
            },
        };
        world.and_policy(policy)
    }

    pub(crate) fn and_policy(mut self, policy: &str) -> Self {
        let name = format!("P{}", self.facts.policies.len());
        self.facts.policies.extend(named(&name, policy));
        self
    }

    pub(crate) fn group_policy(mut self, group: &str, policy: &str) -> Self {
        let groups = self
            .facts
            .things
            .iter_mut()
            .flat_map(|thing| &mut thing.groups);
        for found in groups.filter(|found| found.name == group) {
            found
                .policies
                .extend(named(&format!("policy-of-{group}"), policy));
        }
        self
    }

    pub(crate) fn client(mut self, id: &str) -> Self {
        self.connection.client_id = Some(id.to_owned());
        self
    }

    pub(crate) fn https(mut self) -> Self {
        self.connection.client_id = None;
        self
    }

    pub(crate) fn from(mut self, address: &str) -> Self {
        self.connection.source_ip = address.parse().expect("an address");
        self
    }

    pub(crate) fn persistent(mut self) -> Self {
        self.connection.persistent = true;
        self
    }

    pub(crate) fn will(mut self, topic: &str) -> Self {
        self.connection.has_will = true;
        self.connection.last_will_topic = Some(topic.to_owned());
        self
    }

    pub(crate) fn unattached(mut self) -> Self {
        self.facts.things.clear();
        self
    }

    pub(crate) fn exclusive(mut self) -> Self {
        self.thing().exclusive = true;
        self
    }

    pub(crate) fn untyped(mut self) -> Self {
        self.thing().thing_type = None;
        self
    }

    pub(crate) fn attribute(mut self, name: &str, value: &str) -> Self {
        self.thing()
            .attributes
            .insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn thing(&mut self) -> &mut ThingFacts {
        self.facts.things.first_mut().expect("a thing is attached")
    }

    pub(crate) fn common_names(self, values: &[&str]) -> Self {
        self.subject(policy::NameAttribute::CommonName, values)
    }

    pub(crate) fn subject(mut self, name: policy::NameAttribute, values: &[&str]) -> Self {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        let certificate = self.facts.certificate.as_mut().expect("a certificate");
        certificate.subject.push((name, values));
        self
    }

    pub(crate) fn authorizer(&self, hardening: Hardening) -> Authorizer {
        Authorizer::new(
            Arc::new(self.facts.clone()),
            &self.connection,
            &scope(),
            hardening,
        )
    }

    /// Decides by every road, which must agree.
    #[track_caller]
    pub(crate) fn decide(&self, ask: &str, hardening: Hardening) -> Verdict {
        verdict(&self.authorizer(hardening), &request(ask))
    }

    /// The verdict must be the same in both profiles.
    #[track_caller]
    pub(crate) fn check(&self, ask: &str, expected: Verdict) {
        assert_eq!(self.decide(ask, Hardening::aws()), expected, "aws: {ask}");
        assert_eq!(
            self.decide(ask, Hardening::standard()),
            expected,
            "standard: {ask}"
        );
    }
}

#[track_caller]
pub(crate) fn verdict(authorizer: &Authorizer, request: &Request<'_>) -> Verdict {
    let decided = authorizer.decide(request);
    assert_eq!(
        authorizer.explain(request).verdict,
        decided,
        "explained otherwise: {request:?}"
    );
    assert_eq!(
        authorizer.permit(request).is_ok(),
        decided == Verdict::Allowed,
        "{request:?}"
    );
    decided
}

pub(crate) fn scope() -> Scope {
    Scope {
        partition: "aws".to_owned(),
        region: "us-east-1".to_owned(),
        account: "111122223333".to_owned(),
    }
}

pub(crate) fn thing(name: &str) -> ThingFacts {
    let group = |name: &str| GroupFacts {
        name: name.to_owned(),
        arn: format!("{A}thinggroup/{name}"),
        policies: Vec::new(),
    };
    ThingFacts {
        name: name.to_owned(),
        thing_type: Some("pump".to_owned()),
        attributes: BTreeMap::from([("site".to_owned(), "north".to_owned())]),
        exclusive: false,
        groups: vec![group("g1"), group("g0")],
    }
}

/// Nothing, for an empty notation.
pub(crate) fn named(name: &str, policy: &str) -> Option<NamedPolicy> {
    let text = (!policy.is_empty()).then(|| document(policy))?;
    Some(parsed(name, &text, Dialect::Iot))
}

pub(crate) fn parsed(name: &str, text: &str, dialect: Dialect) -> NamedPolicy {
    let document = Document::parse(text, dialect).unwrap_or_else(|error| {
        panic!("{error} in {text}");
    });
    NamedPolicy {
        name: name.into(),
        arn: format!("{A}policy/{name}").into(),
        version: "1".into(),
        document: Arc::new(document),
        text: text.into(),
    }
}

/// The notation as a policy document.
pub(crate) fn document(policy: &str) -> String {
    let statements: Vec<String> = policy.split("; ").map(statement).collect();
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{}]}}"#,
        statements.join(",")
    )
}

fn statement(text: &str) -> String {
    let (head, condition) = text.split_once(" if ").unwrap_or((text, "{}"));
    let words: Vec<&str> = head.split_whitespace().collect();
    let [effect, actions, resources] = words.as_slice() else {
        panic!("three words: {text}")
    };
    let list = |text: &str, full: fn(&str) -> String| -> (&str, String) {
        let plain = text.strip_prefix('!');
        let items = plain
            .unwrap_or(text)
            .split(',')
            .map(|item| format!("{:?}", full(item)));
        (
            if plain.is_some() { "Not" } else { "" },
            items.collect::<Vec<_>>().join(","),
        )
    };
    let (not_action, actions) = list(actions, |item| match item {
        "*" => item.to_owned(),
        _ if item.contains(':') => item.to_owned(),
        _ => format!("iot:{item}"),
    });
    let (not_resource, resources) = list(resources, |item| match item {
        "*" => item.to_owned(),
        _ if item.starts_with("arn:") => item.to_owned(),
        _ => format!("{A}{item}"),
    });
    let condition = condition.replace("A:", A);
    format!(
        r#"{{"Effect":"{effect}","{not_action}Action":[{actions}],"{not_resource}Resource":[{resources}],"Condition":{condition}}}"#
    )
}

pub(crate) fn request(ask: &str) -> Request<'_> {
    let (action, rest) = ask.split_once(' ').unwrap_or((ask, ""));
    let named =
        |found: &&DeviceAction| found.name().split_once(':').map(|(_, n)| n) == Some(action);
    let action = *DeviceAction::ALL
        .iter()
        .find(named)
        .expect("a known action");
    let resource = match action {
        DeviceAction::Connect
        | DeviceAction::GetConnection
        | DeviceAction::DeleteConnection
        | DeviceAction::ListSubscriptions => Resource::Client(rest),
        DeviceAction::SendDirectMessage => match rest.split_once(' ') {
            Some((client, topic)) => Resource::DirectMessage { client, topic },
            None => Resource::Client(rest),
        },
        DeviceAction::Publish
        | DeviceAction::RetainPublish
        | DeviceAction::Receive
        | DeviceAction::GetRetainedMessage => Resource::Topic(rest),
        DeviceAction::Subscribe => Resource::TopicFilter(rest),
        DeviceAction::ListRetainedMessages => Resource::Any,
        DeviceAction::AssumeRoleWithCertificate => Resource::RoleAlias(rest),
        _ => {
            let (name, shadow) = match rest.split_once(' ') {
                Some((name, shadow)) => (name, Some(shadow)),
                None => (rest, None),
            };
            Resource::Thing { name, shadow }
        }
    };
    Request {
        action,
        resource,
        now_ms: NOW_MS,
    }
}
