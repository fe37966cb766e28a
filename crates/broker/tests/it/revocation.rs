//! Access ends on live sessions, and stays ended.

use std::sync::atomic::Ordering;
use std::time::Duration;

use broker::{Amendment, BrokerConfig};
use model::Clock;
use mqtt::ReasonCode;
use pki::authority::Validity;
use rustls::HandshakeKind;
use serde_json::json;

use crate::client::{Client, V3, V5, clean, persistent, with_will};
use crate::world::{ALL, grouped, in_world, in_world_with, named_iot, policy, record, revoked};

// tests aws-iot [G-5]
#[test]
fn a_revoked_certificate_loses_its_sessions_and_a_receipt_says_so() {
    in_world(async |world| {
        let (device, other) = (world.device(ALL), world.device(ALL));
        let mut bystander = Client::join(world, &other, clean(V5, "bystander")).await;
        bystander.subscribe("w", 1).await;
        let mut newer = Client::join(world, &device, with_will(clean(V5, "newer"), "w")).await;
        let mut older = Client::join(world, &device, clean(V3, "older")).await;
        world.put(&device, revoked());
        let sequence = world.changed("certificate", device.id.as_str()).await;
        assert_eq!(newer.told().await, "DISCONNECT(0x87)");
        assert_eq!(newer.told().await, "closed");
        assert_eq!(older.told().await, "closed");
        assert_eq!(bystander.told().await, "w=gone@1#1");
        assert_eq!(
            world.receipt(sequence).await,
            json!({"sequence": sequence, "topic": "certificate", "key": device.id.as_str(),
                "sessionsClosed": 2, "subscriptionsDropped": 0, "elapsedMs": 0, "elapsedUs": 0})
        );
        let (_, answer) = Client::connect(world, &device, clean(V5, "newer")).await;
        assert_eq!(answer, None);
        bystander.acknowledge(1).await;
        assert_eq!(bystander.told_so_far().await, [""; 0]);
    });
}

// tests aws-iot [EP-14]
#[test]
fn a_resumed_handshake_does_not_bring_a_revoked_certificate_back() {
    in_world(async |world| {
        let device = world.device(ALL);
        let config = world.tls(Some(&device), &[]);
        let connect = || Client::connect_with(world.addresses.mqtt, config.clone(), clean(V5, "d"));
        let (first, _) = connect().await;
        first.unwrap().leave().await;
        let (second, _) = connect().await;
        let second = second.unwrap();
        assert_eq!(second.handshake_kind(), Some(HandshakeKind::Resumed));
        second.leave().await;
        world.put(&device, revoked());
        let sequence = world.changed("certificate", device.id.as_str()).await;
        world.receipt(sequence).await;
        assert_eq!(connect().await.1, None);
    });
}

// tests aws-iot [MQ-24], [PL-51], [PL-52]
#[test]
fn changed_policies_are_applied_to_live_sessions() {
    in_world(async |world| {
        let device = world.device(ALL);
        let mut client = Client::join(world, &device, clean(V5, "d")).await;
        client.subscribe("a", 0).await;
        client.subscribe("b", 0).await;
        let lines = [
            "Allow Connect *",
            "Allow Subscribe topicfilter/a",
            "Allow Receive *",
        ];
        world.put(&device, record(&policy(&lines)));
        let sequence = world.changed("policy", "own").await;
        let receipt = world.receipt(sequence).await;
        assert_eq!(receipt["subscriptionsDropped"], 1);
        assert_eq!(receipt["sessionsClosed"], 0);
        let mut sender = Client::join(world, &world.device(ALL), clean(V5, "sender")).await;
        sender.publish("b", "x", 0).await;
        sender.publish("a", "x", 0).await;
        assert_eq!(client.told().await, "a=x@0");
        world.put(&device, record(&policy(&["Deny Connect *"])));
        let sequence = world.changed("policy", "own").await;
        assert_eq!(client.told().await, "DISCONNECT(0x87)");
        assert_eq!(world.receipt(sequence).await["sessionsClosed"], 1);
        // A change that touches nobody has a receipt too.
        let sequence = world.changed("policy", "of-nobody").await;
        assert_eq!(world.receipt(sequence).await["sessionsClosed"], 0);
    });
}

