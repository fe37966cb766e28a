//! PUBLISH: a message on its way, from a client or to one.
//!
//! Source: mqtt5 section 3.3, mqtt311 section 3.3.

use std::fmt;
use std::num::NonZeroU16;

use bytes::Bytes;

use super::property::{
    self, PropertyId as Id, ReadProperties, Values, WriteProperties, put, put_user,
};
use super::{PayloadFormat, QoS, Sender, SubscriptionIdentifier, UserProperties, Version};
use crate::decode::{DecodeError, Reader};
use crate::encode::{EncodeError, Sink};
use crate::topic::TopicName;

/// PUBLISH.
#[derive(Clone, PartialEq, Eq)]
pub struct Publish {
    /// Whether it may have been sent before.
    pub dup: bool,
    /// The delivery asked for.
    pub qos: QoS,
    /// From a client: keep it for later subscribers. To a client: it was kept.
    pub retain: bool,
    /// The topic; `None` when only its alias is given (version 5).
    pub topic: Option<TopicName>,
    /// What the acknowledgement will name; present exactly for QoS 1 and 2.
    pub packet_id: Option<NonZeroU16>,
    /// Version 5 only.
    pub properties: PublishProperties,
    /// The message itself.
    pub payload: Bytes,
}

impl fmt::Debug for Publish {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Publish")
            .field("dup", &self.dup)
            .field("qos", &self.qos)
            .field("retain", &self.retain)
            .field("topic", &self.topic)
            .field("packet_id", &self.packet_id)
            .field("properties", &self.properties)
            .field("payload_bytes", &self.payload.len())
            .finish()
    }
}

/// The properties of PUBLISH.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishProperties {
    /// What the payload is said to be.
    pub payload_format: Option<PayloadFormat>,
    /// How long the message lives, or still lives, in seconds; absent is for
    /// ever.
    pub message_expiry_s: Option<u32>,
    /// The number that stands for the topic on this connection.
    pub topic_alias: Option<NonZeroU16>,
    /// Where an answer is expected.
    pub response_topic: Option<TopicName>,
    /// What the answer is recognised by.
    pub correlation_data: Option<Bytes>,
    /// User properties.
    pub user_properties: UserProperties,
    /// To a client: the subscriptions that matched.
    pub subscription_identifiers: Vec<SubscriptionIdentifier>,
    /// The payload's content type, by agreement of the peers.
    pub content_type: Option<String>,
}

impl Publish {
    /// `flags` are those of the fixed header, already checked.
    // spec mqtt5 [MQTT-3.3.2-1], [MQTT-2.2.1-2]; spec mqtt311 [MQTT-3.3.2-1], [MQTT-2.3.1-5]
    pub(crate) fn read(flags: u8, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let qos = QoS::parse((flags >> 1) & 0b11).unwrap_or_default();
        let at = reader.at();
        let text = reader.text("topic")?;
        let topic = match text {
            "" if reader.version == Version::V5 => None,
            _ => {
                // spec mqtt5 [MQTT-3.3.2-2], [MQTT-4.7.3-1]; spec mqtt311 [MQTT-3.3.2-2]
                let topic = TopicName::parse(text, &reader.limits.topic);
                Some(topic.map_err(|source| DecodeError::TopicName {
                    field: "topic",
                    at,
                    source,
                })?)
            }
        };
        let packet_id = match qos {
            QoS::AtMostOnce => None,
            _ => Some(reader.packet_id()?),
        };
        let properties: PublishProperties = property::read(reader)?;
        // spec mqtt5 [3.3.2.1]: an empty topic needs an alias.
        if topic.is_none() && properties.topic_alias.is_none() {
            return Err(DecodeError::Protocol {
                field: "topic",
                why: "is empty and has no alias",
                at,
            });
        }
        Ok(Self {
            dup: flags & 0b1000 != 0,
            qos,
            retain: flags & 0b0001 != 0,
            topic,
            packet_id,
            properties,
            payload: reader.take_rest(),
        })
    }

    /// All but the payload, as it is to be written.
    pub(crate) fn head(&self) -> PublishHead<'_> {
        PublishHead {
            dup: self.dup,
            qos: self.qos,
            retain: self.retain,
            topic: self.topic.as_ref(),
            packet_id: self.packet_id,
            properties: &self.properties,
            message_expiry_s: self.properties.message_expiry_s,
            topic_alias: self.properties.topic_alias,
            subscription_identifiers: &self.properties.subscription_identifiers,
        }
    }
}

