//! Budgets: what a client can use up, what it is told, and that others lose nothing.

use super::*;
use model::Quota;

fn world(change: impl FnOnce(&mut BrokerConfig)) -> World {
    let mut config = BrokerConfig::default();
    change(&mut config);
    World::with(Profile::Standard, &config)
}

fn times(world: &World, budget: Budget) -> u64 {
    world.core.budgets().times(budget)
}

#[test]
fn one_certificate_has_so_many_connections() {
    let mut world = world(|config| config.connections_per_principal_max = 2);
    let (greedy, modest) = (Device::new("greedy"), Device::new("modest"));
    let first = world.open(V5, &greedy);
    world.join(&greedy, clean(V5, "second"));
    assert_eq!(world.try_open(V5, &greedy), None);
    assert_eq!(times(&world, Budget::ConnectionsPerPrincipal), 1);
    assert_eq!(world.core.counters().connects_refused, 1);
    world.join(&modest, clean(V5, "modest"));
    world.lose(first);
    world.join(&greedy, clean(V5, "third"));
    assert_eq!(world.try_open(V5, &greedy), None);
}

#[test]
fn one_certificate_connects_so_often() {
    let mut world = world(|config| config.connects_per_principal_s = 3);
    let (restless, calm) = (Device::new("restless"), Device::new("calm"));
    for _ in 0..3 {
        let client = world.open(V5, &restless);
        world.lose(client);
    }
    assert_eq!(world.try_open(V5, &restless), None);
    assert_eq!(times(&world, Budget::ConnectsPerPrincipal), 1);
    world.open(V5, &calm);
    world.advance(334);
    world.open(V5, &restless);
    assert_eq!(world.try_open(V5, &restless), None);
}

/// Hands bytes over as the shell does: what is not taken is handed over again once the connection
/// is announced. How many times it was.
fn deliver(world: &mut World, client: Client, bytes: &[u8], within_ms: u64) -> u32 {
    let mut buffer = BytesMut::from(bytes);
    let mut pauses = 0;
    let mut reading = world.core.received(world.now, client.key, &mut buffer);
    let end = world.now.instant + Duration::from_millis(within_ms);
    while reading == Reading::Paused {
        pauses += 1;
        let at = world.core.deadline().expect("it is to be read on");
        assert!(at <= end, "not read in time");
        let ms = (at - world.now.instant).as_millis() + 1;
        world.advance(u64::try_from(ms).expect("short"));
        reading = world.core.received(world.now, client.key, &mut buffer);
    }
    assert!(buffer.is_empty());
    world.turn();
    pauses
}

fn bytes_of(packets: &[Packet]) -> BytesMut {
    let mut bytes = BytesMut::new();
    for packet in packets {
        mqtt::encode(packet, V5, &mut bytes).expect("a valid packet");
    }
    bytes
}

#[test]
fn who_sends_too_fast_is_read_slower_and_loses_nothing() {
    let mut world = world(|config| config.packets_per_s = Quota::At(10));
    let listener = world.listener("#");
    let mut connect = clean(V5, "c");
    connect.keep_alive_s = 1;
    let client = world.join(&Device::new("d"), connect);
    // CONNECT was the first packet of the second that is lent.
    let messages: Vec<Packet> = (0..50)
        .map(|number| Packet::Publish(publish("a", &number.to_string(), 0, 0)))
        .collect();
    let start = world.now.instant;
    let pauses = deliver(&mut world, client, &bytes_of(&messages), 5000);
    let took = world.now.instant - start;
    assert!(took >= Duration::from_millis(4000), "{took:?}");
    assert!(pauses >= 39, "{pauses}");
    assert!(!world.is_closed(client), "silence is not its fault");
    let expected: Vec<String> = (0..50).map(|number| format!("a={number}@0")).collect();
    assert_eq!(world.told(listener), expected.join(" "));
    assert!(times(&world, Budget::PacketsPerSecond) >= 39);
    // Not only publishes count.
    let pings = bytes_of(&vec![Packet::PingReq; 20]);
    assert!(deliver(&mut world, client, &pings, 5000) > 0);
}

