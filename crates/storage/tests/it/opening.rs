//! What `open` takes, and what it refuses with which words.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use model::{Clock as _, SystemClock};
use storage::{Database, Migration, OpenError, Storage};
use testkit::TestDatabase;

use crate::notes::{NOTES, all, block_on, put, read, write};

#[track_caller]
fn check_refused(database: &TestDatabase, migrations: &[Migration], words: &[&str]) {
    let error = Storage::open(database.options(migrations))
        .unwrap_err()
        .to_string();
    for word in words {
        assert!(
            error.contains(word),
            "{}: no `{word}` in: {error}",
            database.engine
        );
    }
}

/// The file of the one test database that has one.
fn with_file(test: impl FnOnce(&TestDatabase, &Path)) {
    let databases = testkit::databases();
    let database = databases
        .iter()
        .find(|database| database.engine == "sqlite")
        .unwrap();
    let Database::Sqlite(path) = &database.database else {
        panic!("an SQLite database is a file");
    };
    test(database, path);
}

#[test]
fn a_second_node_is_refused_while_the_first_lives() {
    for database in testkit::databases() {
        let storage = database.open(NOTES);
        let holder = format!("process {}", std::process::id());
        check_refused(
            &database,
            NOTES,
            &["in use by", &holder, "stop that node first"],
        );
        write(&storage, |tx| put(tx, "a", 1)).unwrap();
        drop(storage);
        assert_eq!(read(&database.open(NOTES), all).unwrap().len(), 1);
    }
}

#[test]
fn opening_inside_a_runtime_works() {
    for database in testkit::databases() {
        block_on(async {
            let storage = database.open(NOTES);
            storage.close().await;
        });
    }
}

#[test]
fn a_schema_goes_forward_only() {
    const NEXT: Migration = Migration {
        capability: "notes",
        version: 2,
        sql: "ALTER TABLE notes ADD COLUMN colour TEXT NOT NULL DEFAULT 'red';",
    };
    for database in testkit::databases() {
        let storage = database.open(NOTES);
        write(&storage, |tx| put(tx, "a", 1)).unwrap();
        drop(storage);
        let storage = database.open(&[NOTES[0], NEXT]);
        let colour = read(&storage, |tx| tx.query_one("SELECT colour FROM notes", &[]));
        assert_eq!(colour.unwrap().unwrap().text(0), Ok("red".to_owned()));
        drop(storage);
        check_refused(
            &database,
            NOTES,
            &["version 2 of `notes`", "knows 1", "newer program"],
        );
        let changed = Migration {
            sql: "SELECT 1;",
            ..NEXT
        };
        check_refused(
            &database,
            &[NOTES[0], changed],
            &["version 2 of `notes`", "another text"],
        );
        check_refused(&database, &[], &["`notes`", "knows 0"]);
    }
}

#[test]
fn a_migration_that_fails_leaves_nothing_behind() {
    const BROKEN: Migration = Migration {
        capability: "notes",
        version: 2,
        sql: "CREATE TABLE half (a TEXT); INSERT INTO nowhere VALUES (1);",
    };
    for database in testkit::databases() {
        check_refused(&database, &[NOTES[0], BROKEN], &["nowhere"]);
        let storage = database.open(NOTES);
        assert_eq!(read(&storage, all), Ok(Vec::new()));
        assert!(read(&storage, |tx| tx.query("SELECT a FROM half", &[])).is_err());
    }
}

#[test]
fn a_file_of_something_else_is_refused_and_left_alone() {
    let check = |bytes: &[u8], words: &[&str]| {
        with_file(|database, path| {
            fs::write(path, bytes).unwrap();
            check_refused(database, NOTES, words);
            assert_eq!(fs::read(path).unwrap(), bytes);
        });
    };
    check(
        b"not a database at all, but long enough to have a header",
        &["is not a Palisade database", "name another path"],
    );
    check(&[0; 4096], &["is not a Palisade database"]);
    check(
        b"SQLite format 3\0 and then nothing",
        &["is not a Palisade database"],
    );
}

#[test]
fn a_database_of_another_program_is_refused_and_left_alone() {
    let check = |sql: &str| {
        with_file(|database, path| {
            let other = rusqlite::Connection::open(path).unwrap();
            other.execute_batch(sql).unwrap();
            drop(other);
            let before = fs::read(path).unwrap();
            check_refused(
                database,
                NOTES,
                &["is not a Palisade database", "another program"],
            );
            assert_eq!(fs::read(path).unwrap(), before);
        });
    };
    check("CREATE TABLE theirs (a)");
    check("PRAGMA application_id = 7");
}

#[test]
fn an_empty_file_is_a_new_database() {
    with_file(|database, path| {
        fs::write(path, b"").unwrap();
        assert_eq!(read(&database.open(NOTES), all), Ok(Vec::new()));
    });
}

