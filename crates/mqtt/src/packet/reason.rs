//! Reason codes: what a peer is told about a request, and where each is legal.
//!
//! Version 5 has one set of codes for all packets; 3.1.1 has six CONNACK return
//! codes and one SUBACK failure, which are mapped here, in one place.
//!
//! Source: mqtt5 section 2.4 and the tables of each packet; mqtt311 3.2.2.3.

use super::{PacketType, QoS, Sender};
use crate::decode::{DecodeError, Reader};
use crate::encode::{EncodeError, Sink};

/// A version 5 reason code. Values below 0x80 are successes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ReasonCode {
    /// Success; also Normal disconnection and Granted QoS 0.
    #[default]
    Success = 0x00,
    /// Granted QoS 1.
    GrantedQoS1 = 0x01,
    /// Granted QoS 2.
    GrantedQoS2 = 0x02,
    /// Disconnect with will message.
    DisconnectWithWill = 0x04,
    /// No matching subscribers.
    NoMatchingSubscribers = 0x10,
    /// No subscription existed.
    NoSubscriptionExisted = 0x11,
    /// Continue authentication.
    ContinueAuthentication = 0x18,
    /// Re-authenticate.
    ReAuthenticate = 0x19,
    /// Unspecified error.
    UnspecifiedError = 0x80,
    /// Malformed packet.
    MalformedPacket = 0x81,
    /// Protocol error.
    ProtocolError = 0x82,
    /// Implementation specific error.
    ImplementationSpecificError = 0x83,
    /// Unsupported protocol version.
    UnsupportedProtocolVersion = 0x84,
    /// Client identifier not valid.
    ClientIdentifierNotValid = 0x85,
    /// Bad user name or password.
    BadUserNameOrPassword = 0x86,
    /// Not authorized.
    NotAuthorized = 0x87,
    /// Server unavailable.
    ServerUnavailable = 0x88,
    /// Server busy.
    ServerBusy = 0x89,
    /// Banned.
    Banned = 0x8A,
    /// Server shutting down.
    ServerShuttingDown = 0x8B,
    /// Bad authentication method.
    BadAuthenticationMethod = 0x8C,
    /// Keep alive timeout.
    KeepAliveTimeout = 0x8D,
    /// Session taken over.
    SessionTakenOver = 0x8E,
    /// Topic filter invalid.
    TopicFilterInvalid = 0x8F,
    /// Topic name invalid.
    TopicNameInvalid = 0x90,
    /// Packet identifier in use.
    PacketIdentifierInUse = 0x91,
    /// Packet identifier not found.
    PacketIdentifierNotFound = 0x92,
    /// Receive maximum exceeded.
    ReceiveMaximumExceeded = 0x93,
    /// Topic alias invalid.
    TopicAliasInvalid = 0x94,
    /// Packet too large.
    PacketTooLarge = 0x95,
    /// Message rate too high.
    MessageRateTooHigh = 0x96,
    /// Quota exceeded.
    QuotaExceeded = 0x97,
    /// Administrative action.
    AdministrativeAction = 0x98,
    /// Payload format invalid.
    PayloadFormatInvalid = 0x99,
    /// Retain not supported.
    RetainNotSupported = 0x9A,
    /// QoS not supported.
    QoSNotSupported = 0x9B,
    /// Use another server.
    UseAnotherServer = 0x9C,
    /// Server moved.
    ServerMoved = 0x9D,
    /// Shared subscriptions not supported.
    SharedSubscriptionsNotSupported = 0x9E,
    /// Connection rate exceeded.
    ConnectionRateExceeded = 0x9F,
    /// Maximum connect time.
    MaximumConnectTime = 0xA0,
    /// Subscription identifiers not supported.
    SubscriptionIdentifiersNotSupported = 0xA1,
    /// Wildcard subscriptions not supported.
    WildcardSubscriptionsNotSupported = 0xA2,
}

