//! The keep alive of one connection.

use std::time::{Duration, Instant};

/// Watches one client's silence. Does no I/O and reads no clock.
#[derive(Clone, Copy, Debug)]
pub struct KeepAlive {
    /// The silence that ends the connection; `None` when keep alive is off.
    patience: Option<Duration>,
    heard_at: Instant,
}

impl KeepAlive {
    /// A connection that begins at `now`; `interval_s` is the keep alive in
    /// force, in seconds, and 0 switches the check off.
    pub fn new(interval_s: u16, now: Instant) -> Self {
        // spec mqtt5 [MQTT-3.1.2-22]; spec mqtt311 [MQTT-3.1.2-24]: one and a half intervals.
        let patience = match interval_s {
            0 => None,
            seconds => Some(Duration::from_millis(
                u64::from(seconds).saturating_mul(1500),
            )),
        };
        Self {
            patience,
            heard_at: now,
        }
    }

    /// A control packet came in; any is a sign of life.
    // spec aws-iot [MQ-13]
    pub fn heard(&mut self, now: Instant) {
        self.heard_at = now;
    }

    /// When the caller must look again; `None` means never.
    pub fn deadline(&self) -> Option<Instant> {
        self.heard_at.checked_add(self.patience?)
    }

    /// Whether the client has been silent for too long.
    pub fn expired(&self, now: Instant) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= now)
    }
}
