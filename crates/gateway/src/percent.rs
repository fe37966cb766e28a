//! Percent-encoding, both ways, as URIs of AWS use it.
//!
//! Source: RFC 3986 section 2; the SigV4 rules for canonical requests.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but the unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
const RESERVED_BUT_SLASH: &AsciiSet = &RESERVED.remove(b'/');

/// `text` with every character outside `A-Z a-z 0-9 - _ . ~` encoded.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// As [`encoded`], slashes left alone.
pub(crate) fn encoded_path(text: &str) -> String {
    utf8_percent_encode(text, RESERVED_BUT_SLASH).to_string()
}

/// `text` with its escapes replaced, once; none when an escape is malformed or the bytes are not
/// UTF-8. A plus sign is a plus sign.
pub(crate) fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// As [`decoded`], for forms, where a plus sign is a space.
pub(crate) fn form_decoded(text: &str) -> Option<String> {
    decoded(&text.replace('+', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(decoded(text).as_deref(), expected, "{text:?}");
    }

    #[test]
    fn decodes_once_and_strictly() {
        check("a%3Ab", Some("a:b"));
        check("a%3ab", Some("a:b"));
        check("a+b", Some("a+b"));
        check("%C3%A4", Some("ä"));
        check("%25C3", Some("%C3"));
        check("%", None);
        check("%4", None);
        check("%zz", None);
        check("%+1", None);
        check("%C3", None);
        assert_eq!(form_decoded("a+b%2B").as_deref(), Some("a b+"));
    }

    #[test]
    fn encodes_all_but_the_unreserved() {
        assert_eq!(encoded("a-_.~/:ä b"), "a-_.~%2F%3A%C3%A4%20b");
        assert_eq!(encoded_path("/a/%3A"), "/a/%253A");
    }
}
