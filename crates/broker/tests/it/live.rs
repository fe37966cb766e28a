//! What an operator sees of live things, asked through the gateway.

use mqtt::Packet;
use pki::tls::SecurityPolicy;
use rustls::HandshakeKind;
use serde_json::{Value, json};

use crate::client::{Client, V5, clean, persistent, publish};
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

// tests aws-iot [EP-10], [EP-14]
#[test]
fn a_client_of_tls_1_2_is_served_and_never_resumes() {
    in_world(async |world| {
        let device = world.device(ALL);
        let config = world.tls_of(Some(&device), &[], SecurityPolicy::Tls12);
        for client_id in ["first", "again"] {
            let connect = clean(V5, client_id);
            let joined = Client::connect_with(world.addresses.mqtt, config.clone(), connect).await;
            let mut client = joined.0.unwrap();
            client.subscribe("a", 1).await;
            let input = json!({"clientId": client_id});
            let found = world.call("palisade", "ListConnections", input).await;
            let found = found.unwrap();
            let found = only(&found["connections"]);
            assert_eq!(found["tlsVersion"], "TLSv1_2");
            assert_eq!(found["tlsGroup"], "X25519");
            assert_eq!(found["tlsResumed"], false);
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

/// Every item of a list, one to a page.
async fn each(world: &World, operation: &str, mut input: Value, member: &str) -> Vec<Value> {
    let mut items = Vec::new();
    input["maxResults"] = json!(1);
    loop {
        let page = world
            .call("palisade", operation, input.clone())
            .await
            .unwrap();
        items.extend(page[member].as_array().unwrap().clone());
        match page.get("nextToken") {
            Some(token) => input["nextToken"] = token.clone(),
            None => return items,
        }
    }
}

fn texts(items: &[Value], member: &str) -> Vec<String> {
    let text = |item: &Value| item[member].as_str().unwrap().to_owned();
    items.iter().map(text).collect()
}

#[test]
fn lists_are_paged_and_filtered() {
    in_world(async |world| {
        let device = world.device(ALL);
        let mut first = Client::join(world, &device, clean(V5, "a/1")).await;
        let mut second = Client::join(world, &device, persistent(V5, "b")).await;
        for filter in ["t/+", "u"] {
            first.subscribe(filter, 1).await;
            second.subscribe(filter, 0).await;
        }
        drop(second);
        let away = json!({"connected": false});
        while each(world, "ListSessions", away.clone(), "sessions")
            .await
            .is_empty()
        {}
        let ids = |items: &[Value]| texts(items, "clientId");
        let sessions = each(world, "ListSessions", json!({}), "sessions").await;
        assert_eq!(ids(&sessions), ["a/1", "b"]);
        let live = json!({"connected": true, "clientIdPrefix": "a"});
        let live = each(world, "ListConnections", live, "connections").await;
        assert_eq!(ids(&live), ["a/1"]);
        let all = each(world, "SearchSubscriptions", json!({}), "subscriptions").await;
        assert_eq!(ids(&all), ["a/1", "a/1", "b", "b"]);
        assert_eq!(texts(&all, "topicFilter"), ["t/+", "u", "t/+", "u"]);
        let on = each(
            world,
            "SearchSubscriptions",
            json!({"topic": "t/1"}),
            "subscriptions",
        );
        let on = on.await;
        assert_eq!(ids(&on), ["a/1", "b"]);
        assert_eq!(on[0]["mayReceive"], true);
        assert_eq!(on[1].get("mayReceive"), None);
        let described = world.call("palisade", "DescribeConnection", json!({"clientId": "a/1"}));
        let described = described.await.unwrap();
        assert_eq!(
            described["connection"]["targetPort"],
            world.addresses.mqtt.port()
        );
        assert_eq!(described["connection"]["policies"][0]["policyName"], "own");
    });
}

#[test]
fn what_is_not_there_or_not_well_asked_is_refused() {
    in_world(async |world| {
        for (operation, input, expected) in [
            (
                "DescribeConnection",
                json!({"clientId": "b"}),
                "ResourceNotFoundException",
            ),
            (
                "DescribeSession",
                json!({"clientId": "x"}),
                "ResourceNotFoundException",
            ),
            (
                "DeleteRetainedMessage",
                json!({"topic": "x"}),
                "ResourceNotFoundException",
            ),
            (
                "DeleteRetainedMessage",
                json!({"topic": "x/#"}),
                "InvalidRequestException",
            ),
            (
                "SearchSubscriptions",
                json!({"topic": "x/#"}),
                "InvalidRequestException",
            ),
            (
                "ListSessions",
                json!({"maxResults": 251}),
                "InvalidRequestException",
            ),
            (
                "ListSessions",
                json!({"nextToken": "forged"}),
                "InvalidRequestException",
            ),
        ] {
            let refused = world.call("palisade", operation, input.clone()).await;
            assert_eq!(
                refused.unwrap_err().exception,
                expected,
                "{operation} {input}"
            );
        }
    });
}
