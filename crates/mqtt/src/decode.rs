//! Bytes to packets: framing, the checks every packet shares, and who to blame.
//!
//! Incremental: with too few bytes the answer is "not yet", and a packet that
//! will be too large, or may not be sent at all, is refused from its first
//! bytes, before anyone buffers the rest. What is inside a packet is read in
//! that packet's file under `packet`.
//!
//! Deliberately not here: whether the packet is allowed *now* (a second
//! CONNECT, an unknown packet id); that is the session's question.
//!
//! Source: mqtt5 chapter 2 and section 4.13; mqtt311 chapter 2.

mod error;
mod reader;

use bytes::{Bytes, BytesMut};

pub use error::DecodeError;
pub(crate) use reader::Reader;
pub use reader::SHARED_PAYLOAD_BYTES_MIN;

use crate::packet::{
    Ack, Auth, ConnAck, Connect, Disconnect, Packet, PacketType, Publish, QoS, Sender, SubAck,
    Subscribe, UnsubAck, Unsubscribe, Version,
};
use crate::topic::TopicLimits;

/// What a received packet may be and cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Whose packets these are: a server reads a client's.
    pub sender: Sender,
    /// The largest packet, fixed header included, in bytes.
    pub packet_bytes_max: usize,
    /// Filters in one SUBSCRIBE or UNSUBSCRIBE.
    pub filters_max: usize,
    /// Keys and values of all user properties of one packet, in bytes; those of
    /// a will count apart from those of its CONNECT.
    pub user_property_bytes_max: usize,
    /// Topic names, wherever they stand: PUBLISH, will, Response Topic.
    pub topic: TopicLimits,
}

impl Limits {
    /// What the protocol itself permits, read by a server; the packet size and
    /// the two counts are still bounded, to values no honest client meets.
    // spec aws-iot [G-2]: limits that protect memory hold in every profile.
    pub const STANDARD: Self = Self {
        sender: Sender::Client,
        packet_bytes_max: 1024 * 1024,
        filters_max: 1024,
        user_property_bytes_max: 64 * 1024,
        topic: TopicLimits::STANDARD,
    };

    /// The quotas of AWS IoT, read by a server.
    // spec aws-iot [MQ-14], [MQ-30], [MQ-40], [MQ-83]
    pub const AWS: Self = Self {
        sender: Sender::Client,
        packet_bytes_max: 149_504,
        filters_max: 8,
        user_property_bytes_max: 8 * 1024,
        topic: TopicLimits::AWS,
    };
}

/// Reads the packet at the start of `bytes`, and how many bytes it took.
///
/// `None` when more bytes are needed. CONNECT names its own version, so
/// `version` counts for every other packet. Text and payload are copied.
///
/// # Errors
///
/// After an error nothing more of this connection can be read.
pub fn decode(
    bytes: &[u8],
    version: Version,
    limits: &Limits,
) -> Result<Option<(Packet, usize)>, DecodeError> {
    let Some(header) = Header::read(bytes, version, limits)? else {
        return Ok(None);
    };
    let Some(bytes) = bytes.get(..header.packet_bytes) else {
        return Ok(None);
    };
    let packet = header.body(bytes, None, version, limits)?;
    Ok(Some((packet, header.packet_bytes)))
}

/// Takes the packet at the start of `buffer` out of it.
///
/// As [`decode`], but a payload of at least 1,024 bytes shares the buffer's
/// memory instead of being copied. It keeps that memory alive, so whoever
/// stores a message for long should copy it.
///
/// # Errors
///
/// After an error nothing more of this connection can be read.
pub fn decode_from(
    buffer: &mut BytesMut,
    version: Version,
    limits: &Limits,
) -> Result<Option<Packet>, DecodeError> {
    let Some(header) = Header::read(buffer, version, limits)? else {
        return Ok(None);
    };
    if buffer.len() < header.packet_bytes {
        return Ok(None);
    }
    let packet = buffer.split_to(header.packet_bytes).freeze();
    header
        .body(&packet, Some(&packet), version, limits)
        .map(Some)
}

