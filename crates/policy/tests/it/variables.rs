//! Variables, escapes, resources and actions beyond the truth table.

use std::sync::Arc;

use policy::Verdict::{Allowed as A, ExplicitDeny as E, ImplicitDeny as I};
use policy::{Authorizer, DeviceAction, Dialect, Facts, Hardening, Request, Resource};

use crate::fixture::{A as ARN, NOW_MS, World, parsed, request, scope, verdict};

#[test]
fn every_variable_fills_its_value() {
    let own = |variable: &str| World::with(&format!("Allow Publish topic/${{{variable}}}"));
    own("iot:ClientId").check("Publish dev1", A);
    own("IOT:clientID").check("Publish dev1", A);
    own("aws:SourceIp").check("Publish 10.9.9.9", A);
    own("aws:SourceIp")
        .from("::ffff:10.9.9.9")
        .check("Publish 10.9.9.9", A);
    own("aws:SourceIp")
        .from("2001:db8::1")
        .check("Publish 2001:db8::1", A);
    own("iot:CertificateId").check(&format!("Publish {}", "ab".repeat(32)), A);
    own("iot:Certificate.SerialNumber").check("Publish 4711", A);
    own("iot:Connection.Thing.ThingName").check("Publish dev1", A);
    own("iot:Thing.ThingName").check("Publish dev1", A);
    own("iot:Connection.Thing.ThingTypeName").check("Publish pump", A);
    own("iot:Connection.Thing.Attributes[site]").check("Publish north", A);
    own("iot:Connection.Thing.Attributes[Site]").check("Publish north", I);
    own("iot:Connection.Thing.IsAttached").check("Publish true", A);
    own("iot:Connection.Thing.IsAttached")
        .client("x")
        .check("Publish false", A);
    own("iot:Connection.Thing.IsAttached")
        .https()
        .check("Publish false", I);
    own("iot:Connection.Thing.ThingName")
        .exclusive()
        .client("x")
        .check("Publish dev1", A);
    own("iot:Connection.Thing.ThingName")
        .exclusive()
        .https()
        .check("Publish dev1", I);
    own("aws:SecureTransport").check("Publish true", A);
    own("aws:CurrentTime").check("Publish 2026-06-15T12:00:00Z", I);
    own("iot:ConnectAttributes")
        .persistent()
        .check("Publish PersistentConnect", I);
    own("iot:ThingGroupArn").check("Publish arn", I);
    own("no:Such").check("Publish ${no:Such}", I);
}

// tests aws-iot [PL-24]
// tests aws-iot [PL-31]
#[test]
fn escapes_and_literal_values() {
    World::with("Allow Publish topic/a${*}").check("Publish a*", A);
    World::with("Allow Publish topic/a${*}").check("Publish ab", I);
    World::with("Allow Publish topic/${?}").check("Publish ?", A);
    World::with("Allow Publish topic/${?}").check("Publish a", I);
    World::with("Allow Publish topic/${$}aws").check("Publish $aws", A);
    World::with("Allow Publish topic/${$}{iot:ClientId}").check("Publish ${iot:ClientId}", A);
    let attribute = World::with("Allow Publish topic/${iot:Connection.Thing.Attributes[p]}");
    attribute
        .clone()
        .attribute("p", "a*")
        .check("Publish ab", I);
    attribute
        .clone()
        .attribute("p", "a*")
        .check("Publish a*", A);
    attribute
        .attribute("p", "${iot:ClientId}")
        .check("Publish dev1", I);
}

// tests aws-iot [PL-1]: no variables and no escapes in the older version.
#[test]
fn the_older_version_has_no_variables() {
    for version in [r#""Version":"2008-10-17","#, ""] {
        let text = format!(
            r#"{{{version}"Statement":{{"Effect":"Allow","Action":"iot:Publish",
            "Resource":["{ARN}topic/${{iot:ClientId}}","{ARN}topic/e/${{*}}"]}}}}"#
        );
        let mut world = World::with("");
        world
            .facts
            .policies
            .push(parsed("old", &text, Dialect::Iot));
        world.check("Publish dev1", I);
        world.check("Publish ${iot:ClientId}", A);
        world.check("Publish e/${anything}", A);
        world.check("Publish e/*", I);
    }
}

