use model::{ErrorKind, Profile};
use serde_json::{Value, json};

use crate::groups::create;
use crate::world::{World, all_but, arn, caller, column, each, each_standard};

fn thing(world: &World, name: &str) {
    world.ok("CreateThing", json!({"thingName": name}));
}

fn member(thing: &str, group: &str) -> Value {
    json!({"thingName": thing, "thingGroupName": group})
}

fn groups_of(world: &World, thing: &str) -> Vec<String> {
    let input = json!({"thingName": thing});
    let found = world.scan("ListThingGroupsForThing", &input, "thingGroups", 2, || ());
    column(&found, "groupName")
}

// tests aws-iot [RG-32]
#[test]
fn things_enter_and_leave_groups() {
    each_standard(|world| {
        create(world, "g", None);
        create(world, "h", None);
        thing(world, "t");
        let by_arn = json!({"thingArn": arn("thing/t"), "thingGroupArn": arn("thinggroup/h")});
        for _twice in 0..2 {
            world.ok("AddThingToThingGroup", member("t", "g"));
            world.ok("AddThingToThingGroup", by_arn.clone());
        }
        assert_eq!(groups_of(world, "t"), ["g", "h"]);
        for _twice in 0..2 {
            world.ok("RemoveThingFromThingGroup", by_arn.clone());
        }
        assert_eq!(groups_of(world, "t"), ["g"]);

        let both = json!({
            "thingName": "t", "thingArn": arn("thing/t"),
            "thingGroupName": "g", "thingGroupArn": arn("thinggroup/g"),
        });
        for operation in ["AddThingToThingGroup", "RemoveThingFromThingGroup"] {
            world.ok(operation, both.clone());
            for (member, value) in [
                ("thingArn", json!(arn("thing/other"))),
                ("thingArn", json!(arn("thinggroup/g"))),
                (
                    "thingArn",
                    json!("arn:aws:iot:eu-west-1:111122223333:thing/t"),
                ),
                ("thingGroupArn", json!(arn("thinggroup/h"))),
                ("thingGroupArn", json!("g")),
            ] {
                let mut wrong = both.clone();
                wrong[member] = value;
                world.fails(operation, wrong, "InvalidRequestException");
            }
            for missing in [json!({"thingName": "t"}), json!({"thingGroupName": "g"})] {
                world.fails(operation, missing, "InvalidRequestException");
            }
            let unknown = "ResourceNotFoundException";
            world.fails(operation, member("none", "g"), unknown);
            world.fails(operation, member("t", "none"), unknown);
        }
        let none = json!({"thingName": "none"});
        world.fails("ListThingGroupsForThing", none, "ResourceNotFoundException");
    });
}

// tests aws-iot [RG-31]
#[test]
fn a_thing_is_in_one_group_of_a_hierarchy_and_in_so_many_groups() {
    each_standard(|world| {
        for (name, parent) in [("r", None), ("a", Some("r")), ("b", Some("r")), ("s", None)] {
            create(world, name, parent);
        }
        thing(world, "t");
        world.ok("AddThingToThingGroup", member("t", "a"));
        for same in ["r", "b"] {
            world.fails(
                "AddThingToThingGroup",
                member("t", same),
                "InvalidRequestException",
            );
        }
        world.ok("AddThingToThingGroup", member("t", "s"));
    });
    for (profile, max) in [(Profile::Aws, 10), (Profile::Standard, 50)] {
        each(profile, |world| {
            thing(world, "t");
            for index in 0..=max {
                create(world, &format!("g{index}"), None);
            }
            for index in 0..max {
                world.ok("AddThingToThingGroup", member("t", &format!("g{index}")));
            }
            let more = member("t", &format!("g{max}"));
            world.fails("AddThingToThingGroup", more, "InvalidRequestException");
        });
    }
}

