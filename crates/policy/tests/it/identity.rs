//! Identity policies.

use std::collections::BTreeMap;

use policy::Verdict::{self, Allowed as A, ExplicitDeny as E, ImplicitDeny as I};
use policy::{Dialect, IdentityDecision, IdentityRequest, NamedPolicy, decide_identity};

use crate::fixture::{document, parsed};

/// By a policy in the short notation, without context.
pub(crate) fn decide(policy: &str, action: &str, resources: &[&str]) -> Verdict {
    full(&policies(policy), action, resources, &[]).verdict
}

fn policies(policy: &str) -> Vec<NamedPolicy> {
    let text = (!policy.is_empty()).then(|| document(policy));
    text.iter()
        .map(|text| parsed("user", text, Dialect::Identity))
        .collect()
}

fn full(
    policies: &[NamedPolicy],
    action: &str,
    resources: &[&str],
    context: &[(&str, &[&str])],
) -> IdentityDecision {
    let owned = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| (*text).to_owned())
            .collect::<Vec<_>>()
    };
    let context: BTreeMap<String, Vec<String>> = context
        .iter()
        .map(|(key, values)| ((*key).to_owned(), owned(values)))
        .collect();
    let resources = owned(resources);
    decide_identity(
        policies,
        &IdentityRequest {
            action,
            resources: &resources,
            context: &context,
        },
    )
}

#[track_caller]
fn check(policy: &str, action: &str, resources: &[&str], expected: Verdict) {
    assert_eq!(
        decide(policy, action, resources),
        expected,
        "{policy}: {action} {resources:?}"
    );
}

const THING: &str = "arn:aws:iot:us-east-1:111122223333:thing/pump-1";
const USER: &str = "arn:aws:iam::111122223333:user/ann";

#[test]
fn actions() {
    check("", "iot:CreateThing", &[THING], I);
    check("Allow * *", "iam:DeleteUser", &[USER], A);
    check("Allow iot:* *", "iam:DeleteUser", &[USER], I);
    check("Allow iot:Create* *", "iot:CreateThing", &[THING], A);
    check("Allow iot:Create* *", "iot:UpdateThing", &[THING], I);
    check("Allow IOT:creatething *", "iot:CreateThing", &[THING], A);
    check("Allow iot:CreateThing *", "IOT:CREATETHING", &[THING], A);
    check("Allow iot:?reateThing *", "iot:CreateThing", &[THING], A);
    check("Allow iot:*Thing *", "iot:CreateThing", &[THING], A);
    check("Allow !iam:* *", "iot:CreateThing", &[THING], A);
    check("Allow !iam:* *", "iam:CreateUser", &[USER], I);
    check(
        "Allow * *; Deny iot:Delete* *",
        "iot:DeleteThing",
        &[THING],
        E,
    );
    check("Allow *:* *", "iot:CreateThing", &[THING], A);
}

#[test]
fn resources() {
    check(
        "Allow iot:CreateThing thing/pump-*",
        "iot:CreateThing",
        &[THING],
        A,
    );
    check(
        "Allow iot:CreateThing thing/fan-*",
        "iot:CreateThing",
        &[THING],
        I,
    );
    check(
        "Allow iot:CreateThing arn:*:iot:*:*:thing/pump-?",
        "iot:CreateThing",
        &[THING],
        A,
    );
    check("Allow iot:ListThings *", "iot:ListThings", &["*"], A);
    check("Allow iot:ListThings *", "iot:ListThings", &[], A);
    check(
        "Allow iot:ListThings thing/pump-*",
        "iot:ListThings",
        &["*"],
        I,
    );
    check("Allow iot:* !thing/pump-*", "iot:CreateThing", &[THING], I);
    check("Allow iot:* !thing/fan-*", "iot:CreateThing", &[THING], A);
    check(
        "Allow * *; Deny iot:* thing/pump-*",
        "iot:CreateThing",
        &[THING],
        E,
    );
    // Every resource must be allowed, by whichever statement; one Deny is enough.
    let two = &[THING, USER];
    check("Allow iot:X thing/pump-1", "iot:X", two, I);
    check(
        "Allow iot:X thing/pump-1; Allow iot:X arn:aws:iam::*:user/*",
        "iot:X",
        two,
        A,
    );
    check(
        "Allow iot:X *; Deny iot:X arn:aws:iam::*:user/*",
        "iot:X",
        two,
        E,
    );
}

#[track_caller]
fn check_with(policy: &str, context: &[(&str, &[&str])], expected: Verdict) {
    let decided = full(&policies(policy), "iam:CreateAccessKey", &[USER], context);
    assert_eq!(decided.verdict, expected, "{policy}: {context:?}");
}

