//! SUBSCRIBE and UNSUBSCRIBE.

use super::*;
use mqtt::packet::SubscriptionIdentifier;

#[track_caller]
fn check(profile: Profile, device: &Device, version: Version, filter: &str, expected: &str) {
    let mut world = World::new(profile);
    let client = world.join(device, clean(version, "c"));
    world.send(client, &subscribe(filter, 1));
    let mut told = world.told(client);
    if world.is_closed(client) {
        told.push_str(" closed");
    }
    assert_eq!(told.trim(), expected, "{profile:?} {version:?} {filter:?}");
}

// tests aws-iot [MQ-43], [MQ-44], [MQ-70]
#[test]
fn each_filter_is_granted_or_refused() {
    use Profile::{Aws, Standard};
    let lines = [
        "Allow Connect *",
        "Allow Subscribe topicfilter/a/*",
        "Allow Subscribe topicfilter/$aws/*",
        "Allow Subscribe topicfilter/$share/g/a/*",
        "Deny Subscribe topicfilter/a/secret",
    ];
    let device = Device::allowed("d", &policy(&lines));
    let granted = "SUBACK[1]";
    let refused = ("SUBACK[0x80]", "SUBACK[0x87]");
    let invalid = ("closed", "SUBACK[0x8f]");
    let unusable = ("SUBACK[0x80]", "SUBACK[0x8f]");
    for (filter, (v3, v5)) in [
        ("a/b", (granted, granted)),
        ("a/#", (granted, granted)),
        ("a/+/c", (granted, granted)),
        ("b", refused),
        ("a/secret", refused),
        ("a#", invalid),
        ("a/b+", invalid),
        ("a/#/b", invalid),
        ("$share/g", invalid),
        ("$share/g+/a/b", invalid),
        ("$aws/rules/r", unusable),
        ("$aws/rules/#", unusable),
        ("$aws/events/#", (granted, granted)),
        ("$share/g/a/b", (granted, granted)),
        ("$share/other/a/b", refused),
        // tests aws-iot [PL-23]: a Deny of the bare filter holds for a share of it.
        ("$share/g/a/secret", refused),
    ] {
        check(Standard, &device, V3, filter, v3);
        check(Standard, &device, V5, filter, v5);
    }
    let deep = "a/2/3/4/5/6/7/8/9";
    check(Aws, &device, V5, deep, "SUBACK[0x8f]");
    check(Standard, &device, V5, deep, "SUBACK[1]");
}

// tests aws-iot [MQ-43]
#[test]
fn one_refused_filter_does_not_spoil_the_others() {
    let lines = [
        "Allow Connect *",
        "Allow Subscribe topicfilter/a",
        "Allow Receive *",
    ];
    let mut world = World::standard();
    let client = world.join(&Device::allowed("d", &policy(&lines)), clean(V5, "c"));
    let one = |filter: &str| SubscriptionRequest::new(filter, QoS::AtMostOnce);
    world.send(client, &subscribe_to(vec![one("b"), one("a"), one("a#")]));
    assert_eq!(world.told(client), "SUBACK[0x87,0,0x8f]");
    let sender = world.join(&Device::new("s"), clean(V5, "s"));
    world.send(sender, &Packet::Publish(publish("a", "x", 0, 0)));
    world.send(sender, &Packet::Publish(publish("b", "x", 0, 0)));
    assert_eq!(world.told(client), "a=x@0");
}

