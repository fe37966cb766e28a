//! A client whose CONNECT was judged good is taken in: its session, CONNACK, events, and what
//! waits for it.

use std::collections::{BTreeMap, VecDeque};
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;
use std::time::{Duration, Instant};

use device_api::DisconnectReason;
use mqtt::packet::{ConnAck, ConnAckProperties, Connect};
use mqtt::session::{Inbound, KeepAlive, Outbound, OutboundAliases};
use mqtt::{Packet, QoS, ReasonCode, Receiver};

use super::arena::Key;
use super::connect::Admitted;
use super::connection::{Connection, Peer, Serving, State};
use super::depart::{exclusive_thing, history_row};
use super::enforce::Access;
use super::rate::Bucket;
use super::session::{Left, Session};
use super::subscriptions::Subscriptions;
use super::{Core, EVERYTHING, End, Gated, Now, Timer};
use crate::store::Op;

/// A session with less than this left is on the disk as resumed before its client is told so: it
/// would be over after a crash. Otherwise the disk has had the time to follow.
const RESUME_MARGIN: Duration = Duration::from_secs(60);

impl Core {
    /// Takes the client in.
    pub(super) fn serve(
        &mut self,
        now: Now,
        key: Key<Connection>,
        peer: Peer,
        connect: &Connect,
        admitted: Admitted,
    ) {
        let promises = self.promises(now, &admitted, connect.clean_start);
        let resumed = self.take_over(now, &admitted, connect.clean_start);
        let window = self.window(connect);
        let (session, present) = match resumed {
            Some(session) => (session, true),
            None => (
                self.new_session(now, &peer, connect, &admitted, window),
                false,
            ),
        };
        let connack = self.connack(connect, &admitted, present);
        let Admitted {
            client_id,
            access,
            propagated,
            owner,
            expiry_s,
            keep_alive_s,
            will,
            ..
        } = admitted;
        let presence = self.presences.connected(&client_id, now.wall);
        let thing: Option<Arc<str>> = access.thing().map(|thing| thing.name.as_str().into());
        if let Some(found) = self.sessions.get_mut(session) {
            if expiry_s > 0 && !found.stored {
                found.stored = true;
                self.stored_sessions += 1;
            }
            found.principal = peer.principal.certificate.clone();
            found.owner = owner;
            found.thing = thing.clone();
            found.expiry_s = expiry_s;
            found.version = connect.version;
            found.keep_alive_s = keep_alive_s;
            found.presence = presence;
            found.connected_at = now.wall;
            found.left = None;
            found.held = u32::from(promises);
            found.connection = Some(key);
            found.outbound.reconnect(window);
            let (receive_maximum, aliases) = self.settings.limits.inbound();
            found.inbound.reconnect(receive_maximum, aliases);
        }
        self.set_will(session, will);
        self.store_session(session);
        let row = history_row(&peer, Some(&client_id), thing.as_deref(), now.wall);
        self.journal.write(Op::History(Box::new(row)));
        let serving = self.serving(now, session, connect, &client_id, access, keep_alive_s);
        let serving = Serving {
            presence,
            propagated,
            welcomed: !promises,
            ..serving
        };
        self.wake_for(key, serving.keep_alive.deadline());
        self.welcome(now, key, &peer, serving, connack);
        if present {
            self.recheck_subscriptions(now, key);
            self.drain(now, session);
        }
    }

    fn serving(
        &self,
        now: Now,
        session: Key<Session>,
        connect: &Connect,
        client_id: &Arc<str>,
        access: Access,
        keep_alive_s: u16,
    ) -> Serving {
        let full = |rate: Option<u32>| rate.map(|rate| Bucket::full(rate, now.instant));
        Serving {
            session,
            client_id: Arc::clone(client_id),
            receiver: Receiver::of_connect(connect),
            aliases: self.aliases(connect),
            welcomed: true,
            access,
            propagated: None,
            keep_alive: KeepAlive::new(keep_alive_s, now.instant),
            publishes: full(self.limits().publishes_per_s),
            publish_bytes: full(self.limits().publish_bytes_per_s),
            presence: 0,
        }
    }

