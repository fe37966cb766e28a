use bytes::BytesMut;
use proptest::prelude::*;

use super::*;
use crate::generate;
use crate::{decode, encode, encoded_len};

/// `decode` after `encode` is identity, and the length is as foretold.
fn check_identity(packet: Packet, version: Version, sender: Sender) -> Result<(), TestCaseError> {
    let mut bytes = BytesMut::new();
    prop_assert_eq!(encode(&packet, version, &mut bytes), Ok(()));
    prop_assert_eq!(encoded_len(&packet, version), Ok(bytes.len()));
    let decoded = decode(&bytes, version, &generate::limits(sender));
    prop_assert_eq!(decoded, Ok(Some((packet, bytes.len()))));
    Ok(())
}

proptest! {
    #[test]
    fn v311_client_packets_survive(packet in generate::packet(Version::V311, Sender::Client)) {
        check_identity(packet, Version::V311, Sender::Client)?;
    }

    #[test]
    fn v311_server_packets_survive(packet in generate::packet(Version::V311, Sender::Server)) {
        check_identity(packet, Version::V311, Sender::Server)?;
    }

    #[test]
    fn v5_client_packets_survive(packet in generate::packet(Version::V5, Sender::Client)) {
        check_identity(packet, Version::V5, Sender::Client)?;
    }

    #[test]
    fn v5_server_packets_survive(packet in generate::packet(Version::V5, Sender::Server)) {
        check_identity(packet, Version::V5, Sender::Server)?;
    }
}

#[test]
fn reason_codes_are_distinct_and_found_by_their_byte() {
    for code in ReasonCode::ALL {
        assert_eq!(ReasonCode::parse(code.byte()), Some(code));
    }
    let known = (0..=u8::MAX).filter_map(ReasonCode::parse).count();
    assert_eq!(known, ReasonCode::ALL.len());
}

// tests aws-iot [MQ-17]
#[test]
fn connack_reasons_have_their_v311_return_code() {
    let check = |code: ReasonCode, expected| {
        assert_eq!(code.connack_v311(), expected, "{code:?}");
    };
    check(ReasonCode::Success, Some(0));
    check(ReasonCode::UnsupportedProtocolVersion, Some(1));
    check(ReasonCode::ClientIdentifierNotValid, Some(2));
    check(ReasonCode::ServerUnavailable, Some(3));
    check(ReasonCode::ServerBusy, Some(3));
    check(ReasonCode::BadUserNameOrPassword, Some(4));
    check(ReasonCode::NotAuthorized, Some(5));
    check(ReasonCode::Banned, Some(5));
    check(ReasonCode::TopicNameInvalid, None);
    check(ReasonCode::QoSNotSupported, None);
    check(ReasonCode::QuotaExceeded, None);
    check(ReasonCode::MalformedPacket, None);
    for byte in 0..=5 {
        let code = ReasonCode::from_connack_v311(byte).unwrap();
        assert_eq!(code.connack_v311(), Some(byte));
    }
    assert_eq!(ReasonCode::from_connack_v311(6), None);
}

// tests aws-iot [MQ-43]
#[test]
fn every_refused_filter_is_0x80_in_v311() {
    for code in ReasonCode::ALL {
        let expected = if code.byte() < 0x80 {
            code.byte()
        } else {
            0x80
        };
        assert_eq!(code.suback_v311(), expected, "{code:?}");
    }
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        assert_eq!(ReasonCode::granted(qos).byte(), qos.number());
    }
}

/// Each row is the packet, the sender, and the legal codes of the standard.
#[test]
fn reason_codes_are_legal_where_the_standard_lists_them() {
    let check = |packet, sender, expected: &[u8]| {
        let legal: Vec<u8> = ReasonCode::ALL
            .into_iter()
            .filter(|code| code.legal_in(packet, sender))
            .map(ReasonCode::byte)
            .collect();
        assert_eq!(legal, expected, "{packet:?} from {sender:?}");
    };
    use PacketType as P;
    let (client, server) = (Sender::Client, Sender::Server);
    check(
        P::ConnAck,
        server,
        &[
            0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90,
            0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F,
        ],
    );
    check(
        P::PubAck,
        server,
        &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99],
    );
    check(
        P::PubRec,
        client,
        &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99],
    );
    check(P::PubRel, client, &[0x00, 0x92]);
    check(P::PubComp, server, &[0x00, 0x92]);
    check(
        P::SubAck,
        server,
        &[
            0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2,
        ],
    );
    check(
        P::UnsubAck,
        server,
        &[0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91],
    );
    check(
        P::Disconnect,
        client,
        &[
            0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
        ],
    );
    check(
        P::Disconnect,
        server,
        &[
            0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94,
            0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2,
        ],
    );
    check(P::Auth, client, &[0x18, 0x19]);
    check(P::Auth, server, &[0x00, 0x18]);
    check(P::Publish, client, &[]);
    check(P::PingReq, client, &[]);
}

#[test]
fn secrets_and_payloads_are_not_shown() {
    let secret = Secret::new(Bytes::from_static(b"hunter2"));
    assert_eq!(format!("{secret:?}"), "<redacted>");
    let text = Connect {
        version: Version::V5,
        client_id: "pump-7".to_owned(),
        clean_start: true,
        keep_alive_s: 30,
        will: None,
        username: Some("token=hunter2".to_owned()),
        password: Some(secret),
        properties: ConnectProperties::default(),
    };
    let shown = format!("{text:?}");
    assert!(
        shown.contains("pump-7") && !shown.contains("hunter2"),
        "{shown}"
    );
}
