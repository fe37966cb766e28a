//! The API's view: messages and connections as people and programs handle them.
//!
//! Callers come through the gateway, which has judged them.

use std::net::SocketAddr;

use bytes::Bytes;
use device_api::{DisconnectReason, Reserved};
use model::Timestamp;
use mqtt::packet::{Publish, UserProperties};
use mqtt::{QoS, ReasonCode, TopicName, Version};
use policy::DeviceAction;

use super::arena::Key;
use super::connection::{Connection, Peer};
use super::depart::left_reason;
use super::enforce::{Cleared, topic_hash};
use super::message::Terms;
use super::retained::Kept;
use super::session::{Owner, Session};
use super::{Budget, Core, Doubt, End, Now};
use crate::negotiated::Negotiated;

/// A message of an API caller.
#[derive(Clone, Debug)]
pub(crate) struct ApiPublish {
    /// With a topic, without a packet id.
    pub(crate) publish: Publish,
}

/// Why an API caller's message is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PublishRefusal {
    /// Clients may not publish there.
    Reserved,
    /// Reserved topics keep nothing.
    RetainReserved,
    TooLarge,
    /// The bound on retained messages.
    RetainedFull,
    /// The disk does not follow.
    Behind,
}

/// One retained message in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RetainedSummary {
    pub(crate) topic: String,
    pub(crate) payload_bytes: usize,
    pub(crate) qos: QoS,
    pub(crate) modified_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
}

impl RetainedSummary {
    pub(super) fn of(kept: &Kept) -> Self {
        Self {
            topic: kept.message.topic().as_str().to_owned(),
            payload_bytes: kept.message.publish().payload.len(),
            qos: kept.message.qos(),
            modified_at: kept.modified_at,
            expires_at: kept.message.expires_at,
        }
    }
}

/// One retained message.
#[derive(Clone, Debug)]
pub(crate) struct RetainedItem {
    pub(crate) payload: Bytes,
    pub(crate) qos: QoS,
    pub(crate) modified_at: Timestamp,
    pub(crate) user_properties: UserProperties,
}

/// A client: connected, or with a session that waits for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionSummary {
    pub(crate) client_id: String,
    pub(crate) connected: bool,
    pub(crate) thing: Option<String>,
    pub(crate) principal: String,
    /// Whether the session ends with the connection.
    pub(crate) clean: bool,
    pub(crate) keep_alive_s: u16,
    pub(crate) connected_at: Timestamp,
    pub(crate) disconnected_at: Option<Timestamp>,
    pub(crate) disconnect_reason: Option<DisconnectReason>,
    pub(crate) session_expiry_s: u32,
    pub(crate) source: Option<SocketAddr>,
    pub(crate) target: Option<SocketAddr>,
    pub(crate) version: Version,
    pub(crate) subscriptions: usize,
    /// Messages that wait, those in flight included.
    pub(crate) waiting: usize,
    pub(crate) negotiated: Option<Negotiated>,
}

/// One subscription in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SubscriptionSummary {
    pub(crate) filter: String,
    pub(crate) qos: QoS,
}

/// A message to one client, whatever it subscribed to.
#[derive(Clone, Debug)]
pub(crate) struct Direct {
    /// With a topic, without a packet id; QoS 1 to be confirmed, else QoS 0.
    pub(crate) publish: Publish,
    /// Names the confirmation.
    pub(crate) token: u64,
}

/// What became of a direct message at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DirectOutcome {
    /// QoS 0: it is on its way.
    Sent,
    /// QoS 1: [`super::Effect::Confirmed`] will tell.
    Pending,
    /// The client is not connected.
    Offline,
    /// The client may not receive on this topic.
    Forbidden,
    /// The client has as many messages in flight as it takes.
    Busy,
    /// The client takes no packet of this size.
    TooLarge,
}

