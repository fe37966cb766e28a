//! What was asked for wrongly: the command ends with exit code 2 before it did anything.

use std::fmt;

use anyhow::Error;

/// An error of whoever typed the command.
#[derive(Debug)]
pub(crate) struct Usage(Error);

impl fmt::Display for Usage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:#}", self.0)
    }
}

impl std::error::Error for Usage {}

/// Marks `error` as one of whoever typed the command.
pub(crate) fn usage(error: impl Into<Error>) -> Error {
    Usage(error.into()).into()
}

/// Whether `text` is an id of `length` lower-case hexadecimal characters.
pub(crate) fn is_hexadecimal(text: &str, length: usize) -> bool {
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == length && text.bytes().all(digit)
}

#[cfg(test)]
mod tests {
    use super::is_hexadecimal;

    #[test]
    fn an_id_has_its_length_and_digits() {
        let id = "0123456789abcdef0123456789abcdef";
        assert!(is_hexadecimal(id, 32));
        for other in [
            &id[1..],
            &format!("{id}0"),
            "",
            &id.to_uppercase(),
            "pump-7",
        ] {
            assert!(!is_hexadecimal(other, 32), "{other}");
        }
    }
}
