//! SUBSCRIBE and UNSUBSCRIBE: each filter judged on its own, retained messages sent.

use std::rc::Rc;
use std::sync::Arc;

use device_api::{DisconnectReason, Reserved, SubscriptionChange};
use mqtt::packet::{
    AckProperties, RetainHandling, SubAck, Subscribe, SubscriptionIdentifier, SubscriptionRequest,
    UnsubAck, Unsubscribe,
};
use mqtt::topic::{HashMatchesParent, SubscriptionFilter, TopicError, parse_subscription};
use mqtt::{Packet, QoS, ReasonCode, TopicFilter, Version};
use policy::{DeviceAction, Resource};

use super::arena::Key;
use super::connection::{Connection, Peer};
use super::enforce::Cleared;
use super::message::Terms;
use super::session::{Session, Subscription, SubscriptionOptions};
use super::{Budget, Core, End, Gated, Now, Target};
use crate::store::Op;

/// A filter that was granted.
struct Granted {
    text: Arc<str>,
    filter: SubscriptionFilter,
    options: SubscriptionOptions,
    /// Whether what is retained is sent.
    retained: bool,
}

/// A filter that was not.
enum Refusal {
    /// The others in the packet still count.
    Filter(ReasonCode, Option<String>),
    /// The connection ends.
    Connection(End),
}

impl From<ReasonCode> for Refusal {
    fn from(code: ReasonCode) -> Self {
        Self::Filter(code, None)
    }
}

impl Core {
    // spec mqtt5 [MQTT-3.8.4-1], [MQTT-3.8.4-2], [MQTT-3.8.4-5], [MQTT-3.8.4-6], [MQTT-3.8.4-7]
    // spec mqtt5 [MQTT-3.9.3-1]; spec mqtt311 [MQTT-3.8.4-1], [MQTT-3.8.4-2], [MQTT-3.8.4-4]
    // spec mqtt311 [MQTT-3.8.4-5], [MQTT-3.9.3-1]
    pub(super) fn on_subscribe(
        &mut self,
        now: Now,
        connection: Key<Connection>,
        subscribe: Subscribe,
    ) {
        let Some(key) = self.session_of(connection) else {
            return;
        };
        let identifier = subscribe.properties.subscription_identifier;
        // spec aws-iot [MQ-46]
        if identifier.is_some() && !self.limits().subscription_identifiers {
            let code = ReasonCode::SubscriptionIdentifiersNotSupported;
            self.end(connection, End::new(DisconnectReason::ClientError, code));
            return;
        }
        let since = self.journal.written();
        let mut reasons = Vec::with_capacity(subscribe.filters.len());
        let mut granted = Vec::new();
        let mut reason_string = None;
        for request in &subscribe.filters {
            match self.grant(now, connection, key, request, identifier) {
                Ok(one) => {
                    reasons.push(ReasonCode::granted(one.options.qos));
                    granted.push(one);
                }
                Err(Refusal::Filter(code, text)) => {
                    reasons.push(code);
                    reason_string = reason_string.or(text);
                }
                Err(Refusal::Connection(end)) => return self.end(connection, end),
            }
        }
        let properties = AckProperties {
            reason_string,
            ..AckProperties::default()
        };
        let packet_id = subscribe.packet_id;
        let packet = Packet::SubAck(SubAck {
            packet_id,
            reasons,
            properties,
        });
        self.gate(since, Gated::Send { connection, packet });
        for one in &granted {
            if one.retained {
                self.send_retained(now, key, one);
            }
        }
        let filters: Vec<&str> = granted.iter().map(|one| one.text.as_ref()).collect();
        self.report_change(now, connection, SubscriptionChange::Subscribed, &filters);
        self.drain_groups(now, key);
        self.rest(connection);
    }

    /// What a client asks once need not be kept ready.
    pub(super) fn rest(&mut self, connection: Key<Connection>) {
        let found = self.connections.get_mut(connection);
        if let Some(serving) = found.and_then(Connection::serving_mut) {
            serving.access.rest();
        }
    }