impl Core {
    /// Takes a message of an API caller; what must survive of it is in the journal then.
    // spec aws-iot [EP-44], [EP-46]
    pub(crate) fn publish_for_api(
        &mut self,
        now: Now,
        message: ApiPublish,
    ) -> Result<u64, PublishRefusal> {
        let publish = message.publish;
        let retained = publish.retain && !publish.payload.is_empty();
        if let Some(topic) = &publish.topic {
            match Reserved::classify(topic.as_str()) {
                Some(reserved) if !reserved.publish_allowed => {
                    return Err(PublishRefusal::Reserved);
                }
                Some(_) if publish.retain => return Err(PublishRefusal::RetainReserved),
                _ => (),
            }
            if retained && !self.retained.has_room(&publish) {
                self.reached.count(Budget::Retained, &"the API");
                return Err(PublishRefusal::RetainedFull);
            }
        }
        if publish.payload.len() > self.limits().payload_bytes_max {
            return Err(PublishRefusal::TooLarge);
        }
        let stores = publish.retain || publish.qos != QoS::AtMostOnce;
        if stores && self.limits().store_backlog_max <= self.journal.awaited() {
            return Err(PublishRefusal::Behind);
        }
        self.counters.publishes += 1;
        self.distribute(now, publish, None, Cleared::for_platform());
        self.settle(now);
        Ok(self.written())
    }

    /// The sequence of the last op: what is done so far is on the disk once this is, which will
    /// be soon.
    pub(crate) fn written(&mut self) -> u64 {
        self.journal.hurry();
        self.journal.written()
    }

    /// The retained message of `topic`.
    pub(crate) fn retained_message(&self, now: Now, topic: &TopicName) -> Option<RetainedItem> {
        let kept = self.retained.get(topic, now.wall)?;
        let publish = kept.message.publish();
        Some(RetainedItem {
            payload: publish.payload.clone(),
            qos: publish.qos,
            modified_at: kept.modified_at,
            user_properties: publish.properties.user_properties.clone(),
        })
    }

    /// The client with this id.
    pub(crate) fn connection_of(&self, client_id: &str) -> Option<ConnectionSummary> {
        let key = *self.clients.get(client_id)?;
        self.sessions.get(key).map(|session| self.summary(session))
    }

    pub(super) fn summary(&self, session: &Session) -> ConnectionSummary {
        let connection = session.connection.and_then(|key| self.connections.get(key));
        let peer = connection.map(|connection| &connection.peer);
        ConnectionSummary {
            client_id: session.client_id.as_ref().to_owned(),
            connected: peer.is_some(),
            thing: session.thing.as_deref().map(str::to_owned),
            principal: session.principal.as_str().to_owned(),
            clean: session.expiry_s == 0,
            keep_alive_s: session.keep_alive_s,
            connected_at: session.connected_at,
            disconnected_at: session.left.map(|left| left.at),
            disconnect_reason: left_reason(session),
            session_expiry_s: session.expiry_s,
            source: peer.map(|peer| peer.address),
            target: peer.map(|peer| peer.local),
            version: session.version,
            subscriptions: session.subscriptions.len(),
            waiting: session.queue.len() + session.outbound.len(),
            negotiated: peer.map(|peer| peer.negotiated),
        }
    }

    /// Ends a client's connection, and with `clean` its session; false when it has neither.
    // spec aws-iot [2.11], [MQ-61]
    pub(crate) fn delete_connection(
        &mut self,
        now: Now,
        client_id: &str,
        clean: bool,
        prevent_will: bool,
    ) -> bool {
        let Some(&key) = self.clients.get(client_id) else {
            return false;
        };
        let live = self
            .sessions
            .get(key)
            .and_then(|session| session.connection);
        if let Some(connection) = live {
            let reason = DisconnectReason::ApiInitiatedDisconnect;
            let mut end = End::new(reason, ReasonCode::AdministrativeAction);
            end.sends_will = !prevent_will;
            self.depart(now, connection, &end);
        } else if prevent_will {
            self.drop_will(key);
        }
        if clean && self.sessions.get(key).is_some() {
            self.end_session(now, key);
        }
        self.settle(now);
        true
    }

