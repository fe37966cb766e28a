use identity::AccessKey;
use model::ApiError;
use serde_json::{Value, json};
use storage::Urgency;

use crate::world::{World, column, each_world};

fn recover(world: &World) -> AccessKey {
    let recovered = world.storage.write_blocking(Urgency::Containment, |tx| {
        let now = tx.now();
        identity::new_administrator_key(tx, now)
    });
    recovered.unwrap().value
}

/// The key works, and is the only one of a user who may do everything.
#[track_caller]
fn check_recovered(world: &World, name: &str) {
    let key = recover(world);
    let found = world.find(&key.id).unwrap();
    assert!(found.active && found.secret == key.secret);
    let caller = world.caller(&key.id);
    assert!(
        caller.arn.ends_with(&format!(":user/{name}")),
        "{}",
        caller.arn
    );
    let keys = world.call(&caller, "ListAccessKeys", json!({})).unwrap();
    let keys = &keys["AccessKeyMetadata"];
    assert_eq!(column(keys, "AccessKeyId"), [key.id.as_str()]);
    let policies = json!({"UserName": name});
    let policies = world.call(&caller, "ListUserPolicies", policies).unwrap();
    assert_eq!(policies["PolicyNames"], json!(["full-access"]));
}

#[test]
fn there_is_one() {
    each_world(|world| {
        let created = world.storage.write_blocking(Urgency::Normal, |tx| {
            let now = tx.now();
            identity::create_administrator(tx, now)
        });
        let error: ApiError = created.unwrap_err();
        assert_eq!(error.exception, "EntityAlreadyExistsException");
    });
}

#[test]
fn it_is_recovered_from_whatever_happened() {
    type Harm = fn(&World);
    fn call(world: &World, operation: &str, input: Value) {
        world.ok(operation, input);
    }
    let deny = r#"{"Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#;
    let harms: [(&str, Harm, &str); 5] = [
        ("the profile was lost", |_| (), "administrator"),
        (
            "both keys were switched off or lost",
            |world| {
                call(world, "CreateAccessKey", json!({}));
                let key = world.administrator.access_key_id.clone();
                let input = json!({"AccessKeyId": key, "Status": "Inactive"});
                call(world, "UpdateAccessKey", input);
            },
            "administrator",
        ),
        (
            "the policy was deleted",
            |world| {
                let input = json!({"UserName": "administrator", "PolicyName": "full-access"});
                call(world, "DeleteUserPolicy", input);
            },
            "administrator",
        ),
        (
            "the user was deleted",
            |world| {
                let user = json!({"UserName": "administrator"});
                let key = json!({"AccessKeyId": world.administrator.access_key_id});
                call(world, "DeleteAccessKey", key);
                let input = json!({"UserName": "administrator", "PolicyName": "full-access"});
                call(world, "DeleteUserPolicy", input);
                call(world, "DeleteUser", user);
            },
            "administrator",
        ),
        (
            "the user was renamed but for case",
            |world| {
                let input = json!({"UserName": "administrator", "NewUserName": "Administrator"});
                call(world, "UpdateUser", input);
            },
            "Administrator",
        ),
    ];
    for (what, harm, name) in harms {
        each_world(|world| {
            println!("{what}");
            harm(world);
            check_recovered(world, name);
        });
    }
    each_world(|world| {
        // Locked out by policies that leave no room for another.
        let padded = format!("{deny}{}", " ".repeat(20_000));
        let input = json!({
            "UserName": "administrator", "PolicyName": "lock", "PolicyDocument": padded,
        });
        world.ok("PutUserPolicy", input);
        let old = world.administrator.access_key_id.clone().unwrap();
        check_recovered(world, "administrator");
        assert!(world.find(&old).is_none());
    });
}

#[test]
fn its_policy_can_be_narrowed() {
    each_world(|world| {
        let narrow = crate::world::allow("sts:*", "*").to_string();
        let input = json!({
            "UserName": "administrator", "PolicyName": "full-access", "PolicyDocument": narrow,
        });
        world.ok("PutUserPolicy", input);
        let key = world.administrator.access_key_id.as_deref().unwrap();
        let now = world.caller(key);
        world.fails_as(
            &now,
            "ListUsers",
            json!({}),
            "AccessDeniedException",
            "iam:ListUsers",
        );
    });
}
