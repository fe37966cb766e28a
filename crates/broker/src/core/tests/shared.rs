//! Shared subscriptions.

use super::*;

fn send(world: &mut World, payload: &str, qos: u8) {
    let sender = world.join(&Device::new("s"), clean(V5, "s"));
    world.send(sender, &Packet::Publish(publish("a", payload, qos, 1)));
    world.send(sender, &disconnect());
}

// tests aws-iot [MQ-70], [MQ-71]; tests mqtt5 [4.8.2]
#[test]
fn each_message_goes_to_one_member_of_each_group() {
    let mut world = World::standard();
    let members: Vec<Client> = (0..3)
        .map(|n| {
            world.join(
                &Device::new("d"),
                clean(if n == 0 { V3 } else { V5 }, &format!("m{n}")),
            )
        })
        .collect();
    let other = world.join(&Device::new("o"), clean(V5, "o"));
    for member in &members {
        world.subscribe(*member, "$share/g/a", 1);
    }
    world.subscribe(other, "$share/h/a", 0);
    for number in 0..60 {
        send(&mut world, &number.to_string(), 0);
    }
    let counts: Vec<usize> = members
        .iter()
        .map(|member| world.sent(*member).len())
        .collect();
    assert_eq!(counts.iter().sum::<usize>(), 60);
    assert!(
        counts.iter().all(|count| *count > 5),
        "everyone gets a share: {counts:?}"
    );
    assert_eq!(world.sent(other).len(), 60);
}

// tests aws-iot [MQ-73], [MQ-74]
#[test]
fn a_group_with_a_persistent_member_waits_for_one() {
    let config = BrokerConfig {
        queue_messages_max: 2,
        ..BrokerConfig::default()
    };
    let device = Device::new("d");
    for crashes in [false, true] {
        let mut world = World::with(Profile::Standard, &config);
        let member = world.join(&device, persistent(V5, "m"));
        world.subscribe(member, "$share/g/a", 1);
        world.send(member, &disconnect());
        for (payload, qos) in [("0", 0), ("1", 1), ("2", 1), ("3", 1)] {
            send(&mut world, payload, qos);
        }
        if crashes {
            world.crash();
        }
        // Whoever joins is a member like any other.
        let joined = world.join(&device, clean(V5, "n"));
        world.send(joined, &subscribe("$share/g/a", 1));
        let told = world.told(joined);
        assert_eq!(
            told, "SUBACK[1] a=1@1#1 a=2@1#2",
            "new ones are dropped, and QoS 0"
        );
        // It vanishes with both on their way: they go to the one who comes back, in order.
        world.send(joined, &puback(1));
        world.lose(joined);
        let member = world.connect(&device, persistent(V5, "m"));
        assert_eq!(world.told(member), "CONNACK(0x00,present) a=2@1#1");
        world.send(member, &puback(1));
        assert!(world.disk.entries.is_empty());
        world.disk.check();
    }
}

// tests aws-iot [MQ-74]; tests mqtt5 [MQTT-4.8.2-4], [MQTT-4.8.2-5]
#[test]
fn what_a_vanished_member_had_goes_to_another() {
    let device = Device::new("d");
    let mut world = World::standard();
    let one = world.join(&device, clean(V5, "one"));
    world.subscribe(one, "$share/g/a", 2);
    send(&mut world, "first", 1);
    send(&mut world, "second", 2);
    assert_eq!(world.told(one), "a=first@1#1 a=second@2#2");
    let two = world.join(&device, clean(V5, "two"));
    world.subscribe(two, "$share/g/a", 2);
    world.lose(one);
    assert_eq!(
        world.told(two),
        "a=first@1#1",
        "QoS 2 is not begun again with another"
    );

    // A persistent member gets its QoS 2 message when it is back.
    let mut world = World::standard();
    let one = world.join(&device, persistent(V5, "one"));
    world.subscribe(one, "$share/g/a", 2);
    send(&mut world, "x", 2);
    assert_eq!(world.told(one), "a=x@2#1");
    let two = world.join(&device, clean(V5, "two"));
    world.subscribe(two, "$share/g/a", 2);
    world.lose(one);
    assert_eq!(world.told(two), "");
    world.crash();
    let one = world.connect(&device, persistent(V5, "one"));
    assert_eq!(world.told(one), "CONNACK(0x00,present) a=x@2#1,dup");
    world.disk.check();
}

#[test]
fn a_group_without_persistent_members_ends_with_them() {
    let device = Device::new("d");
    let mut world = World::standard();
    let member = world.join(&device, clean(V5, "m"));
    world.subscribe(member, "$share/g/a", 1);
    world.lose(member);
    assert_eq!(world.core.groups.len(), 0);
    assert!(world.core.routes.is_empty());
    send(&mut world, "x", 1);
    assert_eq!(world.core.waiting_bytes(), 0);
}

// tests aws-iot [7.2]
#[test]
fn a_member_that_may_not_receive_is_passed_over() {
    let deaf = Device::allowed("deaf", &policy(&["Allow Connect *", "Allow Subscribe *"]));
    let mut world = World::standard();
    let cannot = world.join(&deaf, clean(V5, "deaf"));
    let can = world.join(&Device::new("d"), clean(V5, "can"));
    for member in [cannot, can] {
        world.subscribe(member, "$share/g/a", 1);
    }
    for qos in [0, 1, 0, 1, 0, 1] {
        send(&mut world, "x", qos);
    }
    assert_eq!(world.sent(cannot).len(), 0);
    assert_eq!(world.sent(can).len(), 6);
}

#[test]
fn what_no_member_is_left_for_leaves_no_trace_after_a_crash() {
    const SHARED: &str = "$share/g/t";
    let mut world = World::standard();
    let stored = world.join(&Device::new("a"), persistent(V5, "stored"));
    world.subscribe(stored, SHARED, 2);
    world.lose(stored);
    let passing = world.join(&Device::new("b"), clean(V5, "passing"));
    world.subscribe(passing, SHARED, 2);
    let sender = world.join(&Device::new("s"), clean(V5, "s"));
    world.send(sender, &Packet::Publish(publish("t", "x", 2, 1)));
    assert_eq!(world.told(passing), "t=x@2#1");
    // The one that would have come back for it does not any more.
    world.join(&Device::new("a"), clean(V5, "stored"));
    world.crash();
    world.sync();
    assert!(world.disk.entries.is_empty());
    world.disk.check();
}