    /// Judges one filter, and subscribes.
    fn grant(
        &mut self,
        now: Now,
        connection: Key<Connection>,
        key: Key<Session>,
        request: &SubscriptionRequest,
        identifier: Option<SubscriptionIdentifier>,
    ) -> Result<Granted, Refusal> {
        let version = self
            .connections
            .get(connection)
            .and_then(Connection::version);
        let filter = parse_subscription(&request.filter, &self.decode.topic)
            .map_err(|error| invalid_filter(&error, version))?;
        if matches!(filter, SubscriptionFilter::Shared(_)) && request.no_local {
            // spec aws-iot [MQ-75]; spec mqtt5 [MQTT-3.8.3-4]
            let end = End::new(DisconnectReason::ClientError, ReasonCode::ProtocolError);
            let end = end.because("no local is not for shared subscriptions");
            return Err(Refusal::Connection(end));
        }
        // spec aws-iot [MQ-3]
        if request.qos == QoS::ExactlyOnce && !self.limits().qos2 {
            let end = End::new(DisconnectReason::ClientError, ReasonCode::QoSNotSupported);
            return Err(Refusal::Connection(end));
        }
        // spec aws-iot [MQ-44]
        if !Reserved::filter_allowed(filter.filter().as_str()) {
            return Err(ReasonCode::TopicFilterInvalid.into());
        }
        let cleared = self.judge_filter(now, connection, &request.filter)?;
        let text: Arc<str> = request.filter.as_str().into();
        let session = self.sessions.get(key);
        let session = session.ok_or(Refusal::from(ReasonCode::UnspecifiedError))?;
        let is_new = !session.subscriptions.contains(&text);
        // spec aws-iot [MQ-40]
        if let Some(used_up) = self.is_too_many(session).filter(|_| is_new) {
            self.reached(used_up, connection);
            return Err(ReasonCode::QuotaExceeded.into());
        }
        let options = SubscriptionOptions::of(request, identifier);
        let subscription = Subscription {
            filter: filter.clone(),
            options,
        };
        self.subscribe(key, &text, subscription, cleared);
        let shared = matches!(filter, SubscriptionFilter::Shared(_));
        let wanted = match request.retain_handling {
            RetainHandling::Send => true,
            RetainHandling::SendIfNew => is_new,
            RetainHandling::DoNotSend => false,
        };
        let wildcard = filter.filter().has_wildcard();
        Ok(Granted {
            text,
            filter,
            options,
            // spec aws-iot [MQ-51], [MQ-72]
            retained: wanted && !shared && (!wildcard || self.limits().retained_on_wildcard),
        })
    }

    /// Which budget one more subscription of `session` would exceed.
    fn is_too_many(&self, session: &Session) -> Option<Budget> {
        let limits = self.limits();
        if limits.subscriptions_max <= session.subscriptions.len() {
            return Some(Budget::SubscriptionsPerSession);
        }
        let in_all = self.subscription_count;
        (limits.subscriptions_total_max <= in_all).then_some(Budget::Subscriptions)
    }

    // spec aws-iot [MQ-43], [PL-23]: the text as the client wrote it, `$share/…` included.
    fn judge_filter(
        &mut self,
        now: Now,
        connection: Key<Connection>,
        filter: &str,
    ) -> Result<Cleared, Refusal> {
        let found = self.connections.get(connection);
        let Some((peer, serving)) = found.and_then(|c| Some((&c.peer, c.serving()?))) else {
            return Err(ReasonCode::UnspecifiedError.into());
        };
        let action = DeviceAction::Subscribe;
        let resource = Resource::TopicFilter(filter);
        if let Some(cleared) = serving.access.clear(action, resource, now.wall) {
            return Ok(cleared);
        }
        let book = &self.settings.denials;
        let refused = serving
            .access
            .refuse(book, &peer.principal, action, resource, now.wall);
        self.counters.denials += 1;
        let text = refused.reason_string();
        Err(Refusal::Filter(ReasonCode::NotAuthorized, Some(text)))
    }

    /// Subscribes, in place of what the session had under this filter.
    // spec mqtt5 [MQTT-3.8.4-3]; spec mqtt311 [MQTT-3.8.4-3]
    pub(super) fn subscribe(
        &mut self,
        key: Key<Session>,
        text: &Arc<str>,
        subscription: Subscription,
        _cleared: Cleared,
    ) {
        let options = subscription.options;
        match &subscription.filter {
            SubscriptionFilter::Own(filter) => {
                self.routes.insert(filter, Target::Session(key), options);
            }
            shared @ SubscriptionFilter::Shared(_) => {
                self.join(key, text, shared, options);
            }
        }
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let replaced = session.subscriptions.insert(Arc::clone(text), subscription);
        self.subscription_count += usize::from(replaced.is_none());
        if session.stored {
            self.journal.write(Op::Subscription {
                client_id: session.client_id.as_ref().to_owned(),
                subscription: options.row(text),
            });
        }
    }

