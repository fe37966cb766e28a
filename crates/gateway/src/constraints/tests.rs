use serde_json::json;

use super::*;

#[track_caller]
fn check_input(service: &str, operation: &str, input: &Value, expected: Option<&str>) {
    let model = ServiceModel::of(service).unwrap();
    let id = model.operations[operation].input.unwrap();
    let found = check(model, id, input).err().map(|bad| bad.message());
    assert_eq!(found.as_deref(), expected, "{service} {operation} {input}");
}

fn detected(what: &str) -> String {
    format!("1 validation error detected: {what}")
}

#[test]
fn lengths_patterns_and_required_members() {
    let thing = |name: &str| json!({"thingName": name});
    let check = |input: &Value, expected: Option<&str>| {
        let expected = expected.map(detected);
        check_input("iot", "DescribeThing", input, expected.as_deref());
    };
    check(&thing("pump:7"), None);
    check(&thing(&"x".repeat(128)), None);
    check(
        &thing(&"x".repeat(129)),
        Some(&format!(
            "Value '{}' at 'thingName' failed to satisfy constraint: \
             Member must have length less than or equal to 128",
            "x".repeat(129)
        )),
    );
    check(
        &thing(""),
        Some(
            "Value '' at 'thingName' failed to satisfy constraint: \
             Member must have length greater than or equal to 1",
        ),
    );
    check(
        &thing("pump 7"),
        Some(
            "Value 'pump 7' at 'thingName' failed to satisfy constraint: \
             Member must satisfy regular expression pattern: [a-zA-Z0-9:_-]+",
        ),
    );
    check(
        &json!({}),
        Some(
            "Value null at 'thingName' failed to satisfy constraint: \
             Member must not be null",
        ),
    );
}

#[test]
fn numbers_enumerations_lists_and_maps() {
    let check = |operation: &str, input: &Value, expected: Option<&str>| {
        let expected =
            expected.map(|what| detected(&what.replace("FAILED", "failed to satisfy constraint:")));
        check_input("iot", operation, input, expected.as_deref());
    };
    for most in [1, 250] {
        check("ListThings", &json!({"maxResults": most}), None);
    }
    check(
        "ListThings",
        &json!({"maxResults": 251}),
        Some("Value '251' at 'maxResults' FAILED Member must have value less than or equal to 250"),
    );
    check(
        "ListThings",
        &json!({"maxResults": 0}),
        Some("Value '0' at 'maxResults' FAILED Member must have value greater than or equal to 1"),
    );
    check(
        "UpdateCertificate",
        &json!({"certificateId": "a".repeat(64), "newStatus": "GONE"}),
        Some(
            "Value 'GONE' at 'newStatus' FAILED Member must satisfy enum value set: \
             [ACTIVE, INACTIVE, REVOKED, PENDING_TRANSFER, REGISTER_INACTIVE, PENDING_ACTIVATION]",
        ),
    );
    let attributes = |key: &str, value: &str| json!({"thingName": "a", "attributePayload": {"attributes": {key: value}}});
    check("CreateThing", &attributes("color", "red"), None);
    check(
        "CreateThing",
        &attributes("co lor", "red"),
        Some(
            "Value 'co lor' at 'attributePayload.attributes' FAILED Map keys must satisfy \
             constraint: [Member must satisfy regular expression pattern: [a-zA-Z0-9_.,@/:#-]+]",
        ),
    );
    check(
        "CreateThing",
        &attributes("color", "r ed"),
        Some(
            "Value 'r ed' at 'attributePayload.attributes.color.member' FAILED \
             Member must satisfy regular expression pattern: [a-zA-Z0-9_.,@/:#=\\[\\]-]*",
        ),
    );
    check(
        "TagResource",
        &json!({"resourceArn": "arn", "tags": [{"Key": "a"}, {"Value": "b"}]}),
        Some("Value null at 'tags.2.member.Key' FAILED Member must not be null"),
    );
}

#[test]
fn sensitive_values_are_not_repeated_and_long_ones_are_cut() {
    let identity = |token: &str| json!({"RoleArn": "a".repeat(20), "RoleSessionName": "s1", "WebIdentityToken": token});
    check_input("sts", "AssumeRoleWithWebIdentity", &identity("abcd"), None);
    check_input(
        "sts",
        "AssumeRoleWithWebIdentity",
        &identity("abc"),
        Some(&detected(
            "Value at 'WebIdentityToken' failed to satisfy constraint: \
             Member must have length greater than or equal to 4",
        )),
    );
    check_input(
        "iot",
        "CreateAuthorizer",
        &json!({
            "authorizerName": "a", "authorizerFunctionArn": "f", "tokenKeyName": "s".repeat(300),
        }),
        Some(&detected(&format!(
            "Value '{}' at 'tokenKeyName' failed to satisfy constraint: \
             Member must have length less than or equal to 128",
            "s".repeat(ECHO_CHARACTERS_MAX)
        ))),
    );
    check_input(
        "iot",
        "ListMetricValues",
        &json!({
            "thingName": "t", "metricName": "m", "startTime": 1, "endTime": 2,
            "dimensionName": "d", "nextToken": "n", "maxResults": 251,
        }),
        Some(&detected(
            "Value '251' at 'maxResults' failed to satisfy constraint: \
             Member must have value less than or equal to 250",
        )),
    );
}

#[test]
fn a_private_key_is_not_repeated_and_the_constraint_is_still_told() {
    let key = format!("-----BEGIN PRIVATE KEY-----\n{}", "SECRET".repeat(100));
    check_input(
        "iot",
        "CreateAuthorizer",
        &json!({"authorizerName": "a", "authorizerFunctionArn": "f", "tokenKeyName": key}),
        Some(&detected(&format!(
            "Value '{}' at 'tokenKeyName' failed to satisfy constraint: \
             Member must have length less than or equal to 128",
            crate::HIDDEN
        ))),
    );
}
