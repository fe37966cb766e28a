use serde_json::{Value, json};

use crate::world::{World, account, each_world};

/// The same three operations for users and roles.
fn with_owners(test: impl Fn(&World, &str, &Value)) {
    each_world(|world| {
        world.ok("CreateUser", json!({"UserName": "bob"}));
        world.role("ops", &account());
        test(world, "User", &json!({"UserName": "bob"}));
        test(world, "Role", &json!({"RoleName": "ops"}));
    });
}

fn with(owner: &Value, member: &str, value: Value) -> Value {
    let mut input = owner.clone();
    input[member] = value;
    input
}

fn tag(key: &str, value: &str) -> Value {
    json!({"Key": key, "Value": value})
}

fn listed(world: &World, kind: &str, owner: &Value) -> Value {
    world.ok(&format!("List{kind}Tags"), owner.clone())["Tags"].clone()
}

#[test]
fn tags_are_added_replaced_and_removed() {
    with_owners(|world, kind, owner| {
        let add = |tags: Value| world.ok(&format!("Tag{kind}"), with(owner, "Tags", tags));
        let remove = |keys: Value| world.ok(&format!("Untag{kind}"), with(owner, "TagKeys", keys));
        add(json!([
            tag("b", "1"),
            tag("a", ""),
            tag("\u{c9}t\u{e9}", "x y")
        ]));
        let all = json!([tag("a", ""), tag("b", "1"), tag("\u{c9}t\u{e9}", "x y")]);
        assert_eq!(listed(world, kind, owner), all);
        // The case of a key is kept, and does not distinguish.
        add(json!([tag("B", "2"), tag("\u{e9}T\u{c9}", "z")]));
        let all = json!([tag("B", "2"), tag("a", ""), tag("\u{e9}T\u{c9}", "z")]);
        assert_eq!(listed(world, kind, owner), all);
        let shown = match kind {
            "User" => world.ok("GetUser", owner.clone())["User"]["Tags"].clone(),
            _ => world.ok("GetRole", owner.clone())["Role"]["Tags"].clone(),
        };
        assert_eq!(shown, all);
        remove(json!(["A", "unknown", "\u{c9}T\u{c9}"]));
        assert_eq!(listed(world, kind, owner), json!([tag("B", "2")]));
        remove(json!([]));
        add(json!([]));
        assert_eq!(listed(world, kind, owner), json!([tag("B", "2")]));
    });
}

#[test]
fn tags_have_limits() {
    with_owners(|world, kind, owner| {
        let operation = format!("Tag{kind}");
        let key = |letter: &str, count: usize| tag(&letter.repeat(count), "v");
        for (tags, exception, says) in [
            (json!([tag("", "v")]), "ValidationError", "Key"),
            (json!([key("k", 129)]), "ValidationError", "Key"),
            (
                json!([tag("k", &"v".repeat(257))]),
                "ValidationError",
                "Value",
            ),
            (json!([tag("k!", "v")]), "ValidationError", "Key"),
            (json!([{"Key": "k"}]), "ValidationError", "Value"),
            (
                json!([tag("aws:k", "v")]),
                "InvalidInputException",
                "reserved aws:",
            ),
            (json!([tag("AwS:k", "v")]), "InvalidInputException", "AwS:k"),
            (
                json!([tag("k", "1"), tag("K", "2")]),
                "InvalidInputException",
                "Duplicate",
            ),
        ] {
            let input = with(owner, "Tags", tags);
            world.fails(&operation, input, exception, says);
        }
        assert_eq!(listed(world, kind, owner), json!([]));
        let longest = json!([
            key("\u{6f22}", 128),
            tag("k", &"v".repeat(256)),
            tag("aws", "v")
        ]);
        world.ok(&operation, with(owner, "Tags", longest));
        assert_eq!(listed(world, kind, owner).as_array().unwrap().len(), 3);
        let more = |count: usize| -> Value {
            (0..count)
                .map(|at| tag(&format!("more{at}"), "v"))
                .collect()
        };
        let too_many = with(owner, "Tags", more(48));
        world.fails(&operation, too_many, "LimitExceededException", "tags: 50");
        assert_eq!(listed(world, kind, owner).as_array().unwrap().len(), 3);
        world.ok(&operation, with(owner, "Tags", more(47)));
        assert_eq!(listed(world, kind, owner).as_array().unwrap().len(), 50);
        world.ok(&operation, with(owner, "Tags", json!([tag("AWS", "w")])));
        world.fails(
            &operation,
            with(owner, "Tags", more(51)),
            "ValidationError",
            "ags",
        );
    });
}

#[test]
fn tags_given_at_creation_obey_the_same_rules() {
    each_world(|world| {
        let trust = crate::world::trust(&account()).to_string();
        for tags in [
            json!([tag("aws:k", "v")]),
            json!([tag("k", "1"), tag("K", "2")]),
        ] {
            let user = json!({"UserName": "bob", "Tags": tags});
            world.fails("CreateUser", user, "InvalidInputException", "");
            let role = json!({
                "RoleName": "ops", "AssumeRolePolicyDocument": trust, "Tags": tags,
            });
            world.fails("CreateRole", role, "InvalidInputException", "");
        }
        // Nothing of what failed is there.
        for (operation, input) in [
            ("GetUser", json!({"UserName": "bob"})),
            ("GetRole", json!({"RoleName": "ops"})),
        ] {
            world.fails(operation, input, "NoSuchEntityException", "");
        }
    });
}

#[test]
fn nobody_has_no_tags() {
    each_world(|world| {
        for (kind, member) in [("User", "UserName"), ("Role", "RoleName")] {
            let nobody = json!({member: "nobody", "Tags": [], "TagKeys": []});
            for operation in [
                format!("Tag{kind}"),
                format!("Untag{kind}"),
                format!("List{kind}Tags"),
            ] {
                let says = "with name nobody cannot be found";
                world.fails(&operation, nobody.clone(), "NoSuchEntityException", says);
            }
        }
    });
}

#[test]
fn tags_are_listed_by_pages() {
    with_owners(|world, kind, owner| {
        // Keys longer than a marker may be.
        let long = "\u{6f22}".repeat(127);
        let keys = [
            "a",
            "b",
            &format!("{long}1"),
            &format!("{long}2"),
            &format!("{long}3"),
        ];
        let tags: Value = keys.iter().map(|key| tag(key, "v")).collect();
        world.ok(&format!("Tag{kind}"), with(owner, "Tags", tags.clone()));
        let list = format!("List{kind}Tags");
        for size in 1..=5 {
            let pages = world.pages(&list, owner, "Tags", size);
            assert_eq!(pages.len(), 5_usize.div_ceil(size));
            assert_eq!(Value::from(pages.concat()), tags);
        }
        let other = match kind {
            "User" => json!({"UserName": "administrator"}),
            _ => {
                world.role("other", &account());
                json!({"RoleName": "other"})
            }
        };
        world.check_markers(&list, owner, Some(&other));
        // A marker beyond what is left.
        let first = world.ok(&list, with(owner, "MaxItems", json!(4)));
        let keys = with(owner, "TagKeys", json!(["a", "b", format!("{long}1")]));
        world.ok(&format!("Untag{kind}"), keys);
        let rest = world.ok(&list, with(owner, "Marker", first["Marker"].clone()));
        assert_eq!(rest, json!({"Tags": [], "IsTruncated": false}));
    });
}
