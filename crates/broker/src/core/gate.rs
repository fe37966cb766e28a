//! The gate: what promises durability leaves when it is on the disk.
//!
//! An answer to a publish waits for the ops of that publish alone. Each is on the disk, or came to
//! nothing because its receiver has the message: then the answer may leave and the disk was not
//! needed. Everything else waits for all that was written before it.

use std::num::NonZeroU16;
use std::rc::Rc;

use bytes::Bytes;
use mqtt::packet::AckProperties;
use mqtt::session::Ticket;
use mqtt::{Packet, QoS, ReasonCode};

use super::arena::Key;
use super::connection::Connection;
use super::message::Message;
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
        /// What it is, to be judged when it leaves.
        message: Rc<Message>,
        /// Under which packet id and QoS it is in flight.
        in_flight: Option<(NonZeroU16, QoS)>,
    },
}

/// As the `since` of [`Core::gate`]: behind everything written so far, whoever wrote it.
pub(super) const EVERYTHING: u64 = 0;

/// From this many gates on that were passed out of turn, their places are looked for.
const GATES_PASSED_MIN: usize = 1024;

/// Something that waits for ops.
#[derive(Debug)]
pub(super) struct Gate {
    /// It waits for ops after this one, or [`EVERYTHING`].
    since: u64,
    up_to: u64,
    /// How many of those after `since` are still awaited.
    live: usize,
    /// `None` once it has passed.
    gated: Option<Gated>,
}

impl Core {
    /// Every op up to this sequence is on the disk: what waited for it may leave.
    pub(crate) fn persisted(&mut self, now: Now, up_to: u64) {
        self.journal.persisted(up_to);
        self.settle(now);
    }

    /// Lets `gated` pass once every op written after `since` is on the disk or came to nothing: at
    /// once, when there is none. [`EVERYTHING`] does not wait for receivers.
    pub(super) fn gate(&mut self, since: u64, gated: Gated) {
        let up_to = self.journal.written();
        let live = match since {
            EVERYTHING => usize::from(!self.journal.is_persisted(up_to)),
            since => self.journal.awaited_since(since),
        };
        if live == 0 {
            return self.pass(gated);
        }
        if since == EVERYTHING {
            self.journal.hurry();
        }
        self.gates.push_back(Gate {
            since,
            up_to,
            live,
            gated: Some(gated),
        });
    }

    /// As [`Core::gate`] behind everything, and behind whatever waits already.
    pub(super) fn gate_behind_all(&mut self, gated: Gated) {
        self.journal.hurry();
        self.gates.push_back(Gate {
            since: EVERYTHING,
            up_to: self.journal.written(),
            live: 1,
            gated: Some(gated),
        });
    }

    /// Lets pass what nothing is awaited for any more.
    pub(super) fn open_gates(&mut self, now: Now) {
        for sequence in self.journal.take_undone() {
            self.came_to_nothing(sequence);
        }
        while let Some(gate) = self.gates.front()
            && (gate.gated.is_none() || self.journal.is_persisted(gate.up_to))
        {
            match self.gates.pop_front().and_then(|gate| gate.gated) {
                Some(Gated::Deliver {
                    session,
                    connection,
                    bytes,
                    message,
                    in_flight,
                }) => self.deliver(now, (session, connection), &bytes, &message, in_flight),
                Some(gated) => self.pass(gated),
                None => self.gates_passed = self.gates_passed.saturating_sub(1),
            }
        }
    }

    /// The op with this sequence will not be stored: whoever awaited it is found by it, since
    /// gates stand in the order of their last op and answers share none.
    fn came_to_nothing(&mut self, sequence: u64) {
        let first = self.gates.partition_point(|gate| gate.up_to < sequence);
        let awaiting = self
            .gates
            .iter_mut()
            .skip(first)
            .take_while(|gate| gate.since == EVERYTHING || gate.since < sequence)
            .find(|gate| gate.since != EVERYTHING);
        let Some(gate) = awaiting else {
            return;
        };
        gate.live = gate.live.saturating_sub(1);
        if gate.live == 0
            && let Some(gated) = gate.gated.take()
        {
            self.gates_passed += 1;
            self.pass(gated);
        }
        if GATES_PASSED_MIN <= self.gates_passed && self.gates.len() <= 2 * self.gates_passed {
            self.gates.retain(|gate| gate.gated.is_some());
            self.gates_passed = 0;
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
            // Judged with the time: see `Core::open_gates`.
            Gated::Deliver { .. } => {}
        }
    }

    /// A delivery may leave, if its receiver may still have it.
    fn deliver(
        &mut self,
        now: Now,
        (session, connection): (Key<Session>, Key<Connection>),
        bytes: &[u8],
        message: &Message,
        in_flight: Option<(NonZeroU16, QoS)>,
    ) {
        self.let_go(session, connection);
        let Some(found) = self.connections.get_mut(connection) else {
            return;
        };
        found.gated_bytes = found.gated_bytes.saturating_sub(bytes.len());
        if self.may_receive(now, session, message) {
            if let Some(found) = self.connections.get_mut(connection) {
                self.spare.lend(&mut found.output);
                found.output.extend_from_slice(bytes);
            }
            self.announce(connection);
        } else if let Some((packet_id, qos)) = in_flight {
            self.give_up(session, connection, packet_id, qos);
        }
    }

    /// A connection is gone: what it was to be sent need not wait for the disk any more.
    pub(super) fn forget_deliveries(&mut self, gone: Key<Connection>) {
        for gate in &mut self.gates {
            if matches!(&gate.gated, Some(Gated::Deliver { connection, .. }) if *connection == gone)
            {
                gate.gated = None;
                self.gates_passed += 1;
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
