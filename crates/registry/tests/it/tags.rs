use serde_json::{Value, json};

use crate::policies::publish;
use crate::world::{World, arn, certificate, certificate_id, each_standard};

fn tag(key: &str, value: &str) -> Value {
    json!({"Key": key, "Value": value})
}

fn tags(world: &World, resource: &str) -> Value {
    world.ok("ListTagsForResource", json!({"resourceArn": resource}))["tags"].clone()
}

fn many(count: usize) -> Value {
    (0..count)
        .map(|index| tag(&format!("k{index:02}"), "v"))
        .collect()
}

/// Creates one resource of each kind with tags, and answers their ARNs.
fn each_kind(world: &World, tags: &Value) -> Vec<String> {
    world.ok(
        "CreateThingType",
        json!({"thingTypeName": "x", "tags": tags}),
    );
    world.ok(
        "CreateThingGroup",
        json!({"thingGroupName": "x", "tags": tags}),
    );
    world.ok(
        "CreateBillingGroup",
        json!({"billingGroupName": "x", "tags": tags}),
    );
    let policy = json!({"policyName": "x", "policyDocument": publish("x"), "tags": tags});
    world.ok("CreatePolicy", policy);
    ["thingtype", "thinggroup", "billinggroup", "policy"]
        .map(|kind| arn(&format!("{kind}/x")))
        .to_vec()
}

// tests aws-iot [HT-31]
#[test]
fn every_taggable_kind_is_tagged_at_creation_and_later() {
    each_standard(|world| {
        let given = json!([tag("a", "1"), tag("b", "")]);
        let mut kinds = each_kind(world, &given);
        let authority = arn(&format!("cacert/{}", certificate_id('c')));
        world.ok(
            "TagResource",
            json!({"resourceArn": authority, "tags": given}),
        );
        kinds.push(authority);
        for resource in &kinds {
            assert_eq!(tags(world, resource), given, "{resource}");
            let more = json!([tag("b", "2"), {"Key": "c"}]);
            world.ok(
                "TagResource",
                json!({"resourceArn": resource, "tags": more}),
            );
            let expected = json!([tag("a", "1"), tag("b", "2"), tag("c", "")]);
            assert_eq!(tags(world, resource), expected);
            let keys = json!(["a", "c", "absent"]);
            world.ok(
                "UntagResource",
                json!({"resourceArn": resource, "tagKeys": keys}),
            );
            assert_eq!(tags(world, resource), json!([tag("b", "2")]));
        }
    });
}

#[test]
fn resources_must_exist_and_be_taggable() {
    each_standard(|world| {
        world.ok("CreateThing", json!({"thingName": "t"}));
        let other_ca = format!("cacert/{}", certificate_id('d'));
        for (resource, exception) in [
            (arn("thing/t"), "InvalidRequestException"),
            (certificate('a'), "InvalidRequestException"),
            (arn("policy"), "InvalidRequestException"),
            ("pumps".to_owned(), "InvalidRequestException"),
            (
                "arn:aws:iot:eu-west-1:111122223333:policy/x".to_owned(),
                "InvalidRequestException",
            ),
            (
                "arn:aws:iam::111122223333:policy/x".to_owned(),
                "InvalidRequestException",
            ),
            (arn("policy/none"), "ResourceNotFoundException"),
            (arn("thingtype/none"), "ResourceNotFoundException"),
            (arn("thinggroup/none"), "ResourceNotFoundException"),
            (arn("billinggroup/none"), "ResourceNotFoundException"),
            (arn(&other_ca), "ResourceNotFoundException"),
            (arn("cacert/abc"), "ResourceNotFoundException"),
        ] {
            let put = json!({"resourceArn": resource, "tags": [tag("a", "1")]});
            world.fails("TagResource", put, exception);
            let delete = json!({"resourceArn": resource, "tagKeys": ["a"]});
            world.fails("UntagResource", delete, exception);
            world.fails(
                "ListTagsForResource",
                json!({"resourceArn": resource}),
                exception,
            );
        }
    });
}

// tests aws-iot [HT-31]
#[test]
fn tags_are_bounded_and_keys_checked() {
    each_standard(|world| {
        for resource in each_kind(world, &many(50)) {
            assert_eq!(tags(world, &resource), many(50));
            let put = |tags: Value| json!({"resourceArn": resource, "tags": tags});
            world.ok("TagResource", put(json!([tag("k00", "changed")])));
            let more = put(json!([tag("more", "v")]));
            world.fails("TagResource", more, "LimitExceededException");
            for refused in [
                json!([tag("aws:a", "v")]),
                json!([tag("k00", "1"), tag("k00", "2")]),
                json!([tag("k00", "a\0b")]),
            ] {
                world.fails("TagResource", put(refused), "InvalidRequestException");
            }
            let stray = json!({"resourceArn": resource, "nextToken": "AAAA"});
            world.fails("ListTagsForResource", stray, "InvalidRequestException");
        }
        for refused in [many(51), json!([tag("aws:a", "v")])] {
            let input = json!({"thingTypeName": "y", "tags": refused});
            world.fails("CreateThingType", input, "InvalidRequestException");
            let none = json!({"thingTypeName": "y"});
            world.fails("DescribeThingType", none, "ResourceNotFoundException");
        }
    });
}

#[test]
fn tags_go_with_their_resource() {
    each_standard(|world| {
        let kinds = each_kind(world, &many(2));
        world.ok("DeprecateThingType", json!({"thingTypeName": "x"}));
        world.ok("DeleteThingType", json!({"thingTypeName": "x"}));
        world.ok("DeleteThingGroup", json!({"thingGroupName": "x"}));
        world.ok("DeleteBillingGroup", json!({"billingGroupName": "x"}));
        world.ok("DeletePolicy", json!({"policyName": "x"}));
        each_kind(world, &json!([]));
        for resource in kinds {
            assert_eq!(tags(world, &resource), json!([]), "{resource}");
        }
    });
}
