//! Wills: when they are published, when not, and when later.

use super::*;

/// How a connection ends, and whether its will is published at once.
#[track_caller]
fn check(connect: Connect, end: impl Fn(&mut World, Client), published: bool) {
    let mut world = World::standard();
    let reader = world.listener("w");
    let client = world.join(&Device::new("d"), connect);
    end(&mut world, client);
    let told = world.told(reader);
    assert_eq!(told == "w=gone@1#1", published, "{told}");
}

// tests aws-iot [MQ-61]; tests mqtt5 [MQTT-3.1.2-8], [MQTT-3.1.2-10]
#[test]
fn every_end_but_a_polite_one_publishes_the_will() {
    let leave = |reason| {
        move |world: &mut World, client: Client| {
            world.send(client, &Packet::Disconnect(Disconnect::new(reason)));
        }
    };
    for version in [V3, V5] {
        let will = || with_will(clean(version, "c"), "w", 0);
        check(will(), leave(ReasonCode::Success), false);
        check(will(), World::lose, true);
        check(
            will(),
            |world, client| world.send_bytes(client, b"\xf0\xff\xff\xff\xff"),
            true,
        );
        check(
            will(),
            |world, _| {
                let device = Device::new("d");
                world.join(&device, clean(V5, "c"));
            },
            true,
        );
        check(
            will(),
            |world, _| {
                world.review(&Device::new("d"), &Standing::Inactive("REVOKED".into()));
            },
            true,
        );
        for prevented in [false, true] {
            check(
                will(),
                |world, _| {
                    assert!(
                        world
                            .core
                            .delete_connection(world.now, "c", false, prevented)
                    );
                    world.turn();
                },
                !prevented,
            );
        }
    }
    let will = || with_will(clean(V5, "c"), "w", 0);
    check(will(), leave(ReasonCode::DisconnectWithWill), true);
    check(
        Connect {
            keep_alive_s: 10,
            ..will()
        },
        |world, _| world.advance(15_000),
        true,
    );
}

// tests aws-iot [MQ-63]; tests mqtt5 [3.1.3.2.2], [MQTT-3.1.3-9]
#[test]
fn a_delayed_will_waits_for_its_client() {
    let device = Device::new("d");
    let delayed = |expiry_s| {
        let mut connect = with_will(persistent(V5, "c"), "w", 60);
        connect.properties.session_expiry_s = Some(expiry_s);
        connect
    };
    // After its delay.
    let mut world = World::standard();
    let reader = world.listener("w");
    let client = world.join(&device, delayed(3600));
    world.lose(client);
    world.advance(59_999);
    assert_eq!(world.told(reader), "");
    world.advance(1);
    assert_eq!(world.told(reader), "w=gone@1#1");
    world.advance(100_000);
    assert_eq!(world.told(reader), "", "once");

    // At the end of the session, if that is sooner; with a session that ends at once, at once.
    for (expiry_s, before_ms) in [(30, 29_999), (0, 0)] {
        let mut world = World::standard();
        let reader = world.listener("w");
        let client = world.join(&device, delayed(expiry_s));
        world.lose(client);
        world.advance(before_ms);
        if expiry_s > 0 {
            assert_eq!(world.told(reader), "");
            world.advance(1);
        }
        assert_eq!(world.told(reader), "w=gone@1#1");
    }

    // Not if the client is back in time, as itself; a clean start ends the session.
    for (clean_start, expected) in [(false, ""), (true, "w=gone@1#1")] {
        let mut world = World::standard();
        let reader = world.listener("w");
        let client = world.join(&device, delayed(3600));
        world.lose(client);
        world.advance(30_000);
        world.join(
            &device,
            Connect {
                clean_start,
                ..persistent(V5, "c")
            },
        );
        world.advance(100_000);
        assert_eq!(world.told(reader), expected);
    }
}

#[test]
fn a_will_survives_a_crash_of_the_broker() {
    let mut world = World::standard();
    let device = Device::new("d");
    let reader = world.join(&Device::new("r"), persistent(V5, "reader"));
    world.subscribe(reader, "w", 1);
    world.join(&device, with_will(persistent(V5, "now"), "w", 0));
    let away = world.join(&device, with_will(persistent(V5, "later"), "w", 60));
    world.lose(away);
    world.advance(20_000);
    world.crash();
    assert_eq!(world.disk.wills.len(), 2);
    // The restart is the disconnect of whoever was connected; the other's delay runs on.
    let reader = world.connect(&Device::new("r"), persistent(V5, "reader"));
    assert_eq!(world.told(reader), "CONNACK(0x00,present)");
    world.advance(0);
    assert_eq!(world.told(reader), "w=gone@1#1");
    world.advance(39_999);
    assert_eq!(world.told(reader), "");
    world.advance(1);
    assert_eq!(world.told(reader), "w=gone@1#2");
    world.crash();
    world.advance(100_000);
    let reader = world.connect(&Device::new("r"), persistent(V5, "reader"));
    assert_eq!(
        world.told(reader),
        "CONNACK(0x00,present) w=gone@1#1,dup w=gone@1#2,dup",
        "not a second time"
    );
}

