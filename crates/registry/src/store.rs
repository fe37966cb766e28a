//! The registry's tables and queries, as functions over a transaction; one file per family.
//!
//! Nothing here decides: callers have checked what may be written.

pub(crate) mod billing_groups;
pub(crate) mod groups;
pub(crate) mod policies;
pub(crate) mod principals;
pub(crate) mod tags;
pub(crate) mod thing_types;
pub(crate) mod things;

use model::ApiError;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Part of a list of names: at least `from`, behind `after`, at most `to`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NameRange<'a> {
    pub(crate) from: &'a str,
    pub(crate) after: &'a str,
    pub(crate) to: &'a str,
    pub(crate) rows: i64,
}

/// The JSON text of a column.
fn to_json<T: Serialize>(value: &T) -> Result<String, ApiError> {
    serde_json::to_string(value).map_err(ApiError::internal)
}

/// The value of a JSON column; what we wrote we can read, so failure is ours.
fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, ApiError> {
    serde_json::from_str(text).map_err(ApiError::internal)
}