// tests aws-iot [PL-50]
#[test]
fn a_quarantine_holds_whatever_client_id_is_used() {
    in_world(async |world| {
        let device = world.stranger();
        world.put(&device, grouped(ALL, "pump", None));
        let mut own = Client::join(world, &device, clean(V5, "pump")).await;
        let mut other = Client::join(world, &device, clean(V5, "something-else")).await;
        let deny = policy(&["Deny * *"]);
        world.put(&device, grouped(ALL, "pump", Some(("quarantine", &deny))));
        let sequence = world.changed("thing", "pump").await;
        assert_eq!(own.told().await, "DISCONNECT(0x87)");
        assert_eq!(other.told().await, "DISCONNECT(0x87)");
        assert_eq!(world.receipt(sequence).await["sessionsClosed"], 2);
        for client_id in ["pump", "something-else", "new"] {
            let (_, refused) = Client::connect(world, &device, clean(V5, client_id)).await;
            assert_eq!(
                refused,
                Some((ReasonCode::NotAuthorized, false)),
                "{client_id}"
            );
        }
        // Released: the group's policy is gone.
        world.put(&device, grouped(ALL, "pump", None));
        let sequence = world.changed("thing-group", "quarantine").await;
        world.receipt(sequence).await;
        Client::join(world, &device, clean(V5, "pump")).await;
    });
}

#[test]
fn sessions_that_cannot_be_judged_are_ended() {
    let config = BrokerConfig {
        review_timeout_ms: 100,
        ..BrokerConfig::default()
    };
    in_world_with(config, async |world| {
        let device = world.device(ALL);
        let mut client = Client::join(world, &device, clean(V5, "d")).await;
        *world.registry.away.lock().unwrap() = true;
        let sequence = world.changed("certificate", device.id.as_str()).await;
        assert_eq!(client.told().await, "DISCONNECT(0x87)");
        assert_eq!(world.receipt(sequence).await["sessionsClosed"], 1);
        assert_eq!(
            Client::connect(world, &device, clean(V5, "d")).await.1,
            None
        );
        *world.registry.away.lock().unwrap() = false;
        // No answer is no better than an error.
        let mut client = Client::join(world, &device, clean(V5, "d")).await;
        world.hang(true);
        let sequence = world.changed("certificate", device.id.as_str()).await;
        assert_eq!(client.told().await, "DISCONNECT(0x87)");
        assert_eq!(world.receipt(sequence).await["sessionsClosed"], 1);
        world.hang(false);
        Client::join(world, &device, clean(V5, "d")).await;
    });
}

// tests aws-iot [CT-40], [MQ-18]
#[test]
fn who_is_not_registered_is_introduced_and_does_not_get_in() {
    in_world(async |world| {
        let mut listener = Client::join(world, &world.device(ALL), clean(V5, "listener")).await;
        listener
            .subscribe("$aws/events/certificates/registered/+", 0)
            .await;
        let stranger = world.stranger();
        let (_, answer) = Client::connect(world, &stranger, clean(V5, "d")).await;
        assert_eq!(answer, None);
        let introduced = format!("$aws/events/certificates/registered/ca={}@0", stranger.id);
        assert_eq!(listener.told().await, introduced);
        assert_eq!(world.registry.introduced.lock().unwrap().len(), 1);
        // A certificate that was deleted is a stranger's again.
        let device = world.device(ALL);
        let mut client = Client::join(world, &device, clean(V5, "d")).await;
        world.take(&device);
        world.changed("certificate", device.id.as_str()).await;
        assert_eq!(client.told().await, "DISCONNECT(0x87)");
        let (_, answer) = Client::connect(world, &device, clean(V5, "d")).await;
        assert_eq!(answer, None);
    });
}

// tests aws-iot [CT-10], [EP-14]
#[test]
fn an_expired_certificate_does_not_come_back_by_resumption() {
    in_world(async |world| {
        let now = world.clock.now();
        let brief = Validity::lasting(now, Duration::from_secs(60)).unwrap();
        let expiring = world.stranger_until(brief);
        world.put(&expiring, record(ALL));
        let resumable = world.tls(Some(&expiring), &[]);
        let connect = |config| Client::connect_with(world.addresses.mqtt, config, clean(V5, "e"));
        let (first, _) = connect(resumable.clone()).await;
        first.unwrap().leave().await;
        world.clock.advance(Duration::from_secs(61));
        assert_eq!(connect(resumable).await.1, None);
        let anew = world.tls(Some(&expiring), &[]);
        assert_eq!(connect(anew).await.1, None);
    });
}

