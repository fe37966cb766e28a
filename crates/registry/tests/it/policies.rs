use model::Profile;
use serde_json::{Value, json};

use crate::world::{World, arn, certificate, column, document, each, each_standard};

pub(crate) fn publish(topic: &str) -> String {
    document("Allow", "iot:Publish", &arn(&format!("topic/{topic}"))).to_string()
}

pub(crate) fn create(world: &World, name: &str) {
    let input = json!({"policyName": name, "policyDocument": publish(name)});
    world.ok("CreatePolicy", input);
}

fn add_version(world: &World, name: &str, topic: &str, default: bool) -> Value {
    world.ok(
        "CreatePolicyVersion",
        json!({
            "policyName": name, "policyDocument": publish(topic), "setAsDefault": default,
        }),
    )
}

#[test]
fn is_created_and_read() {
    each_standard(|world| {
        let created = world.ok(
            "CreatePolicy",
            json!({"policyName": "p+=,.@-_", "policyDocument": publish("a")}),
        );
        let expected = json!({
            "policyName": "p+=,.@-_", "policyArn": arn("policy/p+=,.@-_"),
            "policyDocument": publish("a"), "policyVersionId": "1",
        });
        assert_eq!(created, expected);
        let mut found = world.ok("GetPolicy", json!({"policyName": "p+=,.@-_"}));
        assert!(!found["generationId"].as_str().unwrap().is_empty());
        found.as_object_mut().unwrap().remove("generationId");
        let start = testkit::START.epoch_seconds();
        let expected = json!({
            "policyName": "p+=,.@-_", "policyArn": arn("policy/p+=,.@-_"),
            "policyDocument": publish("a"), "defaultVersionId": "1",
            "creationDate": start, "lastModifiedDate": start,
        });
        assert_eq!(found, expected);
        let again = json!({"policyName": "p+=,.@-_", "policyDocument": publish("a")});
        let error = world.fails("CreatePolicy", again, "ResourceAlreadyExistsException");
        assert_eq!(error.members[0].1, "p+=,.@-_");
        let none = json!({"policyName": "none"});
        world.fails("GetPolicy", none, "ResourceNotFoundException");
    });
}