impl ReasonCode {
    /// Every code, in numeric order.
    pub const ALL: [Self; 43] = [
        Self::Success,
        Self::GrantedQoS1,
        Self::GrantedQoS2,
        Self::DisconnectWithWill,
        Self::NoMatchingSubscribers,
        Self::NoSubscriptionExisted,
        Self::ContinueAuthentication,
        Self::ReAuthenticate,
        Self::UnspecifiedError,
        Self::MalformedPacket,
        Self::ProtocolError,
        Self::ImplementationSpecificError,
        Self::UnsupportedProtocolVersion,
        Self::ClientIdentifierNotValid,
        Self::BadUserNameOrPassword,
        Self::NotAuthorized,
        Self::ServerUnavailable,
        Self::ServerBusy,
        Self::Banned,
        Self::ServerShuttingDown,
        Self::BadAuthenticationMethod,
        Self::KeepAliveTimeout,
        Self::SessionTakenOver,
        Self::TopicFilterInvalid,
        Self::TopicNameInvalid,
        Self::PacketIdentifierInUse,
        Self::PacketIdentifierNotFound,
        Self::ReceiveMaximumExceeded,
        Self::TopicAliasInvalid,
        Self::PacketTooLarge,
        Self::MessageRateTooHigh,
        Self::QuotaExceeded,
        Self::AdministrativeAction,
        Self::PayloadFormatInvalid,
        Self::RetainNotSupported,
        Self::QoSNotSupported,
        Self::UseAnotherServer,
        Self::ServerMoved,
        Self::SharedSubscriptionsNotSupported,
        Self::ConnectionRateExceeded,
        Self::MaximumConnectTime,
        Self::SubscriptionIdentifiersNotSupported,
        Self::WildcardSubscriptionsNotSupported,
    ];

