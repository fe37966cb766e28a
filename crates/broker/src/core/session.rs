//! A session: what belongs to a client id beyond one connection.
//!
//! A session has an owner. Whoever connects with the same client id but is somebody else inherits
//! nothing of it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Instant;

use device_api::DisconnectReason;
use model::{CertificateId, Timestamp};
use mqtt::packet::{SubscriptionIdentifier, SubscriptionRequest};
use mqtt::session::{Inbound, Outbound};
use mqtt::topic::SubscriptionFilter;
use mqtt::{QoS, Version};

use super::arena::Key;
use super::connection::Connection;
use super::message::Entry;
use super::shared::Group;
use super::subscriptions::Subscriptions;
use super::wills::LastWill;
use crate::store::{SessionRow, SubscriptionRow};

/// Whose a session is.
// spec aws-iot [MQ-11]: the thing when the connection resolves one, else the principal; so a
// rotated certificate of the same thing keeps its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Thing(Arc<str>),
    Principal(CertificateId),
}

const THING_PREFIX: &str = "thing:";
const PRINCIPAL_PREFIX: &str = "principal:";

impl Owner {
    /// Reads what [`fmt::Display`] wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some(name) = text.strip_prefix(THING_PREFIX) {
            return Some(Self::Thing(name.into()));
        }
        let id = text.strip_prefix(PRINCIPAL_PREFIX)?;
        CertificateId::parse(id).ok().map(Self::Principal)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Thing(name) => write!(out, "{THING_PREFIX}{name}"),
            Self::Principal(id) => write!(out, "{PRINCIPAL_PREFIX}{id}"),
        }
    }
}

/// One subscription of one session.
#[derive(Clone, Debug)]
pub(crate) struct Subscription {
    pub(crate) filter: SubscriptionFilter,
    pub(crate) options: SubscriptionOptions,
}

/// What a subscription asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SubscriptionOptions {
    pub(crate) qos: QoS,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
    pub(crate) identifier: Option<SubscriptionIdentifier>,
}

impl SubscriptionOptions {
    pub(crate) fn of(
        request: &SubscriptionRequest,
        identifier: Option<SubscriptionIdentifier>,
    ) -> Self {
        Self {
            qos: request.qos,
            no_local: request.no_local,
            retain_as_published: request.retain_as_published,
            identifier,
        }
    }

    pub(crate) fn of_row(row: &SubscriptionRow) -> Self {
        Self {
            qos: QoS::parse(row.qos).unwrap_or_default(),
            no_local: row.no_local,
            retain_as_published: row.retain_as_published,
            identifier: row.identifier.and_then(SubscriptionIdentifier::new),
        }
    }

    pub(crate) fn row(&self, filter: &str) -> SubscriptionRow {
        SubscriptionRow {
            filter: filter.to_owned(),
            qos: self.qos.number(),
            no_local: self.no_local,
            retain_as_published: self.retain_as_published,
            identifier: self.identifier.map(SubscriptionIdentifier::number),
        }
    }
}

/// How a session was left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left {
    pub(crate) at: Timestamp,
    /// When the session ends, unless its client comes back.
    pub(crate) ends: Instant,
    pub(crate) reason: DisconnectReason,
}

/// A session, with a connection or without.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client_id: Arc<str>,
    pub(crate) owner: Owner,
    /// The certificate of the last connection.
    pub(crate) principal: CertificateId,
    /// The thing of the last connection.
    pub(crate) thing: Option<Arc<str>>,
    /// 0 ends it with its connection.
    pub(crate) expiry_s: u32,
    /// Whether it has a row on disk.
    pub(crate) stored: bool,
    pub(crate) version: Version,
    pub(crate) keep_alive_s: u16,
    pub(crate) presence: u64,
    pub(crate) connected_at: Timestamp,
    /// `None` while connected.
    pub(crate) left: Option<Left>,
    pub(crate) connection: Option<Key<Connection>>,
    pub(crate) subscriptions: Subscriptions,
    /// The shared subscriptions it is in.
    pub(crate) groups: Vec<Key<Group>>,
    /// Messages not sent yet.
    pub(crate) queue: VecDeque<Entry>,
    pub(crate) outbound: Outbound<Entry>,
    /// QoS 2 messages the client has, whose exchange is not over.
    pub(crate) released: BTreeMap<NonZeroU16, Entry>,
    pub(crate) inbound: Inbound,
    /// Deliveries that wait for the disk; later ones wait behind them.
    pub(crate) held: u32,
    pub(crate) will: Option<Box<LastWill>>,
}

impl Session {
    /// What is stored of it.
    pub(crate) fn row(&self) -> SessionRow {
        SessionRow {
            client_id: self.client_id.as_ref().to_owned(),
            owner: self.owner.to_string(),
            principal: self.principal.as_str().to_owned(),
            thing: self.thing.as_deref().map(str::to_owned),
            expiry_s: self.expiry_s,
            version: self.version.level(),
            keep_alive_s: self.keep_alive_s,
            presence: self.presence,
            connected_at: self.connected_at,
            disconnected_at: self.left.map(|left| left.at),
            disconnect_reason: self.left.map(|left| left.reason.as_str()),
        }
    }

    /// Whether its time is up, though it may not have been removed yet.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.connection.is_none() && self.left.is_some_and(|left| left.ends <= now)
    }

    /// The client id, when entries for this session are to be stored.
    pub(crate) fn holder(&self) -> Option<Arc<str>> {
        self.stored.then(|| Arc::clone(&self.client_id))
    }
}
