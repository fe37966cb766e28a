//! What must reach the disk, in order, and what waits for it.
//!
//! Every change of stored state is written here as an op and gets the next sequence. The shell
//! takes the ops away in batches and reports how far they are on the disk; whatever promised
//! durability is released then.

use crate::store::Op;

/// Ops in the order they happened.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    ops: Vec<Op>,
    /// The sequence of the last op written here.
    written: u64,
    /// The sequence up to which ops are on the disk.
    persisted: u64,
}

/// Ops to apply together, and the sequence of the last.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) ops: Vec<Op>,
    pub(crate) up_to: u64,
}

impl Journal {
    /// Adds an op.
    pub(crate) fn write(&mut self, op: Op) {
        self.written += 1;
        self.ops.push(op);
    }

    /// The sequence of the last op: what depends on everything so far waits for this.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Whether everything up to `sequence` is on the disk.
    pub(crate) fn is_persisted(&self, sequence: u64) -> bool {
        sequence <= self.persisted
    }

    /// Everything up to `sequence` is on the disk.
    pub(crate) fn persisted(&mut self, sequence: u64) {
        self.persisted = self.persisted.max(sequence);
    }

    /// How many ops wait to be on the disk, those already taken included.
    pub(crate) fn backlog(&self) -> u64 {
        self.written - self.persisted
    }

    /// Whether something was written since it was last taken.
    pub(crate) fn has_batch(&self) -> bool {
        !self.ops.is_empty()
    }

    /// Takes what was written since the last time; `None` when nothing was.
    pub(crate) fn take(&mut self) -> Option<Batch> {
        if self.ops.is_empty() {
            return None;
        }
        let ops = std::mem::take(&mut self.ops);
        let up_to = self.written;
        Some(Batch { ops, up_to })
    }
}
