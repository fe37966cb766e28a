mod aliased;
mod shrink;

use std::num::{NonZeroU16, NonZeroU32};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::packet::*;
use crate::topic::{TopicLimits, TopicName};
use crate::{Limits, decode, generate, notation};

fn id(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}

fn topic(text: &str) -> TopicName {
    TopicName::parse(text, &TopicLimits::STANDARD).unwrap()
}

fn encoded(packet: &Packet, version: Version) -> Result<Vec<u8>, EncodeError> {
    let mut out = BytesMut::new();
    encode(packet, version, &mut out).map(|()| out.to_vec())
}

/// The packet is these bytes, and these bytes are the packet.
#[track_caller]
fn check(version: Version, sender: Sender, packet: &Packet, text: &str) {
    let bytes = notation::bytes(text);
    assert_eq!(
        encoded(packet, version).as_deref(),
        Ok(bytes.as_slice()),
        "{text}"
    );
    let limits = Limits {
        sender,
        ..Limits::STANDARD
    };
    assert_eq!(
        decode(&bytes, version, &limits),
        Ok(Some((packet.clone(), bytes.len()))),
        "{text}"
    );
}

fn a_connect(version: Version) -> Connect {
    Connect {
        version,
        client_id: "pump-7".to_owned(),
        clean_start: true,
        keep_alive_s: 60,
        will: None,
        username: None,
        password: None,
        properties: ConnectProperties::default(),
    }
}

fn a_publish() -> Publish {
    Publish {
        dup: false,
        qos: QoS::AtLeastOnce,
        retain: false,
        topic: Some(topic("a/b")),
        packet_id: Some(id(10)),
        properties: PublishProperties::default(),
        payload: Bytes::from_static(b"hi"),
    }
}

#[test]
fn connect() {
    let check = |connect: Connect, text: &str| {
        check(
            connect.version,
            Sender::Client,
            &Packet::Connect(Box::new(connect)),
            text,
        );
    };
    check(a_connect(Version::V311), "10|'MQTT' 04 02 003c 'pump-7'");
    check(a_connect(Version::V5), "10|'MQTT' 05 02 003c [] 'pump-7'");
    let secret = |text: &'static str| Secret::new(Bytes::from_static(text.as_bytes()));
    let will = Will {
        topic: topic("last"),
        payload: Bytes::from_static(b"bye"),
        qos: QoS::AtLeastOnce,
        retain: true,
        properties: WillProperties::default(),
    };
    let full = Connect {
        clean_start: false,
        will: Some(will.clone()),
        username: Some("?SDK=Python".to_owned()),
        password: Some(secret("pw")),
        ..a_connect(Version::V311)
    };
    check(
        full,
        "10|'MQTT' 04 ec 003c 'pump-7' 'last' 'bye' '?SDK=Python' 'pw'",
    );
    let all = Connect {
        password: Some(secret("pw")),
        will: Some(Will {
            properties: WillProperties {
                delay_s: Some(1),
                payload_format: Some(PayloadFormat::Utf8),
                message_expiry_s: Some(2),
                content_type: Some("t".to_owned()),
                response_topic: Some(topic("r")),
                correlation_data: Some(Bytes::from_static(b"c")),
                user_properties: vec![("k".to_owned(), "v".to_owned())],
            },
            ..will
        }),
        properties: ConnectProperties {
            session_expiry_s: Some(3600),
            receive_maximum: Some(id(100)),
            packet_bytes_max: NonZeroU32::new(65_536),
            topic_alias_maximum: Some(8),
            request_response_information: Some(true),
            request_problem_information: Some(false),
            user_properties: vec![
                ("k".to_owned(), "2".to_owned()),
                ("k".to_owned(), "1".to_owned()),
            ],
            authentication_method: Some("m".to_owned()),
            authentication_data: Some(secret("d")),
        },
        ..a_connect(Version::V5)
    };
    check(
        all,
        "10|'MQTT' 05 6e 003c \
         [ 11 00000e10 21 0064 27 00010000 22 0008 19 01 17 00 26'k''2' 26'k''1' 15'm' 16'd' ] \
         'pump-7' \
         [ 18 00000001 01 01 02 00000002 03't' 08'r' 09'c' 26'k''v' ] 'last' 'bye' 'pw'",
    );
}

