use serde_json::{Value, json};

use crate::world::{A, World, account, column, each_world, text, trust};

fn create(world: &World, name: &str) -> Value {
    world.ok("CreateRole", input(name))["Role"].clone()
}

fn input(name: &str) -> Value {
    json!({"RoleName": name, "AssumeRolePolicyDocument": trust(&account()).to_string()})
}

fn with(name: &str, member: &str, value: Value) -> Value {
    let mut input = input(name);
    input[member] = value;
    input
}

#[test]
fn a_role_is_shown_as_it_was_created() {
    each_world(|world| {
        let tags = json!([{"Key": "team", "Value": "a"}]);
        let mut asked = input("ops");
        asked["Description"] = json!("operations, d\u{e9}partement 3");
        asked["MaxSessionDuration"] = json!(7200);
        asked["Tags"] = tags.clone();
        asked["AssumeRolePolicyDocument"] =
            json!(r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}}"#);
        let made = world.ok("CreateRole", asked)["Role"].clone();
        let id = text(&made["RoleId"]);
        assert!(id.starts_with("AROA") && id.len() == 20, "{id}");
        let document = "%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A\
                        %22%2A%22%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%7D";
        let mut expected = json!({
            "Path": "/",
            "RoleName": "ops",
            "RoleId": id,
            "Arn": format!("{A}role/ops"),
            "CreateDate": 1_767_323_045.0,
            "AssumeRolePolicyDocument": document,
            "Description": "operations, d\u{e9}partement 3",
            "MaxSessionDuration": 7200,
            "Tags": tags,
        });
        assert_eq!(made, expected);
        assert_eq!(
            world.ok("GetRole", json!({"RoleName": "ops"}))["Role"],
            expected
        );
        expected.as_object_mut().unwrap().remove("Tags");
        let listed = world.ok("ListRoles", json!({}));
        assert_eq!(listed, json!({"Roles": [expected], "IsTruncated": false}));
    });
}

#[test]
fn the_model_and_the_quotas_bound_a_role() {
    each_world(|world| {
        let boundary = format!("{A}policy/b");
        for (input, says) in [
            (input(&"x".repeat(65)), "RoleName"),
            (input("a/b"), "RoleName"),
            (json!({"RoleName": "r"}), "AssumeRolePolicyDocument"),
            (
                with("r", "MaxSessionDuration", json!(3599)),
                "MaxSessionDuration",
            ),
            (
                with("r", "MaxSessionDuration", json!(43_201)),
                "MaxSessionDuration",
            ),
            (
                with("r", "Description", json!("x".repeat(1001))),
                "Description",
            ),
            (with("r", "Path", json!("/x/")), "Path"),
            (
                with("r", "PermissionsBoundary", json!(boundary)),
                "PermissionsBoundary",
            ),
        ] {
            world.fails("CreateRole", input, "ValidationError", says);
        }
        create(world, &"x".repeat(64));
        for (name, member, value) in [
            ("a", "MaxSessionDuration", json!(3600)),
            ("b", "MaxSessionDuration", json!(43_200)),
            ("c", "Description", json!("x".repeat(1000))),
        ] {
            world.ok("CreateRole", with(name, member, value));
        }
        let taken = "Role with name A already exists.";
        world.fails(
            "CreateRole",
            input("A"),
            "EntityAlreadyExistsException",
            taken,
        );
        for operation in ["GetRole", "DeleteRole", "UpdateRole"] {
            let says = "The role with name A cannot be found.";
            world.fails(
                operation,
                json!({"RoleName": "A"}),
                "NoSuchEntityException",
                says,
            );
        }
    });
}

