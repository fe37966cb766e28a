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
