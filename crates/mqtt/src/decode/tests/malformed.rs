//! What is no packet, and the reason its sender is given.

use super::{CLIENT, SERVER, check_split};
use crate::notation::bytes;
use crate::packet::Version;
use crate::{Limits, decode};

/// Each line of `cases` is a version, a packet, `=>`, the reason code, and how
/// the error goes on after its family.
#[track_caller]
fn check_all(limits: &Limits, cases: &str) {
    let complaints: Vec<String> = cases
        .trim()
        .lines()
        .filter_map(|case| complaint(limits, case))
        .collect();
    assert_eq!(complaints, Vec::<String>::new());
}

/// What differs from what `case` says.
fn complaint(limits: &Limits, case: &str) -> Option<String> {
    let (version, rest) = case.trim().split_once(' ').unwrap();
    let version = if version == "v5" {
        Version::V5
    } else {
        Version::V311
    };
    let (packet, expected) = rest.split_once("=>").unwrap();
    let packet = bytes(packet);
    match decode(&packet, version, limits) {
        Err(error) => {
            check_split(&packet, version, limits);
            let (code, text) = (error.reason_code().byte(), error.to_string());
            let (expected_code, expected_text) = expected.trim().split_once(' ').unwrap();
            let as_said = format!("{code:02x}") == expected_code
                && text.contains(expected_text)
                && error.at() <= packet.len();
            (!as_said).then(|| format!("{case}: {code:02x} {text}"))
        }
        other => Some(format!("{case}: {other:?}")),
    }
}

/// What the corpus of the conformance suite says of a client's packets, one by one.
// tests mqtt5 [MQTT-4.13.1-1]; tests mqtt311 [MQTT-4.8.0-1]; tests aws-iot [MQ-75], [MQ-80], [MQ-82]
#[test]
fn packets_of_a_client() {
    const CORPUS: &str = include_str!("../../../../../tests/conformance/malformed.txt");
    let is_case = |line: &&str| !line.is_empty() && !line.starts_with('#');
    let cases: Vec<&str> = CORPUS.lines().filter(is_case).collect();
    assert!(300 <= cases.len(), "{} cases", cases.len());
    check_all(&CLIENT, &cases.join("\n"));
}

#[test]
fn packets_of_the_other_side() {
    check_all(
        &SERVER,
        r#"
            v311 10| => 82 packet type is not for this side
            v5   82| => 82 packet type is not for this side
            v5   a2| => 82 packet type is not for this side
            v5   c0| => 82 packet type is not for this side
            v311 e0| => 82 packet type is not for this side
            v5   e0|00[ 11 00000001 ] => 82 session expiry interval is not for a server
            v5   e0|04 => 82 reason code is not for this packet
            v5   f0|19[ 15 'm' ] => 82 reason code is not for this packet
        "#,
    );
}

// tests mqtt5 [MQTT-3.2.2-1], [MQTT-3.2.2-6]; tests mqtt311 [MQTT-3.2.2-4]
#[test]
fn connack() {
    check_all(
        &SERVER,
        r#"
            v311 20| => 81 connect acknowledge flags cut short
            v311 20|00 => 81 return code cut short
            v311 20|0200 => 81 connect acknowledge flags have reserved bits
            v5   20|8000[] => 81 connect acknowledge flags have reserved bits
            v311 20|0006 => 81 return code is reserved
            v311 20|0105 => 82 session present is set on a refusal
            v5   20|0187[] => 82 session present is set on a refusal
            v311 20|000000 => 81 packet has bytes after its end
            v5   20|0001[] => 82 reason code is not for this packet
            v5   20|008e[] => 82 reason code is not for this packet
            v5   20|0005[] => 81 reason code is not known
            v5   20|0000 => 81 property length cut short
            v5   20|0000[ 2402 ] => 82 maximum QoS is neither 0 nor 1
            v5   20|0000[ 2401 2401 ] => 82 maximum QoS occurs twice
            v5   20|0000[ 2501 2500 ] => 82 retain available occurs twice
            v5   20|0000[ 2802 ] => 82 wildcard subscription available is neither
            v5   20|0000[ 2901 2901 ] => 82 subscription identifiers available occurs
            v5   20|0000[ 2a01 2a01 ] => 82 shared subscription available occurs
            v5   20|0000[ 12'a' 12'b' ] => 82 assigned client identifier occurs
            v5   20|0000[ 130001 130001 ] => 82 server keep alive occurs twice
            v5   20|0000[ 1a'' 1a'' ] => 82 response information occurs twice
            v5   20|0000[ 1c'' 1c'' ] => 82 server reference occurs twice
            v5   20|0000[ 1f'' 1f'' ] => 82 reason string occurs twice
            v5   20|0000[ 210000 ] => 82 receive maximum is zero
            v5   20|0000[ 2700000000 ] => 82 maximum packet size is zero
            v5   20|0000[ 1701 ] => 81 request problem information is not a property
        "#,
    );
}

// tests mqtt5 [MQTT-3.3.1-2], [MQTT-3.3.1-4], [MQTT-3.3.2-2], [MQTT-3.3.2-8], [MQTT-2.2.1-3]
// tests mqtt311 [MQTT-3.3.1-2], [MQTT-3.3.1-4], [MQTT-3.3.2-2], [MQTT-2.3.1-1]
// tests aws-iot [MQ-80], [MQ-82]
#[test]
fn publish() {
    check_all(
        &SERVER,
        r#"
            v5   30|'a' [ 0b00 ] => 82 subscription identifier is zero
            v5   30|'a' [ 0b8000 ] => 81 subscription identifier is not in its shortest
            v5   30|'a' [ 0bffffffff01 ] => 81 subscription identifier is longer than
        "#,
    );
}

// tests mqtt5 [MQTT-3.9.3-2], [MQTT-3.11.3-2]; tests mqtt311 [MQTT-3.9.3-2]
#[test]
fn subscribe_answers() {
    check_all(
        &SERVER,
        r#"
            v311 90|0001 => 82 reason codes are missing
            v5   90|0001[] => 82 reason codes are missing
            v311 90|0000 00 => 82 packet identifier is zero
            v311 90|0001 03 => 81 return code is reserved
            v311 90|0001 87 => 81 return code is reserved
            v5   90|0001[] 03 => 81 reason code is not known
            v5   90|0001[] 11 => 82 reason code is not for this packet
            v5   90|0001[ 0b01 ] 00 => 81 subscription identifier is not a property
            v311 b0|0000 => 82 packet identifier is zero
            v311 b0|0001 00 => 81 packet has bytes after its end
            v5   b0|0001[] => 82 reason codes are missing
            v5   b0|0001[] 01 => 82 reason code is not for this packet
        "#,
    );
}

// tests mqtt5 [MQTT-3.14.1-1], [MQTT-3.15.1-1]; tests mqtt311 [MQTT-3.14.1-1]
#[test]
fn endings() {
    check_all(
        &SERVER,
        r#"
            v311 d0|00 => 81 packet has bytes after its end
        "#,
    );
}
