//! Version 5 properties: reading and writing a block of them.
//!
//! Each packet states its own properties as a struct of options and lists them
//! twice, in [`ReadProperties`] and [`WriteProperties`]; how a value of
//! each kind stands on the wire, and that it stands there once, is said here.
//!
//! Source: mqtt5 section 2.2.2.

use std::num::{NonZeroU16, NonZeroU32};

use bytes::Bytes;

use super::{QoS, Secret, Version};
use crate::decode::{DecodeError, Reader};
use crate::encode::{EncodeError, Len, Sink};
use crate::topic::TopicName;

/// Pairs of name and value that MQTT carries and does not interpret; a name may
/// repeat, and the order is kept.
pub type UserProperties = Vec<(String, String)>;

/// The properties of one packet, as they are read.
pub(crate) trait ReadProperties: Default {
    /// Reads the value of property `id` into its field.
    fn read(&mut self, id: PropertyId, values: &mut Values<'_>) -> Result<(), DecodeError>;
}

/// The properties of one packet, as they are written.
pub(crate) trait WriteProperties {
    /// Writes every property that has a value.
    fn write<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError>;
}

/// Reads a packet's property block; in 3.1.1 there is none.
pub(crate) fn read<P: ReadProperties>(reader: &mut Reader<'_>) -> Result<P, DecodeError> {
    let mut properties = P::default();
    if reader.version == Version::V311 {
        return Ok(properties);
    }
    let len = reader.var_int("property length")?;
    let block = reader.block(len, "properties")?;
    let mut values = Values {
        block,
        id: PropertyId::UserProperty,
        id_at: 0,
        user_bytes: 0,
    };
    while !values.block.is_empty() {
        values.id_at = values.block.at();
        let number = values.block.var_int("property identifier")?;
        let Some(id) = PropertyId::parse(number) else {
            return Err(DecodeError::Malformed {
                field: "property identifier",
                why: "is not known",
                at: values.id_at,
            });
        };
        values.id = id;
        properties.read(id, &mut values)?;
    }
    Ok(properties)
}

/// Writes a packet's property block; in 3.1.1 there is none.
// spec mqtt5 [MQTT-2.2.2-1]
pub(crate) fn write<S: Sink>(
    sink: &mut S,
    version: Version,
    properties: &impl WriteProperties,
) -> Result<(), EncodeError> {
    if version == Version::V311 {
        return Ok(());
    }
    let mut len = Len::default();
    properties.write(&mut len)?;
    sink.var_int("property length", len.0)?;
    properties.write(sink)
}

/// The values of one block, handed to the packet property by property.
pub(crate) struct Values<'a> {
    block: Reader<'a>,
    id: PropertyId,
    /// Where the property at hand starts.
    id_at: usize,
    user_bytes: usize,
}

impl<'a> Values<'a> {
    /// Reads the value into `field`, which must still be empty.
    pub(crate) fn once<T: PropertyValue>(
        &mut self,
        field: &mut Option<T>,
    ) -> Result<(), DecodeError> {
        let value = self.next()?;
        if field.replace(value).is_some() {
            return Err(self.protocol("occurs twice"));
        }
        Ok(())
    }

    /// Reads the value of a property that may occur more than once.
    pub(crate) fn next<T: PropertyValue>(&mut self) -> Result<T, DecodeError> {
        T::read(&mut self.block, self.id.name())
    }

    /// Reads one more user property.
    // spec aws-iot [MQ-83]: their total size is bounded.
    pub(crate) fn user(&mut self, into: &mut UserProperties) -> Result<(), DecodeError> {
        let name = self.block.text("user property name")?;
        let value = self.block.text("user property value")?;
        self.user_bytes = self
            .user_bytes
            .saturating_add(name.len())
            .saturating_add(value.len());
        let max = self.block.limits.user_property_bytes_max;
        if max < self.user_bytes {
            return Err(DecodeError::QuotaExceeded {
                field: "bytes of user properties",
                max,
                at: self.id_at,
            });
        }
        into.push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    /// The error that says this packet may not carry this property.
    // spec mqtt5 [2.2.2.2]: such a packet is malformed.
    pub(crate) fn foreign(&self) -> DecodeError {
        DecodeError::Malformed {
            field: self.id.name(),
            why: "is not a property of this packet",
            at: self.id_at,
        }
    }

    /// The error that says the property at hand breaks a rule.
    pub(crate) fn protocol(&self, why: &'static str) -> DecodeError {
        DecodeError::Protocol {
            field: self.id.name(),
            why,
            at: self.id_at,
        }
    }

    /// Where the property at hand starts.
    pub(crate) fn id_at(&self) -> usize {
        self.id_at
    }

    /// Whose packet this is.
    pub(crate) fn sender(&self) -> super::Sender {
        self.block.limits.sender
    }
}

/// Writes one property, if it has a value.
pub(crate) fn put<S: Sink, T: PropertyValue>(
    sink: &mut S,
    id: PropertyId,
    value: &Option<T>,
) -> Result<(), EncodeError> {
    match value {
        None => Ok(()),
        Some(value) => {
            sink.byte(id as u8);
            value.write(sink, id.name())
        }
    }
}

/// Writes user properties, in their order.
pub(crate) fn put_user<S: Sink>(
    sink: &mut S,
    properties: &UserProperties,
) -> Result<(), EncodeError> {
    for (name, value) in properties {
        sink.byte(PropertyId::UserProperty as u8);
        sink.text("user property name", name)?;
        sink.text("user property value", value)?;
    }
    Ok(())
}

/// What the payload is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PayloadFormat {
    /// Unspecified bytes, as when nothing is said.
    Unspecified,
    /// UTF-8 text. It is the sender's word; nobody has checked.
    Utf8,
}

