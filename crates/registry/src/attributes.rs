//! Attributes of things and groups: how an update changes them.
//!
//! Source: contract core 4.1, 4.2 and `[RG-2]`.

use std::collections::BTreeMap;

use model::ApiError;
use serde::Deserialize;

/// Names and values; no value is empty.
pub(crate) type Attributes = BTreeMap<String, String>;

/// What a request says about attributes.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AttributePayload {
    attributes: Option<Attributes>,
    #[serde(default)]
    merge: bool,
}

impl AttributePayload {
    /// `current` after this payload: replaced, or merged key by key. An empty value removes its
    /// attribute either way, and without `attributes` nothing changes.
    pub(crate) fn applied(self, current: Attributes) -> Attributes {
        let Some(given) = self.attributes else {
            return current;
        };
        let mut next = if self.merge {
            current
        } else {
            Attributes::new()
        };
        next.extend(given);
        next.retain(|_, value| !value.is_empty());
        next
    }
}

/// Refuses more than `max` attributes; `whose` says of what.
pub(crate) fn check_count(
    attributes: &Attributes,
    max: usize,
    whose: &str,
) -> Result<(), ApiError> {
    let count = attributes.len();
    if max < count {
        return Err(ApiError::invalid(format!(
            "attributePayload: {whose} has at most {max} attributes, not {count}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
