//! PUBLISH from a client: refusals, limits, acknowledgements.

use super::*;

/// What a publisher sees of one PUBLISH, and whether it is closed.
#[track_caller]
fn check(profile: Profile, device: &Device, version: Version, publish: Publish, expected: &str) {
    let mut world = World::new(profile);
    let client = world.join(device, clean(version, "c"));
    world.send(client, &Packet::Publish(publish.clone()));
    let mut told = world.told(client);
    if world.is_closed(client) {
        told.push_str(" closed");
    }
    assert_eq!(told.trim(), expected, "{profile:?} {version:?} {publish:?}");
}

// tests aws-iot [MQ-31]
#[test]
fn what_policy_denies_is_answered_or_ends_the_connection() {
    use Profile::Standard;
    let lines = [
        "Allow Connect *",
        "Allow Publish topic/a",
        "Deny Publish topic/secret",
    ];
    let device = Device::allowed("d", &policy(&lines));
    let retained = |qos| {
        let mut publish = publish("a", "x", qos, 3);
        publish.retain = true;
        publish
    };
    for (on, v3_0, v3_1, v5_0, v5_1, v5_2) in [
        ("a", "", "PUBACK(3)", "", "PUBACK(3)", "PUBREC(3)"),
        (
            "b",
            "closed",
            "closed",
            "DISCONNECT(0x87) closed",
            "PUBACK(3,0x87)",
            "PUBREC(3,0x87)",
        ),
        (
            "secret",
            "closed",
            "closed",
            "DISCONNECT(0x87) closed",
            "PUBACK(3,0x87)",
            "PUBREC(3,0x87)",
        ),
    ] {
        check(Standard, &device, V3, publish(on, "x", 0, 3), v3_0);
        check(Standard, &device, V3, publish(on, "x", 1, 3), v3_1);
        check(Standard, &device, V5, publish(on, "x", 0, 3), v5_0);
        check(Standard, &device, V5, publish(on, "x", 1, 3), v5_1);
        check(Standard, &device, V5, publish(on, "x", 2, 3), v5_2);
    }
    // tests aws-iot [MQ-54]: RETAIN needs more.
    check(Standard, &device, V5, retained(1), "PUBACK(3,0x87)");
    check(Standard, &device, V3, retained(1), "closed");
}

#[test]
fn a_refusal_says_where_it_can_be_looked_up() {
    let mut world = World::standard();
    let lines = ["Allow Connect *", "Deny Publish topic/secret"];
    let device = Device::allowed("d", &policy(&lines));
    let client = world.join(&device, clean(V5, "c"));
    world.send(client, &Packet::Publish(publish("secret", "x", 1, 3)));
    let sent = world.sent(client);
    let [Packet::PubAck(ack)] = sent.as_slice() else {
        panic!("{sent:?}");
    };
    let text = ack.properties.reason_string.as_deref();
    assert_eq!(text, Some("not authorized; denial id d1"));
    let denials = world.denials.borrow();
    assert_eq!(denials[0].verdict, "explicit-deny");
    assert_eq!(denials[0].action, "iot:Publish");
    assert_eq!(denials[0].client_id.as_deref(), Some("c"));
    assert_eq!(denials[0].explanation["deciding"][0]["index"], 1);
}

// tests aws-iot [MQ-32], [MQ-53]
#[test]
fn reserved_topics_are_the_platforms() {
    use Profile::Standard;
    let device = Device::new("d");
    let retained = |on: &str| {
        let mut publish = publish(on, "x", 1, 3);
        publish.retain = true;
        publish
    };
    let event = "$aws/events/thing/t/created";
    let shadow = "$aws/things/t/shadow/update";
    check(Standard, &device, V3, publish(event, "x", 1, 3), "closed");
    check(
        Standard,
        &device,
        V5,
        publish(event, "x", 1, 3),
        "DISCONNECT(0x90) closed",
    );
    check(
        Standard,
        &device,
        V5,
        publish("$other", "x", 0, 3),
        "DISCONNECT(0x90) closed",
    );
    check(
        Standard,
        &device,
        V5,
        publish(shadow, "x", 1, 3),
        "PUBACK(3)",
    );
    check(Standard, &device, V3, retained(shadow), "closed");
    check(
        Standard,
        &device,
        V5,
        retained(shadow),
        "DISCONNECT(0x9a) closed",
    );
}

