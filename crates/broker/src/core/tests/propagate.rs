//! What goes with a thing's messages: for whom, in which order, and which copies carry it.

use super::*;
use crate::directory::PropagatedSource;

/// The certificate of thing `pump` of type `pumps`, in `hall`.
fn pump(exclusive: bool, hall: &str) -> Device {
    let mut device = Device::new("d").thing("pump", exclusive);
    let thing = &mut device.things[0];
    thing.thing_type = Some("pumps".to_owned());
    thing.attributes = BTreeMap::from([("hall".to_owned(), hall.to_owned())]);
    let attribute = |key: &str, source| PropagatingAttribute {
        key: key.to_owned(),
        source,
    };
    let attributes = vec![
        attribute("h", PropagatedSource::ThingAttribute("hall".to_owned())),
        attribute("none", PropagatedSource::ThingAttribute("none".to_owned())),
        attribute("id", PropagatedSource::ClientId),
        attribute("name", PropagatedSource::ThingName),
    ];
    device.propagating = BTreeMap::from([("pumps".to_owned(), attributes)]);
    device
}

/// The user properties of each message that the client was sent.
#[track_caller]
fn carried(world: &mut World, client: Client) -> Vec<String> {
    let sent = world.sent(client);
    let carried = sent.iter().filter_map(|packet| match packet {
        Packet::Publish(publish) => {
            let properties = publish.properties.user_properties.iter();
            let properties: Vec<_> = properties.map(|(k, v)| format!("{k}={v}")).collect();
            Some(properties.join(" "))
        }
        _ => None,
    });
    carried.collect()
}

/// What a message of `device` under `client_id` carries, from its version on.
#[track_caller]
fn check(device: &Device, version: Version, client_id: &str, expected: &str) {
    let mut world = World::standard();
    let reader = world.listener("a");
    let sender = world.join(device, clean(version, client_id));
    world.send(sender, &Packet::Publish(publish("a", "x", 1, 1)));
    assert_eq!(carried(&mut world, reader), [expected], "{client_id}");
}

// tests aws-iot [MQ-90], [MQ-91]
#[test]
fn messages_of_a_thing_carry_what_its_type_says() {
    let typeless = {
        let mut device = pump(true, "1");
        device.things[0].thing_type = None;
        device
    };
    let silent = Device {
        propagating: BTreeMap::new(),
        ..pump(true, "1")
    };
    let absent = {
        let mut device = pump(true, "1");
        device.things[0].attributes.clear();
        device
    };
    for version in [V3, V5] {
        check(&pump(true, "1"), version, "c", "h=1 id=c name=pump");
        check(&pump(false, "1"), version, "pump", "h=1 id=pump name=pump");
        check(&pump(false, "1"), version, "c", "");
        check(&typeless, version, "pump", "");
        check(&silent, version, "pump", "");
        check(&absent, version, "c", "id=c name=pump");
    }
}

// tests aws-iot [MQ-90]
#[test]
fn every_copy_carries_them_behind_the_publishers_own() {
    let mut world = World::standard();
    let reader = Device::new("r");
    let live = world.listener("a");
    let old = world.join(&Device::new("old"), clean(V3, "old"));
    world.subscribe(old, "a", 1);
    let queued = world.join(&reader, persistent(V5, "queued"));
    world.subscribe(queued, "a", 1);
    world.send(queued, &disconnect());

    let sender = world.join(&pump(true, "1"), clean(V5, "c"));
    let mut message = publish("a", "x", 1, 1);
    message.retain = true;
    message.properties.user_properties = vec![("own".to_owned(), "v".to_owned())];
    world.send(sender, &Packet::Publish(message));
    let expected = ["own=v h=1 id=c name=pump"];
    assert_eq!(carried(&mut world, live), expected);
    assert_eq!(world.told(old), "a=x@1#1");

    world.crash();
    let queued = world.connect(&reader, persistent(V5, "queued"));
    assert_eq!(carried(&mut world, queued), expected, "queued");
    let late = world.join(&reader, clean(V5, "late"));
    world.send(late, &subscribe("a", 1));
    assert_eq!(carried(&mut world, late), expected, "retained");
}

// tests aws-iot [MQ-90]
#[test]
fn they_follow_what_is_known_of_the_thing() {
    let mut world = World::standard();
    let reader = world.listener("#");
    let connect = with_will(clean(V5, "c"), "w", 0);
    let sender = world.join(&pump(true, "1"), connect);
    carried(&mut world, reader);
    let moved = pump(true, "2");
    let retyped = Device {
        propagating: BTreeMap::new(),
        ..pump(true, "2")
    };
    for (device, expected) in [(&retyped, ""), (&moved, "h=2 id=c name=pump")] {
        world.review(device, &device.active());
        world.send(sender, &Packet::Publish(publish("a", "x", 1, 1)));
        assert_eq!(carried(&mut world, reader), [expected]);
    }
    world.lose(sender);
    assert_eq!(carried(&mut world, reader), ["h=2 id=c name=pump"], "will");
}

// tests aws-iot [MQ-90], [MQ-64]
#[test]
fn a_will_carries_them_once_after_a_crash() {
    for crashes in [false, true] {
        let mut world = World::standard();
        let sender = world.join(&pump(true, "1"), with_will(persistent(V5, "c"), "w", 60));
        let moved = pump(true, "2");
        world.review(&moved, &moved.active());
        if crashes {
            world.crash();
        } else {
            world.lose(sender);
        }
        let reader = world.listener("w");
        world.advance(60_000);
        assert_eq!(carried(&mut world, reader), ["h=2 id=c name=pump"]);
    }
}
