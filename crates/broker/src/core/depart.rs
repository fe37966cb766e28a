//! Connections and sessions end: the last packet, the events, what is left behind.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use device_api::DisconnectReason;
use mqtt::packet::{Disconnect, DisconnectProperties};
use mqtt::session::{InFlight, Outbound, OutboundState, Stage};
use mqtt::{Packet, QoS, Version};

use super::arena::Key;
use super::connection::{Connection, Peer, Serving, State};
use super::message::Entry;
use super::session::{Left, Session};
use super::{Core, Effect, End, Now, Target, Timer};
use crate::store::{HistoryRow, Op};
use mqtt::topic::SubscriptionFilter;

impl Core {
    /// A connection is over, now.
    pub(super) fn depart(&mut self, now: Now, key: Key<Connection>, end: &End) {
        let Some(mut connection) = self.connections.remove(key) else {
            return;
        };
        self.forget_principal(&connection, key);
        self.negotiated.end(connection.peer.negotiated);
        self.outputs.forget(&mut connection);
        if connection.gated_bytes > 0 {
            self.forget_deliveries(key);
        }
        let welcomed = connection.serving().is_some_and(|one| one.welcomed);
        if welcomed
            && connection.version() == Some(Version::V5)
            && let Some(code) = end.code
        {
            // spec aws-iot [MQ-85]
            let properties = DisconnectProperties {
                reason_string: end.text.clone(),
                ..DisconnectProperties::default()
            };
            connection.send(&Packet::Disconnect(Disconnect {
                reason: code,
                properties,
            }));
        }
        if connection.traced {
            self.trace_departed(now, key, &connection, end);
        }
        let Connection {
            peer,
            state,
            output,
            opened_at,
            ..
        } = connection;
        tracing::info!(
            principal = %peer.principal.certificate,
            address = %peer.address,
            reason = end.reason.as_str(),
            detail = end.text.as_deref().unwrap_or_default(),
            "connection ended"
        );
        self.effects.push(Effect::Close {
            connection: key,
            output,
        });
        match state {
            State::Serving(serving) => self.leave(now, key, &peer, &serving, end),
            // The history has it already.
            State::Refused => (),
            State::Greeting => {
                let row = history_row(&peer, None, None, opened_at);
                self.journal.write(Op::History(Box::new(HistoryRow {
                    disconnected_at: Some(now.wall),
                    reason: Some(end.reason.as_str().to_owned()),
                    ..row
                })));
            }
        }
    }

    fn forget_principal(&mut self, connection: &Connection, key: Key<Connection>) {
        let certificate = &connection.peer.principal.certificate;
        if let Some(connections) = self.by_principal.get_mut(certificate) {
            connections.remove(&key);
            if connections.is_empty() {
                self.by_principal.remove(certificate);
            }
        }
    }

    /// What a served client leaves behind.
    fn leave(
        &mut self,
        now: Now,
        connection: Key<Connection>,
        peer: &Peer,
        serving: &Serving,
        end: &End,
    ) {
        let key = serving.session;
        self.journal.write(Op::HistoryEnd {
            id: peer.session_identifier.clone(),
            at: now.wall,
            reason: end.reason.as_str(),
        });
        self.presences
            .left(&serving.client_id, serving.presence, now.wall);
        let thing = exclusive_thing(serving);
        self.report_disconnected(
            now,
            peer,
            &serving.client_id,
            thing.as_deref(),
            serving.presence,
            end.reason,
        );
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        if session.connection != Some(connection) {
            return;
        }
        session.connection = None;
        session.held = 0;
        session.left = Some(Left {
            at: now.wall,
            ends: now.instant + Duration::from_secs(u64::from(session.expiry_s)),
            reason: end.reason,
        });
        // Who was not told that it is connected was promised nothing.
        if !end.sends_will || !serving.welcomed {
            self.drop_will(key);
        }
        self.release_on_leave(now, key);
        self.schedule_will(now, key);
        self.keep_or_end(now, key);
    }