/// Reads the first packet of a connection, which must be CONNECT.
///
/// Any other packet is refused by its first byte, so a stranger cannot make the
/// server buffer one. As [`decode`] otherwise.
///
/// # Errors
///
/// After an error nothing more of this connection can be read.
// spec mqtt5 [MQTT-3.1.0-1]; spec mqtt311 [MQTT-3.1.0-1]
pub fn decode_connect(
    bytes: &[u8],
    limits: &Limits,
) -> Result<Option<(Connect, usize)>, DecodeError> {
    if let Some(&first) = bytes.first()
        && first >> 4 != PacketType::Connect as u8
    {
        return Err(DecodeError::Protocol {
            field: "first packet",
            why: "is not CONNECT",
            at: 0,
        });
    }
    // The version is not known yet; the frame of CONNECT is the same in both.
    match decode(bytes, Version::V311, limits)? {
        Some((Packet::Connect(connect), packet_bytes)) => Ok(Some((*connect, packet_bytes))),
        _ => Ok(None),
    }
}

/// The version that the CONNECT at the start of `bytes` names, for whoever has
/// to refuse it: it may be malformed behind that, or not all there.
///
/// `None` when it is of no version that is spoken here.
pub fn connect_version(bytes: &[u8]) -> Option<Version> {
    let (_, rest) = bytes.split_first()?;
    let (_, length_bytes) = remaining_length(rest, Version::V311).ok()??;
    match rest.get(length_bytes..)?.strip_prefix(b"\0\x04MQTT")? {
        [4, ..] => Some(Version::V311),
        [5, ..] => Some(Version::V5),
        _ => None,
    }
}

/// How many bytes the packet at the start of `bytes` has in all, once its
/// header tells; `None` before that.
///
/// # Errors
///
/// As [`decode`] for what the header alone gives away: a forbidden type, wrong
/// flags, a packet over the limit.
pub fn packet_len(
    bytes: &[u8],
    version: Version,
    limits: &Limits,
) -> Result<Option<usize>, DecodeError> {
    Ok(Header::read(bytes, version, limits)?.map(|header| header.packet_bytes))
}

/// The fixed header.
struct Header {
    packet_type: PacketType,
    /// The low four bits of the first byte.
    flags: u8,
    /// Where the body starts.
    body_at: usize,
    /// The whole packet, this header included.
    packet_bytes: usize,
}

/// Bytes that a Remaining Length has at most.
// spec mqtt5 [1.5.5]
const LENGTH_BYTES_MAX: usize = 4;