    /// How the client's topics may be shortened.
    // spec aws-iot [MQ-80]: as many each way.
    fn aliases(&self, connect: &Connect) -> Option<Box<OutboundAliases>> {
        let theirs = connect.properties.topic_alias_maximum.unwrap_or(0);
        let (_, ours) = self.limits().inbound();
        let most = theirs.min(ours);
        (most > 0).then(|| Box::new(OutboundAliases::new(theirs, ours)))
    }

    /// Whether CONNACK says what a crash must not undo: a will is kept, an earlier session is over,
    /// or one goes on that the disk would let end sooner.
    // spec aws-iot [MQ-21], [MQ-25]; spec mqtt5 [MQTT-3.1.2-7]
    fn promises(&self, now: Now, admitted: &Admitted, clean_start: bool) -> bool {
        if admitted.will.is_some() {
            return true;
        }
        let known = self.clients.get(&admitted.client_id);
        let known = known.and_then(|key| self.sessions.get(*key));
        let Some(earlier) = known.filter(|known| known.stored) else {
            return false;
        };
        let ends_soon = |left: Left| left.ends < now.instant + RESUME_MARGIN;
        clean_start
            || earlier.owner != admitted.owner
            || earlier.will.is_some()
            || earlier.expiry_s < admitted.expiry_s
            || earlier.left.is_some_and(ends_soon)
    }

    /// CONNACK, and the word that the client is here.
    fn welcome(
        &mut self,
        now: Now,
        key: Key<Connection>,
        peer: &Peer,
        serving: Serving,
        connack: Packet,
    ) {
        let exclusive = exclusive_thing(&serving);
        let client_id = Arc::clone(&serving.client_id);
        let presence = serving.presence;
        let (session, welcomed) = (serving.session, serving.welcomed);
        tracing::info!(
            principal = %peer.principal.certificate,
            client.id = %client_id,
            thing = serving.access.thing().map_or("", |thing| thing.name.as_str()),
            address = %peer.address,
            "connected"
        );
        if let Some(connection) = self.connections.get_mut(key) {
            connection.state = State::Serving(Box::new(serving));
        }
        self.counters.connects += 1;
        if welcomed {
            self.send(key, &connack);
        } else {
            let gated = Gated::Welcome {
                session,
                connection: key,
                packet: connack,
            };
            self.gate(EVERYTHING, gated);
        }
        self.report_connected(now, peer, &client_id, exclusive.as_deref(), presence);
    }

    fn wake_for(&mut self, key: Key<Connection>, deadline: Option<Instant>) {
        if let Some(at) = deadline {
            self.wake_at(at, Timer::KeepAlive(key));
        }
    }

    /// Ends whoever is connected under the client id, and whatever session must not be resumed.
    /// What is left is resumed.
    // spec aws-iot [MQ-11], [MQ-25]; spec mqtt5 [MQTT-3.1.4-3]
    // spec mqtt5 [MQTT-3.1.2-4], [MQTT-3.1.2-5], [MQTT-3.1.2-6], [MQTT-3.1.4-4], [MQTT-3.1.3-2]
    // spec mqtt311 [MQTT-3.1.2-4], [MQTT-3.1.2-6], [MQTT-3.1.4-2], [MQTT-3.1.4-3], [MQTT-3.1.3-2]
    fn take_over(
        &mut self,
        now: Now,
        admitted: &Admitted,
        clean_start: bool,
    ) -> Option<Key<Session>> {
        let key = *self.clients.get(&admitted.client_id)?;
        if let Some(live) = self.sessions.get(key)?.connection {
            let reason = DisconnectReason::DuplicateClientId;
            self.depart(now, live, &End::new(reason, ReasonCode::SessionTakenOver));
        }
        let session = self.sessions.get(key)?;
        if clean_start || session.owner != admitted.owner {
            self.end_session(now, key);
            return None;
        }
        Some(key)
    }