    /// Ends a subscription; false when there was none.
    // spec mqtt5 [MQTT-3.10.4-1], [MQTT-3.10.4-2]; spec mqtt311 [MQTT-3.10.4-1], [MQTT-3.10.4-2]
    pub(super) fn unsubscribe(&mut self, key: Key<Session>, text: &str) -> bool {
        let Some(session) = self.sessions.get_mut(key) else {
            return false;
        };
        let Some(subscription) = session.subscriptions.remove(text) else {
            return false;
        };
        self.subscription_count = self.subscription_count.saturating_sub(1);
        if session.stored {
            self.journal.write(Op::SubscriptionEnd {
                client_id: session.client_id.as_ref().to_owned(),
                filter: text.to_owned(),
            });
        }
        match &subscription.filter {
            SubscriptionFilter::Own(filter) => {
                self.routes.remove(filter, &Target::Session(key));
            }
            SubscriptionFilter::Shared(_) => self.leave_group(key, text),
        }
        true
    }

    // spec mqtt5 [MQTT-3.10.4-4], [MQTT-3.10.4-5], [MQTT-3.10.4-6], [MQTT-3.11.3-1]
    // spec mqtt311 [MQTT-3.10.4-4], [MQTT-3.10.4-5], [MQTT-3.10.4-6]
    pub(super) fn on_unsubscribe(
        &mut self,
        now: Now,
        connection: Key<Connection>,
        unsubscribe: &Unsubscribe,
    ) {
        let Some(key) = self.session_of(connection) else {
            return;
        };
        let version = self
            .connections
            .get(connection)
            .and_then(Connection::version);
        let since = self.journal.written();
        let mut reasons = Vec::with_capacity(unsubscribe.filters.len());
        let mut ended = Vec::new();
        for text in &unsubscribe.filters {
            // spec aws-iot [MQ-47]
            let reason = match parse_subscription(text, &self.decode.topic) {
                Err(_) if version == Some(Version::V311) => {
                    let code = ReasonCode::TopicFilterInvalid;
                    return self.end(connection, End::new(DisconnectReason::ClientError, code));
                }
                Err(_) => ReasonCode::TopicFilterInvalid,
                Ok(_) if self.unsubscribe(key, text) => {
                    ended.push(text.as_str());
                    ReasonCode::Success
                }
                Ok(_) => ReasonCode::NoSubscriptionExisted,
            };
            reasons.push(reason);
        }
        let packet = Packet::UnsubAck(UnsubAck {
            packet_id: unsubscribe.packet_id,
            reasons,
            properties: AckProperties::default(),
        });
        self.gate(since, Gated::Send { connection, packet });
        self.report_change(now, connection, SubscriptionChange::Unsubscribed, &ended);
    }

    pub(super) fn report_change(
        &mut self,
        now: Now,
        connection: Key<Connection>,
        change: SubscriptionChange,
        filters: &[&str],
    ) {
        let found = self.connections.get(connection);
        let known: Option<(Peer, Arc<str>)> = found.and_then(|found| {
            let serving = found.serving()?;
            Some((found.peer.clone(), Arc::clone(&serving.client_id)))
        });
        if let Some((peer, client_id)) = known {
            self.report_subscriptions(now, &peer, &client_id, change, filters);
        }
    }

    // spec aws-iot [MQ-51], [MQ-52]; spec mqtt5 [MQTT-3.3.1-8]: RETAIN is set on these.
    fn send_retained(&mut self, now: Now, key: Key<Session>, granted: &Granted) {
        for message in self.retained_for(granted.filter.filter(), now) {
            let terms = Terms {
                qos: message.qos().min(granted.options.qos),
                retain: true,
                identifier: granted.options.identifier,
            };
            self.offer(now, key, &message, terms);
        }
    }

    fn retained_for(&self, filter: &TopicFilter, now: Now) -> Vec<Rc<super::message::Message>> {
        let parent = if self.limits().hash_matches_parent {
            HashMatchesParent::Yes
        } else {
            HashMatchesParent::No
        };
        let kept = self.retained.matching(filter, parent, now.wall);
        kept.into_iter().map(|kept| kept.message).collect()
    }
}

// spec aws-iot [MQ-44]: 3.1.1 is closed, as 0x80 would look like a refusal of a good filter.
fn invalid_filter(error: &TopicError, version: Option<Version>) -> Refusal {
    let code = ReasonCode::TopicFilterInvalid;
    match version {
        Some(Version::V5) => Refusal::Filter(code, Some(error.to_string())),
        _ => Refusal::Connection(End::new(DisconnectReason::ClientError, code)),
    }
}
