//! Bytes in JSON: standard base64, in inputs and outputs alike.
//!
//! For the members of inputs and outputs that the model calls blobs, whether they travel inside
//! JSON or as the raw body: `#[serde(with = "gateway::blob")] payload: Vec<u8>`, with
//! `#[serde(default)]` where the member is optional.
//!
//! Source: contract core `[HT-13]`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

/// Writes `bytes` as base64 text.
///
/// # Errors
/// The serializer's.
pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&encoded(bytes))
}

/// Reads base64 text.
///
/// # Errors
/// When it is not base64.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    decoded(&text).ok_or_else(|| D::Error::custom("not base64"))
}

/// Base64 of `bytes`.
pub(crate) fn encoded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The bytes of base64 `text`.
pub(crate) fn decoded(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// How many bytes valid base64 `text` stands for.
pub(crate) fn decoded_len(text: &str) -> usize {
    let padding = text.bytes().rev().take_while(|byte| *byte == b'=').count();
    text.len() / 4 * 3 - padding.min(text.len() / 4 * 3)
}
