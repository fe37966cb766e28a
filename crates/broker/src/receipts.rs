//! Receipts: what a change of access did to live sessions, and how soon.
//!
//! The answer to a change carries its sequence; whoever made it asks for the receipt and sees how
//! many sessions ended. The last ones are kept in memory.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;
use serde::Serialize;
use tokio::sync::watch;

/// Receipts kept.
const KEPT: usize = 10_000;

/// How a change of access ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// The change's sequence, as the answer's `x-palisade-change` header gave it.
    pub sequence: u64,
    /// What changed: `certificate`, `policy`, `principal`, `thing`, `thing-group` ….
    pub topic: String,
    /// Which one.
    pub key: String,
    /// Live sessions that were ended.
    pub sessions_closed: u64,
    /// Subscriptions of live sessions that were taken away.
    pub subscriptions_dropped: u64,
    /// From commit to the last session, in milliseconds begun.
    pub elapsed_ms: u64,
    /// The same in microseconds.
    pub elapsed_us: u64,
}

/// The last receipts, and how far changes are applied. Shared between threads.
#[derive(Debug)]
pub(crate) struct Receipts {
    kept: Mutex<VecDeque<Receipt>>,
    applied: watch::Sender<u64>,
    /// Whether changes are being applied: before, no session rests on them.
    begun: AtomicBool,
    latency: Histogram,
}

/// Upper bounds of the histogram of times to apply a change, in seconds.
const LATENCY_BUCKETS: [f64; 11] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 10.0,
];

impl Default for Receipts {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
            applied: watch::Sender::new(0),
            begun: AtomicBool::new(false),
            latency: Histogram::new(LATENCY_BUCKETS),
        }
    }
}

impl Receipts {
    /// Changes after `sequence` are applied from now on.
    pub(crate) fn begin(&self, sequence: u64) {
        self.applied
            .send_modify(|applied| *applied = (*applied).max(sequence));
        self.begun.store(true, Ordering::Release);
    }

    /// The change that is to be applied next, or would be.
    pub(crate) fn outstanding(&self) -> Option<u64> {
        let begun = self.begun.load(Ordering::Acquire);
        begun.then(|| *self.applied.borrow() + 1)
    }

    /// How long it took to apply changes.
    pub(crate) fn latency(&self) -> Histogram {
        self.latency.clone()
    }

    /// A change, and all before it, is applied.
    pub(crate) fn put(&self, receipt: Receipt) {
        let elapsed = Duration::from_micros(receipt.elapsed_us);
        self.latency.observe(elapsed.as_secs_f64());
        let sequence = receipt.sequence;
        let mut kept = self.kept();
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back(receipt);
        drop(kept);
        self.applied.send_if_modified(|applied| {
            let newer = *applied < sequence;
            *applied = (*applied).max(sequence);
            newer
        });
    }

    /// The receipt of a change, once it is applied. `None` when that takes longer than `patience`,
    /// or the change is too old, or was never made.
    pub(crate) async fn wait(&self, sequence: u64, patience: Duration) -> Option<Receipt> {
        let mut applied = self.applied.subscribe();
        let is_applied = async {
            drop(applied.wait_for(|applied| sequence <= *applied).await);
        };
        // Late or not: what is there counts.
        let _late = tokio::time::timeout(patience, is_applied).await;
        let kept = self.kept();
        kept.iter()
            .find(|receipt| receipt.sequence == sequence)
            .cloned()
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Receipt>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
