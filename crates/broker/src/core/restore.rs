//! The broker after a restart, from what it had stored.
//!
//! Whoever was connected when it stopped counts as disconnected at the start: session expiry and
//! delayed wills run from then, and the wills of those without a session are due. A row that no
//! longer makes sense is logged and left out.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::num::NonZeroU16;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use device_api::DisconnectReason;
use model::CertificateId;
use mqtt::session::{InFlight, Inbound, InboundState, Outbound, OutboundState, Stage};
use mqtt::topic::parse_subscription;
use mqtt::{QoS, TopicLimits, Version};

use super::arena::Key;
use super::enforce::Cleared;
use super::message::{Entry, Ledger, Message, from_body};
use super::session::{Left, Owner, Session, Subscription, SubscriptionOptions};
use super::shared::Group;
use super::subscriptions::Subscriptions;
use super::{Core, Now, Timer};
use crate::store::{EntryRow, Op, RetainedRow, SessionRow, Stored, StoredSession};

impl Core {
    /// Takes in what was stored; to be called once, before anything else.
    pub(crate) fn restore(&mut self, now: Now, stored: Stored) {
        let last_message = stored.messages.keys().copied().max().unwrap_or(0);
        let last_entry = stored
            .entries
            .iter()
            .map(|row| row.entry)
            .max()
            .unwrap_or(0);
        let bytes_max = self.limits().queue_bytes_max;
        self.ledger = Ledger::new(bytes_max, last_message, last_entry);
        for row in stored.retained {
            self.restore_retained(row);
        }
        let mut ended = Vec::new();
        for session in stored.sessions {
            if let Some(key) = self.restore_session(now, session) {
                ended.push(key);
            }
        }
        for will in stored.wills {
            self.restore_will(will);
        }
        let mut messages = HashMap::new();
        for (id, message) in stored.messages {
            match from_body(&message.body) {
                Ok(publish) => {
                    let expires_at = message.expires_at;
                    let message = Ledger::message_with_id(id, publish, None, expires_at);
                    messages.extend(message.map(|message| (id, message)));
                }
                Err(error) => {
                    tracing::error!(message = id, %error, "a stored message is lost");
                    self.journal.write(Op::MessageEnd { id });
                }
            }
        }
        self.restore_entries(stored.entries, &messages);
        // Those that waited may be gone: a shared subscription lives as long as its members.
        for (id, message) in messages {
            if Rc::strong_count(&message) == 1 {
                self.journal.write(Op::MessageEnd { id });
            }
        }
        for key in ended {
            self.start_clocks(now, key);
        }
        self.settle(now);
    }

    fn restore_retained(&mut self, row: RetainedRow) {
        match from_body(&row.body) {
            Ok(publish) => {
                let message = self.ledger.message(publish, None, row.expires_at);
                if let Some(message) = message {
                    self.retained.put(message, row.modified_at);
                }
            }
            Err(error) => tracing::error!(%error, "a retained message is lost"),
        }
    }

    /// The session, with its subscriptions; its messages come later.
    fn restore_session(&mut self, now: Now, stored: StoredSession) -> Option<Key<Session>> {
        let row = stored.row;
        let client_id: Arc<str> = row.client_id.as_str().into();
        let Some(session) = self.session_of_row(now, &row, &stored.inbound) else {
            tracing::error!(client.id = %client_id, "a stored session is lost");
            let client_id = row.client_id;
            self.journal.write(Op::SessionEnd { client_id });
            return None;
        };
        let left_at = session.left.map_or(now.wall, |left| left.at);
        self.presences.restore(&client_id, row.presence, left_at);
        let key = self.sessions.insert(session);
        self.clients.insert(Arc::clone(&client_id), key);
        self.stored_sessions += 1;
        for subscription in stored.subscriptions {
            let text: Arc<str> = subscription.filter.as_str().into();
            // Limits may have been lowered since; what was granted stays.
            match parse_subscription(&text, &TopicLimits::STANDARD) {
                Ok(filter) => {
                    let options = SubscriptionOptions::of_row(&subscription);
                    self.resubscribe(key, &text, Subscription { filter, options });
                }
                Err(error) => {
                    tracing::error!(client.id = %client_id, %error, "a subscription is lost");
                }
            }
        }
        Some(key)
    }

    /// As [`Core::subscribe`], of what is stored already; judged again when the client resumes.
    fn resubscribe(&mut self, key: Key<Session>, text: &Arc<str>, subscription: Subscription) {
        let stored = self
            .sessions
            .get_mut(key)
            .map(|session| std::mem::replace(&mut session.stored, false));
        self.subscribe(key, text, subscription, Cleared::for_platform());
        if let (Some(stored), Some(session)) = (stored, self.sessions.get_mut(key)) {
            session.stored = stored;
        }
    }

