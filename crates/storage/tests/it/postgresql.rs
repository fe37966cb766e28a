//! What only a server can do: go away, and come back.

use postgres::{Client, NoTls};
use storage::{Database, Storage, StorageError, Tx, params};
use testkit::TestDatabase;

use crate::notes::{NOTES, all, put, read, write};

fn with_server(test: impl Fn(&TestDatabase, &str)) {
    for database in testkit::databases() {
        if let Database::Postgres(url) = &database.database {
            test(&database, url);
        }
    }
}

/// The server process of the writing connection.
fn writer_of(storage: &Storage) -> i64 {
    write(storage, backend).unwrap().value
}

fn backend(tx: &mut Tx<'_>) -> Result<i64, StorageError> {
    let row = tx.query_one("SELECT CAST(pg_backend_pid() AS BIGINT)", &[])?;
    row.map_or(Ok(0), |row| row.int(0))
}

/// Ends a connection as an administrator would, and waits until it has ended.
fn kill(url: &str, process: i64) {
    let process = i32::try_from(process).unwrap();
    let mut client = Client::connect(url, NoTls).unwrap();
    client
        .execute("SELECT pg_terminate_backend($1, 10000)", &[&process])
        .unwrap();
}

#[test]
fn a_write_survives_the_loss_of_an_idle_connection() {
    with_server(|database, url| {
        let storage = database.open(NOTES);
        let first = writer_of(&storage);
        kill(url, first);
        write(&storage, |tx| put(tx, "a", 1)).unwrap();
        assert_ne!(writer_of(&storage), first);
        assert_eq!(read(&storage, all).unwrap().len(), 1);
    });
}

#[test]
fn a_closure_runs_again_when_its_connection_breaks() {
    with_server(|database, url| {
        let storage = database.open(NOTES);
        let mut changes = storage.changes();
        let (url, mut runs) = (url.to_owned(), 0);
        let written = write(&storage, move |tx| {
            runs += 1;
            put(tx, "before", runs)?;
            if runs == 1 {
                let process = backend(tx)?;
                kill(&url, process);
            }
            put(tx, "after", runs)?;
            Ok(runs)
        });
        let written = written.unwrap();
        assert_eq!((written.value, written.last_change), (2, Some(2)));
        let expected = [("after".to_owned(), 2), ("before".to_owned(), 2)];
        assert_eq!(read(&storage, all).unwrap(), expected);
        let found = crate::notes::block_on(changes.next());
        assert_eq!(found.len(), 2);
    });
}

/// The connection breaks between the last statement and the commit: the server is asked how the
/// transaction ended, says that it was rolled back, and it runs again, once.
#[test]
fn a_broken_commit_is_neither_lost_nor_done_twice() {
    with_server(|database, url| {
        let storage = database.open(NOTES);
        let (url, mut runs) = (url.to_owned(), 0);
        let written = write(&storage, move |tx| {
            runs += 1;
            let sql = "INSERT INTO notes (name, size) VALUES (?1, ?2)";
            tx.execute(sql, &params![format!("run {runs}"), runs])?;
            if runs == 1 {
                let process = backend(tx)?;
                kill(&url, process);
            }
            Ok(runs)
        });
        assert_eq!(written.unwrap().value, 2);
        assert_eq!(read(&storage, all).unwrap(), [("run 2".to_owned(), 2)]);
        assert_eq!(storage.statistics().reruns, 1);
    });
}

#[test]
fn a_node_that_loses_its_lease_cannot_write() {
    with_server(|database, url| {
        let storage = database.open(NOTES);
        let first = writer_of(&storage);
        let mut other = Client::connect(url, NoTls).unwrap();
        kill(url, first);
        // Waits its turn: whoever comes first has it, as with a second node.
        let lock = "SELECT pg_advisory_lock(730506161001)";
        other.query(lock, &[]).unwrap();
        let refused = write(&storage, |tx| put(tx, "a", 1)).map(drop);
        match refused {
            Err(StorageError::Unavailable { detail }) => {
                assert!(detail.contains("in use by"), "{detail}")
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(read(&storage, all), Ok(Vec::new()), "reads go on");
        drop(other);
        write(&storage, |tx| put(tx, "a", 1)).unwrap();
    });
}

#[test]
fn a_read_survives_the_loss_of_its_connection() {
    with_server(|database, url| {
        let storage = database.open(NOTES);
        let (url, mut runs) = (url.to_owned(), 0);
        let found = read(&storage, move |tx| {
            runs += 1;
            if runs == 1 {
                let process = backend(tx)?;
                kill(&url, process);
            }
            all(tx)?;
            Ok(runs)
        });
        assert_eq!(found, Ok(2));
    });
}
