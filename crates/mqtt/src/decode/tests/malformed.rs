//! What is no packet, and the reason its sender is given.

use super::{CLIENT, SERVER, check_split};
use crate::notation::bytes;
use crate::packet::Version;
use crate::{Limits, decode};

/// Each line of `cases` is a version, a packet, `=>`, the reason code, and how
/// the error goes on after its family.
#[track_caller]
fn check_all(limits: &Limits, cases: &str) {
    for case in cases.trim().lines() {
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
                let (code, text) = (error.reason_code().byte(), error.to_string());
                let (expected_code, expected_text) = expected.trim().split_once(' ').unwrap();
                assert_eq!(format!("{code:02x}"), expected_code, "{case}: {text}");
                assert!(text.contains(expected_text), "{case}: {text}");
                assert!(error.at() <= packet.len(), "{case}: {text}");
                check_split(&packet, version, limits);
            }
            other => panic!("{case}: {other:?}"),
        }
    }
}

// tests mqtt5 [MQTT-2.1.3-1], [MQTT-1.5.5-1]; tests mqtt311 [MQTT-2.2.2-1], [MQTT-2.2.2-2]
#[test]
fn fixed_headers() {
    check_all(
        &CLIENT,
        r#"
            v311 00| => 81 packet type is reserved
            v5   00| => 81 packet type is reserved
            v311 f0| => 81 packet type is reserved
            v5   11| => 81 fixed header flags
            v5   18| => 81 fixed header flags
            v5   41|0001 => 81 fixed header flags
            v5   52|0001 => 81 fixed header flags
            v5   60|0001 => 81 fixed header flags
            v311 60|0001 => 81 fixed header flags
            v5   63|0001 => 81 fixed header flags
            v5   74|0001 => 81 fixed header flags
            v5   80|0001 => 81 fixed header flags
            v311 80|0001 => 81 fixed header flags
            v5   8a|0001 => 81 fixed header flags
            v5   a0|0001 => 81 fixed header flags
            v311 a3|0001 => 81 fixed header flags
            v5   c1| => 81 fixed header flags
            v5   e8| => 81 fixed header flags
            v5   f1| => 81 fixed header flags
            v5   c0 80 00 => 81 remaining length is not in its shortest form
            v5   c0 80 80 80 00 => 81 remaining length is not in its shortest form
            v5   30 80 80 80 80 => 81 remaining length is longer than four bytes
            v311 30 ff ff ff ff => 81 remaining length is longer than four bytes
            v5   30 ff ff ff 7f => 95 over the limit of
            v311 30 ff ff ff 7f => 95 over the limit of
        "#,
    );
}

