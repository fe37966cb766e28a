//! Wills: kept from before CONNACK until they are published, or will not be.
//!
//! ```text
//!   CONNECT ──▶ set, on the disk ──▶ CONNACK
//!     ├── DISCONNECT, or its client resumes in time ─────────────────────▶ dropped
//!     ├── the connection ends, no delay ──▶ published: it was judged when it was last reviewed
//!     └── its delay or its session is over, or the broker has started again
//!           └──▶ due ──▶ judged by what its principal may now ──▶ published, or refused
//! ```
//!
//! The row is removed in the transaction that stores what the will gave to those who wait, so who
//! waits gets it once; a connected receiver gets it again when the broker dies in between.
//!
//! Source: MQTT 5, 3.1.2.5 and 3.1.3.2; contract core, `[MQ-60]` to `[MQ-64]`.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::CertificateId;
use mqtt::packet::{Publish, PublishProperties, Will, WillProperties};
use policy::Resource;

use super::arena::Key;
use super::connect::clear_will;
use super::enforce::{Access, Cleared, Principal};
use super::message::{body, from_body};
use super::propagate::{UserProperties, append, propagated};
use super::session::Session;
use super::{Core, Effect, Now, Timer};
use crate::directory::Standing;
use crate::store::{Op, WillRow};

/// A will, and when it is due once the connection is gone.
#[derive(Debug)]
pub(crate) struct LastWill {
    /// The session identifier of its connection; names its row.
    pub(crate) id: Arc<str>,
    pub(crate) will: Will,
    pub(crate) principal: CertificateId,
    /// What the policies of its principal are asked about.
    pub(crate) described: policy::Connection,
    /// It was allowed at CONNECT and at every review since. `None` once no review reaches it.
    pub(crate) cleared: Option<Cleared>,
    /// Appended to it when it is published without being judged again.
    pub(crate) propagated: UserProperties,
    pub(crate) due: Option<Instant>,
    /// The session it was set in, once it is due; for No Local.
    session: Option<Key<Session>>,
}

impl LastWill {
    /// The will of a connection that was judged good.
    pub(crate) fn new(
        id: &str,
        principal: CertificateId,
        described: policy::Connection,
        (will, cleared): (Will, Cleared),
        propagated: UserProperties,
    ) -> Self {
        Self {
            id: id.into(),
            will,
            principal,
            described,
            cleared: Some(cleared),
            propagated,
            due: None,
            session: None,
        }
    }

    /// Reads what [`LastWill::row`] wrote; `None` when it makes no sense.
    fn of_row(row: WillRow) -> Option<Self> {
        let will = stored_will(from_body(&row.body).ok()?, row.delay_s)?;
        Some(Self {
            id: row.id.into(),
            principal: CertificateId::parse(&row.principal).ok()?,
            described: policy::Connection {
                client_id: Some(row.client_id),
                source_ip: row.source_ip,
                persistent: row.persistent,
                last_will_topic: Some(will.topic.as_str().to_owned()),
                has_will: true,
                domain_name: row.server_name,
                secure_transport: true,
            },
            will,
            cleared: None,
            propagated: None,
            due: None,
            session: None,
        })
    }

    fn row(&self, due: bool) -> Op {
        Op::Will(Box::new(WillRow {
            id: self.id.as_ref().to_owned(),
            client_id: self.described.client_id.clone().unwrap_or_default(),
            principal: self.principal.as_str().to_owned(),
            source_ip: self.described.source_ip,
            server_name: self.described.domain_name.clone(),
            persistent: self.described.persistent,
            body: body(&will_publish(&self.will)),
            delay_s: self.delay_s(),
            due,
        }))
    }

    /// How long after the disconnect it is due, in seconds.
    pub(crate) fn delay_s(&self) -> u32 {
        self.will.properties.delay_s.unwrap_or(0)
    }

    fn end(&self) -> Op {
        let id = self.id.as_ref().to_owned();
        Op::WillEnd { id }
    }
}

impl Core {
    /// Gives a session the will of its connection, in place of an earlier one.
    pub(super) fn set_will(&mut self, key: Key<Session>, will: Option<Box<LastWill>>) {
        self.drop_will(key);
        if let Some(will) = will
            && let Some(session) = self.sessions.get_mut(key)
        {
            self.journal.write(will.row(false));
            session.will = Some(will);
        }
    }

    /// The will of a session is not to be published.
    pub(super) fn drop_will(&mut self, key: Key<Session>) {
        let session = self.sessions.get_mut(key);
        if let Some(last) = session.and_then(|session| session.will.take()) {
            self.journal.write(last.end());
        }
    }

