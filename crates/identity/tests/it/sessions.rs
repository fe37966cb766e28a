use std::time::Duration;

use gateway::CallerKind;
use serde_json::{Value, json};

use crate::world::{A, World, account, allow, each_world, text};

fn assume(role: &str) -> Value {
    json!({"RoleArn": format!("{A}role/{role}"), "RoleSessionName": "s1"})
}

fn with(input: Value, member: &str, value: Value) -> Value {
    let mut input = input;
    input[member] = value;
    input
}

#[test]
fn the_caller_is_told_who_it_is() {
    each_world(|world| {
        let answer =
            |arn: &str, id: &str| json!({"Arn": arn, "UserId": id, "Account": "111122223333"});
        let found = world.ok("GetCallerIdentity", json!({}));
        let administrator = &world.administrator;
        assert_eq!(found, answer(&administrator.arn, &administrator.user_id));
        // Open to everybody, as on AWS.
        let bob = world.user("bob", None);
        let found = world.call(&bob, "GetCallerIdentity", json!({})).unwrap();
        assert_eq!(found, answer(&format!("{A}user/bob"), &bob.user_id));
        let role = world.role("ops", &account());
        let made = world.session(administrator, "ops", "anna");
        let session = world.caller(text(&made["AccessKeyId"]));
        let found = world
            .call(&session, "GetCallerIdentity", json!({}))
            .unwrap();
        let arn = "arn:aws:sts::111122223333:assumed-role/ops/anna";
        assert_eq!(
            found,
            answer(arn, &format!("{}:anna", text(&role["RoleId"])))
        );
    });
}

#[test]
fn a_session_has_credentials_of_its_own() {
    each_world(|world| {
        let role = world.role("ops", &account());
        let made = world.ok("AssumeRole", assume("ops"));
        let credentials = &made["Credentials"];
        let id = text(&credentials["AccessKeyId"]);
        assert!(id.starts_with("ASIA") && id.len() == 20, "{id}");
        assert_eq!(text(&credentials["SecretAccessKey"]).len(), 40);
        assert_eq!(text(&credentials["SessionToken"]).len(), 128);
        assert_eq!(credentials["Expiration"], json!(1_767_323_045.0 + 3600.0));
        let user = json!({
            "AssumedRoleId": format!("{}:s1", text(&role["RoleId"])),
            "Arn": "arn:aws:sts::111122223333:assumed-role/ops/s1",
        });
        assert_eq!(made["AssumedRoleUser"], user);
        let again = world.ok("AssumeRole", assume("ops"));
        for member in ["AccessKeyId", "SecretAccessKey", "SessionToken"] {
            assert_ne!(again["Credentials"][member], credentials[member]);
        }
        let caller = world.caller(id);
        let issued_at = world.now();
        assert_eq!(caller.kind, CallerKind::AssumedRole { issued_at });
        assert_eq!(caller.session_name.as_deref(), Some("s1"));
    });
}

/// What AWS attaches to a role whose sessions are revoked.
fn older_sessions_denied(since: &str) -> String {
    let deny = json!({"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {
        "DateLessThan": {"aws:TokenIssueTime": since},
    }});
    json!({"Version": "2012-10-17", "Statement": [deny]}).to_string()
}