#[test]
fn connack() {
    let check = |version, connack: ConnAck, text: &str| {
        check(
            version,
            Sender::Server,
            &Packet::ConnAck(Box::new(connack)),
            text,
        );
    };
    let refused = |reason| ConnAck {
        reason,
        ..ConnAck::default()
    };
    check(Version::V311, ConnAck::default(), "20|0000");
    check(
        Version::V311,
        ConnAck {
            session_present: true,
            ..ConnAck::default()
        },
        "20|0100",
    );
    check(
        Version::V311,
        refused(ReasonCode::UnsupportedProtocolVersion),
        "20|0001",
    );
    check(Version::V311, refused(ReasonCode::NotAuthorized), "20|0005");
    check(Version::V5, ConnAck::default(), "20|0000[]");
    check(
        Version::V5,
        refused(ReasonCode::UnsupportedProtocolVersion),
        "20|0084[]",
    );
    let text = |text: &str| Some(text.to_owned());
    let properties = ConnAckProperties {
        session_expiry_s: Some(60),
        receive_maximum: Some(id(100)),
        maximum_qos: Some(QoS::AtLeastOnce),
        retain_available: Some(true),
        packet_bytes_max: NonZeroU32::new(149_504),
        assigned_client_id: text("id"),
        topic_alias_maximum: Some(8),
        reason_string: text("why"),
        user_properties: vec![("k".to_owned(), "v".to_owned())],
        wildcard_subscription_available: Some(true),
        subscription_identifiers_available: Some(false),
        shared_subscription_available: Some(true),
        server_keep_alive_s: Some(1200),
        response_information: text("i"),
        server_reference: text("s"),
        authentication_method: text("m"),
        authentication_data: Some(Secret::new(Bytes::from_static(b"d"))),
    };
    check(
        Version::V5,
        ConnAck {
            session_present: true,
            properties,
            ..ConnAck::default()
        },
        "20|0100[ 11 0000003c 21 0064 24 01 25 01 27 00024800 12'id' 22 0008 1f'why' 26'k''v' \
         28 01 29 00 2a 01 13 04b0 1a'i' 1c's' 15'm' 16'd' ]",
    );
}

#[test]
fn publish() {
    let check = |version, sender, publish: Publish, text: &str| {
        check(version, sender, &Packet::Publish(publish), text);
    };
    let client = Sender::Client;
    let twice = Publish {
        qos: QoS::ExactlyOnce,
        dup: true,
        ..a_publish()
    };
    let once = Publish {
        qos: QoS::AtMostOnce,
        retain: true,
        packet_id: None,
        payload: Bytes::new(),
        ..a_publish()
    };
    check(Version::V311, client, a_publish(), "32|'a/b' 000a \"hi\"");
    check(Version::V311, client, twice, "3c|'a/b' 000a \"hi\"");
    check(Version::V311, client, once.clone(), "31|'a/b'");
    check(Version::V5, client, once, "31|'a/b' []");
    let by_alias = Publish {
        topic: None,
        properties: PublishProperties {
            topic_alias: Some(id(3)),
            ..Default::default()
        },
        ..a_publish()
    };
    check(
        Version::V5,
        client,
        by_alias,
        "32|'' 000a [ 23 0003 ] \"hi\"",
    );
    let properties = PublishProperties {
        payload_format: Some(PayloadFormat::Unspecified),
        message_expiry_s: Some(9),
        topic_alias: Some(id(8)),
        response_topic: Some(topic("r")),
        correlation_data: Some(Bytes::from_static(b"c")),
        user_properties: vec![
            ("b".to_owned(), "1".to_owned()),
            ("a".to_owned(), "2".to_owned()),
        ],
        subscription_identifiers: [1, 128, SubscriptionIdentifier::MAX]
            .map(|number| SubscriptionIdentifier::new(number).unwrap())
            .to_vec(),
        content_type: Some("t".to_owned()),
    };
    check(
        Version::V5,
        Sender::Server,
        Publish {
            properties,
            ..a_publish()
        },
        "32|'a/b' 000a [ 01 00 02 00000009 23 0008 08'r' 09'c' 26'b''1' 26'a''2' \
         0b 01 0b 8001 0b ffffff7f 03't' ] \"hi\"",
    );
}

