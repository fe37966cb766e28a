use proptest::prelude::*;
use storage::Urgency;
use testkit::START;

use super::*;

fn write(storage: &storage::Storage, ops: Vec<Op>) {
    storage
        .write_blocking(Urgency::Normal, move |tx| apply(tx, &ops))
        .expect("the database takes it");
}

fn read(storage: &storage::Storage) -> Stored {
    storage.read_blocking(load).expect("the database answers")
}

fn session(client_id: &str) -> Op {
    Op::Session(Box::new(SessionRow {
        client_id: client_id.to_owned(),
        owner: "thing:t".to_owned(),
        principal: "ab".repeat(32),
        thing: Some("t".to_owned()),
        expiry_s: u32::MAX,
        version: 5,
        keep_alive_s: u16::MAX,
        presence: 7,
        connected_at: START,
        disconnected_at: None,
        disconnect_reason: None,
    }))
}

fn will(id: &str, due: bool) -> WillRow {
    WillRow {
        id: id.to_owned(),
        client_id: "c".to_owned(),
        principal: "ab".repeat(32),
        source_ip: "2001:db8::1".parse().expect("an address"),
        server_name: Some("broker.example".to_owned()),
        persistent: true,
        body: Bytes::from_static(b"will"),
        delay_s: u32::MAX,
        due,
    }
}

fn entry(entry: u64, message: u64) -> Op {
    Op::Entry(Box::new(EntryRow {
        entry,
        holder: "c".to_owned(),
        message,
        qos: 1,
        retain: false,
        identifier: None,
        packet_id: None,
        released: false,
    }))
}

fn message(id: u64) -> Op {
    let body = Bytes::from(format!("body {id}"));
    Op::Message {
        id,
        body,
        expires_at: None,
    }
}

fn subscription(filter: &str, qos: u8) -> Op {
    Op::Subscription {
        client_id: "c".to_owned(),
        subscription: SubscriptionRow {
            filter: filter.to_owned(),
            qos,
            no_local: true,
            retain_as_published: false,
            identifier: Some(268_435_455),
        },
    }
}

fn inbound(packet_id: u16) -> Op {
    let client_id = "c".to_owned();
    Op::Inbound {
        client_id,
        packet_id,
    }
}

fn sent(entry: u64, packet_id: u16, released: bool) -> Op {
    Op::EntrySent {
        entry,
        packet_id,
        released,
    }
}

#[test]
fn what_is_written_is_read_back() {
    testkit::each_database(MIGRATIONS, |storage| {
        write(
            storage,
            vec![session("c"), subscription("a/#", 0), subscription("a/#", 2)],
        );
        write(storage, vec![inbound(65_535), inbound(1), inbound(1)]);
        write(storage, vec![message(1), entry(1, 1), entry(2, 1)]);
        write(storage, vec![sent(2, 9, true)]);
        let kept = RetainedRow {
            topic: "t".to_owned(),
            body: Bytes::from_static(b"kept"),
            modified_at: START,
            expires_at: Some(START),
        };
        write(
            storage,
            vec![Op::Retained(kept.clone()), Op::Retained(kept.clone())],
        );

        let stored = read(storage);
        let Op::Session(expected) = session("c") else {
            unreachable!("it is a session");
        };
        assert_eq!(stored.sessions.len(), 1);
        assert_eq!(stored.sessions[0].row, *expected);
        assert_eq!(stored.sessions[0].inbound, [1, 65_535]);
        let subscriptions = &stored.sessions[0].subscriptions;
        assert_eq!((subscriptions.len(), subscriptions[0].qos), (1, 2));
        assert_eq!(stored.messages[&1].body, "body 1");
        let states: Vec<_> = stored
            .entries
            .iter()
            .map(|row| (row.entry, row.packet_id, row.released))
            .collect();
        assert_eq!(states, [(1, None, false), (2, Some(9), true)]);
        assert_eq!(stored.retained, [kept]);

        let client_id = "c".to_owned();
        write(
            storage,
            vec![
                Op::SessionEnd { client_id },
                Op::EntryEnd { entry: 1 },
                Op::EntryEnd { entry: 2 },
                Op::MessageEnd { id: 1 },
                Op::RetainedEnd {
                    topic: "t".to_owned(),
                },
            ],
        );
        let stored = read(storage);
        assert!(stored.sessions.is_empty() && stored.messages.is_empty());
        assert!(stored.entries.is_empty() && stored.retained.is_empty());
    });
}