#[test]
fn revocation_ends_the_sessions_that_are_older_and_no_others() {
    each_world(|world| {
        world.role("ops", &account());
        world.role("other", &account());
        let made = |role: &str| {
            let made = world.session(&world.administrator, role, "s1");
            text(&made["AccessKeyId"]).to_owned()
        };
        let works = |key: &str| {
            let answer = world.call(&world.caller(key), "ListUsers", json!({}));
            match answer {
                Ok(_) => true,
                Err(error) => {
                    assert_eq!(error.exception, "AccessDeniedException", "{error}");
                    assert!(error.message.contains("explicit deny"), "{error}");
                    false
                }
            }
        };
        let (before, of_another) = (made("ops"), made("other"));
        // Less than a second later: the issue time is told in whole seconds, rounded down.
        world.pass(Duration::from_millis(400));
        let same_second = made("ops");
        world.pass(Duration::from_millis(100));
        let document = older_sessions_denied("2026-01-02T03:04:05.500Z");
        let revoke = json!({
            "RoleName": "ops",
            "PolicyName": "AWSRevokeOlderSessions",
            "PolicyDocument": document,
        });
        world.ok("PutRolePolicy", revoke);
        world.pass(Duration::from_millis(500));
        let after = made("ops");
        for (key, expected) in [
            (&before, false),
            (&same_second, false),
            (&after, true),
            (&of_another, true),
        ] {
            assert_eq!(works(key), expected, "{key}");
        }
        // A user's own key has no such time, so the policy denies it nothing.
        let user = world.user("bob", Some(&allow("*", "*")));
        let on_user = json!({
            "UserName": "bob", "PolicyName": "revoke", "PolicyDocument": document,
        });
        world.ok("PutUserPolicy", on_user);
        assert!(works(user.access_key_id.as_deref().unwrap()));
    });
}

/// Asks for a session and says how long it lasts, or why not.
fn lasts(world: &World, caller: &gateway::Caller, input: Value) -> Result<i64, String> {
    let made = world.call(caller, "AssumeRole", input);
    let made = made.map_err(|error| format!("{}: {}", error.exception, error.message))?;
    let found = world
        .find(text(&made["Credentials"]["AccessKeyId"]))
        .unwrap();
    Ok(found.expires.unwrap().seconds() - world.now().seconds())
}

#[test]
fn the_duration_has_limits() {
    const MODEL: &str = "ValidationError: 1 validation error";
    const ROLE: &str = "ValidationError: The requested DurationSeconds exceeds the Max";
    const CHAIN: &str = "ValidationError: The requested DurationSeconds exceeds the 1 hour";
    each_world(|world| {
        world.role("short", &account());
        world.role("long", &account());
        let update = json!({"RoleName": "long", "MaxSessionDuration": 43_200});
        world.ok("UpdateRole", update);
        let made = world.session(&world.administrator, "short", "s1");
        let session = world.caller(text(&made["AccessKeyId"]));
        let user = &world.administrator;
        for (caller, role, asked, expected) in [
            (user, "short", None, Ok(3600)),
            (user, "short", Some(899), Err(MODEL)),
            (user, "short", Some(900), Ok(900)),
            (user, "short", Some(3600), Ok(3600)),
            (user, "short", Some(3601), Err(ROLE)),
            (user, "long", None, Ok(3600)),
            (user, "long", Some(43_200), Ok(43_200)),
            (user, "long", Some(43_201), Err(MODEL)),
            // A session that a session asks for lasts an hour at most.
            (&session, "long", None, Ok(3600)),
            (&session, "long", Some(3600), Ok(3600)),
            (&session, "long", Some(3601), Err(CHAIN)),
        ] {
            let mut input = assume(role);
            if let Some(asked) = asked {
                input["DurationSeconds"] = json!(asked);
            }
            match (lasts(world, caller, input), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{role} {asked:?}"),
                (Err(found), Err(expected)) => {
                    assert!(found.starts_with(expected), "{role} {asked:?}: {found}");
                }
                (found, _) => panic!("{role} {asked:?}: {found:?}, not {expected:?}"),
            }
        }
    });
}

#[test]
fn what_would_narrow_a_session_is_not_ignored() {
    each_world(|world| {
        world.role("ops", &account());
        let arn = format!("{A}policy/p");
        for (member, value) in [
            ("Policy", json!(allow("iot:*", "*").to_string())),
            ("PolicyArns", json!([{"arn": arn}])),
            ("Tags", json!([{"Key": "k", "Value": "v"}])),
            ("TransitiveTagKeys", json!(["k"])),
            ("SerialNumber", json!("arn:aws:iam::111122223333:mfa/x")),
            ("TokenCode", json!("123456")),
            ("SourceIdentity", json!("anna")),
            (
                "ProvidedContexts",
                json!([{"ProviderArn": arn, "ContextAssertion": "eyJ4"}]),
            ),
            ("MinimumSessionTokenSize", json!(10)),
        ] {
            let input = with(assume("ops"), member, value);
            let says = format!("{member} is not supported here");
            world.fails("AssumeRole", input, "ValidationError", &says);
        }
    });
}