#[test]
fn acknowledgements() {
    let v5 = Version::V5;
    let ok = Ack::success(id(2));
    let refused = Ack::with_reason(id(2), ReasonCode::NotAuthorized);
    let unknown = Ack::with_reason(id(2), ReasonCode::PacketIdentifierNotFound);
    let explained = Ack {
        properties: AckProperties {
            reason_string: Some("d1".to_owned()),
            user_properties: vec![("k".to_owned(), "v".to_owned())],
        },
        ..refused.clone()
    };
    for version in [Version::V311, v5] {
        check(
            version,
            Sender::Client,
            &Packet::PubAck(ok.clone()),
            "40|0002",
        );
        check(
            version,
            Sender::Client,
            &Packet::PubRec(ok.clone()),
            "50|0002",
        );
        check(
            version,
            Sender::Client,
            &Packet::PubRel(ok.clone()),
            "62|0002",
        );
        check(
            version,
            Sender::Client,
            &Packet::PubComp(ok.clone()),
            "70|0002",
        );
    }
    check(
        v5,
        Sender::Server,
        &Packet::PubAck(refused.clone()),
        "40|0002 87",
    );
    check(v5, Sender::Server, &Packet::PubRec(refused), "50|0002 87");
    check(
        v5,
        Sender::Server,
        &Packet::PubRel(unknown.clone()),
        "62|0002 92",
    );
    check(v5, Sender::Server, &Packet::PubComp(unknown), "70|0002 92");
    check(
        v5,
        Sender::Server,
        &Packet::PubAck(explained),
        "40|0002 87[ 1f'd1' 26'k''v' ]",
    );
}

#[test]
fn subscriptions() {
    let (v311, v5) = (Version::V311, Version::V5);
    let mut subscribe = Subscribe {
        packet_id: id(1),
        filters: vec![
            SubscriptionRequest::new("a/#", QoS::AtLeastOnce),
            SubscriptionRequest::new("", QoS::AtMostOnce),
        ],
        properties: SubscribeProperties::default(),
    };
    let packet = Packet::Subscribe(subscribe.clone());
    check(v311, Sender::Client, &packet, "82|0001 'a/#' 01 '' 00");
    check(v5, Sender::Client, &packet, "82|0001 [] 'a/#' 01 '' 00");
    subscribe.properties.subscription_identifier = SubscriptionIdentifier::new(300);
    subscribe.properties.user_properties = vec![("k".to_owned(), "v".to_owned())];
    subscribe.filters = vec![SubscriptionRequest {
        filter: "b".to_owned(),
        qos: QoS::ExactlyOnce,
        no_local: true,
        retain_as_published: true,
        retain_handling: RetainHandling::DoNotSend,
    }];
    let packet = Packet::Subscribe(subscribe);
    check(
        v5,
        Sender::Client,
        &packet,
        "82|0001 [ 0b ac02 26'k''v' ] 'b' 2e",
    );

    let mut suback = SubAck {
        packet_id: id(1),
        reasons: vec![ReasonCode::GrantedQoS1, ReasonCode::UnspecifiedError],
        properties: AckProperties::default(),
    };
    check(
        v311,
        Sender::Server,
        &Packet::SubAck(suback.clone()),
        "90|0001 01 80",
    );
    suback.reasons.push(ReasonCode::TopicFilterInvalid);
    suback.properties.reason_string = Some("w".to_owned());
    check(
        v5,
        Sender::Server,
        &Packet::SubAck(suback),
        "90|0001 [ 1f'w' ] 01 80 8f",
    );
}

