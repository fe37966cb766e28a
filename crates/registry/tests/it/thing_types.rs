use model::Profile;
use registry::{PropagatedValue, PropagatingAttribute};
use serde_json::{Value, json};

use crate::world::{World, arn, each, each_standard};

fn describe(world: &World, name: &str) -> Value {
    world.ok("DescribeThingType", json!({"thingTypeName": name}))
}

// tests aws-iot [RG-20] [RG-21]
#[test]
fn is_described_as_created_and_updated() {
    each_standard(|world| {
        let full = json!({
            "thingTypeDescription": "moves water",
            "searchableAttributes": ["site", "line", "model"],
            "mqtt5Configuration": {"propagatingAttributes": [
                {"userPropertyKey": "site", "thingAttribute": "site"},
                {"userPropertyKey": "id", "connectionAttribute": "iot:ClientId"},
                {"userPropertyKey": "thing", "connectionAttribute": "iot:Thing.ThingName"},
            ]},
        });
        let created = world.ok(
            "CreateThingType",
            json!({"thingTypeName": "pump", "thingTypeProperties": full}),
        );
        assert_eq!(created["thingTypeArn"], arn("thingtype/pump"));
        let found = describe(world, "pump");
        assert_eq!(found["thingTypeId"], created["thingTypeId"]);
        assert_eq!(found["thingTypeProperties"], full);
        let creation = testkit::START.epoch_seconds();
        let metadata = json!({"deprecated": false, "creationDate": creation});
        assert_eq!(found["thingTypeMetadata"], metadata);

        let update = |properties: Value| {
            let input = json!({"thingTypeName": "pump", "thingTypeProperties": properties});
            assert_eq!(world.ok("UpdateThingType", input), json!({}));
            describe(world, "pump")["thingTypeProperties"].clone()
        };
        let mut expected = full;
        expected["thingTypeDescription"] = json!("");
        assert_eq!(update(json!({"thingTypeDescription": ""})), expected);
        expected["searchableAttributes"] = json!([]);
        assert_eq!(update(json!({"searchableAttributes": []})), expected);
        assert_eq!(update(json!({})), expected);
        expected
            .as_object_mut()
            .unwrap()
            .remove("mqtt5Configuration");
        let none = json!({"mqtt5Configuration": {"propagatingAttributes": []}});
        assert_eq!(update(none), expected);

        let again = json!({"thingTypeName": "pump"});
        let error = world.fails("CreateThingType", again, "ResourceAlreadyExistsException");
        assert_eq!(error.members[1].1, arn("thingtype/pump"));
        for operation in ["DescribeThingType", "UpdateThingType", "DeprecateThingType"] {
            let input = json!({"thingTypeName": "none"});
            world.fails(operation, input, "ResourceNotFoundException");
        }
    });
}

// tests aws-iot [RG-20] [MQ-90]
#[test]
fn properties_are_checked() {
    each_standard(|world| {
        world.ok("CreateThingType", json!({"thingTypeName": "pump"}));
        let propagating =
            |list: Value| json!({"mqtt5Configuration": {"propagatingAttributes": list}});
        let many = |count: usize| {
            let one =
                |index| json!({"userPropertyKey": format!("k{index}"), "thingAttribute": "a"});
            propagating((0..count).map(one).collect())
        };
        for properties in [
            json!({"searchableAttributes": ["a", "b", "c", "d"]}),
            propagating(json!([{"thingAttribute": "a"}])),
            propagating(json!([{"userPropertyKey": "a"}])),
            propagating(json!([{"userPropertyKey": "a", "connectionAttribute": "iot:Other"}])),
            propagating(json!([{
                "userPropertyKey": "a", "thingAttribute": "a",
                "connectionAttribute": "iot:ClientId",
            }])),
            many(51),
        ] {
            let new = json!({"thingTypeName": "new", "thingTypeProperties": properties});
            world.fails("CreateThingType", new, "InvalidRequestException");
            let old = json!({"thingTypeName": "pump", "thingTypeProperties": properties});
            world.fails("UpdateThingType", old, "InvalidRequestException");
        }
        let full = json!({"thingTypeName": "pump", "thingTypeProperties": many(50)});
        world.ok("UpdateThingType", full);
    });
}

