//! What was acknowledged is there after a restart, on each database.

use std::time::Duration;

use broker::BrokerConfig;
use mqtt::packet::Ack;
use mqtt::{Packet, ReasonCode};

use crate::client::{Client, V3, V5, clean, delayed, id, persistent, publish, with_will};
use crate::world::{ALL, World, grouped, revoked, run};

// tests aws-iot [MQ-22], [MQ-33], [MQ-50]
#[test]
fn sessions_messages_and_retained_survive_a_restart() {
    for database in testkit::databases() {
        eprintln!("on {}", database.engine);
        run(async {
            let world = World::start(&database, BrokerConfig::default()).await;
            let device = world.device(ALL);
            let mut reader = Client::join(&world, &device, persistent(V5, "reader")).await;
            reader.subscribe("a/#", 2).await;
            reader.subscribe("$share/g/s", 1).await;
            let mut sender = Client::join(&world, &device, clean(V3, "sender")).await;
            sender.publish("a/1", "in flight", 1).await;
            assert_eq!(sender.told().await, "PUBACK(1)");
            assert_eq!(reader.told().await, "a/1=in flight@1#1");
            reader.leave().await;
            sender.publish("a/2", "queued", 1).await;
            assert_eq!(sender.told().await, "PUBACK(1)");
            sender.publish("s", "shared", 1).await;
            assert_eq!(sender.told().await, "PUBACK(1)");
            let mut kept = publish("kept", "r", 1);
            kept.retain = true;
            sender.send(&Packet::Publish(kept)).await;
            assert_eq!(sender.told().await, "PUBACK(1)");
            let mut twice = publish("a/3", "twice", 2);
            twice.packet_id = Some(id(7));
            let mut exact = Client::join(&world, &device, persistent(V5, "exact")).await;
            exact.send(&Packet::Publish(twice.clone())).await;
            assert_eq!(exact.told().await, "PUBREC(7)");

            let mut world = world.restart(&database).await;
            assert_eq!(sender.told().await, "closed");
            assert_eq!(exact.told().await, "DISCONNECT(0x8b)");
            let (client, connack) = Client::connect(&world, &device, persistent(V3, "exact")).await;
            assert_eq!(connack, Some((ReasonCode::Success, true)));
            let mut exact = client.unwrap();
            twice.dup = true;
            exact.send(&Packet::Publish(twice)).await;
            assert_eq!(exact.told().await, "PUBREC(7)");
            exact.send(&Packet::PubRel(Ack::success(id(7)))).await;
            exact.next().await;
            let (client, connack) =
                Client::connect(&world, &device, persistent(V5, "reader")).await;
            assert_eq!(connack, Some((ReasonCode::Success, true)));
            let mut reader = client.unwrap();
            assert_eq!(reader.told().await, "a/1=in flight@1#1,dup");
            assert_eq!(reader.told().await, "a/2=queued@1#2");
            assert_eq!(reader.told().await, "a/3=twice@2#3", "once");
            assert_eq!(reader.told().await, "s=shared@1#4");
            assert_eq!(reader.told_so_far().await, [""; 0]);
            let mut late = Client::join(&world, &device, clean(V5, "late")).await;
            late.subscribe("kept", 0).await;
            assert_eq!(late.told().await, "kept=r@0,retain");
            world.stop().await;
        });
    }
}

// tests aws-iot [MQ-60], [MQ-61], [MQ-63]
#[test]
fn wills_survive_a_restart_and_are_judged_after_it() {
    for database in testkit::databases() {
        run(async {
            let world = World::start(&database, BrokerConfig::default()).await;
            let device = world.device(ALL);
            let mut reader = Client::join(&world, &device, persistent(V5, "reader")).await;
            reader.subscribe("w/#", 1).await;
            reader.leave().await;
            let revoked_one = world.device(ALL);
            let mut clients = Vec::new();
            for (device, name, delay_s) in [
                (&device, "at-once", 0),
                (&device, "later", 60),
                (&revoked_one, "refused", 60),
            ] {
                let connect = with_will(persistent(V5, name), &format!("w/{name}"));
                let connect = delayed(connect, delay_s);
                clients.push(Client::join(&world, device, connect).await);
            }
            world.put(&revoked_one, revoked());
            let clock = std::sync::Arc::clone(&world.clock);
            // A stop is a disconnect by the server; the others' delay is over while it is down.
            let mut world = world
                .restart_after(&database, || clock.advance(Duration::from_secs(60)))
                .await;
            let (client, connack) =
                Client::connect(&world, &device, persistent(V5, "reader")).await;
            assert_eq!(connack, Some((ReasonCode::Success, true)));
            let mut reader = client.unwrap();
            assert_eq!(reader.told().await, "w/at-once=gone@1#1");
            assert_eq!(reader.told().await, "w/later=gone@1#2");
            let denials = loop {
                let input = serde_json::json!({});
                let answer = world.call("palisade", "ListDenials", input).await.unwrap();
                let denials = answer["denials"].as_array().unwrap().clone();
                if !denials.is_empty() {
                    break denials;
                }
            };
            assert_eq!(denials[0]["action"], "iot:Publish");
            let resource = denials[0]["resource"].as_str().unwrap();
            assert!(resource.ends_with("topic/w/refused"), "{resource}");
            assert_eq!(reader.told_so_far().await, [""; 0]);
            world.stop().await;
        });
    }
}

