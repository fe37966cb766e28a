//! A disk that takes nothing for long: what may wait for it is bounded, and holds up nobody else.

use super::*;

fn stuck(backlog: u32) -> World {
    let config = BrokerConfig {
        store_backlog_max: backlog,
        output_bytes_max: 65_536,
        ..BrokerConfig::default()
    };
    let mut world = World::with(Profile::Standard, &config);
    world.prompt_disk = false;
    world
}

#[test]
fn the_history_of_those_who_come_and_go_holds_up_nobody() {
    let mut world = stuck(16);
    for number in 0..50 {
        let name = format!("d{number}");
        let client = world.join(&Device::new(&name), clean(V5, &name));
        world.lose(client);
    }
    assert!(
        world.core.store_backlog() > 16,
        "rows that nobody waits for"
    );
    let reader = world.join(&Device::new("r"), clean(V5, "reader"));
    world.subscribe(reader, "a", 1);
    let writer = world.join(&Device::new("w"), clean(V3, "writer"));
    world.send(writer, &Packet::Publish(publish("a", "x", 1, 1)));
    assert_eq!(world.told(reader), "a=x@1#1");
    assert_eq!(world.told(writer), "PUBACK(1)");
}

#[test]
fn what_is_held_for_a_client_is_bounded_and_goes_with_its_connection() {
    let mut world = stuck(8192);
    let device = Device::new("d");
    world.prompt_disk = true;
    let client = world.join(&device, persistent(V5, "c"));
    world.subscribe(client, "a", 2);
    let sender = world.join(&Device::new("s"), clean(V5, "s"));
    world.prompt_disk = false;
    world.send(sender, &Packet::Publish(publish("a", "held", 2, 1)));
    for _ in 0..1000 {
        world.send(
            sender,
            &Packet::Publish(publish("a", &"x".repeat(1000), 0, 0)),
        );
    }
    assert_eq!(world.told(client), "", "all of it is behind the disk");
    assert!(world.core.output_bytes() <= 65_536);
    assert!(world.core.counters().dropped_slow_reader > 900);
    world.lose(client);
    assert_eq!(world.core.output_bytes(), 0);
    world.sync();
    let client = world.join(&device, persistent(V5, "c"));
    world.sync();
    assert!(
        world.told(client).ends_with("a=held@2#1,dup"),
        "and not the message"
    );
}

#[test]
fn timers_of_what_is_gone_are_forgotten() {
    let mut world = World::standard();
    let device = Device::new("d");
    for _ in 0..1500 {
        let client = world.join(&device, persistent(V5, "c"));
        world.lose(client);
        world.advance(20);
    }
    world.advance(61_000);
    assert!(
        world.core.timers.len() < 1100,
        "{}",
        world.core.timers.len()
    );
}
