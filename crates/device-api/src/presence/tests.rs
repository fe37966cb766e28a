use super::*;

const AT: Timestamp = Timestamp::from_millis(1_760_000_000_123);

#[track_caller]
fn check(document: Vec<u8>, expected: Value) {
    let document: Value = serde_json::from_slice(&document).expect("a JSON document");
    assert_eq!(document, expected);
}

fn connected(thing_name: Option<&str>) -> Connected<'_> {
    Connected {
        client_id: "press-17",
        at: AT,
        session_identifier: "6f0d2c1e-6c0c-4d1e-9f6e-0a7d3a9d7b11",
        principal: "9b1c",
        thing_name,
        ip_address: "198.51.100.9",
        version: 4,
    }
}

// tests aws-iot [RT-10], [RT-12]
#[test]
fn documents_are_those_of_the_contract() {
    let came = connected(None);
    assert_eq!(came.topic(), "$aws/events/presence/connected/press-17");
    check(
        came.document(),
        json!({"clientId":"press-17","timestamp":1_760_000_000_123_i64,"eventType":"connected",
            "sessionIdentifier":"6f0d2c1e-6c0c-4d1e-9f6e-0a7d3a9d7b11",
            "principalIdentifier":"9b1c","ipAddress":"198.51.100.9","versionNumber":4}),
    );
    let exclusive: Value =
        serde_json::from_slice(&connected(Some("press")).document()).expect("JSON");
    assert_eq!(exclusive["thingName"], "press");

    let left = Disconnected {
        client_id: "press-17",
        at: AT,
        session_identifier: "6f",
        principal: "9b1c",
        thing_name: None,
        version: 4,
        reason: DisconnectReason::DuplicateClientId,
    };
    assert_eq!(left.topic(), "$aws/events/presence/disconnected/press-17");
    check(
        left.document(),
        json!({"clientId":"press-17","timestamp":1_760_000_000_123_i64,"eventType":"disconnected",
            "clientInitiatedDisconnect":false,"sessionIdentifier":"6f",
            "principalIdentifier":"9b1c","disconnectReason":"DUPLICATE_CLIENTID",
            "versionNumber":4}),
    );

    let failed = ConnectFailed {
        client_id: "press-17",
        at: AT,
        session_identifier: "6f",
        principal: "9b1c",
        ip_address: "::1",
    };
    assert_eq!(
        failed.topic(),
        "$aws/events/presence/connect_failed/press-17"
    );
    check(
        failed.document(),
        json!({"clientId":"press-17","timestamp":1_760_000_000_123_i64,
            "eventType":"connect_failed","connectFailureReason":"AUTHORIZATION_FAILED",
            "principalIdentifier":"9b1c","sessionIdentifier":"6f","ipAddress":"::1"}),
    );

    let heard = Subscriptions {
        client_id: "press-17",
        at: AT,
        change: SubscriptionChange::Subscribed,
        session_identifier: "6f",
        principal: "9b1c",
        filters: &["a/#"],
    };
    assert_eq!(
        heard.topic(),
        "$aws/events/subscriptions/subscribed/press-17"
    );
    check(
        heard.document(),
        json!({"clientId":"press-17","timestamp":1_760_000_000_123_i64,"eventType":"subscribed",
            "sessionIdentifier":"6f","principalIdentifier":"9b1c","topics":["a/#"]}),
    );
}

// tests aws-iot [MQ-61]
#[test]
fn only_a_disconnect_the_client_asked_for_spares_the_will() {
    for reason in DisconnectReason::ALL {
        let asked = reason == DisconnectReason::ClientInitiatedDisconnect;
        assert_eq!(reason.sends_will(), !asked, "{reason:?}");
        assert_eq!(DisconnectReason::parse(reason.as_str()), Some(reason));
        let word = serde_json::to_value(reason).expect("a word");
        assert_eq!(word, reason.as_str());
    }
    assert_eq!(DisconnectReason::parse("NONE"), None);
}

// tests aws-iot [RT-11]
#[test]
fn ids_that_would_be_filters_are_not_reported() {
    for (client_id, reported) in [("a", true), ("a/b", true), ("a+", false), ("#", false)] {
        assert_eq!(has_lifecycle_events(client_id), reported, "{client_id:?}");
    }
}