    /// The connection of a session is gone: its will is published, or its delay begins.
    // spec aws-iot [MQ-61], [MQ-63]; spec mqtt5 [3.1.3.2.2]
    pub(super) fn schedule_will(&mut self, now: Now, key: Key<Session>) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let Some(last) = &mut session.will else {
            return;
        };
        let delay = Duration::from_secs(u64::from(last.delay_s()));
        if delay.is_zero() || session.expiry_s == 0 {
            self.publish_will(now, key);
            return;
        }
        // No review reaches a session without a connection.
        last.cleared = None;
        let due = now.instant + delay;
        last.due = Some(due);
        self.wake_at(due, Timer::Will(key));
    }

    pub(super) fn publish_due_will(&mut self, now: Now, key: Key<Session>) {
        let session = self.sessions.get(key);
        let due = session
            .filter(|session| session.connection.is_none())
            .and_then(|session| session.will.as_ref()?.due);
        if due.is_some_and(|due| due <= now.instant) {
            self.publish_will(now, key);
        }
    }

    /// Publishes the will of a session, at once or when it has been judged.
    // spec aws-iot [MQ-64]: its message expiry starts now.
    pub(super) fn publish_will(&mut self, now: Now, key: Key<Session>) {
        let session = self.sessions.get_mut(key);
        let Some(mut last) = session.and_then(|session| session.will.take()) else {
            return;
        };
        last.session = Some(key);
        match last.cleared.take() {
            Some(cleared) => self.distribute_will(now, &last, cleared),
            None => {
                self.journal.write(last.row(true));
                self.will_is_due(last);
            }
        }
    }

    fn distribute_will(&mut self, now: Now, last: &LastWill, cleared: Cleared) {
        let mut publish = will_publish(&last.will);
        append(&last.propagated, &mut publish);
        self.distribute(now, publish, last.session, cleared);
        self.journal.write(last.end());
    }

    /// Its row says so already.
    fn will_is_due(&mut self, last: Box<LastWill>) {
        self.effects.push(Effect::WillDue {
            id: Arc::clone(&last.id),
            principal: last.principal.clone(),
        });
        self.due_wills.insert(Arc::clone(&last.id), last);
    }

    /// Publishes a will that is due, or refuses it, by what is known of its principal now.
    // spec aws-iot [MQ-60], [MQ-64]
    pub(crate) fn judge_due_will(
        &mut self,
        now: Now,
        id: &str,
        principal: &Principal,
        standing: &Standing,
    ) {
        let Some(mut last) = self.due_wills.remove(id) else {
            return;
        };
        let grounds = &self.settings.grounds;
        let mut access = match standing {
            Standing::Active(known) => {
                let described = last.described.clone();
                let access = Access::new(Arc::clone(&known.facts), described, grounds);
                last.propagated = propagated(known, &access);
                access
            }
            Standing::Inactive(_) | Standing::Unknown => {
                Access::barred(last.described.clone(), grounds)
            }
        };
        match clear_will(&mut access, &last.will, now) {
            Ok(cleared) => self.distribute_will(now, &last, cleared),
            Err(action) => {
                let resource = Resource::Topic(last.will.topic.as_str());
                let book = &self.settings.denials;
                access.refuse(book, principal, action, resource, now.wall);
                self.counters.denials += 1;
                self.journal.write(last.end());
            }
        }
        self.settle(now);
    }

    /// Takes in a stored will: its session goes on waiting with it; without one it is due.
    pub(super) fn restore_will(&mut self, row: WillRow) {
        let (id, due) = (row.id.clone(), row.due);
        let waits = self.clients.get(row.client_id.as_str()).copied();
        let Some(last) = LastWill::of_row(row) else {
            tracing::error!(will = id, "a stored will is lost");
            self.journal.write(Op::WillEnd { id });
            return;
        };
        let last = Box::new(last);
        let waits = waits.and_then(|key| self.sessions.get_mut(key));
        match waits.filter(|session| !due && session.will.is_none()) {
            Some(session) => session.will = Some(last),
            None => self.will_is_due(last),
        }
    }

    /// A will that may no longer be published is dropped; another carries what goes with it now.
    // spec aws-iot [MQ-54], [MQ-60]
    pub(super) fn recheck_will(&mut self, now: Now, key: Key<super::Connection>) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        let principal = Rc::clone(&connection.peer.principal);
        let Some(serving) = connection.serving_mut() else {
            return;
        };
        let session = serving.session;
        let Some(found) = self.sessions.get_mut(session) else {
            return;
        };
        let Some(last) = &mut found.will else {
            return;
        };
        match clear_will(&mut serving.access, &last.will, now) {
            Ok(cleared) => {
                last.cleared = Some(cleared);
                last.propagated.clone_from(&serving.propagated);
            }
            Err(action) => {
                let resource = Resource::Topic(last.will.topic.as_str());
                let book = &self.settings.denials;
                serving
                    .access
                    .refuse(book, &principal, action, resource, now.wall);
                self.counters.denials += 1;
                self.drop_will(session);
            }
        }
    }
}

/// The message that a will is.
fn will_publish(will: &Will) -> Publish {
    let WillProperties {
        delay_s: _,
        payload_format,
        message_expiry_s,
        content_type,
        response_topic,
        correlation_data,
        user_properties,
    } = will.properties.clone();
    Publish {
        dup: false,
        qos: will.qos,
        retain: will.retain,
        topic: Some(will.topic.clone()),
        packet_id: None,
        properties: PublishProperties {
            payload_format,
            message_expiry_s,
            topic_alias: None,
            response_topic,
            correlation_data,
            user_properties,
            subscription_identifiers: Vec::new(),
            content_type,
        },
        payload: will.payload.clone(),
    }
}

/// The will that was stored as `publish` with this delay.
fn stored_will(publish: Publish, delay_s: u32) -> Option<Will> {
    let properties = publish.properties;
    Some(Will {
        topic: publish.topic?,
        payload: publish.payload,
        qos: publish.qos,
        retain: publish.retain,
        properties: WillProperties {
            delay_s: Some(delay_s),
            payload_format: properties.payload_format,
            message_expiry_s: properties.message_expiry_s,
            content_type: properties.content_type,
            response_topic: properties.response_topic,
            correlation_data: properties.correlation_data,
            user_properties: properties.user_properties,
        },
    })
}
