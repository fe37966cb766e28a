//! What a trace shows of a packet: enough to follow the protocol, bounded, and no secret.
//!
//! Never shown: a password, a user name (it may be an authorizer's token), data of enhanced
//! authentication. Shown only as far as was asked for: payloads, and with them the values of user
//! properties and correlation data. Everything else is cut to a length.

use std::collections::BTreeMap;

use bytes::Bytes;
use mqtt::packet::{
    Ack, Auth, ConnAck, Connect, Disconnect, PacketType, Publish, Subscribe, UserProperties, Will,
};
use mqtt::{Packet, ReasonCode, Sender, TopicLimits, TopicName, Version};

/// What we send was made by us: only what memory holds is the limit.
pub(super) const OUR_OWN: mqtt::Limits = mqtt::Limits {
    sender: Sender::Server,
    packet_bytes_max: usize::MAX,
    filters_max: usize::MAX,
    user_property_bytes_max: usize::MAX,
    topic: TopicLimits::STANDARD,
};

/// The longest text shown, in bytes.
const TEXT_MAX: usize = 512;
/// Filters, reason codes and user properties shown of one packet.
const LIST_MAX: usize = 16;
/// What a record costs beside its texts, in bytes.
const RECORD_BYTES: usize = 512;

/// A packet, or an event of a connection, as a trace shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// `PUBLISH` …, `MALFORMED`, or `OPENED` and `CLOSED`.
    pub(crate) what: &'static str,
    /// The whole packet, in bytes.
    pub(crate) bytes: usize,
    pub(crate) packet_id: Option<u16>,
    pub(crate) topic: Option<String>,
    pub(crate) qos: Option<u8>,
    pub(crate) flags: Vec<&'static str>,
    /// As they stand on the wire.
    pub(crate) reason_codes: Vec<u8>,
    /// Filters with the QoS asked for, where the packet asks for one.
    pub(crate) filters: Vec<(String, Option<u8>)>,
    pub(crate) payload_bytes: Option<usize>,
    /// The beginning of the payload.
    pub(crate) payload: Option<Bytes>,
    pub(crate) properties: BTreeMap<&'static str, String>,
}

impl Seen {
    /// An event of the connection itself.
    pub(super) fn event(what: &'static str, why: &str) -> Self {
        let mut seen = Self {
            what,
            ..Self::default()
        };
        if !why.is_empty() {
            seen.tell("reason", why);
        }
        seen
    }

    /// Bytes that are no packet.
    pub(super) fn unreadable(bytes: usize, why: String) -> Self {
        let mut seen = Self::event("MALFORMED", "");
        seen.bytes = bytes;
        seen.tell("reason", why);
        seen
    }

    pub(super) fn with_text(mut self, text: Option<&str>) -> Self {
        self.tell_some("text", text);
        self
    }

    /// `topic` is that of a PUBLISH, with its alias resolved.
    pub(super) fn packet(
        packet: &Packet,
        version: Version,
        bytes: usize,
        topic: Option<&TopicName>,
        payload_max: usize,
    ) -> Self {
        let mut seen = Self {
            what: name(packet.packet_type()),
            bytes,
            ..Self::default()
        };
        match packet {
            // The first one is seen by `connect`; another is the client's mistake.
            Packet::Connect(connect) => seen.tell_connect(connect, version, payload_max),
            Packet::ConnAck(connack) => seen.tell_connack(connack, version, payload_max),
            Packet::Publish(publish) => seen.tell_publish(publish, topic, payload_max),
            Packet::PubAck(ack)
            | Packet::PubRec(ack)
            | Packet::PubRel(ack)
            | Packet::PubComp(ack) => seen.tell_ack(ack, version, payload_max),
            Packet::Subscribe(subscribe) => seen.tell_subscribe(subscribe, payload_max),
            Packet::SubAck(suback) => {
                seen.packet_id = Some(suback.packet_id.get());
                let code = |code: &ReasonCode| match version {
                    Version::V311 => code.suback_v311(),
                    Version::V5 => code.byte(),
                };
                seen.reason_codes = suback.reasons.iter().take(LIST_MAX).map(code).collect();
                seen.tell_some("reasonString", suback.properties.reason_string.as_ref());
            }
            Packet::Unsubscribe(unsubscribe) => {
                seen.packet_id = Some(unsubscribe.packet_id.get());
                let filters = unsubscribe.filters.iter().take(LIST_MAX);
                seen.filters = filters.map(|filter| (cut(filter), None)).collect();
                seen.count_filters(unsubscribe.filters.len());
                seen.tell_user(&unsubscribe.properties.user_properties, payload_max);
            }
            Packet::UnsubAck(unsuback) => {
                seen.packet_id = Some(unsuback.packet_id.get());
                let codes = unsuback.reasons.iter().take(LIST_MAX);
                seen.reason_codes = codes.map(|code| code.byte()).collect();
                seen.tell_some("reasonString", unsuback.properties.reason_string.as_ref());
            }
            Packet::PingReq | Packet::PingResp => (),
            Packet::Disconnect(disconnect) => {
                seen.tell_disconnect(disconnect, version, payload_max);
            }
            Packet::Auth(auth) => seen.tell_auth(auth),
        }
        seen
    }

