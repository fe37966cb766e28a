use serde_json::{Value, json};

use crate::world::{World, arn, caller, certificate, document, each_standard};

// No operation is open to everybody, and the refusal comes before any look at the input.
#[test]
fn every_operation_is_refused_without_permission() {
    each_standard(|world| {
        let nobody = caller(&document("Deny", "iot:*", "*"));
        let mut count = 0;
        for route in world
            .gateway
            .routes()
            .iter()
            .filter(|route| route.service == "iot")
        {
            let refused = world.ask_as(&nobody, route.name, json!({})).unwrap_err();
            assert_eq!(refused.exception, "AccessDeniedException", "{}", route.name);
            count += 1;
        }
        assert_eq!(count, 58);
    });
}

/// Whether an identity policy for `resource` alone lets an operation through.
fn allowed(world: &World, resource: &str, operation: &str, input: &Value) -> bool {
    let action = format!("iot:{operation}");
    let policy = document("Allow", &action, resource);
    match world.ask_as(&caller(&policy), operation, input.clone()) {
        Ok(_) => true,
        Err(error) => error.exception != "AccessDeniedException",
    }
}

/// The resource that an identity policy must name for an operation.
#[test]
fn operations_are_allowed_by_resource() {
    each_standard(|world| {
        let check = |operation: &str, input: Value, resource: &str| {
            let other = arn("other/y");
            assert!(allowed(world, resource, operation, &input), "{operation}");
            assert!(!allowed(world, &other, operation, &input), "{operation}");
        };
        let a = certificate('a');
        let (t, p) = (json!({"thingName": "t"}), json!({"policyName": "p"}));
        check("CreateThing", t.clone(), &arn("thing/t"));
        check("DescribeThing", t, &arn("thing/t"));
        check("ListThings", json!({}), "*");
        let x = json!({"thingTypeName": "x"});
        check("CreateThingType", x, &arn("thingtype/x"));
        let g = json!({"thingGroupName": "g"});
        check("CreateThingGroup", g, &arn("thinggroup/g"));
        let b = json!({"billingGroupName": "b"});
        check("CreateBillingGroup", b, &arn("billinggroup/b"));
        check("GetPolicy", p, &arn("policy/p"));
        check("AttachPolicy", json!({"policyName": "p", "target": a}), &a);
        let of = json!({"policyName": "p", "principal": a});
        check("AttachPrincipalPolicy", of, &a);
        let test = json!({"principal": a, "authInfos": []});
        check("TestAuthorization", test, &a);
        let tag = json!({"resourceArn": arn("policy/p"), "tags": []});
        check("TagResource", tag, &arn("policy/p"));
    });
}

/// What touches two resources needs both.
#[test]
fn a_thing_alone_does_not_open_its_groups_and_principals() {
    each_standard(|world| {
        let check = |operation: &str, other: Value| {
            let mut input = json!({"thingName": "t"});
            for (member, value) in other.as_object().unwrap() {
                input[member] = value.clone();
            }
            let thing = arn("thing/t");
            assert!(!allowed(world, &thing, operation, &input), "{operation}");
            assert!(allowed(world, &arn("*"), operation, &input), "{operation}");
        };
        check("CreateThing", json!({"billingGroupName": "b"}));
        check("AddThingToThingGroup", json!({"thingGroupName": "g"}));
        check("RemoveThingFromThingGroup", json!({"thingGroupName": "g"}));
        check("AddThingToBillingGroup", json!({"billingGroupName": "b"}));
        let left = json!({"thingGroupsToRemove": ["g"]});
        check("UpdateThingGroupsForThing", left);
        let of = json!({"principal": certificate('a')});
        check("AttachThingPrincipal", of.clone());
        check("DetachThingPrincipal", of);
    });
}
