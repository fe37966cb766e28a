mod malformed;

use std::num::NonZeroU16;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::generate;
use crate::notation::bytes;
use crate::packet::ReasonCode;
use crate::topic::TopicError;

const CLIENT: Limits = Limits::STANDARD;
const SERVER: Limits = Limits {
    sender: Sender::Server,
    ..Limits::STANDARD
};

/// What the first bytes of a packet lead to never contradicts what all of them
/// lead to: not yet, or the same error sooner.
#[track_caller]
fn check_split(packet: &[u8], version: Version, limits: &Limits) {
    let whole = decode(packet, version, limits);
    for end in 0..packet.len() {
        let part = decode(&packet[..end], version, limits);
        match &part {
            Ok(None) => (),
            Ok(Some((_, used))) => assert!(*used <= end && part == whole, "at {end}"),
            Err(_) => assert_eq!(part, whole, "at {end}"),
        }
    }
    let mut buffer = BytesMut::new();
    let mut result = Ok(None);
    for &byte in packet {
        buffer.extend_from_slice(&[byte]);
        result = decode_from(&mut buffer, version, limits);
        if result != Ok(None) {
            break;
        }
    }
    assert_eq!(result, whole.map(|found| found.map(|(packet, _)| packet)));
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        generate::check_decode(&bytes);
        check_split(&bytes, Version::V5, &CLIENT);
    }

    /// Bytes that are nearly a packet reach deeper than random ones.
    #[test]
    fn damaged_packets_are_decoded_or_refused(
        packet in generate::packet(Version::V5, Sender::Client),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = BytesMut::new();
        crate::encode(&packet, Version::V5, &mut bytes).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        generate::check_decode(&bytes);
        check_split(&bytes, Version::V5, &CLIENT);
    }

    #[test]
    fn a_packet_cut_anywhere_waits_for_the_rest(
        packet in generate::packet(Version::V311, Sender::Client),
    ) {
        let mut bytes = BytesMut::new();
        crate::encode(&packet, Version::V311, &mut bytes).unwrap();
        check_split(&bytes, Version::V311, &CLIENT);
    }

    #[test]
    fn packets_follow_each_other(
        packets in proptest::collection::vec(generate::packet(Version::V5, Sender::Server), 1..6),
    ) {
        let mut bytes = BytesMut::new();
        for packet in &packets {
            crate::encode(packet, Version::V5, &mut bytes).unwrap();
        }
        for packet in &packets {
            let expected = packet_len(&bytes, Version::V5, &SERVER).unwrap().unwrap();
            let before = bytes.len();
            prop_assert_eq!(
                decode_from(&mut bytes, Version::V5, &SERVER),
                Ok(Some(packet.clone())),
            );
            prop_assert_eq!(before - bytes.len(), expected);
        }
        prop_assert!(bytes.is_empty());
    }
}

/// Everything in `fuzz/corpus/decode`: what fuzzing found, and one of each.
#[test]
fn the_corpus_is_decoded_or_refused() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/decode");
    let mut seeds = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        generate::check_decode(&bytes);
        check_split(&bytes, Version::V5, &CLIENT);
        check_split(&bytes, Version::V311, &SERVER);
        seeds += 1;
    }
    assert!(seeds >= 60, "{seeds} seeds");
}

#[test]
fn what_may_be_left_out_is_understood() {
    let check = |version, limits: &Limits, text: &str, expected: Packet| {
        let packet = bytes(text);
        let len = packet.len();
        assert_eq!(
            decode(&packet, version, limits),
            Ok(Some((expected, len))),
            "{text}"
        );
    };
    let (v311, v5) = (Version::V311, Version::V5);
    let id = NonZeroU16::new(7).unwrap();
    let no_match = Ack::with_reason(id, ReasonCode::NoMatchingSubscribers);
    check(v5, &CLIENT, "40|0007", Packet::PubAck(Ack::success(id)));
    check(v5, &CLIENT, "40|0007 00", Packet::PubAck(Ack::success(id)));
    check(
        v5,
        &CLIENT,
        "40|0007 00[]",
        Packet::PubAck(Ack::success(id)),
    );
    check(v5, &CLIENT, "50|0007 10", Packet::PubRec(no_match));
    check(
        v5,
        &CLIENT,
        "62|0007 00[]",
        Packet::PubRel(Ack::success(id)),
    );
    check(
        v5,
        &CLIENT,
        "e0|",
        Packet::Disconnect(Disconnect::default()),
    );
    check(
        v5,
        &CLIENT,
        "e0|00",
        Packet::Disconnect(Disconnect::default()),
    );
    check(
        v5,
        &CLIENT,
        "e0|00[]",
        Packet::Disconnect(Disconnect::default()),
    );
    check(v5, &SERVER, "f0|", Packet::Auth(Auth::default()));
    // 3.1.1 does not ask for the shortest Remaining Length.
    check(
        v311,
        &CLIENT,
        "e0 80 00",
        Packet::Disconnect(Disconnect::default()),
    );
    check(
        v311,
        &CLIENT,
        "40 82 80 00 0007",
        Packet::PubAck(Ack::success(id)),
    );
}

