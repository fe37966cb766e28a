//! A message from a client: judged, kept if retained, routed, acknowledged.

use std::num::NonZeroU16;
use std::rc::Rc;
use std::time::Duration;

use device_api::{DisconnectReason, Reserved};
use mqtt::packet::{Ack, AckProperties, Publish};
use mqtt::session::{Received, Ticket};
use mqtt::{Packet, QoS, ReasonCode, TopicName, Version};
use policy::{DeviceAction, Resource};

use super::arena::Key;
use super::connection::Connection;
use super::enforce::{Cleared, topic_hash};
use super::message::{Message, Terms};
use super::propagate::append;
use super::session::{Session, SubscriptionOptions};
use super::{Budget, Core, End, Gated, Now, Target};
use crate::store::{Op, RetainedRow};

/// Why a publish is not routed, and what its client is told.
struct Refusal {
    /// For the acknowledgement of version 5.
    code: ReasonCode,
    /// For DISCONNECT, where there is no acknowledgement, or the connection must end.
    disconnect: ReasonCode,
    reason: DisconnectReason,
    text: Option<String>,
    fate: Fate,
}

/// What a refused publish does to its connection.
enum Fate {
    /// Version 5 with QoS 1 or 2 is told in the acknowledgement and stays.
    Answer,
    /// The connection ends in any version.
    Close,
    /// The message is dropped; nobody without an acknowledgement to wait for is told.
    Drop,
}

impl Refusal {
    fn close(code: ReasonCode, text: &str) -> Self {
        Self {
            code,
            disconnect: code,
            reason: DisconnectReason::ClientError,
            text: Some(text.to_owned()),
            fate: Fate::Close,
        }
    }
}

impl Core {
    pub(super) fn on_publish(&mut self, now: Now, connection: Key<Connection>, publish: Publish) {
        let mut publish = publish;
        let Some(key) = self.session_of(connection) else {
            return;
        };
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        // spec aws-iot [MQ-3]
        if publish.qos == QoS::ExactlyOnce && !self.settings.limits.qos2 {
            let end = End::new(DisconnectReason::ClientError, ReasonCode::QoSNotSupported);
            self.end(connection, end);
            return;
        }
        let ticket = match session.inbound.publish(&mut publish) {
            Ok(Received::New(ticket)) => ticket,
            Ok(Received::Pending) => return,
            Ok(Received::Repeat(ack)) => return self.send(connection, &Packet::PubRec(ack)),
            Err(error) => return self.break_off(connection, &error),
        };
        self.counters.publishes += 1;
        let since = self.journal.written();
        match self.accept(now, connection, &publish) {
            Ok(cleared) => {
                let exactly_once = publish.qos == QoS::ExactlyOnce;
                let packet_id = publish.packet_id.filter(|_| exactly_once);
                self.add_propagated(connection, &mut publish);
                self.distribute(now, publish, Some(key), cleared);
                if let Some(ticket) = ticket {
                    self.note_received(key, packet_id);
                    // spec aws-iot [MQ-33]: acknowledged once what must survive is on the disk.
                    self.gate(
                        since,
                        Gated::Answer {
                            session: key,
                            ticket,
                        },
                    );
                }
            }
            Err(refusal) => self.refuse_publish(connection, key, ticket, refusal),
        }
    }

    fn add_propagated(&self, connection: Key<Connection>, publish: &mut Publish) {
        let found = self.connections.get(connection);
        if let Some(serving) = found.and_then(Connection::serving) {
            append(&serving.propagated, publish);
        }
    }

    /// Stores that a QoS 2 message was taken, so that its repeat after a crash is known as one.
    fn note_received(&mut self, key: Key<Session>, packet_id: Option<NonZeroU16>) {
        if let (Some(session), Some(packet_id)) = (self.sessions.get(key), packet_id)
            && session.stored
        {
            self.journal.write(Op::Inbound {
                client_id: session.client_id.as_ref().to_owned(),
                packet_id: packet_id.get(),
            });
        }
    }

