//! The API's view of many: sessions, subscriptions and retained messages, in short stretches.
//!
//! A stretch begins behind a cursor, looks at a bounded number of things whatever it finds, and
//! says where the next one begins. A list over a million sessions is many stretches with the
//! messages of everybody between them, and never one long one. What changes meanwhile is seen or
//! not; nothing that was there all the time is missed or seen twice, because the order is that of
//! the keys.

use std::ops::Bound;
use std::sync::Arc;

use model::Timestamp;
use mqtt::topic::{HashMatchesParent, SubscriptionFilter, matches};
use mqtt::{QoS, TopicName, Version};
use policy::{DeviceAction, Resource};

use super::connection::Connection;
use super::manage::{ConnectionSummary, RetainedSummary};
use super::message::{Life, Message};
use super::session::{Session, Subscription};
use super::{Core, Now};

/// What is looked at in one stretch: sessions, subscriptions, retained messages.
pub(crate) const LOOKS_MAX: usize = 1000;
/// Waiting messages whose sizes are added up for the price of one look.
const SIZES_PER_LOOK: usize = 16;

/// What a stretch found, and behind what the next one begins; `None` when there is nothing more.
#[derive(Debug)]
pub(crate) struct Stretch<T, C> {
    pub(crate) found: Vec<T>,
    pub(crate) next: Option<C>,
}

/// Which sessions are wanted; what is not said does not matter.
#[derive(Clone, Debug, Default)]
pub(crate) struct SessionFilter {
    pub(crate) client_id: Option<String>,
    pub(crate) client_prefix: Option<String>,
    pub(crate) principal: Option<String>,
    pub(crate) thing: Option<String>,
    pub(crate) connected: Option<bool>,
}

/// Which subscriptions are wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct SubscriptionsWanted {
    pub(crate) of: SessionFilter,
    /// With this filter, as the client wrote it.
    pub(crate) filter: Option<String>,
    /// That select this topic.
    pub(crate) topic: Option<TopicName>,
}

/// A session as lists show it.
#[derive(Clone, Debug)]
pub(crate) struct SessionSummary {
    pub(crate) connection: ConnectionSummary,
    pub(crate) owner: String,
    /// Messages not sent yet, and the bytes of their topics and payloads.
    pub(crate) queued: usize,
    pub(crate) queued_bytes: u64,
    /// Messages sent and not acknowledged.
    pub(crate) in_flight: usize,
    /// QoS 2 messages of the client whose exchange is not over.
    pub(crate) receiving: usize,
    pub(crate) has_will: bool,
    /// When it ends, unless its client comes back.
    pub(crate) expires_at: Option<Timestamp>,
}

/// A message that waits for a session.
#[derive(Clone, Debug)]
pub(crate) struct WaitingMessage {
    pub(crate) topic: String,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) payload_bytes: usize,
    pub(crate) expires_at: Option<Timestamp>,
}

/// A subscription of some session.
#[derive(Clone, Debug)]
pub(crate) struct FoundSubscription {
    pub(crate) client_id: String,
    pub(crate) connected: bool,
    pub(crate) filter: String,
    pub(crate) qos: QoS,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
    pub(crate) identifier: Option<u32>,
    /// Messages go to one of those who share it.
    pub(crate) shared: bool,
    /// Whether policy lets the session receive the topic asked about; not known while it is away.
    pub(crate) may_receive: Option<bool>,
}

/// What is known of a connection beside its summary.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionDetails {
    pub(crate) session: SessionSummary,
    /// The identifier of the connection, as in the history.
    pub(crate) connection_id: String,
    pub(crate) server_name: Option<String>,
    pub(crate) certificate_ends: Timestamp,
    /// When its certificate, things, groups and policies were last read.
    pub(crate) access_read_at: Timestamp,
    pub(crate) things: Vec<String>,
    pub(crate) policies: Vec<PolicyInForce>,
    /// Messages it takes unacknowledged.
    pub(crate) window: u16,
    pub(crate) packet_bytes_max: Option<usize>,
    /// Bytes that its socket has not taken yet.
    pub(crate) output_bytes: usize,
    pub(crate) will_topic: Option<String>,
}

/// A policy that decides for a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PolicyInForce {
    pub(crate) name: String,
    pub(crate) version: String,
    /// The thing group it is attached to; else it is the certificate's.
    pub(crate) group: Option<String>,
}

impl SessionFilter {
    fn wants(&self, session: &Session) -> bool {
        let principal = self.principal.as_deref();
        let connected = session.connection.is_some();
        principal.is_none_or(|principal| session.principal.as_str() == principal)
            && (self.thing.is_none() || self.thing.as_deref() == session.thing.as_deref())
            && self.connected.is_none_or(|wanted| wanted == connected)
    }

