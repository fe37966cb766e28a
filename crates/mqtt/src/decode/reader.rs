//! A cursor over one whole packet: every read is bounded and names its field.

use std::num::NonZeroU16;

use bytes::Bytes;

use super::{DecodeError, Limits};
use crate::packet::Version;
use crate::topic::TopicName;

/// Payloads from this size on share the buffer that [`super::decode_from`] reads;
/// copying a smaller one is cheaper than counting references and does not keep
/// a large buffer alive.
pub const SHARED_PAYLOAD_BYTES_MIN: usize = 1024;

/// The bytes of one packet that are still to be read.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    /// Offset of `rest` from the start of the packet.
    at: usize,
    shared: Option<&'a Bytes>,
    pub(crate) version: Version,
    pub(crate) limits: &'a Limits,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(
        packet: &'a [u8],
        shared: Option<&'a Bytes>,
        version: Version,
        limits: &'a Limits,
    ) -> Self {
        Self {
            rest: packet,
            at: 0,
            shared,
            version,
            limits,
        }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The error that says `field` cannot be parsed, here.
    pub(crate) fn malformed(&self, field: &'static str, why: &'static str) -> DecodeError {
        DecodeError::Malformed {
            field,
            why,
            at: self.at,
        }
    }

    /// The error that says `field` breaks a rule, here.
    pub(crate) fn protocol(&self, field: &'static str, why: &'static str) -> DecodeError {
        DecodeError::Protocol {
            field,
            why,
            at: self.at,
        }
    }

    /// Passes over the first `len` bytes, all of them if there are fewer.
    pub(crate) fn skip(&mut self, len: usize) {
        self.rest = self.rest.get(len..).unwrap_or_default();
        self.at = self.at.saturating_add(len);
    }

    fn bytes(&mut self, len: usize, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            return Err(self.malformed(field, "cut short"));
        };
        self.rest = rest;
        self.at = self.at.saturating_add(len);
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let Some((taken, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.malformed(field, "cut short"));
        };
        self.rest = rest;
        self.at = self.at.saturating_add(N);
        Ok(*taken)
    }

    pub(crate) fn byte(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        self.array::<1>(field).map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        self.array(field).map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        self.array(field).map(u32::from_be_bytes)
    }

    // spec mqtt5 [MQTT-2.2.1-3], [MQTT-2.2.1-4]; spec mqtt311 [MQTT-2.3.1-1]
    pub(crate) fn packet_id(&mut self) -> Result<NonZeroU16, DecodeError> {
        let zero = self.protocol("packet identifier", "is zero");
        NonZeroU16::new(self.u16("packet identifier")?).ok_or(zero)
    }

    /// A Variable Byte Integer; only version 5 has them inside a packet.
    pub(crate) fn var_int(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte(field)?;
            value |= u32::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                // spec mqtt5 [MQTT-1.5.5-1]
                return if byte == 0 && shift > 0 {
                    Err(self.malformed(field, "is not in its shortest form"))
                } else {
                    Ok(value)
                };
            }
        }
        Err(self.malformed(field, "is longer than four bytes"))
    }

    fn prefixed(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let len = self.u16(field)?;
        self.bytes(usize::from(len), field)
    }

    // spec mqtt5 [MQTT-1.5.4-1], [MQTT-1.5.4-2]
    // spec mqtt311 [MQTT-1.5.3-1], [MQTT-1.5.3-2]
    // spec mqtt5 [MQTT-1.5.4-3], [MQTT-1.5.7-1]; spec mqtt311 [MQTT-1.5.3-3]
    pub(crate) fn text(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        let start = self.clone();
        let bytes = self.prefixed(field)?;
        let text = std::str::from_utf8(bytes)
            .map_err(|_| start.malformed(field, "is not well-formed UTF-8"))?;
        if text.contains('\0') {
            return Err(start.malformed(field, "holds U+0000"));
        }
        Ok(text)
    }

    pub(crate) fn topic(&mut self, field: &'static str) -> Result<TopicName, DecodeError> {
        let at = self.at;
        let text = self.text(field)?;
        TopicName::parse(text, &self.limits.topic).map_err(|source| DecodeError::TopicName {
            field,
            at,
            source,
        })
    }

    /// Binary data with its length before it.
    pub(crate) fn binary(&mut self, field: &'static str) -> Result<Bytes, DecodeError> {
        let bytes = self.prefixed(field)?;
        Ok(self.keep(bytes))
    }

    /// Everything that is left.
    pub(crate) fn take_rest(&mut self) -> Bytes {
        let bytes = self.rest;
        self.skip(bytes.len());
        self.keep(bytes)
    }

    fn keep(&self, bytes: &'a [u8]) -> Bytes {
        match self.shared {
            Some(shared) if bytes.len() >= SHARED_PAYLOAD_BYTES_MIN => shared.slice_ref(bytes),
            _ => Bytes::copy_from_slice(bytes),
        }
    }

    /// Refuses one more filter, or answer to one, than a packet may hold.
    // spec aws-iot [MQ-40]
    pub(crate) fn count_filter(&self, so_far: usize) -> Result<(), DecodeError> {
        let max = self.limits.filters_max;
        if so_far < max {
            Ok(())
        } else {
            Err(DecodeError::QuotaExceeded {
                field: "topic filters",
                max,
                at: self.at,
            })
        }
    }

    /// A reader of the next `len` bytes, which this one passes over.
    pub(crate) fn block(&mut self, len: u32, field: &'static str) -> Result<Self, DecodeError> {
        let start = self.clone();
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let rest = self.bytes(len, field)?;
        Ok(Self { rest, ..start })
    }
}
