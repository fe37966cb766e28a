mod exchange;
mod model;
mod transitions;

use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::*;
use crate::packet::{Ack, AckProperties, Packet, Publish, PublishProperties, QoS};
use crate::topic::{TopicLimits, TopicName};

fn id(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}

fn topic(text: &str) -> TopicName {
    TopicName::parse(text, &TopicLimits::STANDARD).unwrap()
}

fn publish(qos: QoS, packet_id: Option<u16>) -> Publish {
    Publish {
        dup: false,
        qos,
        retain: false,
        topic: Some(topic("a")),
        packet_id: packet_id.map(id),
        properties: PublishProperties::default(),
        payload: Bytes::new(),
    }
}

/// The clock's zero is arbitrary; no test waits for it.
#[expect(
    clippy::disallowed_methods,
    reason = "there is no other way to make an `Instant`"
)]
fn some_instant() -> Instant {
    Instant::now()
}

// tests mqtt5 [MQTT-3.1.2-22]; tests mqtt311 [MQTT-3.1.2-24]; tests aws-iot [MQ-13]
#[test]
fn silence_ends_after_one_and_a_half_intervals() {
    let start = some_instant();
    let at = |ms| start + Duration::from_millis(ms);

    let mut keep_alive = KeepAlive::new(10, start);
    assert!(!keep_alive.expired(at(14_999)));
    assert!(keep_alive.expired(at(15_000)));
    keep_alive.heard(at(14_000));
    assert_eq!(keep_alive.deadline(), Some(at(29_000)));

    let odd = KeepAlive::new(1, start);
    assert_eq!(odd.deadline(), Some(at(1_500)));
    let longest = KeepAlive::new(u16::MAX, start);
    assert_eq!(longest.deadline(), Some(at(98_302_500)));
}

#[test]
fn keep_alive_zero_is_off() {
    let start = some_instant();
    let keep_alive = KeepAlive::new(0, start);
    assert_eq!(keep_alive.deadline(), None);
    assert!(!keep_alive.expired(start + Duration::from_secs(1_000_000)));
}

// tests aws-iot [MQ-81]
#[test]
fn expiry_intervals_are_brought_into_bounds() {
    let check = |limits: ExpiryLimits, asked, expected| {
        assert_eq!(limits.effective_s(asked), expected, "{asked}");
    };
    check(ExpiryLimits::AWS, 0, 1);
    check(ExpiryLimits::AWS, 1, 1);
    check(ExpiryLimits::AWS, 604_800, 604_800);
    check(ExpiryLimits::AWS, 604_801, 604_800);
    check(ExpiryLimits::STANDARD, 0, 1);
    check(ExpiryLimits::STANDARD, u32::MAX, u32::MAX);
}

// tests aws-iot [MQ-81]; tests mqtt5 [MQTT-3.3.2-5], [MQTT-3.3.2-6]
#[test]
fn what_is_left_of_an_expiry_interval_is_rounded_down() {
    let check = |interval_s, waited_ms, expected| {
        let left = remaining_s(interval_s, Duration::from_millis(waited_ms));
        assert_eq!(left, expected, "{interval_s} s after {waited_ms} ms");
    };
    check(10, 0, Some(10));
    check(10, 1, Some(9));
    check(10, 1_000, Some(9));
    check(10, 9_001, Some(0));
    check(10, 9_999, Some(0));
    check(10, 10_000, None);
    check(10, 99_000, None);
    check(u32::MAX, 0, Some(u32::MAX));
}

