//! What waits for the sockets of all clients, and what gives when it is too much.
//!
//! One client's share is bounded ([`Core::announce`]); many clients that read slowly together are bounded
//! here. Above half of the bound a client for whom much waits already gets no more of QoS 0; above
//! it nobody does, and those for whom most waits are cut until an eighth is free again. So whoever
//! reads what is sent loses nothing to those who do not.
//!
//! Bytes that the shell has taken count as waiting until it asks for more: the operating system
//! had taken none of them before.

use bytes::{Buf as _, BytesMut};
use device_api::DisconnectReason;
use mqtt::Packet;

use super::arena::Key;
use super::budgets::Budget;
use super::connection::Connection;
use super::{Core, End};

/// What may wait for anybody, however much waits for others.
const SHARE: usize = 64 * 1024;

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Outputs {
    waiting: u64,
    max: u64,
}

impl Outputs {
    pub(super) fn new(max: u64) -> Self {
        Self { waiting: 0, max }
    }

    /// Bytes that wait for all clients.
    pub(super) fn waiting(&self) -> u64 {
        self.waiting
    }

    /// Counts what waits for `connection` now; whether it is too much in all.
    pub(super) fn recount(&mut self, connection: &mut Connection) -> bool {
        let waits = connection.waiting_bytes();
        let before = std::mem::replace(&mut connection.counted, waits);
        self.waiting = self.waiting.saturating_sub(bytes(before));
        self.waiting = self.waiting.saturating_add(bytes(waits));
        self.max < self.waiting
    }

    /// Nothing waits for `connection` any more.
    pub(super) fn forget(&mut self, connection: &mut Connection) {
        let before = std::mem::take(&mut connection.counted);
        self.waiting = self.waiting.saturating_sub(bytes(before));
    }

    /// Whether a message that needs no acknowledgement is dropped for one for whom so much waits.
    pub(super) fn drops(&self, waits: usize) -> bool {
        self.max <= self.waiting || (self.max / 2 < self.waiting && SHARE < waits)
    }
}

fn bytes(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

impl Core {
    /// Appends the connections that have output since the last time this was asked.
    pub(crate) fn take_announced(&mut self, into: &mut Vec<Key<Connection>>) {
        into.append(&mut self.announced);
    }

    /// What a connection is to be sent; [`Core::sent`] takes it away.
    pub(crate) fn output(&mut self, connection: Key<Connection>) -> &[u8] {
        match self.connections.get_mut(connection) {
            Some(connection) => {
                connection.announced = false;
                if connection.taken > 0 {
                    connection.taken = 0;
                    self.outputs.recount(connection);
                }
                &connection.output
            }
            None => &[],
        }
    }

    /// The first `count` bytes of a connection's output are on their way.
    pub(crate) fn sent(&mut self, connection: Key<Connection>, count: usize) {
        let Some(found) = self.connections.get_mut(connection) else {
            return;
        };
        let traced = found.traced;
        found.taken += count.min(found.output.len());
        if count < found.output.len() {
            found.output.advance(count);
        } else {
            // An idle connection owns no buffer.
            let emptied = std::mem::take(&mut found.output);
            self.spare.give(emptied);
        }
        if traced {
            self.trace_taken(connection, count);
        }
    }

    /// Notes that `connection` has output; cuts it when it has too much.
    pub(super) fn announce(&mut self, key: Key<Connection>) {
        let max = self.settings.limits.output_bytes_max;
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        let too_much = self.outputs.recount(connection);
        if connection.traced {
            self.traces.note_output(key);
        }
        if max < connection.output.len() {
            self.reached(Budget::OutputBytes, key);
            self.counters.slow_readers_cut += 1;
            self.end(key, End::too_slow());
        } else if !connection.announced && !connection.output.is_empty() {
            connection.announced = true;
            self.announced.push(key);
        }
        if too_much {
            self.relieve();
        }
    }

    /// Sends a packet to a connection.
    pub(super) fn send(&mut self, key: Key<Connection>, packet: &Packet) {
        if let Some(connection) = self.connections.get_mut(key) {
            self.spare.lend(&mut connection.output);
            connection.send(packet);
            self.announce(key);
        }
    }

    /// Bytes that wait for the sockets of all clients.
    pub(crate) fn output_bytes(&self) -> u64 {
        self.outputs.waiting()
    }

    /// Cuts those for whom most waits, until an eighth of the bound is free.
    pub(super) fn relieve(&mut self) {
        let enough = self.outputs.max - self.outputs.max / 8;
        let connections = self.connections.iter();
        let mut most: Vec<(usize, Key<Connection>)> = connections
            .map(|(key, connection)| (connection.counted, key))
            .filter(|(waits, _)| *waits > 0)
            .collect();
        most.sort_unstable_by(|a, b| b.cmp(a));
        for (_, key) in most {
            if self.outputs.waiting <= enough {
                return;
            }
            self.reached(Budget::OutputBytesTotal, key);
            self.counters.slow_readers_cut += 1;
            if let Some(connection) = self.connections.get_mut(key) {
                self.outputs.forget(connection);
                // Its memory is what is wanted. Part of a packet may have left, so that nothing
                // sensible can follow.
                connection.output = BytesMut::new();
                connection.taken = 0;
            }
            self.end(key, End::silent(DisconnectReason::Throttled));
        }
    }
}