// tests aws-iot [MQ-3], [MQ-30]
#[test]
fn limits_of_profile_aws_hold_at_their_edge() {
    use Profile::{Aws, Standard};
    let device = Device::new("d");
    let sized = |bytes: usize, qos| publish("a", &"x".repeat(bytes), qos, 3);
    let long = "x".repeat(256);
    let too_long = "x".repeat(257);
    check(Aws, &device, V5, sized(131_072, 1), "PUBACK(3)");
    check(Aws, &device, V5, sized(131_073, 1), "PUBACK(3,0x97)");
    check(
        Aws,
        &device,
        V5,
        sized(131_073, 0),
        "DISCONNECT(0x95) closed",
    );
    check(Aws, &device, V3, sized(131_073, 1), "closed");
    check(
        Aws,
        &device,
        V5,
        sized(149_504, 1),
        "DISCONNECT(0x95) closed",
    );
    check(Standard, &device, V5, sized(149_504, 1), "PUBACK(3)");
    check(Aws, &device, V5, publish(&long, "x", 1, 3), "PUBACK(3)");
    check(
        Aws,
        &device,
        V5,
        publish(&too_long, "x", 1, 3),
        "DISCONNECT(0x90) closed",
    );
    check(Aws, &device, V3, publish(&too_long, "x", 1, 3), "closed");
    check(
        Aws,
        &device,
        V5,
        publish("1/2/3/4/5/6/7/8", "x", 1, 3),
        "PUBACK(3)",
    );
    check(
        Aws,
        &device,
        V5,
        publish("1/2/3/4/5/6/7/8/9", "x", 1, 3),
        "DISCONNECT(0x90) closed",
    );
    check(
        Aws,
        &device,
        V5,
        publish("$aws/rules/r/1/2/3/4/5/6/7/8", "x", 1, 3),
        "PUBACK(3)",
    );
    check(
        Standard,
        &device,
        V5,
        publish("1/2/3/4/5/6/7/8/9", "x", 1, 3),
        "PUBACK(3)",
    );
    check(
        Aws,
        &device,
        V5,
        publish("a", "x", 2, 3),
        "DISCONNECT(0x9b) closed",
    );
    check(Aws, &device, V3, publish("a", "x", 2, 3), "closed");
}

// tests aws-iot [MQ-35]
#[test]
fn a_hundred_publishes_a_second_in_profile_aws() {
    let mut world = World::aws();
    let client = world.join(&Device::new("d"), clean(V5, "c"));
    for _ in 0..100 {
        world.send(client, &Packet::Publish(publish("a", "x", 1, 1)));
    }
    assert!(!world.told(client).contains("0x97"));
    world.send(client, &Packet::Publish(publish("a", "x", 1, 1)));
    assert_eq!(world.told(client), "PUBACK(1,0x97)");
    world.send(client, &Packet::Publish(publish("a", "x", 0, 0)));
    assert!(!world.is_closed(client));
    assert_eq!(world.core.counters().dropped_throttled, 2);
    world.advance(10);
    world.send(client, &Packet::Publish(publish("a", "x", 1, 1)));
    assert_eq!(world.told(client), "PUBACK(1)");
}

// tests aws-iot [MQ-33]
#[test]
fn an_acknowledgement_waits_for_what_must_survive_and_for_nothing_else() {
    let mut world = World::standard();
    let sleeper = world.join(&Device::new("d"), persistent(V5, "sleeper"));
    world.subscribe(sleeper, "stored", 1);
    world.send(sleeper, &disconnect());
    let client = world.join(&Device::new("s"), clean(V5, "c"));
    world.prompt_disk = false;
    world.send(client, &Packet::Publish(publish("nobody", "x", 1, 1)));
    assert_eq!(world.told(client), "PUBACK(1)");
    world.send(client, &Packet::Publish(publish("stored", "x", 1, 2)));
    world.send(client, &Packet::Publish(publish("nobody", "x", 1, 3)));
    world.send(client, &Packet::Publish(publish("stored", "x", 2, 4)));
    assert_eq!(
        world.told(client),
        "",
        "in order, and not before the disk has it"
    );
    world.sync();
    assert_eq!(world.told(client), "PUBACK(2) PUBACK(3) PUBREC(4)");
    let mut kept = publish("kept", "x", 1, 5);
    kept.retain = true;
    world.send(client, &Packet::Publish(kept));
    assert_eq!(world.told(client), "");
    world.sync();
    assert_eq!(world.told(client), "PUBACK(5)");
}