// tests aws-iot [MQ-11]
#[test]
fn owners_survive_a_restart() {
    for database in testkit::databases() {
        run(async {
            let world = World::start(&database, BrokerConfig::default()).await;
            let (first, rotated) = (world.stranger(), world.stranger());
            for device in [&first, &rotated] {
                world.put(device, grouped(ALL, "pump", None));
            }
            let other = world.device(ALL);
            for client_id in ["pump", "plain"] {
                let mut client = Client::join(&world, &first, persistent(V5, client_id)).await;
                client.subscribe("a", 1).await;
                client.leave().await;
            }
            let mut world = world.restart(&database).await;
            let (_, connack) = Client::connect(&world, &rotated, persistent(V5, "pump")).await;
            assert_eq!(
                connack,
                Some((ReasonCode::Success, true)),
                "the thing's session"
            );
            let ask = async || {
                Client::connect(&world, &other, persistent(V5, "plain"))
                    .await
                    .1
            };
            let refused = Some((ReasonCode::ClientIdentifierNotValid, false));
            assert_eq!(ask().await, refused, "another's session");
            assert_eq!(ask().await, refused, "whose certificate is active");
            // Its holder is asked about when the client id is asked for, and then has it no more.
            world.put(&first, revoked());
            let sequence = world.changed("certificate", first.id.as_str()).await;
            world.receipt(sequence).await;
            let mut connack = ask().await;
            while connack == refused {
                connack = ask().await;
            }
            assert_eq!(connack, Some((ReasonCode::Success, false)));
            world.stop().await;
        });
    }
}

#[test]
fn a_message_is_committed_before_it_is_acknowledged() {
    let database = testkit::databases().remove(0);
    run(async {
        let mut world = World::start(&database, BrokerConfig::default()).await;
        let device = world.device(ALL);
        let mut reader = Client::join(&world, &device, persistent(V5, "reader")).await;
        reader.subscribe("a", 1).await;
        reader.leave().await;
        let mut sender = Client::join(&world, &device, with_will(clean(V5, "s"), "w")).await;
        for number in 1..=20_u16 {
            let mut message = publish("a", &number.to_string(), 1);
            message.packet_id = Some(id(number));
            sender.send(&Packet::Publish(message)).await;
            assert_eq!(sender.told().await, format!("PUBACK({number})"));
            let waiting = world
                .storage
                .read(|tx: &mut storage::Tx<'_>| {
                    let rows = tx.query("SELECT entry FROM session_messages LIMIT 100", &[])?;
                    Ok::<usize, storage::StorageError>(rows.len())
                })
                .await
                .unwrap();
            assert_eq!(
                waiting,
                usize::from(number),
                "committed before it was acknowledged"
            );
        }
        world.stop().await;
    });
}

#[test]
fn stopping_is_quick_even_when_a_client_reads_nothing() {
    let database = testkit::databases().remove(0);
    run(async {
        let mut world = World::start(&database, BrokerConfig::default()).await;
        let device = world.device(ALL);
        let mut deaf = Client::join(&world, &device, clean(V5, "deaf")).await;
        deaf.subscribe("a", 0).await;
        let mut sender = Client::join(&world, &device, clean(V5, "s")).await;
        for _ in 0..100 {
            sender.publish("a", &"x".repeat(100_000), 0).await;
        }
        sender.told_so_far().await;
        let stopping = tokio::time::timeout(Duration::from_secs(10), world.stop());
        stopping.await.expect("it stops in time");
    });
}