    pub(super) fn on_pubrel(&mut self, connection: Key<Connection>, ack: &Ack) {
        let Some(key) = self.session_of(connection) else {
            return;
        };
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        match session.inbound.release(ack.packet_id) {
            Ok(pubcomp) => {
                if session.stored && !pubcomp.reason.is_error() {
                    self.journal.write(Op::InboundEnd {
                        client_id: session.client_id.as_ref().to_owned(),
                        packet_id: ack.packet_id.get(),
                    });
                }
                // The id is free for a new message once the client has PUBCOMP; had the disk
                // still the old one after a crash, that message would be taken for a repeat.
                self.send_behind_disk(key, connection, Packet::PubComp(pubcomp));
            }
            Err(error) => self.break_off(connection, &error),
        }
    }

    /// Everything that can be wrong with a publish whose packet is valid.
    fn accept(
        &mut self,
        now: Now,
        connection: Key<Connection>,
        publish: &Publish,
    ) -> Result<Cleared, Refusal> {
        let Some(topic) = &publish.topic else {
            return Err(Refusal::close(ReasonCode::ProtocolError, "no topic"));
        };
        self.check_size(publish)?;
        self.check_rate(now, connection, publish)?;
        check_reserved(topic, publish.retain)?;
        let cleared = self.judge(now, connection, topic, publish.retain)?;
        let deletes = publish.payload.is_empty();
        // spec aws-iot [MQ-57]
        if publish.retain && !deletes && !self.retained.has_room(publish) {
            self.counters.dropped_throttled += 1;
            self.reached(Budget::Retained, connection);
            return Err(Refusal {
                code: ReasonCode::QuotaExceeded,
                disconnect: ReasonCode::QuotaExceeded,
                reason: DisconnectReason::Throttled,
                text: Some("no more retained messages can be kept".to_owned()),
                fate: Fate::Drop,
            });
        }
        Ok(cleared)
    }

    // spec aws-iot [MQ-30]
    fn check_size(&self, publish: &Publish) -> Result<(), Refusal> {
        if publish.payload.len() <= self.limits().payload_bytes_max {
            return Ok(());
        }
        Err(Refusal {
            code: ReasonCode::QuotaExceeded,
            disconnect: ReasonCode::PacketTooLarge,
            reason: DisconnectReason::ClientError,
            text: Some("the payload is too large".to_owned()),
            fate: Fate::Answer,
        })
    }

    // spec aws-iot [MQ-35]
    fn check_rate(
        &mut self,
        now: Now,
        connection: Key<Connection>,
        publish: &Publish,
    ) -> Result<(), Refusal> {
        let (rate, bytes_rate) = {
            let limits = self.limits();
            (limits.publishes_per_s, limits.publish_bytes_per_s)
        };
        let found = self.connections.get_mut(connection);
        let Some(serving) = found.and_then(Connection::serving_mut) else {
            return Ok(());
        };
        let size = u32::try_from(publish.payload.len()).unwrap_or(u32::MAX);
        let count_fits = match (rate, &mut serving.publishes) {
            (Some(rate), Some(bucket)) => bucket.take(rate, 1, now.instant),
            _ => true,
        };
        let bytes_fit = match (bytes_rate, &mut serving.publish_bytes) {
            (Some(rate), Some(bucket)) => bucket.take(rate, size, now.instant),
            _ => true,
        };
        if count_fits && bytes_fit {
            return Ok(());
        }
        self.counters.dropped_throttled += 1;
        let used_up = match count_fits {
            true => Budget::PublishBytes,
            false => Budget::Publishes,
        };
        self.reached(used_up, connection);
        Err(Refusal {
            code: ReasonCode::QuotaExceeded,
            disconnect: ReasonCode::MessageRateTooHigh,
            reason: DisconnectReason::Throttled,
            text: Some("too many publishes per second".to_owned()),
            fate: Fate::Drop,
        })
    }