#[test]
fn unsubscriptions() {
    let (v311, v5) = (Version::V311, Version::V5);
    let mut unsubscribe = Unsubscribe {
        packet_id: id(1),
        filters: vec!["a/#".to_owned(), "b".to_owned()],
        properties: UnsubscribeProperties::default(),
    };
    check(
        v311,
        Sender::Client,
        &Packet::Unsubscribe(unsubscribe.clone()),
        "a2|0001 'a/#' 'b'",
    );
    unsubscribe.properties.user_properties = vec![("k".to_owned(), "v".to_owned())];
    let packet = Packet::Unsubscribe(unsubscribe);
    check(
        v5,
        Sender::Client,
        &packet,
        "a2|0001 [ 26'k''v' ] 'a/#' 'b'",
    );

    let mut unsuback = UnsubAck {
        packet_id: id(1),
        reasons: vec![],
        properties: AckProperties::default(),
    };
    check(
        v311,
        Sender::Server,
        &Packet::UnsubAck(unsuback.clone()),
        "b0|0001",
    );
    unsuback.reasons = vec![ReasonCode::Success, ReasonCode::NoSubscriptionExisted];
    check(
        v5,
        Sender::Server,
        &Packet::UnsubAck(unsuback),
        "b0|0001 [] 00 11",
    );
}

#[test]
fn pings_and_endings() {
    let (client, server) = (Sender::Client, Sender::Server);
    for version in [Version::V311, Version::V5] {
        check(version, client, &Packet::PingReq, "c0|");
        check(version, server, &Packet::PingResp, "d0|");
        check(
            version,
            client,
            &Packet::Disconnect(Disconnect::default()),
            "e0|",
        );
    }
    let v5 = Version::V5;
    let will = Disconnect::new(ReasonCode::DisconnectWithWill);
    check(v5, client, &Packet::Disconnect(will), "e0|04");
    let mut goodbye = Disconnect::default();
    goodbye.properties.session_expiry_s = Some(0);
    check(
        v5,
        client,
        &Packet::Disconnect(goodbye),
        "e0|00[ 11 00000000 ]",
    );
    let mut moved = Disconnect::new(ReasonCode::UseAnotherServer);
    moved.properties.reason_string = Some("w".to_owned());
    moved.properties.server_reference = Some("s".to_owned());
    check(
        v5,
        server,
        &Packet::Disconnect(moved),
        "e0|9c[ 1f'w' 1c's' ]",
    );
    check(v5, server, &Packet::Auth(Auth::default()), "f0|");
    let step = Auth {
        reason: ReasonCode::ContinueAuthentication,
        properties: AuthProperties {
            authentication_method: Some("m".to_owned()),
            authentication_data: Some(Secret::new(Bytes::from_static(b"d"))),
            reason_string: Some("w".to_owned()),
            user_properties: vec![("k".to_owned(), "v".to_owned())],
        },
    };
    check(
        v5,
        client,
        &Packet::Auth(step),
        "f0|18[ 15'm' 16'd' 1f'w' 26'k''v' ]",
    );
}

// tests aws-iot [MQ-1]
#[test]
fn properties_stay_behind_towards_v311() {
    let check = |packet: Packet, text: &str| {
        assert_eq!(
            encoded(&packet, Version::V311),
            Ok(notation::bytes(text)),
            "{text}"
        );
    };
    let mut publish = a_publish();
    publish.properties.content_type = Some("t".to_owned());
    publish.properties.user_properties = vec![("k".to_owned(), "v".to_owned())];
    check(Packet::Publish(publish), "32|'a/b' 000a \"hi\"");
    let mut connack = ConnAck::default();
    connack.properties.topic_alias_maximum = Some(8);
    check(Packet::ConnAck(Box::new(connack)), "20|0000");
    let reasons = vec![ReasonCode::NotAuthorized, ReasonCode::GrantedQoS1];
    let properties = AckProperties::default();
    let suback = SubAck {
        packet_id: id(1),
        reasons: reasons.clone(),
        properties,
    };
    check(Packet::SubAck(suback), "90|0001 80 01");
    let properties = AckProperties::default();
    let unsuback = UnsubAck {
        packet_id: id(1),
        reasons,
        properties,
    };
    check(Packet::UnsubAck(unsuback), "b0|0001");
    let nobody = Ack::with_reason(id(1), ReasonCode::NoMatchingSubscribers);
    check(Packet::PubAck(nobody), "40|0001");
    let unknown = Ack::with_reason(id(1), ReasonCode::PacketIdentifierNotFound);
    check(Packet::PubComp(unknown), "70|0001");
}

