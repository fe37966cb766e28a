//! Refusals by policy: the first is explained, repeats are counted and told in batches.

use super::*;

fn deaf() -> Device {
    Device::allowed("deaf", &policy(&["Allow Connect *", "Allow Subscribe *"]))
}

fn repeats(world: &World) -> Vec<u64> {
    world.repeats.borrow().values().copied().collect()
}

#[test]
fn a_delivery_refused_again_is_only_counted() {
    let mut world = World::standard();
    let reader = world.join(&deaf(), clean(V5, "deaf"));
    world.subscribe(reader, "#", 1);
    let sender = world.join(&Device::new("s"), clean(V5, "s"));
    for qos in 0..=1 {
        for number in 1..=500 {
            world.send(sender, &Packet::Publish(publish("a", "x", qos, number)));
        }
    }
    assert_eq!(world.denials.borrow().len(), 1, "explained once");
    assert!(repeats(&world).is_empty(), "told later");
    assert_eq!(world.core.counters().denials, 1000);
    world.advance(1000);
    assert_eq!(repeats(&world), [999]);
    assert_eq!(world.told(reader), "");
    world.advance(59_000);
    world.send(sender, &Packet::Publish(publish("a", "x", 0, 0)));
    assert_eq!(world.denials.borrow().len(), 2, "a minute later anew");
}

#[test]
fn what_was_counted_is_told_when_the_connection_or_its_access_ends() {
    let mut world = World::standard();
    let may_connect = Device::allowed("d", &policy(&["Allow Connect *"]));
    let client = world.join(&may_connect, clean(V5, "c"));
    let flood = |world: &mut World| {
        for number in 1..=100 {
            world.send(client, &Packet::Publish(publish("a", "x", 1, number)));
        }
    };
    flood(&mut world);
    let told = world.told(client);
    assert_eq!(told.matches("0x87").count(), 100, "each has its answer");
    world.review(&may_connect, &may_connect.active());
    assert_eq!(repeats(&world), [99]);
    flood(&mut world);
    world.lose(client);
    assert_eq!(repeats(&world), [99, 99], "under new facts it is another");
}

#[test]
fn each_refusal_says_the_id_of_its_record() {
    let mut world = World::standard();
    let may_connect = Device::allowed("d", &policy(&["Allow Connect *"]));
    let client = world.join(&may_connect, clean(V5, "c"));
    for (topic, id) in [("a", "d1"), ("b", "d2"), ("a", "d1"), ("b", "d2")] {
        world.send(client, &Packet::Publish(publish(topic, "x", 1, 1)));
        let sent = world.sent(client);
        let Packet::PubAck(ack) = &sent[0] else {
            panic!("{sent:?}");
        };
        let reason = ack.properties.reason_string.as_deref().unwrap_or_default();
        assert!(reason.ends_with(&format!("denial id {id}")), "{reason}");
    }
}

#[test]
fn explanations_are_bounded_however_many_things_are_refused() {
    let mut world = World::standard();
    let reader = world.join(&deaf(), clean(V5, "deaf"));
    world.subscribe(reader, "#", 0);
    let sender = world.join(&Device::new("s"), clean(V5, "s"));
    let flood = |world: &mut World| {
        for number in 0..1000 {
            let topic = format!("t/{number}");
            world.send(sender, &Packet::Publish(publish(&topic, "x", 0, 0)));
        }
        world.advance(1000);
    };
    flood(&mut world);
    let told = |world: &World| -> u64 { repeats(world).iter().sum() };
    let denials = world.denials.borrow().len();
    assert_eq!(denials, 33, "32 explained, and one for all the others");
    assert_eq!(told(&world) + 33, 1000, "none is lost");
    let last = world.denials.borrow().last().cloned().expect("a denial");
    assert_eq!(
        (last.action.as_str(), last.resource.as_str()),
        ("iot:Receive", "*")
    );
    assert!(last.explanation.is_null());
    world.advance(60_000);
    flood(&mut world);
    assert_eq!(world.denials.borrow().len(), 66);
    assert_eq!(told(&world) + 66, 2000);
}
