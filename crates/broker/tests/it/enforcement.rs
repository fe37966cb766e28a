//! Policies at the door.

use mqtt::ReasonCode;
use serde_json::json;

use crate::client::{Client, V3, V5, clean};
use crate::world::{ALL, in_world, policy, record};

// tests aws-iot [PL-10], [MQ-31], [MQ-43]
#[test]
fn each_step_is_judged_and_a_denial_says_why() {
    in_world(async |world| {
        let lines = [
            "Allow Connect client/d",
            "Allow Publish topic/d/*",
            "Allow Subscribe topicfilter/d/*",
            "Allow Receive topic/d/*",
            "Deny Receive topic/d/secret",
        ];
        let device = world.device(&policy(&lines));
        let (_, refused) = Client::connect(world, &device, clean(V5, "other")).await;
        assert_eq!(refused, Some((ReasonCode::NotAuthorized, false)));
        let (_, refused) = Client::connect(world, &device, clean(V3, "other")).await;
        assert_eq!(refused, Some((ReasonCode::NotAuthorized, false)));

        let mut client = Client::join(world, &device, clean(V5, "d")).await;
        assert_eq!(client.subscribe("d/#", 1).await, "SUBACK(0x01)");
        assert_eq!(client.subscribe("other/#", 1).await, "SUBACK(0x87)");
        client.publish("other", "x", 1).await;
        let Some(mqtt::Packet::PubAck(ack)) = client.next().await else {
            panic!("no PUBACK");
        };
        assert_eq!(ack.reason, ReasonCode::NotAuthorized);
        let text = ack.properties.reason_string.unwrap();
        let denial_id = text.strip_prefix("not authorized; denial id ").unwrap();
        let input = json!({ "denialId": denial_id });
        let denial = world.call("palisade", "GetDenial", input).await.unwrap();
        assert_eq!(denial["denial"]["action"], "iot:Publish");
        assert_eq!(denial["denial"]["clientId"], "d");
        assert_eq!(
            denial["denial"]["resource"],
            "arn:aws:iot:us-east-1:111122223333:topic/other"
        );
        for topic in ["d/open", "d/secret", "d/open"] {
            client.publish(topic, "x", 0).await;
        }
        assert_eq!(client.told_so_far().await, ["d/open=x@0", "d/open=x@0"]);

        let mut older = Client::join(world, &device, clean(V3, "d")).await;
        assert_eq!(client.told().await, "DISCONNECT(0x8e)");
        older.publish("other", "x", 1).await;
        assert_eq!(older.told().await, "closed");
    });
}

#[test]
fn nothing_is_remembered_from_one_connection_to_the_next() {
    in_world(async |world| {
        let device = world.device(ALL);
        let client = Client::join(world, &device, clean(V5, "d")).await;
        client.leave().await;
        world.put(&device, record(&policy(&["Allow Publish *"])));
        let sequence = world.changed("policy", "own").await;
        world.receipt(sequence).await;
        let (_, refused) = Client::connect(world, &device, clean(V5, "d")).await;
        assert_eq!(refused, Some((ReasonCode::NotAuthorized, false)));
    });
}
