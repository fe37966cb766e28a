//! What must reach the disk, in order, and what waits for it.
//!
//! Every change of stored state is written here as an op and gets the next sequence. The shell
//! takes the ops away in batches and reports how far they are on the disk; whatever promised
//! durability is released then.
//!
//! Not every op is worth the disk. A message that is on its way to a connected receiver is mostly
//! acknowledged before a batch would be: its ops come to nothing, and whoever waits for them need
//! not wait any longer ([`Journal::take_undone`]). So a batch is due at once only when something
//! in it cannot be undone so; otherwise after [`LINGER`]. The connection history waits longer
//! still, as nobody is told that it is kept: a connection's begin and end are mostly one row.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use super::message::Message;
use crate::store::{HistoryRow, Op};

/// How long a receiver may take to make the disk needless.
const LINGER: Duration = Duration::from_millis(2);
/// How long the connection history may wait for other ops.
const HISTORY_LINGER: Duration = Duration::from_millis(100);
/// Rows of the history that wait at most; while the disk takes none, further ones are lost.
const HISTORY_MAX: usize = 65_536;
/// From this many ops on that came to nothing, their places are looked for.
const HOLES_MIN: usize = 1024;

/// Ops in the order they happened.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    /// Since the last batch, by sequence; `None` came to nothing.
    pending: Vec<(u64, Option<Pending>)>,
    /// How many of them did not.
    live: usize,
    /// The sequences of the entries and messages among them.
    entries: HashMap<u64, u64>,
    messages: HashMap<u64, u64>,
    history: Vec<Op>,
    /// Where the connections are that began in it.
    begun: HashMap<String, usize>,
    /// The sequence of the last op written here.
    written: u64,
    /// The sequence up to which ops are on the disk.
    persisted: u64,
    /// Ops taken and not on the disk yet; of the history, and others.
    history_under_way: usize,
    under_way: usize,
    /// Sequences of ops that came to nothing.
    undone: Vec<u64>,
    /// A batch is to be taken at once.
    hurried: bool,
}