/// What stands before the payload. A delivery borrows it from the message it
/// delivers and replaces what is its own.
#[derive(Clone, Copy)]
pub(crate) struct PublishHead<'a> {
    pub(crate) dup: bool,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) topic: Option<&'a TopicName>,
    pub(crate) packet_id: Option<NonZeroU16>,
    pub(crate) properties: &'a PublishProperties,
    pub(crate) message_expiry_s: Option<u32>,
    pub(crate) topic_alias: Option<NonZeroU16>,
    pub(crate) subscription_identifiers: &'a [SubscriptionIdentifier],
}

impl PublishHead<'_> {
    pub(crate) fn flags(&self) -> u8 {
        // spec mqtt5 [MQTT-3.3.1-2]
        let dup = self.dup && self.qos != QoS::AtMostOnce;
        (u8::from(dup) << 3) | (self.qos.number() << 1) | u8::from(self.retain)
    }

    pub(crate) fn write<S: Sink>(&self, version: Version, sink: &mut S) -> Result<(), EncodeError> {
        self.write_topic(version, sink)?;
        match (self.qos, self.packet_id) {
            (QoS::AtMostOnce, _) => (),
            (_, Some(packet_id)) => sink.u16(packet_id.get()),
            (_, None) => {
                return Err(EncodeError::Missing {
                    field: "packet identifier",
                });
            }
        }
        property::write(sink, version, self)
    }

    fn write_topic<S: Sink>(&self, version: Version, sink: &mut S) -> Result<(), EncodeError> {
        match self.topic {
            Some(topic) => sink.text("topic", topic.as_str()),
            None if version == Version::V5 && self.topic_alias.is_some() => sink.text("topic", ""),
            None => Err(EncodeError::Missing { field: "topic" }),
        }
    }

    /// How far into the body the packet id stands.
    pub(crate) fn packet_id_at(&self, version: Version) -> Result<usize, EncodeError> {
        let mut len = crate::encode::Len::default();
        self.write_topic(version, &mut len)?;
        Ok(len.0)
    }
}

impl ReadProperties for PublishProperties {
    fn read(&mut self, id: Id, values: &mut Values<'_>) -> Result<(), DecodeError> {
        match id {
            Id::PayloadFormat => values.once(&mut self.payload_format),
            Id::MessageExpiryInterval => values.once(&mut self.message_expiry_s),
            Id::TopicAlias => {
                let mut alias = self.topic_alias.map(NonZeroU16::get);
                values.once(&mut alias)?;
                self.topic_alias = alias.and_then(NonZeroU16::new);
                // spec mqtt5 [MQTT-3.3.2-8]; spec aws-iot [MQ-80]
                match self.topic_alias {
                    Some(_) => Ok(()),
                    None => Err(DecodeError::TopicAlias { at: values.id_at() }),
                }
            }
            Id::ResponseTopic => values.once(&mut self.response_topic),
            Id::CorrelationData => values.once(&mut self.correlation_data),
            Id::UserProperty => values.user(&mut self.user_properties),
            // spec mqtt5 [MQTT-3.3.4-6]
            Id::SubscriptionIdentifier if values.sender() == Sender::Client => {
                Err(values.protocol("is not for a client to send"))
            }
            Id::SubscriptionIdentifier => {
                self.subscription_identifiers.push(values.next()?);
                Ok(())
            }
            Id::ContentType => values.once(&mut self.content_type),
            _ => Err(values.foreign()),
        }
    }
}

impl WriteProperties for PublishHead<'_> {
    fn write<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        let properties = self.properties;
        put(sink, Id::PayloadFormat, &properties.payload_format)?;
        put(sink, Id::MessageExpiryInterval, &self.message_expiry_s)?;
        put(sink, Id::TopicAlias, &self.topic_alias)?;
        put(sink, Id::ResponseTopic, &properties.response_topic)?;
        put(sink, Id::CorrelationData, &properties.correlation_data)?;
        put_user(sink, &properties.user_properties)?;
        for &identifier in self.subscription_identifiers {
            put(sink, Id::SubscriptionIdentifier, &Some(identifier))?;
        }
        put(sink, Id::ContentType, &properties.content_type)
    }
}
