//! Token buckets: so many of something per second, with one second's worth of burst.

use std::time::{Duration, Instant};

/// A bucket that fills at its rate and holds one second's worth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    /// Thousandths of a token, so that slow rates fill evenly.
    millitokens: u64,
    filled_at: Instant,
}

impl Bucket {
    /// A full bucket.
    pub(crate) fn full(rate: u32, now: Instant) -> Self {
        Self {
            millitokens: u64::from(rate) * 1000,
            filled_at: now,
        }
    }

    /// Takes `count` tokens, all or none. A request above a whole second's worth passes when the
    /// bucket is full, or it could never pass.
    pub(crate) fn take(&mut self, rate: u32, count: u32, now: Instant) -> bool {
        let capacity = u64::from(rate) * 1000;
        let passed = now.saturating_duration_since(self.filled_at);
        let passed_ms = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        if passed_ms > 0 {
            let gained = passed_ms.saturating_mul(u64::from(rate));
            self.millitokens = self.millitokens.saturating_add(gained).min(capacity);
            self.filled_at += Duration::from_millis(passed_ms);
        }
        let wanted = (u64::from(count) * 1000).min(capacity);
        match self.millitokens.checked_sub(wanted) {
            Some(left) => {
                self.millitokens = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests;
