use std::time::Duration;

use model::{Clock, SystemClock, Timestamp};
use proptest::prelude::*;

use super::{BATCH_MAX, Change, Feed, RING_MAX};

fn changes(from: u64, count: usize) -> Vec<Change> {
    let change = |sequence| Change {
        sequence,
        at: Timestamp::from_millis(0),
        topic: "a".to_owned(),
        key: String::new(),
    };
    (from..).take(count).map(change).collect()
}

fn publish(feed: &Feed, changes: Vec<Change>) {
    feed.publish(changes, SystemClock.instant());
}

fn given(feed: &Feed, cursor: u64) -> Option<(u64, usize)> {
    let found = feed.after(cursor)?;
    Some((found[0].sequence, found.len()))
}

#[test]
fn memory_gives_what_follows_or_says_that_it_does_not_know() {
    let feed = Feed::new(10);
    assert_eq!(given(&feed, 10), None);
    publish(&feed, changes(11, 3));
    assert_eq!(given(&feed, 10), Some((11, 3)));
    assert_eq!(given(&feed, 12), Some((13, 1)));
    assert_eq!(given(&feed, 13), None);
    assert_eq!(given(&feed, 9), None, "10 was before its time");
}

#[test]
fn memory_is_bounded_and_gives_bounded_batches() {
    let feed = Feed::new(0);
    publish(&feed, changes(1, RING_MAX));
    assert_eq!(given(&feed, 0), Some((1, BATCH_MAX)));
    publish(&feed, changes(RING_MAX as u64 + 1, 1));
    assert_eq!(given(&feed, 0), None);
    assert_eq!(given(&feed, 1), Some((2, BATCH_MAX)));
}

#[test]
fn memory_with_a_gap_is_forgotten() {
    let feed = Feed::new(0);
    publish(&feed, changes(1, 3));
    publish(&feed, changes(6, 2));
    assert_eq!(given(&feed, 3), None);
    assert_eq!(given(&feed, 5), Some((6, 2)));
}

#[test]
fn the_head_never_goes_back() {
    let feed = Feed::new(5);
    let last = || feed.head.borrow().last;
    feed.reach(4);
    assert_eq!(last(), 5);
    feed.reach(9);
    assert_eq!(last(), 9);
    publish(&feed, changes(8, 1));
    assert_eq!(last(), 9);
}

proptest! {
    /// Whatever is published, a cursor is given exactly what follows it, or nothing at all.
    #[test]
    fn agrees_with_the_list_of_all(
        steps in proptest::collection::vec((0u64..3, 1usize..5), 0..8),
        cursor in 0u64..40,
    ) {
        let feed = Feed::new(0);
        let mut all: Vec<Change> = Vec::new();
        for (gap, count) in steps {
            let next = all.last().map_or(1, |change| change.sequence + 1) + gap / 2;
            all.extend(changes(next, count));
            publish(&feed, changes(next, count));
        }
        if let Some(found) = feed.after(cursor) {
            all.retain(|change| cursor < change.sequence);
            prop_assert_eq!(found[0].sequence, cursor + 1);
            prop_assert_eq!(found, all);
        }
    }
}

#[test]
fn when_a_change_became_known_is_known_for_a_while() {
    let feed = Feed::new(0);
    assert_eq!(feed.published_at(1), None);
    let first = SystemClock.instant();
    feed.publish(changes(1, 3), first);
    let second = first + Duration::from_secs(1);
    feed.publish(changes(4, 1), second);
    for (sequence, at) in [
        (1, Some(first)),
        (3, Some(first)),
        (4, Some(second)),
        (5, None),
    ] {
        assert_eq!(feed.published_at(sequence), at, "{sequence}");
    }
    for sequence in 5..=4 + RING_MAX as u64 {
        feed.publish(changes(sequence, 1), second);
    }
    assert_eq!(
        feed.published_at(4),
        Some(second),
        "the oldest that is known"
    );
}
