//! What each operation asks for before it runs.

use serde_json::{Value, json};

use crate::world::{A, World, account, allow, column, each_world, text};

/// Every operation but GetCallerIdentity, with a good input and the resources it asks about.
fn operations() -> Vec<(&'static str, Value, Vec<String>)> {
    let user = || vec![format!("{A}user/bob")];
    let role = || vec![format!("{A}role/ops")];
    let any = || vec!["*".to_owned()];
    let key = || json!({"UserName": "bob", "AccessKeyId": "AKIAAAAAAAAAAAAAAAAA"});
    let document = allow("iot:*", "*").to_string();
    let trust = crate::world::trust(&account()).to_string();
    let policy = |member: &str, name: &str| {
        let (policy_name, document) = ("p", document.clone());
        json!({member: name, "PolicyName": policy_name, "PolicyDocument": document})
    };
    let tags = |member: &str, name: &str| json!({member: name, "Tags": [], "TagKeys": []});
    let (bob, ops) = (json!({"UserName": "bob"}), json!({"RoleName": "ops"}));
    let renamed = json!({"UserName": "bob", "NewUserName": "rob"});
    let created = json!({"RoleName": "ops", "AssumeRolePolicyDocument": trust});
    let trusts = json!({"RoleName": "ops", "PolicyDocument": trust});
    let assumed = json!({"RoleArn": format!("{A}role/ops"), "RoleSessionName": "s1"});
    vec![
        ("CreateUser", bob.clone(), user()),
        ("GetUser", bob.clone(), user()),
        ("ListUsers", json!({}), any()),
        ("UpdateUser", bob.clone(), user()),
        (
            "UpdateUser",
            renamed,
            vec![format!("{A}user/bob"), format!("{A}user/rob")],
        ),
        ("DeleteUser", bob.clone(), user()),
        ("CreateAccessKey", bob.clone(), user()),
        ("ListAccessKeys", bob.clone(), user()),
        ("GetAccessKeyLastUsed", key(), any()),
        ("UpdateAccessKey", key(), user()),
        ("DeleteAccessKey", key(), user()),
        ("PutUserPolicy", policy("UserName", "bob"), user()),
        ("GetUserPolicy", policy("UserName", "bob"), user()),
        ("ListUserPolicies", bob, user()),
        ("DeleteUserPolicy", policy("UserName", "bob"), user()),
        ("TagUser", tags("UserName", "bob"), user()),
        ("UntagUser", tags("UserName", "bob"), user()),
        ("ListUserTags", tags("UserName", "bob"), user()),
        ("CreateRole", created, role()),
        ("GetRole", ops.clone(), role()),
        ("ListRoles", json!({}), any()),
        ("UpdateRole", ops.clone(), role()),
        ("UpdateAssumeRolePolicy", trusts, role()),
        ("DeleteRole", ops.clone(), role()),
        ("PutRolePolicy", policy("RoleName", "ops"), role()),
        ("GetRolePolicy", policy("RoleName", "ops"), role()),
        ("ListRolePolicies", ops, role()),
        ("DeleteRolePolicy", policy("RoleName", "ops"), role()),
        ("TagRole", tags("RoleName", "ops"), role()),
        ("UntagRole", tags("RoleName", "ops"), role()),
        ("ListRoleTags", tags("RoleName", "ops"), role()),
        ("AssumeRole", assumed, role()),
    ]
}

/// Whether the gateway lets a caller with this policy through to the operation.
fn passes(world: &World, policy: &Value, operation: &str, input: &Value) -> bool {
    let document = json!({
        "UserName": "caller", "PolicyName": "p", "PolicyDocument": policy.to_string(),
    });
    world.ok("PutUserPolicy", document);
    let keys = world.ok("ListAccessKeys", json!({"UserName": "caller"}));
    let key = text(&keys["AccessKeyMetadata"][0]["AccessKeyId"]);
    match world.call(&world.caller(key), operation, input.clone()) {
        Ok(_) => true,
        // There is no role that could trust the caller, and no such key: not the gateway's refusal.
        Err(error) if ["AssumeRole", "GetAccessKeyLastUsed"].contains(&operation) => {
            !error.message.contains("denial id")
        }
        Err(error) => error.exception != "AccessDeniedException",
    }
}