#[test]
fn errors_name_the_byte() {
    let check = |version, text: &str, at: usize| {
        let error = decode(&bytes(text), version, &CLIENT).unwrap_err();
        assert_eq!(error.at(), at, "{text}: {error}");
    };
    check(Version::V5, "00", 0);
    check(Version::V5, "10 80 80 80 80", 4);
    check(Version::V311, "10|'MQTT' 04 03 003c 'a'", 9);
    check(Version::V311, "10|'MQTT' 04 02 003c 'a' 00", 15);
    check(Version::V311, "10|'MQTT' 09 02", 8);
    check(
        Version::V5,
        "10|'MQTT' 05 02 003c [ 11 00000001 11 00000001 ] 'a'",
        18,
    );
    check(Version::V5, "30|'a+' [] 00", 2);
    check(Version::V5, "32|'a' 0000 []", 5);
    check(Version::V5, "32|'a' 0001 [ 23 0000 ]", 8);
    check(Version::V5, "82|0001 [] 'a' 03", 8);
}

#[test]
fn connect_comes_first() {
    let check = |text: &str, expected: Result<Option<&str>, ReasonCode>| {
        let found = decode_connect(&bytes(text), &CLIENT);
        let found = found.map(|found| found.map(|(connect, _)| connect.client_id));
        let expected = expected.map(|id| id.map(str::to_owned));
        assert_eq!(
            found.map_err(|error| error.reason_code()),
            expected,
            "{text}"
        );
    };
    check("", Ok(None));
    check("10", Ok(None));
    check("10|'MQTT' 04 02 003c 'a'", Ok(Some("a")));
    check("10|'MQTT' 05 02 003c [] 'b'", Ok(Some("b")));
    check("30", Err(ReasonCode::ProtocolError));
    check("c0", Err(ReasonCode::ProtocolError));
    check("f0", Err(ReasonCode::ProtocolError));
    check("00", Err(ReasonCode::ProtocolError));
    check("11", Err(ReasonCode::MalformedPacket));
}

/// The two old and the two strange ways to ask for another protocol.
// tests aws-iot [MQ-1]; tests mqtt5 [MQTT-3.1.2-2]; tests mqtt311 [MQTT-3.1.2-2]
#[test]
fn other_versions_are_told_apart() {
    let check = |text: &str, level: u8, answer_in: Version| {
        let error = decode_connect(&bytes(text), &CLIENT).unwrap_err();
        let DecodeError::UnsupportedVersion {
            level: found,
            answer_in: version,
            ..
        } = error
        else {
            panic!("{text}: {error}");
        };
        assert_eq!((found, version), (level, answer_in), "{text}");
        assert_eq!(error.reason_code(), ReasonCode::UnsupportedProtocolVersion);
        assert_eq!(error.reason_code().connack_v311(), Some(0x01));
    };
    check("10|'MQIsdp' 03 02 003c 'a'", 3, Version::V311);
    check("10|'MQIsdp' 05 02 003c 'a'", 5, Version::V311);
    check("10|'MQTT' 03 02 003c 'a'", 3, Version::V311);
    check("10|'MQTT' 00 02 003c 'a'", 0, Version::V311);
    check("10|'MQTT' 06 02 003c 'a'", 6, Version::V5);
    check("10|'MQTT' 84 02 003c 'a'", 0x84, Version::V5);
}

/// Both sides of each limit.
// tests aws-iot [MQ-30], [MQ-40], [MQ-83]
#[test]
fn limits_hold_at_their_border() {
    let small = Limits {
        sender: Sender::Client,
        packet_bytes_max: 40,
        filters_max: 2,
        user_property_bytes_max: 6,
        topic: TopicLimits {
            bytes_max: 5,
            levels_max: 2,
        },
    };
    let check = |text: &str, expected: Option<ReasonCode>| {
        let found = decode(&bytes(text), Version::V5, &small);
        assert_eq!(
            found.err().map(|error| error.reason_code()),
            expected,
            "{text}"
        );
    };
    check("30 26", None);
    check("30 27", Some(ReasonCode::PacketTooLarge));
    check("82|0001 [] 'a' 00 'b' 00", None);
    check(
        "82|0001 [] 'a' 00 'b' 00 'c' 00",
        Some(ReasonCode::QuotaExceeded),
    );
    check("a2|0001 [] 'a' 'b'", None);
    check("a2|0001 [] 'a' 'b' 'c'", Some(ReasonCode::QuotaExceeded));
    check("30|'a' [ 26'a''bc' 26'abc''' ]", None);
    check(
        "30|'a' [ 26'a''bc' 26'abc''d' ]",
        Some(ReasonCode::QuotaExceeded),
    );
    check("30|'a/bcd' []", None);
    check("30|'a/bcde' []", Some(ReasonCode::TopicNameInvalid));
    check("30|'a/b/c' []", Some(ReasonCode::TopicNameInvalid));
    check("30|'a' [ 08'a/b/c' ]", Some(ReasonCode::TopicNameInvalid));
}

