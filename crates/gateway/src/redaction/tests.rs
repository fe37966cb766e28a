use proptest::prelude::*;
use serde_json::json;

use super::*;

fn pem(label: &str, body: &str) -> String {
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(without_private_keys(text), expected, "{text:?}");
}

#[test]
fn blocks_of_private_keys_are_hidden_and_nothing_else() {
    for label in [
        "PRIVATE KEY",
        "RSA PRIVATE KEY",
        "EC PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
        "PGP PRIVATE KEY BLOCK",
        "private key",
    ] {
        check(
            &format!("a {}b", pem(label, "SECRET")),
            &format!("a {HIDDEN}\nb"),
        );
    }
    let public = [
        pem("CERTIFICATE", "x"),
        pem("CERTIFICATE REQUEST", "x"),
        pem("PUBLIC KEY", "x"),
        "a private thing -----END PRIVATE KEY-----".to_owned(),
        "-----BEGINNING".to_owned(),
        String::new(),
    ];
    for text in &public {
        check(text, text);
    }
    let bundle = format!(
        "{}{}{}",
        pem("CERTIFICATE", "one"),
        pem("EC PRIVATE KEY", "SECRET"),
        pem("CERTIFICATE", "two")
    );
    let kept = format!(
        "{}{HIDDEN}\n{}",
        pem("CERTIFICATE", "one"),
        pem("CERTIFICATE", "two")
    );
    check(&bundle, &kept);
    let two = pem("PRIVATE KEY", "SECRET").repeat(2);
    check(&two, &format!("{HIDDEN}\n{HIDDEN}\n"));
}

#[test]
fn the_way_a_block_is_written_does_not_matter() {
    let one = pem("PRIVATE KEY", "SECRET");
    for text in [
        one.replace('\n', "\\n"),
        one.replace('\n', " "),
        one.replace('\n', ""),
        one.replace('\n', "\r\n"),
        one.replace(' ', "+"),
        one.replace(' ', "%20").replace('\n', "%0A"),
    ] {
        let found = without_private_keys(&text).into_owned();
        assert!(found.starts_with(HIDDEN), "{text:?} {found:?}");
        assert!(!found.contains("SECRET"), "{text:?} {found:?}");
    }
}

#[test]
fn a_block_without_its_end_is_hidden_to_the_end() {
    check(
        "x -----BEGIN PRIVATE KEY-----\nSECRET",
        &format!("x {HIDDEN}"),
    );
    check("x -----BEGIN PRIVATE KEY\nSECRET", &format!("x {HIDDEN}"));
    let broken = format!(
        "-----BEGIN PRIVATE KEY-----\nSECRET{}",
        pem("CERTIFICATE", "x")
    );
    check(&broken, HIDDEN);
    let mixed = "-----BEGIN PRIVATE KEY-----\nA\n-----END CERTIFICATE-----\nSECRET";
    check(mixed, HIDDEN);
}

#[test]
fn every_text_of_a_value_is_looked_at() {
    let key = pem("PRIVATE KEY", "SECRET");
    let found = value_without_private_keys(json!({
        "a": [1, true, null, {"b": key}],
        key.clone(): "kept",
    }));
    let hidden = format!("{HIDDEN}\n");
    let expected = json!({"a": [1, true, null, {"b": hidden}], hidden.clone(): "kept"});
    assert_eq!(found, expected);
}

proptest! {
    #[test]
    fn no_body_survives_and_the_rest_does(
        before in "[a-zA-Z \n]{0,40}",
        label in "([A-Z]{1,8} )?PRIVATE KEY",
        body in "[0-9+/=\n]{16,80}",
        after in "[a-zA-Z \n]{0,40}",
    ) {
        let text = format!("{before}{}{after}", pem(&label, &body));
        let found = without_private_keys(&text).into_owned();
        prop_assert_eq!(&found, &format!("{before}{HIDDEN}\n{after}"));
        prop_assert_eq!(without_private_keys(&found), found.as_str());
    }

    #[test]
    fn any_text_is_taken(text in "(-{0,6}|BEGIN|END|PRIVATE|[ aä])*") {
        let found = without_private_keys(&text).into_owned();
        prop_assert!(private_boundary(&found, BEGIN).is_none(), "{}", found);
    }
}
