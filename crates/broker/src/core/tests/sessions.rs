//! Whose a session is, how long it lasts, and what it keeps.

use super::*;

// tests aws-iot [MQ-20], [MQ-22], [MQ-24], [MQ-25], [MQ-26]
#[test]
fn a_session_is_resumed_until_it_expires() {
    let device = Device::new("d");
    for (first, second) in [(V3, V3), (V5, V5), (V3, V5), (V5, V3)] {
        let mut world = World::standard();
        let client = world.join(&device, persistent(first, "c"));
        world.subscribe(client, "a/#", 1);
        world.send(client, &disconnect());
        world.advance(3_599_000);
        let sender = world.join(&Device::new("s"), clean(V5, "sender"));
        world.send(sender, &Packet::Publish(publish("a/0", "lost", 0, 0)));
        world.send(sender, &Packet::Publish(publish("a/1", "kept", 1, 1)));
        let client = world.connect(&device, persistent(second, "c"));
        assert_eq!(world.told(client), "CONNACK(0x00,present) a/1=kept@1#1");
        world.send(client, &puback(1));

        world.lose(client);
        world.advance(3_600_000);
        let client = world.connect(&device, persistent(second, "c"));
        assert_eq!(world.told(client), "CONNACK(0x00)", "{first:?} {second:?}");
        world.disk.check();
    }
}

// tests aws-iot [MQ-20], [MQ-25]
#[test]
fn a_clean_start_or_no_expiry_keeps_nothing() {
    let device = Device::new("d");
    for version in [V3, V5] {
        let mut world = World::standard();
        let client = world.join(&device, persistent(version, "c"));
        world.subscribe(client, "a", 1);
        world.send(client, &disconnect());
        let client = world.connect(&device, clean(version, "c"));
        assert_eq!(world.told(client), "CONNACK(0x00)");
        world.send(client, &disconnect());
        let client = world.connect(&device, persistent(version, "c"));
        assert_eq!(world.told(client), "CONNACK(0x00)");
        world.send(client, &Packet::Publish(publish("a", "x", 0, 0)));
        assert_eq!(world.told(client), "");
    }
}

// tests aws-iot [MQ-20]; tests mqtt5 [3.14.2.2.2]
#[test]
fn disconnect_changes_the_expiry_but_revives_nothing() {
    let device = Device::new("d");
    let leave = |expiry_s| {
        let mut packet = Disconnect::default();
        packet.properties.session_expiry_s = Some(expiry_s);
        Packet::Disconnect(packet)
    };
    for (connect, expiry_s, told, present_after_10_s) in [
        (persistent(V5, "c"), 5, "", false),
        (persistent(V5, "c"), 60, "", true),
        (persistent(V5, "c"), 0, "", false),
        (clean(V5, "c"), 60, "DISCONNECT(0x82)", false),
        (clean(V5, "c"), 0, "", false),
    ] {
        let mut world = World::standard();
        let client = world.join(&device, connect);
        world.send(client, &leave(expiry_s));
        assert_eq!(world.told(client), told);
        assert!(world.is_closed(client));
        world.advance(10_000);
        let client = world.connect(&device, persistent(V5, "c"));
        assert_eq!(
            world.connack(client).session_present,
            present_after_10_s,
            "{expiry_s}"
        );
    }
}

// tests aws-iot [MQ-11]; tests mqtt5 [MQTT-3.1.4-3]
#[test]
fn the_second_connect_of_one_owner_wins() {
    let mut world = World::standard();
    let device = Device::new("d");
    let listener = world.listener("$aws/events/presence/disconnected/+");
    let first = world.join(&device, persistent(V5, "c"));
    world.subscribe(first, "a", 1);
    let second = world.connect(&device, persistent(V5, "c"));
    assert_eq!(world.told(first), "DISCONNECT(0x8e)");
    assert!(world.is_closed(first));
    assert_eq!(world.told(second), "CONNACK(0x00,present)");
    let events = events(&world.sent(listener));
    assert_eq!(events[0].1["disconnectReason"], "DUPLICATE_CLIENTID");
    // The one that lost has nothing to say any more.
    world.send(first, &Packet::Publish(publish("a", "late", 0, 0)));
    assert_eq!(world.told(second), "");
}