#[test]
fn each_operation_needs_its_action_on_its_resources() {
    each_world(|world| {
        world.user("caller", None);
        for (operation, input, resources) in operations() {
            let service = if operation == "AssumeRole" {
                "sts"
            } else {
                "iam"
            };
            let action = format!("{service}:{operation}");
            let policy = |action: &str, resources: &[String]| {
                let mut policy = allow(action, "");
                policy["Statement"]["Resource"] = json!(resources);
                policy
            };
            let check = |policy: Value, expected: bool| {
                let found = passes(world, &policy, operation, &input);
                assert_eq!(found, expected, "{operation} {input} by {policy}");
            };
            check(policy("iot:*", &["*".to_owned()]), false);
            check(
                policy(&action, &[format!("{A}user/x"), format!("{A}role/x")]),
                false,
            );
            for one in resources.iter().filter(|_| 1 < resources.len()) {
                check(policy(&action, std::slice::from_ref(one)), false);
            }
            check(policy(&action, &resources), true);
        }
        let routes = identity::operations(&identity::Usage::default()).len();
        // One operation stands twice, and GetCallerIdentity is open to everybody.
        assert_eq!(
            operations().len(),
            routes,
            "an operation is missing in the table"
        );
    });
}

#[test]
fn a_user_serves_itself_by_its_name() {
    each_world(|world| {
        let own = allow("iam:*", &format!("{A}user/${{aws:username}}"));
        let bob = world.user("bob", Some(&own));
        world.user("eve", None);
        let named = |name: &str| json!({"UserName": name});
        for operation in ["GetUser", "ListAccessKeys", "CreateAccessKey"] {
            world.call(&bob, operation, named("bob")).unwrap();
            let denied = "AccessDeniedException";
            world.fails_as(&bob, operation, named("eve"), denied, "user/eve");
        }
        // Who names nobody means itself. Two keys are all there can be, so one makes room.
        world.call(&bob, "GetUser", json!({})).unwrap();
        let keys = world.call(&bob, "ListAccessKeys", json!({})).unwrap();
        let keys = column(&keys["AccessKeyMetadata"], "AccessKeyId");
        let other = keys
            .iter()
            .find(|key| Some(**key) != bob.access_key_id.as_deref());
        let other = json!({"AccessKeyId": other.unwrap()});
        let mut inactive = other.clone();
        inactive["Status"] = json!("Inactive");
        world.call(&bob, "UpdateAccessKey", inactive).unwrap();
        world.call(&bob, "DeleteAccessKey", other).unwrap();
        world.call(&bob, "CreateAccessKey", json!({})).unwrap();
    });
}

#[test]
fn a_deny_on_a_user_holds_when_the_user_names_nobody() {
    each_world(|world| {
        let mut policy = allow("iam:*", "*");
        let deny = json!({"Effect": "Deny", "Action": "iam:*", "Resource": format!("{A}user/bob")});
        policy["Statement"] = json!([policy["Statement"], deny]);
        let bob = world.user("bob", Some(&policy));
        let key = json!({"AccessKeyId": bob.access_key_id, "Status": "Inactive"});
        for (operation, input) in [
            ("GetUser", json!({})),
            ("ListAccessKeys", json!({})),
            ("CreateAccessKey", json!({})),
            ("UpdateAccessKey", key.clone()),
            ("DeleteAccessKey", key),
        ] {
            let denied = "AccessDeniedException";
            world.fails_as(&bob, operation, input, denied, "explicit deny");
        }
    });
}

#[test]
fn a_member_of_another_operation_leads_nowhere() {
    each_world(|world| {
        world.role("ops", &account());
        let own = allow("iam:*", &format!("{A}user/bob"));
        let bob = world.user("bob", Some(&own));
        let tags = json!([{"Key": "team", "Value": "blue"}]);
        let input = json!({"UserName": "bob", "RoleName": "ops", "Tags": tags});
        world.call(&bob, "TagUser", input).unwrap();
        let document = allow("*", "*").to_string();
        let input = json!({
            "UserName": "bob", "RoleName": "ops", "PolicyName": "q", "PolicyDocument": document,
        });
        world.call(&bob, "PutUserPolicy", input).unwrap();
        let found = world.ok("ListRoleTags", json!({"RoleName": "ops"}));
        assert_eq!(found["Tags"], json!([]));
        let found = world.ok("ListRolePolicies", json!({"RoleName": "ops"}));
        assert_eq!(found["PolicyNames"], json!(["all"]));
    });
}
