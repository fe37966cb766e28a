//! Traces: what is recorded, for whom, and how they end.

use std::sync::atomic::{AtomicU32, Ordering};

use mqtt::packet::Secret;

use super::*;
use crate::core::trace::{Record, TRACES_MAX, TraceOf, TraceOrder, UNREAD_MAX};

const CALLER: &str = "arn:aws:iam::111122223333:user/operator";

fn order(id: &str, of: TraceOf) -> TraceOrder {
    TraceOrder {
        id: id.to_owned(),
        of,
        caller: CALLER.to_owned(),
        payload_bytes: 0,
        lasts: Duration::from_secs(600),
    }
}

fn client(id: &str) -> TraceOf {
    TraceOf::Client(id.into())
}

impl World {
    #[track_caller]
    fn trace(&mut self, of: TraceOf) {
        let started = self.core.start_trace(self.now, order("t", of));
        assert_eq!(started.expect("room for a trace").id, "t");
    }

    #[track_caller]
    fn records_after(&mut self, after: u64) -> Vec<Record> {
        let page = self
            .core
            .read_trace(self.now, "t", CALLER, after, 10_000, None);
        page.expect("the trace is there").records
    }

    /// Everything recorded, a line each.
    #[track_caller]
    fn traced(&mut self) -> Vec<String> {
        self.records_after(0).iter().map(line).collect()
    }
}

fn line(record: &Record) -> String {
    let direction = match record.sender {
        Some(Sender::Client) => "> ",
        Some(Sender::Server) => "< ",
        None => "",
    };
    let seen = &record.seen;
    let mut line = format!("{direction}{}", seen.what);
    for flag in &seen.flags {
        line.push_str(&format!(" +{flag}"));
    }
    for (filter, qos) in &seen.filters {
        line.push_str(&format!(
            " {filter}@{}",
            qos.map_or("-".into(), |qos| qos.to_string())
        ));
    }
    if let (Some(topic), Some(qos)) = (&seen.topic, seen.qos) {
        line.push_str(&format!(" {topic}@{qos}"));
    }
    if let Some(id) = seen.packet_id {
        line.push_str(&format!(" #{id}"));
    }
    if !seen.reason_codes.is_empty() {
        line.push_str(&format!(" {:02x?}", seen.reason_codes));
    }
    if let Some(bytes) = seen.payload_bytes {
        line.push_str(&format!(" {bytes}B"));
    }
    if let Some(payload) = &seen.payload {
        line.push_str(&format!(" {:?}", String::from_utf8_lossy(payload)));
    }
    if let Some(reason) = seen.properties.get("reason") {
        line.push_str(&format!(" ({reason})"));
    }
    line
}

#[test]
fn a_trace_shows_both_directions_from_before_the_client_comes() {
    for (version, answers) in [
        (
            V3,
            [
                "< CONNACK [00]",
                "< SUBACK #9 [01]",
                "< PUBACK #1",
                "> PUBACK #1",
            ],
        ),
        (
            V5,
            [
                "< CONNACK [00]",
                "< SUBACK #9 [01]",
                "< PUBACK #1 [00]",
                "> PUBACK #1 [00]",
            ],
        ),
    ] {
        let mut world = World::standard();
        world.trace(client("c"));
        let device = Device::new("d");
        let other = world.join(&device, clean(version, "other"));
        let mut connect = clean(version, "c");
        connect.username = Some("?SDK=x".to_owned());
        connect.password = Some(Secret::new(Bytes::from_static(b"hunter2")));
        let traced = world.join(&device, connect);
        world.subscribe(traced, "a/+", 1);
        world.subscribe(other, "a/+", 1);
        world.send(traced, &Packet::Publish(publish("a/b", "hello", 1, 1)));
        world.send(traced, &puback(1));
        world.send(traced, &Packet::PingReq);
        world.send(traced, &disconnect());
        let expected = [
            "> CONNECT +clean +username +password",
            answers[0],
            "> SUBSCRIBE a/+@1 #9",
            answers[1],
            "> PUBLISH a/b@1 #1 5B",
            "< PUBLISH a/b@1 #1 5B",
            answers[2],
            answers[3],
            "> PINGREQ",
            "< PINGRESP",
            if version == V5 {
                "> DISCONNECT [00]"
            } else {
                "> DISCONNECT"
            },
            "CLOSED (CLIENT_INITIATED_DISCONNECT)",
        ];
        let mut traced = world.traced();
        // PUBACK to the publisher and the delivery may leave in either order.
        traced[5..7].sort_by_key(|line| line.contains("PUBACK"));
        assert_eq!(traced, expected, "{version:?}");
        let records = world.records_after(0);
        assert!(!format!("{records:?}").contains("hunter2"));
        assert!(!format!("{records:?}").contains("SDK"));
        let numbers: Vec<u64> = records.iter().map(|record| record.number).collect();
        assert_eq!(numbers, (1..=12).collect::<Vec<_>>());
        for record in &records {
            assert_eq!(record.client_id.as_deref(), Some("c"));
            assert_eq!(record.version, Some(version));
            assert_eq!(record.at, world.now.wall);
        }
    }
}

