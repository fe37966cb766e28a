//! The gate: what promises durability leaves when it is on the disk.

use bytes::Bytes;
use mqtt::packet::AckProperties;
use mqtt::session::Ticket;
use mqtt::{Packet, ReasonCode};

use super::arena::Key;
use super::connection::Connection;
use super::session::Session;
use super::{Core, Now};

/// What waits for the disk.
#[derive(Debug)]
pub(super) enum Gated {
    /// A publish was taken.
    Answer {
        session: Key<Session>,
        ticket: Ticket,
    },
    /// A packet whose promise must hold after a crash.
    Send {
        connection: Key<Connection>,
        packet: Packet,
    },
    /// CONNACK of a connection that was promised something; nothing is read or sent before it.
    Welcome {
        session: Key<Session>,
        connection: Key<Connection>,
        packet: Packet,
    },
    /// A delivery under a packet id that must be known after a crash, and those behind it.
    Deliver {
        session: Key<Session>,
        connection: Key<Connection>,
        bytes: Bytes,
    },
}

/// As the `since` of [`Core::gate`]: behind everything written so far, whoever wrote it.
pub(super) const EVERYTHING: u64 = 0;

impl Core {
    /// Every op up to this sequence is on the disk: what waited for it may leave.
    pub(crate) fn persisted(&mut self, now: Now, up_to: u64) {
        self.journal.persisted(up_to);
        while let Some((sequence, _)) = self.gates.front()
            && self.journal.is_persisted(*sequence)
        {
            if let Some((_, gated)) = self.gates.pop_front() {
                self.pass(gated);
            }
        }
        self.settle(now);
    }

    /// Lets `gated` pass once every op written after `since` is on the disk: at once, when there
    /// is none.
    pub(super) fn gate(&mut self, since: u64, gated: Gated) {
        let written = self.journal.written();
        if written == since || self.journal.is_persisted(written) {
            self.pass(gated);
        } else {
            self.gates.push_back((written, gated));
        }
    }

    fn pass(&mut self, gated: Gated) {
        match gated {
            Gated::Answer { session, ticket } => {
                let success = ReasonCode::Success;
                self.answer(session, ticket, success, AckProperties::default());
            }
            Gated::Send { connection, packet } => self.send(connection, &packet),
            Gated::Welcome {
                session,
                connection,
                packet,
            } => {
                self.let_go(session, connection);
                let found = self.connections.get_mut(connection);
                if let Some(serving) = found.and_then(Connection::serving_mut) {
                    serving.welcomed = true;
                }
                self.send(connection, &packet);
            }
            Gated::Deliver {
                session,
                connection,
                bytes,
            } => {
                self.let_go(session, connection);
                if let Some(found) = self.connections.get_mut(connection) {
                    self.spare.lend(&mut found.output);
                    found.output.extend_from_slice(&bytes);
                    self.announce(connection);
                }
            }
        }
    }

    /// One delivery less is held for the disk.
    fn let_go(&mut self, session: Key<Session>, connection: Key<Connection>) {
        if let Some(session) = self.sessions.get_mut(session)
            && session.connection == Some(connection)
        {
            session.held = session.held.saturating_sub(1);
        }
    }

    /// Says what became of a publish, and sends the acknowledgements that may leave.
    pub(super) fn answer(
        &mut self,
        key: Key<Session>,
        ticket: Ticket,
        reason: ReasonCode,
        properties: AckProperties,
    ) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        session.inbound.answer(ticket, reason, properties);
        let Some(connection) = session.connection else {
            return;
        };
        while let Some(ack) = self
            .sessions
            .get_mut(key)
            .and_then(|session| session.inbound.next_ack())
        {
            self.send(connection, &ack);
        }
    }
}
