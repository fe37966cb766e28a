//! What a doctor sees, and that it leaves no trace.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use storage::{Database, MasterKey, Migration, OpenError, examine};
use testkit::TestDatabase;

use crate::notes::{NOTES, block_on, put, write};

/// `name: what it says` of each check, problems marked.
fn found(database: &TestDatabase, key: &MasterKey, migrations: &[Migration]) -> Vec<String> {
    let checks = examine(&database.database, key, migrations).unwrap();
    let line = |check: &storage::Check| {
        let mark = if check.ok { "" } else { "!" };
        format!("{mark}{}: {}", check.name, check.detail)
    };
    checks.iter().map(line).collect()
}

#[track_caller]
fn check(found: &[String], expected: &[&str]) {
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "`{found}`, not `{expected}`");
    }
}

const HEALTHY: [&str; 3] = ["engine: ", "integrity: no damage", "schema: as this"];

#[test]
fn a_healthy_database_passes_whether_a_node_has_it_open_or_not() {
    for database in testkit::databases() {
        let storage = database.open(NOTES);
        write(&storage, |tx| put(tx, "a", 1)).unwrap();
        let look = || found(&database, &database.master_key, NOTES);
        let held = format!("lease: held by process {}", std::process::id());
        let keys = "keys: the master key opens its 1 data keys";
        check(&look(), &[&HEALTHY[..], &[keys, &held]].concat());
        // From inside a runtime, as the command line does.
        check(
            &block_on(async { look() }),
            &[&HEALTHY[..], &[keys, &held]].concat(),
        );
        drop(storage);
        check(&look(), &[&HEALTHY[..], &[keys, "lease: free"]].concat());
    }
}

#[test]
fn what_is_wrong_is_named() {
    const NEXT: Migration = Migration {
        capability: "notes",
        version: 2,
        sql: "ALTER TABLE notes ADD COLUMN colour TEXT;",
    };
    for database in testkit::databases() {
        if let Database::Sqlite(path) = &database.database {
            fs::write(path, "").unwrap();
        }
        let look = found(&database, &database.master_key, NOTES);
        check(&look, &["engine: ", "integrity: ", "schema: no tables yet"]);
    }
    for database in testkit::databases() {
        drop(database.open(NOTES));
        let look = |key: &MasterKey, migrations: &[Migration]| found(&database, key, migrations);
        let older = look(&database.master_key, &[NOTES[0], NEXT]);
        assert!(
            older[2].contains("the next start takes 1 steps"),
            "{older:?}"
        );
        let newer = look(&database.master_key, &[]);
        assert!(newer[2].starts_with("!schema: the database has version 1 of `notes`"));
        let wrong = look(&MasterKey::generate(), NOTES);
        assert!(
            wrong[3].starts_with("!keys: the master key is not the one"),
            "{wrong:?}"
        );
    }
}

/// Every file of a directory: its bytes, and when it was written.
fn everything(directory: &Path) -> BTreeMap<String, (Vec<u8>, SystemTime)> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            let written = entry.metadata().unwrap().modified().unwrap();
            (name, (fs::read(entry.path()).unwrap(), written))
        })
        .collect()
}

#[test]
fn nothing_is_written() {
    let database = testkit::databases().remove(0);
    let Database::Sqlite(path) = &database.database else {
        panic!("an SQLite database is a file");
    };
    let directory = path.parent().unwrap();
    let absent = examine(&database.database, &database.master_key, NOTES);
    assert!(
        matches!(absent, Err(OpenError::Connect { .. })),
        "{absent:?}"
    );
    assert_eq!(everything(directory).len(), 0);

    drop(database.open(NOTES));
    let before = everything(directory);
    found(&database, &database.master_key, NOTES);
    found(&database, &MasterKey::generate(), NOTES);
    assert_eq!(everything(directory), before);
}
