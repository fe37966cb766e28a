//! Attributes that go with messages, as a registry knows them now.

use std::collections::BTreeMap;

use broker::{DeviceRecord, PropagatedSource, PropagatingAttribute};
use mqtt::Packet;

use crate::client::{Client, V5, clean};
use crate::world::{ALL, grouped, in_world};

/// Thing `pump`, of type `pumps` where that adds `key` from its attribute `site`.
fn pump(site: &str, key: &str) -> DeviceRecord {
    let mut record = grouped(ALL, "pump", None);
    let pump = &mut record.facts.things[0];
    pump.thing_type = Some("pumps".to_owned());
    pump.attributes = BTreeMap::from([("site".to_owned(), site.to_owned())]);
    let attribute = PropagatingAttribute {
        key: key.to_owned(),
        source: PropagatedSource::ThingAttribute("site".to_owned()),
    };
    record.propagating = BTreeMap::from([("pumps".to_owned(), vec![attribute])]);
    record
}

// tests aws-iot [MQ-90], [MQ-91]
#[test]
fn what_goes_with_messages_follows_the_thing_and_its_type() {
    in_world(async |world| {
        let mut reader = Client::join(world, &world.device(ALL), clean(V5, "reader")).await;
        reader.subscribe("a", 0).await;
        let device = world.stranger();
        world.put(&device, pump("north", "site"));
        let mut sender = Client::join(world, &device, clean(V5, "pump")).await;
        for (change, record, expected) in [
            (None, pump("north", "site"), ("site", "north")),
            (
                Some(("thing", "pump")),
                pump("south", "site"),
                ("site", "south"),
            ),
            (
                Some(("thing-type", "pumps")),
                pump("south", "s"),
                ("s", "south"),
            ),
        ] {
            world.put(&device, record);
            if let Some((topic, key)) = change {
                let sequence = world.changed(topic, key).await;
                world.receipt(sequence).await;
            }
            sender.publish("a", "x", 0).await;
            let Some(Packet::Publish(message)) = reader.next().await else {
                panic!("no message");
            };
            let (key, value) = expected;
            let carried = message.properties.user_properties;
            assert_eq!(carried, [(key.to_owned(), value.to_owned())]);
        }
    });
}
