//! Who may assume a role.

use gateway::Caller;
use serde_json::{Value, json};

use crate::world::{A, World, account, allow, each_world, text, trust};

/// Who asks in the tables.
struct Cast {
    /// A user who may ask for any role, with the tag `team`.
    alice: Caller,
    /// Another one.
    bob: Caller,
    /// A user whose policies do not allow asking.
    carol: Caller,
    /// Session `s1` of the role `step`.
    step: Caller,
    /// Session `s2` of the same role.
    other: Caller,
}

impl Cast {
    fn new(world: &World) -> Self {
        let may_ask = allow("sts:AssumeRole", "*");
        let alice = world.user("alice", Some(&may_ask));
        let tags = json!([{"Key": "team", "Value": "blue"}]);
        world.ok("TagUser", json!({"UserName": "alice", "Tags": tags}));
        world.role("step", &account());
        let session = |name: &str| {
            let made = world.session(&world.administrator, "step", name);
            world.caller(text(&made["AccessKeyId"]))
        };
        Self {
            alice: world.caller(alice.access_key_id.as_deref().unwrap()),
            bob: world.user("bob", Some(&may_ask)),
            carol: world.user("carol", Some(&allow("iot:*", "*"))),
            step: session("s1"),
            other: session("s2"),
        }
    }

    /// Whom the role `target` lets in when it trusts the account under one condition.
    #[track_caller]
    fn check_condition(
        &self,
        world: &World,
        operator: &str,
        (key, value): (&str, &str),
        expected: &str,
    ) {
        let mut document = trust(&account());
        document["Statement"]["Condition"] = json!({operator: {key: value}});
        rewrite(world, &document);
        assert_eq!(self.let_in(world), expected, "{operator} {key} {value}");
    }

    /// The names of those whom the role `target` lets in.
    fn let_in(&self, world: &World) -> String {
        let everybody = [
            ("alice", &self.alice),
            ("bob", &self.bob),
            ("carol", &self.carol),
            ("step", &self.step),
            ("other", &self.other),
        ];
        let names = everybody
            .into_iter()
            .filter(|(_, caller)| asks(world, caller, None));
        names.map(|(name, _)| name).collect::<Vec<_>>().join(" ")
    }
}

/// Whether `caller` gets a session of the role `target`.
fn asks(world: &World, caller: &Caller, external_id: Option<&str>) -> bool {
    let input = json!({
        "RoleArn": format!("{A}role/target"),
        "RoleSessionName": "alice",
        "ExternalId": external_id,
    });
    match world.call(caller, "AssumeRole", input) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.exception, "AccessDeniedException", "{error}");
            let says = "is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::\
                        111122223333:role/target";
            assert!(error.message.contains(says), "{error}");
            false
        }
    }
}

fn rewrite(world: &World, document: &Value) {
    let input = json!({"RoleName": "target", "PolicyDocument": document.to_string()});
    world.ok("UpdateAssumeRolePolicy", input);
}

#[test]
fn whom_the_principal_names_is_let_in() {
    each_world(|world| {
        let cast = Cast::new(world);
        world.role("target", &account());
        let session = |name: &str| format!("arn:aws:sts::111122223333:assumed-role/step/{name}");
        let all = "alice bob step other";
        for (principal, expected) in [
            (account(), all),
            (json!({"AWS": "111122223333"}), all),
            (json!("*"), all),
            (json!({"AWS": "*"}), all),
            (json!({"AWS": format!("{A}user/alice")}), "alice"),
            (
                json!({"AWS": [format!("{A}user/bob"), format!("{A}user/carol")]}),
                "bob",
            ),
            (json!({"AWS": format!("{A}role/step")}), "step other"),
            (json!({"AWS": session("s2")}), "other"),
            (json!({"AWS": "arn:aws:iam::444455556666:root"}), ""),
            (json!({"AWS": "444455556666"}), ""),
            (json!({"AWS": "arn:aws:iam::444455556666:user/alice"}), ""),
            (json!({"Service": "credentials.iot.amazonaws.com"}), ""),
            (json!({"Federated": "accounts.example"}), ""),
        ] {
            rewrite(world, &trust(&principal));
            assert_eq!(cast.let_in(world), expected, "{principal}");
        }
    });
}

