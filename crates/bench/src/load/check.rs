//! Exactly once and in order: what one subscriber saw of one publisher.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Numbers remembered as skipped; one that is skipped beyond this counts as lost at once.
const SKIPPED_MAX: usize = 100_000;

/// What went wrong, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Faults {
    /// Sent, never delivered.
    pub(crate) lost: u64,
    /// Delivered again.
    pub(crate) repeated: u64,
    /// Delivered after a later one.
    pub(crate) reordered: u64,
    /// Not what was sent: payload, topic, quality of service, or never sent at all.
    pub(crate) damaged: u64,
    /// QoS 1 messages whose PUBACK did not come.
    pub(crate) unacknowledged: u64,
    /// PUBACKs of nothing in flight.
    pub(crate) stray_acknowledgements: u64,
}

impl Faults {
    /// Whether there are none.
    pub(crate) fn none(self) -> bool {
        self == Self::default()
    }
}

impl std::fmt::Display for Faults {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = [
            ("lost", self.lost),
            ("repeated", self.repeated),
            ("reordered", self.reordered),
            ("damaged", self.damaged),
            ("unacknowledged", self.unacknowledged),
            ("stray PUBACKs", self.stray_acknowledgements),
        ];
        let some: Vec<String> = all
            .iter()
            .filter(|(_, count)| 0 < *count)
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        match some.is_empty() {
            true => out.write_str("exact"),
            false => out.write_str(&some.join(", ")),
        }
    }
}

/// The numbers one subscriber has seen of one publisher.
#[derive(Debug, Default)]
pub(crate) struct Sequence {
    next: u64,
    skipped: BTreeSet<u64>,
}

impl Sequence {
    /// Notes that `sequence` came; answers how many numbers this moves on, itself and those
    /// skipped, which order says will not come any more.
    pub(crate) fn came(&mut self, sequence: u64, faults: &mut Faults) -> u64 {
        if sequence < self.next {
            match self.skipped.remove(&sequence) {
                true => faults.reordered += 1,
                false => faults.repeated += 1,
            }
            return 0;
        }
        for skipped in self.next..sequence {
            if self.skipped.len() < SKIPPED_MAX {
                self.skipped.insert(skipped);
            } else {
                faults.lost += 1;
            }
        }
        let moved = sequence + 1 - self.next;
        self.next = sequence + 1;
        moved
    }

    /// Counts what never came of the `sent` that were sent.
    pub(crate) fn end(&self, sent: u64, faults: &mut Faults) {
        faults.lost += self.skipped.len() as u64 + sent.saturating_sub(self.next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(came: &[u64], sent: u64, expected: &str) {
        let mut faults = Faults::default();
        let mut sequence = Sequence::default();
        for number in came {
            sequence.came(*number, &mut faults);
        }
        sequence.end(sent, &mut faults);
        assert_eq!(faults.to_string(), expected, "{came:?}");
    }

    #[test]
    fn every_fault_has_its_name() {
        check(&[0, 1, 2], 3, "exact");
        check(&[], 0, "exact");
        check(&[0, 2], 3, "1 lost");
        check(&[0, 1], 3, "1 lost");
        check(&[0, 1, 1, 2], 3, "1 repeated");
        check(&[0, 1, 2, 0], 3, "1 repeated");
        check(&[1, 0, 2], 3, "1 reordered");
        check(&[2, 0, 0], 3, "1 lost, 1 repeated, 1 reordered");
    }

    #[test]
    fn what_is_skipped_is_remembered_up_to_a_bound() {
        let mut faults = Faults::default();
        let mut sequence = Sequence::default();
        let far = SKIPPED_MAX as u64 + 10;
        assert_eq!(sequence.came(far, &mut faults), far + 1);
        assert_eq!((sequence.skipped.len(), faults.lost), (SKIPPED_MAX, 10));
        sequence.end(far + 1, &mut faults);
        assert_eq!(faults.lost, far);
    }
}