    /// The code with this value; `None` if the standard has none.
    pub fn parse(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.byte() == byte)
    }

    /// Its value on the wire of version 5.
    pub fn byte(self) -> u8 {
        self as u8
    }

    /// Whether it reports a failure (0x80 and above).
    pub fn is_error(self) -> bool {
        self.byte() >= 0x80
    }

    /// Whether the standard lets `sender` put it into a packet of this type.
    ///
    /// False for every packet that carries no reason code.
    pub fn legal_in(self, packet: PacketType, sender: Sender) -> bool {
        let byte = self.byte();
        match packet {
            // spec mqtt5 [MQTT-3.2.2-8]
            PacketType::ConnAck => {
                matches!(byte, 0x00 | 0x80..=0x8A | 0x8C | 0x90 | 0x95 | 0x97 | 0x99..=0x9D | 0x9F)
            }
            // spec mqtt5 [MQTT-3.4.2-1], [MQTT-3.5.2-1]
            PacketType::PubAck | PacketType::PubRec => {
                matches!(
                    byte,
                    0x00 | 0x10 | 0x80 | 0x83 | 0x87 | 0x90 | 0x91 | 0x97 | 0x99
                )
            }
            // spec mqtt5 [MQTT-3.6.2-1], [MQTT-3.7.2-1]
            PacketType::PubRel | PacketType::PubComp => matches!(byte, 0x00 | 0x92),
            // spec mqtt5 [MQTT-3.9.3-2]
            PacketType::SubAck => matches!(
                byte,
                0x00..=0x02 | 0x80 | 0x83 | 0x87 | 0x8F | 0x91 | 0x97 | 0x9E | 0xA1 | 0xA2
            ),
            // spec mqtt5 [MQTT-3.11.3-2]
            PacketType::UnsubAck => {
                matches!(byte, 0x00 | 0x11 | 0x80 | 0x83 | 0x87 | 0x8F | 0x91)
            }
            // spec mqtt5 [MQTT-3.14.2-1]
            PacketType::Disconnect => match sender {
                Sender::Client => {
                    matches!(byte, 0x00 | 0x04 | 0x80..=0x83 | 0x90 | 0x93..=0x99)
                }
                Sender::Server => matches!(
                    byte,
                    0x00 | 0x80..=0x83 | 0x87 | 0x89 | 0x8B | 0x8D..=0x90 | 0x93..=0xA2
                ),
            },
            // spec mqtt5 [MQTT-3.15.2-1]
            PacketType::Auth => match sender {
                Sender::Client => matches!(byte, 0x18 | 0x19),
                Sender::Server => matches!(byte, 0x00 | 0x18),
            },
            _ => false,
        }
    }

    /// The 3.1.1 CONNACK return code; `None` says: close without CONNACK.
    ///
    /// A refusal by a custom authorizer must be given as `NotAuthorized` to a
    /// 3.1.1 client, as the contract asks for 0x05 there.
    // spec aws-iot [MQ-17]: denied by policy is 0x05; quota, will topic and
    // will QoS have no return code in 3.1.1 and close.
    pub fn connack_v311(self) -> Option<u8> {
        match self {
            Self::Success => Some(0x00),
            Self::UnsupportedProtocolVersion => Some(0x01),
            Self::ClientIdentifierNotValid => Some(0x02),
            Self::ServerUnavailable | Self::ServerBusy => Some(0x03),
            Self::BadUserNameOrPassword => Some(0x04),
            Self::NotAuthorized | Self::Banned => Some(0x05),
            _ => None,
        }
    }

    /// What a 3.1.1 CONNACK return code means; `None` for reserved values.
    pub fn from_connack_v311(byte: u8) -> Option<Self> {
        match byte {
            0x00 => Some(Self::Success),
            0x01 => Some(Self::UnsupportedProtocolVersion),
            0x02 => Some(Self::ClientIdentifierNotValid),
            0x03 => Some(Self::ServerUnavailable),
            0x04 => Some(Self::BadUserNameOrPassword),
            0x05 => Some(Self::NotAuthorized),
            _ => None,
        }
    }

    /// The 3.1.1 SUBACK return code: the granted QoS, or 0x80 for any failure.
    // spec aws-iot [MQ-43]
    pub fn suback_v311(self) -> u8 {
        if self.is_error() { 0x80 } else { self.byte() }
    }

    /// What a 3.1.1 SUBACK return code means; `None` for reserved values.
    // spec mqtt311 [MQTT-3.9.3-2]
    pub fn from_suback_v311(byte: u8) -> Option<Self> {
        match byte {
            0x00 => Some(Self::Success),
            0x01 => Some(Self::GrantedQoS1),
            0x02 => Some(Self::GrantedQoS2),
            0x80 => Some(Self::UnspecifiedError),
            _ => None,
        }
    }

    /// The code that grants a subscription at `qos`.
    pub fn granted(qos: QoS) -> Self {
        match qos {
            QoS::AtMostOnce => Self::Success,
            QoS::AtLeastOnce => Self::GrantedQoS1,
            QoS::ExactlyOnce => Self::GrantedQoS2,
        }
    }

    /// Reads the code that a version 5 packet of this type carries.
    pub(crate) fn read(packet: PacketType, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let here = reader.clone();
        let reason = Self::parse(reader.byte("reason code")?)
            .ok_or_else(|| here.malformed("reason code", "is not known"))?;
        if reason.legal_in(packet, reader.limits.sender) {
            Ok(reason)
        } else {
            Err(here.protocol("reason code", "is not for this packet"))
        }
    }

    /// Writes the code into a version 5 packet of this type.
    pub(crate) fn write<S: Sink>(
        self,
        packet: PacketType,
        sink: &mut S,
    ) -> Result<(), EncodeError> {
        if self.legal_in(packet, Sender::Client) || self.legal_in(packet, Sender::Server) {
            sink.byte(self.byte());
            Ok(())
        } else {
            Err(EncodeError::ReasonCode {
                reason: self,
                packet,
            })
        }
    }
}
