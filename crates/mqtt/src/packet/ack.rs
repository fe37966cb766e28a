//! PUBACK, PUBREC, PUBREL and PUBCOMP: four packets of one shape.
//!
//! Source: mqtt5 sections 3.4 to 3.7, mqtt311 sections 3.4 to 3.7.

use std::num::NonZeroU16;

use super::property::{self, PropertyId as Id, ReadProperties, Values, WriteProperties};
use super::property::{put, put_user};
use super::{PacketType, ReasonCode, UserProperties, Version};
use crate::decode::{DecodeError, Reader};
use crate::encode::{EncodeError, Sink};

/// PUBACK, PUBREC, PUBREL or PUBCOMP; [`super::Packet`] says which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The packet id of the PUBLISH it belongs to.
    pub packet_id: NonZeroU16,
    /// Success, or what went wrong (version 5).
    pub reason: ReasonCode,
    /// Version 5 only.
    pub properties: AckProperties,
}

/// The properties of PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK and UNSUBACK.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AckProperties {
    /// Why, for people.
    pub reason_string: Option<String>,
    /// User properties.
    pub user_properties: UserProperties,
}

impl AckProperties {
    pub(crate) fn is_empty(&self) -> bool {
        self.reason_string.is_none() && self.user_properties.is_empty()
    }
}

impl Ack {
    /// A plain success.
    pub fn success(packet_id: NonZeroU16) -> Self {
        Self::with_reason(packet_id, ReasonCode::Success)
    }

    /// An acknowledgement that says nothing but `reason`.
    pub fn with_reason(packet_id: NonZeroU16, reason: ReasonCode) -> Self {
        Self {
            packet_id,
            reason,
            properties: AckProperties::default(),
        }
    }

    pub(crate) fn read(packet: PacketType, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut ack = Self::success(reader.packet_id()?);
        // spec mqtt5 [3.4.2.1], [3.4.2.2.1]: reason and properties may be left out.
        if reader.version == Version::V5 && !reader.is_empty() {
            ack.reason = ReasonCode::read(packet, reader)?;
            if !reader.is_empty() {
                ack.properties = property::read(reader)?;
            }
        }
        Ok(ack)
    }

    pub(crate) fn write<S: Sink>(
        &self,
        packet: PacketType,
        version: Version,
        sink: &mut S,
    ) -> Result<(), EncodeError> {
        sink.u16(self.packet_id.get());
        if version == Version::V311 {
            // PUBACK and PUBREC of 3.1.1 always mean success, so a refusal must
            // not become one; PUBREL and PUBCOMP close an exchange either way.
            let closes = matches!(packet, PacketType::PubRel | PacketType::PubComp);
            return if self.reason.is_error() && !closes {
                Err(EncodeError::NotInVersion {
                    what: "a refused message",
                })
            } else {
                Ok(())
            };
        }
        let plain = self.properties.is_empty();
        if self.reason != ReasonCode::Success || !plain {
            self.reason.write(packet, sink)?;
        }
        if plain {
            Ok(())
        } else {
            property::write(sink, version, &self.properties)
        }
    }
}

impl ReadProperties for AckProperties {
    fn read(&mut self, id: Id, values: &mut Values<'_>) -> Result<(), DecodeError> {
        match id {
            Id::ReasonString => values.once(&mut self.reason_string),
            Id::UserProperty => values.user(&mut self.user_properties),
            _ => Err(values.foreign()),
        }
    }
}

impl WriteProperties for AckProperties {
    fn write<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        put(sink, Id::ReasonString, &self.reason_string)?;
        put_user(sink, &self.user_properties)
    }
}
