//! A copy of an image that names its topic by an alias.
//!
//! An image knows no alias, as those belong to one connection. A copy for a receiver that takes
//! them is put together from the image's parts: the topic may be left out, and one more property
//! stands before the others.

use std::num::NonZeroU16;

use bytes::BytesMut;

use super::image::PublishImage;
use super::{EncodeError, Sink, fits, packet_len};
use crate::packet::property::PropertyId;
use crate::session::Alias;

/// Identifier and value.
const ALIAS_BYTES: usize = 3;

/// The parts of the head of an image of version 5.
struct Parts<'a> {
    first: u8,
    /// With its two length bytes.
    topic: &'a [u8],
    has_packet_id: bool,
    /// Without their length.
    properties: &'a [u8],
}

/// A number of variable length, and how many bytes it takes.
fn var_int(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0_usize;
    for (index, &byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7F) << index.saturating_mul(7);
        if byte & 0x80 == 0 {
            return Some((value, index.saturating_add(1)));
        }
    }
    None
}

impl<'a> Parts<'a> {
    fn of(head: &'a [u8], has_packet_id: bool) -> Option<Self> {
        let (&first, rest) = head.split_first()?;
        let (_, length_bytes) = var_int(rest)?;
        let body = rest.get(length_bytes..)?;
        let topic_len = usize::from(u16::from_be_bytes(*body.first_chunk()?));
        let (topic, rest) = body.split_at_checked(topic_len.saturating_add(2))?;
        let rest = rest.get(if has_packet_id { 2 } else { 0 }..)?;
        let (len, length_bytes) = var_int(rest)?;
        let properties = rest.get(length_bytes..)?;
        (properties.len() == len).then_some(Self {
            first,
            topic,
            has_packet_id,
            properties,
        })
    }
}

impl PublishImage {
    /// Appends the whole packet to `out`, its topic named as `alias` says. The image is of
    /// version 5, and `packet_bytes_max` what the receiver takes.
    ///
    /// A packet that is too large only because a new alias is given in it goes without; then, and
    /// with [`Alias::Name`], this is [`PublishImage::write`]. Returns whether the alias is in it.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Missing`] for QoS 1 and 2 without a packet id.
    // spec mqtt5 [3.3.2.3.4]
    pub fn write_aliased(
        &self,
        payload: &[u8],
        alias: Alias,
        packet_id: Option<NonZeroU16>,
        dup: bool,
        packet_bytes_max: usize,
        out: &mut BytesMut,
    ) -> Result<bool, EncodeError> {
        let (number, named) = match alias {
            Alias::Name => (None, true),
            Alias::Assign(number) => (Some(number), true),
            Alias::Use(number) => (Some(number), false),
        };
        let parts = Parts::of(self.head(), self.has_packet_id());
        let (Some(number), Some(parts)) = (number, parts) else {
            self.write(payload, packet_id, dup, out)?;
            return Ok(false);
        };
        if parts.has_packet_id && packet_id.is_none() {
            return Err(EncodeError::Missing {
                field: "packet identifier",
            });
        }
        let topic: &[u8] = if named { parts.topic } else { &[0, 0] };
        let properties = parts.properties.len().saturating_add(ALIAS_BYTES);
        // The packet's length less its first byte is the length of a body with that before it.
        let property_bytes = packet_len(properties).saturating_sub(1);
        let id_bytes = if parts.has_packet_id { 2 } else { 0 };
        let body = [topic.len(), id_bytes, property_bytes, payload.len()];
        let body = body.into_iter().fold(0, usize::saturating_add);
        if packet_bytes_max < packet_len(body) || fits(body).is_err() {
            self.write(payload, packet_id, dup, out)?;
            return Ok(false);
        }
        out.reserve(packet_len(body));
        out.byte(parts.first | u8::from(dup && parts.has_packet_id) << 3);
        out.var_int("remaining length", body)?;
        out.bytes(topic);
        if let Some(packet_id) = packet_id.filter(|_| parts.has_packet_id) {
            out.u16(packet_id.get());
        }
        out.var_int("property length", properties)?;
        out.byte(PropertyId::TopicAlias as u8);
        out.u16(number.get());
        out.bytes(parts.properties);
        out.bytes(payload);
        Ok(true)
    }
}
