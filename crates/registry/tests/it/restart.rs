use model::Profile;
use serde_json::{Value, json};

use crate::policies::publish;
use crate::world::{IDENTITY, World, arn, certificate};

/// Everything that can be read back, as one text per question.
fn everything(world: &World) -> Vec<(&'static str, Value)> {
    let a = certificate('a');
    [
        ("DescribeThing", json!({"thingName": "t"})),
        ("ListThings", json!({})),
        (
            "ListThings",
            json!({"attributeName": "site", "attributeValue": "north"}),
        ),
        ("DescribeThingType", json!({"thingTypeName": "x"})),
        ("ListThingTypes", json!({})),
        ("DescribeThingGroup", json!({"thingGroupName": "h"})),
        (
            "ListThingGroups",
            json!({"parentGroup": "g", "recursive": true}),
        ),
        (
            "ListThingsInThingGroup",
            json!({"thingGroupName": "g", "recursive": true}),
        ),
        ("ListThingGroupsForThing", json!({"thingName": "t"})),
        ("DescribeBillingGroup", json!({"billingGroupName": "b"})),
        ("ListBillingGroups", json!({})),
        ("ListThingsInBillingGroup", json!({"billingGroupName": "b"})),
        ("ListThingPrincipalsV2", json!({"thingName": "t"})),
        ("ListPrincipalThingsV2", json!({"principal": a})),
        ("GetPolicy", json!({"policyName": "p"})),
        (
            "GetPolicyVersion",
            json!({"policyName": "p", "policyVersionId": "1"}),
        ),
        ("ListPolicies", json!({})),
        ("ListPolicyVersions", json!({"policyName": "p"})),
        ("ListTargetsForPolicy", json!({"policyName": "p"})),
        ("ListAttachedPolicies", json!({"target": a})),
        (
            "ListTagsForResource",
            json!({"resourceArn": arn("policy/p")}),
        ),
        (
            "GetEffectivePolicies",
            json!({"principal": a, "thingName": "t"}),
        ),
    ]
    .into_iter()
    .map(|(operation, input)| (operation, world.ok(operation, input)))
    .collect()
}

fn fill(world: &World) {
    let a = certificate('a');
    let tags = json!([{"Key": "k", "Value": "v"}]);
    for (operation, input) in [
        (
            "CreateThingType",
            json!({
                "thingTypeName": "x",
                "thingTypeProperties": {"thingTypeDescription": "d", "searchableAttributes": ["s"]},
            }),
        ),
        ("CreateBillingGroup", json!({"billingGroupName": "b"})),
        (
            "CreateThing",
            json!({
                "thingName": "t", "thingTypeName": "x", "billingGroupName": "b",
                "attributePayload": {"attributes": {"site": "north"}},
            }),
        ),
        ("UpdateThing", json!({"thingName": "t"})),
        ("CreateThingGroup", json!({"thingGroupName": "g"})),
        (
            "CreateThingGroup",
            json!({"thingGroupName": "h", "parentGroupName": "g"}),
        ),
        (
            "AddThingToThingGroup",
            json!({"thingName": "t", "thingGroupName": "h"}),
        ),
        ("DeprecateThingType", json!({"thingTypeName": "x"})),
        (
            "AttachThingPrincipal",
            json!({"thingName": "t", "principal": a, "thingPrincipalType": "EXCLUSIVE_THING"}),
        ),
        (
            "CreatePolicy",
            json!({"policyName": "p", "policyDocument": publish("a"), "tags": tags}),
        ),
        (
            "CreatePolicyVersion",
            json!({"policyName": "p", "policyDocument": publish("b"), "setAsDefault": true}),
        ),
        ("AttachPolicy", json!({"policyName": "p", "target": a})),
        (
            "AttachPolicy",
            json!({"policyName": "p", "target": IDENTITY}),
        ),
        (
            "AttachPolicy",
            json!({"policyName": "p", "target": arn("thinggroup/g")}),
        ),
    ] {
        world.ok(operation, input);
    }
}

#[test]
fn everything_is_there_after_a_restart() {
    for database in testkit::databases() {
        let world = World::open(&database, Profile::Standard);
        fill(&world);
        let before = everything(&world);
        let page = world.ok("ListThingGroups", json!({"maxResults": 1}));
        drop(world);

        let world = World::open(&database, Profile::Standard);
        assert_eq!(everything(&world), before, "{}", database.engine);
        // A page token outlives the process that gave it out.
        let input = json!({"nextToken": page["nextToken"]});
        let rest = world.ok("ListThingGroups", input);
        assert_eq!(rest["thingGroups"][0]["groupName"], "h");
    }
}
