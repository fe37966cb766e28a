//! Where secrets do not appear.

use serde_json::{Value, json};
use storage::{StorageError, Urgency};

use crate::world::{World, account, each_world, text};

/// Every trail record, as text.
fn trail(world: &World) -> Vec<String> {
    world.flush();
    let sql = "SELECT record FROM trail_events ORDER BY id LIMIT 1000";
    let read = world.storage.read_blocking(move |tx| {
        let rows = tx.query(sql, &[])?;
        rows.iter()
            .map(|row| row.text(0))
            .collect::<Result<Vec<_>, StorageError>>()
    });
    read.unwrap()
}

/// What is stored in the columns for secrets.
fn sealed(world: &World) -> Vec<Vec<u8>> {
    let sql = "SELECT secret FROM iam_access_keys UNION ALL SELECT secret FROM sts_sessions \
               UNION ALL SELECT token FROM sts_sessions LIMIT 1000";
    let read = world.storage.read_blocking(move |tx| {
        let rows = tx.query(sql, &[])?;
        rows.iter()
            .map(|row| row.blob(0))
            .collect::<Result<Vec<_>, StorageError>>()
    });
    read.unwrap()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[test]
fn neither_the_trail_nor_the_tables_hold_a_secret() {
    each_world(|world| {
        world.ok("CreateUser", json!({"UserName": "bob"}));
        let key = world.ok("CreateAccessKey", json!({"UserName": "bob"}))["AccessKey"].clone();
        world.role("ops", &account());
        let session = world.session(&world.administrator, "ops", "s1");
        let secrets = [
            text(&key["SecretAccessKey"]),
            text(&session["SecretAccessKey"]),
            text(&session["SessionToken"]),
        ];
        let records = trail(world);
        let stored = sealed(world);
        assert_eq!(stored.len(), 4);
        for secret in secrets {
            for record in &records {
                assert!(!record.contains(secret), "{record}");
            }
            assert!(!stored.iter().any(|bytes| contains(bytes, secret)));
        }
        let of = |name: &str| -> Value {
            let records = records
                .iter()
                .map(|record| serde_json::from_str(record).unwrap());
            let mut found = records.filter(|record: &Value| record["eventName"] == name);
            found
                .next()
                .unwrap_or_else(|| panic!("no record of {name}"))
        };
        let created = &of("CreateAccessKey")["responseElements"]["AccessKey"];
        assert_eq!(created["SecretAccessKey"], gateway::HIDDEN);
        assert_eq!(created["AccessKeyId"], key["AccessKeyId"]);
        let assumed = &of("AssumeRole")["responseElements"]["Credentials"];
        assert_eq!(assumed["SecretAccessKey"], gateway::HIDDEN);
        assert_eq!(assumed["SessionToken"], gateway::HIDDEN);
        assert_eq!(assumed["AccessKeyId"], session["AccessKeyId"]);
    });
}

#[test]
fn refused_calls_are_recorded_too() {
    each_world(|world| {
        let input = json!({
            "RoleArn": "arn:aws:iam::111122223333:role/none",
            "RoleSessionName": "s1",
            "TokenCode": "123456",
        });
        world.fails("AssumeRole", input, "ValidationError", "TokenCode");
        let records = trail(world);
        let found = records
            .iter()
            .find(|record| record.contains("AssumeRole"))
            .unwrap();
        assert!(!found.contains("123456"), "{found}");
        assert!(
            found.contains("\"errorCode\":\"ValidationError\""),
            "{found}"
        );
    });
}

#[test]
fn nothing_shows_a_secret_when_it_is_printed_for_debugging() {
    each_world(|world| {
        let made = world.storage.write_blocking(Urgency::Normal, |tx| {
            let now = tx.now();
            identity::new_administrator_key(tx, now)
        });
        let key = made.unwrap().value;
        let credential = world.find(&key.id).unwrap();
        for shown in [format!("{key:?}"), format!("{credential:?}")] {
            assert!(!shown.contains(key.secret.as_str()), "{shown}");
        }
        assert!(format!("{key:?}").contains(&key.id));
    });
}
