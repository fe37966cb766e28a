//! Acknowledgements from clients: what is on its way to them is done, and more may follow.

use device_api::DisconnectReason;
use mqtt::Packet;
use mqtt::packet::Ack;
use mqtt::session::SessionError;

use super::arena::Key;
use super::connection::Connection;
use super::session::Session;
use super::{Core, EVERYTHING, End, Gated, Now};
use crate::store::Op;

impl Core {
    /// The session behind a connection that serves.
    pub(super) fn session_of(&self, connection: Key<Connection>) -> Option<Key<Session>> {
        let serving = self.connections.get(connection)?.serving()?;
        Some(serving.session)
    }

    pub(super) fn on_puback(&mut self, now: Now, connection: Key<Connection>, ack: &Ack) {
        let Some(key) = self.session_of(connection) else {
            return;
        };
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        match session.outbound.puback(ack.packet_id) {
            Ok(Some(entry)) => self.finish(entry, !ack.reason.is_error()),
            Ok(None) => (),
            Err(error) => return self.break_off(connection, &error),
        }
        self.drain(now, key);
    }

    pub(super) fn on_pubrec(&mut self, now: Now, connection: Key<Connection>, ack: &Ack) {
        let Some(key) = self.session_of(connection) else {
            return;
        };
        self.recorded(key, connection, ack);
        self.drain(now, key);
    }

    /// The client has a QoS 2 message, or refuses it.
    pub(super) fn recorded(&mut self, key: Key<Session>, connection: Key<Connection>, ack: &Ack) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let answer = match session.outbound.pubrec(ack.packet_id, ack.reason) {
            Ok(answer) => answer,
            Err(error) => return self.break_off(connection, &error),
        };
        match answer.message {
            Some(entry) if ack.reason.is_error() => self.finish(entry, false),
            Some(entry) => {
                if entry.stored {
                    let (entry, packet_id) = (entry.id, ack.packet_id.get());
                    let released = true;
                    self.journal.write(Op::EntrySent {
                        entry,
                        packet_id,
                        released,
                    });
                }
                session.released.insert(ack.packet_id, entry);
            }
            None => (),
        }
        if let Some(pubrel) = answer.pubrel {
            self.release(key, connection, pubrel);
        }
    }

    /// Sends PUBREL, once the disk knows that the client has the message: it forgets the packet
    /// id then, and would take a repeat after a crash for a new message.
    pub(super) fn release(&mut self, key: Key<Session>, connection: Key<Connection>, pubrel: Ack) {
        let packet = Packet::PubRel(pubrel);
        self.send_behind_disk(key, connection, packet);
    }

    /// Sends a packet behind everything written so far, if the session is stored at all.
    pub(super) fn send_behind_disk(
        &mut self,
        key: Key<Session>,
        connection: Key<Connection>,
        packet: Packet,
    ) {
        let stored = self.sessions.get(key).is_some_and(|session| session.stored);
        if stored {
            self.gate(EVERYTHING, Gated::Send { connection, packet });
        } else {
            self.send(connection, &packet);
        }
    }

    pub(super) fn on_pubcomp(&mut self, now: Now, connection: Key<Connection>, ack: &Ack) {
        let Some(key) = self.session_of(connection) else {
            return;
        };
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        match session.outbound.pubcomp(ack.packet_id) {
            Ok(_) => {
                if let Some(entry) = session.released.remove(&ack.packet_id) {
                    self.finish(entry, true);
                }
            }
            Err(error) => return self.break_off(connection, &error),
        }
        self.drain(now, key);
    }

    /// The client broke the rules of an exchange.
    pub(super) fn break_off(&mut self, connection: Key<Connection>, error: &SessionError) {
        let end = End::new(DisconnectReason::ClientError, error.reason_code());
        self.end(connection, end.because(error.to_string()));
    }
}
