//! Devices with certificates, over HTTPS.

use gateway::OwnedResource;
use policy::DeviceAction;

use crate::house::{ADMIN, ASK, Ask, Whom, each_house};

// tests aws-iot [EP-42] [13.3]
#[test]
fn a_certificate_is_judged_by_the_device_policy() {
    each_house(async |house| {
        let publish = Ask {
            key: "",
            service: "",
            method: "POST",
            path: "/topics/a%2Fb",
            body: b"x",
            peer: Whom::Device("a"),
            ..ASK
        };
        let answer = house.ask(publish).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let retained = Ask {
            query: "retain=true",
            ..publish
        };
        assert_eq!(house.ask(retained).await.status, 200);
        let topic = OwnedResource::Topic("a/b".to_owned());
        assert_eq!(
            *house.devices.asked.lock().unwrap(),
            [
                (DeviceAction::Publish, topic.clone()),
                (DeviceAction::Publish, topic.clone()),
                (DeviceAction::RetainPublish, topic),
            ]
        );
        let other = house
            .ask(Ask {
                peer: Whom::Device("b"),
                ..publish
            })
            .await;
        assert_eq!((other.status, other.code()), (403, "ForbiddenException"));
        // A certificate has no scope: the control plane's paths are unknown to it.
        for key in ["", ADMIN] {
            let control = Ask {
                key,
                peer: Whom::Device("a"),
                service: "iot",
                ..ASK
            };
            let answer = house.ask(control).await;
            assert_eq!(
                (answer.status, answer.code()),
                (404, "UnknownOperationException")
            );
        }
    });
}