// tests aws-iot [RG-33]
#[test]
fn groups_of_a_thing_change_together() {
    each_standard(|world| {
        for (name, parent) in [("r", None), ("a", Some("r")), ("b", Some("r")), ("s", None)] {
            create(world, name, parent);
        }
        thing(world, "t");
        let update = |add: Value, remove: Value| -> Value {
            json!({"thingName": "t", "thingGroupsToAdd": add, "thingGroupsToRemove": remove})
        };
        world.ok(
            "UpdateThingGroupsForThing",
            update(json!(["a", "s"]), json!([])),
        );
        assert_eq!(groups_of(world, "t"), ["a", "s"]);
        world.ok(
            "UpdateThingGroupsForThing",
            update(json!(["b"]), json!(["a"])),
        );
        assert_eq!(groups_of(world, "t"), ["b", "s"]);

        let many: Vec<String> = (0..51).map(|index| format!("g{index}")).collect();
        for (input, exception) in [
            (
                update(json!(["a"]), json!(["s"])),
                "InvalidRequestException",
            ),
            (
                update(json!(["none"]), json!(["s"])),
                "ResourceNotFoundException",
            ),
            (
                update(json!([]), json!(["s", "none"])),
                "ResourceNotFoundException",
            ),
            (
                update(json!(["s"]), json!(["s"])),
                "InvalidRequestException",
            ),
            (update(json!(many), json!([])), "InvalidRequestException"),
            (update(json!([]), json!(many)), "InvalidRequestException"),
            (
                json!({"thingGroupsToAdd": ["a"]}),
                "InvalidRequestException",
            ),
            (json!({"thingName": "none"}), "ResourceNotFoundException"),
        ] {
            world.fails("UpdateThingGroupsForThing", input, exception);
            assert_eq!(groups_of(world, "t"), ["b", "s"], "all or nothing");
        }
        world.ok("UpdateThingGroupsForThing", json!({"thingName": "t"}));
    });
}

// tests aws-iot [RG-36]
#[test]
fn members_are_listed_directly_or_with_all_below() {
    each_standard(|world| {
        for (name, parent) in [("r", None), ("a", Some("r")), ("x", Some("a"))] {
            create(world, name, parent);
        }
        for (name, group) in [("t1", "r"), ("t2", "a"), ("t3", "x"), ("t4", "x")] {
            thing(world, name);
            world.ok("AddThingToThingGroup", member(name, group));
        }
        let check = |group: &str, recursive: bool, expected: &[&str]| {
            let input = json!({"thingGroupName": group, "recursive": recursive});
            for size in [1, 3, 250] {
                let found = world.scan("ListThingsInThingGroup", &input, "things", size, || ());
                assert_eq!(found, expected, "{input} by {size}");
            }
        };
        check("r", false, &["t1"]);
        check("r", true, &["t1", "t2", "t3", "t4"]);
        check("a", true, &["t2", "t3", "t4"]);
        check("x", false, &["t3", "t4"]);

        let input = json!({"thingGroupName": "r", "recursive": true});
        let found = world.scan("ListThingsInThingGroup", &input, "things", 2, || {
            thing(world, "t0");
            world.ok("AddThingToThingGroup", member("t0", "x"));
        });
        assert_eq!(found, ["t1", "t2", "t3", "t4"]);
        let none = json!({"thingGroupName": "none"});
        world.fails("ListThingsInThingGroup", none, "ResourceNotFoundException");
    });
}

// tests aws-iot [RG-32] [HT-23]
#[test]
fn what_is_denied_of_one_group_is_denied_however_it_is_named() {
    each_standard(|world| {
        create(world, "quarantine", None);
        create(world, "open", None);
        thing(world, "t");
        let thing_arn = || arn("thing/t");
        let group_arn = |group: &str| arn(&format!("thinggroup/{group}"));
        let named = |group: &str| {
            [
                member("t", group),
                json!({"thingName": "t", "thingGroupArn": group_arn(group)}),
                json!({"thingArn": thing_arn(), "thingGroupArn": group_arn(group)}),
                json!({"thingArn": thing_arn(), "thingGroupName": group}),
                json!({
                    "thingName": "t", "thingArn": thing_arn(),
                    "thingGroupName": group, "thingGroupArn": group_arn(group),
                }),
            ]
        };
        for operation in ["AddThingToThingGroup", "RemoveThingFromThingGroup"] {
            let action = format!("iot:{operation}");
            let others = caller(&all_but(&action, &group_arn("quarantine")));
            let elsewhere = caller(&all_but(&action, &arn("thing/t")));
            for input in named("quarantine") {
                let shown = input.to_string();
                for caller in [&others, &elsewhere] {
                    let refused = world.ask_as(caller, operation, input.clone());
                    let error = refused.expect_err(&shown);
                    assert_eq!(error.kind, ErrorKind::Forbidden, "{operation} {shown}");
                }
            }
            for input in named("open") {
                let shown = input.to_string();
                let answer = world.ask_as(&others, operation, input);
                assert!(answer.is_ok(), "{operation} {shown}: {answer:?}");
            }
        }
        assert!(groups_of(world, "t").is_empty());
    });
}
