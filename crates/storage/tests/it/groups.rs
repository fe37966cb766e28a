//! Many writes in one commit, each for itself.

use std::collections::BTreeMap;

use proptest::prelude::*;
use storage::{Storage, StorageError, Tx, Urgency};

use crate::notes::{Gate, NOTES, all, block_on, put, read};

#[test]
fn many_waiting_writes_share_one_commit() {
    testkit::each_database(NOTES, |storage| {
        block_on(async {
            let before = storage.statistics();
            let gate = Gate::close(storage).await;
            let writes: Vec<_> = (0..100).map(|number| spawn_put(storage, number)).collect();
            gate.open().await;
            for write in writes {
                write.await.unwrap().unwrap();
            }
            let after = storage.statistics();
            assert_eq!(after.writes - before.writes, 101);
            assert_eq!(
                after.commits - before.commits,
                2,
                "the gate's and the group's"
            );
            assert_eq!(after.group_max, 100);
        });
        assert_eq!(read(storage, all).unwrap().len(), 100);
    });
}

fn spawn_put(
    storage: &Storage,
    number: i64,
) -> tokio::task::JoinHandle<Result<storage::Committed<()>, StorageError>> {
    let storage = storage.clone();
    tokio::spawn(async move {
        let name = format!("{number:04}");
        storage
            .write(Urgency::Normal, move |tx| put(tx, &name, number))
            .await
    })
}

/// What a write of a group does.
#[derive(Clone, Copy, Debug)]
enum Write {
    Put(u8, i64),
    /// Puts, then answers an error of its own.
    Refuse(u8),
    /// Puts, then runs a statement that the engine refuses.
    Fail(u8),
    /// Puts, then panics.
    Panic(u8),
    /// Adds 1 to what it finds.
    Add(u8),
}

fn run(write: Write, tx: &mut Tx<'_>) -> Result<(), StorageError> {
    let name = |key: u8| format!("k{key}");
    match write {
        Write::Put(key, size) => put(tx, &name(key), size),
        Write::Refuse(key) => {
            put(tx, &name(key), -1)?;
            Err(StorageError::Unavailable {
                detail: "no".to_owned(),
            })
        }
        Write::Fail(key) => {
            put(tx, &name(key), -2)?;
            tx.execute("INSERT INTO nowhere (a) VALUES (1)", &[])
                .map(drop)
        }
        Write::Panic(key) => {
            put(tx, &name(key), -3)?;
            panic!("on purpose")
        }
        Write::Add(key) => {
            let found = all(tx)?.into_iter().find(|(found, _)| *found == name(key));
            put(tx, &name(key), found.map_or(0, |(_, size)| size) + 1)
        }
    }
}

/// The obvious model: one after the other; what fails leaves nothing.
fn model(writes: &[Write]) -> (BTreeMap<String, i64>, Vec<bool>, u64) {
    let mut stored = BTreeMap::new();
    let mut changes = 0;
    let outcomes = writes.iter().map(|write| {
        let (key, size) = match *write {
            Write::Put(key, size) => (key, size),
            Write::Add(key) => (
                key,
                stored.get(&format!("k{key}")).copied().unwrap_or(0) + 1,
            ),
            Write::Refuse(_) | Write::Fail(_) | Write::Panic(_) => return false,
        };
        stored.insert(format!("k{key}"), size);
        changes += 1;
        true
    });
    let outcomes = outcomes.collect();
    (stored, outcomes, changes)
}

fn any_write() -> impl Strategy<Value = Write> {
    prop_oneof![
        (0u8..4, 0i64..10).prop_map(|(key, size)| Write::Put(key, size)),
        (0u8..4).prop_map(Write::Refuse),
        (0u8..4).prop_map(Write::Fail),
        (0u8..4).prop_map(Write::Panic),
        (0u8..4).prop_map(Write::Add),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn a_failing_write_hurts_no_other_of_its_group(
        writes in proptest::collection::vec(any_write(), 1..12),
    ) {
        testkit::each_database(NOTES, |storage| {
            let outcomes = block_on(in_one_group(storage, &writes));
            let (stored, expected, changes) = model(&writes);
            assert_eq!(outcomes, expected);
            assert_eq!(read(storage, all).unwrap(), stored.into_iter().collect::<Vec<_>>());
            let sql = "SELECT sequence FROM outbox ORDER BY sequence";
            let rows = read(storage, move |tx| tx.query(sql, &[]));
            let sequences: Vec<_> = rows.unwrap().iter().map(|row| row.int(0).unwrap()).collect();
            assert_eq!(sequences, (1..=i64::try_from(changes).unwrap()).collect::<Vec<_>>());
            assert_eq!(storage.statistics().changes, changes);
        });
    }
}

async fn in_one_group(storage: &Storage, writes: &[Write]) -> Vec<bool> {
    let gate = Gate::close(storage).await;
    let tasks: Vec<_> = writes
        .iter()
        .map(|write| {
            let (storage, write) = (storage.clone(), *write);
            tokio::spawn(async move {
                storage
                    .write(Urgency::Normal, move |tx| run(write, tx))
                    .await
                    .is_ok()
            })
        })
        .collect();
    gate.open().await;
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}