    pub(super) fn connect(
        connect: &Connect,
        version: Version,
        bytes: usize,
        payload_max: usize,
    ) -> Self {
        let mut seen = Self {
            what: name(PacketType::Connect),
            bytes,
            ..Self::default()
        };
        seen.tell_connect(connect, version, payload_max);
        seen
    }

    /// What it costs to keep, in bytes; not exact.
    pub(super) fn cost(&self) -> usize {
        let texts = self.properties.values().map(String::len);
        let filters = self.filters.iter().map(|(filter, _)| filter.len());
        let topic = self.topic.as_ref().map_or(0, String::len);
        let payload = self.payload.as_ref().map_or(0, Bytes::len);
        RECORD_BYTES + texts.chain(filters).sum::<usize>() + topic + payload
    }

    fn tell(&mut self, name: &'static str, value: impl AsRef<str>) {
        self.properties.insert(name, cut(value.as_ref()));
    }

    fn tell_some(&mut self, name: &'static str, value: Option<impl AsRef<str>>) {
        if let Some(value) = value {
            self.tell(name, value);
        }
    }

    fn tell_number(&mut self, name: &'static str, value: Option<impl Into<u64>>) {
        if let Some(value) = value {
            self.tell(name, value.into().to_string());
        }
    }

    fn flag(&mut self, name: &'static str, set: bool) {
        if set {
            self.flags.push(name);
        }
    }

    fn count_filters(&mut self, count: usize) {
        if LIST_MAX < count {
            self.tell("filters", count.to_string());
        }
    }

    /// How many there are, and their values where payloads are shown.
    fn tell_user(&mut self, properties: &UserProperties, payload_max: usize) {
        if properties.is_empty() {
            return;
        }
        self.tell("userProperties", properties.len().to_string());
        if payload_max > 0 {
            let shown = properties.iter().take(LIST_MAX);
            let shown: Vec<String> = shown
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            self.tell("userPropertyValues", shown.join(" "));
        }
    }

    fn tell_payload(&mut self, payload: &Bytes, max: usize) {
        self.payload_bytes = Some(payload.len());
        if max > 0 {
            let shown = payload.get(..max).unwrap_or(payload);
            self.payload = Some(Bytes::copy_from_slice(shown));
        }
    }

    fn tell_connect(&mut self, connect: &Connect, version: Version, payload_max: usize) {
        let properties = &connect.properties;
        self.flag("clean", connect.clean_start);
        self.flag("username", connect.username.is_some());
        self.flag("password", connect.password.is_some());
        self.tell("clientId", &connect.client_id);
        self.tell("protocolLevel", version.level().to_string());
        self.tell_number("keepAlive", Some(connect.keep_alive_s));
        self.tell_number("sessionExpiry", properties.session_expiry_s);
        let receive_maximum = properties.receive_maximum.map(std::num::NonZero::get);
        self.tell_number("receiveMaximum", receive_maximum);
        let packet_max = properties.packet_bytes_max.map(std::num::NonZero::get);
        self.tell_number("maximumPacketSize", packet_max);
        self.tell_number("topicAliasMaximum", properties.topic_alias_maximum);
        self.tell_some(
            "authenticationMethod",
            properties.authentication_method.as_ref(),
        );
        self.tell_user(&properties.user_properties, payload_max);
        if let Some(will) = &connect.will {
            self.tell_will(will, payload_max);
        }
    }

    fn tell_will(&mut self, will: &Will, payload_max: usize) {
        self.flag("will", true);
        self.flag("willRetain", will.retain);
        self.tell("willTopic", will.topic.as_str());
        self.tell("willQos", will.qos.number().to_string());
        self.tell_number("willDelay", will.properties.delay_s);
        self.tell_payload(&will.payload, payload_max);
    }