    /// Direct messages die with the connection; what came through a shared subscription goes to
    /// another member.
    fn release_on_leave(&mut self, now: Now, key: Key<Session>) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let ends = session.expiry_s == 0;
        let leaves = |entry: &Entry| entry.confirm.is_some() || entry.group.is_some();
        let OutboundState { next_id, in_flight } = take_outbound(session);
        let mut kept = Vec::with_capacity(in_flight.len());
        let mut gone = Vec::new();
        for InFlight { packet_id, stage } in in_flight {
            match stage {
                Stage::AwaitingPubAck(entry) if leaves(&entry) => gone.push(entry),
                // spec mqtt5 [MQTT-4.8.2-4], [MQTT-4.8.2-5]: QoS 2 is completed with the same
                // member, or with nobody.
                Stage::AwaitingPubRec(entry) if entry.confirm.is_some() => gone.push(entry),
                stage => kept.push(InFlight { packet_id, stage }),
            }
        }
        let state = OutboundState {
            next_id,
            in_flight: kept,
        };
        session.outbound = Outbound::from_parts(state, std::num::NonZeroU16::MIN);
        let queue = std::mem::take(&mut session.queue);
        let (waiting, own): (VecDeque<Entry>, VecDeque<Entry>) =
            queue.into_iter().partition(leaves);
        session.queue = own;
        let mut shared = Vec::new();
        for entry in gone.into_iter().chain(waiting) {
            if entry.group.is_some() {
                shared.push(entry);
            } else {
                self.finish(entry, false);
            }
        }
        if ends {
            // Leaves its groups first, so that nothing comes back to it.
            self.leave_groups(key);
        }
        self.give_back(now, shared, key);
    }

    fn leave_groups(&mut self, key: Key<Session>) {
        let session = self.sessions.get(key);
        let groups = session.map(|session| session.groups.clone());
        for group in groups.unwrap_or_default() {
            let text = self.groups.get(group).map(|group| group.text.clone());
            if let Some(text) = text {
                self.leave_group(key, &text);
            }
        }
    }

    /// After a disconnect: the session ends, or its clock starts.
    // spec aws-iot [MQ-21]
    fn keep_or_end(&mut self, now: Now, key: Key<Session>) {
        let Some(session) = self.sessions.get(key) else {
            return;
        };
        if session.expiry_s == 0 {
            self.end_session(now, key);
            return;
        }
        if let Some(left) = session.left {
            self.wake_at(left.ends, Timer::SessionExpiry(key));
        }
        self.store_session(key);
    }

    pub(super) fn store_session(&mut self, key: Key<Session>) {
        if let Some(session) = self.sessions.get(key)
            && session.stored
        {
            self.journal.write(Op::Session(Box::new(session.row())));
        }
    }

    pub(super) fn expire_session(&mut self, now: Now, key: Key<Session>) {
        let Some(session) = self.sessions.get(key) else {
            return;
        };
        let Some(left) = session.left.filter(|_| session.connection.is_none()) else {
            return;
        };
        // Otherwise it was resumed and left again since, and has a later timer.
        if left.ends <= now.instant {
            self.end_session(now, key);
        }
    }

    /// Ends a session that has no connection: its subscriptions, what waits for it, its row.
    pub(super) fn end_session(&mut self, now: Now, key: Key<Session>) {
        // spec mqtt5 [MQTT-3.1.3-9]: a delayed will is due when the session ends.
        self.publish_will(now, key);
        self.leave_groups(key);
        let Some(mut session) = self.sessions.remove(key) else {
            return;
        };
        self.clients.remove(&session.client_id);
        let subscriptions = session.subscriptions.len();
        self.subscription_count = self.subscription_count.saturating_sub(subscriptions);
        for subscription in session.subscriptions.values() {
            if let SubscriptionFilter::Own(filter) = &subscription.filter {
                self.routes.remove(filter, &Target::Session(key));
            }
        }
        let in_flight = take_outbound(&mut session).in_flight.into_iter();
        let in_flight = in_flight.filter_map(|one| match one.stage {
            Stage::AwaitingPubAck(entry) | Stage::AwaitingPubRec(entry) => Some(entry),
            Stage::AwaitingPubComp => None,
        });
        let mut shared = Vec::new();
        for entry in in_flight
            .chain(session.queue)
            .chain(session.released.into_values())
        {
            if entry.group.is_some() && entry.qos != QoS::ExactlyOnce {
                shared.push(entry);
            } else {
                self.finish(entry, false);
            }
        }
        self.give_back(now, shared, key);
        if session.stored {
            self.stored_sessions = self.stored_sessions.saturating_sub(1);
            let client_id = session.client_id.as_ref().to_owned();
            self.journal.write(Op::SessionEnd { client_id });
        }
    }
}

fn take_outbound(session: &mut Session) -> OutboundState<Entry> {
    let empty = Outbound::new(std::num::NonZeroU16::MIN);
    std::mem::replace(&mut session.outbound, empty).into_parts()
}

/// The name that presence events carry.
// spec aws-iot [3.2]: only of an exclusive attachment.
pub(super) fn exclusive_thing(serving: &Serving) -> Option<Rc<str>> {
    let thing = serving.access.thing().filter(|thing| thing.exclusive);
    thing.map(|thing| thing.name.as_str().into())
}

/// A connection that begins.
pub(super) fn history_row(
    peer: &Peer,
    client_id: Option<&str>,
    thing: Option<&str>,
    connected_at: model::Timestamp,
) -> HistoryRow {
    HistoryRow {
        id: peer.session_identifier.clone(),
        principal: peer.principal.certificate.as_str().to_owned(),
        client_id: client_id.map(str::to_owned),
        thing: thing.map(str::to_owned),
        address: peer.address.ip().to_string(),
        tls_version: peer.negotiated.version.as_str().to_owned(),
        tls_group: peer.negotiated.group.as_str().to_owned(),
        connected_at,
        disconnected_at: None,
        reason: None,
    }
}

/// Why a session's last connection ended, for the API.
pub(super) fn left_reason(session: &Session) -> Option<DisconnectReason> {
    session.left.map(|left| left.reason)
}