/// A number that a client gives a subscription, to see it again in messages:
/// 1 to 268,435,455.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionIdentifier(NonZeroU32);

impl SubscriptionIdentifier {
    /// The largest value, that of a Variable Byte Integer.
    pub const MAX: u32 = 268_435_455;

    /// The identifier with this number; `None` outside 1 to [`Self::MAX`].
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number)
            .filter(|number| number.get() <= Self::MAX)
            .map(Self)
    }

    /// Its number.
    pub fn number(self) -> u32 {
        self.0.get()
    }
}

/// A kind of value that a property can have.
pub(crate) trait PropertyValue: Sized {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError>;
    fn write<S: Sink>(&self, sink: &mut S, field: &'static str) -> Result<(), EncodeError>;
}

impl PropertyValue for bool {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
        let wrong = reader.protocol(field, "is neither 0 nor 1");
        match reader.byte(field)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(wrong),
        }
    }

    fn write<S: Sink>(&self, sink: &mut S, _field: &'static str) -> Result<(), EncodeError> {
        sink.byte(u8::from(*self));
        Ok(())
    }
}

impl PropertyValue for PayloadFormat {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
        let is_text = bool::read(reader, field)?;
        Ok(if is_text {
            Self::Utf8
        } else {
            Self::Unspecified
        })
    }

    fn write<S: Sink>(&self, sink: &mut S, field: &'static str) -> Result<(), EncodeError> {
        (*self == Self::Utf8).write(sink, field)
    }
}

/// Only Maximum QoS is of this kind, and it is 0 or 1: to support QoS 2 is to
/// leave it out.
impl PropertyValue for QoS {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
        let is_one = bool::read(reader, field)?;
        Ok(if is_one {
            Self::AtLeastOnce
        } else {
            Self::AtMostOnce
        })
    }

    fn write<S: Sink>(&self, sink: &mut S, field: &'static str) -> Result<(), EncodeError> {
        if *self == Self::ExactlyOnce {
            return Err(EncodeError::OutOfRange { field });
        }
        sink.byte(self.number());
        Ok(())
    }
}

impl PropertyValue for u16 {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
        reader.u16(field)
    }

    fn write<S: Sink>(&self, sink: &mut S, _field: &'static str) -> Result<(), EncodeError> {
        sink.u16(*self);
        Ok(())
    }
}

impl PropertyValue for u32 {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
        reader.u32(field)
    }

    fn write<S: Sink>(&self, sink: &mut S, _field: &'static str) -> Result<(), EncodeError> {
        sink.u32(*self);
        Ok(())
    }
}

impl PropertyValue for NonZeroU16 {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
        let zero = reader.protocol(field, "is zero");
        Self::new(reader.u16(field)?).ok_or(zero)
    }

    fn write<S: Sink>(&self, sink: &mut S, _field: &'static str) -> Result<(), EncodeError> {
        sink.u16(self.get());
        Ok(())
    }
}

impl PropertyValue for NonZeroU32 {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
        let zero = reader.protocol(field, "is zero");
        Self::new(reader.u32(field)?).ok_or(zero)
    }

    fn write<S: Sink>(&self, sink: &mut S, _field: &'static str) -> Result<(), EncodeError> {
        sink.u32(self.get());
        Ok(())
    }
}

impl PropertyValue for SubscriptionIdentifier {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
        let zero = reader.protocol(field, "is zero");
        Self::new(reader.var_int(field)?).ok_or(zero)
    }

    fn write<S: Sink>(&self, sink: &mut S, field: &'static str) -> Result<(), EncodeError> {
        sink.var_int(field, usize::try_from(self.number()).unwrap_or(usize::MAX))
    }
}

impl PropertyValue for String {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
        reader.text(field).map(str::to_owned)
    }

    fn write<S: Sink>(&self, sink: &mut S, field: &'static str) -> Result<(), EncodeError> {
        sink.text(field, self)
    }
}