    fn new_session(
        &mut self,
        now: Now,
        peer: &Peer,
        connect: &Connect,
        admitted: &Admitted,
        window: NonZeroU16,
    ) -> Key<Session> {
        let (receive_maximum, aliases) = self.settings.limits.inbound();
        let session = self.sessions.insert(Session {
            client_id: Arc::clone(&admitted.client_id),
            owner: admitted.owner.clone(),
            principal: peer.principal.certificate.clone(),
            thing: None,
            expiry_s: admitted.expiry_s,
            stored: false,
            version: connect.version,
            keep_alive_s: admitted.keep_alive_s,
            presence: 0,
            connected_at: now.wall,
            left: None,
            connection: None,
            subscriptions: Subscriptions::default(),
            groups: Vec::new(),
            queue: VecDeque::new(),
            outbound: Outbound::new(window),
            released: BTreeMap::new(),
            inbound: Inbound::new(receive_maximum, aliases),
            held: 0,
            will: None,
        });
        self.clients
            .insert(Arc::clone(&admitted.client_id), session);
        session
    }

    /// How many messages may be in flight to the client.
    // spec mqtt5 [MQTT-4.9.0-1]
    fn window(&self, connect: &Connect) -> NonZeroU16 {
        let ours = NonZeroU16::new(self.limits().inflight_max).unwrap_or(NonZeroU16::MIN);
        connect
            .properties
            .receive_maximum
            .map_or(ours, |theirs| theirs.min(ours))
    }

    /// The terms of the connection. A client that takes only small packets is not told of what is
    /// so by default.
    // spec mqtt5 [MQTT-3.1.2-24]
    pub(super) fn connack(
        &self,
        connect: &Connect,
        admitted: &Admitted,
        session_present: bool,
    ) -> Packet {
        let mut connack = self.whole_connack(connect, admitted, session_present);
        if !fits(&connack, connect)
            && let Packet::ConnAck(connack) = &mut connack
        {
            let properties = &mut connack.properties;
            for available in [
                &mut properties.retain_available,
                &mut properties.wildcard_subscription_available,
                &mut properties.subscription_identifiers_available,
                &mut properties.shared_subscription_available,
            ] {
                *available = available.filter(|available| !available);
            }
        }
        connack
    }

    // spec aws-iot [MQ-13], [MQ-14], [MQ-20]
    // spec mqtt5 [MQTT-3.1.4-5], [MQTT-3.2.2-2], [MQTT-3.2.2-3], [MQTT-3.2.2-9], [MQTT-3.2.2-16]
    // spec mqtt5 [MQTT-3.2.2-22], [MQTT-3.1.2-28], [MQTT-4.12.0-6]
    // spec mqtt311 [MQTT-3.1.4-4], [MQTT-3.2.2-1], [MQTT-3.2.2-2], [MQTT-3.2.2-3]
    fn whole_connack(
        &self,
        connect: &Connect,
        admitted: &Admitted,
        session_present: bool,
    ) -> Packet {
        let limits = self.limits();
        let aws = limits.profile == model::Profile::Aws;
        let asked_expiry = connect.properties.session_expiry_s.unwrap_or(0);
        let keep_alive_differs = admitted.keep_alive_s != connect.keep_alive_s;
        Packet::ConnAck(Box::new(ConnAck {
            session_present,
            reason: ReasonCode::Success,
            properties: ConnAckProperties {
                session_expiry_s: (asked_expiry != admitted.expiry_s).then_some(admitted.expiry_s),
                receive_maximum: NonZeroU16::new(limits.receive_maximum),
                maximum_qos: (!limits.qos2).then_some(QoS::AtLeastOnce),
                retain_available: Some(true),
                packet_bytes_max: NonZeroU32::new(limits.packet_bytes_max),
                assigned_client_id: admitted
                    .assigned
                    .then(|| admitted.client_id.as_ref().to_owned()),
                topic_alias_maximum: Some(limits.topic_alias_max),
                wildcard_subscription_available: Some(true),
                subscription_identifiers_available: Some(limits.subscription_identifiers),
                shared_subscription_available: Some(true),
                server_keep_alive_s: (aws || keep_alive_differs).then_some(admitted.keep_alive_s),
                ..ConnAckProperties::default()
            },
        }))
    }
}

/// Whether the client that sent `connect` takes a packet of this size.
pub(super) fn fits(packet: &Packet, connect: &Connect) -> bool {
    let receiver = Receiver::of_connect(connect);
    mqtt::encoded_len(packet, receiver.version).is_ok_and(|len| len <= receiver.packet_bytes_max)
}
