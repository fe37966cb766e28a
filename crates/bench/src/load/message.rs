//! What every message carries, so that each one can be checked: who sent it, the how-manieth it is,
//! when it left, and a pattern made of the three that fills the rest.

/// Bytes of a payload.
pub(crate) const PAYLOAD: usize = 128;
const HEAD: usize = 20;

/// The numbers of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) publisher: u32,
    pub(crate) sequence: u64,
    /// Nanoseconds since the generator started.
    pub(crate) sent_ns: u64,
}

impl Message {
    /// The payload.
    pub(crate) fn write(self, payload: &mut [u8; PAYLOAD]) {
        payload[..4].copy_from_slice(&self.publisher.to_le_bytes());
        payload[4..12].copy_from_slice(&self.sequence.to_le_bytes());
        payload[12..HEAD].copy_from_slice(&self.sent_ns.to_le_bytes());
        let mut word = self.seed();
        for chunk in payload[HEAD..].chunks_mut(8) {
            let len = chunk.len();
            chunk.copy_from_slice(&word.to_le_bytes()[..len]);
            word = step(word);
        }
    }

    /// The message in a payload; `None` when a single bit of it is wrong.
    pub(crate) fn read(payload: &[u8]) -> Option<Self> {
        let payload: &[u8; PAYLOAD] = payload.try_into().ok()?;
        let word = |at: usize| -> Option<u64> {
            Some(u64::from_le_bytes(payload[at..at + 8].try_into().ok()?))
        };
        let message = Self {
            publisher: u32::from_le_bytes(payload[..4].try_into().ok()?),
            sequence: word(4)?,
            sent_ns: word(12)?,
        };
        let mut expected = [0; PAYLOAD];
        message.write(&mut expected);
        (expected == *payload).then_some(message)
    }

    /// Each of the three changes it, whatever the other two are.
    fn seed(self) -> u64 {
        step(step(step(self.sequence) ^ u64::from(self.publisher)) ^ self.sent_ns)
    }
}

const fn step(word: u64) -> u64 {
    let mixed = word ^ 0x6A09_E667_F3BC_C908;
    mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_anywhere_is_seen() {
        let message = Message {
            publisher: 49,
            sequence: 123_456,
            sent_ns: 987_654_321,
        };
        let mut payload = [0; PAYLOAD];
        message.write(&mut payload);
        assert_eq!(Message::read(&payload), Some(message));
        assert_eq!(Message::read(&payload[..PAYLOAD - 1]), None);
        for bit in 0..PAYLOAD * 8 {
            let mut damaged = payload;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Message::read(&damaged), None, "bit {bit}");
        }
    }
}
