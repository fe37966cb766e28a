//! Rates by key: how often each address, certificate or client may do something.
//!
//! A bucket that was not used for a second is like a new one, so two generations of them suffice:
//! each second the young become the old and the old are forgotten. Nothing is ever searched
//! through, and there are never more than twice as many buckets as the bound.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use super::rate::Bucket;

/// How long a generation lasts; an unused bucket is full again by then.
const GENERATION: Duration = Duration::from_secs(1);

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Rates<K> {
    keys_max: usize,
    young: HashMap<K, Bucket>,
    old: HashMap<K, Bucket>,
    since: Option<Instant>,
}

impl<K: Clone + Eq + Hash> Rates<K> {
    /// So many keys a second are measured; further ones pass unmeasured.
    pub(crate) fn new(keys_max: usize) -> Self {
        Self {
            keys_max,
            young: HashMap::new(),
            old: HashMap::new(),
            since: None,
        }
    }

    /// Takes a token of `key`, which gets so many a second; whether there was one.
    pub(crate) fn take(&mut self, key: &K, per_s: u32, now: Instant) -> bool {
        self.turn(now);
        if let Some(bucket) = self.young.get_mut(key) {
            return bucket.take(per_s, 1, now);
        }
        if self.keys_max <= self.young.len() {
            return true;
        }
        let old = self.old.remove(key);
        let mut bucket = old.unwrap_or_else(|| Bucket::full(per_s, now));
        let within = bucket.take(per_s, 1, now);
        self.young.insert(key.clone(), bucket);
        within
    }

    fn turn(&mut self, now: Instant) {
        let since = *self.since.get_or_insert(now);
        let passed = now.saturating_duration_since(since);
        if passed <= GENERATION {
            return;
        }
        self.old = std::mem::take(&mut self.young);
        if 2 * GENERATION < passed {
            self.old = HashMap::new();
        }
        self.since = Some(now);
    }

    /// Buckets held.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests;