/// An op, or what becomes one if it is taken.
#[derive(Debug)]
enum Pending {
    Op(Op),
    Message(Rc<Message>),
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
        match op {
            Op::History(row) => self.write_begin(row),
            Op::HistoryEnd { .. } => self.write_end(op),
            Op::Entry(ref row) => {
                self.entries.insert(row.entry, self.written + 1);
                self.push(Pending::Op(op));
            }
            Op::EntrySent {
                entry,
                packet_id,
                released,
            } => {
                let sequence = self.entries.get(&entry).copied();
                match sequence.and_then(|sequence| self.at(sequence)) {
                    Some(Some(Pending::Op(Op::Entry(row)))) => {
                        row.packet_id = Some(packet_id);
                        row.released = released;
                    }
                    _ => self.push(Pending::Op(op)),
                }
            }
            Op::EntryEnd { entry } => match self.entries.remove(&entry) {
                Some(sequence) => self.undo(sequence),
                None => self.push(Pending::Op(op)),
            },
            Op::MessageEnd { id } => match self.messages.remove(&id) {
                Some(sequence) => self.undo(sequence),
                None => self.push(Pending::Op(op)),
            },
            op => {
                self.push(Pending::Op(op));
                self.hurried = true;
            }
        }
    }

    /// Adds a message that somebody waits for; [`Op::MessageEnd`] ends it.
    pub(crate) fn write_message(&mut self, message: &Rc<Message>) {
        self.messages.insert(message.id, self.written + 1);
        self.push(Pending::Message(Rc::clone(message)));
    }

    fn write_begin(&mut self, row: Box<HistoryRow>) {
        if HISTORY_MAX <= self.history.len() {
            return;
        }
        if row.disconnected_at.is_none() {
            self.begun.insert(row.id.clone(), self.history.len());
        }
        self.history.push(Op::History(row));
    }

    fn write_end(&mut self, end: Op) {
        if let Op::HistoryEnd { id, at, reason } = &end
            && let Some(begun) = self.begun.remove(id)
            && let Some(Op::History(row)) = self.history.get_mut(begun)
        {
            row.disconnected_at = Some(*at);
            row.reason = Some((*reason).to_owned());
            return;
        }
        if self.history.len() < HISTORY_MAX {
            self.history.push(end);
        }
    }

    fn push(&mut self, pending: Pending) {
        self.written += 1;
        self.live += 1;
        self.pending.push((self.written, Some(pending)));
    }

    fn at(&mut self, sequence: u64) -> Option<&mut Option<Pending>> {
        let at = self.pending.binary_search_by_key(&sequence, |(at, _)| *at);
        self.pending.get_mut(at.ok()?).map(|(_, pending)| pending)
    }

    fn undo(&mut self, sequence: u64) {
        let undone = self.at(sequence).and_then(Option::take);
        if undone.is_none() {
            return;
        }
        self.live -= 1;
        self.undone.push(sequence);
        let holes = self.pending.len() - self.live;
        if HOLES_MIN <= holes && self.live <= holes {
            self.pending.retain(|(_, pending)| pending.is_some());
        }
    }

    /// Says that the batch that gathers must not wait.
    pub(crate) fn hurry(&mut self) {
        self.hurried = true;
    }

    /// The sequence of the last op: what depends on everything so far waits for this.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// How many ops after `since` are awaited: those that [`Journal::take_undone`] will still tell
    /// of included, as long as there is another.
    pub(crate) fn awaited_since(&self, since: u64) -> usize {
        let from = self.pending.partition_point(|(at, _)| *at <= since);
        let after = self.pending.get(from..).unwrap_or_default();
        match after.iter().filter(|(_, op)| op.is_some()).count() {
            0 => 0,
            live => live + self.undone.iter().filter(|at| since < **at).count(),
        }
    }

    /// Whether everything up to `sequence` is on the disk.
    pub(crate) fn is_persisted(&self, sequence: u64) -> bool {
        sequence <= self.persisted
    }

    /// The sequence up to which ops are on the disk, or came to nothing.
    pub(crate) fn persisted_up_to(&self) -> u64 {
        self.persisted
    }

    /// Everything up to `sequence` is on the disk.
    pub(crate) fn persisted(&mut self, sequence: u64) {
        self.persisted = self.persisted.max(sequence);
        self.under_way = 0;
        self.history_under_way = 0;
    }

    /// How many ops wait to be on the disk, those already taken included.
    pub(crate) fn backlog(&self) -> u64 {
        self.awaited() + (self.history.len() + self.history_under_way) as u64
    }

    /// As [`Journal::backlog`] without the history, which nobody waits for.
    pub(crate) fn awaited(&self) -> u64 {
        (self.live + self.under_way) as u64
    }

    /// Whether a batch is to be taken now.
    pub(crate) fn is_due(&self) -> bool {
        self.hurried && (self.live > 0 || !self.history.is_empty())
    }

    /// The sequences of ops that came to nothing since the last time. Closes an event.
    pub(crate) fn take_undone(&mut self) -> Vec<u64> {
        if self.live == 0 && !self.pending.is_empty() {
            self.reset();
        }
        if self.awaited() == 0 {
            self.persisted = self.written;
        }
        std::mem::take(&mut self.undone)
    }

    /// How long the batch that gathers may wait; `None` when it is due, or there is none.
    pub(crate) fn patience(&self) -> Option<Duration> {
        match (self.hurried, self.live, self.history.len()) {
            (true, ..) | (_, 0, 0) => None,
            (false, 0, _) => Some(HISTORY_LINGER),
            (false, ..) => Some(LINGER),
        }
    }

    fn reset(&mut self) {
        self.pending.clear();
        self.entries.clear();
        self.messages.clear();
        self.live = 0;
    }

    /// Takes what was written since the last time; `None` when nothing was.
    pub(crate) fn take(&mut self) -> Option<Batch> {
        self.hurried = false;
        self.history_under_way = self.history.len();
        self.under_way = self.live;
        let mut ops: Vec<Op> = Vec::with_capacity(self.live + self.history.len());
        for pending in self.pending.drain(..).filter_map(|(_, pending)| pending) {
            ops.push(match pending {
                Pending::Op(op) => op,
                Pending::Message(message) => Op::Message {
                    id: message.id,
                    body: message.body(),
                    expires_at: message.expires_at,
                },
            });
        }
        ops.append(&mut self.history);
        self.begun.clear();
        self.reset();
        if ops.is_empty() {
            return None;
        }
        let up_to = self.written;
        Some(Batch { ops, up_to })
    }
}
