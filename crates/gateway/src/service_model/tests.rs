use super::*;

#[test]
fn every_model_reads_and_links() {
    for service in SERVICES {
        let model = ServiceModel::of(service).unwrap();
        assert_eq!(model.name, service);
        assert!(!model.operations.is_empty(), "{service}");
        for operation in model.operations.values() {
            for name in &operation.errors {
                assert!(model.exception(name).is_some(), "{service} {name}");
            }
        }
    }
    assert_eq!(ServiceModel::of("iot").unwrap().operations.len(), 272);
}

#[test]
fn every_pattern_compiles() {
    for service in SERVICES {
        for shape in &ServiceModel::of(service).unwrap().shapes {
            if let Kind::Text(text) = &shape.kind
                && let Some(pattern) = &text.pattern
            {
                assert!(pattern.regex().is_some(), "{service}: {pattern:?}");
            }
        }
    }
}

#[track_caller]
fn check(pattern: &str, text: &str, expected: bool) {
    let found = Pattern::new(pattern.to_owned()).matches(text);
    assert_eq!(found, expected, "{pattern} on {text:?}");
}

#[test]
fn patterns_match_as_java_matches_them() {
    check("[a-zA-Z0-9:_-]+", "pump:7", true);
    check("[a-zA-Z0-9:_-]+", "pump 7", false);
    check("[a-zA-Z0-9:_-]+", "pump\n", false);
    check(r"[\w=,@-]+", "ä", false);
    check(r"[\w=,@-]+", "a_9=,@-", true);
    check(r"[\p{Graph}\x20]*", "a b~", true);
    check(r"[\p{Graph}\x20]*", "a\tb", false);
    check(r"[^\p{C}]*", "käse", true);
    check(r"[^\p{C}]*", "a\u{0}", false);
    check(r"[\s\S]*", "any\nthing", true);
    check(r"(\u002F)|(\u002F[\u0021-\u007E]+\u002F)", "/", true);
    check(r"(\u002F)|(\u002F[\u0021-\u007E]+\u002F)", "/a/b/", true);
    check(r"(\u002F)|(\u002F[\u0021-\u007E]+\u002F)", "a", false);
    check(r"[\u0009\u000A\u000D\u0020-\u00FF]+", "{\"a\": 1}\n", true);
    check(r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$", "Größe 1", true);
    check(r"[A-Za-z0-9+/]+={0,2}", "ab==", true);
    check(r"[A-Za-z0-9+/]+={0,2}", "ab===", false);
    check("a|b", "ab", false);
    check(r"[\p{Upper}\p{Digit}_]+", "A_1", true);
    check(r"[\p{Upper}\p{Digit}_]+", "a", false);
}

#[test]
fn the_names_of_credential_scopes() {
    for (signing, service) in [
        ("iot", Some("iot")),
        ("iotdata", Some("iot-data")),
        ("iotdevicegateway", Some("iot-data")),
        ("sts", Some("sts")),
        ("iam", Some("iam")),
        ("palisade", Some("palisade")),
        ("iot-data", None),
        ("s3", None),
    ] {
        let found = ServiceModel::of_signing_name(signing).map(|model| model.name);
        assert_eq!(found, service, "{signing}");
    }
}