#[test]
fn bytes_are_bounded_as_packets_are() {
    let mut world = world(|config| config.bytes_per_s = Quota::At(1024));
    let client = world.join(&Device::new("d"), clean(V5, "c"));
    let large = bytes_of(&[Packet::Publish(publish("a", &"x".repeat(4000), 0, 0))]);
    assert_eq!(deliver(&mut world, client, &large, 0), 0, "one passes");
    let ping = bytes_of(&[Packet::PingReq]);
    assert!(deliver(&mut world, client, &ping, 4000) > 0);
    assert_eq!(times(&world, Budget::BytesPerSecond), 1);
    assert_eq!(world.told(client), "PINGRESP");
}

#[test]
fn a_paused_connection_that_goes_is_gone() {
    let mut world = world(|config| config.packets_per_s = Quota::At(1));
    let client = world.join(&Device::new("d"), clean(V5, "c"));
    let mut pings = bytes_of(&vec![Packet::PingReq; 5]);
    let reading = world.core.received(world.now, client.key, &mut pings);
    assert_eq!(reading, Reading::Paused);
    world.lose(client);
    world.advance(10_000);
    assert_eq!(world.core.connection_count(), 0);
}

#[test]
fn subscriptions_are_bounded_in_all() {
    let mut world = world(|config| config.subscriptions_max = 3);
    let bomber = world.join(&Device::new("bomber"), persistent(V5, "bomber"));
    for filter in ["a", "b", "$share/g/c"] {
        world.subscribe(bomber, filter, 1);
    }
    let other = world.join(&Device::new("other"), clean(V3, "other"));
    world.send(other, &subscribe("d", 1));
    assert_eq!(world.told(other), "SUBACK[0x80]");
    assert_eq!(times(&world, Budget::Subscriptions), 1);
    // One that is replaced is not another.
    world.subscribe(bomber, "a", 0);
    world.send(bomber, &subscribe("d", 1));
    assert_eq!(world.told(bomber), "SUBACK[0x97]");
    // What was granted survives, and counts.
    world.crash();
    assert_eq!(world.core.subscription_count(), 3);
    let bomber = world.join(&Device::new("bomber"), persistent(V5, "bomber"));
    world.send(bomber, &unsubscribe("a"));
    world.told(bomber);
    world.subscribe(bomber, "d", 1);
    world.lose(bomber);
    let again = world.join(&Device::new("bomber"), clean(V5, "bomber"));
    assert_eq!(world.core.subscription_count(), 0, "they end with it");
    world.subscribe(again, "e", 1);
}

/// Clients who listen to `a` and whose sockets take nothing.
fn stuck(world: &mut World, count: usize) -> Vec<Client> {
    let names = (0..count).map(|number| format!("stuck-{number}"));
    let clients: Vec<Client> = names
        .map(|name| {
            let client = world.join(&Device::new(&name), clean(V5, &name));
            world.subscribe(client, "a", 0);
            client
        })
        .collect();
    clients
}

/// Takes what waits for a client, as the shell does when its socket takes something.
fn take(world: &mut World, client: Client) -> usize {
    let count = world.core.output(client.key).len();
    world.core.sent(client.key, count);
    count
}

#[test]
fn what_waits_for_all_is_bounded_and_those_for_whom_most_waits_go_first() {
    const MIB: usize = 1 << 20;
    let mut world = world(|config| config.output_bytes_total_max = 1 << 20);
    let stuck = stuck(&mut world, 4);
    let reader = world.listener("b");
    let sender = world.join(&Device::new("s"), clean(V5, "s"));
    // Nobody takes output away but when the world takes a turn; here nobody does.
    let send = |world: &mut World, topic: &str, qos: u8, count: usize| {
        let message = Packet::Publish(publish(topic, &"x".repeat(30_000), qos, 1));
        for _ in 0..count {
            let mut bytes = bytes_of(std::slice::from_ref(&message));
            world.core.received(world.now, sender.key, &mut bytes);
        }
    };
    send(&mut world, "a", 0, 100);
    let waits = world.core.output_bytes();
    assert!(waits <= MIB as u64 / 2 + 4 * 100_000, "{waits}");
    assert!(world.core.counters().dropped_slow_reader > 0);
    assert_eq!(world.core.counters().slow_readers_cut, 0);
    // One who reads gets its messages all the same.
    send(&mut world, "b", 0, 1);
    assert!(take(&mut world, reader) > 30_000);
    assert_eq!(take(&mut world, reader), 0);
    // What must not be dropped makes room by cutting those for whom most waits.
    for client in &stuck[..1] {
        let mut bytes = bytes_of(&[subscribe("c", 1)]);
        world.core.received(world.now, client.key, &mut bytes);
    }
    send(&mut world, "c", 1, 30);
    assert_eq!(times(&world, Budget::OutputBytesTotal), 1);
    assert!(world.core.output_bytes() <= MIB as u64);
    world.turn();
    assert!(world.is_closed(stuck[0]));
    assert!(!world.is_closed(stuck[1]) && !world.is_closed(reader));
    assert_eq!(world.core.output_bytes(), 0, "all is taken, or gone");
}

