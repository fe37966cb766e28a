//! SUBSCRIBE: the filters a client asks for, as it wrote them.
//!
//! Filters stay text here: an invalid one is answered with a SUBACK code of its
//! own and does not condemn the packet (`topic::parse_subscription` reads it).
//!
//! Source: mqtt5 section 3.8, mqtt311 section 3.8.

use std::num::NonZeroU16;

use super::property::{self, PropertyId as Id, ReadProperties, Values, WriteProperties};
use super::property::{put, put_user};
use super::{QoS, SubscriptionIdentifier, UserProperties, Version};
use crate::decode::{DecodeError, Reader};
use crate::encode::{EncodeError, Sink};
use crate::topic::SHARE_PREFIX;

/// SUBSCRIBE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    /// What SUBACK will name.
    pub packet_id: NonZeroU16,
    /// One or more.
    pub filters: Vec<SubscriptionRequest>,
    /// Version 5 only.
    pub properties: SubscribeProperties,
}

/// One filter of a SUBSCRIBE and how its messages are to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionRequest {
    /// The filter as written, perhaps `$share/…`, perhaps invalid.
    pub filter: String,
    /// The highest QoS at which to send.
    pub qos: QoS,
    /// Whether the client's own messages are left out (version 5).
    pub no_local: bool,
    /// Whether RETAIN is passed on as the publisher set it (version 5).
    pub retain_as_published: bool,
    /// Whether retained messages are sent now (version 5).
    pub retain_handling: RetainHandling,
}

/// When a subscription is sent the retained messages it matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RetainHandling {
    /// At every SUBSCRIBE; the only way in 3.1.1.
    #[default]
    Send = 0,
    /// If the subscription is new.
    SendIfNew = 1,
    /// Never.
    DoNotSend = 2,
}

/// The properties of SUBSCRIBE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscribeProperties {
    /// The number to send along with matching messages.
    pub subscription_identifier: Option<SubscriptionIdentifier>,
    /// User properties.
    pub user_properties: UserProperties,
}

impl Subscribe {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let packet_id = reader.packet_id()?;
        let properties = property::read(reader)?;
        // spec mqtt5 [MQTT-3.8.3-2]; spec mqtt311 [MQTT-3.8.3-3]
        if reader.is_empty() {
            return Err(reader.protocol("topic filters", "are missing"));
        }
        let mut filters = Vec::new();
        while !reader.is_empty() {
            reader.count_filter(filters.len())?;
            filters.push(SubscriptionRequest::read(reader)?);
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
        for request in &self.filters {
            sink.text("topic filter", &request.filter)?;
            sink.byte(request.options(version));
        }
        Ok(())
    }
}

const NO_LOCAL: u8 = 0x04;
const RETAIN_AS_PUBLISHED: u8 = 0x08;

impl SubscriptionRequest {
    /// Every matching message at up to `qos`, as 3.1.1 knows it.
    pub fn new(filter: &str, qos: QoS) -> Self {
        Self {
            filter: filter.to_owned(),
            qos,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::Send,
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        // spec mqtt5 [MQTT-3.8.3-1]; spec mqtt311 [MQTT-3.8.3-1]
        let filter = reader.text("topic filter")?;
        let here = reader.clone();
        let options = reader.byte("subscription options")?;
        // spec mqtt5 [MQTT-3.8.3-5]; spec mqtt311 [MQTT-3-8.3-4]
        let reserved = match reader.version {
            Version::V5 => 0b1100_0000,
            Version::V311 => 0b1111_1100,
        };
        if options & reserved != 0 {
            return Err(here.malformed("subscription options", "have reserved bits set"));
        }
        // spec mqtt5 [3.8.3.1]: a protocol error; 3.1.1 calls it malformed.
        let qos = QoS::parse(options & 0b11).ok_or_else(|| match reader.version {
            Version::V5 => here.protocol("subscription QoS", "is 3"),
            Version::V311 => here.malformed("subscription QoS", "is 3"),
        })?;
        let retain_handling = match options >> 4 {
            0 => RetainHandling::Send,
            1 => RetainHandling::SendIfNew,
            2 => RetainHandling::DoNotSend,
            _ => return Err(here.protocol("retain handling", "is 3")),
        };
        let no_local = options & NO_LOCAL != 0;
        // spec mqtt5 [MQTT-3.8.3-4]; spec aws-iot [MQ-75]
        if no_local && filter.starts_with(SHARE_PREFIX) {
            return Err(here.protocol("no local", "is set on a shared subscription"));
        }
        Ok(Self {
            filter: filter.to_owned(),
            qos,
            no_local,
            retain_as_published: options & RETAIN_AS_PUBLISHED != 0,
            retain_handling,
        })
    }

    fn options(&self, version: Version) -> u8 {
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        match version {
            Version::V311 => self.qos.number(),
            Version::V5 => {
                self.qos.number()
                    | bit(self.no_local, NO_LOCAL)
                    | bit(self.retain_as_published, RETAIN_AS_PUBLISHED)
                    | ((self.retain_handling as u8) << 4)
            }
        }
    }
}

impl ReadProperties for SubscribeProperties {
    fn read(&mut self, id: Id, values: &mut Values<'_>) -> Result<(), DecodeError> {
        match id {
            Id::SubscriptionIdentifier => values.once(&mut self.subscription_identifier),
            Id::UserProperty => values.user(&mut self.user_properties),
            _ => Err(values.foreign()),
        }
    }
}

impl WriteProperties for SubscribeProperties {
    fn write<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        put(
            sink,
            Id::SubscriptionIdentifier,
            &self.subscription_identifier,
        )?;
        put_user(sink, &self.user_properties)
    }
}
