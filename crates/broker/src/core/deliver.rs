//! Messages to clients: sent at once where the window has room, otherwise queued in order.
//!
//! Each delivery is asked about when it is sent, not when it is queued: what a policy forbids now
//! does not arrive, however long it waited.
//!
//! A QoS 2 message to a stored session leaves only when its packet id is on the disk: after a
//! crash it must be repeated under the same id, or it would arrive twice. Deliveries behind it
//! wait with it, so that the order stands.

use std::num::NonZeroU16;
use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use mqtt::packet::Ack;
use mqtt::session::Resend;
use mqtt::{QoS, Version};
use policy::{DeviceAction, Resource};

use super::arena::Key;
use super::connection::Connection;
use super::images::{Class, ImageKey};
use super::message::{Entry, Life, Message, Terms};
use super::session::Session;
use super::{Core, Effect, Gated, Now};
use crate::store::Op;

/// What became of a message that was offered to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offered {
    /// Sent or queued.
    Taken,
    /// Neither.
    Dropped,
}

impl Core {
    /// Offers a message to a session on these terms.
    pub(super) fn offer(
        &mut self,
        now: Now,
        key: Key<Session>,
        message: &Rc<Message>,
        terms: Terms,
    ) -> Offered {
        let Some(session) = self.sessions.get(key) else {
            return Offered::Dropped;
        };
        if terms.qos == QoS::AtMostOnce {
            let Some(connection) = session.connection else {
                return Offered::Dropped;
            };
            return self.send_unacknowledged(now, key, connection, message, terms);
        }
        if session.queue.is_empty() && self.can_send(key) {
            if !self.may_receive(now, key, message) {
                return Offered::Dropped;
            }
        } else if let Some(full) = self.is_full(session.queue.len(), message) {
            let client_id = Arc::clone(&session.client_id);
            self.drop_for_full_queue(full, &client_id);
            return Offered::Dropped;
        }
        let Some(session) = self.sessions.get_mut(key) else {
            return Offered::Dropped;
        };
        let holder = session.holder();
        let sends_now = session.queue.is_empty() && self.can_send(key);
        let entry = self
            .ledger
            .hold(message, terms, None, holder.as_deref(), &mut self.journal);
        if sends_now {
            self.dispatch_entry(now, key, entry);
        } else if let Some(session) = self.sessions.get_mut(key) {
            if entry.stored {
                // Nobody will acknowledge it soon.
                self.journal.hurry();
            }
            session.queue.push_back(entry);
        }
        Offered::Taken
    }

    /// Whether a QoS 1 or 2 message could be sent to `key` now.
    pub(super) fn can_send(&self, key: Key<Session>) -> bool {
        let session = self.sessions.get(key);
        session.is_some_and(|session| session.connection.is_some() && session.outbound.has_room())
    }

    fn send_unacknowledged(
        &mut self,
        now: Now,
        key: Key<Session>,
        connection: Key<Connection>,
        message: &Rc<Message>,
        terms: Terms,
    ) -> Offered {
        if !self.may_receive(now, key, message) {
            return Offered::Dropped;
        }
        let half = self.limits().output_bytes_max / 2;
        let waiting = self
            .connections
            .get(connection)
            .map(Connection::waiting_bytes);
        if waiting.is_none_or(|waiting| half < waiting || self.outputs.drops(waiting)) {
            self.counters.dropped_slow_reader += 1;
            return Offered::Dropped;
        }
        let Some(image) = self.image(now, key, message, terms) else {
            return Offered::Dropped;
        };
        self.transmit(key, connection, (message, image), None, false, false);
        Offered::Taken
    }

    /// Judges a delivery; a refusal is taken down and drops the message, the connection stays.
    // spec aws-iot [7.2]: `iot:Receive` at each delivery.
    pub(super) fn may_receive(&mut self, now: Now, key: Key<Session>, message: &Message) -> bool {
        let session = self.sessions.get(key);
        let Some(connection) = session.and_then(|session| session.connection) else {
            return false;
        };
        let Some(found) = self.connections.get_mut(connection) else {
            return false;
        };
        let Some(serving) = found.serving_mut() else {
            return false;
        };
        let topic = message.topic();
        let action = DeviceAction::Receive;
        if serving
            .access
            .clear_topic(action, topic, message.topic_hash, now.wall)
            .is_some()
        {
            return true;
        }
        let principal = Rc::clone(&found.peer.principal);
        self.counters.denials += 1;
        if let Some(serving) = self
            .connections
            .get(connection)
            .and_then(Connection::serving)
        {
            let resource = Resource::Topic(topic.as_str());
            let book = &self.settings.denials;
            serving
                .access
                .refuse(book, &principal, action, resource, now.wall);
        }
        false
    }