#[test]
fn what_the_shell_has_taken_still_waits() {
    let mut world = World::standard();
    let [client] = stuck(&mut world, 1)[..] else {
        panic!("one client");
    };
    let sender = world.join(&Device::new("s"), clean(V5, "s"));
    let message = Packet::Publish(publish("a", &"x".repeat(1000), 0, 0));
    let mut bytes = bytes_of(&[message]);
    world.core.received(world.now, sender.key, &mut bytes);
    let waits = world.core.output_bytes();
    assert!(waits > 1000);
    assert_eq!(take(&mut world, client) as u64, waits);
    assert_eq!(world.core.output_bytes(), waits, "taken is not sent");
    assert_eq!(take(&mut world, client), 0);
    assert_eq!(
        world.core.output_bytes(),
        0,
        "who asks for more has sent it"
    );
    world
        .core
        .received(world.now, sender.key, &mut bytes_of(&[Packet::PingReq]));
    world.lose(sender);
    assert_eq!(
        world.core.output_bytes(),
        0,
        "what waited for one who is gone does not"
    );
}

#[test]
fn all_that_a_publisher_chose_counts_as_what_waits() {
    let mut world = world(|config| config.queue_bytes_max = 1 << 20);
    let device = Device::new("d");
    let sleeper = world.join(&device, persistent(V5, "sleeper"));
    world.subscribe(sleeper, "a", 1);
    world.lose(sleeper);
    let sender = world.join(&Device::new("s"), clean(V5, "s"));
    let mut message = publish("a", "", 1, 1);
    let pairs = (0..100).map(|number| (number.to_string(), "v".repeat(200)));
    message.properties.user_properties = pairs.collect();
    for _ in 0..100 {
        world.send(sender, &Packet::Publish(message.clone()));
    }
    let waits = world.core.waiting_bytes();
    assert!(waits > 900_000 && waits <= 1 << 20, "{waits}");
    assert!(times(&world, Budget::QueueBytes) > 50);
    assert_eq!(
        world.core.counters().dropped_queue_full,
        times(&world, Budget::QueueBytes)
    );
}

#[test]
fn each_budget_is_counted_where_it_is_used_up() {
    let mut world = world(|config| {
        config.sessions_max = 1;
        config.connects_per_client_s = Quota::At(1);
        config.publishes_per_s = Quota::At(2);
        config.publish_bytes_per_s = Quota::At(1024);
        config.subscriptions_per_session = Quota::At(1);
        config.queue_messages_max = 1;
        config.retained_max = 1;
    });
    let one = world.join(&Device::new("one"), persistent(V5, "one"));
    world.connect(&Device::new("two"), persistent(V5, "two"));
    world.connect(&Device::new("one"), persistent(V5, "one"));
    world.open(V5, &Device::new("mute"));
    world.advance(10_000);
    let one = match world.is_closed(one) {
        true => world.join(&Device::new("one"), persistent(V5, "one")),
        false => one,
    };
    world.subscribe(one, "a", 1);
    world.send(one, &subscribe("b", 1));
    world.lose(one);
    let sender = world.join(&Device::new("s"), clean(V5, "s"));
    for _ in 0..3 {
        world.send(sender, &Packet::Publish(publish("a", "", 1, 1)));
    }
    world.advance(2000);
    for _ in 0..2 {
        let large = publish("a", &"x".repeat(1000), 1, 1);
        world.send(sender, &Packet::Publish(large));
    }
    for topic in ["r", "s"] {
        world.advance(2000);
        let mut message = publish(topic, "x", 1, 1);
        message.retain = true;
        world.send(sender, &Packet::Publish(message));
    }
    for budget in [
        Budget::Sessions,
        Budget::ConnectsPerClient,
        Budget::ConnectTimeout,
        Budget::SubscriptionsPerSession,
        Budget::QueueMessages,
        Budget::Publishes,
        Budget::PublishBytes,
        Budget::Retained,
    ] {
        assert!(times(&world, budget) > 0, "{}", budget.name());
    }
}
