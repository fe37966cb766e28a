//! CONNECT: who may come in, and what those are told who may not.
//!
//! Nothing is changed before everything was judged: a refused CONNECT leaves the session it named,
//! and whoever is connected with it, as they were.

use std::sync::Arc;

use device_api::{DisconnectReason, Reserved};
use model::{CertificateId, ClientId};
use mqtt::packet::{ConnAck, ConnAckProperties, Connect, Will};
use mqtt::{Packet, QoS, ReasonCode, Receiver, Version};
use policy::{DeviceAction, Resource};

use super::arena::Key;
use super::connection::{Connection, Peer, State};
use super::depart::history_row;
use super::enforce::{Access, Cleared, topic_hash};
use super::propagate::{UserProperties, propagated};
use super::serve::fits;
use super::session::Owner;
use super::wills::LastWill;
use super::{Budget, Core, Doubt, Effect, End, Now};
use crate::config::ConnectDenied;
use crate::store::{HistoryRow, Op};

/// Client ids whose rate is measured at once; beyond that strangers pass unmeasured, as the bounds
/// on connections hold anyway.
pub(super) const CLIENTS_MAX: usize = 65_536;

/// Why a CONNECT is refused.
struct Refusal {
    code: ReasonCode,
    text: Option<String>,
    /// What the history says.
    why: &'static str,
    /// Whether a `connect_failed` event tells of it.
    reported: bool,
    /// Denied by policy: what 3.1.1 sees is a setting.
    by_policy: bool,
}

impl Refusal {
    fn new(code: ReasonCode, why: &'static str) -> Self {
        Self {
            code,
            text: None,
            why,
            reported: false,
            by_policy: false,
        }
    }
}

/// A CONNECT that was judged good.
pub(super) struct Admitted {
    pub(super) client_id: Arc<str>,
    /// Whether we chose the client id.
    pub(super) assigned: bool,
    pub(super) access: Access,
    pub(super) propagated: UserProperties,
    pub(super) owner: Owner,
    pub(super) expiry_s: u32,
    pub(super) keep_alive_s: u16,
    pub(super) will: Option<Box<LastWill>>,
}

impl Core {
    pub(super) fn connect(&mut self, now: Now, key: Key<Connection>, connect: Connect) {
        let mut connect = connect;
        let Some(connection) = self.connections.get(key) else {
            return;
        };
        let peer = connection.peer.clone();
        let client_id = self.client_id(&connect, &peer);
        let named = client_id.as_ref().ok().map(|(id, _)| Arc::clone(id));
        let admitted = client_id
            .and_then(|(id, assigned)| self.admit(now, key, &peer, &mut connect, id, assigned));
        match admitted {
            Ok(admitted) => self.serve(now, key, peer, &connect, admitted),
            Err(refusal) => {
                self.refuse(now, key, &peer, &connect, named.as_deref(), refusal);
            }
        }
    }

    // spec aws-iot [MQ-10]; spec mqtt5 [MQTT-3.1.3-6]; spec mqtt311 [MQTT-3.1.3-8]
    // spec mqtt5 [MQTT-3.1.3-5], [MQTT-3.1.3-7], [MQTT-3.1.3-8]
    // spec mqtt311 [MQTT-3.1.3-5], [MQTT-3.1.3-6], [MQTT-3.1.3-9]
    fn client_id(&self, connect: &Connect, peer: &Peer) -> Result<(Arc<str>, bool), Refusal> {
        let asked = connect.client_id.as_str();
        if !asked.is_empty() {
            return match ClientId::parse(asked) {
                Ok(id) => Ok((id.as_str().into(), false)),
                Err(error) => Err(Refusal {
                    text: Some(error.to_string()),
                    ..Refusal::new(ReasonCode::ClientIdentifierNotValid, "CLIENT_ID_NOT_VALID")
                }),
            };
        }
        if connect.version == Version::V311 && !connect.clean_start {
            let code = ReasonCode::ClientIdentifierNotValid;
            return Err(Refusal::new(code, "CLIENT_ID_NOT_VALID"));
        }
        Ok((peer.session_identifier.as_str().into(), true))
    }