    // spec aws-iot [MQ-31], [MQ-54], [7.2]
    fn judge(
        &mut self,
        now: Now,
        connection: Key<Connection>,
        topic: &TopicName,
        retain: bool,
    ) -> Result<Cleared, Refusal> {
        let hash = topic_hash(topic);
        let Some(found) = self.connections.get_mut(connection) else {
            return Err(Refusal::close(
                ReasonCode::UnspecifiedError,
                "the connection is gone",
            ));
        };
        let principal = Rc::clone(&found.peer.principal);
        let Some(serving) = found.serving_mut() else {
            return Err(Refusal::close(
                ReasonCode::ProtocolError,
                "CONNECT comes first",
            ));
        };
        let access = &mut serving.access;
        let publish = access.clear_topic(DeviceAction::Publish, topic, hash, now.wall);
        let denied = match publish {
            None => DeviceAction::Publish,
            Some(cleared) if !retain => return Ok(cleared),
            Some(_) => {
                let action = DeviceAction::RetainPublish;
                match access.clear_topic(action, topic, hash, now.wall) {
                    Some(cleared) => return Ok(cleared),
                    None => action,
                }
            }
        };
        let resource = Resource::Topic(topic.as_str());
        let book = &self.settings.denials;
        let refused = serving
            .access
            .refuse(book, &principal, denied, resource, now.wall);
        self.counters.denials += 1;
        Err(Refusal {
            code: ReasonCode::NotAuthorized,
            disconnect: ReasonCode::NotAuthorized,
            reason: DisconnectReason::AuthError,
            text: Some(refused.reason_string()),
            fate: Fate::Answer,
        })
    }

    // spec aws-iot [MQ-30], [MQ-31]: version 5 with an acknowledgement to carry the reason stays.
    fn refuse_publish(
        &mut self,
        connection: Key<Connection>,
        session: Key<Session>,
        ticket: Option<Ticket>,
        refusal: Refusal,
    ) {
        let version = self
            .connections
            .get(connection)
            .and_then(Connection::version);
        let answers = version == Some(Version::V5);
        let closes = match refusal.fate {
            Fate::Close => true,
            Fate::Answer => !answers || ticket.is_none(),
            Fate::Drop => false,
        };
        if closes {
            let end = End::new(refusal.reason, refusal.disconnect);
            let end = refusal.text.into_iter().fold(end, End::because);
            self.end(connection, end);
            // The answer cannot be sent, but it must be known: the session may go on, and a
            // repeat over its next connection is then judged anew.
            if let (Some(ticket), Some(session)) = (ticket, self.sessions.get_mut(session)) {
                let properties = AckProperties::default();
                session.inbound.answer(ticket, refusal.code, properties);
            }
            return;
        }
        let Some(ticket) = ticket else {
            return;
        };
        // A 3.1.1 client has no way to be told: the exchange ends and the message is lost, which
        // the metric counts.
        let (code, properties) = if answers {
            let properties = AckProperties {
                reason_string: refusal.text,
                ..AckProperties::default()
            };
            (refusal.code, properties)
        } else {
            (ReasonCode::Success, AckProperties::default())
        };
        self.answer(session, ticket, code, properties);
    }

    /// Keeps a cleared message if it is to be retained, and routes it.
    pub(super) fn distribute(
        &mut self,
        now: Now,
        publish: Publish,
        publisher: Option<Key<Session>>,
        cleared: Cleared,
    ) {
        let mut publish = publish;
        let interval = publish.properties.message_expiry_s;
        // spec aws-iot [MQ-81]
        let interval = interval.map(|interval_s| self.expiry.effective_s(interval_s));
        publish.properties.message_expiry_s = interval;
        let expires_at =
            interval.map(|seconds| now.wall.after(Duration::from_secs(u64::from(seconds))));
        let Some(message) = self.ledger.message(publish, publisher, expires_at) else {
            return;
        };
        if message.publish().retain {
            self.retain(now, &message);
        }
        self.route(now, &message, cleared);
    }

