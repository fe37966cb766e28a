//! Deliveries: QoS, flow control, order, overlapping subscriptions, options, slow readers.

use super::*;
use mqtt::packet::SubscriptionIdentifier;

// tests aws-iot [MQ-1], [MQ-37]
#[test]
fn versions_and_qos_meet() {
    for from in [V3, V5] {
        for to in [V3, V5] {
            for sent in 0..=2 {
                for granted in 0..=2 {
                    let mut world = World::standard();
                    let reader = world.join(&Device::new("r"), clean(to, "r"));
                    world.subscribe(reader, "a", granted);
                    let sender = world.join(&Device::new("s"), clean(from, "s"));
                    world.send(sender, &Packet::Publish(publish("a", "x", sent, 1)));
                    let qos = sent.min(granted);
                    let expected = if qos == 0 {
                        "a=x@0".into()
                    } else {
                        format!("a=x@{qos}#1")
                    };
                    assert_eq!(
                        world.told(reader),
                        expected,
                        "{from:?} {to:?} {sent} {granted}"
                    );
                }
            }
        }
    }
}

// tests aws-iot [MQ-37]; tests mqtt5 [MQTT-3.3.4-2]
#[test]
fn overlapping_subscriptions() {
    let mut world = World::standard();
    let v3 = world.join(&Device::new("3"), clean(V3, "3"));
    let v5 = world.join(&Device::new("5"), clean(V5, "5"));
    for reader in [v3, v5] {
        world.subscribe(reader, "a/b", 0);
        world.subscribe(reader, "a/#", 1);
    }
    let sender = world.join(&Device::new("s"), clean(V5, "s"));
    world.send(sender, &Packet::Publish(publish("a/b", "x", 1, 1)));
    assert_eq!(world.told(v3), "a/b=x@1#1");
    assert_eq!(world.told(v5), "a/b=x@1#1 a/b=x@0");
}

// tests aws-iot [MQ-46]; tests mqtt5 [MQTT-3.8.3-3], [MQTT-3.3.1-12], [MQTT-3.3.4-3]
#[test]
fn subscription_options_are_honoured() {
    let mut world = World::standard();
    let client = world.join(&Device::new("d"), clean(V5, "c"));
    let mut request = SubscriptionRequest::new("a", QoS::AtMostOnce);
    request.no_local = true;
    request.retain_as_published = true;
    let mut packet = subscribe_to(vec![request]);
    if let Packet::Subscribe(subscribe) = &mut packet {
        subscribe.properties.subscription_identifier = SubscriptionIdentifier::new(17);
    }
    world.send(client, &packet);
    world.sent(client);
    world.send(client, &Packet::Publish(publish("a", "own", 0, 0)));
    assert_eq!(world.told(client), "");
    let sender = world.join(&Device::new("s"), clean(V3, "s"));
    let mut message = publish("a", "other", 0, 0);
    message.retain = true;
    world.send(sender, &Packet::Publish(message));
    let sent = world.sent(client);
    assert_eq!(brief(&sent[0], V5), "a=other@0,retain");
    let Packet::Publish(received) = &sent[0] else {
        panic!("{sent:?}");
    };
    let identifiers: Vec<u32> = received
        .properties
        .subscription_identifiers
        .iter()
        .map(|one| one.number())
        .collect();
    assert_eq!(identifiers, [17]);
}

// tests aws-iot [MQ-23]; tests mqtt5 [MQTT-3.3.4-9], [MQTT-4.9.0-2]
#[test]
fn the_clients_receive_maximum_holds_and_order_with_it() {
    let mut world = World::standard();
    let mut connect = clean(V5, "c");
    connect.properties.receive_maximum = Some(id(2));
    let client = world.join(&Device::new("d"), connect);
    world.subscribe(client, "a", 2);
    let sender = world.join(&Device::new("s"), clean(V5, "s"));
    for number in 1..=5 {
        let qos = if number == 3 { 2 } else { 1 };
        world.send(
            sender,
            &Packet::Publish(publish("a", &number.to_string(), qos, number)),
        );
    }
    world.send(sender, &Packet::Publish(publish("a", "now", 0, 0)));
    assert_eq!(world.told(client), "a=1@1#1 a=2@1#2 a=now@0");
    world.send(client, &puback(2));
    assert_eq!(world.told(client), "a=3@2#3");
    world.send(client, &puback(1));
    assert_eq!(world.told(client), "a=4@1#4");
    world.send(client, &Packet::PubRec(Ack::success(id(3))));
    assert_eq!(world.told(client), "PUBREL(3)");
    world.send(client, &Packet::PubComp(Ack::success(id(3))));
    assert_eq!(world.told(client), "a=5@1#5");
    // An acknowledgement of nothing is of no consequence; one of the wrong kind is.
    world.send(client, &puback(99));
    assert_eq!(world.told(client), "");
    world.send(client, &Packet::PubComp(Ack::success(id(5))));
    assert_eq!(world.told(client), "DISCONNECT(0x82)");
}

// tests aws-iot [MQ-36]; tests mqtt5 [MQTT-4.4.0-1], [MQTT-4.6.0-1]
#[test]
fn what_was_not_acknowledged_is_repeated_in_order() {
    for version in [V3, V5] {
        let mut world = World::standard();
        let client = world.join(&Device::new("d"), persistent(version, "c"));
        world.subscribe(client, "a", 2);
        let sender = world.join(&Device::new("s"), clean(V5, "s"));
        for number in 1..=4 {
            world.send(
                sender,
                &Packet::Publish(publish("a", &number.to_string(), 1, number)),
            );
        }
        world.send(client, &puback(2));
        world.sent(client);
        world.lose(client);
        world.send(sender, &Packet::Publish(publish("a", "5", 1, 5)));
        let client = world.connect(&Device::new("d"), persistent(version, "c"));
        assert_eq!(
            world.told(client),
            "CONNACK(0x00,present) a=1@1#1,dup a=3@1#3,dup a=4@1#4,dup a=5@1#5"
        );
    }
}