#[test]
fn a_damaged_database_is_refused() {
    let check = |damage: fn(&mut Vec<u8>)| {
        with_file(|database, path| {
            let storage = database.open(NOTES);
            let run = |tx: &mut storage::Tx<'_>| {
                (0..500).try_for_each(|number| put(tx, &format!("note {number}"), number))
            };
            write(&storage, run).unwrap();
            drop(storage);
            assert!(!beside(path, "-wal").exists(), "closing leaves one file");
            let mut bytes = fs::read(path).unwrap();
            damage(&mut bytes);
            fs::write(path, bytes).unwrap();
            check_refused(database, NOTES, &["damaged", "restore it from a backup"]);
        });
    };
    check(|bytes| bytes.truncate(bytes.len() / 2));
    check(|bytes| bytes.truncate(bytes.len() - 4096));
    check(|bytes| {
        // The pages after the first, which holds the schema.
        let middle = 4096..bytes.len();
        bytes[middle].fill(0xa5);
    });
}

#[test]
fn only_the_owner_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt as _;
    with_file(|database, path| {
        let _storage = database.open(NOTES);
        for suffix in ["", "-wal", "-shm", ".lock"] {
            let mode = fs::metadata(beside(path, suffix))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{suffix}");
        }
    });
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    PathBuf::from(path)
}

/// What a kill or a power cut leaves is what is on the disk at that moment: the files, copied
/// while the database is open and being written to, hold every write acknowledged before.
#[test]
fn what_was_acknowledged_is_there_after_a_crash() {
    with_file(|database, path| {
        let storage = database.open(NOTES);
        for round in 0..20i64 {
            let name = format!("{round:02}");
            write(&storage, move |tx| put(tx, &name, round)).unwrap();
            let crashed = tempfile::tempdir().unwrap();
            let copy = crashed.path().join("copy.db");
            let behind = storage.clone();
            std::thread::scope(|scope| {
                scope.spawn(move || write(&behind, move |tx| put(tx, "meanwhile", round)));
                fs::copy(path, &copy).unwrap();
                fs::copy(beside(path, "-wal"), beside(&copy, "-wal")).unwrap();
            });
            let mut options = database.options(NOTES);
            options.database = Database::Sqlite(copy);
            let found = read(&Storage::open(options).unwrap(), all).unwrap();
            let kept = found.iter().filter(|(name, _)| name != "meanwhile").count();
            assert_eq!(i64::try_from(kept).unwrap(), round + 1);
        }
    });
}

#[test]
fn a_server_that_is_not_there_is_named_without_its_password() {
    let mut database = testkit::databases().remove(0);
    database.database = "postgres://u:secret@127.0.0.1:1/db".parse().unwrap();
    let started = SystemClock.instant();
    let error = Storage::open(database.options(NOTES)).unwrap_err();
    assert!(matches!(error, OpenError::Connect { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains("postgres://u@127.0.0.1:1/db"), "{message}");
    assert!(!message.contains("secret"), "{message}");
    assert!(SystemClock.instant() - started < Duration::from_secs(30));
}

#[test]
fn a_server_elsewhere_needs_consent_to_plain_text() {
    let check = |url: &str, word: &str| {
        let mut database = testkit::databases().remove(0);
        database.database = url.parse().unwrap();
        check_refused(&database, NOTES, &[word]);
    };
    check("postgres://u@192.0.2.1/db", "sslmode=disable");
    check("postgres://u@localhost,192.0.2.1/db", "sslmode=disable");
    check("postgres://u@127.0.0.1:1/db", "could not connect");
    check("postgres://u@[::1]:1/db", "could not connect");
}

/// The last clone of a storage may be dropped by one of its own threads, which must not wait for
/// itself.
#[test]
fn a_closure_may_hold_the_last_of_its_storage() {
    for database in testkit::databases() {
        let storage = database.open(NOTES);
        let (entered, inside) = mpsc::channel();
        let (leave, left) = mpsc::channel();
        let (dropped, last) = mpsc::channel::<()>();
        // Dropped in this order, with the closure.
        let held = (storage.clone(), dropped);
        block_on(async {
            let task = tokio::spawn(async move {
                let run = move |_: &mut storage::Tx<'_>| {
                    let _held = &held;
                    entered.send(()).unwrap();
                    left.recv().unwrap();
                    Ok::<_, storage::StorageError>(())
                };
                storage.read(run).await
            });
            tokio::task::yield_now().await;
            inside.recv().unwrap();
            task.abort();
        });
        leave.send(()).unwrap();
        let gone = last.recv_timeout(Duration::from_secs(20));
        assert_eq!(gone, Err(mpsc::RecvTimeoutError::Disconnected));
    }
}
