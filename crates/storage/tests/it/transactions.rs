//! Reads and writes one by one: what they store, and what both engines refuse alike.

use storage::{Storage, StorageError, Tx, Urgency, Value, params};

use crate::notes::{NOTES, all, block_on, put, read, write};

#[test]
fn what_is_written_is_read() {
    testkit::each_database(NOTES, |storage| {
        let insert = "INSERT INTO notes (name, size, weight, body) VALUES (?1, ?2, ?3, ?4)";
        let written = write(storage, move |tx| {
            assert_eq!(tx.execute(insert, &params!["a", 7, 1.5, vec![1u8, 2]])?, 1);
            tx.execute(
                insert,
                &params!["b", i64::MIN, None::<f64>, None::<Vec<u8>>],
            )?;
            tx.changed("note", "a")?;
            tx.changed("note", "b")
        });
        assert_eq!(written.unwrap().last_change, Some(2));
        let select = "SELECT name, size, weight, body FROM notes WHERE name > ?1 ORDER BY name";
        let rows = read(storage, move |tx| tx.query(select, &params![""])).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].text(0), Ok("a".to_owned()));
        assert_eq!(rows[0].int(1), Ok(7));
        assert_eq!(rows[0].real(2), Ok(1.5));
        assert_eq!(rows[0].blob(3), Ok(vec![1, 2]));
        assert_eq!(rows[1].int(1), Ok(i64::MIN));
        assert_eq!(rows[1].opt_real(2), Ok(None));
        assert_eq!(rows[1].opt_blob(3), Ok(None));
    });
}

#[test]
fn rows_come_back_from_writes() {
    testkit::each_database(NOTES, |storage| {
        let sql = "INSERT INTO notes (name, size) VALUES (?1, ?2), (?3, ?2) RETURNING name, size";
        let row = write(storage, move |tx| tx.query_one(sql, &params!["a", 5, "b"]));
        let row = row.unwrap().value.unwrap();
        assert_eq!((row.text(0), row.int(1)), (Ok("a".to_owned()), Ok(5)));
        assert_eq!(
            read(storage, all).unwrap().len(),
            2,
            "all rows of it are stored"
        );
    });
}

/// Statements whose parameters change kind from one use to the next, and types that one engine
/// has and the other has not.
#[test]
fn both_engines_answer_alike() {
    testkit::each_database(NOTES, |storage| {
        write(storage, |tx| {
            put(tx, "a", 1)?;
            put(tx, "b", 2)
        })
        .unwrap();
        let check = |sql: &'static str, parameters: &[Value], expected: &[Option<i64>]| {
            let parameters = parameters.to_vec();
            let rows = read(storage, move |tx| tx.query(sql, &parameters));
            let found = rows.map(|rows| rows.iter().map(|row| row.opt_int(0).unwrap()).collect());
            assert_eq!(found, Ok(expected.to_vec()), "{sql}");
        };
        let optional = "SELECT size FROM notes WHERE ?1 IS NULL OR name = ?1 ORDER BY name";
        check(optional, &params![None::<&str>], &[Some(1), Some(2)]);
        check(optional, &params!["b"], &[Some(2)]);
        check(optional, &params![None::<&str>], &[Some(1), Some(2)]);
        check(
            "SELECT CAST(SUM(size) AS BIGINT) FROM notes",
            &[],
            &[Some(3)],
        );
        check("SELECT COUNT(*) FROM notes", &[], &[Some(2)]);
        check(
            "SELECT MAX(size) FROM notes WHERE name = ?1",
            &params!["z"],
            &[None],
        );
        check(
            "SELECT COALESCE(MAX(size), ?1) FROM notes",
            &params![9],
            &[Some(2)],
        );
        check("SELECT 1", &[], &[Some(1)]);
        check(
            "SELECT size > 1 FROM notes ORDER BY name",
            &[],
            &[Some(0), Some(1)],
        );
        check(
            "SELECT EXISTS (SELECT 1 FROM notes WHERE size = ?1)",
            &params![2],
            &[Some(1)],
        );
        check(
            "SELECT size + ?1 FROM notes WHERE size = ?1",
            &params![2],
            &[Some(4)],
        );
        check(
            "SELECT size FROM notes WHERE name LIKE ?1 LIMIT ?2",
            &params!["a%", 5],
            &[Some(1)],
        );
    });
}

#[test]
fn text_compares_by_its_bytes() {
    testkit::each_database(NOTES, |storage| {
        let mut names = vec![
            "a", "B", "_", "é", "Z", "-", "a b", "ab", "10", "9", "𝄞", "\u{ffff}",
        ];
        let stored: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        write(storage, move |tx| {
            stored.iter().try_for_each(|name| put(tx, name, 0))
        })
        .unwrap();
        names.sort_unstable();
        let found = read(storage, all).unwrap();
        let found: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(found, names);
    });
}

