//! Sealed values, page tokens and their keys, across restarts and rotations.

use storage::{MasterKey, OpenError, Storage, StorageError, params};
use testkit::TestDatabase;

use crate::notes::{NOTES, block_on, read, write};

fn put_sealed(storage: &Storage, name: &'static str) {
    let sql = "INSERT INTO notes (name, size, body) VALUES (?1, 0, ?2)";
    let run = move |tx: &mut storage::Tx<'_>| {
        let sealed = tx.seal("note", b"a secret")?;
        tx.execute(sql, &params![name, sealed]).map(drop)
    };
    write(storage, run).unwrap();
}

fn opened(storage: &Storage) -> Result<Vec<String>, StorageError> {
    read(storage, |tx| {
        let rows = tx.query("SELECT body FROM notes ORDER BY name", &[])?;
        let open = |row: &storage::Row| {
            let plain = tx.open("note", &row.blob(0)?)?;
            Ok(String::from_utf8_lossy(&plain).into_owned())
        };
        rows.iter().map(open).collect()
    })
}

fn refused(database: &TestDatabase) -> OpenError {
    Storage::open(database.options(NOTES)).unwrap_err()
}

#[test]
fn what_was_sealed_and_paged_outlives_restarts_and_rotations() {
    for mut database in testkit::databases() {
        let storage = database.open(NOTES);
        let token = read(&storage, |tx| Ok(tx.page_token("ListNotes", &["a"]))).unwrap();
        put_sealed(&storage, "a");
        block_on(storage.rotate_data_key()).unwrap();
        put_sealed(&storage, "b");
        let new = MasterKey::generate();
        block_on(storage.rotate_master_key(new.clone())).unwrap();
        block_on(storage.rotate_data_key()).unwrap();
        put_sealed(&storage, "c");
        assert_eq!(opened(&storage), Ok(vec!["a secret".to_owned(); 3]));
        drop(storage);

        assert!(matches!(refused(&database), OpenError::WrongMasterKey));
        database.master_key = new;
        let storage = database.open(NOTES);
        assert_eq!(opened(&storage), Ok(vec!["a secret".to_owned(); 3]));
        let after = read(&storage, move |tx| Ok(tx.page_after("ListNotes", &token)));
        assert_eq!(after.unwrap(), Ok(vec!["a".to_owned()]));
    }
}

#[test]
fn the_wrong_master_key_is_refused_and_harms_nothing() {
    for mut database in testkit::databases() {
        drop(database.open(NOTES));
        let right = std::mem::replace(&mut database.master_key, MasterKey::generate());
        let error = refused(&database);
        assert!(matches!(error, OpenError::WrongMasterKey));
        assert!(
            error.to_string().contains("restore the key file"),
            "{error}"
        );
        database.master_key = right;
        drop(database.open(NOTES));
    }
}

#[test]
fn the_database_does_not_hold_what_it_seals() {
    for database in testkit::databases() {
        let storage = database.open(NOTES);
        put_sealed(&storage, "a");
        let sealed = read(&storage, |tx| tx.query_one("SELECT body FROM notes", &[]));
        let sealed = sealed.unwrap().unwrap().blob(0).unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
    }
}
