//! A PUBLISH encoded once and copied to many.
//!
//! A message that goes to thousands of subscribers differs between them in the
//! packet id alone, if they speak the same version at the same QoS. Such a
//! class is encoded once; each copy patches the id. Copying a small image costs
//! a few nanoseconds, encoding it some hundred.
//!
//! Topic aliases belong to one connection, so an image never uses one; `aliased` puts one into a
//! copy. The payload is not part of
//! an image: it is the same in every class, and whoever writes a copy has the message.

use std::num::NonZeroU16;

use bytes::BytesMut;

use super::{EncodeError, Len, Sink, fits, packet_len};
use crate::packet::{PacketType, Publish, PublishHead, QoS, SubscriptionIdentifier, Version};

/// What deliveries of one message must share to be the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeliveryClass<'a> {
    /// The version the subscribers speak.
    pub version: Version,
    /// The QoS of the delivery.
    pub qos: QoS,
    /// The RETAIN flag of the delivery.
    pub retain: bool,
    /// How long the message still lives, in seconds.
    pub message_expiry_s: Option<u32>,
    /// The subscription identifiers to send along.
    pub subscription_identifiers: &'a [SubscriptionIdentifier],
}

/// The bytes of a delivery, but for packet id and DUP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishImage {
    /// Fixed header, topic, packet id, properties.
    head: BytesMut,
    /// Where in `head` the packet id stands; `None` for QoS 0.
    packet_id_at: Option<usize>,
    payload_bytes: usize,
}

impl PublishImage {
    /// Encodes `message` for `class`.
    ///
    /// Topic and the properties that a server forwards come from the message; the rest is the
    /// class's.
    ///
    /// # Errors
    ///
    /// As [`super::encode`]; [`EncodeError::Missing`] when the message has an
    /// alias for a topic.
    pub fn encode(message: &Publish, class: &DeliveryClass<'_>) -> Result<Self, EncodeError> {
        let mut image = Self::default();
        image.encode_again(message, class)?;
        Ok(image)
    }

    /// As [`PublishImage::encode`], in the memory of an image that is no longer needed.
    ///
    /// # Errors
    ///
    /// As [`PublishImage::encode`]; the image is of nothing then.
    pub fn encode_again(
        &mut self,
        message: &Publish,
        class: &DeliveryClass<'_>,
    ) -> Result<(), EncodeError> {
        self.head.clear();
        let head = PublishHead {
            dup: false,
            qos: class.qos,
            retain: class.retain,
            // Patched in every copy; any number does.
            packet_id: Some(NonZeroU16::MIN),
            message_expiry_s: class.message_expiry_s,
            topic_alias: None,
            subscription_identifiers: class.subscription_identifiers,
            ..message.head()
        };
        let mut len = Len::default();
        head.write(class.version, &mut len)?;
        let body = fits(len.0.saturating_add(message.payload.len()))?;
        let out = &mut self.head;
        out.reserve(packet_len(len.0));
        out.byte(((PacketType::Publish as u8) << 4) | head.flags());
        out.var_int("remaining length", body)?;
        let body_at = out.len();
        head.write(class.version, out)?;
        self.packet_id_at = match class.qos {
            QoS::AtMostOnce => None,
            _ => Some(body_at.saturating_add(head.packet_id_at(class.version)?)),
        };
        self.payload_bytes = message.payload.len();
        Ok(())
    }

    /// All but the payload, under any packet id.
    pub(crate) fn head(&self) -> &[u8] {
        &self.head
    }

    pub(crate) fn has_packet_id(&self) -> bool {
        self.packet_id_at.is_some()
    }

    /// The size of the packet, in bytes, to hold against a receiver's maximum.
    pub fn packet_bytes(&self) -> usize {
        self.head.len().saturating_add(self.payload_bytes)
    }

    /// Appends the whole packet to `out`; `payload` is the message's.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Missing`] for QoS 1 and 2 without a packet id.
    pub fn write(
        &self,
        payload: &[u8],
        packet_id: Option<NonZeroU16>,
        dup: bool,
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        out.reserve(self.packet_bytes());
        self.write_head(packet_id, dup, out)?;
        out.extend_from_slice(payload);
        Ok(())
    }

    /// Appends all but the payload to `out`.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Missing`] for QoS 1 and 2 without a packet id.
    pub fn write_head(
        &self,
        packet_id: Option<NonZeroU16>,
        dup: bool,
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let Some(at) = self.packet_id_at else {
            out.extend_from_slice(&self.head);
            return Ok(());
        };
        let Some(packet_id) = packet_id else {
            return Err(EncodeError::Missing {
                field: "packet identifier",
            });
        };
        let start = out.len();
        out.extend_from_slice(&self.head);
        let written = out.get_mut(start..).unwrap_or_default();
        if let Some(first) = written.first_mut() {
            *first |= u8::from(dup) << 3;
        }
        if let Some(bytes) = written
            .get_mut(at..)
            .and_then(|rest| rest.first_chunk_mut())
        {
            *bytes = packet_id.get().to_be_bytes();
        }
        Ok(())
    }
}
