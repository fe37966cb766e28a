//! Page tokens: where a list goes on, in a form the caller can neither read into nor alter.
//!
//! A token is `MAC || fields`, in standard base64. The MAC covers the list it belongs to (the
//! operation and its filters), which is not part of the token, so a token of one list is refused
//! by another. It carries nothing that the page before it did not already show.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::BadPageToken;

const MAC_LEN: usize = 32;

/// The longest token accepted, in characters.
pub const PAGE_TOKEN_LEN_MAX: usize = 8192;

// spec aws-iot [HT-30]: tokens are opaque, and standard base64.
pub(crate) fn token(key: &hmac::Key, list: &str, last: &[&str]) -> String {
    let mut fields = Vec::new();
    for field in last {
        push(&mut fields, field.as_bytes());
    }
    let mac = hmac::sign(key, &authenticated(list, &fields));
    STANDARD.encode([mac.as_ref(), &fields].concat())
}

// spec aws-iot [HT-30]: a tampered token is refused.
pub(crate) fn after(key: &hmac::Key, list: &str, token: &str) -> Result<Vec<String>, BadPageToken> {
    if PAGE_TOKEN_LEN_MAX < token.len() {
        return Err(BadPageToken);
    }
    let bytes = STANDARD.decode(token).map_err(|_| BadPageToken)?;
    let (mac, fields) = bytes.split_at_checked(MAC_LEN).ok_or(BadPageToken)?;
    hmac::verify(key, &authenticated(list, fields), mac).map_err(|_| BadPageToken)?;
    split(fields).ok_or(BadPageToken)
}

fn authenticated(list: &str, fields: &[u8]) -> Vec<u8> {
    let mut all = Vec::with_capacity(4 + list.len() + fields.len());
    push(&mut all, list.as_bytes());
    all.extend(fields);
    all
}

/// Length (4 bytes, big endian), then the bytes.
fn push(out: &mut Vec<u8>, field: &[u8]) {
    let length = u32::try_from(field.len()).unwrap_or(u32::MAX);
    out.extend(length.to_be_bytes());
    out.extend(field);
}

fn split(mut fields: &[u8]) -> Option<Vec<String>> {
    let mut found = Vec::new();
    while let Some((length, rest)) = fields.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (field, rest) = rest.split_at_checked(length)?;
        found.push(String::from_utf8(field.to_vec()).ok()?);
        fields = rest;
    }
    fields.is_empty().then_some(found)
}

#[cfg(test)]
mod tests;
