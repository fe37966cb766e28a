use policy::{Dialect, Document, GroupFacts, ThingFacts};

use super::*;

fn policy(name: &str, version: &str) -> NamedPolicy {
    let text = r#"{"Version":"2012-10-17","Statement":[]}"#;
    NamedPolicy {
        name: name.into(),
        arn: name.into(),
        version: version.into(),
        document: Arc::new(Document::parse(text, Dialect::Iot).expect("a document")),
        text: text.into(),
    }
}

fn thing(name: &str, groups: &[(&str, &[NamedPolicy])]) -> ThingFacts {
    let group = |(name, policies): &(&str, &[NamedPolicy])| GroupFacts {
        name: (*name).to_owned(),
        arn: (*name).to_owned(),
        policies: policies.to_vec(),
    };
    ThingFacts {
        name: name.to_owned(),
        groups: groups.iter().map(group).collect(),
        ..ThingFacts::default()
    }
}

/// Own policies, then each thing with its groups and their policies.
fn brief(known: &Known) -> String {
    let names = |policies: &[NamedPolicy]| {
        let names = policies
            .iter()
            .map(|one| format!("{}{}", one.name, one.version));
        names.collect::<Vec<_>>().join("+")
    };
    let mut text = names(&known.facts.policies);
    for thing in &known.facts.things {
        text += &format!(" {}", thing.name);
        for group in &thing.groups {
            text += &format!("/{}:{}", group.name, names(&group.policies));
        }
    }
    text
}

#[test]
fn what_changed_is_replaced_and_nothing_else() {
    let (a, b) = (policy("a", "1"), policy("b", "1"));
    let known = Known {
        facts: Arc::new(Facts {
            certificate: None,
            things: vec![
                thing(
                    "t",
                    &[
                        ("g", std::slice::from_ref(&a)),
                        ("h", std::slice::from_ref(&b)),
                    ],
                ),
                thing("u", &[("g", std::slice::from_ref(&a))]),
            ],
            policies: vec![a, b],
        }),
        ..Known::default()
    };
    let before = "a1+b1 t/g:a1/h:b1 u/g:a1";
    assert_eq!(brief(&known), before);
    let group = |policies: Vec<NamedPolicy>, things: &[&str]| Amendment::Group {
        name: "g".to_owned(),
        policies,
        things: things.iter().map(|one| (*one).to_owned()).collect(),
    };
    for (amendment, after) in [
        (
            Amendment::Policy(policy("a", "2")),
            "a2+b1 t/g:a2/h:b1 u/g:a2",
        ),
        (Amendment::Policy(policy("c", "1")), before),
        (
            group(vec![policy("c", "1")], &["t", "u"]),
            "a1+b1 t/g:c1/h:b1 u/g:c1",
        ),
        (group(vec![], &["t", "u"]), "a1+b1 t/g:/h:b1 u/g:"),
        // Of a group that was deleted and made again, those who were in the old are not members.
        (group(vec![policy("c", "1")], &["t"]), "a1+b1 t/g:c1/h:b1 u"),
        (group(vec![], &[]), "a1+b1 t/h:b1 u"),
    ] {
        assert_eq!(brief(&amendment.of(&known)), after, "{amendment:?}");
    }
    assert_eq!(brief(&known), before);
}