/// The packet is refused, and the output stays as it was.
#[track_caller]
fn check_refused(version: Version, packet: Packet, expected: EncodeError) {
    let mut out = BytesMut::from(&b"before"[..]);
    let found = encode(&packet, version, &mut out);
    assert_eq!(found, Err(expected.clone()), "{packet:?}");
    assert_eq!(encoded_len(&packet, version), Err(expected));
    assert_eq!(&out[..], b"before");
}

#[test]
fn what_v311_has_no_word_for_is_refused() {
    let check = |packet, what| {
        check_refused(Version::V311, packet, EncodeError::NotInVersion { what });
    };
    let refused = Ack::with_reason(id(1), ReasonCode::NotAuthorized);
    check(Packet::PubAck(refused.clone()), "a refused message");
    check(Packet::PubRec(refused), "a refused message");
    let end = Disconnect::new(ReasonCode::KeepAliveTimeout);
    check(Packet::Disconnect(end), "a reason to disconnect");
    check(Packet::Auth(Auth::default()), "AUTH");
    let reason = ReasonCode::QuotaExceeded;
    let properties = ConnAckProperties::default();
    let quota = Box::new(ConnAck {
        session_present: false,
        reason,
        properties,
    });
    check(Packet::ConnAck(quota), "this CONNACK reason");
}

#[test]
fn incomplete_packets_are_refused() {
    let check = |version, packet, field| {
        check_refused(version, packet, EncodeError::Missing { field });
    };
    let (v311, v5) = (Version::V311, Version::V5);
    let mut publish = a_publish();
    publish.packet_id = None;
    check(v5, Packet::Publish(publish.clone()), "packet identifier");
    publish.topic = None;
    check(v5, Packet::Publish(publish.clone()), "topic");
    check(v311, Packet::Publish(publish), "topic");

    let secret = || Some(Secret::new(Bytes::new()));
    let mut connect = a_connect(v311);
    connect.password = secret();
    check(v311, Packet::Connect(Box::new(connect)), "user name");
    let mut connect = a_connect(v5);
    connect.properties.authentication_data = secret();
    check(
        v5,
        Packet::Connect(Box::new(connect)),
        "authentication method",
    );
    let reason = ReasonCode::ReAuthenticate;
    let auth = Auth {
        reason,
        ..Auth::default()
    };
    check(v5, Packet::Auth(auth), "authentication method");

    let (packet_id, filters) = (id(1), vec![]);
    let properties = SubscribeProperties::default();
    let subscribe = Subscribe {
        packet_id,
        filters,
        properties,
    };
    check(v5, Packet::Subscribe(subscribe), "topic filters");
    let (filters, properties) = (vec![], UnsubscribeProperties::default());
    let unsubscribe = Unsubscribe {
        packet_id,
        filters,
        properties,
    };
    check(v5, Packet::Unsubscribe(unsubscribe), "topic filters");
    let (reasons, properties) = (vec![], AckProperties::default());
    let suback = SubAck {
        packet_id,
        reasons,
        properties,
    };
    check(v5, Packet::SubAck(suback), "reason codes");
    let (reasons, properties) = (vec![], AckProperties::default());
    let unsuback = UnsubAck {
        packet_id,
        reasons,
        properties,
    };
    check(v5, Packet::UnsubAck(unsuback), "reason codes");
}

