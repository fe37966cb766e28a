//! What one subscriber has seen of the publishers it reads.

use std::ops::Range;

use super::check::{Faults, Sequence};
use super::message::Message;

/// A subscriber.
#[derive(Debug)]
pub(crate) struct Subscriber {
    reads: Range<u32>,
    sequences: Vec<Sequence>,
}

impl Subscriber {
    pub(crate) fn new(reads: Range<u32>) -> Self {
        Self {
            sequences: reads.clone().map(|_| Sequence::default()).collect(),
            reads,
        }
    }

    /// Notes a message; answers how many numbers its publisher moves on, `None` when this
    /// subscriber does not read that publisher.
    pub(crate) fn came(&mut self, message: &Message, faults: &mut Faults) -> Option<u64> {
        let at = message.publisher.checked_sub(self.reads.start)?;
        let sequence = self.sequences.get_mut(at as usize)?;
        Some(sequence.came(message.sequence, faults))
    }

    /// Counts what never came.
    pub(crate) fn end(&self, sent: impl Fn(usize) -> u64, faults: &mut Faults) {
        for (publisher, sequence) in self.reads.clone().zip(&self.sequences) {
            sequence.end(sent(publisher as usize), faults);
        }
    }
}
