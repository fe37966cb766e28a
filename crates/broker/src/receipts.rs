//! Receipts: what a change of access did to live sessions, and how soon.
//!
//! The answer to a change carries its sequence; whoever made it asks for the receipt and sees how
//! many sessions ended. The last ones are kept in memory.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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
    /// From commit to the last session, in milliseconds.
    pub elapsed_ms: u64,
}

/// The last receipts, and how far changes are applied. Shared between threads.
#[derive(Debug)]
pub(crate) struct Receipts {
    kept: Mutex<VecDeque<Receipt>>,
    applied: watch::Sender<u64>,
}

impl Default for Receipts {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
            applied: watch::Sender::new(0),
        }
    }
}

impl Receipts {
    /// A change, and all before it, is applied.
    pub(crate) fn put(&self, receipt: Receipt) {
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
