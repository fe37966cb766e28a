use model::{AccountId, Region};
use serde_json::json;

use super::*;

#[track_caller]
fn check(template: &'static str, input: &Value, expected: &[&str]) {
    let scope = Scope::new(
        AccountId::parse("111122223333").unwrap(),
        Region::parse("us-east-1").unwrap(),
    );
    let found = ResourceTemplate::new(template).resources(input, &scope);
    assert_eq!(found, expected, "{template} with {input}");
}

// tests aws-iot [G-4]
#[test]
fn templates_become_arns() {
    let iot = "arn:aws:iot:us-east-1:111122223333:";
    let input = json!({"thingName": "pump", "names": ["a", "b"], "policyArn": "arn:x", "n": 3});
    check("thing/{thingName}", &input, &[&format!("{iot}thing/pump")]);
    check(
        "thing/{thingName}/{absent}",
        &input,
        &[&format!("{iot}thing/pump/*")],
    );
    check("thing/{n}", &input, &[&format!("{iot}thing/*")]);
    check("*", &input, &["*"]);
    check("{policyArn}", &input, &["arn:x"]);
    check("{absent}", &input, &["*"]);
    check(
        "thing/{names}",
        &input,
        &[&format!("{iot}thing/a"), &format!("{iot}thing/b")],
    );
    check(
        "iam:user/{thingName}",
        &input,
        &["arn:aws:iam::111122223333:user/pump"],
    );
    check(
        "sts:role/{thingName}",
        &input,
        &["arn:aws:sts::111122223333:role/pump"],
    );
    check(
        "palisade:denial/{thingName}",
        &input,
        &["arn:aws:palisade:us-east-1:111122223333:denial/pump"],
    );
}