// tests aws-iot [MQ-54], [MQ-60]
#[test]
fn a_will_that_is_no_longer_allowed_is_not_published() {
    let mut world = World::standard();
    let reader = world.listener("w");
    let device = Device::new("d");
    let client = world.join(&device, with_will(clean(V5, "c"), "w", 0));
    let less = Device::allowed("d", &policy(&["Allow Connect *"]));
    world.review(&device, &less.active());
    assert!(!world.is_closed(client));
    world.lose(client);
    assert_eq!(world.told(reader), "");
    let denials = world.denials.borrow();
    assert_eq!(denials[0].action, "iot:Publish");
}

// tests aws-iot [MQ-61], [MQ-64]
#[test]
fn the_will_of_a_connection_without_a_session_survives_a_crash() {
    for version in [V3, V5] {
        let mut world = World::standard();
        let reader = world.join(&Device::new("r"), persistent(V5, "reader"));
        world.subscribe(reader, "w", 1);
        let mut connect = with_will(clean(version, "c"), "w", 0);
        let will = connect.will.as_mut().expect("there is one");
        will.retain = true;
        if version == V5 {
            // It counts from the disconnect, however long the connection was there.
            will.properties.message_expiry_s = Some(10);
            // Without a session there is nothing to wait for.
            will.properties.delay_s = Some(60);
        }
        world.join(&Device::new("d"), connect);
        world.advance(100_000);
        world.crash();
        assert!(world.disk.wills.is_empty(), "published, so it has no row");
        world.advance(9_000);
        // It survives as what it has become, a message that waits and a retained one.
        world.crash();
        let reader = world.connect(&Device::new("r"), persistent(V5, "reader"));
        assert_eq!(world.told(reader), "CONNACK(0x00,present) w=gone@1#1");
        let other = world.join(&Device::new("o"), clean(V5, "other"));
        world.send(other, &subscribe("w", 1));
        assert_eq!(world.told(other), "SUBACK[1] w=gone@1#1,retain");
        world.disk.check();
    }
}

/// What becomes of a will, retained or not, when what is known of its principal changes.
#[track_caller]
fn check_judged(standing: &dyn Fn(&Device) -> Standing, retain: bool, denied: Option<&str>) {
    for (connect, crashes) in [
        (clean(V3, "c"), true),
        (persistent(V5, "c"), true),
        (with_will(persistent(V5, "c"), "w", 60), false),
        (with_will(persistent(V5, "c"), "w", 60), true),
    ] {
        let mut world = World::standard();
        let reader = world.join(&Device::new("r"), persistent(V5, "reader"));
        world.subscribe(reader, "w", 1);
        let device = Device::new("d");
        let mut connect = match connect.will {
            None => with_will(connect, "w", 0),
            Some(_) => connect,
        };
        connect.will.as_mut().expect("there is one").retain = retain;
        let client = world.join(&device, connect);
        world.lose(reader);
        if crashes {
            // What is true changes while the broker is down.
            world.know(&device, standing(&device));
            world.crash();
        } else {
            world.lose(client);
            world.know(&device, standing(&device));
        }
        world.advance(60_000);
        let reader = world.connect(&Device::new("r"), persistent(V5, "reader"));
        let told = world.told(reader);
        assert_eq!(told.contains("w=gone@1"), denied.is_none(), "{told}");
        let actions: Vec<_> = world
            .denials
            .borrow()
            .iter()
            .map(|denial| denial.action.clone())
            .collect();
        assert_eq!(actions, denied.into_iter().collect::<Vec<_>>());
        assert!(world.disk.wills.is_empty());
    }
}

// tests aws-iot [MQ-54], [MQ-60]
#[test]
fn a_will_that_comes_later_is_judged_by_what_is_true_then() {
    let with =
        |lines: &'static [&str]| move |_: &Device| Device::allowed("d", &policy(lines)).active();
    check_judged(&Device::active, false, None);
    check_judged(&Device::active, true, None);
    // To connect is not asked for again: it is what the will tells the end of.
    check_judged(&with(&["Allow Publish topic/w"]), false, None);
    check_judged(
        &with(&["Allow Publish topic/w"]),
        true,
        Some("iot:RetainPublish"),
    );
    check_judged(&with(&["Allow Connect *"]), false, Some("iot:Publish"));
    let revoked = |_: &Device| Standing::Inactive("REVOKED".into());
    check_judged(&revoked, false, Some("iot:Publish"));
    check_judged(&|_: &Device| Standing::Unknown, true, Some("iot:Publish"));
}