// tests aws-iot [RG-22] [RG-23]
#[test]
fn is_deprecated_and_then_deleted() {
    for (profile, wait) in [(Profile::Standard, 0), (Profile::Aws, 5 * 60)] {
        each(profile, |world| {
            let pump = json!({"thingTypeName": "pump"});
            world.ok("CreateThingType", pump.clone());
            world.ok(
                "CreateThing",
                json!({"thingName": "t", "thingTypeName": "pump"}),
            );
            world.fails("DeleteThingType", pump.clone(), "InvalidRequestException");

            world.pass(10);
            world.ok("DeprecateThingType", pump.clone());
            let deprecated = describe(world, "pump")["thingTypeMetadata"].clone();
            assert_eq!(deprecated["deprecated"], true);
            let at = deprecated["deprecationDate"].as_f64().unwrap();
            assert_eq!(at, deprecated["creationDate"].as_f64().unwrap() + 10.0);
            world.pass(10);
            world.ok("DeprecateThingType", pump.clone());
            assert_eq!(describe(world, "pump")["thingTypeMetadata"], deprecated);
            let undo = json!({"thingTypeName": "pump", "undoDeprecate": true});
            world.ok("DeprecateThingType", undo);
            let metadata = describe(world, "pump")["thingTypeMetadata"].clone();
            assert_eq!(metadata["deprecated"], false);
            assert!(metadata.get("deprecationDate").is_none());

            world.ok("DeprecateThingType", pump.clone());
            world.pass(wait);
            world.fails("DeleteThingType", pump.clone(), "InvalidRequestException");
            world.ok(
                "UpdateThing",
                json!({"thingName": "t", "removeThingType": true}),
            );
            world.ok("DeleteThingType", pump.clone());
            world.fails("DeleteThingType", pump.clone(), "ResourceNotFoundException");

            world.ok("CreateThingType", pump.clone());
            world.ok("DeprecateThingType", pump.clone());
            if 0 < wait {
                world.pass(wait - 1);
                world.fails("DeleteThingType", pump.clone(), "InvalidRequestException");
                world.pass(1);
            }
            world.ok("DeleteThingType", pump);
        });
    }
}

#[test]
fn lists_all_or_the_one_named() {
    each_standard(|world| {
        for name in ["a", "b", "c"] {
            world.ok("CreateThingType", json!({"thingTypeName": name}));
        }
        let list = |filter: Value| {
            let found = world.scan("ListThingTypes", &filter, "thingTypes", 2, || ());
            let shown = |item: &Value| item["thingTypeName"].as_str().unwrap().to_owned();
            found.iter().map(shown).collect::<Vec<_>>()
        };
        assert_eq!(list(json!({})), ["a", "b", "c"]);
        assert_eq!(list(json!({"thingTypeName": "b"})), ["b"]);
        assert!(list(json!({"thingTypeName": "none"})).is_empty());
        let mut item = world.ok("ListThingTypes", json!({}))["thingTypes"][0].clone();
        assert!(item.get("thingTypeId").is_none());
        item["thingTypeId"] = describe(world, "a")["thingTypeId"].clone();
        assert_eq!(item, describe(world, "a"));
    });
}

// tests aws-iot [MQ-90]
#[test]
fn the_broker_reads_what_to_propagate() {
    each_standard(|world| {
        let attributes = json!([
            {"userPropertyKey": "site", "thingAttribute": "where"},
            {"userPropertyKey": "id", "connectionAttribute": "iot:ClientId"},
        ]);
        let properties = json!({"mqtt5Configuration": {"propagatingAttributes": attributes}});
        let input = json!({"thingTypeName": "pump", "thingTypeProperties": properties});
        world.ok("CreateThingType", input);
        let read = |name: &'static str| {
            let read = move |tx: &mut storage::Tx<'_>| registry::propagating_attributes(tx, name);
            world.storage.read_blocking(read).unwrap()
        };
        let one = |key: &str, value| PropagatingAttribute {
            user_property_key: key.to_owned(),
            value,
        };
        let site = one("site", PropagatedValue::ThingAttribute("where".to_owned()));
        assert_eq!(read("pump"), [site, one("id", PropagatedValue::ClientId)]);
        assert_eq!(read("none"), []);
    });
}
