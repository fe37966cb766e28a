//! What lists see, and how far they look at once.

use super::*;
use crate::core::look::{LOOKS_MAX, PolicyInForce, SessionFilter, SubscriptionsWanted};

fn everybody() -> SessionFilter {
    SessionFilter::default()
}

impl World {
    /// The client ids that a filter finds, in stretches with room for `room`.
    fn ids(&self, filter: &SessionFilter, room: usize) -> Vec<String> {
        let (mut ids, mut after) = (Vec::new(), String::new());
        for _ in 0..100 {
            let stretch = self.core.look_at_sessions(&after, room, filter);
            assert!(stretch.found.len() <= room);
            let found = stretch.found.into_iter();
            ids.extend(found.map(|session| session.connection.client_id));
            match stretch.next {
                Some(next) => after = next,
                None => return ids,
            }
        }
        panic!("the list does not end");
    }

    /// The subscriptions found, as `client filter`, in stretches with room for `room`.
    fn subscriptions(&self, wanted: &SubscriptionsWanted, room: usize) -> Vec<String> {
        let (mut lines, mut after) = (Vec::new(), (String::new(), String::new()));
        for _ in 0..100 {
            let stretch = self
                .core
                .look_at_subscriptions(self.now, &after, room, wanted);
            assert!(stretch.found.len() <= room);
            let line = |found: &crate::core::look::FoundSubscription| {
                let may = match found.may_receive {
                    None => "",
                    Some(true) => " yes",
                    Some(false) => " no",
                };
                let shared = if found.shared { " shared" } else { "" };
                format!("{} {}{shared}{may}", found.client_id, found.filter)
            };
            lines.extend(stretch.found.iter().map(line));
            match stretch.next {
                Some(next) => after = next,
                None => return lines,
            }
        }
        panic!("the list does not end");
    }
}

#[test]
fn sessions_are_found_by_who_they_are() {
    let mut world = World::standard();
    let pump = Device::new("pump").thing("pump-7", true);
    let other = Device::new("other");
    world.join(&pump, clean(V3, "a1"));
    let away = world.join(&other, persistent(V5, "a2"));
    world.join(&other, clean(V5, "b"));
    world.lose(away);
    let principal = other.principal().certificate.as_str().to_owned();
    for (filter, expected) in [
        (everybody(), vec!["a1", "a2", "b"]),
        (
            SessionFilter {
                client_id: Some("a1".into()),
                ..everybody()
            },
            vec!["a1"],
        ),
        (
            SessionFilter {
                client_id: Some("a".into()),
                ..everybody()
            },
            vec![],
        ),
        (
            SessionFilter {
                client_prefix: Some("a".into()),
                ..everybody()
            },
            vec!["a1", "a2"],
        ),
        (
            SessionFilter {
                connected: Some(true),
                ..everybody()
            },
            vec!["a1", "b"],
        ),
        (
            SessionFilter {
                connected: Some(false),
                ..everybody()
            },
            vec!["a2"],
        ),
        (
            SessionFilter {
                thing: Some("pump-7".into()),
                ..everybody()
            },
            vec!["a1"],
        ),
        (
            SessionFilter {
                principal: Some(principal),
                client_prefix: Some("a".into()),
                ..everybody()
            },
            vec!["a2"],
        ),
    ] {
        for room in [1, 2, 10] {
            assert_eq!(world.ids(&filter, room), expected, "{filter:?} by {room}");
        }
    }
}

