use serde_json::{Value, json};

use crate::world::{A, World, column, each_world, text};

fn create(world: &World, name: &str) -> Value {
    world.ok("CreateUser", json!({"UserName": name}))["User"].clone()
}

#[test]
fn a_user_is_shown_as_it_was_created() {
    each_world(|world| {
        let tags = json!([{"Key": "team", "Value": "a"}]);
        let input = json!({"UserName": "bob", "Path": "/", "Tags": tags});
        let made = world.ok("CreateUser", input)["User"].clone();
        let id = text(&made["UserId"]);
        assert!(id.starts_with("AIDA") && id.len() == 20, "{id}");
        let expected = json!({
            "Path": "/",
            "UserName": "bob",
            "UserId": id,
            "Arn": format!("{A}user/bob"),
            "CreateDate": 1_767_323_045.0,
            "Tags": tags,
        });
        assert_eq!(made, expected);
        let shown = world.ok("GetUser", json!({"UserName": "bob"}));
        assert_eq!(shown, json!({"User": expected}));
        // A list leaves tags out, as the model says.
        let listed = world.ok("ListUsers", json!({}));
        assert_eq!(
            column(&listed["Users"], "UserName"),
            ["administrator", "bob"]
        );
        assert_eq!(listed["Users"][1].get("Tags"), None);
    });
}

#[test]
fn whoever_names_no_user_means_itself() {
    each_world(|world| {
        let shown = world.ok("GetUser", json!({}));
        assert_eq!(shown["User"]["UserName"], "administrator");
        world.role("r", &crate::world::account());
        let session = world.session(&world.administrator, "r", "s1");
        let session = world.caller(text(&session["AccessKeyId"]));
        let says = "Must specify userName";
        for operation in ["GetUser", "CreateAccessKey", "ListAccessKeys"] {
            world.fails_as(&session, operation, json!({}), "ValidationError", says);
        }
        // By id: the name may belong to somebody else by now.
        let was = world.user("carol", Some(&crate::world::allow("*", "*")));
        let renamed = json!({"UserName": "carol", "NewUserName": "caroline"});
        world.ok("UpdateUser", renamed);
        create(world, "carol");
        let shown = world.call(&was, "GetUser", json!({})).unwrap();
        assert_eq!(shown["User"]["UserName"], "caroline");
    });
}

#[test]
fn names_have_limits_and_are_unique_whatever_their_case() {
    each_world(|world| {
        create(world, "Bob");
        for (name, exception) in [
            ("x".repeat(64), None),
            ("x".repeat(65), Some("ValidationError")),
            (String::new(), Some("ValidationError")),
            ("a+=,.@_-9".to_owned(), None),
            ("a/b".to_owned(), Some("ValidationError")),
            ("a*".to_owned(), Some("ValidationError")),
            ("\u{e9}".to_owned(), Some("ValidationError")),
            ("Bob".to_owned(), Some("EntityAlreadyExistsException")),
            ("bOB".to_owned(), Some("EntityAlreadyExistsException")),
        ] {
            let input = json!({"UserName": name});
            match exception {
                None => drop(create(world, &name)),
                Some(exception) => world.fails("CreateUser", input, exception, ""),
            }
        }
        let no_such = "The user with name bob cannot be found.";
        for operation in ["GetUser", "DeleteUser"] {
            let input = json!({"UserName": "bob"});
            world.fails(operation, input, "NoSuchEntityException", no_such);
        }
    });
}

#[test]
fn what_is_not_enforced_is_not_taken() {
    each_world(|world| {
        let boundary = format!("{A}policy/boundary");
        for (operation, member, value) in [
            ("CreateUser", "Path", "/division/"),
            ("CreateUser", "PermissionsBoundary", &boundary),
            ("UpdateUser", "NewPath", "/division/"),
        ] {
            let input = json!({"UserName": "bob", member: value});
            world.fails(operation, input, "ValidationError", "not supported");
        }
    });
}

