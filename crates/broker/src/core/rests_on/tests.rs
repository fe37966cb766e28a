use std::sync::Arc;

use policy::{Dialect, Document, GroupFacts, NamedPolicy, ThingFacts};

use super::*;

fn certificate(letter: char) -> CertificateId {
    CertificateId::parse(&letter.to_string().repeat(64)).expect("64 hexadecimal digits")
}

fn policy(name: &str) -> NamedPolicy {
    let text = r#"{"Version":"2012-10-17","Statement":[]}"#;
    let text = text.replace(
        "[]",
        r#"{"Effect":"Allow","Action":"iot:*","Resource":"*"}"#,
    );
    let document = Document::parse(&text, Dialect::Iot).expect("a policy document");
    NamedPolicy {
        name: name.into(),
        arn: format!("arn:aws:iot:us-east-1:111122223333:policy/{name}").into(),
        version: "1".into(),
        document: Arc::new(document),
        text: text.into(),
    }
}

fn facts(thing: &str, group: &str) -> Facts {
    Facts {
        certificate: None,
        things: vec![ThingFacts {
            name: thing.to_owned(),
            thing_type: Some("pump".to_owned()),
            groups: vec![GroupFacts {
                name: group.to_owned(),
                arn: String::new(),
                policies: vec![policy("of-group")],
            }],
            ..ThingFacts::default()
        }],
        policies: vec![policy("own")],
    }
}

#[test]
fn a_change_finds_those_it_touches_and_nobody_else() {
    let (a, b) = (certificate('a'), certificate('b'));
    let mut index = RestsOn::default();
    index.put(&a, "arn:a", Some(&facts("one", "g1")));
    index.put(&b, "arn:b", Some(&facts("two", "g1")));

    let check = |index: &RestsOn, topic: &str, key: &str, expected: &[&CertificateId]| {
        let touched = index.touched(topic, key);
        assert_eq!(
            touched.iter().collect::<Vec<_>>(),
            expected,
            "{topic}:{key}"
        );
    };
    check(&index, "certificate", a.as_str(), &[&a]);
    check(&index, "principal", "arn:b", &[&b]);
    check(&index, "policy", "own", &[&a, &b]);
    check(&index, "policy", "of-group", &[&a, &b]);
    check(&index, "thing", "one", &[&a]);
    check(&index, "thing-type", "pump", &[&a, &b]);
    check(&index, "thing-group", "g1", &[&a, &b]);
    check(&index, "thing", "three", &[]);
    check(&index, "ca-certificate", a.as_str(), &[]);

    // New facts replace the old ones, and a principal that is gone leaves nothing behind.
    index.put(&a, "arn:a", Some(&facts("three", "g2")));
    check(&index, "thing", "one", &[]);
    check(&index, "thing", "three", &[&a]);
    index.remove(&a);
    index.remove(&b);
    assert!(index.grounds.is_empty() && index.principals.is_empty());
}

#[test]
fn a_certificate_without_facts_still_rests_on_itself() {
    let a = certificate('a');
    assert!(concerns(&a, "arn:a", None, "certificate", a.as_str()));
    assert!(concerns(&a, "arn:a", None, "principal", "arn:a"));
    assert!(!concerns(&a, "arn:a", None, "policy", "own"));
    assert!(concerns(
        &a,
        "arn:a",
        Some(&facts("one", "g")),
        "policy",
        "own"
    ));
}