// tests aws-iot [PL-30]
#[test]
fn undefined_variables_close_in_the_standard_profile() {
    #[track_caller]
    fn check(policy: &str, ask: &str, aws: policy::Verdict, standard: policy::Verdict) {
        let world = World::with(&format!("Allow Subscribe *; {policy}")).https();
        assert_eq!(world.decide(ask, Hardening::aws()), aws, "aws: {policy}");
        assert_eq!(
            world.decide(ask, Hardening::standard()),
            standard,
            "standard: {policy}"
        );
    }
    check(
        "Deny Subscribe topicfilter/x/${iot:ClientId}",
        "Subscribe x/a",
        A,
        E,
    );
    check(
        "Deny Subscribe topicfilter/x/${iot:ClientId}/y",
        "Subscribe x/a/y",
        A,
        E,
    );
    // No value of the variable makes it match this one.
    check(
        "Deny Subscribe topicfilter/x/${iot:ClientId}",
        "Subscribe z",
        A,
        A,
    );
    check(
        "Deny Subscribe !topicfilter/${iot:ClientId}",
        "Subscribe z",
        E,
        E,
    );
    check("Allow Publish !topic/${iot:ClientId}", "Publish z", A, I);
    check("Allow Publish !topic/a/${iot:ClientId}", "Publish z", A, A);
    check("Allow Publish topic/${iot:ClientId}", "Publish z", I, I);
    let equals = |effect: &str, operator: &str, value: &str| {
        format!(r#"{effect} Publish * if {{"{operator}":{{"aws:SourceIp":"{value}"}}}}"#)
    };
    let allow = "Allow Publish *; ";
    for (operator, aws, standard) in [
        ("StringEquals", A, E),
        ("StringLike", A, E),
        ("StringEqualsIgnoreCase", A, E),
        ("IpAddress", A, E),
        ("StringNotEquals", E, E),
        ("NotIpAddress", E, E),
    ] {
        let deny = equals("Deny", operator, "${iot:ClientId}");
        check(&format!("{allow}{deny}"), "Publish z", aws, standard);
    }
    for (operator, aws, standard) in [
        ("StringEquals", I, I),
        ("StringNotEquals", A, I),
        ("NotIpAddress", A, I),
    ] {
        check(
            &equals("Allow", operator, "${iot:ClientId}"),
            "Publish z",
            aws,
            standard,
        );
    }
}

// tests aws-iot [PL-22]
#[test]
fn wildcards_anywhere_in_the_arn() {
    for resource in [
        "*",
        "arn:*",
        "arn:aws:iot:*:*:topic/a",
        "arn:aws:iot:us-*-1:111122223333:topic/a",
        "arn:aws:iot:us-east-?:*:*",
        "arn:*:topic/?",
        "*topic/a",
    ] {
        World::with(&format!("Allow Publish {resource}")).check("Publish a", A);
    }
    for resource in [
        "arn:aws:iot:us-east-1:444455556666:topic/a",
        "arn:aws-cn:iot:*:*:topic/a",
        "arn:aws:iot:us-east-1:111122223333:top?c/b",
        "arn:aws:iot:us-east-1:111122223333:topic",
        "arn:aws:iot:us-east-1:111122223333:topic/",
        "*:client/*",
    ] {
        World::with(&format!("Allow Publish {resource}")).check("Publish a", I);
    }
}

#[test]
fn actions_without_regard_to_case_and_with_wildcards() {
    World::with("Allow iot:publish *").check("Publish a", A);
    World::with("Allow IOT:PUBLISH *").check("Publish a", A);
    World::with("Allow iot:Pub* *").check("Publish a", A);
    World::with("Allow iot:*Publish *").check("RetainPublish a", A);
    World::with("Allow iot:Pub?ish *").check("Publish a", A);
    World::with("Allow Connect,Publish *").check("Publish a", A);
    World::with("Allow greengrass:* *").check("Publish a", I);
    World::with("Allow greengrass:Discover thing/dev1").check("Discover dev1", A);
    World::with("Allow greengrass:Discover thing/dev1").check("Discover dev2", I);
    World::with("Allow * *; Deny !Connect,Subscribe *").check("Publish a", E);
    World::with("Allow * *; Deny !Connect,Subscribe *").check("Subscribe a", A);
}

#[test]
fn resources_of_every_action() {
    World::with("Allow ListRetainedMessages *").check("ListRetainedMessages", A);
    World::with("Allow ListRetainedMessages topic/*").check("ListRetainedMessages", I);
    World::with("Allow ListNamedShadowsForThing *").check("ListNamedShadowsForThing dev1", A);
    let listed = World::with("Allow ListNamedShadowsForThing thing/dev1");
    listed.check("ListNamedShadowsForThing dev1", A);
    listed.check("ListNamedShadowsForThing dev2", I);
    World::with("Allow GetRetainedMessage topic/a").check("GetRetainedMessage a", A);
    World::with("Allow DescribeJobExecution thing/dev1").check("DescribeJobExecution dev1", A);
    for action in [
        "GetConnection",
        "DeleteConnection",
        "ListSubscriptions",
        "SendDirectMessage",
    ] {
        let world = World::with(&format!("Allow {action} client/dev1"));
        world.check(&format!("{action} dev1"), A);
        world.check(&format!("{action} dev2"), I);
    }
    World::with("Allow SendDirectMessage topic/t").check("SendDirectMessage dev1 t", I);
    // A named shadow is one name: the slash between is matched like any other.
    World::with("Allow GetThingShadow thing/*").check("GetThingShadow dev1 cfg", A);
    World::with("Allow GetThingShadow thing/dev?").check("GetThingShadow dev1", A);
    World::with("Allow GetThingShadow thing/dev1?cfg").check("GetThingShadow dev1 cfg", A);
}

// tests aws-iot [PL-42]
#[test]
fn the_topic_of_a_direct_message_is_a_key() {
    let world =
        World::with(r#"Allow SendDirectMessage client/* if {"StringLike":{"iot:Topic":"cmd/*"}}"#);
    world.check("SendDirectMessage dev2 cmd/go", A);
    world.check("SendDirectMessage dev2 other", I);
    world.check("SendDirectMessage dev2", I);
    assert!(
        !world
            .authorizer(Hardening::aws())
            .cacheable(DeviceAction::SendDirectMessage)
    );
}

#[test]
fn a_resource_of_another_kind_is_never_allowed() {
    let authorizer = World::with("Allow * *").authorizer(Hardening::standard());
    for resource in [
        Resource::Client("a"),
        Resource::TopicFilter("a"),
        Resource::Any,
    ] {
        let asked = Request {
            action: DeviceAction::Publish,
            resource,
            now_ms: 0,
        };
        assert_eq!(verdict(&authorizer, &asked), I, "{resource:?}");
    }
}

// tests aws-iot [PL-23]
#[test]
fn shared_subscriptions() {
    let full = "Allow Subscribe topicfilter/$share/*";
    World::with(full).check("Subscribe $share/q/a/b", A);
    World::with("Allow Subscribe topicfilter/a/b").check("Subscribe $share/q/a/b", I);
    World::with(&format!("{full}; Deny Subscribe topicfilter/a/*"))
        .check("Subscribe $share/q/a/b", E);
    World::with(&format!("{full}; Deny Subscribe topicfilter/$share/q/*"))
        .check("Subscribe $share/q/a/b", E);
    World::with(&format!("{full}; Deny Subscribe topicfilter/b/*"))
        .check("Subscribe $share/q/a/b", A);
    World::with(&format!("{full}; Deny Subscribe !topicfilter/$share/*"))
        .check("Subscribe $share/q/a", E);
    World::with(full).check("Subscribe $share/q", A);
}

// tests aws-iot [RG-52]
// tests aws-iot [CR-3]
#[test]
fn a_request_may_name_its_thing() {
    let world =
        World::with("Allow AssumeRoleWithCertificate rolealias/${iot:Connection.Thing.ThingName}")
            .https();
    let named = |thing: &str| {
        let facts = Arc::new(world.facts.clone());
        let hardening = Hardening::standard();
        Authorizer::for_thing(facts, &world.connection, &scope(), hardening, thing)
    };
    let ask = request("AssumeRoleWithCertificate dev1");
    assert_eq!(verdict(&named("dev1"), &ask), A);
    assert_eq!(verdict(&named("dev2"), &ask), I);
    assert_eq!(verdict(&world.authorizer(Hardening::standard()), &ask), I);
    assert_eq!(
        named("dev1")
            .resolved_thing()
            .map(|thing| thing.name.as_str()),
        Some("dev1")
    );
}

// tests aws-iot [RG-52]
#[test]
fn resolves_the_thing() {
    let resolved = |world: World| {
        let authorizer = world.authorizer(Hardening::standard());
        authorizer.resolved_thing().map(|thing| thing.name.clone())
    };
    assert_eq!(resolved(World::with("")), Some("dev1".to_owned()));
    assert_eq!(resolved(World::with("").client("dev2")), None);
    assert_eq!(
        resolved(World::with("").client("dev2").exclusive()),
        Some("dev1".to_owned())
    );
    assert_eq!(resolved(World::with("").https()), None);
    assert_eq!(resolved(World::with("").https().exclusive()), None);
}

#[test]
fn time_makes_a_verdict_uncacheable() {
    let timed = r#"Allow Publish * if {"DateLessThan":{"aws:CurrentTime":"2026-07-01T00:00:00Z"}}"#;
    let authorizer =
        World::with(&format!("{timed}; Allow Subscribe *")).authorizer(Hardening::aws());
    assert!(!authorizer.cacheable(DeviceAction::Publish));
    assert!(authorizer.cacheable(DeviceAction::Subscribe));
    let at = |now_ms| Request {
        now_ms,
        ..request("Publish a")
    };
    assert_eq!(verdict(&authorizer, &at(NOW_MS)), A);
    assert_eq!(verdict(&authorizer, &at(1_782_863_999_999)), A);
    assert_eq!(verdict(&authorizer, &at(1_782_864_000_000)), I);
}

#[test]
fn is_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&World::with("").authorizer(Hardening::aws()));
}

#[test]
fn nothing_allows_without_facts() {
    let connection = World::with("").connection;
    for hardening in [Hardening::aws(), Hardening::standard()] {
        let facts = Arc::new(Facts::default());
        let authorizer = Authorizer::new(facts, &connection, &scope(), hardening);
        for ask in ["Connect dev1", "Publish a", "Subscribe a", "Receive a"] {
            assert_eq!(verdict(&authorizer, &request(ask)), I);
        }
    }
}