    /// Whether a client id is still within what is wanted, in the order of ids.
    fn spans(&self, client_id: &str) -> bool {
        let exact = self.client_id.as_deref();
        let prefix = self.client_prefix.as_deref();
        exact.is_none_or(|id| client_id == id)
            && prefix.is_none_or(|prefix| client_id.starts_with(prefix))
    }

    /// The first client id that may be wanted.
    fn first(&self) -> &str {
        let exact = self.client_id.as_deref();
        exact.or(self.client_prefix.as_deref()).unwrap_or_default()
    }
}

impl Core {
    /// Sessions by client id, behind `after`, at most `room`.
    pub(crate) fn look_at_sessions(
        &self,
        after: &str,
        room: usize,
        filter: &SessionFilter,
    ) -> Stretch<SessionSummary, String> {
        let mut rest = self.sessions_from(behind(after, filter), filter).peekable();
        let (mut found, mut looks) = (Vec::new(), 0);
        let mut last = None;
        while looks < LOOKS_MAX && found.len() < room {
            let Some(session) = rest.next() else {
                break;
            };
            looks += 1;
            last = Some(&session.client_id);
            if filter.wants(session) {
                looks += session.queue.len() / SIZES_PER_LOOK;
                found.push(self.session_summary(session));
            }
        }
        let next = rest.peek().and(last).map(|id| id.as_ref().to_owned());
        Stretch { found, next }
    }

    /// Subscriptions by client id and filter, behind `after`, at most `room`.
    pub(crate) fn look_at_subscriptions(
        &self,
        now: Now,
        after: &(String, String),
        room: usize,
        wanted: &SubscriptionsWanted,
    ) -> Stretch<FoundSubscription, (String, String)> {
        let (client_id, filter) = after;
        // Of the session at the cursor the rest is still to be seen.
        let from = match client_id.as_str() {
            "" => Bound::Included(wanted.of.first()),
            client_id => Bound::Included(client_id),
        };
        let mut found = Vec::new();
        let mut looks = 0;
        for session in self.sessions_from(from, &wanted.of) {
            let id = session.client_id.as_ref();
            let behind = if id == client_id { filter.as_str() } else { "" };
            if LOOKS_MAX <= looks {
                let next = Some((id.to_owned(), behind.to_owned()));
                return Stretch { found, next };
            }
            looks += 1;
            if !wanted.of.wants(session) {
                continue;
            }
            let behind = (!behind.is_empty()).then_some(behind);
            for (text, subscription) in session.subscriptions.after(behind) {
                looks += 1;
                if self.selects(subscription, text, wanted) {
                    let topic = wanted.topic.as_ref();
                    found.push(self.found_subscription(now, session, text, subscription, topic));
                }
                if LOOKS_MAX <= looks || room <= found.len() {
                    let next = Some((id.to_owned(), text.as_ref().to_owned()));
                    return Stretch { found, next };
                }
            }
        }
        Stretch { found, next: None }
    }

    /// Retained messages whose topic begins with `prefix`, behind `after`, at most `room`.
    pub(crate) fn look_at_retained(
        &self,
        now: Now,
        after: &str,
        room: usize,
        prefix: &str,
    ) -> Stretch<RetainedSummary, String> {
        let mut rest = self.retained.from(after, prefix).peekable();
        let (mut found, mut looks) = (Vec::new(), 0);
        let mut last = None;
        while looks < LOOKS_MAX && found.len() < room {
            let Some(kept) = rest.next() else {
                break;
            };
            looks += 1;
            last = Some(kept.message.topic().as_str());
            if kept.message.life(now.wall) != Life::Over {
                found.push(RetainedSummary::of(kept));
            }
        }
        let next = rest.peek().and(last).map(str::to_owned);
        Stretch { found, next }
    }

    /// Forgets the retained message of `topic`; whether there was one.
    pub(crate) fn forget_retained_message(&mut self, now: Now, topic: &TopicName) -> bool {
        let known = self.retained.get(topic, now.wall).is_some();
        self.remove_retained(topic);
        self.settle(now);
        known
    }

    /// The session of a client, and the first messages that wait for it.
    pub(crate) fn session_of_client(
        &self,
        client_id: &str,
        waiting: usize,
    ) -> Option<(SessionSummary, Vec<WaitingMessage>)> {
        let session = self.sessions.get(*self.clients.get(client_id)?)?;
        let first = session.queue.iter().take(waiting).map(|entry| {
            let message = &entry.message;
            WaitingMessage {
                topic: message.topic().as_str().to_owned(),
                qos: entry.qos,
                retain: entry.retain,
                payload_bytes: message.publish().payload.len(),
                expires_at: message.expires_at,
            }
        });
        Some((self.session_summary(session), first.collect()))
    }

