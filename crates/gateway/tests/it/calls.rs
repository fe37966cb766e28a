//! Calls from within the process.

use serde_json::{Value, json};

use crate::house::{ARN, caller, each_house};

#[test]
fn the_pipeline_is_the_same_without_http() {
    each_house(async |house| {
        let only = json!([{
            "Effect": "Allow", "Action": "iot:*Thing", "Resource": format!("{ARN}thing/pump*"),
        }]);
        let anna = caller(&only);
        let call = async |operation: &str, input: Value| {
            let answer = house.gateway.call(&anna, "iot", operation, input).await;
            answer.map_err(|error| format!("{}: {}", error.exception, error.message))
        };
        let pump = json!({"thingName": "pump-7"});
        assert_eq!(call("CreateThing", pump.clone()).await, Ok(pump.clone()));
        assert_eq!(call("DescribeThing", pump.clone()).await, Ok(pump.clone()));
        let check = async |operation: &str, input: Value, expected: &str| {
            let error = call(operation, input).await.unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        };
        check("CreateThing", pump, "ResourceAlreadyExistsException").await;
        check(
            "CreateThing",
            json!({"thingName": "fan"}),
            "AccessDeniedException: User: ",
        )
        .await;
        check("CreateThing", json!({}), "AccessDeniedException").await;
        check(
            "CreateThing",
            json!({"thingName": "pump 7"}),
            "InvalidRequestException: 1 validation error detected: Value 'pump 7' at 'thingName'",
        )
        .await;
        check(
            "CreateThing",
            json!({"thingName": 7}),
            "InvalidRequestException: 'thingName' must be a text, not a number",
        )
        .await;
        check("DeleteThing", json!({}), "UnknownOperationException").await;
    });
}
