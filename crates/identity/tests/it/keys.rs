use serde_json::{Value, json};

use crate::world::{World, column, each_world, text};

fn create(world: &World, user: &str) -> Value {
    world.ok("CreateAccessKey", json!({"UserName": user}))["AccessKey"].clone()
}

fn update(world: &World, key: &str, status: &str) {
    let input = json!({"UserName": "bob", "AccessKeyId": key, "Status": status});
    world.ok("UpdateAccessKey", input);
}

#[test]
fn a_key_shows_its_secret_once() {
    each_world(|world| {
        world.ok("CreateUser", json!({"UserName": "bob"}));
        let made = create(world, "bob");
        let (id, secret) = (text(&made["AccessKeyId"]), text(&made["SecretAccessKey"]));
        assert!(id.starts_with("AKIA") && id.len() == 20, "{id}");
        assert_eq!(secret.len(), 40);
        let expected = json!({
            "UserName": "bob",
            "AccessKeyId": id,
            "Status": "Active",
            "CreateDate": 1_767_323_045.0,
        });
        let listed = world.ok("ListAccessKeys", json!({"UserName": "bob"}));
        let all = json!({"AccessKeyMetadata": [expected], "IsTruncated": false});
        assert_eq!(listed, all);
        assert_eq!(world.find(id).unwrap().secret.as_str(), secret);
        let other = create(world, "bob");
        assert_ne!(other["SecretAccessKey"], made["SecretAccessKey"]);
    });
}

#[test]
fn a_user_has_two_keys_at_most() {
    each_world(|world| {
        world.ok("CreateUser", json!({"UserName": "bob"}));
        create(world, "bob");
        let second = create(world, "bob");
        let id = text(&second["AccessKeyId"]);
        let bob = json!({"UserName": "bob"});
        let says = "AccessKeysPerUser: 2";
        world.fails(
            "CreateAccessKey",
            bob.clone(),
            "LimitExceededException",
            says,
        );
        // A key that is switched off counts; a deleted one does not.
        update(world, id, "Inactive");
        world.fails("CreateAccessKey", bob, "LimitExceededException", says);
        world.ok(
            "DeleteAccessKey",
            json!({"UserName": "bob", "AccessKeyId": id}),
        );
        create(world, "bob");
    });
}

#[test]
fn a_key_is_switched_off_and_on() {
    each_world(|world| {
        world.ok("CreateUser", json!({"UserName": "bob"}));
        let made = create(world, "bob");
        let id = text(&made["AccessKeyId"]);
        for (status, active) in [("Inactive", false), ("Inactive", false), ("Active", true)] {
            update(world, id, status);
            assert_eq!(world.find(id).unwrap().active, active, "{status}");
            let listed = world.ok("ListAccessKeys", json!({"UserName": "bob"}));
            assert_eq!(column(&listed["AccessKeyMetadata"], "Status"), [status]);
        }
        for (status, exception) in [
            ("Expired", "InvalidInputException"),
            ("active", "ValidationError"),
        ] {
            let input = json!({"UserName": "bob", "AccessKeyId": id, "Status": status});
            world.fails("UpdateAccessKey", input, exception, "tatus");
            assert!(world.find(id).unwrap().active, "{status}");
        }
    });
}

#[test]
fn a_key_is_found_with_its_own_user_only() {
    each_world(|world| {
        for name in ["bob", "eve"] {
            world.ok("CreateUser", json!({"UserName": name}));
        }
        let made = create(world, "bob");
        let id = text(&made["AccessKeyId"]);
        let check = |operation: &str, user: Value, key: &str, says: &str| {
            let input = json!({"UserName": user, "AccessKeyId": key, "Status": "Inactive"});
            world.fails(operation, input, "NoSuchEntityException", says);
        };
        let unknown = "AKIAAAAAAAAAAAAAAAAA";
        for operation in ["UpdateAccessKey", "DeleteAccessKey"] {
            let says = format!("The Access Key with id {id} cannot be found.");
            check(operation, json!("eve"), id, &says);
            // Nobody named: the caller, whose key it is not.
            check(operation, Value::Null, id, &says);
            check(operation, json!("bob"), unknown, unknown);
            check(operation, json!("nobody"), id, "user with name nobody");
        }
        for operation in ["CreateAccessKey", "ListAccessKeys"] {
            let input = json!({"UserName": "nobody"});
            world.fails(operation, input, "NoSuchEntityException", "nobody");
        }
        assert!(world.find(id).unwrap().active);
        world.ok(
            "DeleteAccessKey",
            json!({"UserName": "bob", "AccessKeyId": id}),
        );
        assert!(world.find(id).is_none());
    });
}

#[test]
fn a_caller_rotates_its_own_key() {
    each_world(|world| {
        let old = world.administrator.access_key_id.clone().unwrap();
        let made = world.ok("CreateAccessKey", json!({}));
        let id = text(&made["AccessKey"]["AccessKeyId"]);
        let new = world.caller(id);
        let delete = json!({"AccessKeyId": old});
        world.call(&new, "DeleteAccessKey", delete).unwrap();
        assert!(world.find(&old).is_none());
        let listed = world.call(&new, "ListAccessKeys", json!({})).unwrap();
        assert_eq!(column(&listed["AccessKeyMetadata"], "AccessKeyId"), [id]);
    });
}

#[test]
fn keys_are_listed_by_pages() {
    each_world(|world| {
        for name in ["bob", "eve"] {
            world.ok("CreateUser", json!({"UserName": name}));
            create(world, name);
            create(world, name);
        }
        let bob = json!({"UserName": "bob"});
        let pages = world.pages("ListAccessKeys", &bob, "AccessKeyMetadata", 1);
        let ids: Vec<_> = pages
            .iter()
            .map(|page| text(&page[0]["AccessKeyId"]))
            .collect();
        assert!(ids.len() == 2 && ids.is_sorted(), "{ids:?}");
        let eve = json!({"UserName": "eve"});
        world.check_markers("ListAccessKeys", &bob, Some(&eve));
    });
}

fn last_used(world: &World, key: &str) -> Value {
    let found = world.ok("GetAccessKeyLastUsed", json!({"AccessKeyId": key}));
    assert_eq!(found["UserName"], "bob");
    found["AccessKeyLastUsed"].clone()
}

#[test]
fn a_key_says_when_it_was_last_used() {
    each_world(|world| {
        world.ok("CreateUser", json!({"UserName": "bob"}));
        let made = create(world, "bob");
        let key = text(&made["AccessKeyId"]);
        assert_eq!(
            last_used(world, key),
            json!({"ServiceName": "N/A", "Region": "N/A"})
        );

        let used = |seconds: f64, service: &str| json!({"LastUsedDate": seconds, "ServiceName": service, "Region": "us-east-1"});
        world.use_key(key, "iot", 100);
        assert_eq!(last_used(world, key), used(100.0, "iot"), "noted");
        assert_eq!(world.write_usage(), 1);
        assert_eq!(world.write_usage(), 0, "written once");
        assert_eq!(last_used(world, key), used(100.0, "iot"), "written");
        world.use_key(key, "iam", 200);
        assert_eq!(last_used(world, key), used(200.0, "iam"), "the newest");
        world.use_key("ASIAWITHOUTAROW", "iot", 300);
        assert_eq!(world.write_usage(), 1, "temporary keys have no row");
        let unknown = json!({"AccessKeyId": "AKIAUNKNOWNUNKNOWN12"});
        world.fails(
            "GetAccessKeyLastUsed",
            unknown,
            "AccessDeniedException",
            "no access key",
        );
    });
}
