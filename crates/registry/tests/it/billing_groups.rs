use serde_json::{Value, json};

use crate::world::{arn, column, each_standard};

#[test]
fn is_created_described_updated_and_deleted() {
    each_standard(|world| {
        let created = world.ok(
            "CreateBillingGroup",
            json!({
                "billingGroupName": "b",
                "billingGroupProperties": {"billingGroupDescription": "first"},
            }),
        );
        let b = json!({"billingGroupName": "b"});
        let expected = json!({
            "billingGroupName": "b", "billingGroupId": created["billingGroupId"],
            "billingGroupArn": arn("billinggroup/b"), "version": 1,
            "billingGroupProperties": {"billingGroupDescription": "first"},
            "billingGroupMetadata": {"creationDate": testkit::START.epoch_seconds()},
        });
        assert_eq!(world.ok("DescribeBillingGroup", b.clone()), expected);
        let again = world.fails("CreateBillingGroup", b, "ResourceAlreadyExistsException");
        assert_eq!(again.members[1].1, arn("billinggroup/b"));

        let update = |version: Value, properties: Value| {
            json!({
                "billingGroupName": "b", "expectedVersion": version,
                "billingGroupProperties": properties,
            })
        };
        let second = json!({"billingGroupDescription": "second"});
        let input = update(json!(1), second.clone());
        assert_eq!(
            world.ok("UpdateBillingGroup", input.clone()),
            json!({"version": 2})
        );
        world.fails("UpdateBillingGroup", input, "VersionConflictException");
        let input = update(Value::Null, json!({}));
        assert_eq!(world.ok("UpdateBillingGroup", input), json!({"version": 3}));
        let found = world.ok("DescribeBillingGroup", json!({"billingGroupName": "b"}));
        assert_eq!(found["billingGroupProperties"], second);

        let none = json!({"billingGroupName": "none", "billingGroupProperties": {}});
        for operation in ["DescribeBillingGroup", "UpdateBillingGroup"] {
            world.fails(operation, none.clone(), "ResourceNotFoundException");
        }
        world.ok(
            "CreateThing",
            json!({"thingName": "t", "billingGroupName": "b"}),
        );
        let stale = json!({"billingGroupName": "b", "expectedVersion": 1});
        world.fails("DeleteBillingGroup", stale, "VersionConflictException");
        let delete = json!({"billingGroupName": "b", "expectedVersion": 3});
        assert_eq!(world.ok("DeleteBillingGroup", delete.clone()), json!({}));
        assert_eq!(world.ok("DeleteBillingGroup", delete), json!({}));
        let thing = world.ok("DescribeThing", json!({"thingName": "t"}));
        assert!(thing.get("billingGroupName").is_none());
    });
}

#[test]
fn a_thing_is_in_one_billing_group_and_moves() {
    each_standard(|world| {
        for name in ["b", "c"] {
            world.ok("CreateBillingGroup", json!({"billingGroupName": name}));
        }
        for name in ["t1", "t2", "t3"] {
            world.ok("CreateThing", json!({"thingName": name}));
            let input = json!({"thingName": name, "billingGroupName": "b"});
            world.ok("AddThingToBillingGroup", input);
        }
        let members = |group: &str| {
            let input = json!({"billingGroupName": group});
            world.scan("ListThingsInBillingGroup", &input, "things", 2, || ())
        };
        assert_eq!(members("b"), ["t1", "t2", "t3"]);
        let moved = json!({
            "thingArn": arn("thing/t2"), "billingGroupArn": arn("billinggroup/c"),
        });
        world.ok("AddThingToBillingGroup", moved.clone());
        assert_eq!(members("b"), ["t1", "t3"]);
        assert_eq!(members("c"), ["t2"]);
        let elsewhere = json!({"thingName": "t2", "billingGroupName": "b"});
        world.ok("RemoveThingFromBillingGroup", elsewhere);
        assert_eq!(members("c"), ["t2"]);
        for _twice in 0..2 {
            world.ok("RemoveThingFromBillingGroup", moved.clone());
            assert_eq!(members("c"), [""; 0]);
        }

        for operation in ["AddThingToBillingGroup", "RemoveThingFromBillingGroup"] {
            for (input, exception) in [
                (
                    json!({"thingName": "none", "billingGroupName": "b"}),
                    "ResourceNotFoundException",
                ),
                (
                    json!({"thingName": "t1", "billingGroupName": "none"}),
                    "ResourceNotFoundException",
                ),
                (json!({"thingName": "t1"}), "InvalidRequestException"),
                (json!({"billingGroupName": "b"}), "InvalidRequestException"),
                (
                    json!({"thingName": "t1", "billingGroupArn": "b"}),
                    "InvalidRequestException",
                ),
            ] {
                world.fails(operation, input, exception);
            }
        }
        let none = json!({"billingGroupName": "none"});
        world.fails(
            "ListThingsInBillingGroup",
            none,
            "ResourceNotFoundException",
        );
    });
}

#[test]
fn lists_by_prefix() {
    each_standard(|world| {
        for name in ["a", "ab", "abc", "b"] {
            world.ok("CreateBillingGroup", json!({"billingGroupName": name}));
        }
        let check = |filter: Value, expected: &[&str]| {
            let found = world.scan("ListBillingGroups", &filter, "billingGroups", 2, || ());
            assert_eq!(column(&found, "groupName"), expected);
        };
        check(json!({}), &["a", "ab", "abc", "b"]);
        check(json!({"namePrefixFilter": "ab"}), &["ab", "abc"]);
        check(json!({"namePrefixFilter": "c"}), &[]);
    });
}
