use model::Profile;
use serde_json::json;

use super::*;
use crate::config::BrokerConfig;

#[track_caller]
fn check(input: Value, expected: Result<PublishProperties, &str>) {
    let limits = BrokerConfig::default()
        .limits(Profile::Aws)
        .expect("in range");
    let message: Message = serde_json::from_value(input.clone()).expect("of this shape");
    match (message.publish(&limits, QoS::AtLeastOnce), expected) {
        (Ok(publish), Ok(properties)) => assert_eq!(publish.properties, properties, "{input}"),
        (Err(error), Err(text)) => assert!(error.message.contains(text), "{input}: {error}"),
        (found, expected) => panic!("{input}: {found:?}, not {expected:?}"),
    }
}

// tests aws-iot [EP-46], [MQ-82], [MQ-83]
#[test]
fn members_become_properties() {
    check(json!({"topic": "a"}), Ok(PublishProperties::default()));
    check(
        json!({"topic": "a", "payload": "eA==", "payloadFormatIndicator": "UTF8_DATA",
            "contentType": "text/plain", "responseTopic": "b", "correlationData": "Yw==",
            "userProperties": r#"[{"k":"1"},{"k":"2"}]"#}),
        Ok(PublishProperties {
            payload_format: Some(PayloadFormat::Utf8),
            content_type: Some("text/plain".into()),
            response_topic: TopicName::parse("b", &mqtt::TopicLimits::STANDARD).ok(),
            correlation_data: Some(Bytes::from_static(b"c")),
            user_properties: vec![("k".into(), "1".into()), ("k".into(), "2".into())],
            ..PublishProperties::default()
        }),
    );
    let large = format!(r#"[{{"k":"{}"}}]"#, "x".repeat(8192));
    for (input, expected) in [
        (json!({"topic": ""}), "'topic': topic is empty"),
        (
            json!({"topic": "a/+"}),
            "'topic': topic name holds a wildcard",
        ),
        (
            json!({"topic": "1/2/3/4/5/6/7/8/9"}),
            "'topic': topic of 9 levels",
        ),
        (
            json!({"topic": "a", "responseTopic": "#"}),
            "'responseTopic': topic name holds",
        ),
        (
            json!({"topic": "a", "correlationData": "*"}),
            "'correlationData' is not base64",
        ),
        (
            json!({"topic": "a", "userProperties": "{}"}),
            "'userProperties' is not",
        ),
        (
            json!({"topic": "a", "userProperties": r#"[{"a":"1","b":"2"}]"#}),
            "'userProperties'",
        ),
        (
            json!({"topic": "a", "userProperties": "[{}]"}),
            "'userProperties' is not",
        ),
        (
            json!({"topic": "a", "userProperties": r#"[{"a":1}]"#}),
            "'userProperties' is not",
        ),
        (
            json!({"topic": "a", "userProperties": large}),
            "'userProperties' has 8193 bytes",
        ),
    ] {
        check(input, Err(expected));
    }
}

// tests aws-iot [MQ-81]
#[test]
fn an_expiry_is_brought_into_range() {
    for (asked_s, expected) in [
        (-1, None),
        (0, None),
        (1, Some(1)),
        (604_800, Some(604_800)),
        (604_801, Some(604_800)),
        (i64::MAX, Some(604_800)),
    ] {
        assert_eq!(expiry_s(asked_s), expected, "{asked_s}");
    }
}

#[test]
fn what_is_written_is_read_back() {
    let properties = vec![
        ("a".to_owned(), "\"1".to_owned()),
        ("a".to_owned(), String::new()),
    ];
    let text = user_properties_text(&properties);
    assert_eq!(
        user_properties(&text, 100).map_err(|error| error.message),
        Ok(properties)
    );
}