#[test]
fn the_refusal_of_an_inactive_certificate_suggests_no_edit() {
    let mut world = World::standard();
    let device = Device::new("d");
    world.join(&device, with_will(clean(V5, "c"), "w", 0));
    world.know(&device, Standing::Inactive("REVOKED".into()));
    world.crash();
    let denials = world.denials.borrow();
    let explanation = &denials[0].explanation;
    assert_eq!(explanation["refusal"], "the certificate is not active");
    assert_eq!(explanation["suggestedEdit"], serde_json::Value::Null);
    assert_eq!(denials[0].source_ip, Some([198, 51, 100, 9].into()));
}

// tests aws-iot [MQ-61]
#[test]
fn what_ended_a_will_holds_after_a_crash() {
    let device = Device::new("d");
    // A polite disconnect; another will in its place; a client that is back in time.
    let mut world = World::standard();
    let client = world.join(&device, with_will(clean(V5, "polite"), "w", 0));
    world.send(client, &disconnect());
    let client = world.join(&device, with_will(persistent(V5, "renewed"), "w", 60));
    world.lose(client);
    world.join(&device, with_will(persistent(V5, "renewed"), "new", 60));
    let client = world.join(&device, with_will(persistent(V5, "back"), "w", 60));
    world.lose(client);
    world.join(&device, persistent(V5, "back"));
    let reader = world.join(&Device::new("r"), persistent(V5, "reader"));
    for filter in ["w", "new"] {
        world.subscribe(reader, filter, 1);
    }
    world.crash();
    world.advance(60_000);
    let reader = world.connect(&Device::new("r"), persistent(V5, "reader"));
    assert_eq!(
        world.told(reader),
        "CONNACK(0x00,present) new=gone@1#1",
        "only the one that stood"
    );
}

/// A due will that is not judged yet is not taken for that of a later connection.
#[test]
fn two_wills_of_one_client_id_are_two() {
    let mut world = World::standard();
    let device = Device::new("d");
    let reader = world.join(&Device::new("r"), persistent(V5, "reader"));
    world.subscribe(reader, "first", 1);
    let client = world.join(&device, with_will(persistent(V5, "c"), "first", 60));
    world.lose(client);
    world.core.tick(Now {
        instant: world.now.instant + Duration::from_secs(60),
        wall: world.now.wall.after(Duration::from_secs(60)),
    });
    // The process dies with the question unanswered, and the client was back before.
    let batch = world.core.take_batch().expect("that it is due");
    world.disk.apply(&batch.ops);
    let mut second = world.disk.wills.values().next().expect("a row").clone();
    assert!(second.due);
    second.id = "second".to_owned();
    second.due = false;
    world.disk.wills.insert(second.id.clone(), second);
    world.crash();
    let reader = world.connect(&Device::new("r"), persistent(V5, "reader"));
    let told = world.told(reader);
    assert_eq!(told.matches("first=gone").count(), 1, "{told}");
    world.advance(60_000);
    let told = world.told(reader);
    assert_eq!(told.matches("first=gone").count(), 1, "{told}");
}

// tests mqtt5 [MQTT-3.1.2-7]; tests aws-iot [MQ-4]
#[test]
fn a_will_is_on_the_disk_before_connack() {
    let mut world = World::standard();
    let reader = world.listener("w");
    world.prompt_disk = false;
    let device = Device::new("d");
    let client = world.connect(&device, with_will(clean(V5, "c"), "w", 0));
    let early = [
        Packet::PingReq,
        subscribe("a", 0),
        Packet::Publish(publish("w", "early", 0, 0)),
    ];
    let mut bytes = BytesMut::new();
    for packet in &early {
        mqtt::encode(packet, V5, &mut bytes).expect("a valid packet");
    }
    let reading = world.core.received(world.now, client.key, &mut bytes);
    world.turn();
    assert_eq!(reading, Reading::Paused);
    assert_eq!(world.told(client), "", "nothing is promised yet");
    world.sync();
    assert_eq!(world.told(client), "CONNACK(0x00)");
    let reading = world.core.received(world.now, client.key, &mut bytes);
    world.turn();
    assert_eq!(reading, Reading::On);
    assert_eq!(world.told(client), "PINGRESP SUBACK[0]");
    assert_eq!(world.told(reader), "w=early@0");

    // One who was never told that it is connected has no will.
    let waiting = world.connect(&device, with_will(clean(V5, "c2"), "w", 0));
    world.lose(waiting);
    let waiting = world.connect(&device, with_will(clean(V5, "c2"), "w", 0));
    let again = world.connect(&device, with_will(clean(V5, "c2"), "w", 0));
    assert_eq!(world.told(waiting), "", "not even that it was taken over");
    assert!(world.is_closed(waiting));
    world.sync();
    assert_eq!(world.told(again), "CONNACK(0x00)");
    assert_eq!(world.told(reader), "");
    world.prompt_disk = true;
    world.lose(again);
    assert_eq!(world.told(reader), "w=gone@1#1");
}