// tests aws-iot [MQ-11], [RG-52]
#[test]
fn sessions_have_owners() {
    const RESUMED: &str = "CONNACK(0x00,present)";
    const EMPTY: &str = "CONNACK(0x00)";
    const REFUSED: &str = "CONNACK(0x85)";
    let thing = |certificate: &str| Device::new(certificate).thing("pump", false);
    let rotated = (thing("old"), thing("new"));
    let strangers = (Device::new("old"), Device::new("new"));
    let robbed = (thing("old"), Device::new("new"));
    let detached = (thing("same"), Device::new("same"));
    let attached = (Device::new("same"), thing("same"));
    // First and second certificate, profile, and what the second sees, whether the first is
    // connected or has left.
    for ((first, second), profile, expected) in [
        (&rotated, Profile::Standard, RESUMED),
        (&strangers, Profile::Standard, REFUSED),
        (&robbed, Profile::Standard, REFUSED),
        (&detached, Profile::Standard, EMPTY),
        (&attached, Profile::Standard, EMPTY),
        (&rotated, Profile::Aws, RESUMED),
        (&strangers, Profile::Aws, EMPTY),
        (&robbed, Profile::Aws, EMPTY),
    ] {
        let mut world = World::new(profile);
        let owner = world.join(first, persistent(V5, "pump"));
        world.subscribe(owner, "secret", 1);
        world.advance(2000);
        let other = world.connect(second, persistent(V5, "pump"));
        assert_eq!(world.told(other), expected, "{profile:?}");
        assert_eq!(world.is_closed(owner), expected != REFUSED, "{profile:?}");

        let mut world = World::new(profile);
        let owner = world.join(first, persistent(V5, "pump"));
        world.subscribe(owner, "secret", 1);
        world.send(owner, &disconnect());
        let sender = world.join(&Device::new("s"), clean(V5, "s"));
        world.send(sender, &Packet::Publish(publish("secret", "s", 1, 1)));
        world.advance(2000);
        let other = world.connect(second, persistent(V5, "pump"));
        let told = world.told(other);
        assert!(told.starts_with(expected), "{profile:?}: {told}");
        assert_eq!(told.contains("secret=s"), expected == RESUMED, "{told}");
        world.disk.check();
    }
}

/// A session of `holder` that waits with one message, and what a stranger is told who asks for it.
fn asked_for_by_a_stranger(world: &mut World, holder: &Device) -> String {
    let owner = world.join(holder, persistent(V5, "pump"));
    world.subscribe(owner, "secret", 1);
    world.send(owner, &disconnect());
    let sender = world.join(&Device::new("s"), clean(V5, "s"));
    world.send(sender, &Packet::Publish(publish("secret", "s", 1, 1)));
    let other = world.connect(&Device::new("other"), clean(V5, "pump"));
    world.told(other)
}

// tests aws-iot [MQ-11]
#[test]
fn a_session_that_waits_is_not_destroyed_by_another() {
    let holder = Device::new("d");
    for crashes in [false, true] {
        let mut world = World::standard();
        assert_eq!(
            asked_for_by_a_stranger(&mut world, &holder),
            "CONNACK(0x85)"
        );
        assert_eq!(world.core.counters().other_owner_refused, 1);
        if crashes {
            world.crash();
            let other = world.connect(&Device::new("other"), persistent(V3, "pump"));
            assert_eq!(world.told(other), "CONNACK(0x02)");
        }
        let owner = world.connect(&holder, persistent(V5, "pump"));
        assert_eq!(world.told(owner), "CONNACK(0x00,present) secret=s@1#1");
    }
    // It waits for an hour.
    for (ms, told) in [(3_599_999, "CONNACK(0x85)"), (3_600_000, "CONNACK(0x00)")] {
        let mut world = World::standard();
        asked_for_by_a_stranger(&mut world, &holder);
        world.advance(ms);
        let other = world.connect(&Device::new("other"), clean(V5, "pump"));
        assert_eq!(world.told(other), told, "{ms}");
    }
}

// tests aws-iot [MQ-11]
#[test]
fn who_lets_nobody_in_any_more_holds_no_client_id() {
    let thing = Device::new("d").thing("pump", false);
    for (holder, freed) in [(Device::new("d"), true), (thing, false)] {
        let mut world = World::standard();
        asked_for_by_a_stranger(&mut world, &holder);
        let doubts = std::mem::take(&mut world.doubts);
        assert_eq!(doubts.len(), usize::from(freed));
        for doubt in &doubts {
            world.core.vacate(world.now, doubt);
            world.turn();
        }
        let expected = if freed {
            "CONNACK(0x00)"
        } else {
            "CONNACK(0x85)"
        };
        let other = world.connect(&Device::new("other"), clean(V5, "pump"));
        assert_eq!(world.told(other), expected);
        for doubt in &doubts {
            world.core.vacate(world.now, doubt);
        }
        assert!(!world.is_closed(other) || !freed, "the newcomer's stays");
        world.disk.check();
    }
}

