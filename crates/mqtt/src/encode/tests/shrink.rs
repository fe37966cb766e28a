//! Whatever may explain itself leaves the explanation out rather than be too large.

use super::*;

fn explained() -> AckProperties {
    AckProperties {
        reason_string: Some("why".to_owned()),
        user_properties: vec![("k".to_owned(), "v".to_owned())],
    }
}

fn ack() -> Ack {
    Ack {
        properties: explained(),
        ..Ack::with_reason(id(1), ReasonCode::Success)
    }
}

/// Each answer with a reason string of 3 bytes and a user property of 1 and 1.
fn answers() -> Vec<Packet> {
    let AckProperties {
        reason_string,
        user_properties,
    } = explained();
    let mut disconnect = Disconnect::new(ReasonCode::ServerBusy);
    disconnect.properties.reason_string = reason_string.clone();
    disconnect.properties.user_properties = user_properties.clone();
    let mut connack = ConnAck::default();
    connack.properties.reason_string = reason_string.clone();
    connack.properties.user_properties = user_properties.clone();
    let mut auth = Auth::default();
    auth.properties.authentication_method = Some("m".to_owned());
    auth.properties.reason_string = reason_string;
    auth.properties.user_properties = user_properties;
    vec![
        Packet::ConnAck(Box::new(connack)),
        Packet::PubAck(ack()),
        Packet::PubRec(ack()),
        Packet::PubRel(ack()),
        Packet::PubComp(ack()),
        Packet::SubAck(SubAck {
            packet_id: id(1),
            reasons: vec![ReasonCode::Success],
            properties: explained(),
        }),
        Packet::UnsubAck(UnsubAck {
            packet_id: id(1),
            reasons: vec![ReasonCode::Success],
            properties: explained(),
        }),
        Packet::Disconnect(disconnect),
        Packet::Auth(auth),
    ]
}

/// How much of it is sent: the reason string, and the user properties.
fn sent(packet: &Packet, packet_bytes_max: usize) -> Option<(bool, bool)> {
    let receiver = Receiver {
        version: Version::V5,
        packet_bytes_max,
        problem_information: true,
    };
    let mut out = BytesMut::new();
    encode_to(packet, &receiver, &mut out).ok()?;
    assert!(out.len() <= packet_bytes_max);
    let has = |what: &[u8]| out.windows(what.len()).any(|part| part == what);
    Some((has(b"why"), has(b"k\0\x01v")))
}

// tests mqtt5 [MQTT-3.2.2-19], [MQTT-3.2.2-20], [MQTT-3.4.2-2], [MQTT-3.4.2-3], [MQTT-3.5.2-2]
// tests mqtt5 [MQTT-3.5.2-3], [MQTT-3.6.2-2], [MQTT-3.6.2-3], [MQTT-3.7.2-2], [MQTT-3.7.2-3]
// tests mqtt5 [MQTT-3.9.2-1], [MQTT-3.9.2-2], [MQTT-3.11.2-1], [MQTT-3.11.2-2]
// tests mqtt5 [MQTT-3.14.2-3], [MQTT-3.14.2-4]
#[test]
fn the_reason_string_goes_first_then_the_user_properties() {
    const REASON_STRING: usize = 6;
    const USER_PROPERTY: usize = 7;
    for packet in answers() {
        let whole = encoded_len(&packet, Version::V5).expect("a valid packet");
        let without = whole - REASON_STRING;
        assert_eq!(sent(&packet, whole), Some((true, true)), "{packet:?}");
        assert_eq!(sent(&packet, whole - 1), Some((false, true)), "{packet:?}");
        assert_eq!(sent(&packet, without), Some((false, true)), "{packet:?}");
        assert_eq!(
            sent(&packet, without - 1),
            Some((false, false)),
            "{packet:?}"
        );
        let bare = (0..whole).find(|max| sent(&packet, *max).is_some());
        assert!(
            bare.is_some_and(|bare| bare <= without - USER_PROPERTY),
            "{packet:?}"
        );
    }
}