#[test]
fn fields_that_no_receiver_takes_are_refused() {
    let v5 = Version::V5;
    let (reason, packet) = (ReasonCode::SessionTakenOver, PacketType::PubAck);
    let ack = Packet::PubAck(Ack::with_reason(id(1), reason));
    check_refused(v5, ack, EncodeError::ReasonCode { reason, packet });

    let field = "client identifier";
    let mut connect = Box::new(a_connect(v5));
    connect.client_id = "a\0".to_owned();
    check_refused(
        v5,
        Packet::Connect(connect.clone()),
        EncodeError::BadText { field },
    );
    connect.client_id = "x".repeat(65_535);
    assert!(encoded(&Packet::Connect(connect.clone()), v5).is_ok());
    connect.client_id = "x".repeat(65_536);
    let error = EncodeError::TooLong { field, len: 65_536 };
    check_refused(v5, Packet::Connect(connect), error);

    let mut connack = Box::new(ConnAck::default());
    connack.properties.maximum_qos = Some(QoS::ExactlyOnce);
    let error = EncodeError::OutOfRange {
        field: "maximum QoS",
    };
    check_refused(v5, Packet::ConnAck(connack), error);
}

#[test]
fn a_packet_is_at_most_as_long_as_its_length_can_say() {
    let publish = |payload_bytes: usize| {
        let payload = Bytes::from(vec![0; payload_bytes]);
        Packet::Publish(Publish {
            qos: QoS::AtMostOnce,
            packet_id: None,
            payload,
            ..a_publish()
        })
    };
    // Two length bytes and `a/b` come before the payload.
    let max = 268_435_455;
    assert_eq!(encoded_len(&publish(max - 5), Version::V311), Ok(max + 5));
    let error = EncodeError::TooLarge { len: max + 1, max };
    assert_eq!(encoded_len(&publish(max - 4), Version::V311), Err(error));
    for body in [127, 128, 16_383, 16_384, 2_097_151, 2_097_152] {
        let packet = publish(body - 5);
        let bytes = encoded(&packet, Version::V311).unwrap();
        assert_eq!(encoded_len(&packet, Version::V311), Ok(bytes.len()));
    }
}

// tests aws-iot [MQ-84], [MQ-86]; tests mqtt5 [MQTT-3.1.2-24], [MQTT-3.1.2-29], [MQTT-3.4.2-2]
#[test]
fn answers_shrink_to_what_the_receiver_takes() {
    let properties = AckProperties {
        reason_string: Some("why".to_owned()),
        user_properties: vec![("k".to_owned(), "v".to_owned())],
    };
    let reason = ReasonCode::NotAuthorized;
    let ack = Packet::PubAck(Ack {
        packet_id: id(1),
        reason,
        properties,
    });
    let check = |packet: &Packet, max: usize, problem_information: bool, expected: Option<&str>| {
        let version = Version::V5;
        let receiver = Receiver {
            version,
            packet_bytes_max: max,
            problem_information,
        };
        let mut out = BytesMut::new();
        let found = encode_to(packet, &receiver, &mut out)
            .map(|()| out.to_vec())
            .ok();
        assert_eq!(found, expected.map(notation::bytes), "{packet:?} in {max}");
    };
    // 2 + 3 bytes alone, and the properties: 1 for their length, 6, 7.
    let (all, user, none) = (
        "40|0001 87[ 1f'why' 26'k''v' ]",
        "40|0001 87[ 26'k''v' ]",
        "40|0001 87",
    );
    check(&ack, 19, true, Some(all));
    check(&ack, 18, true, Some(user));
    check(&ack, 13, true, Some(user));
    check(&ack, 12, true, Some(none));
    check(&ack, 5, true, Some(none));
    check(&ack, 4, true, None);
    check(&ack, 100, false, Some(none));

    let mut end = Disconnect::new(ReasonCode::ServerBusy);
    end.properties.reason_string = Some("why".to_owned());
    let end = Packet::Disconnect(end);
    check(&end, 100, false, Some("e0|89[ 1f'why' ]"));
    check(&end, 9, false, Some("e0|89"));

    let mut publish = a_publish();
    publish.properties.user_properties = vec![("k".to_owned(), "v".to_owned())];
    let publish = Packet::Publish(publish);
    check(
        &publish,
        19,
        false,
        Some("32|'a/b' 000a [ 26'k''v' ] \"hi\""),
    );
    check(&publish, 18, true, None);
}

