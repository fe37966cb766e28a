//! Reasons, near misses and suggestions.

use policy::{Authorizer, Explanation, Failed, Hardening, StatementSource, Verdict};

use crate::fixture::{A, World, request};

fn explain(world: &World, ask: &str) -> Explanation {
    let authorizer: Authorizer = world.authorizer(Hardening::standard());
    authorizer.explain(&request(ask))
}

#[test]
fn names_the_deciding_statements() {
    #[track_caller]
    fn check(world: &World, ask: &str, expected: &[(&str, usize)]) {
        let explained = explain(world, ask);
        let deciding: Vec<(&str, usize)> = explained
            .deciding
            .iter()
            .map(|at| (at.policy_name.as_str(), at.index))
            .collect();
        assert_eq!(deciding, expected, "{ask}");
    }
    let world = World::with("Allow Connect *; Allow Publish topic/a/*; Allow Publish topic/*")
        .and_policy("Deny Publish topic/x")
        .group_policy("g0", "Deny Publish topic/x; Deny Publish topic/g/*");
    check(&world, "Publish a/b", &[("P0", 1), ("P0", 2)]);
    check(&world, "Publish x", &[("P1", 0), ("policy-of-g0", 0)]);
    check(&world, "Publish g/1", &[("policy-of-g0", 1)]);
    check(&world, "Subscribe a", &[]);
    let denied = explain(&world, "Publish g/1");
    assert_eq!(
        denied.deciding[0].source,
        StatementSource::Group("g0".to_owned())
    );
    assert_eq!(denied.resource_arn, format!("{A}topic/g/1"));
    assert_eq!(denied.action, "iot:Publish");
}

// tests aws-iot [PL-62]
#[test]
fn lists_variables_and_what_is_missing() {
    let world = World::with(
        r#"Allow Publish topic/${iot:ClientId}/${iot:Connection.Thing.ThingName} if {"StringEquals":{"iot:Connection.Thing.Attributes[site]":"${iot:Certificate.Subject.CommonName}"}}; Allow Subscribe topicfilter/${aws:SourceIp}"#,
    )
    .client("other");
    let explained = explain(&world, "Publish t");
    let variables: Vec<(&str, Option<&str>)> = explained
        .variables
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_deref()))
        .collect();
    assert_eq!(
        variables,
        [
            ("iot:Certificate.Subject.CommonName", None),
            ("iot:ClientId", Some("other")),
            ("iot:Connection.Thing.Attributes[site]", None),
            ("iot:Connection.Thing.ThingName", None),
        ]
    );
    assert_eq!(explained.missing.len(), 3);
    assert!(!explained.missing.contains(&"iot:ClientId".to_owned()));
}

#[test]
fn shows_near_misses() {
    let world = World::with(
        r#"Allow Publish topic/${iot:ClientId}/*,topic/${no:Such}; Allow Publish * if {"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}; Allow Subscribe *"#,
    );
    let explained = explain(&world, "Publish t");
    let [resource, condition] = explained.near_misses.as_slice() else {
        panic!("{explained:?}")
    };
    assert_eq!(
        resource.failed,
        Failed::Resource {
            patterns: vec![
                format!("{A}topic/${{iot:ClientId}}/*"),
                format!("{A}topic/${{no:Such}}")
            ],
            filled: vec![format!("{A}topic/dev1/*")],
            excluded: false,
        }
    );
    assert_eq!(
        condition.failed,
        Failed::Condition {
            operator: "IpAddress".to_owned(),
            key: "aws:SourceIp".to_owned(),
            expected: vec!["192.0.2.0/24".to_owned()],
            actual: Some(vec!["10.9.9.9".to_owned()]),
        }
    );
    assert_eq!(condition.statement.index, 1);
    assert!(explain(&world, "Subscribe t").near_misses.is_empty());
}

#[test]
fn says_when_a_client_id_is_refused() {
    let explained = explain(&World::with("Allow Connect *").client("a+"), "Connect a+");
    assert_eq!(explained.verdict, Verdict::ImplicitDeny);
    assert_eq!(
        explained.refusal,
        Some("the client id holds one of `+`, `#`, `*` and `?`")
    );
    assert!(explained.suggested_edit.is_none());
}

