use super::*;

#[track_caller]
fn thing(text: &str, expected: Result<(), NameError>) {
    assert_eq!(
        ThingName::parse(text).map(|_| ()),
        expected,
        "input {text:?}"
    );
}

#[test]
fn thing_names() {
    let what = "thing name";
    thing("pump-7", Ok(()));
    thing("a:b_c-D9", Ok(()));
    thing("", Err(NameError::Empty { what }));
    thing(
        "pump/7",
        Err(NameError::BadByte {
            what,
            at: 4,
            alphabet: REGISTRY_ALPHABET,
        }),
    );
    thing(&"x".repeat(128), Ok(()));
    thing(
        &"x".repeat(129),
        Err(NameError::TooLong {
            what,
            len: 129,
            max: 128,
        }),
    );
}

// tests aws-iot [CT-1]
#[test]
fn certificate_ids() {
    assert!(CertificateId::parse(&"a".repeat(64)).is_ok());
    assert!(CertificateId::parse(&"A".repeat(64)).is_err());
    assert!(CertificateId::parse(&"a".repeat(63)).is_err());
    assert!(CertificateId::parse(&"a".repeat(65)).is_err());
}

// tests aws-iot [PL-2]
#[test]
fn policy_names() {
    assert!(PolicyName::parse("fleet+a=b,c.d@e-f_g").is_ok());
    assert!(PolicyName::parse("a/b").is_err());
    assert!(PolicyName::parse(&"p".repeat(129)).is_err());
}

// tests aws-iot [MQ-10]
#[test]
fn client_ids() {
    assert!(ClientId::parse("käse 7").is_ok());
    assert!(ClientId::parse("$sys").is_err());
    assert!(ClientId::parse("a\u{7}").is_err());
    assert!(ClientId::parse(&"c".repeat(128)).is_ok());
    assert!(ClientId::parse(&"c".repeat(129)).is_err());
}

#[test]
fn accounts_and_regions() {
    assert!(AccountId::parse("111122223333").is_ok());
    assert!(AccountId::parse("11112222333").is_err());
    assert!(AccountId::parse("11112222333x").is_err());
    assert!(Region::parse("us-east-1").is_ok());
    assert!(Region::parse("US").is_err());
}
