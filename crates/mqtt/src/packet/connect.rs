//! CONNECT: who the client says it is, and what it wants of the session.
//!
//! An empty client id, and what to do about it, is the broker's decision; so is
//! every limit on keep alive and session expiry. Both are only reported.
//!
//! Source: mqtt5 section 3.1, mqtt311 section 3.1.

use std::fmt;
use std::num::{NonZeroU16, NonZeroU32};

use bytes::Bytes;

use super::property::{
    self, PropertyId as Id, ReadProperties, Values, WriteProperties, put, put_user,
};
use super::{PayloadFormat, QoS, Secret, UserProperties, Version};
use crate::decode::{DecodeError, Reader};
use crate::encode::{EncodeError, Sink};
use crate::topic::TopicName;

/// CONNECT.
#[derive(Clone, PartialEq, Eq)]
pub struct Connect {
    /// The version the client speaks, and is to be answered in.
    pub version: Version,
    /// Empty when the server is asked to assign one.
    pub client_id: String,
    /// Clean Start; in 3.1.1 Clean Session, which also ends the session with
    /// the connection.
    pub clean_start: bool,
    /// Keep Alive as asked for, in seconds; 0 switches it off.
    pub keep_alive_s: u16,
    /// The message to publish when the connection ends badly.
    pub will: Option<Will>,
    /// The user name. AWS SDKs put metrics and authorizer tokens here.
    pub username: Option<String>,
    /// The password.
    pub password: Option<Secret>,
    /// Version 5 only.
    pub properties: ConnectProperties,
}

/// The user name may hold an authorizer's token, so it is not shown either.
impl fmt::Debug for Connect {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Connect")
            .field("version", &self.version)
            .field("client_id", &self.client_id)
            .field("clean_start", &self.clean_start)
            .field("keep_alive_s", &self.keep_alive_s)
            .field("will", &self.will)
            .field("has_username", &self.username.is_some())
            .field("password", &self.password)
            .field("properties", &self.properties)
            .finish()
    }
}

/// The last will.
#[derive(Clone, PartialEq, Eq)]
pub struct Will {
    /// Where it is published.
    pub topic: TopicName,
    /// Its payload.
    pub payload: Bytes,
    /// At which QoS.
    pub qos: QoS,
    /// Whether it becomes the topic's retained message.
    pub retain: bool,
    /// Version 5 only.
    pub properties: WillProperties,
}

impl fmt::Debug for Will {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Will")
            .field("topic", &self.topic)
            .field("payload_bytes", &self.payload.len())
            .field("qos", &self.qos)
            .field("retain", &self.retain)
            .field("properties", &self.properties)
            .finish()
    }
}

/// The properties of CONNECT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectProperties {
    /// How long the session outlives the connection, in seconds; absent is 0,
    /// the largest value is for ever.
    pub session_expiry_s: Option<u32>,
    /// QoS 1 and 2 messages the client takes at once; absent is 65,535.
    pub receive_maximum: Option<NonZeroU16>,
    /// The largest packet the client takes, in bytes; absent is no limit.
    pub packet_bytes_max: Option<NonZeroU32>,
    /// The highest topic alias the client takes; absent is 0.
    pub topic_alias_maximum: Option<u16>,
    /// Whether CONNACK should hold Response Information; absent is no.
    pub request_response_information: Option<bool>,
    /// Whether reason strings may be sent anywhere; absent is yes.
    pub request_problem_information: Option<bool>,
    /// User properties.
    pub user_properties: UserProperties,
    /// The method of enhanced authentication.
    pub authentication_method: Option<String>,
    /// Its first data.
    pub authentication_data: Option<Secret>,
}

/// The properties of a will.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WillProperties {
    /// How long after the connection's end to publish, in seconds; absent is 0.
    pub delay_s: Option<u32>,
    /// What the payload is said to be.
    pub payload_format: Option<PayloadFormat>,
    /// How long the message lives once published, in seconds.
    pub message_expiry_s: Option<u32>,
    /// The payload's content type, by agreement of the peers.
    pub content_type: Option<String>,
    /// Where an answer is expected.
    pub response_topic: Option<TopicName>,
    /// What the answer is recognised by.
    pub correlation_data: Option<Bytes>,
    /// User properties.
    pub user_properties: UserProperties,
}

const PROTOCOL_NAME: &str = "MQTT";
/// The protocol name of MQTT 3.1.
const PROTOCOL_NAME_V31: &str = "MQIsdp";

const RESERVED: u8 = 0x01;
const CLEAN_START: u8 = 0x02;
const WILL: u8 = 0x04;
const WILL_RETAIN: u8 = 0x20;
const PASSWORD: u8 = 0x40;
const USERNAME: u8 = 0x80;

