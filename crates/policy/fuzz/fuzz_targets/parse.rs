//! Any text is parsed or refused, and what is parsed decides, without a panic.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use policy::{
    Authorizer, Connection, DeviceAction, Dialect, Document, Facts, Hardening, NamedPolicy,
    Request, Resource, Scope,
};

fuzz_target!(|text: &str| {
    for dialect in [Dialect::Iot, Dialect::Identity, Dialect::Trust] {
        let Ok(document) = Document::parse(text, dialect) else { continue };
        let named = NamedPolicy {
            name: "fuzzed".into(),
            arn: "arn".into(),
            version: "1".into(),
            document: Arc::new(document),
            text: text.into(),
        };
        let facts = Arc::new(Facts { policies: vec![named], ..Facts::default() });
        let connection = Connection {
            client_id: Some("a".to_owned()),
            source_ip: [192, 0, 2, 1].into(),
            persistent: true,
            last_will_topic: Some("w".to_owned()),
            has_will: true,
            domain_name: None,
            secure_transport: true,
        };
        let scope = Scope {
            partition: "aws".to_owned(),
            region: "us-east-1".to_owned(),
            account: "111122223333".to_owned(),
        };
        for hardening in [Hardening::standard(), Hardening::aws()] {
            let authorizer = Authorizer::new(facts.clone(), &connection, &scope, hardening);
            let resource = Resource::TopicFilter("$share/q/a/b");
            let request = Request { action: DeviceAction::Subscribe, resource, now_ms: 0 };
            assert_eq!(authorizer.decide(&request), authorizer.explain(&request).verdict);
        }
    }
});
