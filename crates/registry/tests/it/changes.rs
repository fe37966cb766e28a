//! What each operation announces. A session that rests on any of it is woken, so a missing line
//! here is an access that does not end.

use serde_json::{Value, json};

use crate::groups;
use crate::policies::{create, publish};
use crate::world::{IDENTITY, World, arn, certificate, each_standard};

#[track_caller]
fn check(world: &World, operation: &str, input: Value, expected: &[&str]) {
    let shown = input.to_string();
    let changes = world.changes(|| drop(world.ok(operation, input)));
    assert_eq!(changes, expected, "{operation} {shown}");
}

/// The second time nothing changes, so nothing is announced.
#[track_caller]
fn check_twice(world: &World, operation: &str, input: Value, expected: &[&str]) {
    check(world, operation, input.clone(), expected);
    check(world, operation, input, &[]);
}

// tests aws-iot [G-5] [PL-33]
#[test]
fn things_and_types_are_announced() {
    each_standard(|world| {
        let (t, x) = (json!({"thingName": "t"}), json!({"thingTypeName": "x"}));
        let typed = json!({"thingName": "t", "thingTypeName": "x"});
        check(world, "CreateThingType", x.clone(), &["thing-type:x"]);
        check(world, "UpdateThingType", x.clone(), &["thing-type:x"]);
        check_twice(world, "CreateThing", t.clone(), &["thing:t"]);
        check(world, "UpdateThing", typed, &["thing:t"]);
        check_twice(world, "DeleteThing", t, &["thing:t"]);
        check_twice(world, "DeprecateThingType", x.clone(), &["thing-type:x"]);
        check(world, "DeleteThingType", x, &["thing-type:x"]);
    });
}

// tests aws-iot [G-5] [PL-51]
#[test]
fn memberships_and_principals_are_announced() {
    each_standard(|world| {
        let a = certificate('a');
        let of_a = format!("principal:{a}");
        groups::create(world, "g", None);
        groups::create(world, "h", None);
        world.ok("CreateThing", json!({"thingName": "t"}));
        let member = json!({"thingName": "t", "thingGroupName": "g"});
        let entered = member.clone();
        check_twice(world, "AddThingToThingGroup", entered, &["thing:t"]);
        check_twice(world, "RemoveThingFromThingGroup", member, &["thing:t"]);
        let both = json!({"thingName": "t", "thingGroupsToAdd": ["g", "h"]});
        check_twice(world, "UpdateThingGroupsForThing", both, &["thing:t"]);
        let of = json!({"thingName": "t", "principal": a});
        check_twice(world, "AttachThingPrincipal", of.clone(), &[&of_a]);
        check_twice(world, "DetachThingPrincipal", of, &[&of_a]);
        let g = json!({"thingGroupName": "g"});
        check_twice(world, "DeleteThingGroup", g, &["thing-group:g"]);
    });
}

// tests aws-iot [G-5]
#[test]
fn policies_and_their_attachments_are_announced() {
    each_standard(|world| {
        let a = certificate('a');
        let of_a = format!("principal:{a}");
        let of_identity = format!("principal:{IDENTITY}");
        groups::create(world, "g", None);
        create(world, "p");
        for (target, change) in [
            (a.as_str(), of_a.as_str()),
            (IDENTITY, &of_identity),
            (&arn("thinggroup/g"), "thing-group:g"),
        ] {
            let input = json!({"policyName": "p", "target": target});
            check_twice(world, "AttachPolicy", input.clone(), &[change]);
            check_twice(world, "DetachPolicy", input, &[change]);
        }
        let of = json!({"policyName": "p", "principal": a});
        check_twice(world, "AttachPrincipalPolicy", of.clone(), &[&of_a]);
        check_twice(world, "DetachPrincipalPolicy", of, &[&of_a]);

        let version = |default: bool| -> Value {
            json!({"policyName": "p", "policyDocument": publish("b"), "setAsDefault": default})
        };
        check(world, "CreatePolicyVersion", version(false), &[]);
        check(world, "CreatePolicyVersion", version(true), &["policy:p"]);
        let one = |id: &str| json!({"policyName": "p", "policyVersionId": id});
        check_twice(world, "SetDefaultPolicyVersion", one("2"), &["policy:p"]);
        check(world, "DeletePolicyVersion", one("1"), &[]);
        check(world, "DeletePolicyVersion", one("3"), &[]);
        let p = json!({"policyName": "p"});
        check(world, "DeletePolicy", p, &["policy:p"]);
    });
}

#[test]
fn what_fails_announces_nothing() {
    each_standard(|world| {
        world.ok("CreateThing", json!({"thingName": "t"}));
        groups::create(world, "g", None);
        let changes = world.changes(|| {
            let mixed = json!({"thingName": "t", "thingGroupsToAdd": ["g", "none"]});
            let unknown = "ResourceNotFoundException";
            world.fails("UpdateThingGroupsForThing", mixed, unknown);
        });
        assert!(changes.is_empty());
    });
}
