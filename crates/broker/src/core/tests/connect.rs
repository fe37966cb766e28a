//! CONNECT and CONNACK.

use super::*;

/// What a client sees of a CONNECT, in both versions: CONNACK or nothing, and whether it is closed.
#[track_caller]
fn check(world: &mut World, device: &Device, connect: Connect, expected: &str) {
    let client = world.connect(device, connect.clone());
    let mut told = world.told(client);
    if world.is_closed(client) {
        told.push_str(" closed");
    }
    assert_eq!(told.trim(), expected, "{connect:?}");
}

// tests aws-iot [MQ-1], [MQ-10]
// tests mqtt311 [MQTT-3.1.3-8]; tests mqtt5 [MQTT-3.1.3-6]
#[test]
fn client_ids_are_taken_assigned_or_refused() {
    let mut world = World::standard();
    let device = Device::new("d");
    let long = "x".repeat(128);
    let too_long = "x".repeat(129);
    for (version, refused) in [(V3, "CONNACK(0x02) closed"), (V5, "CONNACK(0x85) closed")] {
        check(&mut world, &device, clean(version, "a"), "CONNACK(0x00)");
        check(&mut world, &device, clean(version, &long), "CONNACK(0x00)");
        check(&mut world, &device, clean(version, &too_long), refused);
        check(&mut world, &device, clean(version, "$a"), refused);
        check(&mut world, &device, clean(version, ""), "CONNACK(0x00)");
    }
    let unclean = Connect {
        clean_start: false,
        ..clean(V3, "")
    };
    check(&mut world, &device, unclean, "CONNACK(0x02) closed");

    let client = world.connect(&device, clean(V5, ""));
    let assigned = world.connack(client).properties.assigned_client_id;
    assert_eq!(assigned.map(|id| id.len()), Some(36));
    let client = world.connect(&device, clean(V5, "named"));
    assert_eq!(world.connack(client).properties.assigned_client_id, None);
}

// tests aws-iot [MQ-13], [MQ-14], [MQ-20]
#[test]
fn connack_says_what_differs_from_what_was_asked() {
    let device = Device::new("d");
    let asked = |keep_alive_s, expiry_s| {
        let mut connect = clean(V5, "c");
        connect.keep_alive_s = keep_alive_s;
        connect.properties.session_expiry_s = expiry_s;
        connect
    };
    for (profile, connect, keep_alive_s, expiry_s) in [
        (Profile::Standard, asked(60, None), None, None),
        (Profile::Standard, asked(60, Some(100)), None, None),
        (
            Profile::Standard,
            asked(0, Some(u32::MAX)),
            None,
            Some(604_800),
        ),
        (
            Profile::Aws,
            asked(60, Some(604_801)),
            Some(60),
            Some(604_800),
        ),
        (Profile::Aws, asked(5, None), Some(30), None),
        (Profile::Aws, asked(0, None), Some(1200), None),
    ] {
        let mut world = World::new(profile);
        let client = world.connect(&device, connect);
        let properties = world.connack(client).properties;
        assert_eq!(properties.server_keep_alive_s, keep_alive_s, "{profile:?}");
        assert_eq!(properties.session_expiry_s, expiry_s, "{profile:?}");
        let aws = profile == Profile::Aws;
        assert_eq!(properties.maximum_qos, aws.then_some(QoS::AtLeastOnce));
        assert_eq!(properties.subscription_identifiers_available, Some(!aws));
        assert_eq!(
            properties.topic_alias_maximum,
            Some(if aws { 8 } else { 64 })
        );
        let receive_maximum = properties.receive_maximum.map(NonZeroU16::get);
        assert_eq!(receive_maximum, Some(if aws { 100 } else { 1000 }));
        let packet = properties.packet_bytes_max.map(std::num::NonZero::get);
        assert_eq!(packet, Some(if aws { 149_504 } else { 1 << 20 }));
    }
}

