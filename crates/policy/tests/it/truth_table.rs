//! core.md 7.7, row by row, in both profiles.

use policy::Hardening;
use policy::Verdict::{self, Allowed as A, ExplicitDeny as E, ImplicitDeny as I};

use crate::fixture::{World, thing};
use crate::identity;

/// A row where both profiles agree.
#[track_caller]
fn row(number: u32, world: World, ask: &str, expected: Verdict) {
    row_hardened(number, world, ask, expected, expected);
}

/// A row where `standard` may be safer than `aws`.
#[track_caller]
fn row_hardened(number: u32, world: World, ask: &str, aws: Verdict, standard: Verdict) {
    assert_eq!(
        world.decide(ask, Hardening::aws()),
        aws,
        "row {number}, aws: {ask}"
    );
    let decided = world.decide(ask, Hardening::standard());
    assert_eq!(decided, standard, "row {number}, standard: {ask}");
}

const IS_ATTACHED: &str =
    r#"Allow Connect * if {"Bool":{"iot:Connection.Thing.IsAttached":"true"}}"#;
const BY_THING: &str = "Allow Connect client/${iot:Connection.Thing.ThingName}";

// core.md 7.7 rows 1-11
#[test]
fn connects() {
    row(1, World::with(""), "Connect dev1", I);
    row(
        2,
        World::with("Allow Connect client/dev1"),
        "Connect dev1",
        A,
    );
    row(
        3,
        World::with("Allow Connect client/dev1").client("dev2"),
        "Connect dev2",
        I,
    );
    for id in ["dev1", "dev2", "anything at all"] {
        let world = World::with("Allow Connect client/${iot:ClientId}").client(id);
        row(4, world, &format!("Connect {id}"), A);
    }
    // tests aws-iot [RG-52]
    row(5, World::with(BY_THING), "Connect dev1", A);
    row(6, World::with(BY_THING).unattached(), "Connect dev1", I);
    row(7, World::with(BY_THING).client("dev2"), "Connect dev2", I);
    row(
        8,
        World::with(BY_THING).exclusive().client("other-id"),
        "Connect other-id",
        I,
    );
    row(9, World::with(IS_ATTACHED), "Connect dev1", A);
    row(
        10,
        World::with(IS_ATTACHED).client("dev2"),
        "Connect dev2",
        I,
    );
    row(
        11,
        World::with(IS_ATTACHED).exclusive().client("other-id"),
        "Connect other-id",
        A,
    );
}

// core.md 7.7 rows 12-18
// tests aws-iot [PL-20]
#[test]
fn publishes_by_pattern() {
    for (number, ask, expected) in [
        (12, "Publish a/b", A),
        (13, "Publish a/b/c/d", A),
        (14, "Publish a", I),
        (15, "Publish a/", A),
    ] {
        row(
            number,
            World::with("Allow Publish topic/a/*"),
            ask,
            expected,
        );
    }
    row(16, World::with("Allow Publish topic/a/?"), "Publish a/b", A);
    row(
        17,
        World::with("Allow Publish topic/a/?"),
        "Publish a/bc",
        I,
    );
    row(18, World::with("Allow Publish topic/A"), "Publish a", I);
}

