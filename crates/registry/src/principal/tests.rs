use model::{AccountId, Region};

use super::*;

const CERTIFICATE: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const IDENTITY: &str = "us-east-1:01234567-89ab-cdef-0123-456789abcdef";

fn scope() -> Scope {
    Scope::new(
        AccountId::parse("111122223333").unwrap(),
        Region::parse("us-east-1").unwrap(),
    )
}

#[track_caller]
fn check(text: &str, expected: Option<&str>) {
    let kind = Target::parse(&scope(), text).ok().map(|target| {
        assert_eq!(target.as_str(), text);
        match target {
            Target::Principal(Principal::Certificate { .. }) => "certificate",
            Target::Principal(Principal::Identity(_)) => "identity",
            Target::Group { .. } => "group",
        }
    });
    assert_eq!(kind, expected, "{text:?}");
}

// tests aws-iot [PL-4]
#[test]
fn tells_targets_apart() {
    let arn = |resource: &str| scope().iot_arn(resource);
    check(&arn(&format!("cert/{CERTIFICATE}")), Some("certificate"));
    check(&arn("thinggroup/pumps"), Some("group"));
    check(IDENTITY, Some("identity"));

    check("", None);
    check("pumps", None);
    check(&arn("cert/abc"), None);
    check(&arn("thing/pump"), None);
    check(&arn("thinggroup/a b"), None);
    check(&arn("thinggroup/"), None);
    check(
        &format!("arn:aws:iot:eu-west-1:111122223333:cert/{CERTIFICATE}"),
        None,
    );
    check(
        &format!("arn:aws:iot:us-east-1:999988887777:cert/{CERTIFICATE}"),
        None,
    );
    check(&IDENTITY.to_uppercase(), None);
    check(&IDENTITY[..IDENTITY.len() - 1], None);
    check(&format!("{IDENTITY}0"), None);
    check(&IDENTITY.replace("us-east-1", ""), None);
}