fn statement(effect: &str, principal: &Value, action: &str) -> Value {
    json!({"Effect": effect, "Principal": principal, "Action": action})
}

#[test]
fn deny_wins_and_other_actions_do_not_count() {
    each_world(|world| {
        let cast = Cast::new(world);
        world.role("target", &account());
        let alice = json!({"AWS": format!("{A}user/alice")});
        let step = json!({"AWS": format!("{A}role/step")});
        for (statements, expected) in [
            (
                vec![
                    statement("Allow", &account(), "sts:AssumeRole"),
                    statement("Deny", &alice, "sts:*"),
                ],
                "bob step other",
            ),
            (
                vec![
                    statement("Allow", &json!("*"), "*"),
                    statement("Deny", &step, "sts:AssumeRole"),
                ],
                "alice bob",
            ),
            (vec![statement("Allow", &account(), "sts:TagSession")], ""),
            (vec![statement("Deny", &json!("*"), "*")], ""),
        ] {
            rewrite(
                world,
                &json!({"Version": "2012-10-17", "Statement": statements}),
            );
            assert_eq!(cast.let_in(world), expected, "{statements:?}");
        }
    });
}

#[test]
fn conditions_see_who_asks_for_what() {
    each_world(|world| {
        let cast = Cast::new(world);
        world.role("target", &account());
        for (operator, key, value, expected) in [
            ("StringEquals", "aws:PrincipalTag/Team", "blue", "alice"),
            ("StringEquals", "aws:PrincipalTag/team", "red", ""),
            (
                "StringEquals",
                "sts:RoleSessionName",
                "${aws:username}",
                "alice",
            ),
            (
                "ArnLike",
                "aws:PrincipalArn",
                "arn:aws:iam::*:user/a*",
                "alice",
            ),
            (
                "StringEquals",
                "aws:PrincipalType",
                "AssumedRole",
                "step other",
            ),
            (
                "StringEquals",
                "aws:PrincipalAccount",
                "111122223333",
                "alice bob step other",
            ),
            (
                "IpAddress",
                "aws:SourceIp",
                "192.0.2.0/24",
                "alice bob step other",
            ),
            ("IpAddress", "aws:SourceIp", "198.51.100.0/24", ""),
            (
                "Bool",
                "aws:SecureTransport",
                "true",
                "alice bob step other",
            ),
            (
                "StringEquals",
                "aws:RequestedRegion",
                "us-east-1",
                "alice bob step other",
            ),
            ("StringLike", "aws:UserAgent", "te*", "alice bob step other"),
            ("Bool", "aws:MultiFactorAuthPresent", "true", ""),
        ] {
            cast.check_condition(world, operator, (key, value), expected);
        }
    });
}

#[test]
fn conditions_see_the_time_and_when_a_session_began() {
    each_world(|world| {
        let cast = Cast::new(world);
        world.role("target", &account());
        for (operator, key, value, expected) in [
            (
                "DateLessThan",
                "aws:CurrentTime",
                "2026-01-02T03:04:06Z",
                "alice bob step other",
            ),
            (
                "DateLessThan",
                "aws:CurrentTime",
                "2026-01-02T03:04:05Z",
                "",
            ),
            (
                "DateLessThan",
                "aws:TokenIssueTime",
                "2026-01-02T03:04:06Z",
                "step other",
            ),
            (
                "DateLessThan",
                "aws:TokenIssueTime",
                "2026-01-02T03:04:05Z",
                "",
            ),
            (
                "DateLessThanIfExists",
                "aws:TokenIssueTime",
                "2026-01-02T03:04:05Z",
                "alice bob",
            ),
        ] {
            cast.check_condition(world, operator, (key, value), expected);
        }
    });
}

