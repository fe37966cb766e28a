//! What the threads have done so far, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the database was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Groups of writes committed; on SQLite, each is one synchronisation of the disk.
    pub commits: u64,
    /// Writes answered out of those groups, kept or rolled back on their own.
    pub writes: u64,
    /// Reads answered.
    pub reads: u64,
    /// Changes appended to the outbox.
    pub changes: u64,
    /// Writes in the largest group.
    pub group_max: u64,
    /// Groups that had to run again: contention, a broken connection, a full disk.
    pub reruns: u64,
    /// Writes refused because the disk is full.
    pub disk_refusals: u64,
}

/// The counters themselves.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) commits: AtomicU64,
    pub(crate) writes: AtomicU64,
    pub(crate) reads: AtomicU64,
    pub(crate) changes: AtomicU64,
    pub(crate) group_max: AtomicU64,
    pub(crate) reruns: AtomicU64,
    pub(crate) disk_refusals: AtomicU64,
}

impl Counters {
    pub(crate) fn read(&self) -> Statistics {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Statistics {
            commits: count(&self.commits),
            writes: count(&self.writes),
            reads: count(&self.reads),
            changes: count(&self.changes),
            group_max: count(&self.group_max),
            reruns: count(&self.reruns),
            disk_refusals: count(&self.disk_refusals),
        }
    }
}

pub(crate) fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(count as u64, Ordering::Relaxed);
}
