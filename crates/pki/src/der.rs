//! The checks that the X.509 parser leaves to its caller.
//!
//! `x509-parser` skips bytes inside a SEQUENCE that it has no field for, and its raw slices end
//! where it stopped reading. Left alone, such bytes would show one reader a name and another
//! reader a longer one, or give one signed certificate many fingerprints; so we refuse them.

use x509_parser::asn1_rs::{Any, FromDer};

/// Whether `raw` is exactly one DER value: its header's length covers all of it and no more.
pub(crate) fn is_whole(raw: &[u8]) -> bool {
    Any::from_der(raw).is_ok_and(|(rest, _)| rest.is_empty())
}

/// The values inside `der`, each with its header; `None` unless `der` is exactly one constructed
/// value whose parts fill it, every length written in its shortest form.
pub(crate) fn parts(der: &[u8]) -> Option<Vec<&[u8]>> {
    let (whole, after) = split_first(der)?;
    if !whole.header.is_constructed() || !after.is_empty() {
        return None;
    }
    let mut parts = Vec::new();
    let mut rest = whole.data;
    while !rest.is_empty() {
        let (_, after) = split_first(rest)?;
        parts.push(rest.get(..rest.len().checked_sub(after.len())?)?);
        rest = after;
    }
    Some(parts)
}

fn split_first(bytes: &[u8]) -> Option<(Any<'_>, &[u8])> {
    let (rest, value) = Any::from_der(bytes).ok()?;
    let taken = bytes.len().checked_sub(rest.len())?;
    let header = taken.checked_sub(value.data.len())?;
    (header == shortest_header(value.data.len())).then_some((value, rest))
}

/// Bytes of a one-byte tag and the shortest definite length (X.690, 8.1.3 and 10.1).
fn shortest_header(len: usize) -> usize {
    match len {
        0..=0x7f => 2,
        0x80..=0xff => 3,
        0x100..=0xffff => 4,
        _ => 5,
    }
}
