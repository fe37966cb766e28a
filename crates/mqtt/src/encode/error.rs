//! Why a packet cannot be written: always the caller's mistake or a limit.

use crate::packet::{PacketType, ReasonCode};

/// Why a packet cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A text or binary field has more bytes than its length can say.
    #[error("{field} of {len} bytes is over the limit of 65535")]
    TooLong {
        /// The field.
        field: &'static str,
        /// Its bytes.
        len: usize,
    },
    /// A text field holds U+0000, which no receiver accepts.
    #[error("{field} holds U+0000")]
    BadText {
        /// The field.
        field: &'static str,
    },
    /// A number has no form on the wire.
    #[error("{field} is out of range")]
    OutOfRange {
        /// The field.
        field: &'static str,
    },
    /// A field that this packet needs is not there.
    #[error("{field} is missing")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// The reason code is not for this packet.
    #[error("reason {reason:?} is not for {packet:?}")]
    ReasonCode {
        /// The code.
        reason: ReasonCode,
        /// The packet.
        packet: PacketType,
    },
    /// MQTT 3.1.1 cannot say this; the caller closes, or does not say it.
    #[error("{what} cannot be said in MQTT 3.1.1")]
    NotInVersion {
        /// What there is no form for.
        what: &'static str,
    },
    /// The packet is larger than the receiver, or the protocol, accepts.
    #[error("packet of {len} bytes is over the limit of {max}")]
    TooLarge {
        /// The packet, in bytes.
        len: usize,
        /// The limit, in bytes.
        max: usize,
    },
}
