//! Access ends on live sessions.

use super::*;

// tests aws-iot [G-5]
#[test]
fn a_certificate_that_is_not_active_has_no_connections() {
    for (standing, version, expected) in [
        (Standing::Inactive("REVOKED".into()), V5, "DISCONNECT(0x87)"),
        (Standing::Inactive("INACTIVE".into()), V3, ""),
        (Standing::Unknown, V5, "DISCONNECT(0x87)"),
    ] {
        let mut world = World::standard();
        let listener = world.listener("$aws/events/presence/disconnected/+");
        let device = Device::new("d");
        let one = world.join(&device, clean(version, "one"));
        let two = world.join(&device, clean(version, "two"));
        let early = world.open(version, &device);
        let other = world.join(&Device::new("other"), clean(version, "other"));
        let reviewed = world.review(&device, &standing);
        assert_eq!(
            reviewed,
            Reviewed {
                sessions_closed: 3,
                subscriptions_dropped: 0
            }
        );
        assert_eq!(world.told(one), expected);
        assert!(world.is_closed(one) && world.is_closed(two) && world.is_closed(early));
        assert!(!world.is_closed(other));
        for (_, event) in events(&world.sent(listener)) {
            assert_eq!(event["disconnectReason"], "AUTH_ERROR");
        }
    }
}

// tests aws-iot [PL-52]
#[test]
fn a_lost_permission_to_connect_ends_the_connection() {
    let denied = policy(&["Deny Connect *", "Allow Publish *"]);
    for (profile, closed) in [(Profile::Standard, 1), (Profile::Aws, 0)] {
        let mut world = World::new(profile);
        let device = Device::new("d");
        let client = world.join(&device, clean(V5, "c"));
        let reviewed = world.review(&device, &Device::allowed("d", &denied).active());
        assert_eq!(reviewed.sessions_closed, closed, "{profile:?}");
        assert_eq!(world.is_closed(client), closed == 1);
    }
}

// tests aws-iot [G-5]: what waits for the disk is judged when it leaves.
#[test]
fn a_right_that_is_lost_while_a_delivery_waits_for_the_disk_is_lost() {
    let denied = policy(&[
        "Allow Connect *",
        "Allow Subscribe *",
        "Deny Receive secret",
    ]);
    let mut world = World::standard();
    let device = Device::new("d");
    let client = world.join(&device, persistent(V5, "c"));
    world.subscribe(client, "#", 2);
    let sender = world.join(&Device::new("s"), clean(V5, "s"));
    world.prompt_disk = false;
    world.send(sender, &Packet::Publish(publish("secret", "1", 2, 1)));
    world.send(sender, &Packet::Publish(publish("secret", "2", 0, 0)));
    assert_eq!(world.told(client), "", "the packet id is not on the disk");
    world.review(&device, &Device::allowed("d", &denied).active());
    world.sync();
    world.sync();
    let told = world.told(client);
    assert!(!told.contains("secret"), "{told}");
    // Whatever became of it, the exchange can be completed and nothing is left of the message.
    world.send(client, &Packet::PubComp(Ack::success(id(1))));
    world.sync();
    assert!(!world.is_closed(client));
    assert!(world.disk.entries.is_empty(), "{:?}", world.disk.entries);
}

// tests aws-iot [MQ-24], [PL-51]
#[test]
fn lost_subscriptions_are_taken_away_and_deliveries_stop_at_once() {
    let mut world = World::standard();
    let listener = world.listener("$aws/events/subscriptions/unsubscribed/+");
    let device = Device::new("d");
    let client = world.join(&device, persistent(V5, "c"));
    for filter in ["a", "b", "$share/g/c"] {
        world.subscribe(client, filter, 1);
    }
    let less = policy(&[
        "Allow Connect *",
        "Allow Subscribe topicfilter/a",
        "Allow Receive *",
    ]);
    let reviewed = world.review(&device, &Device::allowed("d", &less).active());
    assert_eq!(
        reviewed,
        Reviewed {
            sessions_closed: 0,
            subscriptions_dropped: 2
        }
    );
    let sender = world.join(&Device::new("s"), clean(V5, "s"));
    for on in ["a", "b", "c"] {
        world.send(sender, &Packet::Publish(publish(on, "x", 0, 0)));
    }
    assert_eq!(world.told(client), "a=x@0");
    let events = events(&world.sent(listener));
    assert_eq!(
        events[0].1["topics"],
        serde_json::json!(["$share/g/c", "b"])
    );
    world.crash();
    let (page, _) = world.core.subscriptions_of("c", "", 10).expect("a session");
    assert_eq!(page.len(), 1, "nor do they come back");

    // What is queued is judged when it is sent.
    let mut world = World::standard();
    let mut connect = clean(V5, "c");
    connect.properties.receive_maximum = Some(id(1));
    let client = world.join(&device, connect);
    world.subscribe(client, "#", 1);
    let sender = world.join(&Device::new("s"), clean(V5, "s"));
    for (number, on) in [(1, "a"), (2, "b"), (3, "a")] {
        world.send(sender, &Packet::Publish(publish(on, "x", 1, number)));
    }
    assert_eq!(world.told(client), "a=x@1#1");
    let less = policy(&[
        "Allow Connect *",
        "Allow Subscribe *",
        "Allow Receive topic/a",
    ]);
    world.review(&device, &Device::allowed("d", &less).active());
    world.send(client, &puback(1));
    assert_eq!(world.told(client), "a=x@1#2");
}