// tests aws-iot [MQ-80]; tests mqtt5 [MQTT-3.3.2-8], [MQTT-3.3.2-9], [MQTT-3.3.2-12]
#[test]
fn inbound_aliases_stand_for_their_last_topic() {
    let mut aliases = InboundAliases::new(2);
    let mut check = |name: Option<&str>, alias: u16, expected: Result<&str, SessionError>| {
        let mut publish = publish(QoS::AtMostOnce, None);
        publish.topic = name.map(topic);
        publish.properties.topic_alias = NonZeroU16::new(alias);
        let found = aliases
            .resolve(&mut publish)
            .map(|()| publish.topic.unwrap());
        assert_eq!(found, expected.map(topic), "{name:?} {alias}");
        assert_eq!(publish.properties.topic_alias, None);
    };
    check(Some("a"), 0, Ok("a"));
    check(None, 1, Err(SessionError::TopicAliasUnknown { alias: 1 }));
    check(Some("a"), 1, Ok("a"));
    check(None, 1, Ok("a"));
    check(Some("b"), 2, Ok("b"));
    check(Some("c"), 1, Ok("c"));
    check(None, 1, Ok("c"));
    check(None, 2, Ok("b"));
    check(
        Some("d"),
        3,
        Err(SessionError::TopicAliasTooHigh { alias: 3, max: 2 }),
    );
}

#[test]
fn outbound_aliases_go_to_the_first_topics() {
    let mut aliases = OutboundAliases::new(2, 100);
    assert_eq!(aliases.alias_for(&topic("a")), Alias::Assign(id(1)));
    // Not sent, so not learnt.
    assert_eq!(aliases.alias_for(&topic("b")), Alias::Assign(id(1)));
    aliases.assigned(&topic("b"));
    assert_eq!(aliases.alias_for(&topic("b")), Alias::Use(id(1)));
    assert_eq!(aliases.alias_for(&topic("a")), Alias::Assign(id(2)));
    aliases.assigned(&topic("a"));
    aliases.assigned(&topic("a"));
    aliases.assigned(&topic("c"));
    assert_eq!(aliases.alias_for(&topic("a")), Alias::Use(id(2)));
    assert_eq!(aliases.alias_for(&topic("c")), Alias::Name);
    for (peer, own) in [(0, 100), (100, 0)] {
        assert_eq!(
            OutboundAliases::new(peer, own).alias_for(&topic("a")),
            Alias::Name
        );
    }
}

#[test]
fn every_fault_has_its_reason() {
    let check = |error: SessionError, expected: ReasonCode| {
        assert_eq!(error.reason_code(), expected, "{error}");
    };
    check(
        SessionError::TopicAliasTooHigh { alias: 9, max: 8 },
        ReasonCode::TopicAliasInvalid,
    );
    check(
        SessionError::TopicAliasUnknown { alias: 1 },
        ReasonCode::ProtocolError,
    );
    check(
        SessionError::ReceiveMaximumExceeded { max: 1 },
        ReasonCode::ReceiveMaximumExceeded,
    );
    check(
        SessionError::TooManyUnfinished { max: 1 },
        ReasonCode::QuotaExceeded,
    );
    let wrong = SessionError::WrongExchange {
        packet: "PUBACK",
        packet_id: 1,
    };
    check(wrong, ReasonCode::ProtocolError);
}

/// Nothing in flight, and ids that are about to start over.
fn near_the_last_id<M>(window: u16) -> Outbound<M> {
    let state = OutboundState {
        next_id: id(65_533),
        in_flight: Vec::new(),
    };
    Outbound::from_parts(state, id(window))
}

/// The packets to send again, as text.
fn resent(outbound: &mut Outbound<u32>) -> Vec<String> {
    let mut sent = Vec::new();
    while let Some(resend) = outbound.next_resend() {
        sent.push(match resend {
            Resend::Publish {
                packet_id,
                qos,
                message,
            } => {
                format!("PUBLISH {packet_id} QoS {} = {message}", qos.number())
            }
            Resend::PubRel(ack) => format!("PUBREL {}", ack.packet_id),
        });
    }
    sent
}