#[test]
fn a_receiver_is_what_its_connect_says() {
    let mut connect = a_connect(Version::V5);
    let check = |connect: &Connect, packet_bytes_max, problem_information| {
        let version = connect.version;
        let expected = Receiver {
            version,
            packet_bytes_max,
            problem_information,
        };
        assert_eq!(Receiver::of_connect(connect), expected);
    };
    check(&connect, usize::MAX, true);
    connect.properties.packet_bytes_max = NonZeroU32::new(1000);
    connect.properties.request_problem_information = Some(false);
    check(&connect, 1000, false);
    check(&a_connect(Version::V311), usize::MAX, true);
}

fn class() -> impl Strategy<Value = (Version, QoS, bool, Option<u32>, Vec<u32>)> {
    let version = prop_oneof![Just(Version::V311), Just(Version::V5)];
    let qos = (0_u8..3).prop_map(|number| QoS::parse(number).unwrap());
    let expiry = proptest::option::of(any::<u32>());
    (
        version,
        qos,
        any::<bool>(),
        expiry,
        proptest::collection::vec(1_u32..1000, 0..3),
    )
}

proptest! {
    /// An image writes what encoding each delivery by itself would.
    #[test]
    fn an_image_is_the_packet_it_stands_for(
        message in generate::publish(Version::V5, Sender::Client),
        name in generate::topic(),
        class in class(),
        number in any::<NonZeroU16>(),
        dup in any::<bool>(),
    ) {
        let message = Publish { topic: Some(name), ..message };
        let (version, qos, retain, message_expiry_s, identifiers) = class;
        let identifiers: Vec<_> =
            identifiers.into_iter().filter_map(SubscriptionIdentifier::new).collect();
        let acknowledged = qos != QoS::AtMostOnce;
        let single = Publish {
            dup: dup && acknowledged,
            qos,
            retain,
            packet_id: acknowledged.then_some(number),
            properties: PublishProperties {
                message_expiry_s,
                topic_alias: None,
                subscription_identifiers: identifiers.clone(),
                ..message.properties.clone()
            },
            ..message.clone()
        };
        let class = DeliveryClass {
            version,
            qos,
            retain,
            message_expiry_s,
            subscription_identifiers: &identifiers,
        };
        let image = PublishImage::encode(&message, &class).unwrap();
        let mut again = image.clone();
        prop_assert_eq!(again.encode_again(&message, &class), Ok(()));
        prop_assert_eq!(&again, &image);
        let mut copy = BytesMut::from(&b"before"[..]);
        prop_assert_eq!(image.write(&message.payload, Some(number), dup, &mut copy), Ok(()));
        let mut expected = BytesMut::from(&b"before"[..]);
        prop_assert_eq!(encode(&Packet::Publish(single), version, &mut expected), Ok(()));
        prop_assert_eq!(&copy, &expected);
        prop_assert_eq!(image.packet_bytes() + 6, copy.len());

        let mut head = BytesMut::from(&b"before"[..]);
        prop_assert_eq!(image.write_head(Some(number), dup, &mut head), Ok(()));
        head.extend_from_slice(&message.payload);
        prop_assert_eq!(&head, &expected);
        let missing = Err(EncodeError::Missing { field: "packet identifier" });
        let unnumbered = image.write(&message.payload, None, dup, &mut BytesMut::new());
        prop_assert_eq!(unnumbered, if acknowledged { missing } else { Ok(()) });
    }
}