    fn image(
        &mut self,
        now: Now,
        key: Key<Session>,
        message: &Message,
        terms: Terms,
    ) -> Option<ImageKey> {
        let life = message.life(now.wall);
        if life == Life::Over {
            self.counters.dropped_expired += 1;
            return None;
        }
        self.image_of_life(key, message, terms, life)
    }

    fn image_of_life(
        &mut self,
        key: Key<Session>,
        message: &Message,
        terms: Terms,
        life: Life,
    ) -> Option<ImageKey> {
        let version = self.sessions.get(key)?.version;
        // Towards 3.1.1 there is neither expiry nor identifier to tell apart.
        let class = match version {
            Version::V5 => Class {
                version,
                terms,
                life,
            },
            Version::V311 => {
                let identifier = None;
                let terms = Terms {
                    identifier,
                    ..terms
                };
                let life = Life::Unlimited;
                Class {
                    version,
                    terms,
                    life,
                }
            }
        };
        self.images.image(message, class)
    }

    /// Appends a delivery to the connection's output, or to what waits for the disk.
    fn transmit(
        &mut self,
        key: Key<Session>,
        connection: Key<Connection>,
        (message, image): (&Rc<Message>, ImageKey),
        in_flight: Option<(NonZeroU16, QoS)>,
        dup: bool,
        after_disk: bool,
    ) {
        let packet_id = in_flight.map(|(packet_id, _)| packet_id);
        self.counters.deliveries += 1;
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let waits = after_disk && !self.journal.is_persisted(self.journal.written());
        if !waits && session.held == 0 {
            let found = self.connections.get_mut(connection);
            if let (Some(found), Some(image)) = (found, self.images.get(image)) {
                self.spare.lend(&mut found.output);
                found.send_image(image, message, packet_id, dup);
                self.announce(connection);
            }
            return;
        }
        let bytes = self.bytes_of(connection, (message, image), packet_id, dup);
        if bytes.is_empty() {
            return;
        }
        if let Some(session) = self.sessions.get_mut(key) {
            session.held = session.held.saturating_add(1);
        }
        if let Some(found) = self.connections.get_mut(connection) {
            found.gated_bytes += bytes.len();
            self.outputs.recount(found);
        }
        let gated = Gated::Deliver {
            session: key,
            connection,
            bytes,
            message: Rc::clone(message),
            in_flight,
        };
        self.gate_behind_all(gated);
    }

    fn bytes_of(
        &self,
        connection: Key<Connection>,
        (message, image): (&Message, ImageKey),
        packet_id: Option<NonZeroU16>,
        dup: bool,
    ) -> Bytes {
        let serving = self
            .connections
            .get(connection)
            .and_then(Connection::serving);
        let mut bytes = BytesMut::new();
        let (Some(serving), Some(image)) = (serving, self.images.get(image)) else {
            return bytes.freeze();
        };
        let payload = &message.publish().payload;
        let fits = image.packet_bytes() <= serving.receiver.packet_bytes_max;
        if fits && image.write(payload, packet_id, dup, &mut bytes).is_err() {
            bytes.clear();
        }
        bytes.freeze()
    }

    /// Sends an entry that was judged and for which there is room.
    pub(super) fn dispatch_entry(&mut self, now: Now, key: Key<Session>, entry: Entry) {
        let connection = self
            .sessions
            .get(key)
            .and_then(|session| session.connection);
        let terms = Terms {
            qos: entry.qos,
            retain: entry.retain,
            identifier: entry.identifier,
        };
        let message = Rc::clone(&entry.message);
        let (id, stored) = (entry.id, entry.stored);
        let image = self.image(now, key, &message, terms);
        let (Some(connection), Some(image)) = (connection, image) else {
            self.finish(entry, false);
            return;
        };
        if !self.fits(connection, image) {
            // spec aws-iot [MQ-86]; spec mqtt5 [MQTT-3.1.2-25]: as if it had been delivered.
            self.finish(entry, true);
            return;
        }
        let Some(session) = self.sessions.get_mut(key) else {
            self.finish(entry, false);
            return;
        };
        let taken = match terms.qos {
            QoS::ExactlyOnce => session.outbound.send_exactly_once(entry),
            QoS::AtMostOnce | QoS::AtLeastOnce => session.outbound.send_at_least_once(entry),
        };
        match taken {
            Ok(packet_id) => {
                if stored {
                    let released = false;
                    let packet_id = packet_id.get();
                    self.journal.write(Op::EntrySent {
                        entry: id,
                        packet_id,
                        released,
                    });
                }
                let after_disk = stored && terms.qos == QoS::ExactlyOnce;
                let packet_id = Some((packet_id, terms.qos));
                self.transmit(
                    key,
                    connection,
                    (&message, image),
                    packet_id,
                    false,
                    after_disk,
                );
            }
            Err(entry) => session.queue.push_front(entry),
        }
    }