    fn session_of_row(&self, now: Now, row: &SessionRow, inbound: &[u16]) -> Option<Session> {
        let (receive_maximum, aliases) = self.settings.limits.inbound();
        let received = inbound.iter().copied().filter_map(NonZeroU16::new);
        let received = InboundState {
            received: received.collect(),
        };
        let reason = row.disconnect_reason.and_then(DisconnectReason::parse);
        Some(Session {
            client_id: row.client_id.as_str().into(),
            owner: Owner::parse(&row.owner)?,
            principal: CertificateId::parse(&row.principal).ok()?,
            thing: row.thing.as_deref().map(Into::into),
            expiry_s: row.expiry_s,
            stored: true,
            version: if row.version == Version::V5.level() {
                Version::V5
            } else {
                Version::V311
            },
            keep_alive_s: row.keep_alive_s,
            presence: row.presence,
            connected_at: row.connected_at,
            left: Some(Left {
                at: row.disconnected_at.unwrap_or(now.wall),
                ends: now.instant,
                reason: reason.unwrap_or(DisconnectReason::ServerError),
            }),
            connection: None,
            subscriptions: Subscriptions::default(),
            groups: Vec::new(),
            queue: VecDeque::new(),
            outbound: Outbound::new(NonZeroU16::MIN),
            released: BTreeMap::new(),
            inbound: Inbound::from_parts(received, receive_maximum, aliases),
            held: 0,
            will: None,
        })
    }

    fn restore_entries(&mut self, rows: Vec<EntryRow>, messages: &HashMap<u64, Rc<Message>>) {
        let mut in_flight: HashMap<Key<Session>, Vec<InFlight<Entry>>> = HashMap::new();
        for row in rows {
            let message = messages.get(&row.message);
            let (Some(message), Some(holder)) = (message, self.holder(&row.holder)) else {
                self.journal.write(Op::EntryEnd { entry: row.entry });
                continue;
            };
            let group = match holder {
                Holder::Session(_) => None,
                Holder::Group(group) => Some(group),
            };
            let entry = self.ledger.restored(&row, message, group);
            match holder {
                Holder::Group(group) => {
                    if let Some(group) = self.groups.get_mut(group) {
                        group.queue.push_back(entry);
                    }
                }
                Holder::Session(key) => {
                    let Some(session) = self.sessions.get_mut(key) else {
                        continue;
                    };
                    let packet_id = row.packet_id.and_then(NonZeroU16::new);
                    match packet_id {
                        None => session.queue.push_back(entry),
                        Some(packet_id) => {
                            let stage = stage_of(session, packet_id, &row, entry);
                            let flights = in_flight.entry(key).or_default();
                            flights.push(InFlight { packet_id, stage });
                        }
                    }
                }
            }
        }
        for (key, in_flight) in in_flight {
            if let Some(session) = self.sessions.get_mut(key) {
                let last = in_flight
                    .last()
                    .map_or(NonZeroU16::MIN, |one| one.packet_id);
                let next_id = last.checked_add(1).unwrap_or(NonZeroU16::MIN);
                let state = OutboundState { next_id, in_flight };
                session.outbound = Outbound::from_parts(state, NonZeroU16::MIN);
            }
        }
    }

    fn holder(&self, text: &str) -> Option<Holder> {
        if let Some(group) = self.groups_by_text.get(text) {
            return Some(Holder::Group(*group));
        }
        self.clients.get(text).map(|key| Holder::Session(*key))
    }

    /// Expiry and will of a session that was restored.
    fn start_clocks(&mut self, now: Now, key: Key<Session>) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let gone = session
            .left
            .map_or(Duration::ZERO, |left| now.wall.since(left.at));
        let expiry = Duration::from_secs(u64::from(session.expiry_s));
        if expiry <= gone {
            self.end_session(now, key);
            return;
        }
        let ends = now.instant + (expiry - gone);
        if let Some(left) = &mut session.left {
            left.ends = ends;
        }
        if let Some(last) = &mut session.will {
            let delay = Duration::from_secs(u64::from(last.delay_s()));
            let due = now.instant + delay.saturating_sub(gone);
            last.due = Some(due);
            self.wake_at(due, Timer::Will(key));
        }
        self.wake_at(ends, Timer::SessionExpiry(key));
        self.store_session(key);
    }
}

/// Who waits for a stored entry.
enum Holder {
    Session(Key<Session>),
    Group(Key<Group>),
}

fn stage_of(
    session: &mut Session,
    packet_id: NonZeroU16,
    row: &EntryRow,
    entry: Entry,
) -> Stage<Entry> {
    if row.released {
        session.released.insert(packet_id, entry);
        return Stage::AwaitingPubComp;
    }
    match entry.qos {
        QoS::ExactlyOnce => Stage::AwaitingPubRec(entry),
        QoS::AtMostOnce | QoS::AtLeastOnce => Stage::AwaitingPubAck(entry),
    }
}
