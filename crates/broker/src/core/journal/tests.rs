use model::Timestamp;

use super::*;
use crate::store::EntryRow;

fn entry(entry: u64) -> Op {
    Op::Entry(Box::new(EntryRow {
        entry,
        holder: "a".into(),
        message: 1,
        qos: 1,
        retain: false,
        identifier: None,
        packet_id: None,
        released: false,
    }))
}

fn sent(entry: u64) -> Op {
    Op::EntrySent {
        entry,
        packet_id: 7,
        released: false,
    }
}

fn retained(topic: &str) -> Op {
    let topic = topic.to_owned();
    Op::RetainedEnd { topic }
}

#[test]
fn what_ends_before_it_is_taken_never_reaches_the_disk() {
    let mut journal = Journal::default();
    journal.write(entry(1));
    journal.write(entry(2));
    journal.write(sent(1));
    assert_eq!((journal.written(), journal.backlog()), (2, 2));
    assert_eq!(journal.awaited_since(0), 2);
    journal.write(Op::EntryEnd { entry: 1 });
    assert_eq!(journal.awaited_since(0), 2, "one that will be told of");
    assert_eq!(journal.awaited_since(1), 1);
    assert_eq!(journal.take_undone(), [1]);
    assert_eq!(journal.awaited_since(0), 1);
    assert!(!journal.is_persisted(1), "what came after it is not");
    journal.write(Op::EntryEnd { entry: 2 });
    assert_eq!(journal.take_undone(), [2]);
    assert!(journal.is_persisted(2), "there is nothing to be stored");
    assert_eq!(journal.backlog(), 0);
    assert!(journal.take().is_none());
}

#[test]
fn where_an_entry_was_sent_goes_with_it() {
    let mut journal = Journal::default();
    journal.write(entry(1));
    journal.write(sent(1));
    let batch = journal.take().expect("an op was written");
    let [Op::Entry(row)] = batch.ops.as_slice() else {
        panic!("{:?}", batch.ops);
    };
    assert_eq!((row.packet_id, batch.up_to), (Some(7), 1));
    // Once it is taken, later ops are ops of their own.
    journal.write(sent(1));
    journal.write(Op::EntryEnd { entry: 1 });
    assert!(journal.take_undone().is_empty());
    assert_eq!(journal.backlog(), 3);
    journal.persisted(1);
    assert_eq!(journal.take().expect("two ops").ops.len(), 2);
}

#[test]
fn a_batch_waits_only_for_what_may_come_to_nothing() {
    let mut journal = Journal::default();
    assert_eq!(journal.patience(), None);
    journal.write(entry(1));
    assert!(!journal.is_due());
    assert_eq!(journal.patience(), Some(LINGER));
    journal.hurry();
    assert!(journal.is_due());
    assert_eq!(journal.patience(), None);
    assert!(journal.take().is_some());
    assert!(!journal.is_due());

    journal.write(retained("a"));
    assert!(
        journal.is_due(),
        "a retained message does not end by itself"
    );
    journal.take();
    journal.write(entry(2));
    journal.hurry();
    assert!(journal.is_due(), "its receiver is away");
}

#[test]
fn a_connection_that_was_short_is_one_row() {
    let at = Timestamp::from_millis(5);
    let begin = |id: &str| {
        Op::History(Box::new(HistoryRow {
            id: id.to_owned(),
            principal: String::new(),
            client_id: None,
            thing: None,
            address: String::new(),
            tls_version: String::new(),
            tls_group: String::new(),
            connected_at: at,
            disconnected_at: None,
            reason: None,
        }))
    };
    let end = |id: &str| Op::HistoryEnd {
        id: id.to_owned(),
        at,
        reason: "CONNECTION_LOST",
    };
    let mut journal = Journal::default();
    journal.write(begin("a"));
    assert_eq!(journal.patience(), Some(HISTORY_LINGER));
    journal.write(begin("b"));
    journal.write(end("a"));
    assert_eq!(journal.written(), 0, "nobody waits for it");
    let batch = journal.take().expect("two rows");
    let ended = |op: &Op| matches!(op, Op::History(row) if row.disconnected_at.is_some());
    assert_eq!(
        batch.ops.iter().map(ended).collect::<Vec<_>>(),
        [true, false]
    );
    journal.write(end("b"));
    assert_eq!(journal.take().expect("an end").ops, [end("b")]);
}

#[test]
fn while_the_disk_is_stuck_what_comes_to_nothing_takes_no_room() {
    let mut journal = Journal::default();
    journal.write(entry(0));
    for number in 1..10_000 {
        journal.write(entry(number));
        journal.write(Op::EntryEnd { entry: number });
        journal.take_undone();
    }
    assert_eq!((journal.backlog(), journal.written()), (1, 10_000));
    assert!(journal.pending.len() <= 2 * HOLES_MIN);
    assert_eq!(journal.take().expect("one op").ops, [entry(0)]);
    for _ in 0..=HISTORY_MAX {
        journal.write(Op::HistoryEnd {
            id: String::new(),
            at: Timestamp::from_millis(0),
            reason: "",
        });
    }
    assert_eq!(journal.backlog(), HISTORY_MAX as u64 + 1);
}