// tests aws-iot [MQ-36]; tests mqtt5 [MQTT-4.4.0-1], [MQTT-4.6.0-1]; tests mqtt311 [MQTT-4.4.0-1]
#[test]
fn a_reconnect_repeats_what_is_open_in_its_order() {
    let mut outbound = Outbound::new(id(10));
    for message in [100, 101, 102] {
        outbound.send_at_least_once(message).unwrap();
        outbound.send_exactly_once(message + 100).unwrap();
    }
    outbound.puback(id(1)).unwrap();
    outbound.pubrec(id(4), ReasonCode::Success).unwrap();
    assert_eq!(resent(&mut outbound), [""; 0]);
    let expected = [
        "PUBLISH 2 QoS 2 = 200",
        "PUBLISH 3 QoS 1 = 101",
        "PUBREL 4",
        "PUBLISH 5 QoS 1 = 102",
        "PUBLISH 6 QoS 2 = 202",
    ];
    outbound.reconnect(id(10));
    assert_eq!(resent(&mut outbound), expected);
    let mut stored = Outbound::from_parts(outbound.into_parts(), id(10));
    assert_eq!(resent(&mut stored), expected);
    assert_eq!(stored.send_at_least_once(103), Ok(id(7)));
}

#[test]
fn repeats_wait_for_the_window_and_new_messages_for_repeats() {
    let mut outbound = Outbound::new(id(3));
    for message in [1, 2, 3] {
        outbound.send_at_least_once(message).unwrap();
    }
    assert_eq!(outbound.send_at_least_once(4), Err(4));
    outbound.reconnect(id(1));
    assert_eq!(resent(&mut outbound), ["PUBLISH 1 QoS 1 = 1"]);
    assert!(!outbound.has_room());
    // An acknowledgement of the old connection saves a repeat.
    assert_eq!(outbound.puback(id(2)), Ok(Some(2)));
    assert_eq!(resent(&mut outbound), [""; 0]);
    assert_eq!(outbound.puback(id(1)), Ok(Some(1)));
    assert!(!outbound.has_room());
    assert_eq!(resent(&mut outbound), ["PUBLISH 3 QoS 1 = 3"]);
    assert_eq!(outbound.puback(id(3)), Ok(Some(3)));
    assert_eq!(outbound.send_at_least_once(4), Ok(id(4)));
}

// tests mqtt5 [MQTT-2.2.1-4]
#[test]
fn packet_ids_wrap_around_what_is_open() {
    let state = OutboundState {
        next_id: id(65_534),
        in_flight: vec![
            InFlight {
                packet_id: id(65_535),
                stage: Stage::AwaitingPubAck(1),
            },
            InFlight {
                packet_id: id(1),
                stage: Stage::AwaitingPubComp,
            },
        ],
    };
    let mut outbound = Outbound::from_parts(state, id(10));
    assert_eq!(resent(&mut outbound).len(), 2);
    assert_eq!(outbound.send_at_least_once(2), Ok(id(65_534)));
    assert_eq!(outbound.send_at_least_once(3), Ok(id(2)));
    assert_eq!(outbound.len(), 4);
}

#[test]
fn nothing_is_sent_when_every_packet_id_is_taken() {
    let mut outbound = Outbound::new(id(u16::MAX));
    for number in 1..=u16::MAX {
        assert_eq!(outbound.send_exactly_once(0), Ok(id(number)));
        outbound.pubrec(id(number), ReasonCode::Success).unwrap();
    }
    outbound.reconnect(id(u16::MAX));
    assert_eq!(resent(&mut outbound).len(), 65_535);
    assert_eq!(outbound.send_at_least_once(1), Err(1));
    assert_eq!(outbound.pubcomp(id(77)), Ok(true));
    assert_eq!(outbound.send_at_least_once(1), Ok(id(77)));
}