#[test]
fn a_stretch_is_bounded_whatever_it_finds() {
    let mut world = World::standard();
    let device = Device::new("d");
    let count = LOOKS_MAX + 50;
    for number in 0..count {
        let one_of_some = Device::new(&format!("d{}", number / 20));
        world.join(&one_of_some, clean(V3, &format!("c{number:04}")));
    }
    let last = SessionFilter {
        client_prefix: Some("c".into()),
        thing: Some("nobody".into()),
        ..everybody()
    };
    let stretch = world.core.look_at_sessions("", 250, &last);
    assert!(stretch.found.is_empty());
    assert_eq!(stretch.next, Some(format!("c{:04}", LOOKS_MAX - 1)));
    let stretch = world
        .core
        .look_at_sessions(&stretch.next.expect("more"), 250, &last);
    assert_eq!(stretch.next, None);
    assert_eq!(world.ids(&everybody(), 250).len(), count);
    // Of a session with many subscriptions a stretch sees a part, and the next one goes on there.
    let many = world.join(&device, clean(V5, "many"));
    for part in 0..3 {
        let filters = (0..500)
            .map(|n| SubscriptionRequest::new(&format!("f/{part}/{n:03}"), QoS::AtMostOnce));
        world.send(many, &subscribe_to(filters.collect()));
    }
    let none = SubscriptionsWanted {
        topic: Some(topic("nothing")),
        ..SubscriptionsWanted::default()
    };
    let mut after = ("many".to_owned(), String::new());
    let stretch = world
        .core
        .look_at_subscriptions(world.now, &after, 10, &none);
    after = stretch.next.expect("more");
    assert_eq!(after, ("many".to_owned(), "f/1/498".to_owned()));
    assert_eq!(
        world
            .subscriptions(&SubscriptionsWanted::default(), 100)
            .len(),
        1500
    );
    assert_eq!(world.subscriptions(&none, 100), [""; 0]);
}

#[test]
fn subscriptions_are_found_by_filter_and_by_what_they_select() {
    let mut world = World::standard();
    let all = Device::new("d");
    let deaf = Device::allowed("deaf", &policy(&["Allow Connect *", "Allow Subscribe *"]));
    let first = world.join(&all, clean(V5, "a"));
    for filter in ["t/+", "t/#", "u", "$share/g/t/1"] {
        world.subscribe(first, filter, 1);
    }
    let second = world.join(&deaf, clean(V5, "b"));
    world.subscribe(second, "t/1", 0);
    let away = world.join(&all, persistent(V5, "c"));
    world.subscribe(away, "t/1", 1);
    world.lose(away);
    let check = |of: SessionFilter, filter: Option<&str>, on: Option<&str>, expected: &[&str]| {
        let wanted = SubscriptionsWanted {
            of,
            filter: filter.map(str::to_owned),
            topic: on.map(topic),
        };
        for room in [1, 3, 100] {
            assert_eq!(world.subscriptions(&wanted, room), expected, "{wanted:?}");
        }
    };
    let all_of_a = ["a $share/g/t/1 shared", "a t/#", "a t/+", "a u"];
    let of_a = SessionFilter {
        client_id: Some("a".into()),
        ..everybody()
    };
    check(of_a, None, None, &all_of_a);
    check(everybody(), Some("t/1"), None, &["b t/1", "c t/1"]);
    check(
        everybody(),
        None,
        Some("t/1"),
        &[
            "a $share/g/t/1 shared yes",
            "a t/# yes",
            "a t/+ yes",
            "b t/1 no",
            "c t/1",
        ],
    );
    let live = SessionFilter {
        connected: Some(true),
        ..everybody()
    };
    check(live, Some("t/1"), Some("t/1"), &["b t/1 no"]);
    check(everybody(), None, Some("v"), &[]);
}

