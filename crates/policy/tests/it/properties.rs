//! The compiled decision against a slow and obvious evaluator.
//!
//! The model reads the JSON text again for each question, puts variables in by
//! replacing text, and matches whole ARNs by recursion. It knows nothing of
//! tokens, prefixes or sessions.

use policy::{Hardening, Verdict};
use proptest::prelude::*;
use serde_json::Value;

use crate::fixture::{A, World, document};

/// One character of a pattern in the model.
#[derive(Clone, Copy, PartialEq)]
enum Mark {
    Char(char),
    One,
    Run,
}

fn glob(pattern: &[Mark], text: &[char]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([Mark::Run, rest @ ..], _) => {
            glob(rest, text) || (!text.is_empty() && glob(pattern, &text[1..]))
        }
        ([Mark::One, rest @ ..], [_, text @ ..]) => glob(rest, text),
        ([Mark::Char(one), rest @ ..], [other, text @ ..]) => one == other && glob(rest, text),
        _ => false,
    }
}

struct Model<'w> {
    world: &'w World,
    closed: bool,
}

impl Model<'_> {
    fn value(&self, name: &str) -> Option<String> {
        let id = self.world.connection.client_id.clone();
        let thing = self
            .world
            .facts
            .things
            .iter()
            .find(|thing| Some(&thing.name) == id.as_ref());
        match name {
            "iot:ClientId" => id,
            "iot:Connection.Thing.ThingName" => thing.map(|thing| thing.name.clone()),
            "iot:Connection.Thing.Attributes[site]" => thing?.attributes.get("site").cloned(),
            _ => None,
        }
    }

    /// `None`: an undefined variable makes the pattern match nothing.
    fn marks(&self, written: &str, wildcards: bool, undefined_is_any: bool) -> Option<Vec<Mark>> {
        let mut marks = Vec::new();
        let mut rest = written;
        while let Some(next) = rest.chars().next() {
            if let Some(inner) = rest.strip_prefix("${") {
                let (name, after) = inner.split_once('}').expect("closed");
                rest = after;
                match (name, self.value(name)) {
                    ("*" | "?" | "$", _) => marks.extend(name.chars().map(Mark::Char)),
                    (_, Some(value)) => marks.extend(value.chars().map(Mark::Char)),
                    (_, None) if undefined_is_any => marks.push(Mark::Run),
                    (_, None) => return None,
                }
                continue;
            }
            marks.push(match next {
                '*' if wildcards => Mark::Run,
                '?' if wildcards => Mark::One,
                other => Mark::Char(other),
            });
            rest = &rest[next.len_utf8()..];
        }
        Some(marks)
    }

    fn any_matches(&self, written: &Value, text: &str, wildcards: bool, wide: bool) -> bool {
        let text: Vec<char> = text.chars().collect();
        written.as_array().expect("an array").iter().any(|one| {
            let marks = self.marks(one.as_str().expect("a string"), wildcards, wide);
            marks.is_some_and(|marks| glob(&marks, &text))
        })
    }

    fn condition(&self, operator: &str, key: &str, values: &Value, deny: bool) -> bool {
        if operator == "Null" {
            return values[0].as_str()
                == Some(if self.value(key).is_none() {
                    "true"
                } else {
                    "false"
                });
        }
        let negated = operator.contains("Not");
        let Some(actual) = self.value(key) else {
            return operator.ends_with("IfExists") || negated;
        };
        let wide = self.closed && deny != negated;
        self.any_matches(values, &actual, operator.contains("Like"), wide) != negated
    }

    fn applies(&self, statement: &Value, action: &str, arns: &[String]) -> bool {
        let deny = statement["Effect"] == "Deny";
        let listed = |member: &str, text: &str, wide: bool| {
            let negated = format!("Not{member}");
            match statement.get(member) {
                Some(written) => self.any_matches(written, text, true, wide && deny),
                None => !self.any_matches(&statement[&negated], text, true, wide && !deny),
            }
        };
        let arns = if deny { arns } else { &arns[..1] };
        listed("Action", action, false)
            && arns.iter().any(|arn| listed("Resource", arn, self.closed))
            && statement["Condition"]
                .as_object()
                .expect("an object")
                .iter()
                .all(|(operator, keys)| {
                    keys.as_object()
                        .expect("an object")
                        .iter()
                        .all(|(key, values)| self.condition(operator, key, values, deny))
                })
    }

    fn decide(&self, policies: &[&str], action: &str, arns: &[String]) -> Verdict {
        let mut verdict = Verdict::ImplicitDeny;
        for policy in policies {
            let text: Value = serde_json::from_str(&document(policy)).expect("JSON");
            for statement in text["Statement"].as_array().expect("an array") {
                if !self.applies(statement, action, arns) {
                    continue;
                }
                if statement["Effect"] == "Deny" {
                    return Verdict::ExplicitDeny;
                }
                verdict = Verdict::Allowed;
            }
        }
        verdict
    }
}

fn level() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("a"),
        Just("b"),
        Just("dev1"),
        Just("x"),
        Just("*"),
        Just("?"),
        Just("+"),
        Just("a*"),
        Just("${*}"),
        Just("${iot:ClientId}"),
        Just("${iot:Connection.Thing.ThingName}"),
        Just("${iot:Connection.Thing.Attributes[site]}"),
        Just("${no:Such}"),
    ]
}

