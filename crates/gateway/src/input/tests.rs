use hyper::header::HeaderValue;
use serde_json::json;

use super::*;

struct Request {
    service: &'static str,
    operation: &'static str,
    labels: &'static [(&'static str, &'static str)],
    query: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
}

const PLAIN: Request = Request {
    service: "iot",
    operation: "CreateThing",
    labels: &[("thingName", "pump")],
    query: "",
    headers: &[],
    body: "",
};

#[track_caller]
fn check(request: &Request, expected: Result<Value, &str>) {
    let model = ServiceModel::of(request.service).unwrap();
    let mut headers = HeaderMap::new();
    for (name, value) in request.headers {
        headers.append(*name, HeaderValue::from_static(value));
    }
    let labels = request.labels.iter();
    let parts = Parts {
        labels: labels
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
        query: request.query,
        headers: &headers,
        body: request.body.as_bytes(),
        depth_max: 8,
    };
    let found = rest(model, model.operations[request.operation].input, &parts);
    let expected = expected.map_err(|text| Unreadable(text.to_owned()));
    assert_eq!(found, expected, "{} {}", request.operation, request.body);
}

// tests aws-iot [HT-2]
#[test]
fn bodies() {
    let body = |body| Request { body, ..PLAIN };
    let pump = json!({"thingName": "pump"});
    check(&body(""), Ok(pump.clone()));
    check(&body("{}"), Ok(pump.clone()));
    check(&body(" \n"), Ok(pump.clone()));
    check(
        &body(r#"{"unknown": [1], "thingTypeName": null}"#),
        Ok(pump),
    );
    check(
        &body(r#"{"thingName": "other", "thingTypeName": "t"}"#),
        Ok(json!({"thingTypeName": "t", "thingName": "pump"})),
    );
    check(
        &body(r#"{"attributePayload": {"attributes": {"a": "1", "b": null}, "merge": true}}"#),
        Ok(json!({
            "attributePayload": {"attributes": {"a": "1"}, "merge": true},
            "thingName": "pump",
        })),
    );
    check(&body("[]"), Err("the body must be a JSON object"));
    check(&body("{"), Err("the body is not JSON at line 1 column 1"));
    check(
        &body(r#"{"thingTypeName": 3}"#),
        Err("'thingTypeName' must be a text, not a number"),
    );
    check(
        &body(r#"{"attributePayload": {"attributes": {"a": 1}}}"#),
        Err("'attributePayload.attributes.a.member' must be a text, not a number"),
    );
    check(
        &body(r#"{"attributePayload": {"attributes": []}}"#),
        Err("'attributePayload.attributes' must be a map, not a list"),
    );
    check(
        &body(r#"{"attributePayload": {"merge": "true"}}"#),
        Err("'attributePayload.merge' must be a boolean, not a text"),
    );
    check(
        &body("[[[[[[[[]]]]]]]]"),
        Err("the body must be a JSON object"),
    );
    check(
        &body("[[[[[[[[[]]]]]]]]]"),
        Err("the body nests deeper than 8 levels"),
    );
    check(
        &body(r#"{"thingTypeName": "[[[[[[[[[[\"[[[["}"#),
        Ok(json!({"thingTypeName": "[[[[[[[[[[\"[[[[", "thingName": "pump"})),
    );
}

// tests aws-iot [HT-2] [HT-3]
#[test]
fn queries_and_headers() {
    let list = |query| Request {
        operation: "ListThings",
        labels: &[],
        query,
        ..PLAIN
    };
    check(
        &list("maxResults=10&usePrefixAttributeValue=true&attributeName=a%20b+c"),
        Ok(json!({
            "maxResults": 10, "attributeName": "a b c", "usePrefixAttributeValue": true,
        })),
    );
    check(
        &list("maxResults=ten"),
        Err("'maxResults' must be an integer of 32 bits, not 'ten'"),
    );
    check(
        &list("maxResults=2147483648"),
        Err("'maxResults' must be an integer of 32 bits, not '2147483648'"),
    );
    check(
        &list("usePrefixAttributeValue=yes"),
        Err("'usePrefixAttributeValue' must be a boolean, not 'yes'"),
    );
    check(
        &list("attributeName=%FF"),
        Err("the query part '%FF' is not percent-encoded UTF-8"),
    );
    let policies = Request {
        operation: "ListPolicies",
        labels: &[],
        query: "isAscendingOrder=true",
        ..PLAIN
    };
    check(&policies, Ok(json!({"ascendingOrder": true})));
    let attach = Request {
        operation: "AttachThingPrincipal",
        headers: &[("x-amzn-principal", "arn:aws:iot:r:1:cert/a")],
        ..PLAIN
    };
    check(
        &attach,
        Ok(json!({"thingName": "pump", "principal": "arn:aws:iot:r:1:cert/a"})),
    );
    let ca = Request {
        operation: "DescribeCACertificate",
        labels: &[("caCertificateId", "ab")],
        ..PLAIN
    };
    check(&ca, Ok(json!({"certificateId": "ab"})));
    let untag = Request {
        operation: "ListAuditMitigationActionsTasks",
        labels: &[],
        query: "startTime=2026-01-02T03%3A04%3A05.250Z&endTime=1760000000.5",
        ..PLAIN
    };
    check(
        &untag,
        Ok(json!({"startTime": 1_767_323_045.25, "endTime": 1_760_000_000.5})),
    );
}

// tests aws-iot [HT-13] [EP-40]
#[test]
fn payloads() {
    let publish = Request {
        service: "iot-data",
        operation: "Publish",
        labels: &[("topic", "a/b")],
        query: "qos=1&retain=true",
        headers: &[("x-amz-mqtt5-user-properties", "W3siYSI6ImIifV0=")],
        body: "raw \u{1}",
    };
    check(
        &publish,
        Ok(json!({
            "payload": "cmF3IAE=", "topic": "a/b", "qos": 1, "retain": true,
            "userProperties": "[{\"a\":\"b\"}]",
        })),
    );
    let bad = Request {
        headers: &[("x-amz-mqtt5-user-properties", "W3")],
        ..publish
    };
    check(&bad, Err("'userProperties' must be base64 of a JSON text"));
    let rule = Request {
        operation: "CreateTopicRule",
        labels: &[("ruleName", "r")],
        body: r#"{"sql": "SELECT 1", "actions": []}"#,
        ..PLAIN
    };
    check(
        &rule,
        Ok(json!({
            "topicRulePayload": {"sql": "SELECT 1", "actions": []}, "ruleName": "r",
        })),
    );
}

#[track_caller]
fn check_form(operation: &str, form: &str, expected: Result<Value, &str>) {
    let model = ServiceModel::of("iam").unwrap();
    let found = form::Form::parse(form)
        .and_then(|form| form.members(model, model.operations[operation].input));
    let expected = expected.map_err(|text| Unreadable(text.to_owned()));
    assert_eq!(found, expected, "{operation} {form}");
}

#[test]
fn forms() {
    check_form(
        "CreateUser",
        "Action=CreateUser&Version=2010-05-08&UserName=anna&Tags.member.2.Key=b\
         &Tags.member.2.Value=2&Tags.member.1.Key=a&Tags.member.1.Value=1+1",
        Ok(json!({
            "UserName": "anna",
            "Tags": [{"Key": "a", "Value": "1 1"}, {"Key": "b", "Value": "2"}],
        })),
    );
    check_form("ListUsers", "MaxItems=5", Ok(json!({"MaxItems": 5})));
    check_form(
        "ListUsers",
        "MaxItems=five",
        Err("'MaxItems' must be an integer of 32 bits, not 'five'"),
    );
    check_form(
        "CreateUser",
        "Tags.member.x.Key=a",
        Err("'Tags' has an item 'x' that is not a number"),
    );
    check_form(
        "CreateUser",
        "UserName.x=a",
        Err("'UserName' must be a single value"),
    );
    let deep = format!("{}a=1", "a.".repeat(16));
    let text = format!(
        "the parameter '{}a' nests deeper than 16 levels",
        "a.".repeat(16)
    );
    check_form("CreateUser", &deep, Err(&text));
    let fits: String = (0..form::PARAMETERS_MAX)
        .map(|at| format!("a{at}=1&"))
        .collect();
    check_form("CreateUser", &fits, Ok(json!({})));
    check_form(
        "CreateUser",
        &format!("{fits}a=1"),
        Err("there are more than 2000 parameters"),
    );
}

#[test]
fn what_is_given_twice_is_refused() {
    let list = |query| Request {
        operation: "ListThings",
        labels: &[],
        query,
        ..PLAIN
    };
    for query in ["maxResults=1&maxResults=1", "maxResults=1&max%52esults=2"] {
        check(&list(query), Err("'maxResults' is given twice"));
    }
    let attach = Request {
        operation: "AttachThingPrincipal",
        headers: &[("x-amzn-principal", "a"), ("X-Amzn-Principal", "b")],
        ..PLAIN
    };
    check(&attach, Err("'x-amzn-principal' is given twice"));
    // What nobody reads may come as often as it likes.
    check(&list("other=1&other=2"), Ok(json!({})));
    // What authorization sees of a member given twice in JSON is what the operation sees.
    let body = Request {
        body: r#"{"thingTypeName": "a", "thingTypeName": "b"}"#,
        ..PLAIN
    };
    check(
        &body,
        Ok(json!({"thingName": "pump", "thingTypeName": "b"})),
    );
    for (form, twice) in [
        ("UserName=a&UserName=b", "UserName"),
        ("UserName=a&User%4eame=b", "UserName"),
        (
            "Tags.member.1.Key=a&Tags.member.1.Key=b",
            "Tags.member.1.Key",
        ),
        ("Tags.member.1.Key=a&Tags.member.01.Key=b", "Tags.1"),
    ] {
        check_form(
            "CreateUser",
            form,
            Err(&format!("'{twice}' is given twice")),
        );
    }
    let action = form::Form::parse("Action=GetUser&Action=DeleteUser");
    assert_eq!(action.unwrap_err().0, "'Action' is given twice");
}
