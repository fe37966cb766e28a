//! What changed, in the order it was committed.
//!
//! A write appends rows to the outbox in its own transaction. One writer gives the sequences, so
//! they have no gaps and commit in order: who has seen 7 has seen all up to 7. After the commit
//! the changes go to the subscribers of this process; one that lags behind what is kept in memory
//! reads the table, and one that lags behind the table is told so.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use model::Timestamp;
use tokio::sync::watch;

use crate::engine::{Engine, Fault};
use crate::{Row, Storage, StorageError, params};

mod published;

use published::Published;

/// Something changed, and the change is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// 1, 2, 3 … without gaps, in commit order.
    pub sequence: u64,
    /// The time of the transaction.
    pub at: Timestamp,
    /// What kind of thing changed, or [`Change::MISSED`].
    pub topic: String,
    /// Which one.
    pub key: String,
}

impl Change {
    /// The topic of a change that stands for all changes up to its sequence, because they can no
    /// longer be told apart: whatever rests on them must be read again.
    pub const MISSED: &str = "*";

    fn missed(sequence: u64, at: Timestamp) -> Self {
        Self {
            sequence,
            at,
            topic: Self::MISSED.to_owned(),
            key: String::new(),
        }
    }
}

/// Changes kept in memory for subscribers.
const RING_MAX: usize = 4096;
/// Changes given to a subscriber at once.
const BATCH_MAX: usize = 1024;
/// Rows kept in the table for those that were away.
const ROWS_MAX: u64 = 100_000;
/// How long rows are kept.
const AGE_MAX: Duration = Duration::from_hours(24);
/// Rows looked at by one trimming.
const TRIMMED_MAX: i64 = 2048;
/// One trimming for so many new rows; less than it removes, so that it keeps up.
pub(crate) const TRIM_EVERY: u64 = 512;

/// The changes of one group of writes, while it is under way.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// The last sequence given; `None` until the table was asked.
    last: Option<u64>,
    appended: Vec<Change>,
}

/// A point in an [`Outbox`] to return to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    last: Option<u64>,
    count: usize,
}

impl Outbox {
    pub(crate) fn append(
        &mut self,
        engine: &mut dyn Engine,
        at: Timestamp,
        topic: &'static str,
        key: &str,
    ) -> Result<u64, Fault> {
        let last = match self.last {
            Some(last) => last,
            None => last_sequence(engine)?,
        };
        let sequence = last + 1;
        let sql = "INSERT INTO outbox (sequence, at, topic, key) VALUES (?1, ?2, ?3, ?4)";
        engine.execute(sql, &params![as_column(sequence), at, topic, key])?;
        self.last = Some(sequence);
        self.appended.push(Change {
            sequence,
            at,
            topic: topic.to_owned(),
            key: key.to_owned(),
        });
        Ok(sequence)
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark {
            last: self.last,
            count: self.appended.len(),
        }
    }

    /// Forgets what came after `mark`: its rows are rolled back.
    pub(crate) fn rewind(&mut self, mark: Mark) {
        self.last = mark.last;
        self.appended.truncate(mark.count);
    }

    pub(crate) fn into_changes(self) -> Vec<Change> {
        self.appended
    }
}

/// The highest sequence in the table. Trimming never removes the last row, so it never goes back.
pub(crate) fn last_sequence(engine: &mut dyn Engine) -> Result<u64, Fault> {
    let rows = engine.query("SELECT MAX(sequence) FROM outbox", &[])?;
    let last = rows.first().and_then(|row| row.opt_int(0).ok().flatten());
    Ok(last.and_then(|last| u64::try_from(last).ok()).unwrap_or(0))
}

/// Removes some of the oldest rows, if they are too old or too many.
pub(crate) fn trim(engine: &mut dyn Engine, now: Timestamp) -> Result<(), Fault> {
    let last = last_sequence(engine)?;
    let old = now.millis() - i64::try_from(AGE_MAX.as_millis()).unwrap_or(i64::MAX);
    let sql = "DELETE FROM outbox WHERE sequence < ?1 AND (sequence <= ?2 OR at < ?3) \
               AND sequence IN (SELECT sequence FROM outbox ORDER BY sequence LIMIT ?4)";
    let excess = last.saturating_sub(ROWS_MAX);
    engine.execute(
        sql,
        &params![as_column(last), as_column(excess), old, TRIMMED_MAX],
    )?;
    Ok(())
}

fn as_column(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}

/// Where committed changes become known in this process.
#[derive(Debug)]
pub(crate) struct Feed {
    ring: Mutex<VecDeque<Change>>,
    published: Published,
    head: watch::Sender<Head>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    last: u64,
    closed: bool,
}

