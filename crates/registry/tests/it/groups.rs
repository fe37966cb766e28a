use model::{ErrorKind, Profile};
use serde_json::{Value, json};

use crate::world::{World, all_but, arn, caller, column, document, each, each_standard};

pub(crate) fn create(world: &World, name: &str, parent: Option<&str>) {
    world.ok(
        "CreateThingGroup",
        json!({"thingGroupName": name, "parentGroupName": parent}),
    );
}

// tests aws-iot [RG-35] [RG-37]
#[test]
fn is_described_as_created_and_updated() {
    each_standard(|world| {
        create(world, "site", None);
        create(world, "hall", Some("site"));
        let created = world.ok(
            "CreateThingGroup",
            json!({
                "thingGroupName": "pumps", "parentGroupName": "hall",
                "thingGroupProperties": {
                    "thingGroupDescription": "in hall 1",
                    "attributePayload": {"attributes": {"a": "1", "b": "2"}},
                },
            }),
        );
        assert_eq!(created["thingGroupArn"], arn("thinggroup/pumps"));
        let pumps = json!({"thingGroupName": "pumps"});
        let found = world.ok("DescribeThingGroup", pumps.clone());
        let above =
            |name: &str| json!({"groupName": name, "groupArn": arn(&format!("thinggroup/{name}"))});
        let expected = json!({
            "thingGroupName": "pumps", "thingGroupId": created["thingGroupId"],
            "thingGroupArn": arn("thinggroup/pumps"), "version": 1,
            "thingGroupProperties": {
                "thingGroupDescription": "in hall 1",
                "attributePayload": {"attributes": {"a": "1", "b": "2"}},
            },
            "thingGroupMetadata": {
                "parentGroupName": "hall",
                "rootToParentThingGroups": [above("site"), above("hall")],
                "creationDate": testkit::START.epoch_seconds(),
            },
        });
        assert_eq!(found, expected);
        let root = world.ok("DescribeThingGroup", json!({"thingGroupName": "site"}));
        assert_eq!(
            root["thingGroupMetadata"]["rootToParentThingGroups"],
            json!([])
        );

        let update = |expected: Value, properties: Value| {
            json!({
                "thingGroupName": "pumps", "expectedVersion": expected,
                "thingGroupProperties": properties,
            })
        };
        let merge = json!({"attributes": {"a": "", "c": "3"}, "merge": true});
        let input = update(json!(1), json!({"attributePayload": merge}));
        assert_eq!(
            world.ok("UpdateThingGroup", input.clone()),
            json!({"version": 2})
        );
        world.fails("UpdateThingGroup", input, "VersionConflictException");
        let input = update(Value::Null, json!({"thingGroupDescription": "moved"}));
        assert_eq!(world.ok("UpdateThingGroup", input), json!({"version": 3}));
        let found = world.ok("DescribeThingGroup", pumps.clone());
        let properties = json!({
            "thingGroupDescription": "moved",
            "attributePayload": {"attributes": {"b": "2", "c": "3"}},
        });
        assert_eq!(found["thingGroupProperties"], properties);

        let error = world.fails("CreateThingGroup", pumps, "ResourceAlreadyExistsException");
        assert_eq!(error.members[0].1, "pumps");
        let none = json!({"thingGroupName": "none", "thingGroupProperties": {}});
        world.fails(
            "DescribeThingGroup",
            none.clone(),
            "ResourceNotFoundException",
        );
        world.fails("UpdateThingGroup", none, "ResourceNotFoundException");
        let orphan = json!({"thingGroupName": "x", "parentGroupName": "none"});
        world.fails("CreateThingGroup", orphan, "InvalidRequestException");
    });
}

#[test]
fn attributes_are_bounded() {
    each_standard(|world| {
        let payload = |count: usize| {
            let one = |index| (format!("a{index}"), json!("x"));
            let attributes: serde_json::Map<_, _> = (0..count).map(one).collect();
            json!({"attributePayload": {"attributes": attributes}})
        };
        let input = |count| json!({"thingGroupName": "g", "thingGroupProperties": payload(count)});
        world.fails("CreateThingGroup", input(51), "InvalidRequestException");
        world.ok("CreateThingGroup", input(50));
        world.fails("UpdateThingGroup", input(51), "InvalidRequestException");
    });
}

// tests aws-iot [RG-30]
#[test]
fn trees_are_bounded_in_depth_and_width() {
    for (profile, depth) in [(Profile::Aws, 7), (Profile::Standard, 16)] {
        each(profile, |world| {
            create(world, "g1", None);
            for level in 2..=depth {
                create(
                    world,
                    &format!("g{level}"),
                    Some(&format!("g{}", level - 1)),
                );
            }
            let deeper =
                json!({"thingGroupName": "deeper", "parentGroupName": format!("g{depth}")});
            world.fails("CreateThingGroup", deeper, "InvalidRequestException");
        });
    }
    each(Profile::Aws, |world| {
        create(world, "root", None);
        for index in 0..100 {
            create(world, &format!("c{index}"), Some("root"));
        }
        let wider = json!({"thingGroupName": "wider", "parentGroupName": "root"});
        world.fails("CreateThingGroup", wider, "InvalidRequestException");
    });
}

