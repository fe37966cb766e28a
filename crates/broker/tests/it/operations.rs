//! The broker's operations, called through the gateway.

use model::ApiError;
use mqtt::Packet;
use mqtt::packet::Disconnect;
use serde_json::{Value, json};

use crate::client::{Client, V3, V5, clean, persistent, publish, with_will};
use crate::world::{ALL, in_world, policy};

#[track_caller]
fn check(answer: Result<Value, ApiError>, expected: &str) {
    let error = answer.expect_err("an error");
    assert_eq!(error.exception, expected, "{error}");
}

// tests aws-iot [EP-40], [EP-41], [EP-46], [MQ-54], [MQ-57]
#[test]
fn publish_reaches_subscribers_with_its_properties() {
    in_world(async |world| {
        let mut reader = Client::join(world, &world.device(ALL), clean(V5, "r")).await;
        reader.subscribe("a/#", 1).await;
        let input = json!({"topic": "a/b", "qos": 1, "payload": "eA==",
            "contentType": "text/plain", "messageExpiry": 60,
            "userProperties": r#"[{"k":"v"}]"#});
        world.call("iot-data", "Publish", input).await.unwrap();
        let Some(Packet::Publish(message)) = reader.next().await else {
            panic!("no message");
        };
        assert_eq!(&message.payload[..], b"x");
        assert_eq!(
            message.properties.content_type.as_deref(),
            Some("text/plain")
        );
        assert_eq!(message.properties.message_expiry_s, Some(60));
        assert_eq!(
            message.properties.user_properties,
            [("k".to_owned(), "v".to_owned())]
        );
        for (input, expected) in [
            (json!({"topic": "a/+"}), "InvalidRequestException"),
            (
                json!({"topic": "$aws/events/thing/t/created"}),
                "InvalidRequestException",
            ),
            (
                json!({"topic": "$aws/things/t/shadow/update", "retain": true}),
                "InvalidRequestException",
            ),
            (json!({"topic": "a", "qos": 2}), "InvalidRequestException"),
        ] {
            check(world.call("iot-data", "Publish", input).await, expected);
        }
        let may_publish = r#"[{"Effect":"Allow","Action":"iot:Publish","Resource":"*"}]"#;
        let retained = json!({"topic": "a", "retain": true, "payload": "eA=="});
        let refused = world
            .call_as(may_publish, "iot-data", "Publish", retained)
            .await;
        assert!(refused.is_err());
        let plain = json!({"topic": "b"});
        world
            .call_as(may_publish, "iot-data", "Publish", plain)
            .await
            .unwrap();
    });
}

// tests aws-iot [MQ-56]
#[test]
fn retained_messages_are_listed_and_read() {
    in_world(async |world| {
        for topic in ["c", "a", "b"] {
            let input = json!({"topic": topic, "qos": 1, "retain": true, "payload": "eHk=",
                "userProperties": r#"[{"k":"v"}]"#});
            world.call("iot-data", "Publish", input).await.unwrap();
        }
        let list = async |input: Value| {
            let page = world
                .call("iot-data", "ListRetainedMessages", input)
                .await
                .unwrap();
            let topics = page["retainedTopics"].as_array().unwrap().clone();
            let topics: Vec<String> = topics
                .iter()
                .map(|one| one["topic"].as_str().unwrap().to_owned())
                .collect();
            (topics, page["nextToken"].as_str().map(str::to_owned))
        };
        let (first, token) = list(json!({"maxResults": 2})).await;
        assert_eq!(first, ["a", "b"]);
        let (second, end) = list(json!({"maxResults": 2, "nextToken": token.unwrap()})).await;
        assert_eq!((second, end), (vec!["c".to_owned()], None));
        let forged = json!({"nextToken": "Zm9yZ2Vk"});
        check(
            world.call("iot-data", "ListRetainedMessages", forged).await,
            "InvalidRequestException",
        );
        let found = world
            .call("iot-data", "GetRetainedMessage", json!({"topic": "a"}))
            .await;
        let found = found.unwrap();
        assert_eq!(found["payload"], "eHk=");
        assert_eq!(found["qos"], 1);
        assert_eq!(
            found["lastModifiedTime"],
            world.storage.clock().now().millis()
        );
        assert_eq!(found["userProperties"], "W3siayI6InYifV0=");
        let missing = world
            .call("iot-data", "GetRetainedMessage", json!({"topic": "x"}))
            .await;
        check(missing, "ResourceNotFoundException");
    });
}

// tests aws-iot [2.11], [MQ-61], [MQ-95], [MQ-97]
#[test]
fn connections_are_described_and_deleted() {
    in_world(async |world| {
        let device = world.device(ALL);
        let mut watcher = Client::join(world, &device, clean(V5, "watcher")).await;
        watcher.subscribe("w", 0).await;
        let connect = with_will(persistent(V5, "c"), "w");
        let mut client = Client::join(world, &device, connect).await;
        for filter in ["b", "a/#"] {
            client.subscribe(filter, 1).await;
        }
        let ask = async |name: &str, input: Value| world.call("iot-data", name, input).await;
        let found = ask("GetConnection", json!({"clientId": "c"}))
            .await
            .unwrap();
        assert_eq!(found["connected"], true);
        assert_eq!(found["cleanSession"], false);
        assert_eq!(found["sessionExpiry"], 3600);
        assert_eq!(found.get("sourceIp"), None);
        let input = json!({"clientId": "c", "includeSocketInformation": true});
        let found = ask("GetConnection", input).await.unwrap();
        assert_eq!(found["sourceIp"], "127.0.0.1");
        assert_eq!(found["targetPort"], world.addresses.mqtt.port());
        check(
            ask("GetConnection", json!({"clientId": "x"})).await,
            "ResourceNotFoundException",
        );

        let input = json!({"clientId": "c", "maxResults": 1});
        let page = ask("ListSubscriptions", input).await.unwrap();
        assert_eq!(
            page["subscriptions"],
            json!([{"topicFilter": "a/#", "qos": 1}])
        );
        let input = json!({"clientId": "c", "nextToken": page["nextToken"]});
        let page = ask("ListSubscriptions", input).await.unwrap();
        assert_eq!(
            page["subscriptions"],
            json!([{"topicFilter": "b", "qos": 1}])
        );
        assert_eq!(page.get("nextToken"), None);
        let missing = ask("ListSubscriptions", json!({"clientId": "x"})).await;
        check(missing, "ResourceNotFoundException");

        ask("DeleteConnection", json!({"clientId": "c"}))
            .await
            .unwrap();
        assert_eq!(client.told().await, "DISCONNECT(0x98)");
        assert_eq!(watcher.told().await, "w=gone@0");
        let found = ask("GetConnection", json!({"clientId": "c"}))
            .await
            .unwrap();
        assert_eq!(found["connected"], false);
        assert_eq!(found["disconnectReason"], "API_INITIATED_DISCONNECT");
        let input = json!({"clientId": "c", "cleanSession": true});
        ask("DeleteConnection", input.clone()).await.unwrap();
        check(
            ask("DeleteConnection", input).await,
            "ResourceNotFoundException",
        );
        let connect = with_will(persistent(V5, "c"), "w");
        let mut client = Client::join(world, &device, connect).await;
        let input = json!({"clientId": "c", "preventWillMessage": true});
        ask("DeleteConnection", input).await.unwrap();
        assert_eq!(client.told().await, "DISCONNECT(0x98)");
        assert_eq!(watcher.told_so_far().await, [""; 0]);
    });
}

// tests aws-iot [MQ-96]
#[test]
fn direct_messages_are_confirmed() {
    in_world(async |world| {
        let lines = ["Allow Connect *", "Allow Receive topic/to/you"];
        let device = world.device(&policy(&lines));
        let mut client = Client::join(world, &device, clean(V5, "c")).await;
        let send = async |input: Value| world.call("iot-data", "SendDirectMessage", input).await;
        let direct = |client_id: &str, topic: &str, confirmation: bool| {
            json!({"clientId": client_id, "topic": topic, "payload": "eA==",
                "confirmation": confirmation, "timeout": 1})
        };
        let sent = send(direct("c", "to/you", false)).await.unwrap();
        assert_eq!(sent["message"], "OK");
        assert_eq!(client.told().await, "to/you=x@0");
        let (sent, ()) = tokio::join!(send(direct("c", "to/you", true)), async {
            assert_eq!(client.told().await, "to/you=x@1#1");
            client.acknowledge(1).await;
        });
        assert_eq!(sent.unwrap()["message"], "OK");
        // The acknowledgement that does not come is waited for one second.
        check(
            send(direct("c", "to/you", true)).await,
            "GatewayTimeoutException",
        );
        check(
            send(direct("c", "other", false)).await,
            "ForbiddenException",
        );
        check(
            send(direct("nobody", "to/you", false)).await,
            "ResourceNotFoundException",
        );
        let mut wrong = direct("c", "to/you", true);
        for timeout in [0, 16] {
            wrong["timeout"] = json!(timeout);
            check(send(wrong.clone()).await, "InvalidRequestException");
        }
        wrong["confirmation"] = json!(false);
        send(wrong).await.unwrap();
    });
}

#[test]
fn connections_and_their_history_are_listed() {
    in_world(async |world| {
        let device = world.device(ALL);
        let stranger = world.stranger();
        let mut first = Client::join(world, &device, clean(V3, "a")).await;
        let _second = Client::join(world, &device, persistent(V5, "b")).await;
        assert_eq!(
            Client::connect(world, &stranger, clean(V5, "s")).await.1,
            None
        );
        let ask =
            async |name: &str, input: Value| world.call("palisade", name, input).await.unwrap();
        let page = ask("ListConnections", json!({"maxResults": 1})).await;
        assert_eq!(page["connections"][0]["clientId"], "a");
        assert_eq!(page["connections"][0]["protocol"], "MQTT 3.1.1");
        assert_eq!(page["connections"][0]["tlsGroup"], "X25519MLKEM768");
        let token = page["nextToken"].clone();
        let page = ask("ListConnections", json!({"nextToken": token})).await;
        assert_eq!(page["connections"][0]["clientId"], "b");
        let nobody = ask(
            "ListConnections",
            json!({"principal": stranger.id.as_str()}),
        )
        .await;
        assert_eq!(nobody["connections"], json!([]));

        first.send(&Packet::Disconnect(Disconnect::default())).await;
        assert_eq!(first.next().await, None);
        // A publish that must survive comes back behind everything that was written before it.
        let mut kept = publish("a", "x", 1);
        kept.retain = true;
        let mut last = Client::join(world, &device, clean(V5, "last")).await;
        last.send(&Packet::Publish(kept)).await;
        assert_eq!(last.told().await, "PUBACK(1)");
        let principal = device.id.as_str();
        let page = ask("ListConnectionHistory", json!({"principal": principal})).await;
        let seen: Vec<(String, String)> = page["connections"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                let text = |name: &str| row[name].as_str().unwrap_or("-").to_owned();
                (text("clientId"), text("disconnectReason"))
            })
            .collect();
        assert_eq!(seen.len(), 3);
        assert!(seen.contains(&("a".to_owned(), "CLIENT_INITIATED_DISCONNECT".to_owned())));
        assert!(seen.contains(&("b".to_owned(), "-".to_owned())));
        let input = json!({"principal": stranger.id.as_str()});
        let refused = ask("ListConnectionHistory", input).await;
        assert_eq!(
            refused["connections"][0]["disconnectReason"],
            "CERTIFICATE_UNKNOWN"
        );
        assert_eq!(refused["connections"][0]["sourceAddress"], "127.0.0.1");
        assert_eq!(
            world
                .broker
                .reconcile(world.storage.clock().now())
                .await
                .unwrap(),
            0
        );
    });
}

#[test]
fn every_operation_is_refused_without_permission() {
    in_world(async |world| {
        for (service, name, input) in [
            ("iot-data", "Publish", json!({"topic": "a"})),
            ("iot-data", "GetRetainedMessage", json!({"topic": "a"})),
            ("iot-data", "ListRetainedMessages", json!({})),
            ("iot-data", "GetConnection", json!({"clientId": "c"})),
            ("iot-data", "DeleteConnection", json!({"clientId": "c"})),
            ("iot-data", "ListSubscriptions", json!({"clientId": "c"})),
            (
                "iot-data",
                "SendDirectMessage",
                json!({"clientId": "c", "topic": "a"}),
            ),
            ("palisade", "GetReceipt", json!({"sequence": 1})),
            ("palisade", "ListConnections", json!({})),
            ("palisade", "ListConnectionHistory", json!({})),
            ("palisade", "StartTrace", json!({"clientId": "c"})),
            (
                "palisade",
                "GetTraceRecords",
                json!({"traceId": "0".repeat(32)}),
            ),
            ("palisade", "StopTrace", json!({"traceId": "0".repeat(32)})),
            ("palisade", "ListTraces", json!({})),
            ("palisade", "DescribeConnection", json!({"clientId": "c"})),
            ("palisade", "ListSessions", json!({})),
            ("palisade", "DescribeSession", json!({"clientId": "c"})),
            ("palisade", "SearchSubscriptions", json!({})),
            ("palisade", "SearchRetainedMessages", json!({})),
            ("palisade", "DeleteRetainedMessage", json!({"topic": "t"})),
        ] {
            let other = r#"[{"Effect":"Allow","Action":"iot:DescribeThing","Resource":"*"}]"#;
            let refused = world.call_as(other, service, name, input).await;
            let error = refused.expect_err(name);
            assert_eq!(error.kind, model::ErrorKind::Forbidden, "{name}: {error}");
        }
        assert!(world.denials.lost() == 0);
    });
}
