//! What one publisher has in flight.

use std::collections::VecDeque;

/// Messages between the oldest unfinished one and the newest: more are not sent when one never ends.
const SPAN_MAX: usize = 16_384;
/// Packet identifiers, 1 to 65,535.
const IDS: u64 = 65_535;

/// The messages that were sent and are not finished.
#[derive(Debug)]
pub(crate) struct Flight {
    topic: String,
    owed: u32,
    acknowledged: bool,
    slots: VecDeque<Slot>,
    /// The sequence of the first slot.
    base: u64,
    unfinished: usize,
    /// Whether the publisher is in the queue of those who may send.
    pub(crate) due: bool,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    owed: u32,
    acknowledged: bool,
}

impl Slot {
    fn finished(self) -> bool {
        self.owed == 0 && self.acknowledged
    }
}

impl Flight {
    /// Of messages on `topic` that `owed` subscribers read.
    pub(crate) fn new(topic: String, owed: usize, qos: u8) -> Self {
        Self {
            topic,
            owed: u32::try_from(owed).unwrap_or(u32::MAX),
            acknowledged: qos == 0,
            slots: VecDeque::new(),
            base: 0,
            unfinished: 0,
            due: false,
        }
    }

    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    /// Messages in flight.
    pub(crate) fn len(&self) -> usize {
        self.unfinished
    }

    /// Whether another may leave.
    pub(crate) fn has_room(&self) -> bool {
        self.slots.len() < SPAN_MAX
    }

    /// Messages sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.base + self.slots.len() as u64
    }

    /// Another message leaves: its sequence and packet identifier.
    pub(crate) fn leave(&mut self) -> (u64, u16) {
        let sequence = self.sent();
        self.slots.push_back(Slot {
            owed: self.owed,
            acknowledged: self.acknowledged,
        });
        self.unfinished += 1;
        (sequence, id_of(sequence))
    }

    /// A subscriber has it.
    pub(crate) fn delivered(&mut self, sequence: u64) {
        self.change(sequence, |slot| slot.owed = slot.owed.saturating_sub(1));
    }

    /// Its PUBACK came; false when nothing in flight waits for one under that identifier.
    pub(crate) fn acknowledged(&mut self, id: u16) -> bool {
        let first = u64::from(id_of(self.base));
        let ahead = (u64::from(id) + IDS - first) % IDS;
        let waits = |slot: &Slot| !slot.acknowledged;
        let slot = usize::try_from(ahead)
            .ok()
            .and_then(|at| self.slots.get(at));
        if id == 0 || !slot.is_some_and(waits) {
            return false;
        }
        self.change(self.base + ahead, |slot| slot.acknowledged = true);
        true
    }

    /// Messages whose PUBACK has not come.
    pub(crate) fn unacknowledged(&self) -> u64 {
        self.slots.iter().filter(|slot| !slot.acknowledged).count() as u64
    }

    fn change(&mut self, sequence: u64, change: impl FnOnce(&mut Slot)) {
        let at = sequence
            .checked_sub(self.base)
            .and_then(|at| usize::try_from(at).ok());
        let Some(slot) = at.and_then(|at| self.slots.get_mut(at)) else {
            return;
        };
        let before = slot.finished();
        change(slot);
        self.unfinished -= usize::from(!before && slot.finished());
        while self.slots.front().is_some_and(|slot| slot.finished()) {
            self.slots.pop_front();
            self.base += 1;
        }
    }
}

fn id_of(sequence: u64) -> u16 {
    u16::try_from(sequence % IDS + 1).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_finished_when_all_have_it_and_it_is_acknowledged() {
        let mut flight = Flight::new("t".to_owned(), 2, 1);
        for sent in 0..IDS + 10 {
            let (sequence, id) = flight.leave();
            assert_eq!((sequence, flight.len()), (sent, 1));
            flight.delivered(sequence);
            assert!(flight.acknowledged(id));
            assert!(!flight.acknowledged(id), "twice");
            assert_eq!(flight.len(), 1);
            flight.delivered(sequence);
            assert_eq!(flight.len(), 0);
            flight.delivered(sequence);
        }
    }

    #[test]
    fn one_that_never_ends_is_counted_and_stops_the_rest_in_the_end() {
        let mut flight = Flight::new("t".to_owned(), 1, 1);
        while flight.has_room() {
            let (sequence, id) = flight.leave();
            flight.delivered(sequence);
            assert!(sequence == 0 || flight.acknowledged(id));
        }
        assert_eq!((flight.len(), flight.unacknowledged()), (1, 1));
        assert_eq!(flight.sent(), SPAN_MAX as u64);
        assert!(!flight.acknowledged(0));
    }
}