// tests aws-iot [MQ-17], [RT-12], [PL-10]
#[test]
fn a_connect_that_policy_denies_is_told_and_reported() {
    let device = Device::allowed("d", &policy(&["Allow Connect client/mine"]));
    let mut world = World::standard();
    let listener = world.listener("$aws/events/presence/connect_failed/+");
    check(
        &mut world,
        &device,
        clean(V3, "other"),
        "CONNACK(0x05) closed",
    );
    check(&mut world, &device, clean(V3, "mine"), "CONNACK(0x00)");
    let refused = world.connect(&device, clean(V5, "other"));
    let connack = world.connack(refused);
    assert_eq!(connack.reason, ReasonCode::NotAuthorized);
    assert_eq!(
        connack.properties.reason_string.as_deref(),
        Some("not authorized; denial id d2")
    );
    let events = events(&world.sent(listener));
    assert_eq!(events.len(), 2);
    let (topic, document) = &events[1];
    assert_eq!(topic, "$aws/events/presence/connect_failed/other");
    assert_eq!(document["connectFailureReason"], "AUTHORIZATION_FAILED");
    assert_eq!(document["ipAddress"], "198.51.100.9");

    let denials = world.denials.borrow();
    assert_eq!(denials[0].action, "iot:Connect");
    assert_eq!(
        denials[0].resource,
        "arn:aws:iot:us-east-1:111122223333:client/other"
    );
    assert_eq!(denials[0].verdict, "implicit-deny");
    drop(denials);

    let silent = BrokerConfig {
        v3_connect_denied: crate::config::ConnectDenied::Close,
        ..BrokerConfig::default()
    };
    let mut world = World::with(Profile::Standard, &silent);
    check(&mut world, &device, clean(V3, "other"), "closed");
    check(
        &mut world,
        &device,
        clean(V5, "other"),
        "CONNACK(0x87) closed",
    );
}

// tests aws-iot [MQ-3], [MQ-53], [MQ-54], [MQ-60]
#[test]
fn wills_are_judged_at_connect() {
    let lines = [
        "Allow Connect *",
        "Allow Publish topic/w",
        "Allow Publish topic/$aws/*",
    ];
    let device = Device::allowed("d", &policy(&lines));
    let mut retained = with_will(clean(V5, "c"), "w", 0);
    retained.will.as_mut().expect("a will").retain = true;
    let mut twice = with_will(clean(V5, "c"), "w", 0);
    twice.will.as_mut().expect("a will").qos = QoS::ExactlyOnce;
    let older = |connect: &Connect| Connect {
        version: V3,
        ..connect.clone()
    };
    for (profile, connect, v3, v5) in [
        (
            Profile::Standard,
            with_will(clean(V5, "c"), "w", 0),
            "CONNACK(0x00)",
            "CONNACK(0x00)",
        ),
        (
            Profile::Standard,
            with_will(clean(V5, "c"), "x", 0),
            "CONNACK(0x05) closed",
            "CONNACK(0x87) closed",
        ),
        (
            Profile::Standard,
            retained,
            "CONNACK(0x05) closed",
            "CONNACK(0x87) closed",
        ),
        (
            Profile::Standard,
            twice.clone(),
            "CONNACK(0x00)",
            "CONNACK(0x00)",
        ),
        (Profile::Aws, twice, "closed", "CONNACK(0x9b) closed"),
        (
            Profile::Standard,
            with_will(clean(V5, "c"), "$aws/events/thing/t/created", 0),
            "closed",
            "CONNACK(0x90) closed",
        ),
        (
            Profile::Standard,
            with_will(clean(V5, "c"), "$aws/things/t/shadow/update", 0),
            "CONNACK(0x00)",
            "CONNACK(0x00)",
        ),
    ] {
        check(&mut World::new(profile), &device, older(&connect), v3);
        check(&mut World::new(profile), &device, connect, v5);
    }
}

// tests aws-iot [MQ-2], [MQ-15], [MQ-16]; tests mqtt5 [MQTT-3.1.0-2]
#[test]
fn what_may_not_come_ends_the_connection() {
    let device = Device::new("d");
    for (version, expected) in [(V3, ""), (V5, "DISCONNECT(0x82)")] {
        let mut world = World::standard();
        let client = world.join(&device, clean(version, "c"));
        world.send(client, &Packet::Connect(Box::new(clean(version, "c"))));
        assert_eq!(world.told(client), expected);
        assert!(world.is_closed(client));
    }
    let mut world = World::standard();
    let mut connect = clean(V5, "c");
    connect.properties.authentication_method = Some("SCRAM".into());
    check(&mut world, &device, connect, "CONNACK(0x8c) closed");
    // A user name of an AWS SDK is of no consequence.
    let mut connect = clean(V3, "c");
    connect.username = Some("?SDK=PythonV2&Version=1.2.3".into());
    check(&mut world, &device, connect, "CONNACK(0x00)");
}