    fn tell_connack(&mut self, connack: &ConnAck, version: Version, payload_max: usize) {
        let properties = &connack.properties;
        self.flag("sessionPresent", connack.session_present);
        let code = match version {
            Version::V311 => connack.reason.connack_v311().unwrap_or_default(),
            Version::V5 => connack.reason.byte(),
        };
        self.reason_codes.push(code);
        self.tell_some("reasonString", properties.reason_string.as_ref());
        self.tell_some("assignedClientId", properties.assigned_client_id.as_ref());
        self.tell_number("sessionExpiry", properties.session_expiry_s);
        self.tell_number("serverKeepAlive", properties.server_keep_alive_s);
        let receive_maximum = properties.receive_maximum.map(std::num::NonZero::get);
        self.tell_number("receiveMaximum", receive_maximum);
        let packet_max = properties.packet_bytes_max.map(std::num::NonZero::get);
        self.tell_number("maximumPacketSize", packet_max);
        self.tell_number("topicAliasMaximum", properties.topic_alias_maximum);
        self.tell_number("maximumQos", properties.maximum_qos.map(mqtt::QoS::number));
        self.tell_user(&properties.user_properties, payload_max);
    }

    fn tell_publish(&mut self, publish: &Publish, topic: Option<&TopicName>, payload_max: usize) {
        let properties = &publish.properties;
        self.topic = topic.map(|topic| cut(topic.as_str()));
        self.qos = Some(publish.qos.number());
        self.packet_id = publish.packet_id.map(std::num::NonZero::get);
        self.flag("dup", publish.dup);
        self.flag("retain", publish.retain);
        self.tell_number(
            "topicAlias",
            properties.topic_alias.map(std::num::NonZero::get),
        );
        self.tell_number("messageExpiry", properties.message_expiry_s);
        self.tell_some("contentType", properties.content_type.as_ref());
        let response = properties.response_topic.as_ref();
        self.tell_some("responseTopic", response.map(TopicName::as_str));
        let identifiers = properties.subscription_identifiers.iter().take(LIST_MAX);
        let identifiers: Vec<String> = identifiers.map(|one| one.number().to_string()).collect();
        if !identifiers.is_empty() {
            self.tell("subscriptionIdentifiers", identifiers.join(" "));
        }
        if let Some(data) = &properties.correlation_data {
            self.tell("correlationDataBytes", data.len().to_string());
        }
        self.tell_user(&properties.user_properties, payload_max);
        self.tell_payload(&publish.payload, payload_max);
    }

    fn tell_ack(&mut self, ack: &Ack, version: Version, payload_max: usize) {
        self.packet_id = Some(ack.packet_id.get());
        if version == Version::V5 {
            self.reason_codes.push(ack.reason.byte());
        }
        self.tell_some("reasonString", ack.properties.reason_string.as_ref());
        self.tell_user(&ack.properties.user_properties, payload_max);
    }

    fn tell_subscribe(&mut self, subscribe: &Subscribe, payload_max: usize) {
        self.packet_id = Some(subscribe.packet_id.get());
        let filters = subscribe.filters.iter().take(LIST_MAX);
        self.filters = filters
            .map(|request| (cut(&request.filter), Some(request.qos.number())))
            .collect();
        self.count_filters(subscribe.filters.len());
        let identifier = subscribe.properties.subscription_identifier;
        self.tell_number("subscriptionIdentifier", identifier.map(|one| one.number()));
        self.tell_user(&subscribe.properties.user_properties, payload_max);
    }

    fn tell_disconnect(&mut self, disconnect: &Disconnect, version: Version, payload_max: usize) {
        let properties = &disconnect.properties;
        if version == Version::V5 {
            self.reason_codes.push(disconnect.reason.byte());
        }
        self.tell_number("sessionExpiry", properties.session_expiry_s);
        self.tell_some("reasonString", properties.reason_string.as_ref());
        self.tell_user(&properties.user_properties, payload_max);
    }

    fn tell_auth(&mut self, auth: &Auth) {
        self.reason_codes.push(auth.reason.byte());
        let properties = &auth.properties;
        self.tell_some(
            "authenticationMethod",
            properties.authentication_method.as_ref(),
        );
        self.tell_some("reasonString", properties.reason_string.as_ref());
    }
}

/// As much of a text as is shown.
fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(TEXT_MAX);
    text.get(..end).unwrap_or_default().to_owned()
}

const fn name(of: PacketType) -> &'static str {
    match of {
        PacketType::Connect => "CONNECT",
        PacketType::ConnAck => "CONNACK",
        PacketType::Publish => "PUBLISH",
        PacketType::PubAck => "PUBACK",
        PacketType::PubRec => "PUBREC",
        PacketType::PubRel => "PUBREL",
        PacketType::PubComp => "PUBCOMP",
        PacketType::Subscribe => "SUBSCRIBE",
        PacketType::SubAck => "SUBACK",
        PacketType::Unsubscribe => "UNSUBSCRIBE",
        PacketType::UnsubAck => "UNSUBACK",
        PacketType::PingReq => "PINGREQ",
        PacketType::PingResp => "PINGRESP",
        PacketType::Disconnect => "DISCONNECT",
        PacketType::Auth => "AUTH",
    }
}
