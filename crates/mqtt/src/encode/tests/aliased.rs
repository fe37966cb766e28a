//! Copies with an alias, against the same packet encoded whole.

use super::*;
use crate::session::Alias;

fn alias() -> impl Strategy<Value = Alias> {
    let number = any::<NonZeroU16>();
    prop_oneof![
        Just(Alias::Name),
        number.clone().prop_map(Alias::Assign),
        number.prop_map(Alias::Use),
    ]
}

proptest! {
    // tests mqtt5 [MQTT-3.3.2-11]
    #[test]
    fn a_copy_with_an_alias_is_that_packet(
        message in generate::publish(Version::V5, Sender::Client),
        name in "[a-z/]{1,200}",
        alias in alias(),
        (qos, retain, dup) in (0_u8..3, any::<bool>(), any::<bool>()),
        packet_bytes_max in prop_oneof![Just(usize::MAX), 0_usize..400],
        number in any::<NonZeroU16>(),
    ) {
        let name = topic(&name);
        let message = Publish { topic: Some(name.clone()), ..message };
        let qos = QoS::parse(qos).unwrap();
        let expiry = message.properties.message_expiry_s;
        let class = DeliveryClass {
            version: Version::V5,
            qos,
            retain,
            message_expiry_s: expiry,
            subscription_identifiers: &[],
        };
        let image = PublishImage::encode(&message, &class).unwrap();
        let mut out = BytesMut::from(&b"before"[..]);
        let found = image.write_aliased(
            &message.payload, alias, Some(number), dup, packet_bytes_max, &mut out,
        );
        let aliased = found.unwrap();
        let limits = Limits { sender: Sender::Server, ..Limits::STANDARD };
        let limits = Limits { packet_bytes_max: usize::MAX, ..limits };
        let packet = decode(&out[6..], Version::V5, &limits).unwrap();
        let (topic, topic_alias) = match alias {
            Alias::Assign(number) if aliased => (Some(name), Some(number)),
            Alias::Use(number) if aliased => (None, Some(number)),
            _ => (Some(name), None),
        };
        let acknowledged = qos != QoS::AtMostOnce;
        let expected = Publish {
            dup: dup && acknowledged,
            qos,
            retain,
            topic,
            packet_id: acknowledged.then_some(number),
            properties: PublishProperties {
                topic_alias,
                subscription_identifiers: Vec::new(),
                ..message.properties.clone()
            },
            ..message.clone()
        };
        prop_assert_eq!(packet, Some((Packet::Publish(expected), out.len() - 6)));
        let fits = out.len() - 6 <= packet_bytes_max;
        prop_assert!(fits || !aliased);
        prop_assert!(aliased || alias == Alias::Name || image.packet_bytes() + 4 > packet_bytes_max);
    }
}

#[test]
fn what_a_copy_with_an_alias_looks_like() {
    let mut message = a_publish();
    message.qos = QoS::AtLeastOnce;
    let class = DeliveryClass {
        version: Version::V5,
        qos: QoS::AtLeastOnce,
        retain: false,
        message_expiry_s: Some(9),
        subscription_identifiers: &[],
    };
    let image = PublishImage::encode(&message, &class).unwrap();
    let check = |alias, max, expected: &str| {
        let mut out = BytesMut::new();
        let written = image.write_aliased(b"hi", alias, Some(id(7)), true, max, &mut out);
        assert_eq!(written, Ok(expected.contains("23")));
        assert_eq!(out, notation::bytes(expected), "{expected}");
    };
    let number = id(5);
    check(Alias::Name, 100, "3a|'a/b' 0007 [ 0200000009 ] \"hi\"");
    check(
        Alias::Assign(number),
        100,
        "3a|'a/b' 0007 [ 23 0005 0200000009 ] \"hi\"",
    );
    check(
        Alias::Use(number),
        100,
        "3a|'' 0007 [ 23 0005 0200000009 ] \"hi\"",
    );
    // One byte too large with it.
    check(
        Alias::Assign(number),
        19,
        "3a|'a/b' 0007 [ 0200000009 ] \"hi\"",
    );
    check(
        Alias::Assign(number),
        20,
        "3a|'a/b' 0007 [ 23 0005 0200000009 ] \"hi\"",
    );
    let mut out = BytesMut::new();
    let missing = image.write_aliased(b"", Alias::Use(number), None, false, 100, &mut out);
    assert!(missing.is_err() && out.is_empty());
}
