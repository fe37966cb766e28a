//! When changes became known in this process: what their age is measured from.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::RING_MAX;

/// The last commits: the sequence of the last change of each, and when it was made known.
#[derive(Debug, Default)]
pub(super) struct Published(Mutex<VecDeque<(u64, Instant)>>);

impl Published {
    pub(super) fn note(&self, last: u64, at: Instant) {
        let mut commits = self.lock();
        if RING_MAX <= commits.len() {
            commits.pop_front();
        }
        commits.push_back((last, at));
    }

    /// When `sequence` was made known, or what follows it; `None` for what was never, or too long
    /// ago to be sure.
    pub(super) fn at(&self, sequence: u64) -> Option<Instant> {
        let commits = self.lock();
        let next = commits.partition_point(|(last, _)| *last < sequence);
        commits.get(next).map(|(_, at)| *at)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(u64, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