#[test]
fn a_session_that_waits_tells_what_for() {
    let mut world = World::standard();
    let device = Device::new("d").thing("pump-7", true);
    let client = world.join(&device, persistent(V5, "c"));
    world.subscribe(client, "a/#", 1);
    world.send(client, &disconnect());
    let sender = world.join(&Device::new("s"), clean(V5, "s"));
    let mut message = publish("a/1", "four", 1, 1);
    message.properties.message_expiry_s = Some(60);
    world.send(sender, &Packet::Publish(message));
    world.send(sender, &Packet::Publish(publish("a/2", "sixsix", 1, 2)));
    let (session, waiting) = world.core.session_of_client("c", 1).expect("a session");
    assert_eq!(session.owner, "thing:pump-7");
    assert_eq!((session.queued, session.in_flight), (2, 0));
    assert_eq!(session.queued_bytes, 3 + 4 + 3 + 6);
    let in_an_hour = world.now.wall.after(Duration::from_secs(3600));
    assert_eq!(session.expires_at, Some(in_an_hour));
    assert_eq!(waiting.len(), 1);
    assert_eq!(
        (waiting[0].topic.as_str(), waiting[0].payload_bytes),
        ("a/1", 4)
    );
    let in_a_minute = world.now.wall.after(Duration::from_secs(60));
    assert_eq!(waiting[0].expires_at, Some(in_a_minute));
    assert!(world.core.connection_details("c").is_none());
    // On its return they are in flight, and nothing expires.
    world.join(&device, persistent(V5, "c"));
    let (session, waiting) = world.core.session_of_client("c", 1).expect("a session");
    assert_eq!(
        (session.queued, session.in_flight, waiting.len()),
        (0, 2, 0)
    );
    assert_eq!(session.expires_at, None);
    assert!(world.core.session_of_client("nobody", 1).is_none());
}

#[test]
fn a_connection_tells_what_it_rests_on() {
    let mut world = World::standard();
    let device = Device::new("d").thing("pump-7", true).grouped("pumps", ALL);
    world.join(&device, with_will(clean(V5, "c"), "w", 0));
    let opened = world.now.wall;
    world.advance(5000);
    let details = world.core.connection_details("c").expect("it is connected");
    assert_eq!(details.access_read_at, opened);
    assert_eq!(details.things, ["pump-7"]);
    assert_eq!(details.will_topic.as_deref(), Some("w"));
    assert_eq!(details.window, 1000);
    assert_eq!(details.packet_bytes_max, None);
    let policy = |name: &str, group: Option<&str>| PolicyInForce {
        name: name.to_owned(),
        version: "1".to_owned(),
        group: group.map(str::to_owned),
    };
    assert_eq!(
        details.policies,
        [policy("p0", None), policy("pumps", Some("pumps"))]
    );
    world.review(&device, &device.active());
    let details = world.core.connection_details("c").expect("it is connected");
    assert_eq!(details.access_read_at, world.now.wall);
}

#[test]
fn retained_messages_are_found_by_prefix_and_forgotten_quietly() {
    let mut world = World::standard();
    let sender = world.join(&Device::new("s"), clean(V5, "s"));
    for (number, on) in (1..).zip(["a/1", "a/2", "b"]) {
        let mut message = publish(on, "x", 1, number);
        message.retain = true;
        if on == "a/2" {
            message.properties.message_expiry_s = Some(10);
        }
        world.send(sender, &Packet::Publish(message));
    }
    let listener = world.listener("#");
    world.sent(listener);
    let found = |world: &World, prefix: &str, room| {
        let stretch = world.core.look_at_retained(world.now, "", room, prefix);
        let topics = stretch.found.into_iter().map(|one| one.topic);
        (topics.collect::<Vec<_>>(), stretch.next)
    };
    assert_eq!(
        found(&world, "a/", 10),
        (vec!["a/1".into(), "a/2".into()], None)
    );
    assert_eq!(
        found(&world, "", 1),
        (vec!["a/1".into()], Some("a/1".into()))
    );
    world.advance(10_000);
    assert_eq!(found(&world, "a/", 10).0, ["a/1"]);
    assert!(world.core.forget_retained_message(world.now, &topic("a/1")));
    world.turn();
    assert!(!world.core.forget_retained_message(world.now, &topic("a/1")));
    assert_eq!(found(&world, "", 10).0, ["b"]);
    assert_eq!(world.told(listener), "");
    world.crash();
    assert_eq!(found(&world, "", 10).0, ["b"]);
}