impl PropertyValue for TopicName {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
        reader.topic(field)
    }

    fn write<S: Sink>(&self, sink: &mut S, field: &'static str) -> Result<(), EncodeError> {
        sink.text(field, self.as_str())
    }
}

impl PropertyValue for Bytes {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
        reader.binary(field)
    }

    fn write<S: Sink>(&self, sink: &mut S, field: &'static str) -> Result<(), EncodeError> {
        sink.binary(field, self)
    }
}

impl PropertyValue for Secret {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
        reader.binary(field).map(Self::new)
    }

    fn write<S: Sink>(&self, sink: &mut S, field: &'static str) -> Result<(), EncodeError> {
        sink.binary(field, self.expose())
    }
}

/// The property identifiers.
// spec mqtt5 [2.2.2.2]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum PropertyId {
    PayloadFormat = 0x01,
    MessageExpiryInterval = 0x02,
    ContentType = 0x03,
    ResponseTopic = 0x08,
    CorrelationData = 0x09,
    SubscriptionIdentifier = 0x0B,
    SessionExpiryInterval = 0x11,
    AssignedClientIdentifier = 0x12,
    ServerKeepAlive = 0x13,
    AuthenticationMethod = 0x15,
    AuthenticationData = 0x16,
    RequestProblemInformation = 0x17,
    WillDelayInterval = 0x18,
    RequestResponseInformation = 0x19,
    ResponseInformation = 0x1A,
    ServerReference = 0x1C,
    ReasonString = 0x1F,
    ReceiveMaximum = 0x21,
    TopicAliasMaximum = 0x22,
    TopicAlias = 0x23,
    MaximumQoS = 0x24,
    RetainAvailable = 0x25,
    UserProperty = 0x26,
    MaximumPacketSize = 0x27,
    WildcardSubscriptionAvailable = 0x28,
    SubscriptionIdentifiersAvailable = 0x29,
    SharedSubscriptionAvailable = 0x2A,
}

impl PropertyId {
    fn parse(number: u32) -> Option<Self> {
        Some(match number {
            0x01 => Self::PayloadFormat,
            0x02 => Self::MessageExpiryInterval,
            0x03 => Self::ContentType,
            0x08 => Self::ResponseTopic,
            0x09 => Self::CorrelationData,
            0x0B => Self::SubscriptionIdentifier,
            0x11 => Self::SessionExpiryInterval,
            0x12 => Self::AssignedClientIdentifier,
            0x13 => Self::ServerKeepAlive,
            0x15 => Self::AuthenticationMethod,
            0x16 => Self::AuthenticationData,
            0x17 => Self::RequestProblemInformation,
            0x18 => Self::WillDelayInterval,
            0x19 => Self::RequestResponseInformation,
            0x1A => Self::ResponseInformation,
            0x1C => Self::ServerReference,
            0x1F => Self::ReasonString,
            0x21 => Self::ReceiveMaximum,
            0x22 => Self::TopicAliasMaximum,
            0x23 => Self::TopicAlias,
            0x24 => Self::MaximumQoS,
            0x25 => Self::RetainAvailable,
            0x26 => Self::UserProperty,
            0x27 => Self::MaximumPacketSize,
            0x28 => Self::WildcardSubscriptionAvailable,
            0x29 => Self::SubscriptionIdentifiersAvailable,
            0x2A => Self::SharedSubscriptionAvailable,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::PayloadFormat => "payload format indicator",
            Self::MessageExpiryInterval => "message expiry interval",
            Self::ContentType => "content type",
            Self::ResponseTopic => "response topic",
            Self::CorrelationData => "correlation data",
            Self::SubscriptionIdentifier => "subscription identifier",
            Self::SessionExpiryInterval => "session expiry interval",
            Self::AssignedClientIdentifier => "assigned client identifier",
            Self::ServerKeepAlive => "server keep alive",
            Self::AuthenticationMethod => "authentication method",
            Self::AuthenticationData => "authentication data",
            Self::RequestProblemInformation => "request problem information",
            Self::WillDelayInterval => "will delay interval",
            Self::RequestResponseInformation => "request response information",
            Self::ResponseInformation => "response information",
            Self::ServerReference => "server reference",
            Self::ReasonString => "reason string",
            Self::ReceiveMaximum => "receive maximum",
            Self::TopicAliasMaximum => "topic alias maximum",
            Self::TopicAlias => "topic alias",
            Self::MaximumQoS => "maximum QoS",
            Self::RetainAvailable => "retain available",
            Self::UserProperty => "user property",
            Self::MaximumPacketSize => "maximum packet size",
            Self::WildcardSubscriptionAvailable => "wildcard subscription available",
            Self::SubscriptionIdentifiersAvailable => "subscription identifiers available",
            Self::SharedSubscriptionAvailable => "shared subscription available",
        }
    }
}
