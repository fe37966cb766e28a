use model::Profile;
use serde_json::{Value, json};

use crate::world::{World, arn, certificate, column, each, each_standard};

fn attributes(count: usize) -> Value {
    (0..count)
        .map(|index| (format!("a{index}"), json!("x")))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn create(world: &World, name: &str, attributes: Value) {
    world.ok(
        "CreateThing",
        json!({"thingName": name, "attributePayload": {"attributes": attributes}}),
    );
}

// tests aws-iot [RG-3]
#[test]
fn is_described_as_it_was_created() {
    each_standard(|world| {
        world.ok("CreateThingType", json!({"thingTypeName": "pump"}));
        world.ok("CreateBillingGroup", json!({"billingGroupName": "hall"}));
        let created = world.ok(
            "CreateThing",
            json!({
                "thingName": "p:1", "thingTypeName": "pump", "billingGroupName": "hall",
                "attributePayload": {"attributes": {"site": "north", "empty": ""}},
            }),
        );
        assert_eq!(created["thingArn"], arn("thing/p:1"));
        let expected = json!({
            "defaultClientId": "p:1", "thingName": "p:1", "thingId": created["thingId"],
            "thingArn": arn("thing/p:1"), "thingTypeName": "pump",
            "attributes": {"site": "north"}, "version": 1, "billingGroupName": "hall",
        });
        assert_eq!(
            world.ok("DescribeThing", json!({"thingName": "p:1"})),
            expected
        );

        create(world, "bare", json!({}));
        let bare = world.ok("DescribeThing", json!({"thingName": "bare"}));
        assert_eq!(bare["attributes"], json!({}));
        assert!(bare.get("thingTypeName").is_none() && bare.get("billingGroupName").is_none());
        world.fails(
            "DescribeThing",
            json!({"thingName": "p"}),
            "ResourceNotFoundException",
        );

        world.ok("DeleteThing", json!({"thingName": "p:1"}));
        create(world, "p:1", json!({}));
        let again = world.ok("DescribeThing", json!({"thingName": "p:1"}));
        assert_ne!(again["thingId"], created["thingId"]);
    });
}

#[test]
fn creating_again_succeeds_for_the_same_configuration_only() {
    each_standard(|world| {
        for name in ["pump", "valve", "old"] {
            world.ok("CreateThingType", json!({"thingTypeName": name}));
        }
        world.ok("DeprecateThingType", json!({"thingTypeName": "old"}));
        world.ok("CreateBillingGroup", json!({"billingGroupName": "hall"}));
        let same = json!({
            "thingName": "t", "thingTypeName": "pump",
            "attributePayload": {"attributes": {"site": "north"}},
        });
        let first = world.ok("CreateThing", same.clone());
        assert_eq!(world.ok("CreateThing", same.clone()), first);

        for (member, value) in [
            ("thingTypeName", json!("valve")),
            ("thingTypeName", Value::Null),
            ("billingGroupName", json!("hall")),
            ("attributePayload", json!({"attributes": {"site": "south"}})),
            ("attributePayload", Value::Null),
        ] {
            let mut other = same.clone();
            other[member] = value;
            let error = world.fails("CreateThing", other, "ResourceAlreadyExistsException");
            let members = [
                ("resourceId", "t".to_owned()),
                ("resourceArn", arn("thing/t")),
            ];
            assert_eq!(error.members, members);
        }
        for (member, value, exception) in [
            ("thingTypeName", "none", "ResourceNotFoundException"),
            ("thingTypeName", "old", "InvalidRequestException"),
            ("billingGroupName", "none", "ResourceNotFoundException"),
        ] {
            world.fails(
                "CreateThing",
                json!({"thingName": "n", member: value}),
                exception,
            );
        }
    });
}

// tests aws-iot [RG-2]
#[test]
fn attributes_are_bounded_by_profile_and_type() {
    for (profile, untyped) in [(Profile::Standard, 50), (Profile::Aws, 3)] {
        each(profile, |world| {
            world.ok("CreateThingType", json!({"thingTypeName": "pump"}));
            for (name, thing_type, max) in [("u", Value::Null, untyped), ("t", json!("pump"), 50)] {
                let input = |count| {
                    json!({
                        "thingName": name, "thingTypeName": thing_type,
                        "attributePayload": {"attributes": attributes(count)},
                    })
                };
                world.fails("CreateThing", input(max + 1), "InvalidRequestException");
                world.ok("CreateThing", input(max));
                let more = json!({
                    "thingName": name,
                    "attributePayload": {"attributes": {"more": "x"}, "merge": true},
                });
                world.fails("UpdateThing", more, "InvalidRequestException");
            }
            let untype = json!({"thingName": "t", "removeThingType": true});
            if untyped == 50 {
                world.ok("UpdateThing", untype);
            } else {
                world.fails("UpdateThing", untype, "InvalidRequestException");
            }
        });
    }
}

#[test]
fn is_updated() {
    each_standard(|world| {
        for name in ["pump", "old"] {
            world.ok("CreateThingType", json!({"thingTypeName": name}));
        }
        create(world, "t", json!({"site": "north", "line": "4"}));
        create(world, "dated", json!({}));
        world.ok(
            "UpdateThing",
            json!({"thingName": "dated", "thingTypeName": "old"}),
        );
        world.ok("DeprecateThingType", json!({"thingTypeName": "old"}));

        let mut version = 1;
        let mut check = |change: Value, attributes: Value, thing_type: Option<&str>| {
            let mut input = json!({"thingName": "t", "expectedVersion": version});
            for (member, value) in change.as_object().unwrap() {
                input[member] = value.clone();
            }
            assert_eq!(world.ok("UpdateThing", input), json!({}));
            version += 1;
            let found = world.ok("DescribeThing", json!({"thingName": "t"}));
            assert_eq!(found["version"], version);
            assert_eq!(found["attributes"], attributes, "{change}");
            assert_eq!(
                found.get("thingTypeName").and_then(Value::as_str),
                thing_type
            );
        };
        let north = json!({"site": "north", "line": "4"});
        check(json!({}), north.clone(), None);
        check(json!({"thingTypeName": "pump"}), north, Some("pump"));
        let merge = json!({"attributes": {"site": "south", "line": ""}, "merge": true});
        check(
            json!({"attributePayload": merge}),
            json!({"site": "south"}),
            Some("pump"),
        );
        let replace = json!({"attributes": {"line": "5"}});
        check(
            json!({"attributePayload": replace}),
            json!({"line": "5"}),
            Some("pump"),
        );
        check(json!({"removeThingType": true}), json!({"line": "5"}), None);
        let clear = json!({"attributes": {}});
        check(json!({"attributePayload": clear}), json!({}), None);

        // What is deprecated stays where it is and goes nowhere else.
        world.ok(
            "UpdateThing",
            json!({"thingName": "dated", "thingTypeName": "old"}),
        );
        for (change, exception) in [
            (json!({"thingTypeName": "old"}), "InvalidRequestException"),
            (
                json!({"thingTypeName": "none"}),
                "ResourceNotFoundException",
            ),
            (
                json!({"thingTypeName": "pump", "removeThingType": true}),
                "InvalidRequestException",
            ),
            (json!({"expectedVersion": 1}), "VersionConflictException"),
            (json!({"expectedVersion": 8}), "VersionConflictException"),
            (json!({"thingName": "none"}), "ResourceNotFoundException"),
        ] {
            let mut input = json!({"thingName": "t"});
            for (member, value) in change.as_object().unwrap() {
                input[member] = value.clone();
            }
            world.fails("UpdateThing", input, exception);
        }
    });
}

#[test]
fn is_deleted_when_nothing_is_attached() {
    each_standard(|world| {
        create(world, "t", json!({"site": "north"}));
        world.ok("CreateThingGroup", json!({"thingGroupName": "g"}));
        let member = json!({"thingName": "t", "thingGroupName": "g"});
        world.ok("AddThingToThingGroup", member);
        let attachment = json!({"thingName": "t", "principal": certificate('a')});
        world.ok("AttachThingPrincipal", attachment.clone());

        let stale = json!({"thingName": "t", "expectedVersion": 2});
        world.fails("DeleteThing", stale, "VersionConflictException");
        let delete = json!({"thingName": "t", "expectedVersion": 1});
        world.fails("DeleteThing", delete.clone(), "InvalidRequestException");
        world.ok("DetachThingPrincipal", attachment);
        assert_eq!(world.ok("DeleteThing", delete.clone()), json!({}));
        world.fails(
            "DescribeThing",
            json!({"thingName": "t"}),
            "ResourceNotFoundException",
        );
        let members = world.ok("ListThingsInThingGroup", json!({"thingGroupName": "g"}));
        assert_eq!(members["things"], json!([]));
        let north = json!({"attributeName": "site", "attributeValue": "north"});
        assert_eq!(world.ok("ListThings", north)["things"], json!([]));

        // Deleting nothing succeeds, whatever version is expected of it.
        assert_eq!(world.ok("DeleteThing", delete), json!({}));
    });
}

#[test]
fn lists_are_filtered() {
    each_standard(|world| {
        world.ok("CreateThingType", json!({"thingTypeName": "pump"}));
        for (name, site, typed) in [
            ("a", "north-1", true),
            ("b", "north-2", false),
            ("c", "north", true),
            ("d", "south", true),
        ] {
            create(world, name, json!({"site": site}));
            if typed {
                world.ok(
                    "UpdateThing",
                    json!({"thingName": name, "thingTypeName": "pump"}),
                );
            }
        }
        create(world, "e", json!({"other": "north"}));

        let check = |filter: Value, expected: &[&str]| {
            for size in [1, 2, 250] {
                let found = world.scan("ListThings", &filter, "things", size, || ());
                let mut names = column(&found, "thingName");
                names.sort();
                assert_eq!(names, expected, "{filter} by {size}");
            }
        };
        check(json!({}), &["a", "b", "c", "d", "e"]);
        check(json!({"thingTypeName": "pump"}), &["a", "c", "d"]);
        check(json!({"thingTypeName": "none"}), &[]);
        let north = json!({"attributeName": "site", "attributeValue": "north"});
        check(north.clone(), &["c"]);
        let mut prefix = north.clone();
        prefix["usePrefixAttributeValue"] = json!(true);
        check(prefix.clone(), &["a", "b", "c"]);
        prefix["thingTypeName"] = json!("pump");
        check(prefix.clone(), &["a", "c"]);
        prefix["attributeValue"] = json!("");
        check(prefix, &["a", "c", "d"]);
        check(
            json!({"attributeName": "none", "attributeValue": "north"}),
            &[],
        );

        for filter in [
            json!({"attributeName": "site"}),
            json!({"attributeValue": "north"}),
            json!({"usePrefixAttributeValue": true}),
            json!({"attributeName": "site", "usePrefixAttributeValue": true}),
            json!({"maxResults": 251}),
            json!({"maxResults": 0}),
        ] {
            world.fails("ListThings", filter, "InvalidRequestException");
        }
        let found = world.ok("ListThings", json!({"maxResults": 1}))["things"][0].clone();
        let expected = json!({
            "thingName": "a", "thingTypeName": "pump", "thingArn": arn("thing/a"),
            "attributes": {"site": "north-1"}, "version": 2,
        });
        assert_eq!(found, expected);
    });
}

// tests aws-iot [RG-11]
#[test]
fn a_scan_loses_nothing_that_stays() {
    each_standard(|world| {
        let names: Vec<String> = (0..7).map(|index| format!("m{index}")).collect();
        for name in &names {
            create(world, name, json!({"site": "north"}));
        }
        for (round, filter) in [
            json!({}),
            json!({"attributeName": "site", "attributeValue": "north"}),
            json!({
                "attributeName": "site", "attributeValue": "n", "usePrefixAttributeValue": true,
            }),
        ]
        .into_iter()
        .enumerate()
        {
            let found = world.scan("ListThings", &filter, "things", 2, || {
                for before in ["a", "m", "m00"] {
                    create(
                        world,
                        &format!("{before}{round}x"),
                        json!({"site": "nadir"}),
                    );
                }
            });
            let found = column(&found, "thingName");
            for name in &names {
                let times = found.iter().filter(|other| *other == name).count();
                assert_eq!(times, 1, "{name} {filter}");
            }
        }
    });
}

// tests aws-iot [RG-11] [HT-30]
#[test]
fn a_token_belongs_to_its_list() {
    each_standard(|world| {
        for name in ["a", "b", "c"] {
            create(world, name, json!({"site": "north"}));
        }
        let page = world.ok("ListThings", json!({"maxResults": 1}));
        let token = page["nextToken"].as_str().unwrap();
        world.ok("ListThings", json!({"nextToken": token, "maxResults": 2}));
        let flipped = if token.starts_with('A') { "B" } else { "A" };
        for input in [
            json!({"nextToken": format!("{flipped}{}", &token[1..])}),
            json!({"nextToken": &token[4..]}),
            json!({"nextToken": "no token"}),
            json!({"nextToken": ""}),
            json!({"nextToken": token, "thingTypeName": "pump"}),
            json!({"nextToken": token, "attributeName": "site", "attributeValue": "north"}),
        ] {
            world.fails("ListThings", input, "InvalidRequestException");
        }
        let other = json!({"nextToken": token});
        world.fails("ListThingTypes", other, "InvalidRequestException");
    });
}
