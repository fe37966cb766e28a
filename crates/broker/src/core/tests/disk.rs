//! A disk that is a few maps: what the tables would hold after each op.

use std::collections::BTreeMap;

use crate::store::{
    EntryRow, Op, RetainedRow, SessionRow, Stored, StoredMessage, StoredSession, SubscriptionRow,
    WillRow,
};

#[derive(Debug, Default)]
pub(crate) struct Disk {
    sessions: BTreeMap<String, SessionRow>,
    subscriptions: BTreeMap<(String, String), SubscriptionRow>,
    pub(crate) wills: BTreeMap<String, WillRow>,
    inbound: BTreeMap<(String, u16), ()>,
    messages: BTreeMap<u64, (bytes::Bytes, Option<model::Timestamp>)>,
    pub(crate) entries: BTreeMap<u64, EntryRow>,
    retained: BTreeMap<String, RetainedRow>,
    pub(crate) history: BTreeMap<String, (Option<String>, Option<String>)>,
}

impl Disk {
    pub(crate) fn apply(&mut self, ops: &[Op]) {
        for op in ops {
            self.apply_one(op.clone());
        }
    }

    fn apply_one(&mut self, op: Op) {
        match op {
            Op::Session(row) => {
                self.sessions.insert(row.client_id.clone(), *row);
            }
            Op::SessionEnd { client_id } => {
                self.sessions.remove(&client_id);
                self.subscriptions
                    .retain(|(client, _), _| *client != client_id);
                self.inbound.retain(|(client, _), ()| *client != client_id);
            }
            Op::Subscription {
                client_id,
                subscription,
            } => {
                let filter = subscription.filter.clone();
                self.subscriptions.insert((client_id, filter), subscription);
            }
            Op::SubscriptionEnd { client_id, filter } => {
                self.subscriptions.remove(&(client_id, filter));
            }
            Op::Will(row) => {
                self.wills.insert(row.id.clone(), *row);
            }
            Op::WillEnd { id } => {
                assert!(self.wills.remove(&id).is_some(), "the will was stored");
            }
            Op::Inbound {
                client_id,
                packet_id,
            } => {
                self.inbound.insert((client_id, packet_id), ());
            }
            Op::InboundEnd {
                client_id,
                packet_id,
            } => {
                self.inbound.remove(&(client_id, packet_id));
            }
            Op::Message { .. }
            | Op::MessageEnd { .. }
            | Op::Entry(_)
            | Op::EntrySent { .. }
            | Op::EntryEnd { .. } => self.apply_waiting(op),
            Op::Retained(row) => {
                self.retained.insert(row.topic.clone(), row);
            }
            Op::RetainedEnd { topic } => {
                self.retained.remove(&topic);
            }
            Op::History(row) => {
                self.history.insert(row.id, (row.client_id, row.reason));
            }
            Op::HistoryEnd { id, reason, .. } => {
                let row = self
                    .history
                    .get_mut(&id)
                    .expect("the connection was stored");
                row.1 = Some(reason.to_owned());
            }
        }
    }

    fn apply_waiting(&mut self, op: Op) {
        match op {
            Op::Message {
                id,
                body,
                expires_at,
            } => {
                let old = self.messages.insert(id, (body, expires_at));
                assert!(old.is_none(), "message {id} was stored twice");
            }
            Op::MessageEnd { id } => {
                assert!(
                    self.messages.remove(&id).is_some(),
                    "message {id} was not stored"
                );
            }
            Op::Entry(row) => {
                assert!(
                    self.messages.contains_key(&row.message),
                    "an entry without message"
                );
                let old = self.entries.insert(row.entry, *row);
                assert!(old.is_none(), "an entry was stored twice");
            }
            Op::EntrySent {
                entry,
                packet_id,
                released,
            } => {
                let row = self.entries.get_mut(&entry).expect("the entry was stored");
                row.packet_id = Some(packet_id);
                row.released = released;
            }
            Op::EntryEnd { entry } => {
                assert!(
                    self.entries.remove(&entry).is_some(),
                    "the entry was not stored"
                );
            }
            other => panic!("{other:?} is about nobody who waits"),
        }
    }

    /// No message without somebody who waits for it, and the other way round.
    pub(crate) fn check(&self) {
        for row in self.entries.values() {
            assert!(
                self.messages.contains_key(&row.message),
                "{row:?} has no message"
            );
        }
        for id in self.messages.keys() {
            let waited_for = self.entries.values().any(|row| row.message == *id);
            assert!(waited_for, "nobody waits for message {id}");
        }
        for (client, _) in self.subscriptions.keys() {
            assert!(
                self.sessions.contains_key(client),
                "{client} has no session"
            );
        }
    }

    pub(crate) fn load(&self) -> Stored {
        let of = |client: &str| StoredSession {
            row: self.sessions[client].clone(),
            subscriptions: self
                .subscriptions
                .iter()
                .filter(|((owner, _), _)| owner == client)
                .map(|(_, row)| row.clone())
                .collect(),
            inbound: self
                .inbound
                .keys()
                .filter(|(owner, _)| owner == client)
                .map(|(_, id)| *id)
                .collect(),
        };
        let messages = self.messages.iter().map(|(id, (body, expires_at))| {
            let (body, expires_at) = (body.clone(), *expires_at);
            (*id, StoredMessage { body, expires_at })
        });
        Stored {
            sessions: self.sessions.keys().map(|client| of(client)).collect(),
            wills: self.wills.values().cloned().collect(),
            messages: messages.collect(),
            entries: self.entries.values().cloned().collect(),
            retained: self.retained.values().cloned().collect(),
        }
    }
}
