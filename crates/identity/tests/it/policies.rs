use serde_json::{Value, json};

use crate::world::{World, account, allow, each_world, text};

/// The same four operations for users and roles.
const OWNERS: [(&str, &str, &str); 2] = [("User", "UserName", "bob"), ("Role", "RoleName", "ops")];

fn with_owners(test: impl Fn(&World, &str, &Value)) {
    each_world(|world| {
        world.ok("CreateUser", json!({"UserName": "bob"}));
        let document = crate::world::trust(&account()).to_string();
        let input = json!({"RoleName": "ops", "AssumeRolePolicyDocument": document});
        world.ok("CreateRole", input);
        for (kind, member, name) in OWNERS {
            test(world, kind, &json!({member: name}));
        }
    });
}

fn with(owner: &Value, name: &str, document: Option<&str>) -> Value {
    let mut input = owner.clone();
    input["PolicyName"] = json!(name);
    if let Some(document) = document {
        input["PolicyDocument"] = json!(document);
    }
    input
}

/// A good document of exactly so many bytes.
fn document_of(bytes: usize) -> String {
    let document = allow("iot:*", "*").to_string();
    let padding = " ".repeat(bytes - document.len());
    document + &padding
}

#[test]
fn a_policy_is_put_shown_replaced_and_deleted() {
    with_owners(|world, kind, owner| {
        let (put, get) = (format!("Put{kind}Policy"), format!("Get{kind}Policy"));
        let one = allow("iot:*", "*").to_string();
        world.ok(&put, with(owner, "p", Some(&one)));
        let shown = world.ok(&get, with(owner, "p", None));
        let encoded = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%7B%22Effect%22%3A\
                       %22Allow%22%2C%22Action%22%3A%22iot%3A%2A%22%2C%22Resource%22%3A%22%2A%22\
                       %7D%7D";
        assert_eq!(shown, with(owner, "p", Some(encoded)));
        // Characters that mean something in an encoded text come back as they were.
        let odd = allow("iot:*", "arn:aws:iot:a:b:thing/a+b %2F-._~").to_string();
        world.ok(&put, with(owner, "p", Some(&odd)));
        let shown = world.ok(&get, with(owner, "p", None));
        let encoded = text(&shown["PolicyDocument"]);
        assert!(encoded.contains("thing%2Fa%2Bb%20%252F-._~"), "{encoded}");
        world.ok(&format!("Delete{kind}Policy"), with(owner, "p", None));
        let says = format!(
            "The {} policy with name p cannot be found.",
            kind.to_lowercase()
        );
        for operation in [get, format!("Delete{kind}Policy")] {
            world.fails(
                &operation,
                with(owner, "p", None),
                "NoSuchEntityException",
                &says,
            );
        }
    });
}

#[test]
fn an_operation_acts_on_the_owner_it_names() {
    each_world(|world| {
        for name in ["bob", "eve"] {
            world.user(name, Some(&allow("iot:*", "*")));
        }
        let bob = json!({"UserName": "bob"});
        world.ok("DeleteUserPolicy", with(&bob, "p", None));
        let eve = json!({"UserName": "eve"});
        assert_eq!(world.ok("ListUserPolicies", bob)["PolicyNames"], json!([]));
        assert_eq!(
            world.ok("ListUserPolicies", eve)["PolicyNames"],
            json!(["p"])
        );
        let own = json!({"UserName": "administrator"});
        let own = world.ok("ListUserPolicies", own);
        assert_eq!(own["PolicyNames"], json!(["full-access"]));
    });
}

#[test]
fn documents_must_be_valid() {
    with_owners(|world, kind, owner| {
        let put = format!("Put{kind}Policy");
        for (document, says) in [
            ("not JSON", "not valid JSON"),
            ("[]", "must be a JSON object"),
            ("{}", "Statement"),
            (
                r#"{"Statement":{"Effect":"Allow","Action":"iot:*"}}"#,
                "Resource",
            ),
            (
                r#"{"Statement":{"Effect":"allow","Action":"*","Resource":"*"}}"#,
                "Effect",
            ),
            (
                r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Principal":"*"}}"#,
                "Principal",
            ),
        ] {
            let exception = "MalformedPolicyDocumentException";
            world.fails(&put, with(owner, "p", Some(document)), exception, says);
        }
        for (name, document) in [
            ("p".to_owned(), Some(String::new())),
            ("p".to_owned(), Some("\u{263a}".to_owned())),
            ("p".to_owned(), None),
            (String::new(), Some(document_of(200))),
            ("p/q".to_owned(), Some(document_of(200))),
            ("x".repeat(129), Some(document_of(200))),
        ] {
            let input = with(owner, &name, document.as_deref());
            world.fails(&put, input, "ValidationError", "Policy");
        }
        world.ok(&put, with(owner, &"x".repeat(128), Some(&document_of(200))));
        let mut nobody = with(owner, "p", Some(&document_of(200)));
        for (_, member, _) in OWNERS {
            if nobody.get(member).is_some() {
                nobody[member] = json!("nobody");
            }
        }
        let says = "with name nobody cannot be found";
        for operation in ["Put", "Get", "Delete"] {
            let operation = format!("{operation}{kind}Policy");
            world.fails(&operation, nobody.clone(), "NoSuchEntityException", says);
        }
        let list = if kind == "User" {
            "ListUserPolicies"
        } else {
            "ListRolePolicies"
        };
        world.fails(list, nobody, "NoSuchEntityException", says);
    });
}

#[test]
fn the_policies_of_one_owner_are_bounded_together() {
    with_owners(|world, kind, owner| {
        let put = format!("Put{kind}Policy");
        world.ok(&put, with(owner, "a", Some(&document_of(20_000))));
        let too_much = with(owner, "b", Some(&document_of(481)));
        world.fails(&put, too_much, "LimitExceededException", "20480 bytes");
        world.ok(&put, with(owner, "b", Some(&document_of(480))));
        // What was refused is not there; what replaces makes room.
        let list = if kind == "User" {
            "ListUserPolicies"
        } else {
            "ListRolePolicies"
        };
        assert_eq!(
            world.ok(list, owner.clone())["PolicyNames"],
            json!(["a", "b"])
        );
        world.ok(&put, with(owner, "a", Some(&document_of(100))));
        for at in 2..100 {
            world.ok(
                &put,
                with(owner, &format!("p{at}"), Some(&document_of(100))),
            );
        }
        let one_more = with(owner, "p100", Some(&document_of(100)));
        world.fails(&put, one_more, "LimitExceededException", "role: 100");
        world.ok(&put, with(owner, "p99", Some(&document_of(101))));
    });
}

#[test]
fn policies_are_listed_by_pages() {
    with_owners(|world, kind, owner| {
        let put = format!("Put{kind}Policy");
        for name in ["b", "C", "a"] {
            world.ok(&put, with(owner, name, Some(&document_of(200))));
        }
        let list = if kind == "User" {
            "ListUserPolicies"
        } else {
            "ListRolePolicies"
        };
        let pages = world.pages(list, owner, "PolicyNames", 2);
        assert_eq!(pages, [vec![json!("C"), json!("a")], vec![json!("b")]]);
        let other = match kind {
            "User" => json!({"UserName": "administrator"}),
            _ => {
                world.role("other", &account());
                json!({"RoleName": "other"})
            }
        };
        world.check_markers(list, owner, Some(&other));
        // The longest name still fits a marker.
        world.ok(&put, with(owner, &"B".repeat(128), Some(&document_of(200))));
        world.check_markers(list, owner, None);
    });
}