impl Feed {
    pub(crate) fn new(last: u64) -> Self {
        let closed = false;
        Self {
            ring: Mutex::new(VecDeque::new()),
            published: Published::default(),
            head: watch::Sender::new(Head { last, closed }),
        }
    }

    /// Makes committed changes known, now.
    pub(crate) fn publish(&self, changes: Vec<Change>, now: Instant) {
        let Some(last) = changes.last().map(|change| change.sequence) else {
            return;
        };
        self.published.note(last, now);
        let mut ring = self.lock();
        let follows = ring.back().map(|change| change.sequence + 1);
        if follows.is_some() && follows != changes.first().map(|change| change.sequence) {
            // Another node wrote in between; the table knows what.
            ring.clear();
        }
        ring.extend(changes);
        let excess = ring.len().saturating_sub(RING_MAX);
        ring.drain(..excess);
        drop(ring);
        self.reach(last);
    }

    /// Says that the table goes up to `last`, whoever wrote it.
    pub(crate) fn reach(&self, last: u64) {
        self.head.send_if_modified(|head| {
            let further = head.last < last;
            head.last = head.last.max(last);
            further
        });
    }

    /// When the change with this sequence was made known.
    pub(crate) fn published_at(&self, sequence: u64) -> Option<Instant> {
        self.published.at(sequence)
    }

    pub(crate) fn close(&self) {
        self.head.send_modify(|head| head.closed = true);
    }

    /// What follows `cursor`, if that is still in memory.
    fn after(&self, cursor: u64) -> Option<Vec<Change>> {
        let ring = self.lock();
        let first = ring.front()?.sequence;
        let skip = usize::try_from((cursor + 1).checked_sub(first)?).ok()?;
        let found: Vec<_> = ring.iter().skip(skip).take(BATCH_MAX).cloned().collect();
        (!found.is_empty()).then_some(found)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Change>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The changes from one moment on, in commit order, none left out. Keeps the storage open.
#[derive(Debug)]
pub struct Changes {
    storage: Storage,
    head: watch::Receiver<Head>,
    cursor: u64,
}

impl Changes {
    pub(crate) fn new(storage: Storage, feed: &Feed) -> Self {
        let mut head = feed.head.subscribe();
        let cursor = head.borrow_and_update().last;
        Self {
            storage,
            head,
            cursor,
        }
    }

    /// Waits for the next changes; empty only when the storage is closed and all were given.
    ///
    /// When the changes since the last call are no longer known one by one, the answer is a single
    /// change with the topic [`Change::MISSED`]. Cancel safe: what was not given comes again.
    pub async fn next(&mut self) -> Vec<Change> {
        loop {
            let head = *self.head.borrow_and_update();
            if self.cursor < head.last {
                let known = match self.storage.feed().after(self.cursor) {
                    Some(known) => known,
                    None => self.read_table(head.last).await,
                };
                self.cursor = known.last().map_or(head.last, |change| change.sequence);
                return known;
            }
            if head.closed || self.head.changed().await.is_err() {
                return Vec::new();
            }
        }
    }

    /// The sequence of the last change given.
    pub const fn cursor(&self) -> u64 {
        self.cursor
    }

    async fn read_table(&self, last: u64) -> Vec<Change> {
        let cursor = self.cursor;
        let found = self.storage.read(move |tx| {
            let sql = "SELECT sequence, at, topic, key FROM outbox WHERE sequence > ?1 \
                       ORDER BY sequence LIMIT ?2";
            let most = i64::try_from(BATCH_MAX).unwrap_or(i64::MAX);
            let rows = tx.query(sql, &params![as_column(cursor), most])?;
            rows.iter()
                .map(change)
                .collect::<Result<Vec<_>, StorageError>>()
        });
        let now = self.storage.clock().now();
        match found.await {
            Ok(found) => match found.first() {
                Some(first) if first.sequence == cursor + 1 => found,
                Some(first) => vec![Change::missed(first.sequence - 1, now)],
                None => vec![Change::missed(last, now)],
            },
            Err(error) => {
                tracing::warn!(%error, cursor, last, "the outbox could not be read");
                vec![Change::missed(last, now)]
            }
        }
    }
}

fn change(row: &Row) -> Result<Change, StorageError> {
    let sequence = row.int(0)?;
    Ok(Change {
        sequence: u64::try_from(sequence).map_err(|_| StorageError::Corrupt {
            detail: format!("the outbox has a row {sequence}"),
        })?,
        at: row.time(1)?,
        topic: row.text(2)?,
        key: row.text(3)?,
    })
}

#[cfg(test)]
mod tests;
