//! DISCONNECT: the last packet of a connection, and in version 5 the reason.
//!
//! In 3.1.1 only a client sends it, and only to say goodbye: whatever else a
//! peer has to say there, it says by closing.
//!
//! Source: mqtt5 section 3.14, mqtt311 section 3.14.

use super::property::{self, PropertyId as Id, ReadProperties, Values, WriteProperties};
use super::property::{put, put_user};
use super::{PacketType, ReasonCode, Sender, UserProperties, Version};
use crate::decode::{DecodeError, Reader};
use crate::encode::{EncodeError, Sink};

/// DISCONNECT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disconnect {
    /// Why.
    pub reason: ReasonCode,
    /// Version 5 only.
    pub properties: DisconnectProperties,
}

/// The properties of DISCONNECT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DisconnectProperties {
    /// From a client: the session expiry from now on, in seconds.
    pub session_expiry_s: Option<u32>,
    /// Why, for people.
    pub reason_string: Option<String>,
    /// User properties.
    pub user_properties: UserProperties,
    /// From a server: another server to use.
    pub server_reference: Option<String>,
}

impl Disconnect {
    /// A DISCONNECT that says nothing but `reason`.
    pub fn new(reason: ReasonCode) -> Self {
        Self {
            reason,
            properties: DisconnectProperties::default(),
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut disconnect = Self::default();
        // spec mqtt5 [3.14.2.1], [3.14.2.2.1]: reason and properties may be left out.
        if reader.version == Version::V5 && !reader.is_empty() {
            disconnect.reason = ReasonCode::read(PacketType::Disconnect, reader)?;
            if !reader.is_empty() {
                disconnect.properties = property::read(reader)?;
            }
        }
        Ok(disconnect)
    }

    pub(crate) fn write<S: Sink>(&self, version: Version, sink: &mut S) -> Result<(), EncodeError> {
        if version == Version::V311 {
            return match self.reason {
                ReasonCode::Success => Ok(()),
                _ => Err(EncodeError::NotInVersion {
                    what: "a reason to disconnect",
                }),
            };
        }
        let plain = self.properties == DisconnectProperties::default();
        if self.reason != ReasonCode::Success || !plain {
            self.reason.write(PacketType::Disconnect, sink)?;
        }
        if plain {
            Ok(())
        } else {
            property::write(sink, version, &self.properties)
        }
    }
}

impl ReadProperties for DisconnectProperties {
    fn read(&mut self, id: Id, values: &mut Values<'_>) -> Result<(), DecodeError> {
        match id {
            // spec mqtt5 [MQTT-3.14.2-2]
            Id::SessionExpiryInterval if values.sender() == Sender::Server => {
                Err(values.protocol("is not for a server to send"))
            }
            Id::SessionExpiryInterval => values.once(&mut self.session_expiry_s),
            Id::ReasonString => values.once(&mut self.reason_string),
            Id::UserProperty => values.user(&mut self.user_properties),
            // spec mqtt5 [3.14.2.2.5]
            Id::ServerReference if values.sender() == Sender::Client => {
                Err(values.protocol("is not for a client to send"))
            }
            Id::ServerReference => values.once(&mut self.server_reference),
            _ => Err(values.foreign()),
        }
    }
}

impl WriteProperties for DisconnectProperties {
    fn write<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        put(sink, Id::SessionExpiryInterval, &self.session_expiry_s)?;
        put(sink, Id::ReasonString, &self.reason_string)?;
        put_user(sink, &self.user_properties)?;
        put(sink, Id::ServerReference, &self.server_reference)
    }
}
