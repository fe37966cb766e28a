//! CONNACK: the server's answer to CONNECT, and the terms of the connection.
//!
//! Source: mqtt5 section 3.2, mqtt311 section 3.2.

use std::num::{NonZeroU16, NonZeroU32};

use super::property::{
    self, PropertyId as Id, ReadProperties, Values, WriteProperties, put, put_user,
};
use super::{PacketType, QoS, ReasonCode, Secret, UserProperties, Version};
use crate::decode::{DecodeError, Reader};
use crate::encode::{EncodeError, Sink};

/// CONNACK.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnAck {
    /// Whether the server resumed a stored session.
    pub session_present: bool,
    /// Success, or why the connection is refused.
    pub reason: ReasonCode,
    /// Version 5 only.
    pub properties: ConnAckProperties,
}

/// The properties of CONNACK.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnAckProperties {
    /// The session expiry in force, in seconds; absent is what was asked for.
    pub session_expiry_s: Option<u32>,
    /// QoS 1 and 2 messages the server takes at once; absent is 65,535.
    pub receive_maximum: Option<NonZeroU16>,
    /// The highest QoS the server supports, if that is not 2.
    pub maximum_qos: Option<QoS>,
    /// Whether retained messages are supported; absent is yes.
    pub retain_available: Option<bool>,
    /// The largest packet the server takes, in bytes; absent is no limit.
    pub packet_bytes_max: Option<NonZeroU32>,
    /// The client id given to a client that named none.
    pub assigned_client_id: Option<String>,
    /// The highest topic alias the server takes; absent is 0.
    pub topic_alias_maximum: Option<u16>,
    /// Why, for people.
    pub reason_string: Option<String>,
    /// User properties.
    pub user_properties: UserProperties,
    /// Whether filters with wildcards are supported; absent is yes.
    pub wildcard_subscription_available: Option<bool>,
    /// Whether subscription identifiers are supported; absent is yes.
    pub subscription_identifiers_available: Option<bool>,
    /// Whether shared subscriptions are supported; absent is yes.
    pub shared_subscription_available: Option<bool>,
    /// The keep alive in force, in seconds; absent is what was asked for.
    pub server_keep_alive_s: Option<u16>,
    /// What response topics may be built from.
    pub response_information: Option<String>,
    /// Another server to use.
    pub server_reference: Option<String>,
    /// The method of enhanced authentication.
    pub authentication_method: Option<String>,
    /// Its last data.
    pub authentication_data: Option<Secret>,
}

impl ConnAck {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let here = reader.clone();
        let session_present = match reader.byte("connect acknowledge flags")? {
            0 => false,
            1 => true,
            // spec mqtt5 [MQTT-3.2.2-1]
            _ => return Err(here.malformed("connect acknowledge flags", "have reserved bits set")),
        };
        let reason = if reader.version == Version::V5 {
            ReasonCode::read(PacketType::ConnAck, reader)?
        } else {
            let reserved = reader.malformed("return code", "is reserved");
            ReasonCode::from_connack_v311(reader.byte("return code")?).ok_or(reserved)?
        };
        // spec mqtt5 [MQTT-3.2.2-6]; spec mqtt311 [MQTT-3.2.2-4]
        if session_present && reason.is_error() {
            return Err(here.protocol("session present", "is set on a refusal"));
        }
        Ok(Self {
            session_present,
            reason,
            properties: property::read(reader)?,
        })
    }

    pub(crate) fn write<S: Sink>(&self, version: Version, sink: &mut S) -> Result<(), EncodeError> {
        // spec mqtt5 [MQTT-3.2.2-6]: a refusal never claims a session.
        sink.byte(u8::from(self.session_present && !self.reason.is_error()));
        match version {
            Version::V5 => self.reason.write(PacketType::ConnAck, sink)?,
            Version::V311 => match self.reason.connack_v311() {
                Some(code) => sink.byte(code),
                None => {
                    return Err(EncodeError::NotInVersion {
                        what: "this CONNACK reason",
                    });
                }
            },
        }
        property::write(sink, version, &self.properties)
    }
}

impl ReadProperties for ConnAckProperties {
    fn read(&mut self, id: Id, values: &mut Values<'_>) -> Result<(), DecodeError> {
        match id {
            Id::SessionExpiryInterval => values.once(&mut self.session_expiry_s),
            Id::ReceiveMaximum => values.once(&mut self.receive_maximum),
            Id::MaximumQoS => values.once(&mut self.maximum_qos),
            Id::RetainAvailable => values.once(&mut self.retain_available),
            Id::MaximumPacketSize => values.once(&mut self.packet_bytes_max),
            Id::AssignedClientIdentifier => values.once(&mut self.assigned_client_id),
            Id::TopicAliasMaximum => values.once(&mut self.topic_alias_maximum),
            Id::ReasonString => values.once(&mut self.reason_string),
            Id::UserProperty => values.user(&mut self.user_properties),
            Id::WildcardSubscriptionAvailable => {
                values.once(&mut self.wildcard_subscription_available)
            }
            Id::SubscriptionIdentifiersAvailable => {
                values.once(&mut self.subscription_identifiers_available)
            }
            Id::SharedSubscriptionAvailable => values.once(&mut self.shared_subscription_available),
            Id::ServerKeepAlive => values.once(&mut self.server_keep_alive_s),
            Id::ResponseInformation => values.once(&mut self.response_information),
            Id::ServerReference => values.once(&mut self.server_reference),
            Id::AuthenticationMethod => values.once(&mut self.authentication_method),
            Id::AuthenticationData => values.once(&mut self.authentication_data),
            _ => Err(values.foreign()),
        }
    }
}

impl WriteProperties for ConnAckProperties {
    fn write<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        put(sink, Id::SessionExpiryInterval, &self.session_expiry_s)?;
        put(sink, Id::ReceiveMaximum, &self.receive_maximum)?;
        put(sink, Id::MaximumQoS, &self.maximum_qos)?;
        put(sink, Id::RetainAvailable, &self.retain_available)?;
        put(sink, Id::MaximumPacketSize, &self.packet_bytes_max)?;
        put(sink, Id::AssignedClientIdentifier, &self.assigned_client_id)?;
        put(sink, Id::TopicAliasMaximum, &self.topic_alias_maximum)?;
        put(sink, Id::ReasonString, &self.reason_string)?;
        put_user(sink, &self.user_properties)?;
        put(
            sink,
            Id::WildcardSubscriptionAvailable,
            &self.wildcard_subscription_available,
        )?;
        put(
            sink,
            Id::SubscriptionIdentifiersAvailable,
            &self.subscription_identifiers_available,
        )?;
        put(
            sink,
            Id::SharedSubscriptionAvailable,
            &self.shared_subscription_available,
        )?;
        put(sink, Id::ServerKeepAlive, &self.server_keep_alive_s)?;
        put(sink, Id::ResponseInformation, &self.response_information)?;
        put(sink, Id::ServerReference, &self.server_reference)?;
        put(sink, Id::AuthenticationMethod, &self.authentication_method)?;
        put(sink, Id::AuthenticationData, &self.authentication_data)
    }
}