#[test]
fn wills_are_kept_until_they_end() {
    testkit::each_database(MIGRATIONS, |storage| {
        let put = |id, due| Op::Will(Box::new(will(id, due)));
        write(storage, vec![put("a", false), put("b", false)]);
        write(storage, vec![put("b", true)]);
        assert_eq!(read(storage).wills, [will("a", false), will("b", true)]);
        let id = "a".to_owned();
        write(storage, vec![Op::WillEnd { id }]);
        assert_eq!(read(storage).wills, [will("b", true)]);
    });
}

/// Version 1 kept a will in the row of its session.
#[test]
fn wills_of_version_1_are_taken_over() {
    for database in testkit::databases() {
        let storage = database.open(&MIGRATIONS[..1]);
        let insert = |tx: &mut Tx<'_>| -> Result<(), StorageError> {
            for (client_id, will) in [("plain", None), ("c", Some(&b"will"[..]))] {
                let will = will.map(|will| tx.seal("broker-will", will)).transpose()?;
                tx.execute(
                    "INSERT INTO sessions (client_id, owner, principal, expiry_s, version, \
                     keep_alive_s, presence, connected_at, will, will_delay_s) \
                     VALUES (?1, 'thing:t', ?2, 60, 5, 0, 0, ?3, ?4, 7)",
                    &params![client_id, "ab".repeat(32), START, will],
                )?;
            }
            Ok(())
        };
        storage
            .write_blocking(Urgency::Normal, insert)
            .expect("the database takes it");
        write_history(&storage);
        drop(storage);
        let storage = database.open(MIGRATIONS);
        let stored = read(&storage);
        assert_eq!(stored.sessions.len(), 2);
        let expected = WillRow {
            source_ip: "192.0.2.1".parse().expect("an address"),
            server_name: None,
            delay_s: 7,
            ..will("c", false)
        };
        assert_eq!(stored.wills, [expected]);
    }
}

/// A connection of `c` from 192.0.2.1.
fn write_history(storage: &storage::Storage) {
    write(storage, vec![connection("h", "c", 1)]);
}

#[test]
fn more_rows_than_one_statement_reads() {
    testkit::each_database(MIGRATIONS, |storage| {
        let mut ops = vec![session("c")];
        for number in 1..=5000_u16 {
            ops.push(subscription(&format!("f/{number}"), 1));
            ops.push(inbound(number));
            ops.push(message(number.into()));
            ops.push(entry(number.into(), number.into()));
        }
        write(storage, ops);
        let stored = read(storage);
        assert_eq!(stored.sessions[0].subscriptions.len(), 5000);
        assert_eq!(stored.sessions[0].inbound.len(), 5000);
        assert_eq!(stored.messages.len(), 5000);
        assert_eq!(stored.entries.len(), 5000);
    });
}

#[test]
fn bodies_are_sealed() {
    let database = testkit::databases().remove(0);
    let storage = database.open(MIGRATIONS);
    let will = Op::Will(Box::new(will("w", false)));
    write(&storage, vec![message(1), entry(1, 1), will]);
    let raw: Vec<Vec<u8>> = storage
        .read_blocking(|tx| {
            let messages = tx.query("SELECT body FROM messages LIMIT 9", &[])?;
            let wills = tx.query("SELECT body FROM wills LIMIT 9", &[])?;
            messages
                .iter()
                .chain(&wills)
                .map(|row| row.blob(0))
                .collect()
        })
        .map_err(|error: StorageError| error)
        .expect("the database answers");
    for blob in raw {
        let text = String::from_utf8_lossy(&blob).into_owned();
        assert!(!text.contains("body") && !text.contains("will"), "{text}");
    }
}

fn at(day: i64) -> Timestamp {
    Timestamp::from_seconds(START.seconds() + day * 86_400)
}