// core.md 7.7 rows 19-31
// tests aws-iot [PL-11]
// tests aws-iot [PL-21]
#[test]
fn subscribes_by_text() {
    let plus = World::with("Allow Subscribe topicfilter/a/+/c");
    row(19, plus.clone(), "Subscribe a/+/c", A);
    row(20, plus, "Subscribe a/b/c", I);
    let star = World::with("Allow Subscribe topicfilter/a/*/c");
    row(21, star.clone(), "Subscribe a/+/c", A);
    row(22, star, "Subscribe a/x/y/c", A);
    let all = "Allow Subscribe topicfilter/a/*";
    row(23, World::with(all), "Subscribe a/#", A);
    let deny = format!("{all}; Deny Subscribe topicfilter/a/secret/*");
    row(24, World::with(&deny), "Subscribe a/#", A);
    let leak = format!("{deny}; Allow Receive topic/a/*");
    row(25, World::with(&leak), "Receive a/secret/k", A);
    let closed = format!("{leak}; Deny Receive topic/a/secret/*");
    row(26, World::with(&closed), "Receive a/secret/k", E);
    let except = World::with("Allow Receive !topic/a/secret/*");
    row(27, except.clone(), "Receive a/secret/k", I);
    row(28, except, "Receive zzz", A);
    row(29, World::with("Allow Subscribe topic/a"), "Subscribe a", I);
    row(
        30,
        World::with("Allow Publish topicfilter/a"),
        "Publish a",
        I,
    );
    let no_receive = World::with("Allow Subscribe topicfilter/a");
    row(31, no_receive.clone(), "Subscribe a", A);
    row(31, no_receive, "Receive a", I);
}

// core.md 7.7 rows 32-36
#[test]
fn retains_and_reserved_topics() {
    row(
        32,
        World::with("Allow Publish topic/a"),
        "RetainPublish a",
        I,
    );
    let both = World::with("Allow Publish,RetainPublish topic/a");
    row(33, both.clone(), "Publish a", A);
    row(33, both, "RetainPublish a", A);
    let shadow = "Publish $aws/things/dev1/shadow/update";
    row(34, World::with("Allow Publish topic/*"), shadow, A);
    let denied = "Allow Publish topic/*; Deny Publish topic/$aws/*";
    row(35, World::with(denied), shadow, E);
    let own = World::with("Allow Publish topic/d/${iot:ClientId}/*");
    row(36, own.clone(), "Publish d/dev1/t", A);
    row(36, own, "Publish d/dev2/t", I);
}

// core.md 7.7 rows 37-40
// tests aws-iot [PL-30]
// tests aws-iot [PL-31]
// tests aws-iot [PL-32]
#[test]
fn values_are_literal_or_undefined() {
    let trap = "Allow Connect client/*; Allow Subscribe topicfilter/d/${iot:ClientId}/cmd";
    row(37, World::with(trap).client("+"), "Subscribe d/+/cmd", A);
    for id in ["+", "#", "*", "?", "a+b"] {
        row_hardened(
            37,
            World::with(trap).client(id),
            &format!("Connect {id}"),
            A,
            I,
        );
    }
    let own = "Allow Connect client/*; Allow Publish topic/d/${iot:ClientId}";
    row(38, World::with(own).client("*"), "Publish d/dev2", I);
    row(38, World::with(own).client("*"), "Publish d/*", A);
    let name = World::with("Allow Publish topic/${iot:Certificate.Subject.CommonName}");
    row(39, name.common_names(&["a*b"]), "Publish aXb", I);
    let undefined =
        "Allow Publish topic/x/*; Deny Publish topic/x/${iot:Connection.Thing.ThingName}";
    row_hardened(
        40,
        World::with(undefined).unattached(),
        "Publish x/dev1",
        A,
        E,
    );
    row(40, World::with(undefined), "Publish x/dev1", E);
    row(40, World::with(undefined), "Publish x/dev2", A);
}

// core.md 7.7 rows 41-43
// tests aws-iot [PL-33]
#[test]
fn attributes_follow_the_registry() {
    let site = r#"Allow Publish topic/t if {"StringEquals":{"iot:Connection.Thing.Attributes[site]":"north"}}"#;
    row(41, World::with(site), "Publish t", A);
    row(
        42,
        World::with(site).attribute("site", "south"),
        "Publish t",
        I,
    );
    let pump = r#"Allow Publish topic/t if {"StringEquals":{"iot:Connection.Thing.ThingTypeName":"pump"}}"#;
    row(43, World::with(pump).untyped(), "Publish t", I);
    row(43, World::with(pump), "Publish t", A);
}

fn attributes(quantifier: &str, values: &str) -> String {
    format!(
        r#"Allow Connect * if {{"{quantifier}:StringEquals":{{"iot:ConnectAttributes":[{values}]}}}}"#
    )
}

