//! The feed: every committed change, in commit order, to everyone.

use std::thread;
use std::time::Duration;

use storage::{Change, Changes, Storage};

use crate::notes::{NOTES, all, block_on, put, read, write};

/// Takes changes until there are `count`.
fn take(changes: &mut Changes, count: usize) -> Vec<Change> {
    let mut found = Vec::new();
    while found.len() < count {
        let next = block_on(changes.next());
        assert!(!next.is_empty(), "closed after {} changes", found.len());
        found.extend(next);
    }
    found
}

fn sequences(changes: &[Change]) -> Vec<u64> {
    changes.iter().map(|change| change.sequence).collect()
}

#[test]
fn changes_come_in_commit_order_whoever_writes() {
    const WRITERS: i64 = 8;
    const WRITES: i64 = 20;
    testkit::each_database(NOTES, |storage| {
        let mut changes = storage.changes();
        thread::scope(|scope| {
            for writer in 0..WRITERS {
                scope.spawn(move || {
                    for number in 0..WRITES {
                        let name = format!("{writer}-{number}");
                        let written = write(storage, move |tx| put(tx, &name, number)).unwrap();
                        assert!(written.last_change.is_some());
                    }
                });
            }
        });
        let count = usize::try_from(WRITERS * WRITES).unwrap();
        let found = take(&mut changes, count);
        assert_eq!(sequences(&found), (1..=count as u64).collect::<Vec<_>>());
        // Each writer's changes are in the order in which it made them.
        for writer in 0..WRITERS {
            let of_writer = found
                .iter()
                .filter(|change| change.key.starts_with(&format!("{writer}-")));
            let keys: Vec<_> = of_writer.map(|change| change.key.clone()).collect();
            assert_eq!(
                keys,
                (0..WRITES)
                    .map(|number| format!("{writer}-{number}"))
                    .collect::<Vec<_>>()
            );
        }
    });
}

#[test]
fn a_change_is_known_before_its_write_is_answered() {
    testkit::each_database(NOTES, |storage| {
        let mut changes = storage.changes();
        let written = write(storage, |tx| put(tx, "a", 1)).unwrap();
        let found = block_on(changes.next());
        assert_eq!(Some(found[0].sequence), written.last_change);
        assert_eq!(
            (found[0].topic.as_str(), found[0].key.as_str()),
            ("note", "a")
        );
        assert_eq!(found[0].at, testkit::START);
        assert_eq!(changes.cursor(), 1);
    });
}

#[test]
fn a_subscriber_starts_at_now() {
    testkit::each_database(NOTES, |storage| {
        write(storage, |tx| put(tx, "before", 1)).unwrap();
        let mut changes = storage.changes();
        write(storage, |tx| put(tx, "after", 1)).unwrap();
        assert_eq!(block_on(changes.next())[0].key, "after");
    });
}

fn put_many(storage: &Storage, count: usize) {
    let run = move |tx: &mut storage::Tx<'_>| {
        (0..count).try_for_each(|number| tx.changed("note", &number.to_string()))
    };
    write(storage, run).unwrap();
}

#[test]
fn a_subscriber_that_lags_behind_catches_up_from_the_table() {
    testkit::each_database(NOTES, |storage| {
        let mut changes = storage.changes();
        for _ in 0..5 {
            put_many(storage, 1000);
        }
        let found = take(&mut changes, 5000);
        assert_eq!(sequences(&found), (1..=5000).collect::<Vec<_>>());
    });
}

#[test]
fn a_subscriber_that_lags_behind_the_table_is_told_so() {
    testkit::each_database_and_clock(NOTES, |storage, clock| {
        let mut changes = storage.changes();
        put_many(storage, 3000);
        clock.advance(Duration::from_hours(25));
        for _ in 0..5 {
            put_many(storage, 1000);
        }
        let found = take(&mut changes, 1);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].topic.as_str(), found[0].sequence),
            (Change::MISSED, 3000)
        );
        let rest = take(&mut changes, 5000);
        assert_eq!(sequences(&rest), (3001..=8000).collect::<Vec<_>>());
    });
}

#[test]
fn sequences_go_on_where_they_stopped() {
    for database in testkit::databases() {
        let storage = database.open(NOTES);
        write(&storage, |tx| put(tx, "a", 1)).unwrap();
        database.clock.advance(Duration::from_hours(48));
        drop(storage);
        let storage = database.open(NOTES);
        let mut changes = storage.changes();
        assert_eq!(changes.cursor(), 1);
        let written = write(&storage, |tx| put(tx, "b", 1)).unwrap();
        assert_eq!(written.last_change, Some(2));
        assert_eq!(block_on(changes.next())[0].sequence, 2);
    }
}

#[test]
fn closing_ends_the_feed_and_refuses_what_comes() {
    for database in testkit::databases() {
        let storage = database.open(NOTES);
        let mut changes = storage.changes();
        write(&storage, |tx| put(tx, "a", 1)).unwrap();
        block_on(storage.close());
        assert_eq!(block_on(changes.next()).len(), 1);
        assert_eq!(block_on(changes.next()), []);
        let closed = Err(storage::StorageError::Closed);
        assert_eq!(read(&storage, all), closed);
        assert_eq!(
            write(&storage, |tx| put(tx, "b", 1)).map(drop),
            closed.map(drop)
        );
        // The lease is free although `storage` still lives.
        assert_eq!(read(&database.open(NOTES), all).unwrap().len(), 1);
    }
}
