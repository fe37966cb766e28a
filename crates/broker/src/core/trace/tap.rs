//! Where the core tells the traces what happens: a connection opens, a packet comes, a turn ends, a
//! connection is over.
//!
//! Called only while there are traces, or for marked connections.

use std::sync::Arc;

use mqtt::packet::Connect;
use mqtt::{DecodeError, Packet, Sender};

use super::{Seen, TAPPED_MAX, Tapped};
use crate::core::{Connection, Core, End, Key, Now};

impl Core {
    /// Marks a connection.
    pub(super) fn tap(&mut self, key: Key<Connection>, serial: u64) {
        let full = TAPPED_MAX <= self.traces.tapped.len();
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        if full && !connection.traced {
            return;
        }
        connection.traced = true;
        let serving = connection.serving();
        let (client_id, version) = match serving {
            Some(serving) => (
                Some(Arc::clone(&serving.client_id)),
                Some(serving.receiver.version),
            ),
            None => (None, None),
        };
        let tapped = self.traces.tapped.entry(key).or_insert_with(|| Tapped {
            connection: connection.peer.session_identifier.as_str().into(),
            client_id,
            version,
            output_seen: connection.output.len(),
            ..Tapped::default()
        });
        if !tapped.traces.contains(&serial) {
            tapped.traces.push(serial);
        }
    }

    /// A connection opens.
    pub(in crate::core) fn trace_opened(&mut self, now: Now, key: Key<Connection>) {
        let Some(connection) = self.connections.get(key) else {
            return;
        };
        let principal = connection.peer.principal.certificate.clone();
        for serial in self.traces.concerning(None, &principal) {
            self.tap(key, serial);
        }
        self.traces
            .record(now.wall, key, None, |_| Seen::event("OPENED", ""));
    }

    /// A CONNECT comes: it may name a client that is traced.
    pub(in crate::core) fn trace_connect(
        &mut self,
        now: Now,
        key: Key<Connection>,
        connect: &Connect,
        bytes: usize,
    ) {
        let Some(connection) = self.connections.get(key) else {
            return;
        };
        let peer = &connection.peer;
        let client_id = match connect.client_id.as_str() {
            "" => peer.session_identifier.as_str(),
            named => named,
        };
        let client_id: Arc<str> = client_id.into();
        let principal = peer.principal.certificate.clone();
        for serial in self.traces.concerning(Some(&client_id), &principal) {
            self.tap(key, serial);
        }
        let Some(tapped) = self.traces.tapped.get_mut(&key) else {
            return;
        };
        tapped.client_id = Some(client_id);
        tapped.version = Some(connect.version);
        let version = connect.version;
        self.traces
            .record(now.wall, key, Some(Sender::Client), |payload_bytes| {
                Seen::connect(connect, version, bytes, payload_bytes)
            });
    }

    /// A packet comes from a connection that is traced.
    pub(in crate::core) fn trace_packet(
        &mut self,
        now: Now,
        key: Key<Connection>,
        packet: &Packet,
        bytes: usize,
    ) {
        let sender = Sender::Client;
        self.traces.packet(now.wall, key, sender, packet, bytes);
    }

    /// What came from a connection is no packet.
    pub(in crate::core) fn trace_unreadable(
        &mut self,
        now: Now,
        key: Key<Connection>,
        bytes: usize,
        error: &DecodeError,
    ) {
        self.traces
            .record(now.wall, key, Some(Sender::Client), |_| {
                Seen::unreadable(bytes, error.to_string())
            });
    }

    /// Reads what the turn has put into the output of the connections that are traced.
    pub(in crate::core) fn trace_output(&mut self, now: Now) {
        for key in std::mem::take(&mut self.traces.fresh) {
            if let Some(connection) = self.connections.get(key) {
                self.traces.output(now.wall, key, &connection.output);
            }
        }
    }

    /// The first `count` bytes of a connection's output were taken away.
    pub(in crate::core) fn trace_taken(&mut self, key: Key<Connection>, count: usize) {
        if let Some(tapped) = self.traces.tapped.get_mut(&key) {
            tapped.output_seen = tapped.output_seen.saturating_sub(count);
        }
    }

    /// A connection is over; `connection` still has its last output.
    pub(in crate::core) fn trace_departed(
        &mut self,
        now: Now,
        key: Key<Connection>,
        connection: &Connection,
        end: &End,
    ) {
        self.traces.output(now.wall, key, &connection.output);
        let why = end.reason.as_str();
        self.traces.record(now.wall, key, None, |_| {
            let seen = Seen::event("CLOSED", why);
            seen.with_text(end.text.as_deref())
        });
        self.traces.tapped.remove(&key);
    }
}