    /// Everything about the connection of a client.
    pub(crate) fn connection_details(&self, client_id: &str) -> Option<ConnectionDetails> {
        let session = self.sessions.get(*self.clients.get(client_id)?)?;
        let connection = self.connections.get(session.connection?)?;
        let serving = connection.serving()?;
        let facts = &connection.known.facts;
        let own = facts.policies.iter().map(|policy| (None, policy));
        let groups = facts.things.iter().flat_map(|thing| &thing.groups);
        let inherited = groups.flat_map(|group| {
            let policies = group.policies.iter();
            policies.map(|policy| (Some(group.name.clone()), policy))
        });
        let policies = own.chain(inherited).map(|(group, policy)| PolicyInForce {
            name: policy.name.as_ref().to_owned(),
            version: policy.version.as_ref().to_owned(),
            group,
        });
        let max = serving.receiver.packet_bytes_max;
        Some(ConnectionDetails {
            session: self.session_summary(session),
            connection_id: connection.peer.session_identifier.clone(),
            server_name: connection.peer.server_name.clone(),
            certificate_ends: connection.peer.not_after,
            access_read_at: connection.access_read_at,
            things: facts
                .things
                .iter()
                .map(|thing| thing.name.clone())
                .collect(),
            policies: policies.collect(),
            window: session.outbound.window(),
            packet_bytes_max: (max < usize::MAX).then_some(max),
            output_bytes: connection.waiting_bytes(),
            will_topic: self.will_topic(session),
        })
    }

    fn will_topic(&self, session: &Session) -> Option<String> {
        let will = session.will.as_ref()?;
        Some(will.will.topic.as_str().to_owned())
    }

    fn session_summary(&self, session: &Session) -> SessionSummary {
        let size = |message: &Message| {
            let parts = message.topic().as_str().len() + message.publish().payload.len();
            u64::try_from(parts).unwrap_or(u64::MAX)
        };
        let bytes = session.queue.iter().map(|entry| size(&entry.message));
        let lasts = std::time::Duration::from_secs(u64::from(session.expiry_s));
        SessionSummary {
            connection: self.summary(session),
            owner: session.owner.to_string(),
            queued: session.queue.len(),
            queued_bytes: bytes.sum(),
            in_flight: session.outbound.len(),
            receiving: session.inbound.exchanges(),
            has_will: session.will.is_some(),
            expires_at: session.left.map(|left| left.at.after(lasts)),
        }
    }

    /// Sessions in the order of their client ids, as far as `filter` spans.
    fn sessions_from<'a>(
        &'a self,
        from: Bound<&'a str>,
        filter: &'a SessionFilter,
    ) -> impl Iterator<Item = &'a Session> {
        let bounds = (from, Bound::Unbounded);
        let ids = self.clients.range::<str, _>(bounds);
        let spanned = ids.take_while(|(id, _)| filter.spans(id));
        spanned.filter_map(|(_, key)| self.sessions.get(*key))
    }

    fn selects(
        &self,
        subscription: &Subscription,
        text: &str,
        wanted: &SubscriptionsWanted,
    ) -> bool {
        let parent = match self.limits().hash_matches_parent {
            true => HashMatchesParent::Yes,
            false => HashMatchesParent::No,
        };
        let filter = subscription.filter.filter();
        let topic = wanted.topic.as_ref();
        wanted.filter.as_deref().is_none_or(|wanted| wanted == text)
            && topic.is_none_or(|topic| matches(filter, topic, parent))
    }

    fn found_subscription(
        &self,
        now: Now,
        session: &Session,
        text: &Arc<str>,
        subscription: &Subscription,
        topic: Option<&TopicName>,
    ) -> FoundSubscription {
        let connection = session.connection.and_then(|key| self.connections.get(key));
        let serving = connection.and_then(Connection::serving);
        let may_receive = topic.zip(serving).map(|(topic, serving)| {
            let resource = Resource::Topic(topic.as_str());
            let cleared = serving
                .access
                .clear(DeviceAction::Receive, resource, now.wall);
            cleared.is_some()
        });
        let options = &subscription.options;
        let is_v5 = session.version == Version::V5;
        FoundSubscription {
            client_id: session.client_id.as_ref().to_owned(),
            connected: serving.is_some(),
            filter: text.as_ref().to_owned(),
            qos: options.qos,
            no_local: is_v5 && options.no_local,
            retain_as_published: is_v5 && options.retain_as_published,
            identifier: options.identifier.map(|identifier| identifier.number()),
            shared: matches!(subscription.filter, SubscriptionFilter::Shared(_)),
            may_receive,
        }
    }
}

/// Where the sessions behind `after` begin.
fn behind<'a>(after: &'a str, filter: &'a SessionFilter) -> Bound<&'a str> {
    match after {
        "" => Bound::Included(filter.first()),
        after => Bound::Excluded(after),
    }
}