// core.md 7.7 rows 44-54
// tests aws-iot [PL-41]
// tests aws-iot [PL-42]
#[test]
fn connect_attributes_and_will() {
    let none = attributes("ForAllValues", "");
    row(44, World::with(&none), "Connect dev1", A);
    row(45, World::with(&none).will("w"), "Connect dev1", I);
    let will = attributes("ForAllValues", r#""LastWill""#);
    row(46, World::with(&will).persistent(), "Connect dev1", I);
    row(47, World::with(&will), "Connect dev1", A);
    row(47, World::with(&will).will("w"), "Connect dev1", A);
    let persistent = attributes("ForAnyValue", r#""PersistentConnect""#);
    row(48, World::with(&persistent), "Connect dev1", I);
    row(48, World::with(&persistent).persistent(), "Connect dev1", A);
    row(
        49,
        World::with("Allow Connect *").persistent().will("w"),
        "Connect dev1",
        A,
    );
    let deny = persistent.replace("Allow", "Deny");
    row(
        50,
        World::with(&format!("Allow Connect *; {deny}")).persistent(),
        "Connect dev1",
        E,
    );
    row(
        50,
        World::with(&format!("Allow Connect *; {deny}")),
        "Connect dev1",
        A,
    );
    let topic = r#"Allow Connect * if {"ArnEquals":{"iot:LastWillTopic":"A:topic/w"}}"#;
    row(51, World::with(topic), "Connect dev1", I);
    row(51, World::with(topic).will("w"), "Connect dev1", A);
    row(51, World::with(topic).will("v"), "Connect dev1", I);
    // A will is a publish the broker asks about at CONNECT.
    row(52, World::with("Allow Connect *").will("w"), "Publish w", I);
    row(
        53,
        World::with("Allow Connect *; Allow Publish topic/w"),
        "RetainPublish w",
        I,
    );
    let network = r#"Allow Connect * if {"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}"#;
    row(54, World::with(network).from("10.9.9.9"), "Connect dev1", A);
    row(
        54,
        World::with(network).from("192.0.2.1"),
        "Connect dev1",
        I,
    );
}

// core.md 7.7 rows 55-60
// core.md 7.6
#[test]
fn gathers_groups_and_policies() {
    let connect = "Allow Connect *";
    let g = "Allow Publish topic/g/*";
    row(
        55,
        World::with(connect).group_policy("g1", g),
        "Publish g/1",
        A,
    );
    row(
        56,
        World::with(connect).group_policy("g0", g),
        "Publish g/1",
        A,
    );
    let denied = World::with("Allow Publish topic/*").group_policy("g0", "Deny Publish topic/g/*");
    row(57, denied.clone(), "Publish g/1", E);
    row(
        58,
        World::with(connect).group_policy("g1", g).client("dev1-b"),
        "Publish g/1",
        I,
    );
    let two = World::with("Allow Publish *").and_policy("Deny Publish topic/x");
    row(59, two, "Publish x", E);
    for ask in [
        "Connect dev1",
        "Publish a",
        "RetainPublish a",
        "Subscribe #",
        "Receive a",
        "GetRetainedMessage a",
        "ListRetainedMessages",
        "GetThingShadow dev1",
        "UpdateThingShadow dev1 cfg",
        "DeleteThingShadow dev1",
        "ListNamedShadowsForThing dev1",
        "DescribeJobExecution dev1",
        "GetPendingJobExecutions dev1",
        "StartNextPendingJobExecution dev1",
        "UpdateJobExecution dev1",
        "AssumeRoleWithCertificate r",
        "GetConnection dev1",
        "DeleteConnection dev1",
        "ListSubscriptions dev1",
        "SendDirectMessage dev1 t",
    ] {
        row(60, World::with("Allow iot:* *"), ask, A);
    }
    row(60, World::with("Allow iot:* *"), "Discover dev1", I);
    row(60, World::with("Allow * *"), "Discover dev1", A);
    // tests aws-iot [PL-50]: another client id does not escape a quarantine.
    row_hardened(58, denied.client("dev1-b"), "Publish g/1", A, E);
}

// core.md 7.7 rows 61-67
#[test]
fn kinds_of_resource() {
    let ingest = World::with("Allow Publish topic/$aws/rules/r1/*");
    row(61, ingest.clone(), "Publish $aws/rules/r1/a", A);
    row(61, ingest, "Publish $aws/rules/r1", I);
    let update = World::with("Allow UpdateThingShadow thing/dev1");
    row(
        62,
        update.clone(),
        "Publish $aws/things/dev1/shadow/update",
        I,
    );
    let topics = World::with("Allow Publish topic/$aws/things/dev1/shadow/*");
    row(63, topics, "UpdateThingShadow dev1", I);
    row(64, update.clone(), "UpdateThingShadow dev1 cfg", I);
    row(64, update, "UpdateThingShadow dev1", A);
    let named = World::with("Allow UpdateThingShadow thing/dev1/*");
    row(65, named.clone(), "UpdateThingShadow dev1", I);
    row(65, named, "UpdateThingShadow dev1 cfg", A);
    row(
        66,
        World::with("Allow Publish topic/d/${iot:ClientId}").https(),
        "Publish d/dev1",
        I,
    );
    let elsewhere = World::with("Allow Publish arn:aws:iot:eu-west-1:111122223333:topic/a");
    row(67, elsewhere, "Publish a", I);
}

// core.md 7.7 rows 68-70
// tests aws-iot [CR-10]
#[test]
fn federated_identities_need_both() {
    let iam = |policy: &str| {
        identity::decide(
            policy,
            "iot:Publish",
            &["arn:aws:iot:us-east-1:111122223333:topic/t"],
        )
    };
    let iot = |policy: &str| {
        World::with(policy)
            .unattached()
            .decide("Publish t", Hardening::standard())
    };
    let allow = "Allow Publish topic/t";
    assert_eq!(iam(allow).and(iot("")), I, "row 68");
    assert_eq!(iam(allow), A, "row 69: the IoT policy is not consulted");
    assert_eq!(iam("").and(iot(allow)), I, "row 70");
    assert_eq!(iam(allow).and(iot(allow)), A);
    assert_eq!(iam(allow).and(iot("Deny * *")), E);
    assert_eq!(iam("Deny * *").and(iot(allow)), E);
    assert_eq!(iam("Deny * *").and(iot("")), E);
}

// core.md 7.7 rows 71-74
// tests aws-iot [PL-23]
// tests aws-iot [PL-52]
#[test]
fn the_rest() {
    let alias = World::with("Allow AssumeRoleWithCertificate rolealias/r");
    row(71, alias.clone(), "AssumeRoleWithCertificate r2", I);
    row(71, alias, "AssumeRoleWithCertificate r", A);
    row(
        72,
        World::with("Allow Subscribe topicfilter/a/*"),
        "Subscribe $share/q/a/b",
        I,
    );
    // The policy after the change: publishing goes on, and the Connect that a
    // hardened broker asks about again is refused.
    let replaced = World::with("Deny Connect *; Allow Publish topic/*");
    row(73, replaced.clone(), "Publish a", A);
    row(73, replaced, "Connect dev1", E);
    let others = World::with("Allow !Publish *");
    row(74, others.clone(), "Subscribe a", A);
    row(74, others, "Publish a", I);
}

// tests aws-iot [PL-50]
#[test]
fn only_denies_come_from_things_not_resolved() {
    let mut world = World::with("Allow Publish topic/a").client("other");
    world.facts.things.push(thing("dev2"));
    let world = world.group_policy("g1", "Allow Publish topic/g; Deny Publish topic/a");
    row(50, world.clone(), "Publish g", I);
    row_hardened(50, world.clone(), "Publish a", A, E);
    row_hardened(50, world.https(), "Publish a", A, E);
}
