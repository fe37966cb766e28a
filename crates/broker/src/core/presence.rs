//! The numbers that let consumers order one client's presence events.
//!
//! A number is the same on a connect and its disconnect, rises with each connect, and begins at 0
//! again once the client has been away for about an hour.
//!
//! Source: contract core, `[RT-10]`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use device_api::{ConnectFailed, Connected, Disconnected, SubscriptionChange, Subscriptions};
use device_api::{DisconnectReason, has_lifecycle_events};
use model::Timestamp;
use mqtt::packet::{Publish, PublishProperties};
use mqtt::{QoS, TopicLimits, TopicName};

use super::connection::Peer;
use super::enforce::Cleared;
use super::{Core, Now};

/// How long a number outlives its client's connection.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// The numbers of clients that are connected or were of late.
#[derive(Debug)]
pub(crate) struct Presences {
    clients: HashMap<Arc<str>, Presence>,
    clients_max: usize,
}

#[derive(Clone, Copy, Debug)]
struct Presence {
    number: u64,
    /// `None` while connected.
    left_at: Option<Timestamp>,
}

impl Presences {
    /// No clients yet; beyond `clients_max` further ones are numbered 0.
    pub(crate) fn new(clients_max: usize) -> Self {
        Self {
            clients: HashMap::new(),
            clients_max,
        }
    }

    /// The number of a connect now.
    pub(crate) fn connected(&mut self, client_id: &Arc<str>, now: Timestamp) -> u64 {
        let number = match self.clients.get(client_id) {
            Some(known) if known.is_remembered(now) => known.number + 1,
            _ => 0,
        };
        self.put(client_id, number, None);
        number
    }

    /// Its client is gone.
    pub(crate) fn left(&mut self, client_id: &Arc<str>, number: u64, now: Timestamp) {
        // A takeover's new connection may have a higher number already.
        if let Some(known) = self.clients.get_mut(client_id)
            && known.number == number
        {
            known.left_at = Some(now);
        }
    }

    /// The number of a stored session, after a restart.
    pub(crate) fn restore(&mut self, client_id: &Arc<str>, number: u64, left_at: Timestamp) {
        self.put(client_id, number, Some(left_at));
    }

    /// Forgets clients that have been away for long enough.
    pub(crate) fn sweep(&mut self, now: Timestamp) {
        self.clients.retain(|_, known| known.is_remembered(now));
    }

    fn put(&mut self, client_id: &Arc<str>, number: u64, left_at: Option<Timestamp>) {
        if self.clients.len() < self.clients_max || self.clients.contains_key(client_id) {
            let presence = Presence { number, left_at };
            self.clients.insert(Arc::clone(client_id), presence);
        }
    }
}

impl Presence {
    fn is_remembered(self, now: Timestamp) -> bool {
        self.left_at
            .is_none_or(|left_at| now.since(left_at) < REMEMBERED)
    }
}

impl Core {
    pub(super) fn report_connected(
        &mut self,
        now: Now,
        peer: &Peer,
        client_id: &str,
        exclusive_thing: Option<&str>,
        version: u64,
    ) {
        if !has_lifecycle_events(client_id) {
            return;
        }
        let event = Connected {
            client_id,
            at: now.wall,
            session_identifier: &peer.session_identifier,
            principal: peer.principal.certificate.as_str(),
            thing_name: exclusive_thing,
            ip_address: &peer.address.ip().to_string(),
            version,
        };
        self.publish_wanted(now, &event.topic(), || event.document());
    }

    pub(super) fn report_disconnected(
        &mut self,
        now: Now,
        peer: &Peer,
        client_id: &str,
        exclusive_thing: Option<&str>,
        version: u64,
        reason: DisconnectReason,
    ) {
        if !has_lifecycle_events(client_id) {
            return;
        }
        let event = Disconnected {
            client_id,
            at: now.wall,
            session_identifier: &peer.session_identifier,
            principal: peer.principal.certificate.as_str(),
            thing_name: exclusive_thing,
            version,
            reason,
        };
        self.publish_wanted(now, &event.topic(), || event.document());
    }

    pub(super) fn report_connect_failed(&mut self, now: Now, peer: &Peer, client_id: &str) {
        if !has_lifecycle_events(client_id) {
            return;
        }
        let event = ConnectFailed {
            client_id,
            at: now.wall,
            session_identifier: &peer.session_identifier,
            principal: peer.principal.certificate.as_str(),
            ip_address: &peer.address.ip().to_string(),
        };
        self.publish_wanted(now, &event.topic(), || event.document());
    }

    pub(super) fn report_subscriptions(
        &mut self,
        now: Now,
        peer: &Peer,
        client_id: &str,
        change: SubscriptionChange,
        filters: &[&str],
    ) {
        if filters.is_empty() || !has_lifecycle_events(client_id) {
            return;
        }
        let event = Subscriptions {
            client_id,
            at: now.wall,
            change,
            session_identifier: &peer.session_identifier,
            principal: peer.principal.certificate.as_str(),
            filters,
        };
        self.publish_wanted(now, &event.topic(), || event.document());
    }

    /// Publishes a document of the platform, at QoS 1.
    pub(crate) fn publish_event(&mut self, now: Now, topic: &str, document: Vec<u8>) {
        self.publish_wanted(now, topic, || document);
    }

    /// As [`Core::publish_event`]; the document is made only when somebody subscribed to the topic.
    // spec aws-iot [RT-3]: at least once.
    fn publish_wanted(&mut self, now: Now, topic: &str, document: impl FnOnce() -> Vec<u8>) {
        // Client ids and names are bounded, but not by the limits on clients' topics.
        let Ok(topic) = TopicName::parse(topic, &TopicLimits::STANDARD) else {
            tracing::warn!(topic, "an event has no valid topic and is not published");
            return;
        };
        let mut wanted = false;
        self.routes.matches(&topic, |_, _| wanted = true);
        if !wanted {
            return;
        }
        let publish = Publish {
            dup: false,
            qos: QoS::AtLeastOnce,
            retain: false,
            topic: Some(topic),
            packet_id: None,
            properties: PublishProperties::default(),
            payload: document().into(),
        };
        self.distribute(now, publish, None, Cleared::for_platform());
    }
}

#[cfg(test)]
mod tests;