#[test]
fn the_role_and_the_session_are_named_well() {
    each_world(|world| {
        world.role("ops", &account());
        for (name, good) in [
            ("s".to_owned(), false),
            ("s1".to_owned(), true),
            ("x".repeat(64), true),
            ("x".repeat(65), false),
            ("a b".to_owned(), false),
            ("a/b".to_owned(), false),
        ] {
            let input = with(assume("ops"), "RoleSessionName", json!(name));
            match good {
                true => drop(world.ok("AssumeRole", input)),
                false => world.fails("AssumeRole", input, "ValidationError", "RoleSessionName"),
            }
        }
        let denied = "AccessDeniedException";
        for (arn, exception) in [
            ("arn:aws:iam::111122223333:role/none".to_owned(), denied),
            ("arn:aws:iam::111122223333:role/OPS".to_owned(), denied),
            ("arn:aws:iam::111122223333:role/x/ops".to_owned(), denied),
            ("arn:aws:iam::444455556666:role/ops".to_owned(), denied),
            ("arn:aws-cn:iam::111122223333:role/ops".to_owned(), denied),
            (
                "arn:aws:iam:us-east-1:111122223333:role/ops".to_owned(),
                denied,
            ),
            (
                "arn:aws:iam::111122223333:user/ops".to_owned(),
                "ValidationError",
            ),
            (
                "arn:aws:iot::111122223333:role/ops".to_owned(),
                "ValidationError",
            ),
            ("ops, that is long enough".to_owned(), "ValidationError"),
            ("arn:aws:iam::1:role".to_owned(), "ValidationError"),
        ] {
            let input = with(assume("ops"), "RoleArn", json!(arn));
            world.fails("AssumeRole", input, exception, "");
        }
    });
}

#[test]
fn ended_sessions_are_forgotten_and_no_others() {
    each_world(|world| {
        world.role("ops", &account());
        let short = with(assume("ops"), "DurationSeconds", json!(900));
        let short = world.ok("AssumeRole", short)["Credentials"].clone();
        let long = world.session(&world.administrator, "ops", "s1");
        world.pass(Duration::from_millis(899_999));
        assert_eq!(world.forget_expired_sessions(), 0);
        world.pass(Duration::from_millis(1));
        assert_eq!(world.forget_expired_sessions(), 1);
        assert!(world.find(text(&short["AccessKeyId"])).is_none());
        assert!(world.find(text(&long["AccessKeyId"])).is_some());
        let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1001) \
                   INSERT INTO sts_sessions (access_key_id, role_id, session_name, secret, token, \
                   issued_at, expires_at) SELECT 'ASIA' || i, ?1, 's1', s.secret, s.token, 0, 0 \
                   FROM n, sts_sessions s";
        world.fill(sql, "AROAGONE");
        let runs = [(); 3].map(|()| world.forget_expired_sessions());
        assert_eq!(runs, [1000, 1, 0]);
    });
}

#[test]
fn the_sessions_of_a_role_are_bounded() {
    each_world(|world| {
        let role = world.role("ops", &account());
        world.role("other", &account());
        world.ok("AssumeRole", assume("ops"));
        let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9998) \
                   INSERT INTO sts_sessions (access_key_id, role_id, session_name, secret, token, \
                   issued_at, expires_at) SELECT 'ASIA' || i, ?1, 's1', s.secret, s.token, \
                   s.issued_at, s.expires_at FROM n, sts_sessions s";
        world.fill(sql, text(&role["RoleId"]));
        world.ok("AssumeRole", assume("ops"));
        let says = "10000 sessions of the role";
        world.fails("AssumeRole", assume("ops"), "ThrottlingException", says);
        world.ok("AssumeRole", assume("other"));
        // Ended ones do not count, whether or not they are forgotten yet.
        world.pass(Duration::from_secs(3600));
        world.ok("AssumeRole", assume("ops"));
    });
}
