//! Message expiry: how long a message may still be delivered.

use std::time::Duration;

/// The Message Expiry Intervals that a server lets publishers ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpiryLimits {
    /// The shortest, in seconds; a shorter one is raised to it.
    pub interval_s_min: u32,
    /// The longest, in seconds; a longer one is cut to it.
    pub interval_s_max: u32,
}

impl ExpiryLimits {
    /// Any interval but 0, with which no message could arrive.
    pub const STANDARD: Self = Self {
        interval_s_min: 1,
        interval_s_max: u32::MAX,
    };

    /// The quota of AWS IoT: up to seven days.
    // spec aws-iot [MQ-81]
    pub const AWS: Self = Self {
        interval_s_min: 1,
        interval_s_max: 604_800,
    };

    /// The interval that holds for a message published with `interval_s`.
    pub fn effective_s(&self, interval_s: u32) -> u32 {
        interval_s.min(self.interval_s_max).max(self.interval_s_min)
    }
}

/// The interval to forward with a message that has waited here for `waited`,
/// in whole seconds, rounded down; `None` once the message has expired.
// spec mqtt5 [MQTT-3.3.2-5], [MQTT-3.3.2-6]; spec aws-iot [MQ-81]
pub fn remaining_s(interval_s: u32, waited: Duration) -> Option<u32> {
    let left = Duration::from_secs(u64::from(interval_s)).checked_sub(waited)?;
    if left.is_zero() {
        None
    } else {
        u32::try_from(left.as_secs()).ok()
    }
}