// tests aws-iot [MQ-33]
#[test]
fn what_its_receivers_have_need_not_be_on_the_disk() {
    let mut world = World::standard();
    let readers = ["r1", "r2"].map(|id| {
        let reader = world.join(&Device::new(id), persistent(V5, id));
        world.subscribe(reader, "a", 1);
        reader
    });
    let client = world.join(&Device::new("s"), clean(V5, "c"));
    let other = world.join(&Device::new("o"), clean(V5, "o"));
    world.prompt_disk = false;
    world.send(client, &Packet::Publish(publish("a", "x", 1, 1)));
    world.send(other, &Packet::Publish(publish("a", "y", 1, 1)));
    world.send(readers[0], &Packet::PubAck(Ack::success(id(1))));
    world.send(readers[0], &Packet::PubAck(Ack::success(id(2))));
    assert_eq!(world.told(client), "", "one of two has it");
    // The later message is complete first; its publisher does not wait for the other's.
    world.send(readers[1], &Packet::PubAck(Ack::success(id(2))));
    assert_eq!(
        (world.told(client).as_str(), world.told(other).as_str()),
        ("", "PUBACK(1)")
    );
    world.send(readers[1], &Packet::PubAck(Ack::success(id(1))));
    assert_eq!(world.told(client), "PUBACK(1)");
    assert!(!world.core.has_batch());
    assert_eq!(
        world.core.store_backlog(),
        0,
        "nothing is left for the disk"
    );

    // One who is away makes it needed.
    world.send(readers[1], &disconnect());
    world.sync();
    world.send(client, &Packet::Publish(publish("a", "z", 1, 2)));
    world.send(readers[0], &Packet::PubAck(Ack::success(id(3))));
    assert_eq!(world.told(client), "");
    assert!(world.core.has_batch(), "at once");
    world.sync();
    assert_eq!(world.told(client), "PUBACK(2)");
    assert_eq!(world.disk.entries.len(), 1);
}

// tests mqtt5 [MQTT-4.3.3-10]
#[test]
fn a_qos_2_message_is_routed_once_even_over_a_crash() {
    let mut world = World::standard();
    let device = Device::new("d");
    let reader = world.join(&Device::new("r"), persistent(V5, "reader"));
    world.subscribe(reader, "a", 1);
    let client = world.join(&device, persistent(V5, "c"));
    world.send(client, &Packet::Publish(publish("a", "x", 2, 7)));
    assert_eq!(world.told(client), "PUBREC(7)");
    let mut again = publish("a", "x", 2, 7);
    again.dup = true;
    world.send(client, &Packet::Publish(again.clone()));
    assert_eq!(world.told(client), "PUBREC(7)");
    world.crash();
    let client = world.connect(&device, persistent(V5, "c"));
    world.send(client, &Packet::Publish(again));
    world.send(client, &Packet::PubRel(Ack::success(id(7))));
    assert_eq!(
        world.told(client),
        "CONNACK(0x00,present) PUBREC(7) PUBCOMP(7)"
    );
    // The id is free: the same packet is a new message now.
    world.send(client, &Packet::Publish(publish("a", "y", 2, 7)));
    assert_eq!(world.told(client), "PUBREC(7)");
    let reader = world.connect(&Device::new("r"), persistent(V5, "reader"));
    assert_eq!(
        world.told(reader),
        "CONNACK(0x00,present) a=x@1#1,dup a=y@1#2"
    );
}

// tests aws-iot [MQ-34]
#[test]
fn unacknowledged_publishes_are_bounded() {
    let config = BrokerConfig {
        receive_maximum: model::Quota::At(2),
        ..BrokerConfig::default()
    };
    for (version, expected) in [(V5, "DISCONNECT(0x93)"), (V3, "")] {
        let mut world = World::with(Profile::Standard, &config);
        let sleeper = world.join(&Device::new("d"), persistent(V5, "sleeper"));
        world.subscribe(sleeper, "a", 1);
        world.send(sleeper, &disconnect());
        let client = world.join(&Device::new("s"), clean(version, "c"));
        world.prompt_disk = false;
        let mut bytes = BytesMut::new();
        for number in 1..=3 {
            let packet = Packet::Publish(publish("a", "x", 1, number));
            mqtt::encode(&packet, version, &mut bytes).expect("valid");
        }
        let reading = world.core.received(world.now, client.key, &mut bytes);
        world.turn();
        assert_eq!(world.told(client), expected);
        if version == V3 {
            // The third stays in the buffer until something was acknowledged.
            assert_eq!(reading, Reading::Paused);
            world.sync();
            assert_eq!(world.told(client), "PUBACK(1) PUBACK(2)");
            world.core.received(world.now, client.key, &mut bytes);
            world.sync();
            assert_eq!(world.told(client), "PUBACK(3)");
            assert!(bytes.is_empty());
        }
    }
}

// tests aws-iot [MQ-80]
#[test]
fn topic_aliases_stand_for_topics() {
    let device = Device::new("d");
    let aliased = |on: &str, alias| {
        let mut publish = publish(if on.is_empty() { "x" } else { on }, "v", 0, 0);
        if on.is_empty() {
            publish.topic = None;
        }
        publish.properties.topic_alias = NonZeroU16::new(alias);
        Packet::Publish(publish)
    };
    for (packets, expected) in [
        (vec![aliased("a", 8), aliased("", 8)], "a=v@0 a=v@0"),
        (vec![aliased("a", 9)], "DISCONNECT(0x94)"),
        (vec![aliased("", 1)], "DISCONNECT(0x82)"),
    ] {
        let mut world = World::aws();
        let client = world.join(&device, clean(V5, "c"));
        world.subscribe(client, "a", 0);
        for packet in packets {
            world.send(client, &packet);
        }
        assert_eq!(world.told(client), expected);
    }
}