/// A peer that never sends PUBCOMP is sent nothing more, over however many
/// connections.
#[test]
fn unfinished_exchanges_are_bounded() {
    let mut outbound = Outbound::new(id(2));
    let mut sent = 0;
    for _ in 0..5 {
        while let Ok(packet_id) = outbound.send_exactly_once(sent) {
            outbound.pubrec(packet_id, ReasonCode::Success).unwrap();
            sent += 1;
        }
        outbound.reconnect(id(2));
        resent(&mut outbound);
    }
    assert_eq!((sent, outbound.len()), (4, 4));

    let mut inbound = Inbound::new(id(600), 0);
    let mut open = 0;
    let error = loop {
        let packet_id = Some(u16::try_from(open + 1).unwrap());
        match inbound.publish(&mut publish(QoS::ExactlyOnce, packet_id)) {
            Ok(_) => open += 1,
            Err(SessionError::ReceiveMaximumExceeded { .. }) => inbound.reconnect(id(600), 0),
            Err(error) => break error,
        }
    };
    assert_eq!(error, SessionError::TooManyUnfinished { max: 1200 });
    assert_eq!((open, inbound.exchanges()), (1200, 1200));
}

fn acks(inbound: &mut Inbound) -> Vec<String> {
    let mut sent = Vec::new();
    while let Some(packet) = inbound.next_ack() {
        sent.push(match packet {
            Packet::PubAck(ack) => format!("PUBACK {} {:02x}", ack.packet_id, ack.reason.byte()),
            Packet::PubRec(ack) => format!("PUBREC {} {:02x}", ack.packet_id, ack.reason.byte()),
            other => panic!("{other:?}"),
        });
    }
    sent
}

fn ticket(inbound: &mut Inbound, qos: QoS, packet_id: u16) -> Ticket {
    match inbound.publish(&mut publish(qos, Some(packet_id))) {
        Ok(Received::New(Some(ticket))) => ticket,
        other => panic!("{other:?}"),
    }
}

// tests mqtt5 [MQTT-4.6.0-2], [MQTT-4.6.0-3]; tests aws-iot [MQ-33]
#[test]
fn acknowledgements_leave_in_the_order_of_arrival() {
    let mut inbound = Inbound::new(id(10), 0);
    let tickets = [
        ticket(&mut inbound, QoS::AtLeastOnce, 7),
        ticket(&mut inbound, QoS::ExactlyOnce, 3),
        ticket(&mut inbound, QoS::AtLeastOnce, 9),
    ];
    let mut answer = |ticket, reason, expected: &[&str]| {
        inbound.answer(ticket, reason, AckProperties::default());
        assert_eq!(acks(&mut inbound), expected);
    };
    answer(tickets[2], ReasonCode::NotAuthorized, &[]);
    answer(tickets[1], ReasonCode::Success, &[]);
    let all = ["PUBACK 7 00", "PUBREC 3 00", "PUBACK 9 87"];
    answer(tickets[0], ReasonCode::Success, &all);
    // Answered once, done.
    answer(tickets[0], ReasonCode::QuotaExceeded, &[]);
    answer(tickets[1], ReasonCode::QuotaExceeded, &[]);
    let again = inbound.publish(&mut publish(QoS::ExactlyOnce, Some(3)));
    assert_eq!(again, Ok(Received::Repeat(Ack::success(id(3)))));
}

#[test]
fn an_answer_carries_its_explanation() {
    let mut inbound = Inbound::new(id(1), 0);
    let ticket = ticket(&mut inbound, QoS::AtLeastOnce, 7);
    let properties = AckProperties {
        reason_string: Some("denial d1".to_owned()),
        ..Default::default()
    };
    inbound.answer(ticket, ReasonCode::NotAuthorized, properties.clone());
    let ack = Ack {
        packet_id: id(7),
        reason: ReasonCode::NotAuthorized,
        properties,
    };
    assert_eq!(inbound.next_ack(), Some(Packet::PubAck(ack)));
}