// tests aws-iot [MQ-3], [MQ-40], [MQ-46], [MQ-75]
#[test]
fn limits_and_options_of_each_profile() {
    let device = Device::new("d");
    let mut world = World::aws();
    let client = world.join(&device, clean(V5, "c"));
    for number in 0..50 {
        world.subscribe(client, &format!("t/{number}"), 0);
    }
    world.send(client, &subscribe("t/50", 0));
    assert_eq!(world.told(client), "SUBACK[0x97]");
    // One that it has already may be renewed.
    world.subscribe(client, "t/49", 1);

    let many = |count: usize| {
        let filters =
            (0..count).map(|n| SubscriptionRequest::new(&format!("m/{n}"), QoS::AtMostOnce));
        subscribe_to(filters.collect())
    };
    let mut no_local = SubscriptionRequest::new("$share/g/a", QoS::AtMostOnce);
    no_local.no_local = true;
    let mut identified = subscribe("a", 0);
    if let Packet::Subscribe(subscribe) = &mut identified {
        subscribe.properties.subscription_identifier = SubscriptionIdentifier::new(5);
    }
    for (profile, packet, expected) in [
        (Profile::Aws, many(9), "DISCONNECT(0x97)"),
        (Profile::Standard, many(9), "SUBACK[0,0,0,0,0,0,0,0,0]"),
        (Profile::Aws, many(8), "SUBACK[0,0,0,0,0,0,0,0]"),
        (Profile::Aws, subscribe("a", 2), "DISCONNECT(0x9b)"),
        (Profile::Standard, subscribe("a", 2), "SUBACK[2]"),
        (Profile::Aws, identified.clone(), "DISCONNECT(0xa1)"),
        (Profile::Standard, identified.clone(), "SUBACK[0]"),
        (
            Profile::Standard,
            subscribe_to(vec![no_local.clone()]),
            "DISCONNECT(0x82)",
        ),
    ] {
        let mut world = World::new(profile);
        let client = world.join(&device, clean(V5, "c"));
        world.send(client, &packet);
        assert_eq!(world.told(client), expected, "{profile:?} {packet:?}");
    }
}

// tests aws-iot [MQ-47]
#[test]
fn unsubscribe_ends_what_there_was() {
    for (version, gone, unknown) in [
        (V3, "UNSUBACK[]", "UNSUBACK[]"),
        (V5, "UNSUBACK[0]", "UNSUBACK[0x11]"),
    ] {
        let mut world = World::standard();
        let client = world.join(&Device::new("d"), persistent(version, "c"));
        for filter in ["a", "a/+", "$share/g/a"] {
            world.subscribe(client, filter, 0);
            world.send(client, &unsubscribe(filter));
            assert_eq!(world.told(client), gone, "{filter}");
            world.send(client, &unsubscribe(filter));
            assert_eq!(world.told(client), unknown, "{filter}");
        }
        world.send(client, &Packet::Publish(publish("a", "x", 0, 0)));
        assert_eq!(world.told(client), "");
        assert!(world.core.routes.is_empty());
        assert_eq!(world.core.groups.len(), 0);
        world.disk.check();
    }
    let mut world = World::standard();
    let client = world.join(&Device::new("d"), clean(V5, "c"));
    world.send(client, &unsubscribe("a#"));
    assert_eq!(world.told(client), "UNSUBACK[0x8f]");
}

// tests aws-iot [3.2]
#[test]
fn changes_are_reported_with_what_was_granted() {
    let lines = ["Allow Connect *", "Allow Subscribe topicfilter/a"];
    let device = Device::allowed("d", &policy(&lines));
    let mut world = World::standard();
    let listener = world.listener("$aws/events/subscriptions/#");
    world.sent(listener);
    let client = world.join(&device, clean(V5, "c"));
    let one = |filter: &str| SubscriptionRequest::new(filter, QoS::AtMostOnce);
    world.send(client, &subscribe_to(vec![one("b"), one("a")]));
    world.send(client, &subscribe("b", 0));
    world.send(client, &unsubscribe("a"));
    let events = events(&world.sent(listener));
    let seen: Vec<String> = events
        .iter()
        .map(|(topic, event)| format!("{topic} {}", event["topics"]))
        .collect();
    assert_eq!(
        seen,
        [
            r#"$aws/events/subscriptions/subscribed/c ["a"]"#,
            r#"$aws/events/subscriptions/unsubscribed/c ["a"]"#,
        ]
    );
}

// tests aws-iot [MQ-33], [MQ-45]
#[test]
fn a_stored_subscription_is_acknowledged_once_it_is_stored_and_works_at_once() {
    let mut world = World::standard();
    let client = world.join(&Device::new("d"), persistent(V5, "c"));
    world.prompt_disk = false;
    world.send(client, &subscribe("a", 0));
    assert_eq!(world.told(client), "");
    world.send(client, &Packet::Publish(publish("a", "x", 0, 0)));
    assert_eq!(world.told(client), "a=x@0");
    world.sync();
    assert_eq!(world.told(client), "SUBACK[0]");
}
