//! UNSUBSCRIBE: the filters a client gives up, as it wrote them.
//!
//! Source: mqtt5 section 3.10, mqtt311 section 3.10.

use std::num::NonZeroU16;

use super::property::{self, PropertyId as Id, ReadProperties, Values, WriteProperties, put_user};
use super::{UserProperties, Version};
use crate::decode::{DecodeError, Reader};
use crate::encode::{EncodeError, Sink};

/// UNSUBSCRIBE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsubscribe {
    /// What UNSUBACK will name.
    pub packet_id: NonZeroU16,
    /// One or more, perhaps invalid.
    pub filters: Vec<String>,
    /// Version 5 only.
    pub properties: UnsubscribeProperties,
}

/// The properties of UNSUBSCRIBE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnsubscribeProperties {
    /// User properties.
    pub user_properties: UserProperties,
}

impl Unsubscribe {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let packet_id = reader.packet_id()?;
        let properties = property::read(reader)?;
        // spec mqtt5 [MQTT-3.10.3-2]; spec mqtt311 [MQTT-3.10.3-2]
        if reader.is_empty() {
            return Err(reader.protocol("topic filters", "are missing"));
        }
        let mut filters = Vec::new();
        while !reader.is_empty() {
            reader.count_filter(filters.len())?;
            // spec mqtt5 [MQTT-3.10.3-1]; spec mqtt311 [MQTT-3.10.3-1]
            filters.push(reader.text("topic filter")?.to_owned());
        }
        Ok(Self {
            packet_id,
            filters,
            properties,
        })
    }

    pub(crate) fn write<S: Sink>(&self, version: Version, sink: &mut S) -> Result<(), EncodeError> {
        if self.filters.is_empty() {
            return Err(EncodeError::Missing {
                field: "topic filters",
            });
        }
        sink.u16(self.packet_id.get());
        property::write(sink, version, &self.properties)?;
        for filter in &self.filters {
            sink.text("topic filter", filter)?;
        }
        Ok(())
    }
}

impl ReadProperties for UnsubscribeProperties {
    fn read(&mut self, id: Id, values: &mut Values<'_>) -> Result<(), DecodeError> {
        match id {
            Id::UserProperty => values.user(&mut self.user_properties),
            _ => Err(values.foreign()),
        }
    }
}

impl WriteProperties for UnsubscribeProperties {
    fn write<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        put_user(sink, &self.user_properties)
    }
}