// tests aws-iot [MQ-11]
#[test]
fn one_who_asks_for_anothers_client_id_is_reported() {
    let mut world = World::standard();
    let listener = world.listener("$aws/events/presence/connect_failed/+");
    world.join(&Device::new("a"), clean(V3, "c"));
    let other = world.connect(&Device::new("b"), clean(V3, "c"));
    assert_eq!(world.told(other), "CONNACK(0x02)");
    assert_eq!(events(&world.sent(listener)).len(), 1);
    assert_eq!(world.core.counters().other_owner_refused, 1);
    let refused = world
        .disk
        .history
        .values()
        .filter_map(|(_, reason)| reason.clone());
    assert_eq!(refused.collect::<Vec<_>>(), ["CLIENT_ID_OF_ANOTHER_OWNER"]);
}

#[test]
fn everything_kept_is_there_after_a_crash() {
    let mut world = World::standard();
    let device = Device::new("d");
    let client = world.join(&device, persistent(V5, "c"));
    world.subscribe(client, "a/+", 2);
    let sender = world.join(&Device::new("s"), clean(V5, "s"));
    for (payload, qos, number) in [("one", 1, 1), ("two", 2, 2), ("three", 1, 3)] {
        world.send(
            sender,
            &Packet::Publish(publish("a/b", payload, qos, number)),
        );
    }
    let mut kept = publish("kept", "r", 1, 6);
    kept.retain = true;
    world.send(sender, &Packet::Publish(kept));
    assert_eq!(world.told(client), "a/b=one@1#1 a/b=two@2#2 a/b=three@1#3");
    world.send(client, &puback(3));
    world.send(client, &Packet::PubRec(Ack::success(id(2))));
    assert_eq!(world.told(client), "PUBREL(2)");

    world.crash();
    let client = world.connect(&device, persistent(V5, "c"));
    assert_eq!(
        world.told(client),
        "CONNACK(0x00,present) a/b=one@1#1,dup PUBREL(2)"
    );
    world.send(client, &Packet::PubComp(Ack::success(id(2))));
    world.send(client, &puback(1));
    assert!(world.disk.entries.is_empty());
    let sender = world.join(&Device::new("s"), clean(V5, "s"));
    world.send(sender, &Packet::Publish(publish("a/c", "new", 1, 5)));
    assert_eq!(world.told(client), "a/c=new@1#3");
    world.send(client, &subscribe("+", 0));
    // The acknowledgement waits for the disk, the message need not.
    assert_eq!(world.told(client), "kept=r@0,retain SUBACK[0]");
    world.disk.check();
}

#[test]
fn queues_are_bounded_and_say_so() {
    let config = BrokerConfig {
        queue_messages_max: 2,
        ..BrokerConfig::default()
    };
    let mut world = World::with(Profile::Standard, &config);
    let device = Device::new("d");
    let client = world.join(&device, persistent(V5, "c"));
    world.subscribe(client, "a", 1);
    world.send(client, &disconnect());
    let sender = world.join(&Device::new("s"), clean(V5, "s"));
    for number in 1..=3 {
        world.send(
            sender,
            &Packet::Publish(publish("a", &number.to_string(), 1, number)),
        );
    }
    assert_eq!(world.told(sender), "PUBACK(1) PUBACK(2) PUBACK(3)");
    assert_eq!(world.core.counters().dropped_queue_full, 1);
    let client = world.connect(&device, persistent(V5, "c"));
    assert_eq!(world.told(client), "CONNACK(0x00,present) a=1@1#1 a=2@1#2");
}