    /// Judges everything; changes nothing but counts.
    fn admit(
        &mut self,
        now: Now,
        key: Key<Connection>,
        peer: &Peer,
        connect: &mut Connect,
        client_id: Arc<str>,
        assigned: bool,
    ) -> Result<Admitted, Refusal> {
        if connect.properties.authentication_method.is_some() {
            // spec mqtt5 [MQTT-4.12.0-1], [MQTT-4.12.0-4]
            // spec aws-iot [MQ-2]: there is no enhanced authenticator.
            let code = ReasonCode::BadAuthenticationMethod;
            return Err(Refusal::new(code, "AUTHENTICATION_METHOD_NOT_SUPPORTED"));
        }
        self.check_connect_rate(now, &client_id)?;
        let will = connect.will.take();
        if let Some(will) = &will {
            self.check_will(will)?;
        }
        let expiry_s = self.session_expiry(connect);
        let Some(connection) = self.connections.get(key) else {
            return Err(Refusal::new(ReasonCode::UnspecifiedError, "GONE"));
        };
        let described = policy::Connection {
            client_id: Some(client_id.as_ref().to_owned()),
            source_ip: peer.address.ip(),
            persistent: is_persistent(connect, expiry_s),
            last_will_topic: will.as_ref().map(|will| will.topic.as_str().to_owned()),
            has_will: will.is_some(),
            domain_name: peer.server_name.clone(),
            secure_transport: true,
        };
        let known = Arc::clone(&connection.known);
        let facts = Arc::clone(&known.facts);
        let mut access = Access::new(facts, described.clone(), &self.settings.grounds);
        let _cleared = self.judge_connect(now, peer, &access, &client_id)?;
        let propagated = propagated(&known, &access);
        let will = match will {
            None => None,
            Some(will) => {
                let cleared = self.judge_will(now, peer, &mut access, &will)?;
                Some(Box::new(LastWill::new(
                    &peer.session_identifier,
                    peer.principal.certificate.clone(),
                    described,
                    (will, cleared),
                    propagated.clone(),
                )))
            }
        };
        let owner = match access.thing() {
            Some(thing) => Owner::Thing(thing.name.as_str().into()),
            None => Owner::Principal(peer.principal.certificate.clone()),
        };
        self.check_owner(now, &client_id, &owner, &peer.principal.certificate)?;
        self.check_session_count(&client_id, expiry_s)?;
        let admitted = Admitted {
            keep_alive_s: self.limits().keep_alive.effective(connect.keep_alive_s),
            client_id,
            assigned,
            access,
            propagated,
            owner,
            expiry_s,
            will,
        };
        // spec mqtt5 [MQTT-3.1.2-24]: whom we could not tell the terms is not let in.
        if !fits(&self.connack(connect, &admitted, false), connect) {
            let code = ReasonCode::PacketTooLarge;
            return Err(Refusal::new(code, "CONNACK_TOO_LARGE"));
        }
        Ok(admitted)
    }

    // spec aws-iot [MQ-12]
    fn check_connect_rate(&mut self, now: Now, client_id: &Arc<str>) -> Result<(), Refusal> {
        let Some(rate) = self.limits().connects_per_client_s else {
            return Ok(());
        };
        if self.connect_rates.take(client_id, rate, now.instant) {
            return Ok(());
        }
        let who = format_args!("`{client_id}`");
        self.reached.count(Budget::ConnectsPerClient, &who);
        Err(Refusal::new(ReasonCode::QuotaExceeded, "CONNECT_RATE"))
    }