type Run = fn(&mut Tx<'_>) -> Result<(), StorageError>;

/// What fails, fails on both with the same kind of error; and the database serves on.
fn check_refused(name: &str, run: Run, refused: fn(&StorageError) -> bool) {
    testkit::each_database(NOTES, |storage| {
        let error = write(storage, run).unwrap_err();
        assert!(refused(&error), "{name}: {error}");
        write(storage, |tx| put(tx, "after", 1)).unwrap();
        assert_eq!(read(storage, all).unwrap(), [("after".to_owned(), 1)]);
    });
}

fn by_engine(error: &StorageError) -> bool {
    matches!(error, StorageError::Sql { .. })
}

fn insert(tx: &mut Tx<'_>, parameters: &[Value]) -> Result<(), StorageError> {
    let sql = "INSERT INTO notes (name, size) VALUES (?1, ?2)";
    tx.execute(sql, parameters).map(drop)
}

#[test]
fn both_engines_refuse_the_same_statements() {
    let check = |name, run: Run| check_refused(name, run, by_engine);
    check("syntax", |tx| tx.execute("SELEC 1", &[]).map(drop));
    check("unknown table", |tx| {
        tx.query("SELECT 1 FROM nowhere", &[]).map(drop)
    });
    check("text for an integer", |tx| {
        insert(tx, &params!["a", "many"])
    });
    check("null where none may be", |tx| {
        insert(tx, &params!["a", None::<i64>])
    });
    check("duplicate", |tx| {
        insert(tx, &params!["a", 1])?;
        insert(tx, &params!["a", 2])
    });
    check("a failure made light of", |tx| {
        insert(tx, &params!["a", 1])?;
        let _ignored = insert(tx, &params!["a", 2]);
        Ok(())
    });
}

#[test]
fn what_fails_before_it_reaches_the_engine_is_named() {
    let parameters =
        |error: &StorageError| matches!(error, StorageError::Parameters { expected: 2, .. });
    check_refused("too few", |tx| insert(tx, &params!["a"]), parameters);
    check_refused("too many", |tx| insert(tx, &params!["a", 1, 2]), parameters);
    let first =
        |error: &StorageError| matches!(error, StorageError::Unstorable { parameter: 1, .. });
    check_refused("U+0000", |tx| insert(tx, &params!["a\0", 1]), first);
    let going_on: Run = |tx| {
        let _ignored = tx.query("SELECT 1 FROM nowhere", &[]);
        insert(tx, &params!["a", 1])
    };
    check_refused("after a failure", going_on, |error| {
        *error == StorageError::Aborted
    });
    let panic: Run = |tx| {
        insert(tx, &params!["a", 1])?;
        panic!("on purpose")
    };
    let told = |error: &StorageError| {
        let message = "on purpose".to_owned();
        *error == StorageError::Panicked { message }
    };
    check_refused("a panic", panic, told);
}

#[test]
fn a_read_changes_nothing() {
    testkit::each_database(NOTES, |storage| {
        let refused = read(storage, |tx| tx.changed("note", "a"));
        assert_eq!(refused, Err(StorageError::ReadOnly));
        let refused = read(storage, |tx| tx.execute("DELETE FROM notes", &[]));
        assert!(
            matches!(refused, Err(StorageError::Sql { .. })),
            "{refused:?}"
        );
        assert_eq!(read(storage, all), Ok(Vec::new()));
    });
}

#[test]
fn a_read_sees_one_moment() {
    testkit::each_database(NOTES, |storage| {
        let writer = storage.clone();
        let seen = read(storage, move |tx| {
            let before = all(tx)?;
            write(&writer, |tx| put(tx, "a", 1))?;
            Ok((before, all(tx)?))
        });
        assert_eq!(seen, Ok((Vec::new(), Vec::new())));
        assert_eq!(read(storage, all).unwrap().len(), 1);
    });
}

#[test]
fn a_transaction_has_one_time() {
    testkit::each_database_and_clock(NOTES, |storage, clock| {
        assert_eq!(read(storage, |tx| Ok(tx.now())), Ok(testkit::START));
        clock.advance(std::time::Duration::from_secs(1));
        let later = write(storage, |tx| Ok(tx.now())).unwrap().value;
        assert_eq!(later.millis(), testkit::START.millis() + 1000);
    });
}

#[test]
fn blocking_calls_work_inside_a_runtime() {
    testkit::each_database(NOTES, |storage| {
        block_on(async {
            // More than a task's turn in Tokio allows for.
            for round in 0..200 {
                write(storage, move |tx| put(tx, "a", round)).unwrap();
            }
            assert_eq!(read(storage, all), Ok(vec![("a".to_owned(), 199)]));
        });
    });
}

#[test]
fn the_error_of_a_closure_comes_back_as_it_is() {
    #[derive(Debug, PartialEq)]
    enum Refused {
        Mine(u8),
        Storage(StorageError),
    }
    impl From<StorageError> for Refused {
        fn from(error: StorageError) -> Self {
            Self::Storage(error)
        }
    }
    testkit::each_database(NOTES, |storage: &Storage| {
        let refused = storage.write_blocking(Urgency::Normal, |tx| {
            put(tx, "a", 1)?;
            Err::<(), _>(Refused::Mine(7))
        });
        assert_eq!(refused, Err(Refused::Mine(7)));
        let refused = storage.read_blocking(|tx| {
            tx.query("SELECT 1 FROM nowhere", &[])?;
            Ok::<_, Refused>(())
        });
        assert!(matches!(
            refused,
            Err(Refused::Storage(StorageError::Sql { .. }))
        ));
        assert_eq!(read(storage, all), Ok(Vec::new()));
    });
}