    // spec aws-iot [MQ-50]: an empty payload removes, and is routed like any other.
    fn retain(&mut self, now: Now, message: &Rc<Message>) {
        let (topic, payload) = (message.topic(), &message.publish().payload);
        if payload.is_empty() {
            self.remove_retained(topic);
            return;
        }
        // Clients were told before; a will comes here unasked.
        if !self.retained.has_room(message.publish()) {
            self.counters.dropped_throttled += 1;
            self.reached.count(Budget::Retained, &"a will");
            return;
        }
        self.journal.write(Op::Retained(RetainedRow {
            topic: message.topic().as_str().to_owned(),
            body: message.body(),
            modified_at: now.wall,
            expires_at: message.expires_at,
        }));
        self.retained.put(Rc::clone(message), now.wall);
    }

    pub(super) fn remove_retained(&mut self, topic: &TopicName) {
        if self.retained.remove(topic) {
            let topic = topic.as_str().to_owned();
            self.journal.write(Op::RetainedEnd { topic });
        }
    }

    /// Gives a message to every subscription that selects it.
    fn route(&mut self, now: Now, message: &Rc<Message>, _cleared: Cleared) {
        // spec aws-iot [RT-1], [MQ-44]: a wide filter such as `$aws/#` selects only what may be
        // subscribed to.
        let reserved = Reserved::classify(message.topic().as_str());
        if reserved.is_some_and(|reserved| !reserved.subscribe_allowed) {
            return;
        }
        let mut targets = std::mem::take(&mut self.targets);
        let topic = (message.topic(), message.topic_hash);
        let generation = self.routes.generation();
        if !self.recent.recall(topic, generation, &mut targets) {
            self.routes.matches(message.topic(), |target, options| {
                targets.push((*target, *options));
            });
            self.recent.keep(topic, generation, &targets);
        }
        if targets.len() > 1 {
            self.merge_for_v311(&mut targets);
        }
        for (target, options) in targets.drain(..) {
            match target {
                Target::Group(group) => self.offer_group(now, group, message),
                Target::Session(session) => {
                    // spec mqtt5 [MQTT-3.8.3-3]
                    if options.no_local && message.publisher == Some(session) {
                        continue;
                    }
                    let terms = Terms {
                        qos: message.qos().min(options.qos),
                        // spec aws-iot [MQ-52]; spec mqtt5 [MQTT-3.3.1-12], [MQTT-3.3.1-13]
                        retain: message.publish().retain && options.retain_as_published,
                        identifier: options.identifier,
                    };
                    self.offer(now, session, message, terms);
                }
            }
        }
        self.targets = targets;
    }

    // spec aws-iot [MQ-37]: version 5 gets one copy per subscription, 3.1.1 one at the highest QoS.
    fn merge_for_v311(&self, targets: &mut Vec<(Target, SubscriptionOptions)>) {
        let is_v311 = |target: &Target| match target {
            Target::Session(key) => {
                let session = self.sessions.get(*key);
                session.is_some_and(|session| session.version == Version::V311)
            }
            Target::Group(_) => false,
        };
        let once_each = |pair: &[(Target, SubscriptionOptions)]| match pair {
            [(a, _), (b, _)] => a < b,
            _ => true,
        };
        // Mostly one filter selects, and its subscribers come in order.
        if targets.windows(2).all(once_each) {
            return;
        }
        targets.sort_by(|(a, a_options), (b, b_options)| {
            a.cmp(b).then(b_options.qos.cmp(&a_options.qos))
        });
        targets.dedup_by(|(later, _), (kept, _)| later == kept && is_v311(kept));
    }
}

// spec aws-iot [MQ-32], [MQ-53]
fn check_reserved(topic: &TopicName, retain: bool) -> Result<(), Refusal> {
    let Some(reserved) = Reserved::classify(topic.as_str()) else {
        return Ok(());
    };
    if !reserved.publish_allowed {
        let text = "clients may not publish to this reserved topic";
        return Err(Refusal::close(ReasonCode::TopicNameInvalid, text));
    }
    if retain {
        let text = "reserved topics keep no retained messages";
        return Err(Refusal::close(ReasonCode::RetainNotSupported, text));
    }
    Ok(())
}