    fn fits(&self, connection: Key<Connection>, image: ImageKey) -> bool {
        let serving = self
            .connections
            .get(connection)
            .and_then(Connection::serving);
        let bytes = self.images.get(image).map(mqtt::PublishImage::packet_bytes);
        let max = serving.map(|serving| serving.receiver.packet_bytes_max);
        bytes.zip(max).is_some_and(|(bytes, max)| bytes <= max)
    }

    /// Sends again what was in flight, then what waits, as far as there is room.
    pub(super) fn drain(&mut self, now: Now, key: Key<Session>) {
        if self.resend(now, key) {
            while self.can_send(key) {
                let next = self.sessions.get_mut(key).and_then(|s| s.queue.pop_front());
                let Some(entry) = next else {
                    break;
                };
                if entry.message.life(now.wall) == Life::Over {
                    self.counters.dropped_expired += 1;
                    self.finish(entry, false);
                } else if self.may_receive(now, key, &Rc::clone(&entry.message)) {
                    self.dispatch_entry(now, key, entry);
                } else {
                    self.finish(entry, false);
                }
            }
        }
        self.drain_groups(now, key);
    }

    /// Repeats what an earlier connection left unacknowledged; true when all is repeated.
    // spec aws-iot [MQ-36]; spec mqtt5 [MQTT-4.4.0-1]: same ids, same order, DUP set.
    fn resend(&mut self, now: Now, key: Key<Session>) -> bool {
        loop {
            let Some(session) = self.sessions.get_mut(key) else {
                return false;
            };
            let Some(connection) = session.connection else {
                return false;
            };
            let again = match session.outbound.next_resend() {
                None => return session.outbound.has_room(),
                Some(Resend::PubRel(ack)) => Again::Release(ack),
                Some(Resend::Publish {
                    packet_id,
                    qos,
                    message,
                }) => Again::Publish {
                    packet_id,
                    message: Rc::clone(&message.message),
                    terms: Terms {
                        qos,
                        retain: message.retain,
                        identifier: message.identifier,
                    },
                    stored: message.stored,
                },
            };
            match again {
                Again::Release(ack) => self.release(key, connection, ack),
                Again::Publish {
                    packet_id,
                    message,
                    terms,
                    stored,
                } => {
                    // spec mqtt5 [MQTT-4.3.3-7]: what was sent once does not expire any more.
                    let life = match message.life(now.wall) {
                        Life::Over => Life::Seconds(0),
                        life => life,
                    };
                    let image = self
                        .may_receive(now, key, &message)
                        .then(|| self.image_of_life(key, &message, terms, life))
                        .flatten();
                    match image {
                        Some(image) => {
                            let after_disk = stored && terms.qos == QoS::ExactlyOnce;
                            let packet_id = Some((packet_id, terms.qos));
                            self.transmit(
                                key,
                                connection,
                                (&message, image),
                                packet_id,
                                true,
                                after_disk,
                            );
                        }
                        None => self.give_up(key, connection, packet_id, terms.qos),
                    }
                }
            }
        }
    }

    /// Forgets a message in flight that may not be sent again. A QoS 2 client may have it: its
    /// packet id is free only once the client says so.
    pub(super) fn give_up(
        &mut self,
        key: Key<Session>,
        connection: Key<Connection>,
        packet_id: NonZeroU16,
        qos: QoS,
    ) {
        if qos == QoS::ExactlyOnce {
            self.recorded(key, connection, &Ack::success(packet_id));
            return;
        }
        let session = self.sessions.get_mut(key);
        let entry = session.and_then(|session| session.outbound.puback(packet_id).ok().flatten());
        if let Some(entry) = entry {
            self.finish(entry, false);
        }
    }

    /// An entry is over: acknowledged, or given up.
    pub(super) fn finish(&mut self, entry: Entry, delivered: bool) {
        if let Some(token) = entry.confirm {
            self.effects.push(Effect::Confirmed { token, delivered });
        }
        self.ledger.end(entry, &mut self.journal);
    }
}

enum Again {
    Release(Ack),
    Publish {
        packet_id: NonZeroU16,
        message: Rc<Message>,
        terms: Terms,
        stored: bool,
    },
}
