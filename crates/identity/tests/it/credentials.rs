//! What the gateway is told of an access key.

use std::time::Duration;

use gateway::CallerKind;
use serde_json::{Value, json};

use crate::world::{A, account, allow, each_world, text};

#[test]
fn the_key_of_a_user() {
    each_world(|world| {
        let bob = world.user("bob", Some(&allow("iot:*", "*")));
        let tags = json!([{"Key": "Team", "Value": "blue"}]);
        world.ok("TagUser", json!({"UserName": "bob", "Tags": tags}));
        let id = bob.access_key_id.as_deref().unwrap();
        let found = world.find(id).unwrap();
        assert!(found.active && found.session_token.is_none() && found.expires.is_none());
        let who = &found.caller;
        assert_eq!(who.kind, CallerKind::User);
        assert_eq!(who.arn, format!("{A}user/bob"));
        assert!(who.user_id.starts_with("AIDA"));
        assert_eq!(who.session_name, None);
        assert_eq!(who.tags.get("Team").map(String::as_str), Some("blue"));
        let [policy] = who.policies.as_slice() else {
            panic!("{:?}", who.policies);
        };
        assert_eq!(&*policy.name, "p");
        assert_eq!(*policy.text, allow("iot:*", "*").to_string());

        let status = |status: &str| json!({"UserName": "bob", "AccessKeyId": id, "Status": status});
        world.ok("UpdateAccessKey", status("Inactive"));
        assert!(!world.find(id).unwrap().active);
        world.ok("UpdateAccessKey", status("Active"));
        assert!(world.find(id).unwrap().active);
        world.ok(
            "DeleteUserPolicy",
            json!({"UserName": "bob", "PolicyName": "p"}),
        );
        assert!(world.find(id).unwrap().caller.policies.is_empty());
        world.ok("DeleteAccessKey", status("Active"));
        for gone in [
            id,
            "AKIAAAAAAAAAAAAAAAAA",
            "ASIAAAAAAAAAAAAAAAAA",
            "",
            "ASIA",
        ] {
            assert!(world.find(gone).is_none(), "{gone}");
        }
    });
}

#[test]
fn the_key_of_a_session() {
    each_world(|world| {
        let role = world.role("ops", &account());
        let tags = json!([{"Key": "Team", "Value": "blue"}]);
        world.ok("TagRole", json!({"RoleName": "ops", "Tags": tags}));
        let made = world.session(&world.administrator, "ops", "anna");
        let id = text(&made["AccessKeyId"]);
        let found = world.find(id).unwrap();
        assert!(found.active);
        assert_eq!(found.secret.as_str(), text(&made["SecretAccessKey"]));
        assert_eq!(
            found.session_token.as_deref(),
            made["SessionToken"].as_str()
        );
        let end = world.now().after(Duration::from_secs(3600));
        assert_eq!(found.expires, Some(end));
        let who = &found.caller;
        let issued_at = world.now();
        assert_eq!(who.kind, CallerKind::AssumedRole { issued_at });
        assert_eq!(who.arn, "arn:aws:sts::111122223333:assumed-role/ops/anna");
        assert_eq!(who.user_id, format!("{}:anna", text(&role["RoleId"])));
        assert_eq!(who.session_name.as_deref(), Some("anna"));
        assert_eq!(who.tags.get("Team").map(String::as_str), Some("blue"));
        assert_eq!(who.policies.len(), 1);

        // The policies of the role as they are now, not as they were when it was assumed.
        let policy = json!({"RoleName": "ops", "PolicyName": "all"});
        world.ok("DeleteRolePolicy", policy);
        assert!(world.find(id).unwrap().caller.policies.is_empty());
        // Over, it says so until it is forgotten.
        world.pass(Duration::from_secs(3600));
        assert_eq!(world.find(id).unwrap().expires, Some(world.now()));
        world.forget_expired_sessions();
        assert!(world.find(id).is_none());
    });
}

#[test]
fn sessions_end_with_their_role() {
    each_world(|world| {
        let trust = json!({
            "RoleName": "ops",
            "AssumeRolePolicyDocument": crate::world::trust(&account()).to_string(),
        });
        let keys: Vec<Value> = (0..2)
            .map(|_| {
                world.ok("CreateRole", trust.clone());
                let made = world.session(&world.administrator, "ops", "anna");
                world.ok("DeleteRole", json!({"RoleName": "ops"}));
                made["AccessKeyId"].clone()
            })
            .collect();
        world.ok("CreateRole", trust);
        for key in keys {
            assert!(world.find(text(&key)).is_none(), "{key}");
        }
    });
}

#[test]
fn a_user_recreated_under_a_name_has_none_of_the_old_keys() {
    each_world(|world| {
        let old = world.user("bob", None);
        let id = old.access_key_id.as_deref().unwrap();
        let key = json!({"UserName": "bob", "AccessKeyId": id});
        world.ok("DeleteAccessKey", key.clone());
        world.ok("DeleteUser", json!({"UserName": "bob"}));
        assert!(world.find(id).is_none());
        let new = world.user("bob", None);
        assert_ne!(new.user_id, old.user_id);
        world.fails("DeleteAccessKey", key, "NoSuchEntityException", id);
    });
}