#[test]
fn a_trust_policy_must_be_valid_and_short() {
    each_world(|world| {
        create(world, "r");
        world.ok("CreateUser", json!({"UserName": "bob"}));
        let padded = |bytes: usize| {
            let document = trust(&account()).to_string();
            let padding = " ".repeat(bytes - document.len());
            document + &padding
        };
        let update = |document: &str| json!({"RoleName": "r", "PolicyDocument": document});
        let create = |document: &str| with("s", "AssumeRolePolicyDocument", json!(document));
        let refused = |document: &str, exception: &str, says: &str| {
            world.fails("UpdateAssumeRolePolicy", update(document), exception, says);
            world.fails("CreateRole", create(document), exception, says);
        };
        let arn = |resource: &str| json!({"AWS": ["*", format!("{A}{resource}")]});
        for (document, says) in [
            ("{}".to_owned(), "Statement"),
            (
                crate::world::allow("sts:AssumeRole", "*").to_string(),
                "Resource",
            ),
            (trust(&json!({})).to_string(), "Principal"),
            (trust(&json!({"AWS": "bob"})).to_string(), "bob"),
            (
                trust(&arn("user/nobody")).to_string(),
                "Invalid principal in policy: \"AWS\"",
            ),
            (trust(&arn("role/s")).to_string(), "Invalid principal"),
            (trust(&arn("group/g")).to_string(), "Invalid principal"),
            (trust(&arn("user/BOB")).to_string(), "Invalid principal"),
            (
                trust(&json!({"AWS": "arn:aws-cn:iam::111122223333:user/bob"})).to_string(),
                "Invalid principal",
            ),
        ] {
            refused(&document, "MalformedPolicyDocumentException", says);
        }
        refused(
            &padded(8193),
            "LimitExceededException",
            "ACLSizePerRole: 8192",
        );
        for document in [
            padded(8192),
            trust(&arn("user/bob")).to_string(),
            trust(&arn("role/r")).to_string(),
            // Nobody of another account calls here, so the name is left alone.
            trust(&json!({"AWS": "arn:aws:iam::444455556666:user/x"})).to_string(),
            trust(&json!({"Service": "credentials.iot.amazonaws.com"})).to_string(),
        ] {
            world.ok("UpdateAssumeRolePolicy", update(&document));
        }
        let nobody = json!({"RoleName": "x", "PolicyDocument": padded(200)});
        world.fails(
            "UpdateAssumeRolePolicy",
            nobody,
            "NoSuchEntityException",
            "x",
        );
    });
}

#[test]
fn a_role_is_updated() {
    each_world(|world| {
        let made = world.ok("CreateRole", with("r", "Description", json!("first")));
        let shown = |description: &str, seconds: u32| {
            let mut expected = made["Role"].clone();
            expected["Description"] = json!(description);
            expected["MaxSessionDuration"] = json!(seconds);
            assert_eq!(
                world.ok("GetRole", json!({"RoleName": "r"}))["Role"],
                expected
            );
        };
        shown("first", 3600);
        let update = |input: Value| {
            assert_eq!(world.ok("UpdateRole", input), json!({}));
        };
        update(json!({"RoleName": "r", "MaxSessionDuration": 7200}));
        shown("first", 7200);
        // As the model says: a duration that is not given becomes the default.
        update(json!({"RoleName": "r", "Description": "second"}));
        shown("second", 3600);
        update(json!({"RoleName": "r", "Description": ""}));
        shown("", 3600);
    });
}

#[test]
fn roles_are_listed_by_pages() {
    each_world(|world| {
        for name in ["b", "a", "C"] {
            create(world, name);
        }
        let pages = world.pages("ListRoles", &json!({}), "Roles", 2);
        let pages: Vec<_> = pages.into_iter().map(Value::Array).collect();
        let names: Vec<_> = pages.iter().map(|page| column(page, "RoleName")).collect();
        assert_eq!(names, [vec!["C", "a"], vec!["b"]]);
        let none = world.ok("ListRoles", json!({"PathPrefix": "/x/"}));
        assert_eq!(none, json!({"Roles": [], "IsTruncated": false}));
        world.check_markers("ListRoles", &json!({}), None);
    });
}

#[test]
fn a_role_is_deleted_when_nothing_depends_on_it() {
    each_world(|world| {
        let made = world.role("r", &account());
        let name = json!({"RoleName": "r"});
        let tags = json!([{"Key": "team", "Value": "a"}]);
        world.ok("TagRole", json!({"RoleName": "r", "Tags": tags}));
        let says = "must delete policies first";
        world.fails("DeleteRole", name.clone(), "DeleteConflictException", says);
        world.ok(
            "DeleteRolePolicy",
            json!({"RoleName": "r", "PolicyName": "all"}),
        );
        world.ok("DeleteRole", name.clone());
        world.fails("GetRole", name.clone(), "NoSuchEntityException", "r");
        let again = create(world, "r");
        assert_ne!(again["RoleId"], made["RoleId"]);
        let tags = world.ok("ListRoleTags", name.clone());
        assert_eq!(tags, json!({"Tags": [], "IsTruncated": false}));
        let policies = world.ok("ListRolePolicies", name);
        assert_eq!(policies, json!({"PolicyNames": [], "IsTruncated": false}));
    });
}

#[test]
fn the_number_of_roles_is_bounded() {
    each_world(|world| {
        let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4999) \
                   INSERT INTO iam_roles (name, folded_name, role_id, trust, session_seconds_max, \
                   created_at) SELECT ?1 || i, 'r' || i, 'AROA' || i, '{}', 3600, 0 FROM n";
        world.fill(sql, "r");
        create(world, "last");
        let says = "RolesPerAccount: 5000";
        world.fails("CreateRole", input("more"), "LimitExceededException", says);
        world.ok("DeleteRole", json!({"RoleName": "r7"}));
        create(world, "more");
    });
}