// tests aws-iot [RG-34]
#[test]
fn is_deleted_without_children() {
    each_standard(|world| {
        create(world, "site", None);
        create(world, "hall", Some("site"));
        world.ok("CreateThing", json!({"thingName": "t"}));
        world.ok(
            "AddThingToThingGroup",
            json!({"thingName": "t", "thingGroupName": "hall"}),
        );
        let site = json!({"thingGroupName": "site"});
        world.fails("DeleteThingGroup", site.clone(), "InvalidRequestException");
        let stale = json!({"thingGroupName": "hall", "expectedVersion": 2});
        world.fails("DeleteThingGroup", stale, "VersionConflictException");
        let hall = json!({"thingGroupName": "hall", "expectedVersion": 1});
        assert_eq!(world.ok("DeleteThingGroup", hall.clone()), json!({}));
        assert_eq!(world.ok("DeleteThingGroup", hall), json!({}));
        world.ok("DeleteThingGroup", site);
        let groups = world.ok("ListThingGroupsForThing", json!({"thingName": "t"}));
        assert_eq!(groups["thingGroups"], json!([]));

        // A new group of an old name inherits nothing from it.
        create(world, "hall", None);
        let members = json!({"thingGroupName": "hall", "recursive": true});
        let members = world.ok("ListThingsInThingGroup", members);
        assert_eq!(members["things"], json!([]));
    });
}

// tests aws-iot [RG-36]
#[test]
fn lists_a_tree_from_any_point() {
    each_standard(|world| {
        for (name, parent) in [
            ("r", None),
            ("r-a", Some("r")),
            ("r-b", Some("r")),
            ("r-a-x", Some("r-a")),
            ("r-a-y", Some("r-a")),
            ("s", None),
        ] {
            create(world, name, parent);
        }
        let check = |filter: Value, expected: &[&str]| {
            for size in [1, 3, 250] {
                let found = world.scan("ListThingGroups", &filter, "thingGroups", size, || ());
                assert_eq!(column(&found, "groupName"), expected, "{filter} by {size}");
            }
        };
        check(json!({}), &["r", "r-a", "r-a-x", "r-a-y", "r-b", "s"]);
        check(
            json!({"recursive": true}),
            &["r", "r-a", "r-a-x", "r-a-y", "r-b", "s"],
        );
        check(json!({"recursive": false}), &["r", "s"]);
        check(json!({"parentGroup": "r"}), &["r-a", "r-b"]);
        check(
            json!({"parentGroup": "r", "recursive": false}),
            &["r-a", "r-b"],
        );
        check(
            json!({"parentGroup": "r", "recursive": true}),
            &["r-a", "r-a-x", "r-a-y", "r-b"],
        );
        check(json!({"parentGroup": "s", "recursive": true}), &[]);
        check(
            json!({"namePrefixFilter": "r-a"}),
            &["r-a", "r-a-x", "r-a-y"],
        );
        let filter = json!({"parentGroup": "r", "recursive": true, "namePrefixFilter": "r-a-"});
        check(filter, &["r-a-x", "r-a-y"]);
        let none = json!({"parentGroup": "none"});
        world.fails("ListThingGroups", none, "ResourceNotFoundException");
        let first = world.ok("ListThingGroups", json!({"maxResults": 1}));
        let item = json!({"groupName": "r", "groupArn": arn("thinggroup/r")});
        assert_eq!(first["thingGroups"], json!([item]));
        let foreign = json!({"nextToken": first["nextToken"], "recursive": false});
        world.fails("ListThingGroups", foreign, "InvalidRequestException");
    });
}

// tests aws-iot [HT-23]
#[test]
fn the_parent_must_be_allowed_too() {
    each_standard(|world| {
        create(world, "site", None);
        create(world, "yard", None);
        let make = "iot:CreateThingGroup";
        let all_but_site = all_but(make, &arn("thinggroup/site"));
        let only_new = document("Allow", make, &arn("thinggroup/new-*"));
        // Policy, name, parent, and whether the group is made.
        for (policy, name, parent, made) in [
            (&all_but_site, "new-1", Some("site"), false),
            (&all_but_site, "new-2", Some("yard"), true),
            (&all_but_site, "new-3", None, true),
            (&only_new, "new-4", Some("yard"), false),
            (&only_new, "new-5", Some("new-2"), true),
            (&only_new, "new-6", None, true),
            (&only_new, "other", None, false),
        ] {
            let input = json!({"thingGroupName": name, "parentGroupName": parent});
            let answer = world.ask_as(&caller(policy), "CreateThingGroup", input);
            match answer {
                Ok(_) => assert!(made, "{name}"),
                Err(error) => assert_eq!((error.kind, made), (ErrorKind::Forbidden, false)),
            }
        }
    });
}