    // spec aws-iot [MQ-3], [MQ-53]
    // spec mqtt5 [MQTT-3.2.2-12]
    fn check_will(&self, will: &Will) -> Result<(), Refusal> {
        if will.qos == QoS::ExactlyOnce && !self.limits().qos2 {
            return Err(Refusal::new(
                ReasonCode::QoSNotSupported,
                "WILL_QOS_NOT_SUPPORTED",
            ));
        }
        if will.payload.len() > self.limits().payload_bytes_max {
            return Err(Refusal::new(ReasonCode::PacketTooLarge, "WILL_TOO_LARGE"));
        }
        match Reserved::classify(will.topic.as_str()) {
            Some(reserved) if !reserved.publish_allowed || will.retain => Err(Refusal::new(
                ReasonCode::TopicNameInvalid,
                "WILL_TOPIC_NOT_VALID",
            )),
            _ => Ok(()),
        }
    }

    // spec aws-iot [MQ-20]
    fn session_expiry(&self, connect: &Connect) -> u32 {
        let limits = self.limits();
        match connect.version {
            Version::V311 if connect.clean_start => 0,
            Version::V311 => limits.session_expiry_v3_s,
            Version::V5 => {
                let asked = connect.properties.session_expiry_s.unwrap_or(0);
                asked.min(limits.session_expiry_max_s)
            }
        }
    }

    // spec aws-iot [PL-10], [RT-12]
    fn judge_connect(
        &mut self,
        now: Now,
        peer: &Peer,
        access: &Access,
        client_id: &str,
    ) -> Result<Cleared, Refusal> {
        let (action, resource) = (DeviceAction::Connect, Resource::Client(client_id));
        if let Some(cleared) = access.clear(action, resource, now.wall) {
            return Ok(cleared);
        }
        Err(self.deny(now, peer, access, action, resource))
    }

    // spec aws-iot [MQ-54], [MQ-60]
    fn judge_will(
        &mut self,
        now: Now,
        peer: &Peer,
        access: &mut Access,
        will: &Will,
    ) -> Result<Cleared, Refusal> {
        let resource = Resource::Topic(will.topic.as_str());
        match clear_will(access, will, now) {
            Ok(cleared) => Ok(cleared),
            Err(action) => Err(self.deny(now, peer, access, action, resource)),
        }
    }

    fn deny(
        &mut self,
        now: Now,
        peer: &Peer,
        access: &Access,
        action: DeviceAction,
        resource: Resource<'_>,
    ) -> Refusal {
        self.counters.denials += 1;
        let book = &self.settings.denials;
        let refused = access.refuse(book, &peer.principal, action, resource, now.wall);
        Refusal {
            text: Some(refused.reason_string()),
            reported: true,
            by_policy: true,
            ..Refusal::new(
                ReasonCode::NotAuthorized,
                DisconnectReason::AuthError.as_str(),
            )
        }
    }

    /// Nobody takes the client id of another who is connected or whose session waits. A certificate
    /// whose thing has changed is not another: it may have its client id back, though not its session.
    // spec aws-iot [MQ-11]
    fn check_owner(
        &mut self,
        now: Now,
        client_id: &str,
        owner: &Owner,
        certificate: &CertificateId,
    ) -> Result<(), Refusal> {
        let known = self
            .clients
            .get(client_id)
            .and_then(|key| self.sessions.get(*key));
        let another = known.filter(|known| {
            known.owner != *owner && known.principal != *certificate && !known.is_over(now.instant)
        });
        let Some(another) = another.filter(|_| self.limits().refuse_other_owner) else {
            return Ok(());
        };
        let live = another.connection.is_some();
        if let (false, Owner::Principal(holder)) = (live, &another.owner) {
            self.effects.push(Effect::Doubted(Doubt {
                client_id: Arc::clone(&another.client_id),
                holder: holder.clone(),
            }));
        }
        self.counters.other_owner_refused += 1;
        tracing::warn!(
            client.id = client_id,
            asked_by = %owner,
            live,
            "a client id of another owner was asked for"
        );
        Err(Refusal {
            text: Some("the client id belongs to another owner".to_owned()),
            reported: true,
            ..Refusal::new(
                ReasonCode::ClientIdentifierNotValid,
                "CLIENT_ID_OF_ANOTHER_OWNER",
            )
        })
    }

