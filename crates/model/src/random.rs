//! Unpredictable bytes from the operating system, in the few shapes the platform needs.

use std::fmt::Write as _;

/// `N` unpredictable bytes.
///
/// # Panics
/// When the operating system has no randomness to give; nothing secure can be done without.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system gives randomness");
    bytes
}

/// `N` unpredictable bytes as `2 * N` lower-case hexadecimal characters.
pub fn random_hex<const N: usize>() -> String {
    random_bytes::<N>()
        .iter()
        .fold(String::with_capacity(2 * N), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a String does not fail");
            text
        })
}

/// A random UUID, version 4, in its hyphenated lower-case form.
pub fn random_uuid() -> String {
    let mut bytes = random_bytes::<16>();
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = bytes
        .iter()
        .fold(String::with_capacity(32), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a String does not fail");
            text
        });
    [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ]
    .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        assert_eq!(random_hex::<16>().len(), 32);
        let uuid = random_uuid();
        assert_eq!(uuid.len(), 36);
        assert_eq!(&uuid[14..15], "4");
        assert_ne!(random_uuid(), random_uuid());
    }
}