#[test]
fn suggests_the_smallest_edit() {
    #[track_caller]
    fn check(world: &World, ask: &str, resource: &str) {
        let edit = explain(world, ask).suggested_edit.expect("an edit");
        assert_eq!(edit.statement.resource, format!("{A}{resource}"), "{ask}");
        assert_eq!(edit.statement.action, request(ask).action.name());
        // What is suggested does what it says.
        let statement = serde_json::to_string(&edit.statement).unwrap();
        let text = format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#);
        let mut edited = world.clone();
        edited
            .facts
            .policies
            .push(crate::fixture::parsed("edit", &text, policy::Dialect::Iot));
        assert_eq!(
            explain(&edited, ask).verdict,
            Verdict::Allowed,
            "{statement}"
        );
    }
    let world = World::with("Allow Connect *");
    const THING: &str = "${iot:Connection.Thing.ThingName}";
    check(&world, "Publish a/b", "topic/a/b");
    check(&world, "Publish d/dev1/t", &format!("topic/d/{THING}/t"));
    check(&world, "Publish d/dev10/t", "topic/d/dev10/t");
    check(
        &world.clone().client("x"),
        "Publish d/x/t",
        "topic/d/${iot:ClientId}/t",
    );
    check(
        &world.clone().client("x"),
        "Publish d/dev1/t",
        "topic/d/dev1/t",
    );
    check(&world, "Subscribe a/+/#", "topicfilter/a/+/#");
    check(&world, "Subscribe a*/?", "topicfilter/a${*}/${?}");
    check(&world, "Publish $aws/${x}", "topic/$aws/${$}{x}");
    check(
        &world,
        "UpdateThingShadow dev1 cfg",
        &format!("thing/{THING}/cfg"),
    );
    check(&world, "AssumeRoleWithCertificate r", "rolealias/r");
    let closed = World::with("Allow Publish *");
    check(&closed, "Connect dev1", &format!("client/{THING}"));
    // Never the id by itself, which would allow every id.
    check(&closed.clone().client("x"), "Connect x", "client/x");
}

#[test]
fn suggests_nothing_against_a_deny_or_for_everything() {
    let none = |world: &World, ask: &str| explain(world, ask).suggested_edit.is_none();
    assert!(none(&World::with("Deny Publish topic/a"), "Publish a"));
    assert!(none(
        &World::with("").group_policy("g1", "Deny * *"),
        "Publish a"
    ));
    assert!(none(
        &World::with("").group_policy("g1", "Deny * *").client("x"),
        "Publish a"
    ));
    assert!(none(&World::with("Allow Publish *"), "Publish a"));
    assert!(none(&World::with(""), "ListRetainedMessages"));
    // Longer than a policy's pattern may be.
    let long = format!("Publish {}", "a".repeat(9_000));
    assert!(none(&World::with(""), &long));
}

#[test]
fn is_json_for_people_and_programs() {
    let world = World::with("Allow Connect client/${iot:ClientId}");
    let json = serde_json::to_value(explain(&world, "Publish d/dev1")).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "verdict": "IMPLICIT_DENY",
            "action": "iot:Publish",
            "resourceArn": format!("{A}topic/d/dev1"),
            "deciding": [],
            "variables": {},
            "missing": [],
            "refusal": null,
            "nearMisses": [],
            "suggestedEdit": {
                "policyName": "P0",
                "statement": {
                    "Effect": "Allow",
                    "Action": "iot:Publish",
                    "Resource": format!("{A}topic/d/${{iot:Connection.Thing.ThingName}}"),
                },
            },
        })
    );
    let json = serde_json::to_value(explain(&world, "Connect dev1")).unwrap();
    assert_eq!(
        json["deciding"],
        serde_json::json!([{
            "policyName": "P0",
            "policyArn": format!("{A}policy/P0"),
            "version": "1",
            "sid": null,
            "index": 0,
            "source": "principal",
            "effect": "Allow",
        }])
    );
    assert_eq!(
        json["variables"],
        serde_json::json!({"iot:ClientId": "dev1"})
    );
}