#[test]
fn a_qos_2_delivery_to_a_stored_session_waits_for_its_packet_id_to_be_stored() {
    let mut world = World::standard();
    let client = world.join(&Device::new("d"), persistent(V5, "c"));
    world.subscribe(client, "a", 2);
    let sender = world.join(&Device::new("s"), clean(V5, "s"));
    world.prompt_disk = false;
    world.send(sender, &Packet::Publish(publish("a", "1", 1, 1)));
    world.send(sender, &Packet::Publish(publish("a", "2", 2, 2)));
    world.send(sender, &Packet::Publish(publish("a", "3", 1, 3)));
    world.send(sender, &Packet::Publish(publish("a", "4", 0, 0)));
    assert_eq!(
        world.told(client),
        "a=1@1#1",
        "what is behind the second waits with it"
    );
    world.sync();
    assert_eq!(world.told(client), "a=2@2#2 a=3@1#3 a=4@0");
    // The release waits as well: the client forgets the id once it has it.
    world.send(client, &Packet::PubRec(Ack::success(id(2))));
    assert_eq!(world.told(client), "");
    world.sync();
    assert_eq!(world.told(client), "PUBREL(2)");
}

// tests aws-iot [MQ-86]; tests mqtt5 [MQTT-3.1.2-24], [MQTT-3.1.2-25]
#[test]
fn what_is_too_large_for_a_client_counts_as_delivered() {
    let mut world = World::standard();
    let mut connect = persistent(V5, "c");
    connect.properties.packet_bytes_max = std::num::NonZeroU32::new(30);
    let client = world.join(&Device::new("d"), connect);
    world.subscribe(client, "a", 1);
    let sender = world.join(&Device::new("s"), clean(V5, "s"));
    world.send(
        sender,
        &Packet::Publish(publish("a", &"x".repeat(40), 1, 1)),
    );
    world.send(
        sender,
        &Packet::Publish(publish("a", &"x".repeat(40), 0, 0)),
    );
    world.send(sender, &Packet::Publish(publish("a", "fits", 1, 2)));
    assert_eq!(world.told(client), "a=fits@1#1");
    world.send(client, &puback(1));
    assert!(world.disk.entries.is_empty());
}

#[test]
fn a_slow_reader_loses_qos_0_first_and_then_its_connection() {
    let config = BrokerConfig {
        output_bytes_max: 65_536,
        ..BrokerConfig::default()
    };
    let mut world = World::with(Profile::Standard, &config);
    let slow = world.join(&Device::new("d"), clean(V5, "slow"));
    world.subscribe(slow, "a", 1);
    let sender = world.join(&Device::new("s"), clean(V5, "s"));
    let send = |world: &mut World, qos, number| {
        let packet = Packet::Publish(publish("a", &"x".repeat(1000), qos, number));
        let mut bytes = BytesMut::new();
        mqtt::encode(&packet, V5, &mut bytes).expect("valid");
        // No turn of the shell: the socket takes nothing.
        world.core.received(world.now, sender.key, &mut bytes);
    };
    for _ in 0..100 {
        send(&mut world, 0, 0);
    }
    let waiting = world
        .core
        .connections
        .get(slow.key)
        .map(|found| found.output.len());
    assert!(
        waiting.is_some_and(|waiting| (32_000..=34_000).contains(&waiting)),
        "{waiting:?}"
    );
    assert_eq!(world.core.counters().dropped_slow_reader, 67);
    for number in 1..=40 {
        send(&mut world, 1, number);
    }
    world.turn();
    assert!(world.is_closed(slow));
    assert!(!world.is_closed(sender));
    assert_eq!(world.core.counters().slow_readers_cut, 1);
}

// tests aws-iot [7.2]
#[test]
fn each_delivery_is_judged() {
    let lines = [
        "Allow Connect *",
        "Allow Subscribe topicfilter/a/*",
        "Allow Receive topic/a/*",
        "Deny Receive topic/a/secret/*",
    ];
    let device = Device::allowed("d", &policy(&lines));
    let mut world = World::standard();
    let client = world.join(&device, clean(V5, "c"));
    world.subscribe(client, "a/#", 1);
    let sender = world.join(&Device::new("s"), clean(V5, "s"));
    for (number, on) in [(1, "a/b"), (2, "a/secret/k"), (3, "a/b"), (4, "a/secret/k")] {
        world.send(sender, &Packet::Publish(publish(on, "x", 1, number)));
        world.send(sender, &Packet::Publish(publish(on, "x", 0, 0)));
    }
    assert_eq!(world.told(client), "a/b=x@1#1 a/b=x@0 a/b=x@1#2 a/b=x@0");
    assert!(!world.is_closed(client));
    assert_eq!(world.core.counters().denials, 4);
    let denials = world.denials.borrow();
    assert_eq!(denials.len(), 1, "repeats are counted");
    assert_eq!(denials[0].action, "iot:Receive");
    assert_eq!(
        denials[0].resource,
        "arn:aws:iot:us-east-1:111122223333:topic/a/secret/k"
    );
}