#[test]
fn the_external_id_must_be_the_one_asked_for() {
    each_world(|world| {
        world.role("target", &account());
        let mut document = trust(&account());
        document["Statement"]["Condition"] = json!({"StringEquals": {"sts:ExternalId": "x-17"}});
        rewrite(world, &document);
        for (given, expected) in [
            (Some("x-17"), true),
            (Some("X-17"), false),
            (Some("x-18"), false),
            (None, false),
        ] {
            assert_eq!(
                asks(world, &world.administrator, given),
                expected,
                "{given:?}"
            );
        }
        // A role that asks for none takes any.
        rewrite(world, &trust(&account()));
        assert!(asks(world, &world.administrator, Some("anything")));
    });
}

#[test]
fn whoever_takes_a_trusted_name_is_not_trusted() {
    each_world(|world| {
        let may_ask = allow("sts:AssumeRole", "*");
        let alice = world.user("alice", Some(&may_ask));
        let named = json!({"AWS": ["*", format!("{A}user/alice")]});
        world.role("target", &json!({"AWS": format!("{A}user/alice")}));
        assert!(asks(world, &alice, None));

        // Renamed, it is still the same user; and the new alice is another.
        world.ok(
            "UpdateUser",
            json!({"UserName": "alice", "NewUserName": "anna"}),
        );
        let anna = world.caller(alice.access_key_id.as_deref().unwrap());
        assert_eq!(anna.arn, format!("{A}user/anna"));
        assert!(asks(world, &anna, None));
        let impostor = world.user("alice", Some(&may_ask));
        assert!(!asks(world, &impostor, None));

        // The policy written again means whoever has the name now.
        rewrite(world, &trust(&json!({"AWS": format!("{A}user/alice")})));
        assert!(asks(world, &impostor, None));
        assert!(!asks(world, &anna, None));

        // Nor is a new one trusted when the one named is gone; but it is still anybody.
        let delete = || {
            let keys = world.ok("ListAccessKeys", json!({"UserName": "alice"}));
            let key = &keys["AccessKeyMetadata"][0]["AccessKeyId"];
            world.ok(
                "DeleteAccessKey",
                json!({"UserName": "alice", "AccessKeyId": key}),
            );
            world.ok(
                "DeleteUserPolicy",
                json!({"UserName": "alice", "PolicyName": "p"}),
            );
            world.ok("DeleteUser", json!({"UserName": "alice"}));
        };
        delete();
        let third = world.user("alice", Some(&may_ask));
        assert!(!asks(world, &third, None));
        rewrite(world, &trust(&named));
        delete();
        let fourth = world.user("alice", Some(&may_ask));
        assert!(asks(world, &fourth, None));
    });
}

#[test]
fn a_role_recreated_under_a_trusted_name_is_not_trusted() {
    each_world(|world| {
        let recreate = || {
            world.ok(
                "DeleteRolePolicy",
                json!({"RoleName": "step", "PolicyName": "all"}),
            );
            world.ok("DeleteRole", json!({"RoleName": "step"}));
            world.role("step", &account());
        };
        let session = || {
            let made = world.session(&world.administrator, "step", "s1");
            world.caller(text(&made["AccessKeyId"]))
        };
        world.role("step", &account());
        world.role("target", &account());
        for arn in [
            format!("{A}role/step"),
            "arn:aws:sts::111122223333:assumed-role/step/s1".to_owned(),
        ] {
            let document = trust(&json!({"AWS": arn}));
            rewrite(world, &document);
            assert!(asks(world, &session(), None), "{arn}");
            recreate();
            assert!(!asks(world, &session(), None), "{arn}");
            rewrite(world, &document);
            assert!(asks(world, &session(), None), "{arn}");
        }
    });
}