impl Header {
    fn read(bytes: &[u8], version: Version, limits: &Limits) -> Result<Option<Self>, DecodeError> {
        let Some((&first, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        let (packet_type, flags) = first_byte(first, version, limits.sender)?;
        let Some((remaining, length_bytes)) = remaining_length(rest, version)? else {
            return Ok(None);
        };
        let body_at = length_bytes.saturating_add(1);
        let packet_bytes = body_at.saturating_add(remaining);
        if limits.packet_bytes_max < packet_bytes {
            return Err(DecodeError::TooLarge {
                len: packet_bytes,
                max: limits.packet_bytes_max,
            });
        }
        Ok(Some(Self {
            packet_type,
            flags,
            body_at,
            packet_bytes,
        }))
    }

    /// Reads the body of the whole packet `bytes`; `shared` is the allocation
    /// it lies in, if there is one to share.
    fn body(
        &self,
        bytes: &[u8],
        shared: Option<&Bytes>,
        version: Version,
        limits: &Limits,
    ) -> Result<Packet, DecodeError> {
        let mut reader = Reader::new(bytes, shared, version, limits);
        reader.skip(self.body_at);
        let from = &mut reader;
        let packet = match self.packet_type {
            PacketType::Connect => Packet::Connect(Box::new(Connect::read(from)?)),
            PacketType::ConnAck => Packet::ConnAck(Box::new(ConnAck::read(from)?)),
            PacketType::Publish => Packet::Publish(Publish::read(self.flags, from)?),
            PacketType::PubAck => Packet::PubAck(Ack::read(self.packet_type, from)?),
            PacketType::PubRec => Packet::PubRec(Ack::read(self.packet_type, from)?),
            PacketType::PubRel => Packet::PubRel(Ack::read(self.packet_type, from)?),
            PacketType::PubComp => Packet::PubComp(Ack::read(self.packet_type, from)?),
            PacketType::Subscribe => Packet::Subscribe(Subscribe::read(from)?),
            PacketType::SubAck => Packet::SubAck(SubAck::read(from)?),
            PacketType::Unsubscribe => Packet::Unsubscribe(Unsubscribe::read(from)?),
            PacketType::UnsubAck => Packet::UnsubAck(UnsubAck::read(from)?),
            PacketType::PingReq => Packet::PingReq,
            PacketType::PingResp => Packet::PingResp,
            PacketType::Disconnect => Packet::Disconnect(Disconnect::read(from)?),
            PacketType::Auth => Packet::Auth(Auth::read(from)?),
        };
        if reader.is_empty() {
            Ok(packet)
        } else {
            Err(reader.malformed("packet", "has bytes after its end"))
        }
    }
}

/// What the first byte alone can get wrong.
fn first_byte(
    first: u8,
    version: Version,
    sender: Sender,
) -> Result<(PacketType, u8), DecodeError> {
    let malformed = |field, why| DecodeError::Malformed { field, why, at: 0 };
    let flags = first & 0x0F;
    let packet_type = PacketType::parse(first >> 4)
        .filter(|&known| known != PacketType::Auth || version == Version::V5)
        .ok_or_else(|| malformed("packet type", "is reserved"))?;
    match packet_type.fixed_flags() {
        Some(fixed) if flags != fixed => {
            return Err(malformed(
                "fixed header flags",
                "are not as the standard fixes them",
            ));
        }
        Some(_) => (),
        None => {
            // spec mqtt5 [MQTT-3.3.1-4]; spec mqtt311 [MQTT-3.3.1-4]
            let qos =
                QoS::parse((flags >> 1) & 0b11).ok_or_else(|| malformed("PUBLISH QoS", "is 3"))?;
            // spec mqtt5 [MQTT-3.3.1-2]; spec mqtt311 [MQTT-3.3.1-2]
            if qos == QoS::AtMostOnce && flags & 0b1000 != 0 {
                return Err(malformed("PUBLISH DUP", "is set for a QoS 0 message"));
            }
        }
    }
    if packet_type.sent_by(sender, version) {
        Ok((packet_type, flags))
    } else {
        Err(DecodeError::Protocol {
            field: "packet type",
            why: "is not for this side to send",
            at: 0,
        })
    }
}

/// The Remaining Length at the start of `bytes`, and the bytes it takes.
fn remaining_length(bytes: &[u8], version: Version) -> Result<Option<(usize, usize)>, DecodeError> {
    let field = "remaining length";
    let malformed = |why, at| DecodeError::Malformed { field, why, at };
    let mut value = 0_usize;
    for (index, &byte) in bytes.iter().take(LENGTH_BYTES_MAX).enumerate() {
        let length_bytes = index.saturating_add(1);
        value |= usize::from(byte & 0x7F) << index.saturating_mul(7);
        if byte & 0x80 == 0 {
            // spec mqtt5 [MQTT-1.5.5-1]: the shortest form; 3.1.1 asks for none.
            if byte == 0 && index > 0 && version == Version::V5 {
                return Err(malformed("is not in its shortest form", length_bytes));
            }
            return Ok(Some((value, length_bytes)));
        }
    }
    if bytes.len() < LENGTH_BYTES_MAX {
        Ok(None)
    } else {
        Err(malformed("is longer than four bytes", LENGTH_BYTES_MAX))
    }
}

#[cfg(test)]
mod tests;