// tests aws-iot [MQ-81], [MQ-82]
#[test]
fn properties_travel_and_expiry_runs() {
    let mut world = World::standard();
    let client = world.join(&Device::new("d"), persistent(V5, "c"));
    world.subscribe(client, "a", 1);
    world.send(client, &disconnect());
    let sender = world.join(&Device::new("s"), clean(V5, "s"));
    let mut message = publish("a", "x", 1, 1);
    message.properties = PublishProperties {
        message_expiry_s: Some(100),
        content_type: Some("text/plain".into()),
        response_topic: Some(topic("answers")),
        correlation_data: Some(Bytes::from_static(b"c")),
        user_properties: vec![("k".into(), "1".into()), ("k".into(), "2".into())],
        ..PublishProperties::default()
    };
    world.send(sender, &Packet::Publish(message.clone()));
    world.advance(30_500);
    let client = world.connect(&Device::new("d"), persistent(V5, "c"));
    let sent = world.sent(client);
    let Some(Packet::Publish(received)) = sent.last() else {
        panic!("{sent:?}");
    };
    let expected = PublishProperties {
        message_expiry_s: Some(69),
        ..message.properties
    };
    assert_eq!(received.properties, expected);
}

// tests aws-iot [MQ-31]
#[test]
fn a_message_that_ended_its_connection_is_judged_anew_when_it_is_repeated() {
    for qos in [1, 2] {
        let mut world = World::standard();
        let mut device = Device::allowed("d", &policy(&["Allow Connect *"]));
        let client = world.join(&device, persistent(V3, "c"));
        world.send(client, &Packet::Publish(publish("a", "x", qos, 1)));
        assert!(world.is_closed(client));
        device.policies = vec![ALL.to_owned()];
        let client = world.join(&device, persistent(V3, "c"));
        let mut again = publish("a", "x", qos, 1);
        again.dup = true;
        world.send(client, &Packet::Publish(again));
        world.send(client, &Packet::Publish(publish("a", "y", 1, 2)));
        let first = if qos == 1 { "PUBACK(1)" } else { "PUBREC(1)" };
        assert_eq!(world.told(client), format!("{first} PUBACK(2)"));
    }
}

#[test]
fn a_disk_that_does_not_follow_holds_up_only_what_needs_it() {
    let config = BrokerConfig {
        store_backlog_max: 16,
        ..BrokerConfig::default()
    };
    let mut world = World::with(Profile::Standard, &config);
    let away = world.join(&Device::new("r"), persistent(V5, "away"));
    world.subscribe(away, "kept", 1);
    world.lose(away);
    let live = world.listener("live");
    let mut connect = clean(V5, "s");
    connect.keep_alive_s = 60;
    let sender = world.join(&Device::new("s"), connect);
    let other = world.join(&Device::new("o"), clean(V5, "o"));
    world.prompt_disk = false;
    let mut bytes = BytesMut::new();
    for number in 1..=40 {
        let message = Packet::Publish(publish("kept", "x", 1, number));
        mqtt::encode(&message, V5, &mut bytes).expect("a valid packet");
    }
    let reading = world.core.received(world.now, sender.key, &mut bytes);
    world.turn();
    assert_eq!(reading, Reading::Paused);
    assert!(world.core.store_backlog() < 32, "what waits is bounded");
    assert_eq!(world.told(sender), "");
    // The others go on with what needs no disk, and this client is not taken for a silent one.
    world.send(other, &Packet::Publish(publish("live", "on", 0, 0)));
    assert_eq!(world.told(live), "live=on@0");
    world.advance(600_000);
    assert!(!world.is_closed(sender));
    for packet in [
        subscribe("a", 1),
        unsubscribe("a"),
        Packet::Publish(publish("live", "x", 1, 1)),
    ] {
        let mut held = BytesMut::new();
        mqtt::encode(&packet, V5, &mut held).expect("a valid packet");
        let reading = world.core.received(world.now, other.key, &mut held);
        assert_eq!(reading, Reading::Paused, "{packet:?}");
    }
    // Once the disk follows everything is taken.
    world.prompt_disk = true;
    world.sync();
    while !bytes.is_empty() {
        world.core.received(world.now, sender.key, &mut bytes);
        world.turn();
    }
    let told: Vec<String> = (1..=40).map(|number| format!("PUBACK({number})")).collect();
    assert_eq!(world.told(sender), told.join(" "));
}