// tests aws-iot [MQ-1], [MQ-4]
#[test]
fn the_first_bytes_decide() {
    let device = Device::new("d");
    for (bytes, expected) in [
        // Level 3, of MQTT 3.1.
        (
            &b"\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x00\x00\x01a"[..],
            &b"\x20\x02\x00\x01"[..],
        ),
        // A level nobody speaks.
        (
            b"\x10\x0d\x00\x04MQTT\x06\x02\x00\x00\x00\x01a",
            b"\x20\x03\x00\x84\x00",
        ),
        // Not CONNECT, and not MQTT.
        (b"\xc0\x00", b""),
        (b"GET / HTTP/1.1\r\n\r\n", b""),
    ] {
        let mut world = World::standard();
        let client = world.open(V3, &device);
        world.send_bytes(client, bytes);
        let sent = world.inbox.remove(&client.key).unwrap_or_default();
        assert_eq!(&sent[..], expected, "{bytes:?}");
        assert!(world.is_closed(client), "{bytes:?}");
    }
    // What comes right behind CONNECT waits for it.
    let mut world = World::standard();
    let client = world.open(V3, &device);
    let mut bytes = BytesMut::new();
    mqtt::encode(&Packet::Connect(Box::new(clean(V3, "c"))), V3, &mut bytes).expect("valid");
    mqtt::encode(&Packet::PingReq, V3, &mut bytes).expect("valid");
    world.send_bytes(client, &bytes);
    assert_eq!(world.told(client), "CONNACK(0x00) PINGRESP");
}

#[test]
fn a_client_that_does_not_say_connect_is_closed_in_time() {
    let mut world = World::standard();
    let client = world.open(V5, &Device::new("d"));
    world.advance(9_999);
    assert!(!world.is_closed(client));
    world.advance(1);
    assert!(world.is_closed(client));
    let reasons: Vec<_> = world
        .disk
        .history
        .values()
        .map(|(_, reason)| reason.clone())
        .collect();
    assert_eq!(reasons, [Some("CLIENT_ERROR".to_owned())]);
}

// tests aws-iot [MQ-13]; tests mqtt5 [MQTT-3.1.2-22]
#[test]
fn silence_ends_the_connection_after_one_and_a_half_intervals() {
    for (version, expected) in [(V3, ""), (V5, "DISCONNECT(0x8d)")] {
        let mut world = World::standard();
        let connect = Connect {
            keep_alive_s: 10,
            ..clean(version, "c")
        };
        let client = world.join(&Device::new("d"), connect);
        world.advance(14_000);
        world.send(client, &Packet::PingReq);
        assert_eq!(world.told(client), "PINGRESP");
        world.advance(14_999);
        assert!(!world.is_closed(client));
        world.advance(1);
        assert_eq!(world.told(client), expected);
        assert!(world.is_closed(client));
    }
}

// tests aws-iot [MQ-12]
#[test]
fn a_client_id_connects_once_a_second_in_profile_aws() {
    let mut world = World::aws();
    let device = Device::new("d");
    check(&mut world, &device, clean(V5, "c"), "CONNACK(0x00)");
    check(&mut world, &device, clean(V5, "c"), "CONNACK(0x97) closed");
    check(&mut world, &device, clean(V3, "c"), "closed");
    check(&mut world, &device, clean(V5, "d"), "CONNACK(0x00)");
    world.advance(1000);
    check(&mut world, &device, clean(V5, "c"), "CONNACK(0x00)");
}

#[test]
fn the_bounds_on_connections_and_sessions_hold() {
    let device = Device::new("d");
    let config = BrokerConfig {
        connections_max: 2,
        ..BrokerConfig::default()
    };
    let mut world = World::with(Profile::Standard, &config);
    let first = world.join(&device, clean(V5, "a"));
    world.join(&device, clean(V5, "b"));
    let peer = world
        .core
        .connections
        .get(first.key)
        .expect("live")
        .peer
        .clone();
    let known = Arc::new(device.known());
    assert!(
        world
            .core
            .opened(world.now, peer.clone(), Arc::clone(&known))
            .is_none()
    );
    world.lose(first);
    assert!(world.core.opened(world.now, peer, known).is_some());

    let config = BrokerConfig {
        sessions_max: 1,
        ..BrokerConfig::default()
    };
    let mut world = World::with(Profile::Standard, &config);
    check(&mut world, &device, persistent(V5, "a"), "CONNACK(0x00)");
    check(
        &mut world,
        &device,
        persistent(V5, "b"),
        "CONNACK(0x97) closed",
    );
    check(&mut world, &device, persistent(V3, "b"), "closed");
    check(&mut world, &device, clean(V5, "b"), "CONNACK(0x00)");
    check(
        &mut world,
        &device,
        persistent(V5, "a"),
        "CONNACK(0x00,present)",
    );
}