impl Connect {
    // spec mqtt5 [MQTT-3.1.3-1], [MQTT-3.1.3-3], [MQTT-3.1.3-4], [MQTT-3.1.3-12], [MQTT-3.1.2-16]
    // spec mqtt5 [MQTT-3.1.2-17], [MQTT-3.1.2-18], [MQTT-3.1.2-19]
    // spec mqtt311 [MQTT-3.1.3-1], [MQTT-3.1.3-3], [MQTT-3.1.3-4], [MQTT-3.1.3-11], [MQTT-3.1.2-18]
    // spec mqtt311 [MQTT-3.1.2-19], [MQTT-3.1.2-20], [MQTT-3.1.2-21]
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.version = read_version(reader)?;
        let flags = read_flags(reader)?;
        let keep_alive_s = reader.u16("keep alive")?;
        let properties: ConnectProperties = property::read(reader)?;
        // spec mqtt5 [3.1.2.11.10]
        if properties.authentication_data.is_some() && properties.authentication_method.is_none() {
            return Err(reader.protocol("authentication data", "comes without a method"));
        }
        let client_id = reader.text("client identifier")?.to_owned();
        let will = match flags & WILL {
            0 => None,
            _ => Some(Will::read(flags, reader)?),
        };
        let username = match flags & USERNAME {
            0 => None,
            _ => Some(reader.text("user name")?.to_owned()),
        };
        let password = match flags & PASSWORD {
            0 => None,
            _ => Some(Secret::new(reader.binary("password")?)),
        };
        Ok(Self {
            version: reader.version,
            client_id,
            clean_start: flags & CLEAN_START != 0,
            keep_alive_s,
            will,
            username,
            password,
            properties,
        })
    }

    pub(crate) fn write<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        let version = self.version;
        if version == Version::V311 && self.password.is_some() && self.username.is_none() {
            return Err(EncodeError::Missing { field: "user name" });
        }
        let auth = &self.properties;
        if auth.authentication_data.is_some() && auth.authentication_method.is_none() {
            return Err(EncodeError::Missing {
                field: "authentication method",
            });
        }
        sink.text("protocol name", PROTOCOL_NAME)?;
        sink.byte(version.level());
        sink.byte(self.flags());
        sink.u16(self.keep_alive_s);
        property::write(sink, version, &self.properties)?;
        sink.text("client identifier", &self.client_id)?;
        if let Some(will) = &self.will {
            property::write(sink, version, &will.properties)?;
            sink.text("will topic", will.topic.as_str())?;
            sink.binary("will payload", &will.payload)?;
        }
        if let Some(username) = &self.username {
            sink.text("user name", username)?;
        }
        match &self.password {
            Some(password) => sink.binary("password", password.expose()),
            None => Ok(()),
        }
    }

    fn flags(&self) -> u8 {
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        let will = self.will.as_ref().map_or(0, |will| {
            WILL | (will.qos.number() << 3) | bit(will.retain, WILL_RETAIN)
        });
        will | bit(self.clean_start, CLEAN_START)
            | bit(self.username.is_some(), USERNAME)
            | bit(self.password.is_some(), PASSWORD)
    }
}

// spec mqtt5 [MQTT-3.1.2-1], [MQTT-3.1.2-2]; spec mqtt311 [MQTT-3.1.2-1], [MQTT-3.1.2-2]
// spec aws-iot [MQ-1]: MQTT 3.1 is told so, not just closed.
fn read_version(reader: &mut Reader<'_>) -> Result<Version, DecodeError> {
    let not_mqtt = reader.malformed("protocol name", "is not MQTT");
    let name = reader.text("protocol name")?;
    let at = reader.at();
    match (name, reader.byte("protocol level")?) {
        (PROTOCOL_NAME, 4) => Ok(Version::V311),
        (PROTOCOL_NAME, 5) => Ok(Version::V5),
        (PROTOCOL_NAME | PROTOCOL_NAME_V31, level) => {
            let answer_in = if level > 5 && name == PROTOCOL_NAME {
                Version::V5
            } else {
                Version::V311
            };
            Err(DecodeError::UnsupportedVersion {
                level,
                answer_in,
                at,
            })
        }
        _ => Err(not_mqtt),
    }
}

