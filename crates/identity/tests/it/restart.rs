//! What was acknowledged is there when the database is opened again.

use std::sync::Arc;

use serde_json::{Value, json};
use storage::Urgency;

use crate::world::{A, World, allow, migrations, text};

/// Everything that can be read back.
fn everything(world: &World, keys: &[String]) -> Vec<String> {
    let lists = [
        ("GetUser", json!({"UserName": "bob"})),
        ("ListUsers", json!({})),
        ("ListAccessKeys", json!({"UserName": "bob"})),
        ("ListUserPolicies", json!({"UserName": "bob"})),
        (
            "GetUserPolicy",
            json!({"UserName": "bob", "PolicyName": "p"}),
        ),
        ("ListUserTags", json!({"UserName": "bob"})),
        ("GetRole", json!({"RoleName": "ops"})),
        ("ListRoles", json!({})),
        ("ListRolePolicies", json!({"RoleName": "ops"})),
        (
            "GetRolePolicy",
            json!({"RoleName": "ops", "PolicyName": "all"}),
        ),
        ("ListRoleTags", json!({"RoleName": "ops"})),
    ];
    let shown = lists.map(|(operation, input)| world.ok(operation, input).to_string());
    let credentials = keys.iter().map(|key| {
        let found = world.find(key).expect("a credential");
        let (secret, token) = (found.secret.as_str(), &found.session_token);
        format!("{secret} {token:?} {:?} {:?}", found.active, found.expires)
    });
    shown.into_iter().chain(credentials).collect()
}

fn fill(world: &World) -> Vec<String> {
    let bob = world.user("bob", Some(&allow("sts:*", "*")));
    let off = world.ok("CreateAccessKey", json!({"UserName": "bob"}));
    let off = text(&off["AccessKey"]["AccessKeyId"]);
    let update = json!({"UserName": "bob", "AccessKeyId": off, "Status": "Inactive"});
    world.ok("UpdateAccessKey", update);
    world.role("ops", &json!({"AWS": format!("{A}user/bob")}));
    let tags = json!([{"Key": "team", "Value": "blue"}, {"Key": "Site", "Value": "north"}]);
    world.ok("TagUser", json!({"UserName": "bob", "Tags": tags}));
    world.ok("TagRole", json!({"RoleName": "ops", "Tags": tags}));
    world.ok(
        "UpdateRole",
        json!({"RoleName": "ops", "Description": "operations"}),
    );
    let session = world.session(&bob, "ops", "s1");
    let keys = [
        bob.access_key_id.as_deref().unwrap(),
        off,
        text(&session["AccessKeyId"]),
    ];
    keys.map(str::to_owned).to_vec()
}

#[test]
fn everything_survives() {
    for database in testkit::databases() {
        println!("on {}", database.engine);
        let open = |key: &str| {
            World::open(
                database.open(&migrations()),
                Arc::clone(&database.clock),
                key,
            )
        };
        let storage = database.open(&migrations());
        let created = storage.write_blocking(Urgency::Normal, |tx| {
            let now = tx.now();
            identity::create_administrator(tx, now)
        });
        let administrator = created.unwrap().value.id;
        let world = World::open(storage, Arc::clone(&database.clock), &administrator);
        let keys = fill(&world);
        let before = everything(&world, &keys);
        let marker = world.ok("ListUsers", json!({"MaxItems": 1}))["Marker"].clone();
        world.close();

        let world = open(&administrator);
        assert_eq!(everything(&world, &keys), before);
        // Who is trusted, and where a list goes on.
        world.session(&world.caller(&keys[0]), "ops", "s2");
        let page = world.ok("ListUsers", json!({"Marker": marker}));
        assert_eq!(page["Users"].as_array().map(Vec::len), Some(1));
        for (operation, input) in deletions(&keys) {
            world.ok(operation, input);
        }
        world.close();

        let world = open(&administrator);
        for (operation, input) in [
            ("GetUser", json!({"UserName": "bob"})),
            ("GetRole", json!({"RoleName": "ops"})),
        ] {
            world.fails(operation, input, "NoSuchEntityException", "");
        }
        for key in &keys {
            assert!(world.find(key).is_none(), "{key}");
        }
        world.close();
    }
}

fn deletions(keys: &[String]) -> Vec<(&'static str, Value)> {
    let key = |at: usize| json!({"UserName": "bob", "AccessKeyId": keys[at]});
    vec![
        ("DeleteAccessKey", key(0)),
        ("DeleteAccessKey", key(1)),
        (
            "DeleteUserPolicy",
            json!({"UserName": "bob", "PolicyName": "p"}),
        ),
        ("DeleteUser", json!({"UserName": "bob"})),
        (
            "DeleteRolePolicy",
            json!({"RoleName": "ops", "PolicyName": "all"}),
        ),
        ("DeleteRole", json!({"RoleName": "ops"})),
    ]
}