// tests aws-iot [RT-10], [RT-11]
#[test]
fn presence_is_reported_in_order() {
    let mut world = World::standard();
    let listener = world.listener("$aws/events/presence/#");
    let device = Device::new("d").thing("c", true);
    let client = world.join(&device, clean(V5, "c"));
    world.send(client, &disconnect());
    let client = world.join(&device, clean(V5, "c"));
    world.lose(client);
    world.join(&Device::new("plain"), clean(V5, "other"));

    let events = events(&world.sent(listener));
    let seen: Vec<String> = events
        .iter()
        .map(|(topic, event)| {
            let reason = event["disconnectReason"].as_str().unwrap_or("-");
            let thing = event["thingName"].as_str().unwrap_or("-");
            let topic = topic.trim_start_matches("$aws/events/presence/");
            format!("{topic} {} {reason} {thing}", event["versionNumber"])
        })
        .collect();
    assert_eq!(
        seen,
        [
            "connected/c 0 - c",
            "disconnected/c 0 CLIENT_INITIATED_DISCONNECT c",
            "connected/c 1 - c",
            "disconnected/c 1 CONNECTION_LOST c",
            "connected/other 0 - -",
        ]
    );
    assert_eq!(
        events[0].1["sessionIdentifier"],
        events[1].1["sessionIdentifier"]
    );
    assert_ne!(
        events[0].1["sessionIdentifier"],
        events[2].1["sessionIdentifier"]
    );
}

#[test]
fn the_server_tells_everybody_when_it_stops() {
    let mut world = World::standard();
    let device = Device::new("d");
    let older = world.join(&device, clean(V3, "a"));
    let newer = world.join(&device, with_will(persistent(V5, "b"), "w", 0));
    world.core.shut_down(world.now);
    world.turn();
    assert_eq!(world.told(older), "");
    assert_eq!(world.told(newer), "DISCONNECT(0x8b)");
    assert!(world.is_closed(older) && world.is_closed(newer));
    world.crash();
    let client = world.connect(&device, persistent(V5, "b"));
    assert_eq!(world.told(client), "CONNACK(0x00,present)");
}

// tests aws-iot [1.6]
#[test]
fn a_connection_ends_with_its_certificate() {
    let mut world = World::standard();
    let mut device = Device::new("d");
    device.not_after = world.now.wall.after(Duration::from_secs(3 * 24 * 3600));
    let client = world.join(&device, clean(V5, "c"));
    world.advance(3 * 24 * 3_600_000 - 1);
    assert!(!world.is_closed(client));
    world.advance(1);
    assert_eq!(world.told(client), "DISCONNECT(0x87)");
}

// tests mqtt5 [MQTT-3.1.2-24], [MQTT-3.2.2-16]
#[test]
fn connack_fits_the_client_or_refuses_it() {
    let mut world = World::standard();
    let mut check = |client_id: &str, packet_bytes_max: u32, expected: Option<(u8, bool)>| {
        let mut connect = clean(V5, client_id);
        connect.properties.packet_bytes_max = std::num::NonZeroU32::new(packet_bytes_max);
        let client = world.connect(&Device::new("d"), connect);
        let sent = world.sent(client).into_iter().next();
        let found = sent.map(|packet| match packet {
            Packet::ConnAck(connack) => {
                let says_all = connack.properties.shared_subscription_available.is_some();
                (connack.reason.byte(), says_all)
            }
            other => panic!("{other:?}"),
        });
        assert_eq!(found, expected, "{packet_bytes_max} bytes");
        let refused = expected.is_none_or(|(code, _)| code != 0);
        assert_eq!(world.is_closed(client), refused);
    };
    // Without properties 5 bytes; receive maximum, packet size and alias maximum take 11, and what
    // is so by default 8.
    check("c", 24, Some((0x00, true)));
    check("c", 23, Some((0x00, false)));
    check("c", 16, Some((0x00, false)));
    check("c", 15, Some((0x95, false)));
    check("c", 5, Some((0x95, false)));
    check("c", 4, None);
    // The client id that was assigned has to be told.
    check("", 55, Some((0x00, false)));
    check("", 54, Some((0x95, false)));
}
