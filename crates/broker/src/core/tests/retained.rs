//! Retained messages.

use super::*;
use mqtt::packet::RetainHandling;

fn keep(world: &mut World, on: &str, payload: &str) {
    let sender = world.join(&Device::new("keeper"), clean(V5, "keeper"));
    let mut message = publish(on, payload, 1, 1);
    message.retain = true;
    world.send(sender, &Packet::Publish(message));
    assert_eq!(world.told(sender), "PUBACK(1)");
    world.send(sender, &disconnect());
}

// tests aws-iot [MQ-50], [MQ-51], [MQ-52], [MQ-72]
#[test]
fn subscribers_get_what_was_kept() {
    let all = "SUBACK[1] a=0@1#1,retain a/b=1@1#2,retain a/c=2@1#3,retain";
    for (profile, filter, expected) in [
        (Profile::Standard, "a/b", "SUBACK[1] a/b=1@1#1,retain"),
        (Profile::Standard, "a/#", all),
        (
            Profile::Standard,
            "a/+",
            "SUBACK[1] a/b=1@1#1,retain a/c=2@1#2,retain",
        ),
        (Profile::Standard, "+/c", "SUBACK[1] a/c=2@1#1,retain"),
        (Profile::Standard, "$share/g/a/b", "SUBACK[1]"),
        (Profile::Aws, "a/b", "SUBACK[1] a/b=1@1#1,retain"),
        (Profile::Aws, "a/#", "SUBACK[1]"),
        (Profile::Aws, "a/+", "SUBACK[1]"),
    ] {
        for version in [V3, V5] {
            let mut world = World::new(profile);
            for (at, on) in ["a", "a/b", "a/c", "ab"].iter().enumerate() {
                keep(&mut world, on, &at.to_string());
                world.advance(1000);
            }
            let client = world.join(&Device::new("d"), clean(version, "c"));
            world.send(client, &subscribe(filter, 1));
            assert_eq!(world.told(client), expected, "{profile:?} {filter}");
        }
    }
}

// tests aws-iot [MQ-50]
#[test]
fn a_newer_one_replaces_and_an_empty_one_removes() {
    let mut world = World::standard();
    let live = world.join(&Device::new("d"), clean(V5, "live"));
    world.subscribe(live, "a", 0);
    keep(&mut world, "a", "1");
    keep(&mut world, "a", "2");
    world.crash();
    let client = world.join(&Device::new("d"), clean(V5, "c"));
    world.send(client, &subscribe("a", 0));
    assert_eq!(world.told(client), "SUBACK[0] a=2@0,retain");
    keep(&mut world, "a", "");
    assert_eq!(world.told(client), "a=@0", "the empty message is forwarded");
    world.crash();
    let client = world.join(&Device::new("d"), clean(V5, "c"));
    world.send(client, &subscribe("a", 0));
    assert_eq!(world.told(client), "SUBACK[0]");
    assert_eq!(world.core.retained_count(), 0);
}

// tests mqtt5 [MQTT-3.3.1-9], [MQTT-3.3.1-10], [MQTT-3.3.1-11]
#[test]
fn retain_handling_decides_when() {
    for (handling, first, again) in [
        (RetainHandling::Send, true, true),
        (RetainHandling::SendIfNew, true, false),
        (RetainHandling::DoNotSend, false, false),
    ] {
        let mut world = World::standard();
        keep(&mut world, "a", "x");
        let client = world.join(&Device::new("d"), clean(V5, "c"));
        for expected in [first, again] {
            let mut request = SubscriptionRequest::new("a", QoS::AtMostOnce);
            request.retain_handling = handling;
            world.send(client, &subscribe_to(vec![request]));
            let told = world.told(client);
            assert_eq!(
                told.contains("a=x@0,retain"),
                expected,
                "{handling:?}: {told}"
            );
        }
    }
}

// tests aws-iot [MQ-55]
#[test]
fn an_expired_one_is_gone() {
    let mut world = World::standard();
    let sender = world.join(&Device::new("s"), clean(V5, "s"));
    let mut message = publish("a", "x", 1, 1);
    message.retain = true;
    message.properties.message_expiry_s = Some(10);
    world.send(sender, &Packet::Publish(message));
    let look = |world: &mut World| {
        let client = world.join(&Device::new("d"), clean(V5, "c"));
        world.send(client, &subscribe("a", 0));
        let found = world.told(client).contains("a=x");
        let listed = !world
            .core
            .look_at_retained(world.now, "", 10, "")
            .found
            .is_empty();
        assert_eq!(found, listed);
        found
    };
    world.advance(9_999);
    assert!(look(&mut world));
    world.advance(1);
    assert!(!look(&mut world));
    world.advance(60_000);
    assert_eq!(world.core.retained_count(), 0, "the sweep removes it");
}

// tests aws-iot [MQ-57]
#[test]
fn the_bounds_are_told_and_deletes_always_pass() {
    let config = BrokerConfig {
        retained_max: 1,
        ..BrokerConfig::default()
    };
    let mut world = World::with(Profile::Standard, &config);
    keep(&mut world, "a", "1");
    let sender = world.join(&Device::new("s"), clean(V5, "s"));
    let retained = |on: &str, payload: &str| {
        let mut message = publish(on, payload, 1, 1);
        message.retain = true;
        Packet::Publish(message)
    };
    for (on, payload, expected) in [
        ("b", "2", "PUBACK(1,0x97)"),
        ("a", "2", "PUBACK(1)"),
        ("b", "", "PUBACK(1)"),
        ("a", "", "PUBACK(1)"),
        ("b", "2", "PUBACK(1)"),
    ] {
        world.send(sender, &retained(on, payload));
        assert_eq!(world.told(sender), expected, "{on} {payload}");
    }
}

// tests aws-iot [7.2]
#[test]
fn a_retained_message_is_judged_like_any_delivery() {
    let mut world = World::standard();
    keep(&mut world, "a", "x");
    let lines = ["Allow Connect *", "Allow Subscribe *"];
    let client = world.join(&Device::allowed("d", &policy(&lines)), clean(V5, "c"));
    world.send(client, &subscribe("a", 1));
    assert_eq!(world.told(client), "SUBACK[1]");
}