// tests aws-iot [PL-1]
#[test]
fn malformed_documents_are_refused_with_a_reason() {
    each_standard(|world| {
        create(world, "p");
        for (text, reason) in [
            ("", "line 1"),
            ("{", "line 1"),
            (r#"{"Version":"2012-10-17"}"#, "Statement"),
            (r#"{"Version":"2013-01-01","Statement":[]}"#, "Version"),
            (
                r#"{"Version":"2012-10-17","Statement":{"Action":"iot:Publish","Resource":"*"}}"#,
                "Effect",
            ),
            (
                r#"{"Version":"2012-10-17","Statement":
                    {"Effect":"Allow","Action":"s3:Get","Resource":"*"}}"#,
                "s3:Get",
            ),
        ] {
            let input = json!({"policyName": "p", "policyDocument": text});
            for operation in ["CreatePolicy", "CreatePolicyVersion"] {
                let error = world.fails(operation, input.clone(), "MalformedPolicyException");
                assert!(error.message.contains(reason), "{text}: {}", error.message);
            }
        }
    });
}

// tests aws-iot [PL-2]
#[test]
fn size_counts_no_white_space() {
    let sized = |significant: usize| {
        let bare = publish("").len();
        let text = publish(&"x".repeat(significant - bare));
        text.replacen('{', &format!("{{{}", " \n\t".repeat(1000)), 1)
    };
    let input = |size| json!({"policyName": format!("p{size}"), "policyDocument": sized(size)});
    each(Profile::Aws, |world| {
        world.ok("CreatePolicy", input(2048));
        world.fails("CreatePolicy", input(2049), "MalformedPolicyException");
        let mut version = input(2049);
        version["policyName"] = json!("p2048");
        world.fails("CreatePolicyVersion", version, "MalformedPolicyException");
    });
    each_standard(|world| {
        world.ok("CreatePolicy", input(2049));
    });
}

// tests aws-iot [PL-3]
#[test]
fn versions_rise_and_are_never_reused() {
    each_standard(|world| {
        create(world, "p");
        world.pass(1);
        let created = add_version(world, "p", "b", false);
        let expected = json!({
            "policyArn": arn("policy/p"), "policyDocument": publish("b"),
            "policyVersionId": "2", "isDefaultVersion": false,
        });
        assert_eq!(created, expected);
        let policy = world.ok("GetPolicy", json!({"policyName": "p"}));
        assert_eq!(policy["policyDocument"], publish("p"));
        let start = testkit::START.epoch_seconds();
        assert_eq!(policy["lastModifiedDate"], start + 1.0);

        assert_eq!(add_version(world, "p", "c", true)["isDefaultVersion"], true);
        let policy = world.ok("GetPolicy", json!({"policyName": "p"}));
        assert_eq!(policy["policyDocument"], publish("c"));
        assert_eq!(policy["defaultVersionId"], "3");
        add_version(world, "p", "d", false);
        add_version(world, "p", "e", false);
        let sixth = json!({"policyName": "p", "policyDocument": publish("f")});
        world.fails(
            "CreatePolicyVersion",
            sixth,
            "VersionsLimitExceededException",
        );

        let version = |id: &str| json!({"policyName": "p", "policyVersionId": id});
        world.fails(
            "DeletePolicyVersion",
            version("3"),
            "DeleteConflictException",
        );
        world.ok("DeletePolicyVersion", version("5"));
        assert_eq!(add_version(world, "p", "g", false)["policyVersionId"], "6");
        world.ok("SetDefaultPolicyVersion", version("6"));
        world.ok("DeletePolicyVersion", version("3"));

        let found = world.ok("ListPolicyVersions", json!({"policyName": "p"}));
        let item = |id: &str, seconds: f64| -> Value {
            let default = id == "6";
            json!({"versionId": id, "isDefaultVersion": default, "createDate": start + seconds})
        };
        let items = [
            item("6", 1.0),
            item("4", 1.0),
            item("2", 1.0),
            item("1", 0.0),
        ];
        assert_eq!(found["policyVersions"], json!(items));
        let mut found = world.ok("GetPolicyVersion", version("6"));
        assert!(
            found
                .as_object_mut()
                .unwrap()
                .remove("generationId")
                .is_some()
        );
        let expected = json!({
            "policyArn": arn("policy/p"), "policyName": "p", "policyDocument": publish("g"),
            "policyVersionId": "6", "isDefaultVersion": true,
            "creationDate": start + 1.0, "lastModifiedDate": start + 1.0,
        });
        assert_eq!(found, expected);
    });
}

#[test]
fn policies_and_versions_must_exist() {
    each_standard(|world| {
        create(world, "p");
        let version = |id: &str| json!({"policyName": "p", "policyVersionId": id});
        for operation in [
            "GetPolicyVersion",
            "DeletePolicyVersion",
            "SetDefaultPolicyVersion",
        ] {
            for id in ["2", "0", "99999999999999999999"] {
                world.fails(operation, version(id), "ResourceNotFoundException");
            }
            let none = json!({"policyName": "none", "policyVersionId": "1"});
            world.fails(operation, none, "ResourceNotFoundException");
        }
        let none = json!({"policyName": "none", "policyDocument": publish("a")});
        world.fails(
            "CreatePolicyVersion",
            none.clone(),
            "ResourceNotFoundException",
        );
        world.fails("ListPolicyVersions", none, "ResourceNotFoundException");
    });
}

// tests aws-iot [PL-3]
#[test]
fn is_deleted_without_targets_and_further_versions() {
    each_standard(|world| {
        create(world, "p");
        add_version(world, "p", "b", true);
        let p = json!({"policyName": "p"});
        world.fails("DeletePolicy", p.clone(), "DeleteConflictException");
        world.ok(
            "DeletePolicyVersion",
            json!({"policyName": "p", "policyVersionId": "1"}),
        );
        let attachment = json!({"policyName": "p", "target": certificate('a')});
        world.ok("AttachPolicy", attachment.clone());
        world.fails("DeletePolicy", p.clone(), "DeleteConflictException");
        world.ok("DetachPolicy", attachment);
        world.ok("DeletePolicy", p.clone());
        world.fails("DeletePolicy", p, "ResourceNotFoundException");

        // Created again it is another policy, whose versions begin at 1.
        create(world, "p");
        let found = world.ok("GetPolicy", json!({"policyName": "p"}));
        assert_eq!(found["defaultVersionId"], "1");
    });
}

#[test]
fn lists_in_the_order_of_creation() {
    each_standard(|world| {
        let names = ["c", "a", "d", "b"];
        for name in names {
            create(world, name);
            world.pass(1);
        }
        let scan = |input: Value, size: usize, insert: &str| {
            let found = world.scan("ListPolicies", &input, "policies", size, || {
                create(world, insert)
            });
            column(&found, "policyName")
        };
        let ascending = json!({"ascendingOrder": true});
        assert_eq!(scan(ascending, 1, "x"), ["c", "a", "d", "b", "x"]);
        world.pass(1);
        assert_eq!(scan(json!({}), 2, "y"), ["x", "b", "d", "a", "c"]);

        let page = world.ok(
            "ListPolicies",
            json!({"pageSize": 1, "ascendingOrder": true}),
        );
        let item = json!({"policyName": "c", "policyArn": arn("policy/c")});
        assert_eq!(page["policies"], json!([item]));
        let marker = page["nextMarker"].as_str().unwrap();
        for input in [
            json!({"marker": marker}),
            json!({"marker": "AAAA", "ascendingOrder": true}),
            json!({"pageSize": 251}),
            json!({"pageSize": 0}),
        ] {
            world.fails("ListPolicies", input, "InvalidRequestException");
        }
    });
}

#[test]
fn policies_of_one_moment_are_all_listed() {
    each_standard(|world| {
        for name in ["a", "b", "c", "d", "e"] {
            create(world, name);
        }
        for ascending in [true, false] {
            let input = json!({"ascendingOrder": ascending});
            let found = world.scan("ListPolicies", &input, "policies", 2, || ());
            let mut names = column(&found, "policyName");
            if !ascending {
                names.reverse();
            }
            assert_eq!(names, ["a", "b", "c", "d", "e"]);
        }
    });
}
