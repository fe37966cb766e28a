//! Every operator, on a key whose value each case chooses.

use policy::Verdict::{Allowed as A, ImplicitDeny as I};

use crate::fixture::World;

/// `iot:Connection.Thing.Attributes[k]` is `value`, or missing.
#[track_caller]
fn check(operator: &str, value: Option<&str>, values: &str, holds: bool) {
    let condition =
        format!(r#"{{"{operator}":{{"iot:Connection.Thing.Attributes[k]":{values}}}}}"#);
    let mut world = World::with(&format!("Allow Publish * if {condition}"));
    if let Some(value) = value {
        world = world.attribute("k", value);
    }
    world.check("Publish t", if holds { A } else { I });
}

#[test]
fn text() {
    check("StringEquals", Some("a"), r#""a""#, true);
    check("StringEquals", Some("A"), r#""a""#, false);
    check("StringEquals", Some("b"), r#"["a","b"]"#, true);
    check("StringEquals", Some("ab"), r#""a*""#, false);
    check("StringEquals", Some("a*"), r#""a*""#, true);
    check("StringEquals", Some("a*"), r#""a${*}""#, true);
    check("StringEquals", Some("a"), "[]", false);
    check("StringNotEquals", Some("c"), r#"["a","b"]"#, true);
    check("StringNotEquals", Some("b"), r#"["a","b"]"#, false);
    check("StringNotEquals", Some("a"), "[]", true);
    check("StringEqualsIgnoreCase", Some("Ää"), r#""äÄ""#, true);
    check("StringNotEqualsIgnoreCase", Some("A"), r#""a""#, false);
    check("StringLike", Some("abc"), r#""a*""#, true);
    check("StringLike", Some("abc"), r#""a?c""#, true);
    check("StringLike", Some("abc"), r#""A*""#, false);
    check("StringLike", Some("a*"), r#""a${*}""#, true);
    check("StringLike", Some("ab"), r#""a${*}""#, false);
    check("StringNotLike", Some("abc"), r#""a*""#, false);
    check("StringNotLike", Some("b"), r#"["a*","c*"]"#, true);
    check("StringEquals", Some("dev1"), r#""${iot:ClientId}""#, true);
    check("StringLike", Some("dev1/x"), r#""${iot:ClientId}/*""#, true);
    check("StringEquals", Some("true"), "true", true);
    check("StringEquals", Some("7"), "7", true);
}

#[test]
fn numbers() {
    check("NumericEquals", Some("7"), "7", true);
    check("NumericEquals", Some("7.0"), r#""7""#, true);
    check("NumericNotEquals", Some("7"), "7", false);
    check("NumericNotEquals", Some("x"), "7", true);
    check("NumericLessThan", Some("6.9"), "7", true);
    check("NumericLessThan", Some("7"), "7", false);
    check("NumericLessThanEquals", Some("7"), "7", true);
    check("NumericGreaterThan", Some("7"), "7", false);
    check("NumericGreaterThan", Some("-7"), "-8", true);
    check("NumericGreaterThanEquals", Some("7"), "7", true);
    check("NumericLessThan", Some("seven"), "8", false);
    check("NumericLessThan", Some("-inf"), "8", false);
    check("NumericEquals", Some("1e3"), "1000", true);
}

#[test]
fn dates() {
    check(
        "DateEquals",
        Some("2026-06-15"),
        r#""2026-06-15T00:00:00Z""#,
        true,
    );
    check(
        "DateNotEquals",
        Some("2026-06-15"),
        r#""2026-06-15T00:00:00Z""#,
        false,
    );
    check("DateLessThan", Some("2026-06-14"), r#""2026-06-15""#, true);
    check("DateLessThan", Some("2026-06-15"), r#""2026-06-15""#, false);
    check(
        "DateLessThanEquals",
        Some("2026-06-15"),
        r#""2026-06-15""#,
        true,
    );
    check(
        "DateGreaterThan",
        Some("1781524801"),
        r#""2026-06-15T12:00:00Z""#,
        true,
    );
    check(
        "DateGreaterThanEquals",
        Some("1781524800"),
        "1781524800",
        true,
    );
    check("DateLessThan", Some("yesterday"), r#""2026-06-15""#, false);
}

// tests aws-iot [PL-42]
#[test]
fn the_time_of_the_request() {
    // The fixture's time is 2026-06-15T12:00:00Z.
    let check = |condition: &str, expected| {
        World::with(&format!("Allow Publish * if {condition}")).check("Publish t", expected);
    };
    check(
        r#"{"DateLessThan":{"aws:CurrentTime":"2026-06-15T12:00:01Z"}}"#,
        A,
    );
    check(
        r#"{"DateGreaterThan":{"aws:CurrentTime":"2026-06-15T12:00:00Z"}}"#,
        I,
    );
    check(
        r#"{"DateEquals":{"aws:EpochTime":"2026-06-15T12:00:00Z"}}"#,
        A,
    );
    check(
        r#"{"NumericGreaterThanEquals":{"aws:EpochTime":1781524800}}"#,
        A,
    );
    check(r#"{"NumericGreaterThan":{"aws:EpochTime":1781524800}}"#, I);
    check(r#"{"NumericGreaterThan":{"aws:CurrentTime":0}}"#, I);
    check(r#"{"StringLike":{"aws:CurrentTime":"2026-06-15T12:*"}}"#, A);
    check(r#"{"StringEquals":{"aws:EpochTime":"1781524800"}}"#, A);
    check(r#"{"Null":{"aws:CurrentTime":"false"}}"#, A);
    let between = r#"{"DateGreaterThan":{"aws:CurrentTime":"2026-06-15"},"DateLessThan":{"aws:CurrentTime":"2026-06-16"}}"#;
    check(between, A);
}

#[test]
fn booleans_and_bytes() {
    check("Bool", Some("true"), "true", true);
    check("Bool", Some("TRUE"), r#""true""#, true);
    check("Bool", Some("false"), "true", false);
    check("Bool", Some("yes"), "true", false);
    check("BoolIfExists", None, "true", true);
    check("BinaryEquals", Some("QmFzZTY0"), r#""QmFzZTY0""#, true);
    check("BinaryEquals", Some("qmfzzty0"), r#""QmFzZTY0""#, false);
}

#[test]
fn addresses() {
    check("IpAddress", Some("10.1.2.3"), r#""10.0.0.0/8""#, true);
    check("IpAddress", Some("11.1.2.3"), r#""10.0.0.0/8""#, false);
    check("IpAddress", Some("10.1.2.3"), r#""10.1.2.3""#, true);
    check(
        "IpAddress",
        Some("2001:db8::7"),
        r#"["10.0.0.0/8","2001:db8::/32"]"#,
        true,
    );
    check(
        "IpAddress",
        Some("::ffff:10.1.2.3"),
        r#""10.0.0.0/8""#,
        true,
    );
    check("IpAddress", Some("not an address"), r#""0.0.0.0/0""#, false);
    check("NotIpAddress", Some("10.1.2.3"), r#""10.0.0.0/8""#, false);
    check(
        "NotIpAddress",
        Some("192.0.2.1"),
        r#"["10.0.0.0/8","172.16.0.0/12"]"#,
        true,
    );
}

#[test]
fn arns() {
    let arn = Some("arn:aws:iot:us-east-1:111122223333:topic/a/b");
    for operator in ["ArnEquals", "ArnLike"] {
        check(
            operator,
            arn,
            r#""arn:aws:iot:us-east-1:111122223333:topic/a/b""#,
            true,
        );
        check(operator, arn, r#""arn:aws:iot:*:*:topic/*""#, true);
        check(operator, arn, r#""arn:aws:iot:*:topic/*:x""#, false);
        check(operator, arn, r#""*""#, true);
        check(operator, Some("plain"), r#""arn:*:*:*:*:*""#, false);
    }
    for operator in ["ArnNotEquals", "ArnNotLike"] {
        check(operator, arn, r#""arn:aws:iot:*:*:topic/*""#, false);
        check(operator, arn, r#""arn:aws:iot:*:*:client/*""#, true);
    }
}

// tests aws-iot [PL-41]
#[test]
fn missing_keys() {
    check("StringEquals", None, r#""a""#, false);
    check("StringNotEquals", None, r#""a""#, true);
    check("StringEqualsIfExists", None, r#""a""#, true);
    check("StringEqualsIfExists", Some("b"), r#""a""#, false);
    check("ForAllValues:StringEquals", None, r#""a""#, true);
    check("ForAnyValue:StringEquals", None, r#""a""#, false);
    check("ForAnyValue:StringEqualsIfExists", None, r#""a""#, true);
    check("ForAllValues:StringNotEquals", None, r#""a""#, true);
    check("ForAnyValue:StringNotEquals", None, r#""a""#, false);
    check("Null", None, r#""true""#, true);
    check("Null", None, "false", false);
    check("Null", Some("a"), "true", false);
    check("Null", Some("a"), r#""false""#, true);
    check("NumericLessThan", None, "7", false);
    check("NumericNotEquals", None, "7", true);
    check("NotIpAddress", None, r#""10.0.0.0/8""#, true);
    check("ArnNotLike", None, r#""*""#, true);
}

// tests aws-iot [PL-40]
#[test]
fn everything_must_hold() {
    let check = |condition: &str, expected| {
        World::with(&format!("Allow Publish * if {condition}")).check("Publish t", expected);
    };
    let site = "iot:Connection.Thing.Attributes[site]";
    check(
        &format!(r#"{{"StringEquals":{{"{site}":"north","iot:ClientId":"dev1"}}}}"#),
        A,
    );
    check(
        &format!(r#"{{"StringEquals":{{"{site}":"north","iot:ClientId":"dev2"}}}}"#),
        I,
    );
    check(
        &format!(
            r#"{{"StringEquals":{{"{site}":"north"}},"Bool":{{"aws:SecureTransport":false}}}}"#
        ),
        I,
    );
    check("{}", A);
    check(r#"{"StringEquals":{}}"#, A);
    check(r#"{"StringEquals":{"IOT:CLIENTID":"dev1"}}"#, A);
    check(r#"{"StringEquals":{"aws:SourceVpc":"vpc-1"}}"#, I);
    check(r#"{"StringEquals":{"iot:ConnectMode":"x"}}"#, I);
}

// tests aws-iot [PL-42]
#[test]
fn sets() {
    let g = |name: &str| format!("A:thinggroup/{name}");
    let groups = |quantifier: &str, names: &[&str]| {
        let values: Vec<String> = names.iter().map(|name| format!("{:?}", g(name))).collect();
        let values = values.join(",");
        let condition =
            format!(r#"{{"{quantifier}:StringLike":{{"iot:ThingGroupArn":[{values}]}}}}"#);
        World::with(&format!("Allow Publish * if {condition}"))
    };
    groups("ForAnyValue", &["g1"]).check("Publish t", A);
    groups("ForAnyValue", &["g0"]).check("Publish t", A);
    groups("ForAnyValue", &["g2"]).check("Publish t", I);
    groups("ForAllValues", &["g0", "g1"]).check("Publish t", A);
    groups("ForAllValues", &["g1"]).check("Publish t", I);
    groups("ForAnyValue", &["*"])
        .client("other")
        .check("Publish t", I);
    groups("ForAllValues", &["x"])
        .client("other")
        .check("Publish t", A);
    let not = |values: &str| {
        let condition =
            format!(r#"{{"ForAnyValue:StringNotEquals":{{"iot:ConnectAttributes":[{values}]}}}}"#);
        World::with(&format!("Allow Connect * if {condition}"))
            .persistent()
            .will("w")
    };
    not(r#""LastWill""#).check("Connect dev1", A);
    not(r#""LastWill","PersistentConnect""#).check("Connect dev1", I);
    let absent = r#"Allow Publish * if {"Null":{"iot:ConnectAttributes":true}}"#;
    World::with(absent).https().check("Publish t", A);
    World::with(absent).check("Publish t", I);
}

#[test]
fn connection_keys() {
    let mut world = World::with(r#"Allow Publish * if {"StringEquals":{"iot:DomainName":"h"}}"#);
    world.check("Publish t", I);
    world.connection.domain_name = Some("h".to_owned());
    world.check("Publish t", A);
    let mut plain = World::with(r#"Allow Publish * if {"Bool":{"aws:SecureTransport":true}}"#);
    plain.check("Publish t", A);
    plain.connection.secure_transport = false;
    plain.check("Publish t", I);
}