// tests aws-iot [PL-33]
#[test]
fn thing_attributes_are_live() {
    let text = r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Action":["iot:Connect"],"Resource":"*"},
        {"Effect":"Allow","Action":"iot:Publish","Resource":"*","Condition":
            {"StringEquals":{"iot:Connection.Thing.Attributes[site]":"north"}}}]}"#;
    let site = |site: &str| {
        let mut device = Device::allowed("d", text).thing("c", false);
        device.things[0]
            .attributes
            .insert("site".into(), site.into());
        device
    };
    let mut world = World::standard();
    let client = world.join(&site("north"), clean(V5, "c"));
    let message = Packet::Publish(publish("t", "x", 1, 1));
    world.send(client, &message);
    assert_eq!(world.told(client), "PUBACK(1)");
    world.review(&site("north"), &site("south").active());
    world.send(client, &message);
    assert_eq!(world.told(client), "PUBACK(1,0x87)");
    world.review(&site("north"), &site("north").active());
    world.send(client, &message);
    assert_eq!(world.told(client), "PUBACK(1)");
}

// tests aws-iot [PL-50]
#[test]
fn a_quarantine_cannot_be_walked_around_by_another_client_id() {
    let free = Device::new("d").thing("pump", false);
    let quarantined = free.clone().grouped("quarantine", &policy(&["Deny * *"]));
    for (profile, shut_out) in [(Profile::Standard, 2), (Profile::Aws, 0)] {
        let mut world = World::new(profile);
        let own = world.join(&free, clean(V5, "pump"));
        let other = world.join(&free, clean(V5, "another"));
        let reviewed = world.review(&free, &quarantined.active());
        assert_eq!(reviewed.sessions_closed, shut_out, "{profile:?}");
        assert_eq!(world.is_closed(own), shut_out > 0);
        assert_eq!(world.is_closed(other), shut_out > 0);
        world.advance(2000);
        let again = world.connect(&quarantined, clean(V5, "yet-another"));
        let refused = world.told(again).starts_with("CONNACK(0x87)");
        assert_eq!(refused, profile == Profile::Standard, "{profile:?}");
    }
}

#[test]
fn those_who_cannot_be_judged_in_time_are_shut_out() {
    let mut world = World::standard();
    let device = Device::new("d");
    let client = world.join(&device, clean(V5, "c"));
    let id = device.principal().certificate;
    let reviewed = world.core.shut_out_unreviewed(world.now, &id);
    world.turn();
    assert_eq!(reviewed.sessions_closed, 1);
    assert_eq!(world.told(client), "DISCONNECT(0x87)");
    assert!(!world.core.is_connected(&id));
}

// tests aws-iot [2.11], [MQ-96]
#[test]
fn direct_messages_reach_one_client_without_subscription() {
    let direct = |qos, token| Direct {
        publish: publish("to/you", "x", qos, 0),
        token,
    };
    let may = policy(&["Allow Connect *", "Allow Receive topic/to/you"]);
    let mut world = World::standard();
    let client = world.join(&Device::allowed("d", &may), persistent(V5, "c"));
    let send = |world: &mut World, client_id: &str, direct| {
        let outcome = world.core.send_direct(world.now, client_id, direct);
        world.turn();
        outcome
    };
    let plain = |qos: u8, token| {
        let mut direct = direct(0, token);
        direct.publish.qos = QoS::parse(qos).expect("a QoS");
        direct
    };
    assert_eq!(send(&mut world, "c", plain(0, 1)), DirectOutcome::Sent);
    assert_eq!(world.told(client), "to/you=x@0");
    assert_eq!(send(&mut world, "c", plain(1, 2)), DirectOutcome::Pending);
    assert_eq!(world.told(client), "to/you=x@1#1");
    world.send(client, &puback(1));
    assert_eq!(world.confirmed, [(2, true)]);
    assert_eq!(send(&mut world, "c", plain(1, 3)), DirectOutcome::Pending);
    world.lose(client);
    assert_eq!(world.confirmed, [(2, true), (3, false)], "not queued");
    assert_eq!(send(&mut world, "c", plain(1, 4)), DirectOutcome::Offline);
    assert_eq!(
        send(&mut world, "nobody", plain(0, 5)),
        DirectOutcome::Offline
    );
    let client = world.connect(&Device::allowed("d", &may), persistent(V5, "c"));
    assert_eq!(world.told(client), "CONNACK(0x00,present)");
    let deaf = Device::allowed("deaf", &policy(&["Allow Connect *"]));
    world.join(&deaf, clean(V5, "deaf"));
    assert_eq!(
        send(&mut world, "deaf", plain(0, 6)),
        DirectOutcome::Forbidden
    );
}