#[test]
fn a_trace_may_begin_on_a_live_connection_and_by_principal() {
    let mut world = World::standard();
    let device = Device::new("d");
    let live = world.join(&device, clean(V5, "live"));
    world.send(live, &Packet::PingReq);
    world.trace(TraceOf::Principals(vec![device.principal().certificate]));
    world.send(live, &Packet::PingReq);
    let second = world.join(&device, clean(V3, "second"));
    let stranger = world.join(&Device::new("stranger"), clean(V5, "s"));
    world.send(stranger, &Packet::PingReq);
    world.lose(second);
    let expected = [
        "> PINGREQ",
        "< PINGRESP",
        "OPENED",
        "> CONNECT +clean",
        "< CONNACK [00]",
        "CLOSED (CONNECTION_LOST)",
    ];
    assert_eq!(world.traced(), expected);
    assert!(world.core.stop_trace("t"));
    assert!(!world.core.stop_trace("t"));
    world.send(live, &Packet::PingReq);
    assert_eq!(world.told(live), "PINGRESP PINGRESP PINGRESP");
}

#[test]
fn payloads_are_shown_as_far_as_ordered() {
    let mut world = World::standard();
    let device = Device::new("d");
    let mut shown = order("t", client("c"));
    shown.payload_bytes = 4;
    assert!(world.core.start_trace(world.now, shown).is_ok());
    let plain = order("plain", client("c"));
    assert!(world.core.start_trace(world.now, plain).is_ok());
    let client = world.join(&device, with_will(clean(V5, "c"), "w", 0));
    let mut message = publish("a", "secret payload", 0, 0);
    message.properties.user_properties = vec![("token".to_owned(), "tok-1".to_owned())];
    message.properties.correlation_data = Some(Bytes::from_static(b"cor-1"));
    world.send(client, &Packet::Publish(message));
    let records = world.records_after(0);
    assert_eq!(line(&records[0]), r#"> CONNECT +clean +will 4B "gone""#);
    assert_eq!(line(&records[2]), r#"> PUBLISH a@0 14B "secr""#);
    assert_eq!(
        records[2].seen.properties["userPropertyValues"],
        "token=tok-1"
    );
    let page = world
        .core
        .read_trace(world.now, "plain", CALLER, 0, 100, None);
    let plain = page.expect("the trace is there").records;
    assert_eq!(line(&plain[2]), "> PUBLISH a@0 14B");
    assert_eq!(plain[2].seen.properties["userProperties"], "1");
    let text = format!("{plain:?}");
    for hidden in ["secr", "tok-1", "cor-1", "gone"] {
        assert!(!text.contains(hidden), "{hidden} in {text}");
    }
}

#[test]
fn what_ends_a_connection_is_in_its_trace() {
    let mut world = World::standard();
    let device = Device::allowed("d", &policy(&["Allow Connect client/c"]));
    world.trace(TraceOf::Principals(vec![device.principal().certificate]));
    let refused = world.connect(&device, clean(V3, "other"));
    assert!(world.is_closed(refused));
    let broken = world.join(&device, clean(V5, "c"));
    world.send_bytes(broken, &[0x36, 0x00]);
    let garbled = world.open(V5, &device);
    world.send_bytes(garbled, &[0x30, 0x00]);
    let cut = world.join(&device, clean(V5, "c"));
    world.core.delete_connection(world.now, "c", false, false);
    world.turn();
    assert!(world.is_closed(cut));
    let expected = [
        "OPENED",
        "> CONNECT +clean",
        "< CONNACK [05]",
        "CLOSED (AUTH_ERROR)",
        "OPENED",
        "> CONNECT +clean",
        "< CONNACK [00]",
        "> MALFORMED (malformed packet: PUBLISH QoS is 3 (byte 0))",
        "< DISCONNECT [81]",
        "CLOSED (CLIENT_ERROR)",
        "OPENED",
        "> MALFORMED (protocol error: first packet is not CONNECT (byte 0))",
        "CLOSED (CLIENT_ERROR)",
        "OPENED",
        "> CONNECT +clean",
        "< CONNACK [00]",
        "< DISCONNECT [98]",
        "CLOSED (API_INITIATED_DISCONNECT)",
    ];
    assert_eq!(world.traced(), expected);
}

#[test]
fn a_topic_alias_is_resolved() {
    let mut world = World::standard();
    world.trace(client("c"));
    let client = world.join(&Device::new("d"), clean(V5, "c"));
    let mut message = publish("long/topic", "x", 0, 0);
    message.properties.topic_alias = NonZeroU16::new(3);
    world.send(client, &Packet::Publish(message.clone()));
    message.topic = None;
    world.send(client, &Packet::Publish(message));
    let traced = world.traced();
    assert_eq!(
        traced[2..],
        ["> PUBLISH long/topic@0 1B", "> PUBLISH long/topic@0 1B"]
    );
}

#[test]
fn a_topic_alias_of_ours_is_resolved_too() {
    let mut world = World::standard();
    world.trace(client("c"));
    let mut connect = clean(V5, "c");
    connect.properties.topic_alias_maximum = Some(8);
    let reader = world.join(&Device::new("d"), connect);
    world.subscribe(reader, "a/long/topic", 0);
    let sender = world.join(&Device::new("s"), clean(V5, "s"));
    for _ in 0..4 {
        world.send(sender, &Packet::Publish(publish("a/long/topic", "x", 0, 0)));
    }
    assert_eq!(world.traced()[4..], ["< PUBLISH a/long/topic@0 1B"; 4]);
    let records = world.records_after(0);
    let sizes: Vec<usize> = records[4..]
        .iter()
        .map(|record| record.seen.bytes)
        .collect();
    assert!(sizes[3] < sizes[0], "an alias is used: {sizes:?}");
}

#[test]
fn the_oldest_records_go_and_are_counted() {
    let mut world = World::standard();
    world.trace(client("c"));
    let client = world.join(&Device::new("d"), clean(V3, "c"));
    for _ in 0..3000 {
        world.send(client, &Packet::PingReq);
    }
    let page = world.core.read_trace(world.now, "t", CALLER, 0, 10, None);
    let page = page.expect("the trace is there");
    assert_eq!(page.lost, 6002 - 4096);
    assert_eq!(page.records.len(), 10);
    assert_eq!(page.records[0].number, page.lost + 1);
    // What was read is forgotten, and is not missed.
    let read = page.records[9].number;
    let page = world.core.read_trace(world.now, "t", CALLER, read, 1, None);
    let page = page.expect("the trace is there");
    assert_eq!((page.lost, page.records[0].number), (0, read + 1));
    // Large records reach the bound on bytes first.
    let long = "x".repeat(4000);
    for _ in 0..4000 {
        world.send(client, &Packet::Publish(publish(&long, "x", 0, 0)));
    }
    let records = world.records_after(0);
    assert!(records.len() < 2100, "{}", records.len());
    assert_eq!(records[0].seen.topic.as_ref().map(String::len), Some(512));
}

#[test]
fn only_who_ordered_a_trace_reads_it() {
    let mut world = World::standard();
    world.trace(client("c"));
    let mut read = |caller: &str, id: &str| {
        let page = world.core.read_trace(world.now, id, caller, 0, 10, None);
        page.is_some()
    };
    assert!(read(CALLER, "t"));
    assert!(!read("arn:aws:iam::111122223333:user/other", "t"));
    assert!(!read(CALLER, "u"));
}

#[test]
fn traces_end_when_nobody_reads_them_or_their_time_is_over() {
    let mut world = World::standard();
    let unread = u64::try_from(UNREAD_MAX.as_millis()).expect("short");
    world.trace(client("c"));
    let live = world.join(&Device::new("d"), clean(V5, "c"));
    for _ in 0..9 {
        world.advance(unread - 1);
        world.records_after(0);
    }
    assert_eq!(world.core.traces(world.now).len(), 1);
    // 600 seconds after it began, though it is read.
    world.advance(unread);
    assert!(world.core.traces(world.now).is_empty());

    world.trace(client("c"));
    world.send(live, &Packet::PingReq);
    let woken = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&woken);
    let read = world.records_after(0).len() as u64;
    let wake = move || {
        counter.fetch_add(1, Ordering::Relaxed);
    };
    let page = world
        .core
        .read_trace(world.now, "t", CALLER, read, 10, Some(Box::new(wake)));
    assert!(page.expect("the trace is there").records.is_empty());
    world.advance(unread - 1);
    assert_eq!(woken.load(Ordering::Relaxed), 0);
    // Nobody asks: the timer alone ends it, and whoever waits is told.
    world.advance(1);
    assert_eq!(woken.load(Ordering::Relaxed), 1);
    assert!(!world.core.traces.are_on());
}

#[test]
fn whoever_waits_is_woken_by_the_next_record() {
    let mut world = World::standard();
    world.trace(client("c"));
    let live = world.join(&Device::new("d"), clean(V5, "c"));
    let woken = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&woken);
    let wake = move || {
        counter.fetch_add(1, Ordering::Relaxed);
    };
    let page = world
        .core
        .read_trace(world.now, "t", CALLER, 2, 10, Some(Box::new(wake)));
    assert!(page.expect("the trace is there").records.is_empty());
    for _ in 0..3 {
        world.send(live, &Packet::PingReq);
    }
    assert_eq!(woken.load(Ordering::Relaxed), 1);
}

#[test]
fn there_are_at_most_so_many_traces() {
    let mut world = World::standard();
    for number in 0..TRACES_MAX {
        let order = order(&format!("t{number}"), client("c"));
        assert!(world.core.start_trace(world.now, order).is_ok(), "{number}");
    }
    let one_more = world
        .core
        .start_trace(world.now, order("more", client("c")));
    assert!(one_more.is_err());
    assert!(world.core.stop_trace("t0"));
    let one_more = world
        .core
        .start_trace(world.now, order("more", client("c")));
    assert!(one_more.is_ok());
}
