//! AUTH: a step of enhanced authentication. Version 5 only.
//!
//! Source: mqtt5 section 3.15.

use super::property::{self, PropertyId as Id, ReadProperties, Values, WriteProperties};
use super::property::{put, put_user};
use super::{PacketType, ReasonCode, Secret, Sender, UserProperties, Version};
use crate::decode::{DecodeError, Reader};
use crate::encode::{EncodeError, Sink};

/// AUTH.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Auth {
    /// Success, continue, or begin again.
    pub reason: ReasonCode,
    /// Empty only in the short form that says success.
    pub properties: AuthProperties,
}

/// The properties of AUTH.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthProperties {
    /// The method, always that of CONNECT.
    pub authentication_method: Option<String>,
    /// This step's data.
    pub authentication_data: Option<Secret>,
    /// Why, for people.
    pub reason_string: Option<String>,
    /// User properties.
    pub user_properties: UserProperties,
}

impl Auth {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        // spec mqtt5 [3.15.2.1]: nothing at all is success, which a server says.
        if reader.is_empty() && reader.limits.sender == Sender::Server {
            return Ok(Self::default());
        }
        let reason = ReasonCode::read(PacketType::Auth, reader)?;
        let here = reader.clone();
        let properties: AuthProperties = property::read(reader)?;
        // spec mqtt5 [3.15.2.2.2]
        if properties.authentication_method.is_none() {
            return Err(here.protocol("authentication method", "is missing"));
        }
        Ok(Self { reason, properties })
    }

    pub(crate) fn write<S: Sink>(&self, version: Version, sink: &mut S) -> Result<(), EncodeError> {
        if version == Version::V311 {
            return Err(EncodeError::NotInVersion { what: "AUTH" });
        }
        if *self == Self::default() {
            return Ok(());
        }
        if self.properties.authentication_method.is_none() {
            return Err(EncodeError::Missing {
                field: "authentication method",
            });
        }
        self.reason.write(PacketType::Auth, sink)?;
        property::write(sink, version, &self.properties)
    }
}

impl ReadProperties for AuthProperties {
    fn read(&mut self, id: Id, values: &mut Values<'_>) -> Result<(), DecodeError> {
        match id {
            Id::AuthenticationMethod => values.once(&mut self.authentication_method),
            Id::AuthenticationData => values.once(&mut self.authentication_data),
            Id::ReasonString => values.once(&mut self.reason_string),
            Id::UserProperty => values.user(&mut self.user_properties),
            _ => Err(values.foreign()),
        }
    }
}

impl WriteProperties for AuthProperties {
    fn write<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        put(sink, Id::AuthenticationMethod, &self.authentication_method)?;
        put(sink, Id::AuthenticationData, &self.authentication_data)?;
        put(sink, Id::ReasonString, &self.reason_string)?;
        put_user(sink, &self.user_properties)
    }
}