#[test]
fn packets_of_the_other_side() {
    check_all(
        &CLIENT,
        r#"
            v311 20|0000 => 82 packet type is not for this side
            v5   20|0000[] => 82 packet type is not for this side
            v5   90|0001[]00 => 82 packet type is not for this side
            v5   b0|0001[]00 => 82 packet type is not for this side
            v311 d0| => 82 packet type is not for this side
            v5   30|'a' [ 0b 01 ] => 82 subscription identifier is not for a client
            v5   e0|00[ 1c 'b' ] => 82 server reference is not for a client
            v5   e0|8b => 82 reason code is not for this packet
            v5   e0|8e => 82 reason code is not for this packet
            v5   f0| => 81 reason code cut short
            v5   f0|00[ 15 'm' ] => 82 reason code is not for this packet
        "#,
    );
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

// tests mqtt5 [MQTT-3.1.2-1], [MQTT-3.1.2-3], [MQTT-3.1.2-11], [MQTT-3.1.2-12], [MQTT-3.1.2-13]
// tests mqtt311 [MQTT-3.1.2-3], [MQTT-3.1.2-13], [MQTT-3.1.2-14], [MQTT-3.1.2-15], [MQTT-3.1.2-22]
#[test]
fn connect() {
    check_all(
        &CLIENT,
        r#"
            v311 10| => 81 protocol name cut short
            v311 10|00 => 81 protocol name cut short
            v311 10|0004 "MQT" => 81 protocol name cut short
            v311 10|'mqtt' 04 02 003c 'a' => 81 protocol name is not MQTT
            v311 10|'MQTTX' 04 02 003c 'a' => 81 protocol name is not MQTT
            v311 10|'' 04 02 003c 'a' => 81 protocol name is not MQTT
            v311 10|'HTTP' 04 02 003c 'a' => 81 protocol name is not MQTT
            v311 10|0002 fffe 04 02 003c 'a' => 81 protocol name is not well-formed
            v311 10|'MQTT' => 81 protocol level cut short
            v311 10|'MQIsdp' 03 02 003c 'a' => 84 protocol level 3
            v311 10|'MQTT' 03 02 003c 'a' => 84 protocol level 3
            v311 10|'MQTT' 06 02 003c 'a' => 84 protocol level 6
            v311 10|'MQTT' 84 02 003c 'a' => 84 protocol level 132
            v311 10|'MQTT' 04 => 81 connect flags cut short
            v311 10|'MQTT' 04 03 003c 'a' => 81 connect flags have the reserved bit
            v5   10|'MQTT' 05 03 003c [] 'a' => 81 connect flags have the reserved bit
            v311 10|'MQTT' 04 0a 003c 'a' => 81 connect flags describe a will
            v311 10|'MQTT' 04 12 003c 'a' => 81 connect flags describe a will
            v311 10|'MQTT' 04 22 003c 'a' => 81 connect flags describe a will
            v5   10|'MQTT' 05 0a 003c [] 'a' => 81 connect flags describe a will
            v5   10|'MQTT' 05 22 003c [] 'a' => 81 connect flags describe a will
            v311 10|'MQTT' 04 1e 003c 'a' 'w' '' => 81 will QoS is 3
            v5   10|'MQTT' 05 1e 003c [] 'a' [] 'w' '' => 81 will QoS is 3
            v311 10|'MQTT' 04 42 003c 'a' 'p' => 81 a password without a user name
            v311 10|'MQTT' 04 02 => 81 keep alive cut short
            v311 10|'MQTT' 04 02 00 => 81 keep alive cut short
            v311 10|'MQTT' 04 02 003c => 81 client identifier cut short
            v311 10|'MQTT' 04 02 003c 0002 "a" => 81 client identifier cut short
            v311 10|'MQTT' 04 02 003c 0001 ff => 81 client identifier is not well-formed
            v311 10|'MQTT' 04 02 003c 0003 eda080 => 81 is not well-formed UTF-8
            v311 10|'MQTT' 04 02 003c 0002 c080 => 81 is not well-formed UTF-8
            v311 10|'MQTT' 04 02 003c 0001 00 => 81 client identifier holds U+0000
            v311 10|'MQTT' 04 02 003c 'a' 'b' => 81 packet has bytes after its end
            v5   10|'MQTT' 05 02 003c [] 'a' 00 => 81 packet has bytes after its end
            v311 10|'MQTT' 04 06 003c 'a' => 81 will topic cut short
            v311 10|'MQTT' 04 06 003c 'a' '' '' => 90 will topic is not a valid
            v311 10|'MQTT' 04 06 003c 'a' 'w/#' '' => 90 will topic is not a valid
            v5   10|'MQTT' 05 06 003c [] 'a' [] '+' '' => 90 will topic is not a valid
            v311 10|'MQTT' 04 06 003c 'a' 'w' => 81 will payload cut short
            v311 10|'MQTT' 04 06 003c 'a' 'w' 0005 00 => 81 will payload cut short
            v311 10|'MQTT' 04 82 003c 'a' => 81 user name cut short
            v311 10|'MQTT' 04 82 003c 'a' 0001 ff => 81 user name is not well-formed
            v311 10|'MQTT' 04 c2 003c 'a' 'u' => 81 password cut short
            v311 10|'MQTT' 04 c2 003c 'a' 'u' 0002 00 => 81 password cut short
        "#,
    );
}

// tests mqtt5 [MQTT-1.5.5-1]
#[test]
fn connect_properties() {
    check_all(
        &CLIENT,
        r#"
            v5   10|'MQTT' 05 02 003c => 81 property length cut short
            v5   10|'MQTT' 05 02 003c 8000 'a' => 81 property length is not in its shortest
            v5   10|'MQTT' 05 02 003c 80808080 'a' => 81 property length is longer than four
            v5   10|'MQTT' 05 02 003c 09 11 => 81 properties cut short
            v5   10|'MQTT' 05 02 003c [ 00 ] 'a' => 81 property identifier is not known
            v5   10|'MQTT' 05 02 003c [ 2b ] 'a' => 81 property identifier is not known
            v5   10|'MQTT' 05 02 003c [ ff7f ] 'a' => 81 property identifier is not known
            v5   10|'MQTT' 05 02 003c [ 9100 ] 'a' => 81 property identifier is not in its
            v5   10|'MQTT' 05 02 003c [ 11 0000 ] 'a' => 81 session expiry interval cut short
            v5   10|'MQTT' 05 02 003c [ 21 0000 ] 'a' => 82 receive maximum is zero
            v5   10|'MQTT' 05 02 003c [ 27 00000000 ] 'a' => 82 maximum packet size is zero
            v5   10|'MQTT' 05 02 003c [ 19 02 ] 'a' => 82 is neither 0 nor 1
            v5   10|'MQTT' 05 02 003c [ 17 ff ] 'a' => 82 is neither 0 nor 1
            v5   10|'MQTT' 05 02 003c [ 1701 1701 ] 'a' => 82 information occurs twice
            v5   10|'MQTT' 05 02 003c [ 1901 1901 ] 'a' => 82 information occurs twice
            v5   10|'MQTT' 05 02 003c [ 1100000000 1100000000 ] 'a' => 82 occurs twice
            v5   10|'MQTT' 05 02 003c [ 210001 210001 ] 'a' => 82 maximum occurs twice
            v5   10|'MQTT' 05 02 003c [ 2700000001 2700000001 ] 'a' => 82 occurs twice
            v5   10|'MQTT' 05 02 003c [ 220000 220000 ] 'a' => 82 topic alias maximum occurs
            v5   10|'MQTT' 05 02 003c [ 15'm' 15'm' ] 'a' => 82 method occurs twice
            v5   10|'MQTT' 05 02 003c [ 15'm' 16'd' 16'd' ] 'a' => 82 data occurs twice
            v5   10|'MQTT' 05 02 003c [ 16'd' ] 'a' => 82 authentication data comes without
            v5   10|'MQTT' 05 02 003c [ 26'k' ] 'a' => 81 user property value cut short
            v5   10|'MQTT' 05 02 003c [ 26 0001 ff 'v' ] 'a' => 81 property name is not well
            v5   10|'MQTT' 05 02 003c [ 26'k' 0001 00 ] 'a' => 81 property value holds U+0000
            v5   10|'MQTT' 05 02 003c [ 0101 ] 'a' => 81 payload format indicator is not a
            v5   10|'MQTT' 05 02 003c [ 230001 ] 'a' => 81 topic alias is not a property
            v5   10|'MQTT' 05 02 003c [ 18 00000001 ] 'a' => 81 will delay interval is not a
            v5   10|'MQTT' 05 06 003c [] 'a' [ 11 00000001 ] 'w' '' => 81 is not a property
            v5   10|'MQTT' 05 06 003c [] 'a' [ 0102 ] 'w' '' => 82 is neither 0 nor 1
            v5   10|'MQTT' 05 06 003c [] 'a' [ 08'r/#' ] 'w' '' => 90 response topic is not
            v5   10|'MQTT' 05 06 003c [] 'a' [ 1800000001 1800000001 ] 'w' '' => 82 twice
            v5   10|'MQTT' 05 06 003c [] 'a' [ 0200000001 0200000001 ] 'w' '' => 82 twice
            v5   10|'MQTT' 05 06 003c [] 'a' [ 03't' 03't' ] 'w' '' => 82 occurs twice
            v5   10|'MQTT' 05 06 003c [] 'a' [ 08'r' 08'r' ] 'w' '' => 82 occurs twice
            v5   10|'MQTT' 05 06 003c [] 'a' [ 09'c' 09'c' ] 'w' '' => 82 occurs twice
            v5   10|'MQTT' 05 06 003c [] 'a' => 81 property length cut short
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
        &CLIENT,
        r#"
            v311 36|'a' 0001 => 81 PUBLISH QoS is 3
            v5   3e|'a' 0001 [] => 81 PUBLISH QoS is 3
            v311 38|'a' => 81 PUBLISH DUP is set
            v5   39|'a' [] => 81 PUBLISH DUP is set
            v311 30| => 81 topic cut short
            v311 30|0005 "a" => 81 topic cut short
            v311 30|'' => 90 topic is not a valid topic name
            v5   30|'' [] => 82 topic is empty and has no alias
            v5   32|'' 0001 [ 0101 ] => 82 topic is empty and has no alias
            v311 30|'a/+' => 90 topic is not a valid topic name
            v311 30|'#' => 90 topic is not a valid topic name
            v5   30|'a#' [] => 90 topic is not a valid topic name
            v5   30|'+/a' [] => 90 topic is not a valid topic name
            v311 30|0001 00 => 81 topic holds U+0000
            v311 30|0001 80 => 81 topic is not well-formed UTF-8
            v311 30|0004 f4908080 => 81 topic is not well-formed UTF-8
            v311 32|'a' => 81 packet identifier cut short
            v311 32|'a' 00 => 81 packet identifier cut short
            v311 32|'a' 0000 => 82 packet identifier is zero
            v5   34|'a' 0000 [] => 82 packet identifier is zero
            v5   30|'a' => 81 property length cut short
            v5   30|'a' 05 01 => 81 properties cut short
            v5   30|'a' [ 01 ] => 81 payload format indicator cut short
            v5   30|'a' [ 0102 ] => 82 payload format indicator is neither
            v5   30|'a' [ 0101 0101 ] => 82 payload format indicator occurs twice
            v5   30|'a' [ 02 000001 ] => 81 message expiry interval cut short
            v5   30|'a' [ 0200000001 0200000001 ] => 82 expiry interval occurs twice
            v5   30|'a' [ 23 0000 ] => 94 topic alias is zero
            v5   30|'' [ 23 0000 ] => 94 topic alias is zero
            v5   30|'a' [ 230001 230001 ] => 82 topic alias occurs twice
            v5   30|'a' [ 08'' ] => 90 response topic is not a valid
            v5   30|'a' [ 08'r/+' ] => 90 response topic is not a valid
            v5   30|'a' [ 08'r' 08'r' ] => 82 response topic occurs twice
            v5   30|'a' [ 09 0002 00 ] => 81 correlation data cut short
            v5   30|'a' [ 09'' 09'' ] => 82 correlation data occurs twice
            v5   30|'a' [ 03 0001 ff ] => 81 content type is not well-formed
            v5   30|'a' [ 03'' 03'' ] => 82 content type occurs twice
            v5   30|'a' [ 11 00000001 ] => 81 session expiry interval is not a property
            v5   30|'a' [ 1f'' ] => 81 reason string is not a property
        "#,
    );
    check_all(
        &SERVER,
        r#"
            v5   30|'a' [ 0b00 ] => 82 subscription identifier is zero
            v5   30|'a' [ 0b8000 ] => 81 subscription identifier is not in its shortest
            v5   30|'a' [ 0bffffffff01 ] => 81 subscription identifier is longer than
        "#,
    );
}

// tests mqtt5 [MQTT-3.6.1-1], [MQTT-3.4.2-1], [MQTT-3.6.2-1]; tests mqtt311 [MQTT-3.6.1-1]
#[test]
fn acknowledgements() {
    check_all(
        &CLIENT,
        r#"
            v311 40| => 81 packet identifier cut short
            v311 40|00 => 81 packet identifier cut short
            v311 40|0000 => 82 packet identifier is zero
            v5   50|0000 => 82 packet identifier is zero
            v5   62|0000 => 82 packet identifier is zero
            v5   70|0000 => 82 packet identifier is zero
            v311 40|000100 => 81 packet has bytes after its end
            v311 62|000100 => 81 packet has bytes after its end
            v5   40|000103 => 81 reason code is not known
            v5   40|000192 => 82 reason code is not for this packet
            v5   50|000101 => 82 reason code is not for this packet
            v5   62|000187 => 82 reason code is not for this packet
            v5   70|000110 => 82 reason code is not for this packet
            v5   40|000100 01 => 81 properties cut short
            v5   40|000100 [ 1f'' 1f'' ] => 82 reason string occurs twice
            v5   40|000100 [ 0101 ] => 81 payload format indicator is not a property
            v5   40|000100 [] 00 => 81 packet has bytes after its end
        "#,
    );
}

// tests mqtt5 [MQTT-3.8.1-1], [MQTT-3.8.3-2], [MQTT-3.8.3-4], [MQTT-3.8.3-5]
// tests mqtt311 [MQTT-3.8.1-1], [MQTT-3.8.3-3], [MQTT-3-8.3-4]; tests aws-iot [MQ-75]
#[test]
fn subscribe() {
    check_all(
        &CLIENT,
        r#"
            v311 82| => 81 packet identifier cut short
            v311 82|0000 'a' 00 => 82 packet identifier is zero
            v311 82|0001 => 82 topic filters are missing
            v5   82|0001 [] => 82 topic filters are missing
            v5   82|0001 => 81 property length cut short
            v311 82|0001 'a' => 81 subscription options cut short
            v311 82|0001 'a' 00 'b' => 81 subscription options cut short
            v311 82|0001 0002 "a" => 81 topic filter cut short
            v311 82|0001 0001 ff 00 => 81 topic filter is not well-formed
            v311 82|0001 0001 00 00 => 81 topic filter holds U+0000
            v311 82|0001 'a' 03 => 81 subscription QoS is 3
            v5   82|0001 [] 'a' 03 => 81 subscription QoS is 3
            v311 82|0001 'a' 04 => 81 subscription options have reserved bits
            v311 82|0001 'a' 80 => 81 subscription options have reserved bits
            v5   82|0001 [] 'a' 40 => 81 subscription options have reserved bits
            v5   82|0001 [] 'a' 80 => 81 subscription options have reserved bits
            v5   82|0001 [] 'a' 30 => 82 retain handling is 3
            v5   82|0001 [] '$share/g/a' 04 => 82 no local is set on a shared
            v5   82|0001 [ 0b00 ] 'a' 00 => 82 subscription identifier is zero
            v5   82|0001 [ 0b01 0b02 ] 'a' 00 => 82 subscription identifier occurs twice
            v5   82|0001 [ 1f'' ] 'a' 00 => 81 reason string is not a property
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

// tests mqtt5 [MQTT-3.10.1-1], [MQTT-3.10.3-2]; tests mqtt311 [MQTT-3.10.1-1], [MQTT-3.10.3-2]
#[test]
fn unsubscribe() {
    check_all(
        &CLIENT,
        r#"
            v311 a2| => 81 packet identifier cut short
            v311 a2|0000 'a' => 82 packet identifier is zero
            v311 a2|0001 => 82 topic filters are missing
            v5   a2|0001 [] => 82 topic filters are missing
            v311 a2|0001 'a' 00 => 81 topic filter cut short
            v311 a2|0001 0001 ff => 81 topic filter is not well-formed
            v5   a2|0001 [ 0b01 ] 'a' => 81 subscription identifier is not a property
        "#,
    );
}

// tests mqtt5 [MQTT-3.14.1-1], [MQTT-3.15.1-1]; tests mqtt311 [MQTT-3.14.1-1]
#[test]
fn endings() {
    check_all(
        &CLIENT,
        r#"
            v311 c0|00 => 81 packet has bytes after its end
            v5   c0|00 => 81 packet has bytes after its end
            v311 e0|00 => 81 packet has bytes after its end
            v5   e0|01 => 82 reason code is not for this packet
            v5   e0|05 => 81 reason code is not known
            v5   e0|00 05 => 81 properties cut short
            v5   e0|00 [] 00 => 81 packet has bytes after its end
            v5   e0|00 [ 1100000001 1100000001 ] => 82 session expiry interval occurs
            v5   e0|00 [ 1f'' 1f'' ] => 82 reason string occurs twice
            v5   e0|00 [ 210001 ] => 81 receive maximum is not a property
            v5   f0|18 => 81 property length cut short
            v5   f0|18[] => 82 authentication method is missing
            v5   f0|18[ 16'd' ] => 82 authentication method is missing
            v5   f0|01[ 15'm' ] => 82 reason code is not for this packet
            v5   f0|18[ 15'm' 15'm' ] => 82 authentication method occurs twice
            v5   f0|18[ 15'm' 16'' 16'' ] => 82 authentication data occurs twice
            v5   f0|18[ 15'm' 230001 ] => 81 topic alias is not a property
        "#,
    );
    check_all(
        &SERVER,
        r#"
            v311 d0|00 => 81 packet has bytes after its end
        "#,
    );
}