fn resource() -> impl Strategy<Value = String> {
    let kind = prop_oneof![
        Just("topic/"),
        Just("topicfilter/"),
        Just("client/"),
        Just("*/")
    ];
    let named = (kind, prop::collection::vec(level(), 1..4))
        .prop_map(|(kind, levels)| format!("{kind}{}", levels.join("/")));
    prop_oneof![
        4 => named,
        1 => Just("*".to_owned()),
        1 => Just("arn:aws:iot:*:*:topic/*".to_owned()),
        1 => Just("arn:*/a".to_owned()),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    let operator = prop_oneof![
        Just("StringEquals"),
        Just("StringNotEquals"),
        Just("StringLike"),
        Just("StringNotLike"),
        Just("StringEqualsIfExists"),
    ];
    let key = prop_oneof![
        Just("iot:ClientId"),
        Just("iot:Connection.Thing.ThingName"),
        Just("iot:Connection.Thing.Attributes[site]"),
        Just("no:Such"),
    ];
    let values = prop::collection::vec(level(), 0..3);
    let compared = (operator, key.clone(), values)
        .prop_map(|(operator, key, values)| format!(r#"{{"{operator}":{{"{key}":{values:?}}}}}"#));
    let null = (key, any::<bool>())
        .prop_map(|(key, missing)| format!(r#"{{"Null":{{"{key}":["{missing}"]}}}}"#));
    prop_oneof![4 => Just("{}".to_owned()), 4 => compared, 1 => null]
}

fn statement() -> impl Strategy<Value = String> {
    let effect = prop_oneof![2 => Just("Allow"), 1 => Just("Deny")];
    let action = prop_oneof![
        Just("iot:Publish"),
        Just("iot:Subscribe"),
        Just("iot:*"),
        Just("*"),
        Just("iot:Connect,iot:Publish"),
        Just("!iot:Publish"),
    ];
    let not = prop_oneof![3 => Just(""), 1 => Just("!")];
    (
        effect,
        action,
        not,
        prop::collection::vec(resource(), 1..3),
        condition(),
    )
        .prop_map(|(effect, action, not, resources, condition)| {
            format!(
                "{effect} {action} {not}{} if {condition}",
                resources.join(",")
            )
        })
}

fn policy() -> impl Strategy<Value = String> {
    prop::collection::vec(statement(), 1..4).prop_map(|statements| statements.join("; "))
}

fn topic() -> impl Strategy<Value = String> {
    let level = prop_oneof![
        Just("a"),
        Just("b"),
        Just("ab"),
        Just("dev1"),
        Just("x"),
        Just("north"),
        Just("*"),
        Just("+"),
        Just("#"),
        Just(""),
    ];
    prop::collection::vec(level, 1..4).prop_map(|levels| levels.join("/"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn decides_as_the_model_does(
        own in policy(),
        group in policy(),
        client in prop_oneof![Just("dev1"), Just("x"), Just("a*"), Just("*")],
        https in prop::bool::weighted(0.1),
        subscribe in any::<bool>(),
        share in any::<bool>(),
        name in topic(),
        closed in any::<bool>(),
    ) {
        let mut world = World::with(&own).client(client).group_policy("g0", &group);
        if https {
            world = world.https();
        }
        let (ask, action, arns) = match (subscribe, share) {
            (false, _) => (format!("Publish {name}"), "iot:Publish", vec![format!("{A}topic/{name}")]),
            (true, false) => (format!("Subscribe {name}"), "iot:Subscribe", vec![format!("{A}topicfilter/{name}")]),
            (true, true) => (
                format!("Subscribe $share/a/{name}"),
                "iot:Subscribe",
                vec![format!("{A}topicfilter/$share/a/{name}"), format!("{A}topicfilter/{name}")],
            ),
        };
        let hardening = Hardening { deny_on_undefined: closed, ..Hardening::aws() };
        let resolved = world.connection.client_id.as_deref() == Some("dev1");
        let policies: Vec<&str> = if resolved { vec![&own, &group] } else { vec![&own] };
        let expected = Model { world: &world, closed }.decide(&policies, action, &arns);
        // `decide` here also holds the explanation and the permit to the verdict.
        prop_assert_eq!(world.decide(&ask, hardening), expected, "{} | {} | {}", own, group, ask);
    }

    #[test]
    fn hardening_never_allows_more(own in policy(), group in policy(), name in topic()) {
        for world in [World::with(&own), World::with(&own).client("x"), World::with(&own).https()] {
            let world = world.group_policy("g1", &group);
            let ask = format!("Publish {name}");
            if world.decide(&ask, Hardening::standard()) == Verdict::Allowed {
                prop_assert_eq!(world.decide(&ask, Hardening::aws()), Verdict::Allowed);
            }
        }
    }

    #[test]
    fn a_suggested_edit_allows_exactly_what_was_asked(
        own in policy(), name in topic(), other in topic(), subscribe in any::<bool>(),
    ) {
        let world = World::with(&own);
        let verb = if subscribe { "Subscribe" } else { "Publish" };
        let (ask, other) = (format!("{verb} {name}"), format!("{verb} {other}"));
        let authorizer = world.authorizer(Hardening::standard());
        let Some(edit) = authorizer.explain(&crate::fixture::request(&ask)).suggested_edit else {
            return Ok(());
        };
        let statement = serde_json::to_string(&edit.statement).unwrap();
        let text = format!(r#"{{"Version":"2012-10-17","Statement":{statement}}}"#);
        let mut edited = world.clone();
        edited.facts.policies.push(crate::fixture::parsed("edit", &text, policy::Dialect::Iot));
        prop_assert_eq!(edited.decide(&ask, Hardening::standard()), Verdict::Allowed);
        if other != ask {
            let before = world.decide(&other, Hardening::standard());
            prop_assert_eq!(edited.decide(&other, Hardening::standard()), before);
        }
    }
}