/// How long it takes stands in `docs/promises.md`: `cargo test --release -p broker a_fleet_is
/// -- --nocapture` prints it.
#[test]
fn a_fleet_is_judged_again_by_what_changed() {
    let count = if cfg!(debug_assertions) { 500 } else { 10_000 };
    let text = policy(&[
        "Allow Connect client/${iot:Connection.Thing.ThingName}",
        "Allow Publish topic/t/${iot:Connection.Thing.ThingName}/*",
        "Allow Subscribe topicfilter/t/${iot:Connection.Thing.ThingName}/*",
        "Allow Receive topic/t/${iot:Connection.Thing.ThingName}/*",
        "Allow Subscribe topicfilter/all",
        "Allow Receive topic/all",
    ]);
    let mut world = World::standard();
    let fleet: Vec<(Device, Client)> = (0..count)
        .map(|number| {
            let name = format!("thing-{number}");
            let device = Device::allowed(&name, &text).thing(&name, false);
            let device = device.grouped("fleet", &policy(&["Allow Publish topic/status"]));
            let client = world.join(&device, clean(V5, &name));
            world.subscribe(client, &format!("t/{name}/#"), 1);
            world.subscribe(client, "all", 1);
            (device, client)
        })
        .collect();
    let group = fleet[0]
        .0
        .clone()
        .grouped("fleet", &policy(&["Deny Subscribe topicfilter/all"]));
    let policies = group.known().facts.things[0].groups[1].policies.clone();
    let amendment = crate::Amendment::Group {
        name: "fleet".to_owned(),
        policies,
        things: (0..count).map(|number| format!("thing-{number}")).collect(),
    };
    let known: Vec<_> = fleet
        .iter()
        .map(|(device, _)| (device.principal().certificate, device.known()))
        .collect();
    let start = SystemClock.instant();
    let amended: Vec<_> = known
        .into_iter()
        .map(|(id, known)| (id, Arc::new(amendment.of(&known))))
        .collect();
    for (id, known) in &amended {
        world.core.adopt(world.now, id, known);
    }
    eprintln!(
        "{count} sessions under new facts in {:?}",
        SystemClock.instant() - start
    );
    // Before any of them is reviewed.
    let sender = world.join(&Device::new("s"), clean(V5, "s"));
    world.send(fleet[3].1, &Packet::Publish(publish("status", "x", 1, 1)));
    assert_eq!(world.told(fleet[3].1), "PUBACK(1,0x87)");
    let mut done = Reviewed::default();
    for (id, known) in amended {
        let standing = Standing::Active(known);
        done.add(world.core.review(world.now, &id, &standing));
    }
    let took = SystemClock.instant() - start;
    eprintln!("{count} sessions judged in {took:?}");
    assert_eq!(done.sessions_closed, 0);
    assert_eq!(done.subscriptions_dropped, count);
    world.send(sender, &Packet::Publish(publish("all", "x", 0, 0)));
    world.send(sender, &Packet::Publish(publish("t/thing-7/a", "x", 0, 0)));
    for (number, (_, client)) in fleet.iter().enumerate() {
        let expected = if number == 7 { "t/thing-7/a=x@0" } else { "" };
        assert_eq!(world.told(*client), expected);
    }
}

/// How long it takes stands in `docs/promises.md`: `cargo test --release -p broker a_verdict_is
/// -- --nocapture` prints it.
#[test]
fn a_verdict_is_remembered_on_its_session() {
    let world = World::standard();
    let lines = (0..11).map(|number| format!("Allow Publish topic/other/{number}/*"));
    let mut lines: Vec<String> = lines.collect();
    lines.push("Allow Publish topic/t/${iot:ClientId}/*".to_owned());
    let text = policy(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    let connection = policy::Connection {
        client_id: Some("c".to_owned()),
        source_ip: [127, 0, 0, 1].into(),
        persistent: false,
        last_will_topic: None,
        has_will: false,
        domain_name: None,
        secure_transport: true,
    };
    let facts = Arc::new(Device::allowed("d", &text).facts());
    let mut access = enforce::Access::new(facts, connection, &world.core.settings.grounds);
    let topics = [topic("t/c/speed"), topic("t/c/heat"), topic("t/x/speed")];
    let topics = topics.map(|topic| (enforce::topic_hash(&topic), topic));
    let count = if cfg!(debug_assertions) {
        1000
    } else {
        10_000_000
    };
    let mut allowed = 0;
    let start = SystemClock.instant();
    for (hash, topic) in topics.iter().cycle().take(3 * count) {
        let action = policy::DeviceAction::Publish;
        let cleared =
            access.clear_topic(action, std::hint::black_box(topic), *hash, world.now.wall);
        allowed += usize::from(cleared.is_some());
    }
    let took = SystemClock.instant() - start;
    eprintln!("{} remembered verdicts in {took:?}", 3 * count);
    assert_eq!(allowed, 2 * count);
}
