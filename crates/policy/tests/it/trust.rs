//! Trust policies.

use std::collections::BTreeMap;

use policy::Verdict::{self, Allowed as A, ExplicitDeny as E, ImplicitDeny as I};
use policy::{Dialect, Document, IdentityRequest, TrustPrincipal, decide_identity, decide_trust};

use crate::fixture::{World, parsed};

const ANN: TrustPrincipal<'_> = TrustPrincipal {
    arn: Some("arn:aws:iam::111122223333:user/ann"),
    account: Some("111122223333"),
    service: None,
    federated: None,
};
const SESSION: TrustPrincipal<'_> = TrustPrincipal {
    arn: Some("arn:aws:sts::111122223333:assumed-role/ops/alice"),
    account: Some("111122223333"),
    service: None,
    federated: None,
};
const CREDENTIALS: TrustPrincipal<'_> = TrustPrincipal {
    arn: None,
    account: None,
    service: Some("credentials.iot.amazonaws.com"),
    federated: None,
};
const OIDC: TrustPrincipal<'_> = TrustPrincipal {
    arn: None,
    account: None,
    service: None,
    federated: Some("arn:aws:iam::111122223333:oidc-provider/id.example.com"),
};

fn decide(principal: &str, who: &TrustPrincipal<'_>, action: &str) -> Verdict {
    let text = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{principal},"Action":"sts:AssumeRole"}}]}}"#
    );
    let document = Document::parse(&text, Dialect::Trust).expect("a trust policy");
    decide_trust(&document, who, action, &BTreeMap::new())
}

// tests aws-iot [CR-6]
#[test]
fn principals() {
    #[track_caller]
    fn check(principal: &str, who: &TrustPrincipal<'_>, expected: Verdict) {
        assert_eq!(
            decide(principal, who, "sts:AssumeRole"),
            expected,
            "{principal} {who:?}"
        );
        assert_eq!(
            decide(principal, who, "sts:TagSession"),
            I,
            "another action"
        );
    }
    check(r#""*""#, &ANN, A);
    check(r#""*""#, &CREDENTIALS, A);
    check(r#"{"AWS":"*"}"#, &ANN, A);
    check(r#"{"AWS":"*"}"#, &CREDENTIALS, I);
    check(r#"{"AWS":"111122223333"}"#, &ANN, A);
    check(r#"{"AWS":"arn:aws:iam::111122223333:root"}"#, &SESSION, A);
    check(r#"{"AWS":"444455556666"}"#, &ANN, I);
    check(r#"{"AWS":"arn:aws:iam::111122223333:user/ann"}"#, &ANN, A);
    check(
        r#"{"AWS":["arn:aws:iam::111122223333:user/bob","111122223333"]}"#,
        &ANN,
        A,
    );
    check(r#"{"AWS":"arn:aws:iam::111122223333:user/bob"}"#, &ANN, I);
    check(
        r#"{"AWS":"arn:aws:iam::111122223333:role/ops"}"#,
        &SESSION,
        A,
    );
    check(
        r#"{"AWS":"arn:aws:iam::111122223333:role/op"}"#,
        &SESSION,
        I,
    );
    check(
        r#"{"AWS":"arn:aws:sts::111122223333:assumed-role/ops/alice"}"#,
        &SESSION,
        A,
    );
    check(
        r#"{"Service":"credentials.iot.amazonaws.com"}"#,
        &CREDENTIALS,
        A,
    );
    check(r#"{"Service":"iot.amazonaws.com"}"#, &CREDENTIALS, I);
    check(
        r#"{"AWS":"111122223333","Service":["a.amazonaws.com","credentials.iot.amazonaws.com"]}"#,
        &CREDENTIALS,
        A,
    );
    check(
        r#"{"Federated":"arn:aws:iam::111122223333:oidc-provider/id.example.com"}"#,
        &OIDC,
        A,
    );
    check(
        r#"{"Federated":"arn:aws:iam::111122223333:oidc-provider/other"}"#,
        &OIDC,
        I,
    );
}

#[test]
fn conditions_and_denies() {
    let text = r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111122223333:oidc-provider/id.example.com"},
         "Action":"sts:AssumeRoleWithWebIdentity",
         "Condition":{"StringLike":{"id.example.com:sub":"repo:acme/*"}}},
        {"Effect":"Deny","Principal":"*","Action":"sts:*",
         "Condition":{"StringEquals":{"id.example.com:sub":"repo:acme/bad"}}}]}"#;
    let document = Document::parse(text, Dialect::Trust).unwrap();
    let decide = |subject: &str| {
        let context = BTreeMap::from([("id.example.com:sub".to_owned(), vec![subject.to_owned()])]);
        decide_trust(&document, &OIDC, "sts:AssumeRoleWithWebIdentity", &context)
    };
    assert_eq!(decide("repo:acme/good"), A);
    assert_eq!(decide("repo:acme/bad"), E);
    assert_eq!(decide("repo:other/good"), I);
}

/// A policy counts only where its dialect belongs.
#[test]
fn trust_and_identity_do_not_mix() {
    let trust = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"*"}}"#;
    let named = parsed("trust", trust, Dialect::Trust);
    let request = IdentityRequest {
        action: "sts:AssumeRole",
        resources: &[],
        context: &BTreeMap::new(),
    };
    assert_eq!(
        decide_identity(std::slice::from_ref(&named), &request).verdict,
        I
    );
    let mut world = World::with("");
    world.facts.policies.push(named);
    world.check("Publish a", I);
    let identity = r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
    let identity = Document::parse(identity, Dialect::Identity).unwrap();
    let decided = decide_trust(&identity, &ANN, "sts:AssumeRole", &BTreeMap::new());
    assert_eq!(decided, I);
}