#[test]
fn users_are_listed_by_pages_in_order() {
    each_world(|world| {
        for name in ["b", "a", "B2", "c"] {
            create(world, name);
        }
        let pages = world.pages("ListUsers", &json!({}), "Users", 2);
        let names: Vec<_> = pages.into_iter().map(Value::Array).collect();
        let names: Vec<_> = names.iter().map(|page| column(page, "UserName")).collect();
        assert_eq!(
            names,
            [vec!["B2", "a"], vec!["administrator", "b"], vec!["c"]]
        );
        for (prefix, count) in [("/", 5), ("/division/", 0)] {
            let listed = world.ok("ListUsers", json!({"PathPrefix": prefix}));
            assert_eq!(listed["Users"].as_array().unwrap().len(), count, "{prefix}");
            assert_eq!(listed["IsTruncated"], false);
        }
        world.check_markers("ListUsers", &json!({}), None);
        world.role("r", &crate::world::account());
        world.role("r2", &crate::world::account());
        let roles = world.ok("ListRoles", json!({"MaxItems": 1}));
        let input = json!({"Marker": roles["Marker"]});
        world.fails("ListUsers", input, "ValidationError", "Marker");
    });
}

#[test]
fn a_user_is_renamed_with_all_it_has() {
    each_world(|world| {
        let key = world.user("bob", Some(&crate::world::allow("iot:*", "*")));
        create(world, "eve");
        let rename = |to: &str| json!({"UserName": "bob", "NewUserName": to});
        let taken = "User with name Eve already exists.";
        world.fails(
            "UpdateUser",
            rename("Eve"),
            "EntityAlreadyExistsException",
            taken,
        );
        world.fails(
            "UpdateUser",
            rename(&"x".repeat(65)),
            "ValidationError",
            "NewUserName",
        );
        let nobody = json!({"UserName": "nobody", "NewUserName": "x"});
        world.fails("UpdateUser", nobody, "NoSuchEntityException", "nobody");

        world.ok("UpdateUser", json!({"UserName": "bob", "NewPath": "/"}));
        world.ok("UpdateUser", rename("bob"));
        world.ok("UpdateUser", rename("Bob"));
        let caller = world.caller(key.access_key_id.as_deref().unwrap());
        assert_eq!(caller.arn, format!("{A}user/Bob"));
        assert_eq!(caller.user_id, key.user_id);
        assert_eq!(caller.policies.len(), 1);
        world.fails(
            "GetUser",
            json!({"UserName": "bob"}),
            "NoSuchEntityException",
            "bob",
        );
        // The old name is free, the new one is taken.
        world.ok(
            "UpdateUser",
            json!({"UserName": "Bob", "NewUserName": "rob"}),
        );
        create(world, "bob");
        let input = json!({"UserName": "ROB"});
        world.fails("CreateUser", input, "EntityAlreadyExistsException", "ROB");
    });
}

#[test]
fn a_user_is_deleted_when_nothing_depends_on_it() {
    each_world(|world| {
        let caller = world.user("bob", Some(&crate::world::allow("iot:*", "*")));
        let bob = json!({"UserName": "bob"});
        let keys = "must delete access keys first";
        world.fails("DeleteUser", bob.clone(), "DeleteConflictException", keys);
        let key = json!({"UserName": "bob", "AccessKeyId": caller.access_key_id});
        world.ok("DeleteAccessKey", key);
        let policies = "must delete policies first";
        world.fails(
            "DeleteUser",
            bob.clone(),
            "DeleteConflictException",
            policies,
        );
        world.ok(
            "DeleteUserPolicy",
            json!({"UserName": "bob", "PolicyName": "p"}),
        );
        let tags = json!([{"Key": "team", "Value": "a"}]);
        world.ok("TagUser", json!({"UserName": "bob", "Tags": tags}));
        world.ok("DeleteUser", bob.clone());
        world.fails("GetUser", bob.clone(), "NoSuchEntityException", "bob");

        // One re-created under the name inherits nothing.
        let again = create(world, "bob");
        assert_ne!(again["UserId"], json!(caller.user_id));
        assert_eq!(again.get("Tags"), None);
        let tags = world.ok("ListUserTags", bob.clone());
        assert_eq!(tags, json!({"Tags": [], "IsTruncated": false}));
        let policies = world.ok("ListUserPolicies", bob);
        assert_eq!(policies, json!({"PolicyNames": [], "IsTruncated": false}));
    });
}

#[test]
fn the_number_of_users_is_bounded() {
    each_world(|world| {
        // With the administrator 4999.
        let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4998) \
                   INSERT INTO iam_users (name, folded_name, user_id, created_at) \
                   SELECT ?1 || i, 'u' || i, 'AIDA' || i, 0 FROM n";
        world.fill(sql, "u");
        create(world, "last");
        let input = json!({"UserName": "more"});
        world.fails(
            "CreateUser",
            input,
            "LimitExceededException",
            "UsersPerAccount: 5000",
        );
        world.ok("DeleteUser", json!({"UserName": "u7"}));
        create(world, "more");
    });
}
