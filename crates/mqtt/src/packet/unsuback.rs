//! UNSUBACK: one answer for each filter of an UNSUBSCRIBE, in its order.
//!
//! Source: mqtt5 section 3.11, mqtt311 section 3.11.

use std::num::NonZeroU16;

use super::property;
use super::{AckProperties, PacketType, ReasonCode, Version};
use crate::decode::{DecodeError, Reader};
use crate::encode::{EncodeError, Sink};

/// UNSUBACK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsubAck {
    /// The packet id of the UNSUBSCRIBE.
    pub packet_id: NonZeroU16,
    /// One per filter in version 5. 3.1.1 has none: they are not written, and
    /// read as an empty list.
    pub reasons: Vec<ReasonCode>,
    /// Version 5 only.
    pub properties: AckProperties,
}

impl UnsubAck {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let packet_id = reader.packet_id()?;
        let properties = property::read(reader)?;
        let mut reasons = Vec::new();
        if reader.version == Version::V5 {
            if reader.is_empty() {
                return Err(reader.protocol("reason codes", "are missing"));
            }
            while !reader.is_empty() {
                reader.count_filter(reasons.len())?;
                reasons.push(ReasonCode::read(PacketType::UnsubAck, reader)?);
            }
        }
        Ok(Self {
            packet_id,
            reasons,
            properties,
        })
    }

    pub(crate) fn write<S: Sink>(&self, version: Version, sink: &mut S) -> Result<(), EncodeError> {
        sink.u16(self.packet_id.get());
        if version == Version::V311 {
            return Ok(());
        }
        if self.reasons.is_empty() {
            return Err(EncodeError::Missing {
                field: "reason codes",
            });
        }
        property::write(sink, version, &self.properties)?;
        for reason in &self.reasons {
            reason.write(PacketType::UnsubAck, sink)?;
        }
        Ok(())
    }
}
