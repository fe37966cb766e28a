//! What an operator sees of live things, asked through the gateway.

use rustls::HandshakeKind;
use serde_json::{Value, json};

use mqtt::Packet;

use crate::client::{Client, V5, clean, publish};
use crate::world::{ALL, World, in_world};

/// The one member of a list.
#[track_caller]
fn only(list: &Value) -> &Value {
    let items = list.as_array().unwrap();
    assert_eq!(items.len(), 1, "{list}");
    &items[0]
}

#[test]
fn a_resumed_session_tells_the_key_exchange_it_made() {
    in_world(async |world| {
        let device = world.device(ALL);
        let config = world.tls(Some(&device), &[]);
        for (client_id, kind, resumed) in [
            ("first", HandshakeKind::Full, false),
            ("again", HandshakeKind::Resumed, true),
        ] {
            let connect = clean(V5, client_id);
            let joined = Client::connect_with(world.addresses.mqtt, config.clone(), connect).await;
            let client = joined.0.unwrap();
            assert_eq!(client.handshake_kind(), Some(kind));
            let input = json!({"principal": device.id.as_str()});
            let found = world.call("palisade", "ListConnections", input).await;
            let found = found.unwrap();
            let found = only(&found["connections"]);
            assert_eq!(found["clientId"], client_id);
            assert_eq!(found["tlsVersion"], "TLSv1_3");
            assert_eq!(found["tlsGroup"], "X25519MLKEM768");
            assert_eq!(found["tlsResumed"], resumed);
            let input = json!({"clientId": client_id});
            world
                .call("iot-data", "DeleteConnection", input)
                .await
                .unwrap();
        }
    });
}

/// The packets of a trace's records, as `direction packet`.
fn packets(page: &Value) -> Vec<String> {
    let records = page["records"].as_array().unwrap().iter();
    let line = |record: &Value| {
        let direction = record["direction"].as_str().unwrap_or("-");
        format!("{direction} {}", record["packet"].as_str().unwrap())
    };
    records.map(line).collect()
}

async fn start_trace(world: &World, input: Value) -> String {
    let started = world.call("palisade", "StartTrace", input).await.unwrap();
    started["traceId"].as_str().unwrap().to_owned()
}

#[test]
fn a_trace_is_read_page_by_page_as_packets_come() {
    in_world(async |world| {
        let device = world.device(ALL);
        let id = start_trace(world, json!({"clientId": "c", "payloadBytes": 2})).await;
        let read = async |after: u64, wait: u64, max: u64| {
            let input = json!({"traceId": id, "after": after, "waitSeconds": wait,
                "maxResults": max});
            world
                .call("palisade", "GetTraceRecords", input)
                .await
                .unwrap()
        };
        assert_eq!(packets(&read(0, 0, 250).await), [""; 0]);
        // Whoever waits is told as soon as the client comes.
        let (page, mut client) =
            tokio::join!(read(0, 20, 1), Client::join(world, &device, clean(V5, "c")));
        assert_eq!(packets(&page), ["in CONNECT"]);
        let record = &page["records"][0];
        assert_eq!(record["protocol"], "MQTT 5");
        assert_eq!(record["properties"]["clientId"], "c");
        assert_eq!(record["flags"], json!(["clean"]));
        client
            .send(&Packet::Publish(publish("a/b", "hello", 1)))
            .await;
        assert_eq!(client.told().await, "PUBACK(1)");
        let page = read(1, 20, 250).await;
        assert_eq!(packets(&page), ["out CONNACK", "in PUBLISH", "out PUBACK"]);
        let message = &page["records"][1];
        assert_eq!(message["topic"], "a/b");
        assert_eq!(message["qos"], 1);
        assert_eq!(message["payloadBytes"], 5);
        assert_eq!(message["payload"], "aGU=");
        assert_eq!(page["lost"], 0);
        let listed = world
            .call("palisade", "ListTraces", json!({}))
            .await
            .unwrap();
        assert_eq!(only(&listed["traces"])["clientId"], "c");
        let input = json!({ "traceId": id });
        world
            .call("palisade", "StopTrace", input.clone())
            .await
            .unwrap();
        for operation in ["StopTrace", "GetTraceRecords"] {
            let gone = world.call("palisade", operation, input.clone()).await;
            assert_eq!(gone.unwrap_err().exception, "ResourceNotFoundException");
        }
    });
}

#[test]
fn what_a_trace_may_be_is_bounded_and_permitted() {
    in_world(async |world| {
        let own = "0".repeat(64);
        for (input, good) in [
            (json!({"clientId": "c", "principals": [own]}), false),
            (json!({}), false),
            (json!({"principals": ["no-certificate"]}), false),
            (json!({"principals": []}), false),
            (json!({"principals": vec![&own; 11]}), false),
            (
                json!({"principals": [format!("arn:aws:iot:us-east-1:1:cert/{own}")]}),
                true,
            ),
            (json!({"clientId": "c", "payloadBytes": 4097}), false),
            (json!({"clientId": "c", "payloadBytes": 4096}), true),
            (json!({"clientId": "c", "durationSeconds": 0}), false),
            (json!({"clientId": "c", "durationSeconds": 3601}), false),
            (json!({"clientId": "c", "durationSeconds": 3600}), true),
        ] {
            let started = world.call("palisade", "StartTrace", input.clone()).await;
            assert_eq!(started.is_ok(), good, "{input}: {started:?}");
        }
        let id = start_trace(world, json!({"clientId": "c"})).await;
        let input = json!({"traceId": id, "waitSeconds": 21});
        assert!(
            world
                .call("palisade", "GetTraceRecords", input)
                .await
                .is_err()
        );

        let one_client = r#"[{"Effect":"Allow","Action":"palisade:StartTrace",
            "Resource":"arn:aws:iot:us-east-1:111122223333:client/c"}]"#;
        for (input, good) in [
            (json!({"clientId": "c"}), true),
            (json!({"clientId": "d"}), false),
            // A principal may use any client id.
            (json!({"principals": [own]}), false),
            // Payloads are a permission of their own.
            (json!({"clientId": "c", "payloadBytes": 1}), false),
        ] {
            let started = world.call_as(one_client, "palisade", "StartTrace", input.clone());
            assert_eq!(started.await.is_ok(), good, "{input}");
        }
    });
}
