//! How fast a connection is read: so many packets and bytes a second, whatever they are.
//!
//! A packet is taken as soon as those before it are paid for, and paid for afterwards: so one
//! larger than a second's worth passes too, and what follows it waits the longer. Who sends faster
//! is not refused and loses nothing; it is not read meanwhile, and its network holds it back.

use std::time::{Duration, Instant};

use super::arena::Key;
use super::budgets::Budget;
use super::connection::Connection;
use super::{Core, Now, Timer};
use crate::limits::Limits;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Pace {
    packets: Option<Tab>,
    bytes: Option<Tab>,
    /// Not read until [`Core::read_on`].
    paused: bool,
}

/// What was taken and is not paid for yet.
#[derive(Debug)]
struct Tab {
    per_s: u32,
    /// When all is paid for, if nothing is added.
    paid_at: Instant,
}

impl Tab {
    fn new(per_s: u32, now: Instant) -> Self {
        let paid_at = now;
        Self { per_s, paid_at }
    }

    /// When the next may be taken: a second's worth is lent.
    fn free_at(&self) -> Instant {
        self.paid_at.checked_sub(BURST).unwrap_or(self.paid_at)
    }

    fn add(&mut self, count: usize, now: Instant) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let nanos = count.saturating_mul(1_000_000_000) / u64::from(self.per_s.max(1));
        let costs = Duration::from_nanos(nanos).min(COST_MAX);
        self.paid_at = self.paid_at.max(now) + costs;
    }
}

/// What may be taken at once.
const BURST: Duration = Duration::from_secs(1);
/// No packet holds up a connection for longer.
const COST_MAX: Duration = Duration::from_secs(600);

impl Pace {
    /// `None` when there is no limit.
    pub(crate) fn new(limits: &Limits, now: Instant) -> Option<Box<Self>> {
        let tab = |per_s: Option<u32>| per_s.map(|per_s| Tab::new(per_s, now));
        let (packets, bytes) = (tab(limits.packets_per_s), tab(limits.bytes_per_s));
        let limited = packets.is_some() || bytes.is_some();
        limited.then(|| {
            Box::new(Self {
                packets,
                bytes,
                paused: false,
            })
        })
    }

    /// Until when nothing more is taken, and which budget it is that is used up.
    fn waits_until(&self, now: Instant) -> Option<(Instant, Budget)> {
        let at = |tab: &Option<Tab>, budget| {
            let free_at = tab.as_ref()?.free_at();
            (now < free_at).then_some((free_at, budget))
        };
        let packets = at(&self.packets, Budget::PacketsPerSecond);
        let bytes = at(&self.bytes, Budget::BytesPerSecond);
        packets.into_iter().chain(bytes).max_by_key(|(at, _)| *at)
    }

    fn add(&mut self, packet_bytes: usize, now: Instant) {
        if let Some(packets) = &mut self.packets {
            packets.add(1, now);
        }
        if let Some(bytes) = &mut self.bytes {
            bytes.add(packet_bytes, now);
        }
    }
}

/// How long a client that was too fast is at least left unread: its turns cost the others less when
/// they are fewer, and what it may send meanwhile is kept for it.
const REST_MIN: Duration = Duration::from_millis(50);

impl Core {
    /// Whether a packet of `key` may be taken now; if not, the shell is told when it may.
    pub(super) fn is_within_pace(&mut self, now: Now, key: Key<Connection>) -> bool {
        if !self.settings.limits.has_pace() {
            return true;
        }
        let found = self.connections.get_mut(key);
        let Some(pace) = found.and_then(|connection| connection.pace.as_mut()) else {
            return true;
        };
        let Some((until, budget)) = pace.waits_until(now.instant) else {
            return true;
        };
        if !pace.paused {
            pace.paused = true;
            let until = until.max(now.instant + REST_MIN);
            self.wake_at(until, Timer::ReadOn(key));
            self.reached(budget, key);
        }
        false
    }

    /// A packet of `key` was taken.
    pub(super) fn pace(&mut self, now: Now, key: Key<Connection>, packet_bytes: usize) {
        if !self.settings.limits.has_pace() {
            return;
        }
        let found = self.connections.get_mut(key);
        if let Some(pace) = found.and_then(|connection| connection.pace.as_mut()) {
            pace.add(packet_bytes, now.instant);
        }
    }

    /// Whether `key` is not read because it was too fast: it is not silent then.
    pub(super) fn is_paused_for_pace(&self, key: Key<Connection>) -> bool {
        let pace = self
            .connections
            .get(key)
            .and_then(|found| found.pace.as_ref());
        pace.is_some_and(|pace| pace.paused)
    }

    /// `key` may be read again.
    pub(super) fn read_on(&mut self, now: Now, key: Key<Connection>) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        if let Some(pace) = &mut connection.pace {
            pace.paused = false;
        }
        if let Some(serving) = connection.serving_mut() {
            serving.keep_alive.heard(now.instant);
        }
        if !connection.announced {
            connection.announced = true;
            self.announced.push(key);
        }
    }
}

#[cfg(test)]
mod tests;