// tests aws-iot [MQ-11]
#[test]
fn another_owner_gets_neither_the_connection_nor_the_session() {
    in_world(async |world| {
        let (owner, other) = (world.device(ALL), world.device(ALL));
        let mut first = Client::join(world, &owner, persistent(V5, "shared")).await;
        first.subscribe("private", 1).await;
        let (_, refused) = Client::connect(world, &other, persistent(V5, "shared")).await;
        assert_eq!(refused, Some((ReasonCode::ClientIdentifierNotValid, false)));
        assert_eq!(first.told_so_far().await, [""; 0]);
        first.leave().await;
        let (_, refused) = Client::connect(world, &other, persistent(V5, "shared")).await;
        assert_eq!(refused, Some((ReasonCode::ClientIdentifierNotValid, false)));
        let (_, resumed) = Client::connect(world, &owner, persistent(V5, "shared")).await;
        assert_eq!(resumed, Some((ReasonCode::Success, true)));
    });
}

// tests aws-iot [G-5], [PL-51]
#[test]
fn what_a_change_does_to_many_is_read_once() {
    const MANY: usize = 40;
    in_world(async |world| {
        let mut clients = Vec::new();
        for number in 0..MANY {
            let device = world.device(ALL);
            let name = format!("d{number}");
            let mut client = Client::join(world, &device, clean(V5, &name)).await;
            client.subscribe("a", 0).await;
            clients.push((client, device));
        }
        let reads = || world.registry.reads.load(Ordering::SeqCst);
        let before = reads();
        let amend = |lines: &[&str]| {
            let policy = named_iot("own", &policy(lines));
            *world.registry.amendment.lock().unwrap() = Some(Amendment::Policy(policy));
        };
        amend(&["Allow Connect *", "Allow Receive *"]);
        let sequence = world.changed("policy", "own").await;
        let receipt = world.receipt(sequence).await;
        assert_eq!(receipt["subscriptionsDropped"], MANY);
        amend(&["Deny Connect *"]);
        // One who is read whole, as ever.
        let device = &clients[0].1;
        world.put(device, revoked());
        let sequence = world.changed("certificate", device.id.as_str()).await;
        assert_eq!(world.receipt(sequence).await["sessionsClosed"], 1);
        assert_eq!(reads(), before + 1);
        let sequence = world.changed("policy", "own").await;
        assert_eq!(world.receipt(sequence).await["sessionsClosed"], MANY - 1);
        assert_eq!(reads(), before + 1);
        for (client, _) in &mut clients {
            assert_eq!(client.told().await, "DISCONNECT(0x87)");
        }
    });
}

#[test]
fn how_stale_policies_are_is_a_metric() {
    let config = BrokerConfig {
        review_timeout_ms: 60_000,
        ..BrokerConfig::default()
    };
    in_world_with(config, async |world| {
        let device = world.device(ALL);
        let _client = Client::join(world, &device, clean(V5, "d")).await;
        let metric = |text: &str, name: &str| -> f64 {
            let line = text
                .lines()
                .find(|line| line.starts_with(&format!("{name} ")));
            let value = line.and_then(|line| line.split(' ').nth(1));
            value
                .unwrap_or_else(|| panic!("no {name}"))
                .parse()
                .unwrap()
        };
        const STALENESS: &str = "palisade_policy_staleness_seconds";
        let sequence = world.changed("certificate", device.id.as_str()).await;
        world.receipt(sequence).await;
        let text = world.metrics.render().unwrap();
        assert_eq!(metric(&text, STALENESS), 0.0);
        let applied = metric(&text, "broker_policy_applied_seconds_count");
        assert!(applied >= 1.0);
        // A review that hangs makes it grow.
        world.hang(true);
        let sequence = world.changed("certificate", device.id.as_str()).await;
        world.clock.advance(Duration::from_secs(3));
        let stale = || metric(&world.metrics.render().unwrap(), STALENESS);
        assert_eq!(stale(), 3.0);
        world.clock.advance(Duration::from_secs(4));
        assert_eq!(stale(), 7.0);
        world.hang(false);
        let receipt = world.receipt(sequence).await;
        assert_eq!(receipt["elapsedUs"], 7_000_000);
        assert_eq!(receipt["elapsedMs"], 7000);
        assert_eq!(stale(), 0.0);
    });
}