fn read_flags(reader: &mut Reader<'_>) -> Result<u8, DecodeError> {
    let here = reader.clone();
    let flags = reader.byte("connect flags")?;
    // spec mqtt5 [MQTT-3.1.2-3]; spec mqtt311 [MQTT-3.1.2-3]
    if flags & RESERVED != 0 {
        return Err(here.malformed("connect flags", "have the reserved bit set"));
    }
    // spec mqtt5 [MQTT-3.1.2-11], [MQTT-3.1.2-13]; spec mqtt311 [MQTT-3.1.2-13], [MQTT-3.1.2-15]
    if flags & WILL == 0 && flags & 0b0011_1000 != 0 {
        return Err(here.malformed("connect flags", "describe a will that is not there"));
    }
    // spec mqtt311 [MQTT-3.1.2-22]; version 5 lifted it.
    if reader.version == Version::V311 && flags & USERNAME == 0 && flags & PASSWORD != 0 {
        return Err(here.malformed("connect flags", "announce a password without a user name"));
    }
    // spec mqtt5 [MQTT-3.1.2-12]; spec mqtt311 [MQTT-3.1.2-14]
    match will_qos(flags) {
        Some(_) => Ok(flags),
        None => Err(here.malformed("will QoS", "is 3")),
    }
}

fn will_qos(flags: u8) -> Option<QoS> {
    QoS::parse((flags >> 3) & 0b11)
}

impl Will {
    // spec mqtt5 [MQTT-3.1.2-9], [MQTT-3.1.3-11], [MQTT-3.1.3-10]
    // spec mqtt311 [MQTT-3.1.2-9], [MQTT-3.1.3-10]
    fn read(flags: u8, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            properties: property::read(reader)?,
            topic: reader.topic("will topic")?,
            payload: reader.binary("will payload")?,
            qos: will_qos(flags).unwrap_or_default(),
            retain: flags & WILL_RETAIN != 0,
        })
    }
}

impl ReadProperties for ConnectProperties {
    fn read(&mut self, id: Id, values: &mut Values<'_>) -> Result<(), DecodeError> {
        match id {
            Id::SessionExpiryInterval => values.once(&mut self.session_expiry_s),
            Id::ReceiveMaximum => values.once(&mut self.receive_maximum),
            Id::MaximumPacketSize => values.once(&mut self.packet_bytes_max),
            Id::TopicAliasMaximum => values.once(&mut self.topic_alias_maximum),
            Id::RequestResponseInformation => values.once(&mut self.request_response_information),
            Id::RequestProblemInformation => values.once(&mut self.request_problem_information),
            Id::UserProperty => values.user(&mut self.user_properties),
            Id::AuthenticationMethod => values.once(&mut self.authentication_method),
            Id::AuthenticationData => values.once(&mut self.authentication_data),
            _ => Err(values.foreign()),
        }
    }
}

impl WriteProperties for ConnectProperties {
    fn write<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        put(sink, Id::SessionExpiryInterval, &self.session_expiry_s)?;
        put(sink, Id::ReceiveMaximum, &self.receive_maximum)?;
        put(sink, Id::MaximumPacketSize, &self.packet_bytes_max)?;
        put(sink, Id::TopicAliasMaximum, &self.topic_alias_maximum)?;
        put(
            sink,
            Id::RequestResponseInformation,
            &self.request_response_information,
        )?;
        put(
            sink,
            Id::RequestProblemInformation,
            &self.request_problem_information,
        )?;
        put_user(sink, &self.user_properties)?;
        put(sink, Id::AuthenticationMethod, &self.authentication_method)?;
        put(sink, Id::AuthenticationData, &self.authentication_data)
    }
}

impl ReadProperties for WillProperties {
    fn read(&mut self, id: Id, values: &mut Values<'_>) -> Result<(), DecodeError> {
        match id {
            Id::WillDelayInterval => values.once(&mut self.delay_s),
            Id::PayloadFormat => values.once(&mut self.payload_format),
            Id::MessageExpiryInterval => values.once(&mut self.message_expiry_s),
            Id::ContentType => values.once(&mut self.content_type),
            Id::ResponseTopic => values.once(&mut self.response_topic),
            Id::CorrelationData => values.once(&mut self.correlation_data),
            Id::UserProperty => values.user(&mut self.user_properties),
            _ => Err(values.foreign()),
        }
    }
}

impl WriteProperties for WillProperties {
    fn write<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        put(sink, Id::WillDelayInterval, &self.delay_s)?;
        put(sink, Id::PayloadFormat, &self.payload_format)?;
        put(sink, Id::MessageExpiryInterval, &self.message_expiry_s)?;
        put(sink, Id::ContentType, &self.content_type)?;
        put(sink, Id::ResponseTopic, &self.response_topic)?;
        put(sink, Id::CorrelationData, &self.correlation_data)?;
        put_user(sink, &self.user_properties)
    }
}