    fn check_session_count(&mut self, client_id: &str, expiry_s: u32) -> Result<(), Refusal> {
        let known = self
            .clients
            .get(client_id)
            .and_then(|key| self.sessions.get(*key));
        let adds_one = expiry_s > 0 && !known.is_some_and(|known| known.stored);
        if adds_one && self.stored_sessions >= self.limits().sessions_max {
            let who = format_args!("`{client_id}`");
            self.reached.count(Budget::Sessions, &who);
            return Err(Refusal::new(ReasonCode::QuotaExceeded, "TOO_MANY_SESSIONS"));
        }
        Ok(())
    }

    // spec mqtt5 [MQTT-3.1.4-2], [MQTT-3.1.4-6], [MQTT-3.2.2-7], [MQTT-4.13.2-1]
    // spec mqtt311 [MQTT-3.1.4-5], [MQTT-3.2.2-5], [MQTT-3.2.2-6]
    fn refuse(
        &mut self,
        now: Now,
        key: Key<Connection>,
        peer: &Peer,
        connect: &Connect,
        client_id: Option<&str>,
        refusal: Refusal,
    ) {
        self.counters.connects_refused += 1;
        tracing::info!(
            principal = %peer.principal.certificate,
            client.id = client_id.unwrap_or_default(),
            address = %peer.address,
            reason_code = refusal.code.byte(),
            why = refusal.why,
            "connection refused"
        );
        if let (true, Some(client_id)) = (refusal.reported, client_id) {
            self.report_connect_failed(now, peer, client_id);
        }
        let row = history_row(peer, client_id, None, now.wall);
        self.journal.write(Op::History(Box::new(HistoryRow {
            disconnected_at: Some(now.wall),
            reason: Some(refusal.why.to_owned()),
            ..row
        })));
        // spec aws-iot [MQ-17]
        let silent = connect.version == Version::V311
            && refusal.by_policy
            && self.limits().v3_connect_denied == ConnectDenied::Close;
        let speaks =
            !silent && (connect.version == Version::V5 || refusal.code.connack_v311().is_some());
        if let Some(connection) = self.connections.get_mut(key) {
            connection.state = State::Refused;
            if speaks {
                let packet = self::refusal(refusal.code, refusal.text);
                connection.send_to(&packet, &Receiver::of_connect(connect));
            }
        }
        self.end(key, End::silent(DisconnectReason::AuthError));
    }
}

/// A CONNACK that refuses.
pub(super) fn refusal(code: ReasonCode, text: Option<String>) -> Packet {
    Packet::ConnAck(Box::new(ConnAck {
        session_present: false,
        reason: code,
        properties: ConnAckProperties {
            reason_string: text,
            ..ConnAckProperties::default()
        },
    }))
}

/// Whether the policy lets the will be published, or which action it does not allow.
pub(super) fn clear_will(
    access: &mut Access,
    will: &Will,
    now: Now,
) -> Result<Cleared, DeviceAction> {
    let hash = topic_hash(&will.topic);
    let mut may = |action| {
        access
            .clear_topic(action, &will.topic, hash, now.wall)
            .ok_or(action)
    };
    let publish = may(DeviceAction::Publish)?;
    if will.retain {
        return may(DeviceAction::RetainPublish);
    }
    Ok(publish)
}

// spec aws-iot [PL-44]
fn is_persistent(connect: &Connect, expiry_s: u32) -> bool {
    match connect.version {
        Version::V311 => !connect.clean_start,
        Version::V5 => expiry_s > 0 || !connect.clean_start,
    }
}
