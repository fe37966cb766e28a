//! Single values: out of JSON, and out of the text of paths, queries and headers.
//!
//! Source: contract core `[HT-2]`, `[HT-11]`.

use model::Timestamp;
use serde_json::Value;

use super::Unreadable;
use crate::blob;
use crate::service_model::{Kind, ServiceModel, ShapeId};

/// What `kind` is called in messages.
pub(super) fn name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Structure(_) => "an object",
        Kind::List(_) => "a list",
        Kind::Map(_) => "a map",
        Kind::Text(_) => "a text",
        Kind::Blob(_) => "base64 text",
        Kind::Integer { narrow: true, .. } => "an integer of 32 bits",
        Kind::Integer { narrow: false, .. } => "an integer",
        Kind::Float(_) => "a number",
        Kind::Boolean => "a boolean",
        Kind::Timestamp => "a time",
    }
}

/// `value` when it is of `kind`; times become epoch seconds.
pub(super) fn from_json(kind: &Kind, value: &Value) -> Option<Value> {
    let fits = match kind {
        Kind::Text(_) => value.is_string(),
        Kind::Blob(_) => value.as_str().and_then(blob::decoded).is_some(),
        Kind::Integer { narrow, .. } => value.as_i64().is_some_and(|number| fits(number, *narrow)),
        Kind::Float(_) => value.is_number(),
        Kind::Boolean => value.is_boolean(),
        Kind::Timestamp => match value.as_str() {
            Some(text) => return seconds(text).map(Value::from),
            None => value.is_number(),
        },
        Kind::Structure(_) | Kind::List(_) | Kind::Map(_) => false,
    };
    fits.then(|| value.clone())
}

/// The value that `text` stands for.
pub(super) fn from_text(
    model: &ServiceModel,
    id: ShapeId,
    text: &str,
    path: &str,
) -> Result<Value, Unreadable> {
    let kind = &model.shape(id).kind;
    let found = match kind {
        Kind::Text(_) => Some(Value::from(text)),
        Kind::Blob(_) => blob::decoded(text).map(|_| Value::from(text)),
        Kind::Integer { narrow, .. } => {
            let number = text.parse().ok().filter(|number| fits(*number, *narrow));
            number.map(Value::from)
        }
        Kind::Float(_) => finite(text).map(Value::from),
        Kind::Boolean => match text {
            "true" => Some(Value::from(true)),
            "false" => Some(Value::from(false)),
            _ => None,
        },
        Kind::Timestamp => seconds(text).or_else(|| finite(text)).map(Value::from),
        Kind::Structure(_) | Kind::List(_) | Kind::Map(_) => None,
    };
    found.ok_or_else(|| Unreadable(format!("'{path}' must be {}, not '{text}'", name(kind))))
}

fn fits(number: i64, narrow: bool) -> bool {
    !narrow || i32::try_from(number).is_ok()
}

fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// The epoch seconds of `2026-01-02T03:04:05Z`, a fraction allowed.
fn seconds(text: &str) -> Option<f64> {
    let text = text.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits =
        |from: usize, to: usize| -> Option<u8> { number(whole, from, to)?.try_into().ok() };
    let bytes = whole.as_bytes();
    let shape = bytes.len() == 19
        && bytes[4] == b'-'
        && bytes[7] == b'-'
        && bytes[10] == b'T'
        && bytes[13] == b':'
        && bytes[16] == b':';
    if !shape || fraction.is_empty() || 9 < fraction.len() {
        return None;
    }
    let at = Timestamp::from_civil(
        i64::from(number(whole, 0, 4)?),
        digits(5, 7)?,
        digits(8, 10)?,
        digits(11, 13)?,
        digits(14, 16)?,
        digits(17, 19)?,
    )?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(at.epoch_seconds() + finite(&format!("0.{fraction}"))?)
}

fn number(text: &str, from: usize, to: usize) -> Option<u16> {
    let part = text.get(from..to)?;
    let digits = part.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| part.parse().ok()).flatten()
}