#[test]
fn a_large_packet_is_refused_before_it_is_buffered() {
    let limits = Limits {
        packet_bytes_max: 1000,
        ..CLIENT
    };
    // 1 + 2 + 997 bytes, and one more.
    assert_eq!(
        packet_len(&bytes("30 e507"), Version::V311, &limits),
        Ok(Some(1000))
    );
    let error = DecodeError::TooLarge {
        len: 1001,
        max: 1000,
    };
    assert_eq!(
        packet_len(&bytes("30 e607"), Version::V311, &limits),
        Err(error.clone())
    );
    assert_eq!(
        decode(&bytes("30 e607"), Version::V311, &limits),
        Err(error)
    );
    // Not yet known.
    assert_eq!(decode(&bytes("30 e6"), Version::V311, &limits), Ok(None));
    let largest = DecodeError::TooLarge {
        len: 268_435_460,
        max: 1000,
    };
    assert_eq!(
        decode(&bytes("30 ffffff7f"), Version::V5, &limits),
        Err(largest)
    );
}

#[test]
fn large_payloads_share_the_buffer_and_small_ones_do_not() {
    let check = |payload_bytes: usize, shares: bool| {
        let mut buffer = BytesMut::from(&bytes("30")[..]);
        let body = bytes("'a' []").len() + payload_bytes;
        buffer.extend_from_slice(&[
            u8::try_from(body % 128).unwrap() | 0x80,
            u8::try_from(body / 128).unwrap(),
        ]);
        buffer.extend_from_slice(&bytes("'a' []"));
        buffer.extend_from_slice(&vec![b'x'; payload_bytes]);
        let range = buffer.as_ptr_range();
        let Ok(Some(Packet::Publish(publish))) = decode_from(&mut buffer, Version::V5, &CLIENT)
        else {
            panic!("not a publish");
        };
        assert_eq!(publish.payload.len(), payload_bytes);
        assert_eq!(
            range.contains(&publish.payload.as_ptr()),
            shares,
            "{payload_bytes}"
        );
    };
    check(1023, false);
    check(1024, true);
}

#[test]
fn a_refused_topic_says_why() {
    let error = decode(&bytes("30|'a/+' []"), Version::V5, &CLIENT).unwrap_err();
    let source = TopicError::Wildcard { at: 2 };
    assert_eq!(
        error,
        DecodeError::TopicName {
            field: "topic",
            at: 2,
            source
        }
    );
    assert_eq!(
        error.to_string(),
        "topic is not a valid topic name (byte 2)"
    );
}

#[test]
fn an_empty_client_id_is_reported_not_judged() {
    for text in ["10|'MQTT' 04 00 003c ''", "10|'MQTT' 05 00 003c [] ''"] {
        let (connect, _) = decode_connect(&bytes(text), &CLIENT).unwrap().unwrap();
        assert_eq!(
            (connect.client_id.as_str(), connect.clean_start),
            ("", false)
        );
    }
}

#[test]
fn correlation_data_and_payload_are_kept_as_they_are() {
    let packet = bytes("31|'a' [ 09 0003 000102 01 01 ] ff00fe");
    let Ok(Some((Packet::Publish(publish), _))) = decode(&packet, Version::V5, &CLIENT) else {
        panic!("not a publish");
    };
    assert_eq!(publish.payload, Bytes::from_static(&[0xFF, 0x00, 0xFE]));
    let correlation = publish.properties.correlation_data.unwrap();
    assert_eq!(correlation, Bytes::from_static(&[0, 1, 2]));
    assert!(publish.retain && !publish.dup);
}

#[test]
fn the_version_of_a_connect_that_is_refused() {
    let check = |text: &str, expected| {
        assert_eq!(connect_version(&bytes(text)), expected, "{text}");
    };
    check("10|'MQTT' 05 02 003c [ ff ]", Some(Version::V5));
    check("10|'MQTT' 04 02", Some(Version::V311));
    // Too large, and so not read further than this.
    check("10 ff ff ff 7f 'MQTT' 05", Some(Version::V5));
    check("10 ff ff ff 7f 'MQTT'", None);
    check("10|'MQTT' 06 02 003c", None);
    check("10|'MQIsdp' 03 02 003c", None);
    check("10 80 80 80 80 80", None);
    check("10 80", None);
    check("10", None);
    check("", None);
}
