//! Private keys that people paste where they do not belong: into a certificate's PEM, a CSR, a
//! description. They are taken out of whatever is kept or shown: trail, denials, messages, logs.
//!
//! Any PEM block goes whose label speaks of something private, however the rest of it is written:
//! line breaks may be missing or escaped, spaces may be `+` or `%20`. What looks like the start of
//! such a block and has no end is hidden to the end of the text: too much rather than too little.
//! Keys without PEM armour are not recognised.
//!
//! Source: RFC 7468 section 2 and 10.

use std::borrow::Cow;

use serde_json::{Map as Object, Value};

/// What stands in the place of a secret.
pub const HIDDEN: &str = "HIDDEN_DUE_TO_SECURITY_REASONS";
const BEGIN: &str = "-----BEGIN";
const END: &str = "-----END";
/// In the label of every PEM block that holds a private key, of OpenSSH's and PGP's too.
const PRIVATE: &[u8] = b"PRIVATE";

/// `text` with [`HIDDEN`] in the place of each PEM block of a private key.
pub fn without_private_keys(text: &str) -> Cow<'_, str> {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((at, _)) = private_boundary(rest, BEGIN) {
        kept.push_str(&rest[..at]);
        kept.push_str(HIDDEN);
        let block = &rest[at..];
        rest = match private_boundary(block, END) {
            Some((_, after)) => &block[after..],
            None => "",
        };
    }
    if kept.is_empty() {
        return Cow::Borrowed(text);
    }
    kept.push_str(rest);
    Cow::Owned(kept)
}

/// `value` with every text in it as [`without_private_keys`] leaves it, the keys of maps too.
pub(crate) fn value_without_private_keys(value: Value) -> Value {
    let cleaned = |text: String| match without_private_keys(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(kept) => kept,
    };
    match value {
        Value::String(text) => Value::String(cleaned(text)),
        Value::Array(items) => items.into_iter().map(value_without_private_keys).collect(),
        Value::Object(entries) => {
            let entries = entries
                .into_iter()
                .map(|(key, value)| (cleaned(key), value_without_private_keys(value)));
            Value::Object(entries.collect::<Object<String, Value>>())
        }
        other => other,
    }
}

/// Where the first boundary of a private key begins and where it is over. The label reaches to
/// the next dashes.
fn private_boundary(text: &str, mark: &str) -> Option<(usize, usize)> {
    text.match_indices(mark).find_map(|(at, _)| {
        let (_, tail) = text.split_at(at + mark.len());
        let label = tail.split_once("--").map_or(tail, |(label, _)| label);
        let private = label
            .as_bytes()
            .windows(PRIVATE.len())
            .any(|part| part.eq_ignore_ascii_case(PRIVATE));
        let after = tail[label.len()..].trim_start_matches('-');
        private.then(|| (at, text.len() - after.len()))
    })
}

#[cfg(test)]
mod tests;