#[test]
fn variables() {
    let check = check_with;
    let own = "Allow iam:CreateAccessKey arn:aws:iam::*:user/${aws:username}";
    check(own, &[("aws:username", &["ann"])], A);
    check(own, &[("AWS:UserName", &["ann"])], A);
    check(own, &[("aws:username", &["bob"])], I);
    check(own, &[("aws:username", &["*"])], I);
    check(own, &[], I);
    // A set has no single value.
    check(own, &[("aws:username", &["ann", "bob"])], I);
    let denied = "Allow * *; Deny * arn:aws:iam::*:user/${aws:username}";
    check(denied, &[("aws:username", &["bob"])], A);
    check(denied, &[("aws:username", &["ann"])], E);
    // tests aws-iot [PL-30]: what cannot be known denies.
    check(denied, &[], E);
    let others = "Allow * !arn:aws:iam::*:user/${aws:username}";
    check(others, &[("aws:username", &["bob"])], A);
    check(others, &[], I);
    let tagged =
        r#"Allow * * if {"StringEquals":{"aws:PrincipalTag/team":"${aws:RequestTag/team}"}}"#;
    check(
        tagged,
        &[
            ("aws:PrincipalTag/team", &["x"]),
            ("aws:RequestTag/team", &["x"]),
        ],
        A,
    );
    check(
        tagged,
        &[
            ("aws:PrincipalTag/team", &["x"]),
            ("aws:RequestTag/team", &["y"]),
        ],
        I,
    );
    check(tagged, &[("aws:PrincipalTag/team", &["x"])], I);
    let keys = r#"Allow * * if {"ForAllValues:StringEquals":{"aws:TagKeys":["a","b"]}}"#;
    check(keys, &[("aws:TagKeys", &["a"])], A);
    check(keys, &[("aws:TagKeys", &["a", "c"])], I);
    check(keys, &[], A);
}

#[test]
fn conditions() {
    let check = check_with;
    let secure = r#"Allow * *; Deny * * if {"Bool":{"aws:SecureTransport":false}}"#;
    check(secure, &[("aws:SecureTransport", &["false"])], E);
    check(secure, &[("aws:SecureTransport", &["true"])], A);
    let until = r#"Allow * * if {"DateLessThan":{"aws:CurrentTime":"2026-07-01T00:00:00Z"}}"#;
    check(until, &[("aws:CurrentTime", &["2026-06-30T23:59:59Z"])], A);
    check(until, &[("aws:CurrentTime", &["2026-07-01T00:00:00Z"])], I);
    let network = r#"Allow * * if {"IpAddress":{"aws:SourceIp":["192.0.2.0/24","2001:db8::/32"]}}"#;
    check(network, &[("aws:SourceIp", &["192.0.2.77"])], A);
    check(network, &[("aws:SourceIp", &["2001:db8::7"])], A);
    check(network, &[("aws:SourceIp", &["198.51.100.1"])], I);
    let role = r#"Allow * * if {"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/ops-*"}}"#;
    check(
        role,
        &[(
            "aws:PrincipalArn",
            &["arn:aws:iam::111122223333:role/ops-eu"],
        )],
        A,
    );
    check(
        role,
        &[("aws:PrincipalArn", &["arn:aws:iam::111122223333:role/dev"])],
        I,
    );
    // `*` in an ARN condition does not cross a colon.
    check(
        role,
        &[("aws:PrincipalArn", &["arn:aws:iam::1:x:role/ops-eu"])],
        I,
    );
}

#[test]
fn defaults_of_variables() {
    let policy = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*",
        "Resource":"arn:aws:s3:::b/${aws:PrincipalTag/team, 'shared'}/*"}}"#;
    let policies = [parsed("user", policy, Dialect::Identity)];
    let decide = |path: &str, context: &[(&str, &[&str])]| {
        let resource = format!("arn:aws:s3:::b/{path}");
        full(&policies, "s3:GetObject", &[&resource], context).verdict
    };
    assert_eq!(decide("shared/x", &[]), A);
    assert_eq!(decide("blue/x", &[]), I);
    assert_eq!(decide("blue/x", &[("aws:PrincipalTag/team", &["blue"])]), A);
    assert_eq!(
        decide("shared/x", &[("aws:PrincipalTag/team", &["blue"])]),
        I
    );
}

#[test]
fn says_what_decided() {
    let mut policies = policies("Allow iot:* *; Deny iot:DeleteThing thing/pump-*");
    policies.extend(self::policies(
        r#"Allow iot:Get* * if {"Bool":{"aws:MultiFactorAuthPresent":"true"}}"#,
    ));
    let decided = full(&policies, "iot:DeleteThing", &[THING], &[]);
    assert_eq!(decided.verdict, E);
    assert_eq!(
        decided
            .deciding
            .iter()
            .map(|at| at.index)
            .collect::<Vec<_>>(),
        [1]
    );
    let decided = full(&policies, "iot:GetThing", &[THING], &[]);
    assert_eq!(decided.verdict, A);
    assert_eq!(decided.deciding.len(), 1);
    assert_eq!(decided.missing, ["aws:MultiFactorAuthPresent"]);
    let decided = full(&policies, "iam:GetUser", &[USER], &[]);
    assert_eq!((decided.verdict, decided.deciding.len()), (I, 0));
    let json = serde_json::to_value(full(&policies, "iot:DeleteThing", &[THING], &[])).unwrap();
    assert_eq!(json["verdict"], "EXPLICIT_DENY");
    assert_eq!(json["deciding"][0]["policyName"], "user");
}