fn connection(id: &str, client_id: &str, day: i64) -> Op {
    Op::History(Box::new(HistoryRow {
        id: id.to_owned(),
        principal: "p".to_owned(),
        client_id: Some(client_id.to_owned()),
        thing: None,
        address: "192.0.2.1".to_owned(),
        tls_version: "TLSv1_3".to_owned(),
        tls_group: "X25519".to_owned(),
        connected_at: at(day),
        disconnected_at: None,
        reason: None,
    }))
}

#[test]
fn the_history_is_paged_newest_first_and_forgotten_after_31_days() {
    testkit::each_database(MIGRATIONS, |storage| {
        let end = Op::HistoryEnd {
            id: "2".to_owned(),
            at: at(3),
            reason: "CONNECTION_LOST",
        };
        write(
            storage,
            vec![
                connection("1", "a", 0),
                connection("2", "b", 1),
                connection("3", "a", 1),
                end,
            ],
        );
        let list = |client_id: Option<&'static str>, limit| {
            let mut ids = Vec::new();
            let mut after: Option<(Timestamp, String)> = None;
            loop {
                let from = after.clone();
                let page = storage
                    .read_blocking(move |tx| {
                        let from = from.as_ref().map(|(at, id)| (*at, id.as_str()));
                        history(tx, Some("p"), client_id, from, limit)
                    })
                    .expect("the database answers");
                ids.extend(page.rows.into_iter().map(|row| (row.id, row.reason)));
                match page.next {
                    Some(next) => after = Some(next),
                    None => return ids,
                }
            }
        };
        let open = |id: &str| (id.to_owned(), None);
        let lost = |id: &str| (id.to_owned(), Some("CONNECTION_LOST".to_owned()));
        for limit in 1..=4 {
            assert_eq!(list(None, limit), [open("3"), lost("2"), open("1")]);
            assert_eq!(list(Some("a"), limit), [open("3"), open("1")]);
        }
        let forget = |now| {
            let run = move |tx: &mut Tx<'_>| reconcile(tx, now);
            storage
                .write_blocking(Urgency::Normal, run)
                .expect("the database takes it")
                .value
        };
        assert_eq!(forget(at(31)), 0);
        assert_eq!(forget(at(31).after(std::time::Duration::from_millis(1))), 1);
        let close = |tx: &mut Tx<'_>| close_open(tx, START);
        storage
            .write_blocking(Urgency::Normal, close)
            .expect("the database takes it");
        let reasons: Vec<_> = list(None, 9)
            .into_iter()
            .map(|(_, reason)| reason)
            .collect();
        assert_eq!(
            reasons,
            [
                Some("SERVER_ERROR".to_owned()),
                Some("CONNECTION_LOST".to_owned())
            ]
        );
    });
}

/// What the broker may write about one entry and its message, in order.
fn life(number: u64, steps: usize) -> Vec<Op> {
    let all = vec![
        message(number),
        entry(number, number),
        sent(number, 3, false),
        sent(number, 3, true),
        Op::EntryEnd { entry: number },
        Op::MessageEnd { id: number },
    ];
    all.into_iter().take(steps).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// However ops are cut into batches, the same is stored.
    #[test]
    fn batches_do_not_matter(
        lives in prop::collection::vec(0_usize..=6, 1..5),
        cuts in prop::collection::vec(1_usize..6, 0..12),
    ) {
        let mut ops = Vec::new();
        for step in 0..6 {
            for (number, steps) in (1..).zip(&lives) {
                ops.extend(life(number, *steps).into_iter().skip(step).take(1));
            }
        }
        let one = testkit::databases().remove(0);
        let many = testkit::databases().remove(0);
        let (one, many) = (one.open(MIGRATIONS), many.open(MIGRATIONS));
        for op in &ops {
            write(&one, vec![op.clone()]);
        }
        let mut rest = ops;
        for cut in cuts {
            let tail = rest.split_off(cut.min(rest.len()));
            write(&many, std::mem::replace(&mut rest, tail));
        }
        write(&many, rest);
        let (one, many) = (read(&one), read(&many));
        prop_assert_eq!(&one.entries, &many.entries);
        let ids = |stored: &Stored| {
            let mut ids: Vec<u64> = stored.messages.keys().copied().collect();
            ids.sort_unstable();
            ids
        };
        prop_assert_eq!(ids(&one), ids(&many));
    }
}
