//! Where a body is written to: the output, or a counter.

use bytes::BytesMut;

use super::{EncodeError, REMAINING_LENGTH_MAX};

/// Takes bytes, and knows how values stand on the wire.
pub(crate) trait Sink {
    fn bytes(&mut self, bytes: &[u8]);

    fn byte(&mut self, byte: u8) {
        self.bytes(&[byte]);
    }

    fn u16(&mut self, number: u16) {
        self.bytes(&number.to_be_bytes());
    }

    fn u32(&mut self, number: u32) {
        self.bytes(&number.to_be_bytes());
    }

    /// A Variable Byte Integer, in its shortest form.
    // spec mqtt5 [MQTT-1.5.5-1]
    fn var_int(&mut self, field: &'static str, number: usize) -> Result<(), EncodeError> {
        if REMAINING_LENGTH_MAX < number {
            return Err(EncodeError::OutOfRange { field });
        }
        let mut rest = number;
        while rest > 0x7F {
            self.byte(low_seven_bits(rest) | 0x80);
            rest >>= 7;
        }
        self.byte(low_seven_bits(rest));
        Ok(())
    }

    /// Binary data with its length before it.
    fn binary(&mut self, field: &'static str, bytes: &[u8]) -> Result<(), EncodeError> {
        let len = bytes.len();
        self.u16(u16::try_from(len).map_err(|_| EncodeError::TooLong { field, len })?);
        self.bytes(bytes);
        Ok(())
    }

    /// Text with its length before it.
    fn text(&mut self, field: &'static str, text: &str) -> Result<(), EncodeError> {
        // spec mqtt5 [MQTT-1.5.4-2]
        if text.contains('\0') {
            return Err(EncodeError::BadText { field });
        }
        self.binary(field, text.as_bytes())
    }
}

fn low_seven_bits(number: usize) -> u8 {
    let [low, ..] = number.to_le_bytes();
    low & 0x7F
}

impl Sink for BytesMut {
    fn bytes(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Counts what would be written.
#[derive(Default)]
pub(crate) struct Len(pub(crate) usize);

impl Sink for Len {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0 = self.0.saturating_add(bytes.len());
    }
}