    /// Ends a session that waits for a certificate which lets nobody in any more, so that the client
    /// id is free. A thing's session stays: another certificate of the thing may come for it.
    pub(crate) fn vacate(&mut self, now: Now, doubt: &Doubt) {
        let key = self.clients.get(&doubt.client_id).copied();
        let session = key.and_then(|key| Some((key, self.sessions.get(key)?)));
        let held = Owner::Principal(doubt.holder.clone());
        if let Some((key, session)) = session
            && session.connection.is_none()
            && session.owner == held
        {
            self.end_session(now, key);
            self.settle(now);
        }
    }

    /// At most `limit` subscriptions of a client by filter, after `after`; whether there are
    /// more. `None` when there is no such client.
    pub(crate) fn subscriptions_of(
        &self,
        client_id: &str,
        after: &str,
        limit: usize,
    ) -> Option<(Vec<SubscriptionSummary>, bool)> {
        let session = self.sessions.get(*self.clients.get(client_id)?)?;
        let mut rest = session.subscriptions.after(Some(after));
        let page = rest.by_ref().take(limit);
        let page = page.map(|(filter, subscription)| SubscriptionSummary {
            filter: filter.as_ref().to_owned(),
            qos: subscription.options.qos,
        });
        let page = page.collect();
        Some((page, rest.next().is_some()))
    }

    /// Sends a message to one client, without any subscription.
    // spec aws-iot [MQ-96]: not queued, not retained; the receiver needs `iot:Receive`.
    pub(crate) fn send_direct(
        &mut self,
        now: Now,
        client_id: &str,
        direct: Direct,
    ) -> DirectOutcome {
        let outcome = self.send_direct_now(now, client_id, direct);
        self.settle(now);
        outcome
    }

    fn send_direct_now(&mut self, now: Now, client_id: &str, direct: Direct) -> DirectOutcome {
        let Some((key, connection)) = self.live(client_id) else {
            return DirectOutcome::Offline;
        };
        if direct.publish.payload.len() > self.limits().payload_bytes_max {
            return DirectOutcome::TooLarge;
        }
        let terms = Terms {
            qos: direct.publish.qos,
            retain: false,
            identifier: None,
        };
        let Some(message) = self.ledger.message(direct.publish, None, None) else {
            return DirectOutcome::TooLarge;
        };
        if !self.receives(now, connection, message.topic()) {
            return DirectOutcome::Forbidden;
        }
        if terms.qos == QoS::AtMostOnce {
            self.offer(now, key, &message, terms);
            return DirectOutcome::Sent;
        }
        if !self.can_send(key) {
            return DirectOutcome::Busy;
        }
        let mut entry = self
            .ledger
            .hold(&message, terms, None, None, &mut self.journal);
        entry.confirm = Some(direct.token);
        self.dispatch_entry(now, key, entry);
        DirectOutcome::Pending
    }

    fn live(&self, client_id: &str) -> Option<(Key<Session>, Key<Connection>)> {
        let key = *self.clients.get(client_id)?;
        let connection = self.sessions.get(key)?.connection?;
        Some((key, connection))
    }

    fn receives(&mut self, now: Now, connection: Key<Connection>, topic: &TopicName) -> bool {
        let Some(found) = self.connections.get_mut(connection) else {
            return false;
        };
        let Some(serving) = found.serving_mut() else {
            return false;
        };
        let (action, hash) = (DeviceAction::Receive, topic_hash(topic));
        let cleared = serving.access.clear_topic(action, topic, hash, now.wall);
        cleared.is_some()
    }

    /// A certificate was refused at the door: the history says so.
    pub(crate) fn turned_away(&mut self, now: Now, peer: &Peer, why: &str) {
        self.counters.connects_refused += 1;
        let row = super::depart::history_row(peer, None, None, now.wall);
        let row = crate::store::HistoryRow {
            disconnected_at: Some(now.wall),
            reason: Some(why.to_owned()),
            ..row
        };
        self.journal.write(crate::store::Op::History(Box::new(row)));
    }
}
