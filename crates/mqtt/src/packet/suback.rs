//! SUBACK: one answer for each filter of a SUBSCRIBE, in its order.
//!
//! Source: mqtt5 section 3.9, mqtt311 section 3.9.

use std::num::NonZeroU16;

use super::property;
use super::{AckProperties, PacketType, ReasonCode, Version};
use crate::decode::{DecodeError, Reader};
use crate::encode::{EncodeError, Sink};

/// SUBACK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubAck {
    /// The packet id of the SUBSCRIBE.
    pub packet_id: NonZeroU16,
    /// The granted QoS or the refusal, one per filter. In 3.1.1 every refusal
    /// is 0x80.
    pub reasons: Vec<ReasonCode>,
    /// Version 5 only.
    pub properties: AckProperties,
}

impl SubAck {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let packet_id = reader.packet_id()?;
        let properties = property::read(reader)?;
        if reader.is_empty() {
            return Err(reader.protocol("reason codes", "are missing"));
        }
        let mut reasons = Vec::new();
        while !reader.is_empty() {
            reader.count_filter(reasons.len())?;
            reasons.push(match reader.version {
                Version::V5 => ReasonCode::read(PacketType::SubAck, reader)?,
                Version::V311 => {
                    let reserved = reader.malformed("return code", "is reserved");
                    ReasonCode::from_suback_v311(reader.byte("return code")?).ok_or(reserved)?
                }
            });
        }
        Ok(Self {
            packet_id,
            reasons,
            properties,
        })
    }

    pub(crate) fn write<S: Sink>(&self, version: Version, sink: &mut S) -> Result<(), EncodeError> {
        if self.reasons.is_empty() {
            return Err(EncodeError::Missing {
                field: "reason codes",
            });
        }
        sink.u16(self.packet_id.get());
        property::write(sink, version, &self.properties)?;
        for &reason in &self.reasons {
            match version {
                Version::V5 => reason.write(PacketType::SubAck, sink)?,
                Version::V311 => sink.byte(reason.suback_v311()),
            }
        }
        Ok(())
    }
}