// tests aws-iot [MQ-24], [MQ-25], [MQ-81]
#[test]
fn a_resumed_session_is_judged_by_what_is_allowed_now() {
    let device = Device::new("d");
    let mut world = World::standard();
    let client = world.join(&device, persistent(V5, "c"));
    for filter in ["a", "b", "c"] {
        world.subscribe(client, filter, 1);
    }
    world.send(client, &disconnect());
    let sender = world.join(&Device::new("s"), clean(V5, "s"));
    for (at, on) in [(1, "a"), (2, "b"), (3, "c")] {
        world.send(sender, &Packet::Publish(publish(on, "x", 1, at)));
    }
    let mut brief = publish("a", "brief", 1, 4);
    brief.properties.message_expiry_s = Some(5);
    world.send(sender, &Packet::Publish(brief));
    world.advance(5_000);
    let less = policy(&[
        "Allow Connect *",
        "Allow Subscribe topicfilter/a",
        "Allow Subscribe topicfilter/b",
        "Allow Receive topic/a",
        "Allow Receive topic/c",
    ]);
    let device = Device {
        policies: vec![less],
        ..device
    };
    let client = world.connect(&device, persistent(V5, "c"));
    // `b` may not be received; `c` was on its way and may, but is no longer subscribed to.
    assert_eq!(world.told(client), "CONNACK(0x00,present) a=x@1#1 c=x@1#2");
    world.send(sender, &Packet::Publish(publish("c", "x", 1, 5)));
    assert_eq!(world.told(client), "");
    let (page, _) = world.core.subscriptions_of("c", "", 10).expect("a session");
    let filters: Vec<_> = page.into_iter().map(|one| one.filter).collect();
    assert_eq!(filters, ["a", "b"]);
}

/// What waits can expire; what was sent once is sent again until it is acknowledged.
// tests mqtt5 [MQTT-4.3.3-7], [MQTT-4.4.0-1], [MQTT-3.3.2-5]; tests aws-iot [MQ-25]
#[test]
fn what_was_sent_once_does_not_expire() {
    let device = Device::new("d");
    let mut world = World::standard();
    let mut connect = persistent(V5, "c");
    connect.properties.receive_maximum = NonZeroU16::new(2);
    let client = world.join(&device, connect.clone());
    world.subscribe(client, "a", 2);
    let sender = world.join(&Device::new("s"), clean(V5, "s"));
    for (number, qos) in [(1, 1), (2, 2), (3, 1)] {
        let mut message = publish("a", &number.to_string(), qos, number);
        message.properties.message_expiry_s = Some(5);
        world.send(sender, &Packet::Publish(message));
    }
    assert_eq!(world.told(client), "a=1@1#1 a=2@2#2");
    world.lose(client);
    world.advance(60_000);
    let client = world.connect(&device, connect);
    let mut sent = world.sent(client);
    let expiries: Vec<_> = sent
        .split_off(1)
        .into_iter()
        .map(|packet| match packet {
            Packet::Publish(message) => (message.dup, message.properties.message_expiry_s),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(expiries, [(true, Some(0)), (true, Some(0))]);
    world.send(client, &puback(1));
    world.send(client, &Packet::PubRec(Ack::success(id(2))));
    assert_eq!(world.told(client), "PUBREL(2)");
}

// tests aws-iot [MQ-21], [MQ-25]
#[test]
fn what_connack_says_of_a_session_holds_after_a_crash() {
    let device = Device::new("d");
    let expiring = |expiry_s| {
        let mut connect = persistent(V5, "c");
        connect.properties.session_expiry_s = Some(expiry_s);
        connect
    };
    // The second CONNECT, how long after the first connection was lost, and whether CONNACK waits
    // for the disk.
    for (second, after_ms, waits) in [
        (clean(V5, "c"), 0, true),
        (expiring(3600), 0, false),
        (expiring(3601), 0, true),
        (expiring(3600), 3_539_999, false),
        (expiring(3600), 3_541_000, true),
        (expiring(3600), 3_600_000, false),
    ] {
        let mut world = World::standard();
        let client = world.join(&device, expiring(3600));
        world.subscribe(client, "a", 1);
        world.lose(client);
        world.advance(after_ms);
        world.prompt_disk = false;
        let client = world.connect(&device, second.clone());
        let told = world.told(client);
        assert_eq!(told.is_empty(), waits, "{second:?} {after_ms}: {told}");
        if waits {
            world.sync();
        }
        let told = told + &world.told(client);
        // What the disk has not been given by now is lost; what the client was told is still so.
        world.prompt_disk = true;
        world.crash();
        world.advance(59_000);
        let client = world.connect(&device, persistent(V5, "c"));
        let present = world.connack(client).session_present;
        assert_eq!(told.contains("present"), present, "{second:?} {after_ms}");
    }
}