// tests aws-iot [MQ-34]; tests mqtt5 [MQTT-3.3.4-8]
#[test]
fn the_receive_maximum_holds_until_the_exchange_is_over() {
    let mut inbound = Inbound::new(id(2), 0);
    let full = Err(SessionError::ReceiveMaximumExceeded { max: 2 });
    let first = ticket(&mut inbound, QoS::AtLeastOnce, 1);
    let second = ticket(&mut inbound, QoS::ExactlyOnce, 2);
    assert!(!inbound.has_room());
    assert_eq!(
        inbound.publish(&mut publish(QoS::AtLeastOnce, Some(3))),
        full
    );
    assert_eq!(
        inbound.publish(&mut publish(QoS::ExactlyOnce, Some(3))),
        full
    );
    assert_eq!(
        inbound.publish(&mut publish(QoS::AtMostOnce, None)),
        Ok(Received::New(None))
    );
    inbound.answer(first, ReasonCode::Success, AckProperties::default());
    // Answered, but the client cannot know yet.
    assert!(!inbound.has_room());
    assert_eq!(acks(&mut inbound), ["PUBACK 1 00"]);
    assert!(inbound.has_room());
    inbound.answer(second, ReasonCode::Success, AckProperties::default());
    assert_eq!(acks(&mut inbound), ["PUBREC 2 00"]);
    assert!(!inbound.owes());
    ticket(&mut inbound, QoS::AtLeastOnce, 4);
    assert!(!inbound.has_room());
    assert!(inbound.owes());
    assert_eq!(inbound.release(id(2)), Ok(Ack::success(id(2))));
    assert!(inbound.has_room());
}

#[test]
fn a_qos_2_message_is_decided_once_over_connections() {
    let mut inbound = Inbound::new(id(5), 0);
    let taken = ticket(&mut inbound, QoS::ExactlyOnce, 1);
    let refused = ticket(&mut inbound, QoS::ExactlyOnce, 2);
    let open = ticket(&mut inbound, QoS::ExactlyOnce, 3);
    inbound.reconnect(id(5), 0);
    // Decided while nobody was there.
    inbound.answer(taken, ReasonCode::Success, AckProperties::default());
    inbound.answer(refused, ReasonCode::QuotaExceeded, AckProperties::default());
    assert_eq!(acks(&mut inbound), [""; 0]);
    let mut again = |packet_id| inbound.publish(&mut publish(QoS::ExactlyOnce, Some(packet_id)));
    assert_eq!(again(1), Ok(Received::Repeat(Ack::success(id(1)))));
    assert!(matches!(again(2), Ok(Received::New(Some(_)))));
    assert_eq!(again(3), Ok(Received::Pending));
    assert_eq!(again(3), Ok(Received::Pending));
    inbound.answer(open, ReasonCode::Success, AckProperties::default());
    // Behind the second, which came again before it.
    assert_eq!(acks(&mut inbound), [""; 0]);
    assert_eq!(
        inbound.into_parts(),
        InboundState {
            received: vec![id(1), id(3)]
        }
    );
}

#[test]
fn a_repeat_takes_up_room_once() {
    let state = InboundState {
        received: vec![id(1), id(2)],
    };
    let mut inbound = Inbound::from_parts(state, id(2), 0);
    for packet_id in [1, 1, 2, 1] {
        assert!(packet_id == 1 || inbound.has_room());
        let again = inbound.publish(&mut publish(QoS::ExactlyOnce, Some(packet_id)));
        assert_eq!(again, Ok(Received::Repeat(Ack::success(id(packet_id)))));
    }
    assert!(!inbound.has_room());
    assert_eq!(inbound.release(id(1)), Ok(Ack::success(id(1))));
    assert!(inbound.has_room());
}

#[test]
fn an_alias_reaches_the_message() {
    let mut inbound = Inbound::new(id(5), 1);
    let mut first = publish(QoS::AtMostOnce, None);
    first.properties.topic_alias = Some(id(1));
    inbound.publish(&mut first).unwrap();
    let mut second = first.clone();
    second.topic = None;
    second.properties.topic_alias = Some(id(1));
    inbound.publish(&mut second).unwrap();
    assert_eq!(second, first);
    // The next connection starts without.
    inbound.reconnect(id(5), 1);
    second.topic = None;
    second.properties.topic_alias = Some(id(1));
    let unknown = SessionError::TopicAliasUnknown { alias: 1 };
    assert_eq!(inbound.publish(&mut second), Err(unknown));
}
