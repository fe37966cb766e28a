//! Topic aliases towards a client, on the wire and through what a client makes of them.

use mqtt::packet::SubscriptionRequest;

use super::*;

fn with_aliases(client_id: &str, most: u16) -> Connect {
    let mut connect = persistent(V5, client_id);
    connect.properties.topic_alias_maximum = Some(most);
    connect
}

/// Topic and alias of each PUBLISH the client was sent, such as `a/long/topic:1` and `:1`.
fn named(world: &mut World, client: Client) -> Vec<String> {
    let sent = world.sent(client);
    let publishes = sent.into_iter().filter_map(|packet| match packet {
        Packet::Publish(publish) => Some(publish),
        _ => None,
    });
    publishes
        .map(|publish| {
            let topic = publish.topic.as_ref().map_or("", |topic| topic.as_str());
            let alias = publish.properties.topic_alias;
            alias.map_or(topic.to_owned(), |alias| format!("{topic}:{alias}"))
        })
        .collect()
}

fn play(world: &mut World, client: Client, topics: &[&str]) -> Vec<String> {
    let sender = world.join(&Device::new("sender"), clean(V5, "the-sender"));
    for on in topics {
        world.send(sender, &Packet::Publish(publish(on, "x", 0, 1)));
    }
    named(world, client)
}

// tests mqtt5 [MQTT-3.1.2-26], [MQTT-3.1.2-27], [MQTT-3.3.2-11]; tests aws-iot [MQ-80]
#[test]
fn as_many_topics_as_the_client_takes_have_a_number() {
    for (most, expected) in [
        (0, vec!["t/1", "t/2", "t/1", "t/3", "t/2"]),
        (1, vec!["t/1:1", "t/2", ":1", "t/3", "t/2"]),
        (2, vec!["t/1:1", "t/2:2", ":1", "t/3", ":2"]),
        (100, vec!["t/1:1", "t/2:2", ":1", "t/3:3", ":2"]),
    ] {
        let mut world = World::standard();
        let client = world.join(&Device::new("reader"), with_aliases("reader", most));
        world.subscribe(client, "t/+", 0);
        let found = play(&mut world, client, &["t/1", "t/2", "t/1", "t/3", "t/2"]);
        assert_eq!(found, expected, "at most {most}");
    }
}

// tests aws-iot [MQ-80]: 8 each way.
#[test]
fn never_more_than_the_profile_has() {
    let mut world = World::aws();
    let client = world.join(&Device::new("reader"), with_aliases("reader", 100));
    world.subscribe(client, "t/+", 0);
    let topics: Vec<String> = (0..10).map(|number| format!("t/{number}")).collect();
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    let found = play(&mut world, client, &topics);
    assert_eq!(found.iter().filter(|one| one.contains(':')).count(), 8);
}

// tests mqtt5 [MQTT-3.3.2-7]
#[test]
fn a_reconnect_begins_without() {
    let mut world = World::standard();
    let reader = Device::new("reader");
    let client = world.join(&reader, with_aliases("reader", 5));
    world.subscribe(client, "t/+", 1);
    assert_eq!(play(&mut world, client, &["t/1", "t/1"]), ["t/1:1", ":1"]);
    world.lose(client);
    let client = world.join(&reader, with_aliases("reader", 5));
    assert_eq!(play(&mut world, client, &["t/1"]), ["t/1:1"]);
    world.lose(client);
    // Nor does it outlive a connection that takes none.
    let client = world.join(&reader, persistent(V5, "reader"));
    assert_eq!(play(&mut world, client, &["t/1"]), ["t/1"]);
    let old = world.join(&reader, persistent(V3, "reader"));
    assert_eq!(play(&mut world, old, &["t/1"]), ["t/1"]);
}

/// The number is of the packet that gives it; one that is dropped for its size gives none.
// tests mqtt5 [MQTT-3.1.2-24], [MQTT-3.1.2-25]
#[test]
fn a_dropped_packet_gives_no_number() {
    let mut world = World::standard();
    let mut connect = with_aliases("reader", 5);
    connect.properties.packet_bytes_max = std::num::NonZeroU32::new(60);
    let client = world.join(&Device::new("reader"), connect);
    world.subscribe(client, "t/+", 0);
    let sender = world.join(&Device::new("sender"), clean(V5, "the-sender"));
    for (payload, expected) in [(100, vec![]), (50, vec!["t/1"]), (10, vec!["t/1:1"])] {
        let message = publish("t/1", &"x".repeat(payload), 0, 1);
        world.send(sender, &Packet::Publish(message));
        assert_eq!(named(&mut world, client), expected, "{payload} bytes");
    }
}

/// QoS 2 of a stored session waits for the disk; what is sent behind it is as it is named.
#[test]
fn what_waits_for_the_disk_needs_no_number() {
    let mut world = World::standard();
    let client = world.join(&Device::new("reader"), with_aliases("reader", 5));
    let filter = SubscriptionRequest::new("t/+", QoS::ExactlyOnce);
    world.send(client, &subscribe_to(vec![filter]));
    world.sent(client);
    let sender = world.join(&Device::new("sender"), clean(V5, "the-sender"));
    world.prompt_disk = false;
    for (number, qos) in [(1, 2), (2, 0), (3, 2)] {
        world.send(sender, &Packet::Publish(publish("t/1", "x", qos, number)));
    }
    world.sync();
    assert_eq!(named(&mut world, client), ["t/1", "t/1", "t/1"]);
    world.send(sender, &Packet::Publish(publish("t/1", "x", 0, 1)));
    assert_eq!(named(&mut world, client), ["t/1:1"]);
}
