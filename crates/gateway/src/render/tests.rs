use std::collections::BTreeMap;

use super::*;
use crate::Call;
use crate::catalogue::Catalogue;
use crate::operation::Operation;

fn served(service: &'static str, name: &'static str) -> std::sync::Arc<Served> {
    let work = |_: &mut Call<'_, '_>, _: Value| Ok::<Value, ApiError>(Value::Null);
    let operation = Operation::read(service, name, "*", work);
    let catalogue = Catalogue::new(vec![operation]).unwrap();
    std::sync::Arc::clone(catalogue.named(service, name).unwrap())
}

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.clone()).unwrap()
}

#[track_caller]
fn check(service: &'static str, name: &'static str, value: &Value, expected: &str) {
    let answer = output(&served(service, name), value, "id-1").unwrap();
    assert_eq!(text(&answer), expected, "{name}");
}

// tests aws-iot [HT-10] [HT-11] [HT-12]
#[test]
fn json_answers() {
    check("iot", "DeleteThing", &Value::Null, "{}");
    check("iot", "AttachPolicy", &json!({}), "{}");
    check(
        "iot",
        "DescribeThing",
        &json!({"thingName": "a", "version": 1, "attributes": {"k": "v"}, "thingTypeName": null}),
        r#"{"thingName":"a","attributes":{"k":"v"},"version":1}"#,
    );
    check(
        "iot",
        "CreateKeysAndCertificate",
        &json!({"keyPair": {"PublicKey": "p", "PrivateKey": "s"}}),
        r#"{"keyPair":{"PublicKey":"p","PrivateKey":"s"}}"#,
    );
    check(
        "iot",
        "DescribeThingType",
        &json!({"thingTypeMetadata": {"creationDate": 1_760_000_000.123, "deprecated": false}}),
        r#"{"thingTypeMetadata":{"deprecated":false,"creationDate":1760000000.123}}"#,
    );
    check(
        "iot-data",
        "GetRetainedMessage",
        &json!({"topic": "a", "payload": "AAE=", "qos": 1, "lastModifiedTime": 5}),
        r#"{"topic":"a","payload":"AAE=","qos":1,"lastModifiedTime":5}"#,
    );
}

// tests aws-iot [HT-13]
#[test]
fn blob_payloads_are_the_raw_body() {
    for (payload, body, content_type) in [
        ("eyJhIjoxfQ==", b"{\"a\":1}".as_slice(), JSON),
        ("AAE=", b"\0\x01".as_slice(), BYTES),
    ] {
        let value = json!({"payload": payload});
        let answer = output(&served("iot-data", "GetThingShadow"), &value, "id").unwrap();
        assert_eq!(
            (answer.body.as_slice(), answer.content_type),
            (body, content_type)
        );
    }
}

#[test]
fn xml_answers() {
    let iam = "https://iam.amazonaws.com/doc/2010-05-08/";
    check(
        "iam",
        "DeleteUser",
        &Value::Null,
        &format!(
            "<DeleteUserResponse xmlns=\"{iam}\"><ResponseMetadata><RequestId>id-1</RequestId>\
             </ResponseMetadata></DeleteUserResponse>"
        ),
    );
    check(
        "iam",
        "GetUser",
        &json!({"User": {
            "Path": "/", "UserName": "a<&>\"\u{1}\r", "UserId": "AIDA", "Arn": "arn",
            "CreateDate": 1_760_000_000.9,
            "Tags": [{"Key": "k", "Value": "1"}, {"Key": "l", "Value": "2"}],
        }}),
        &format!(
            "<GetUserResponse xmlns=\"{iam}\"><GetUserResult><User><Path>/</Path>\
             <UserName>a&lt;&amp;&gt;&quot;\u{fffd}&#13;</UserName><UserId>AIDA</UserId>\
             <Arn>arn</Arn><CreateDate>2025-10-09T08:53:20Z</CreateDate>\
             <Tags><member><Key>k</Key><Value>1</Value></member>\
             <member><Key>l</Key><Value>2</Value></member></Tags></User></GetUserResult>\
             <ResponseMetadata><RequestId>id-1</RequestId></ResponseMetadata></GetUserResponse>"
        ),
    );
    check(
        "iam",
        "ListUsers",
        &json!({"Users": [], "IsTruncated": false}),
        &format!(
            "<ListUsersResponse xmlns=\"{iam}\"><ListUsersResult><Users></Users>\
             <IsTruncated>false</IsTruncated></ListUsersResult><ResponseMetadata>\
             <RequestId>id-1</RequestId></ResponseMetadata></ListUsersResponse>"
        ),
    );
}

#[track_caller]
fn check_failure(service: &str, error: &ApiError, status: u16, kind: &str, body: &str) {
    let answer = failure(ServiceModel::of(service).unwrap(), error, "id-1");
    let headers: BTreeMap<_, _> = answer.headers.iter().cloned().collect();
    let found = headers
        .get("x-amzn-errortype")
        .map(|value| value.to_str().unwrap());
    assert_eq!(answer.status, status);
    assert_eq!(found.unwrap_or_default(), kind);
    assert_eq!(text(&answer), body);
}

// tests aws-iot [HT-20] [HT-21] [HT-22] [HT-23]
#[test]
fn failures() {
    check_failure(
        "iot",
        &ApiError::already_exists("Thing dev1 already exists", "dev1", "A:thing/dev1"),
        409,
        "ResourceAlreadyExistsException:",
        r#"{"message":"Thing dev1 already exists","resourceId":"dev1","resourceArn":"A:thing/dev1","__type":"ResourceAlreadyExistsException"}"#,
    );
    check_failure(
        "iot",
        &ApiError::access_denied("User: x"),
        403,
        "AccessDeniedException:",
        r#"{"Message":"User: x","__type":"AccessDeniedException"}"#,
    );
    check_failure(
        "iot-data",
        &ApiError::throttled("slow down"),
        429,
        "ThrottlingException:",
        r#"{"message":"slow down","__type":"ThrottlingException"}"#,
    );
    check_failure(
        "iam",
        &ApiError::new(
            model::ErrorKind::NotFound,
            "NoSuchEntityException",
            "no <user>",
        ),
        404,
        "",
        "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error>\
         <Type>Sender</Type><Code>NoSuchEntity</Code><Message>no &lt;user&gt;</Message></Error>\
         <RequestId>id-1</RequestId></ErrorResponse>",
    );
    let key = "-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----";
    for service in ["iot", "iam"] {
        let echoed = ApiError::already_exists(format!("`{key}` is there"), key, key);
        let answer = failure(ServiceModel::of(service).unwrap(), &echoed, "id-1");
        assert!(text(&answer).contains(crate::HIDDEN), "{}", text(&answer));
        assert!(!text(&answer).contains("SECRET"), "{}", text(&answer));
    }
    let internal = ApiError::internal("secret cause");
    let answer = failure(ServiceModel::of("iot").unwrap(), &internal, "id-1");
    assert_eq!(answer.status, 500);
    assert!(!text(&answer).contains("secret cause"));
}

#[test]
fn members_that_no_model_knows_are_found() {
    let thing = served("iot", "DescribeThing");
    let unknown = |value: &Value| unknown_member(&thing, value);
    assert_eq!(unknown(&json!({"thingName": "a"})), None);
    assert_eq!(unknown(&json!({"name": "a"})).as_deref(), Some("name"));
    let group = served("iot", "DescribeThingGroup");
    let value = json!({"thingGroupMetadata": {"creationDate": 1, "depth": 2}});
    assert_eq!(
        unknown_member(&group, &value).as_deref(),
        Some("thingGroupMetadata.depth")
    );
}
