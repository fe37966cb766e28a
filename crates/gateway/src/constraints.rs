//! The models' constraints: required members, lengths, ranges, patterns, enumerations.
//!
//! The input is already of the right types; what is checked here is content. The first violation
//! found, in the order of the model's members, becomes the message, in the words AWS uses.
//!
//! Lengths of strings count characters, of blobs bytes, of lists and maps items.

use model::{ApiError, ErrorKind};
use serde_json::Value;

use crate::blob;
use crate::redaction::without_private_keys;
use crate::service_model::{
    Bounds, Kind, List, Map, Protocol, ServiceModel, ShapeId, Structure, Text,
};

/// Longest value repeated in a message, in characters.
const ECHO_CHARACTERS_MAX: usize = 256;

/// A violated constraint, or a value of the wrong type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The value as the message shows it; none for secrets, and for lists and maps, which may
    /// hold some.
    value: Option<String>,
    path: String,
    constraint: String,
}

impl Violation {
    /// The message, as AWS words it.
    pub(crate) fn message(&self) -> String {
        let value = match &self.value {
            Some(value) => format!("Value {value}"),
            None => "Value".to_owned(),
        };
        format!(
            "1 validation error detected: {value} at '{}' failed to satisfy constraint: {}",
            self.path, self.constraint
        )
    }
}

/// The exception by which a service refuses an input.
pub(crate) fn refusal(service: &str, message: String) -> ApiError {
    let query = ServiceModel::of(service).is_some_and(|model| model.protocol == Protocol::Query);
    if query {
        ApiError::new(ErrorKind::Invalid, "ValidationError", message)
    } else {
        ApiError::invalid(message)
    }
}

/// Checks `value` against the shape at `id`.
///
/// # Errors
/// The first violation.
pub(crate) fn check(model: &ServiceModel, id: ShapeId, value: &Value) -> Result<(), Violation> {
    Checker { model }.shape(id, value, "")
}

struct Checker<'a> {
    model: &'a ServiceModel,
}

impl Checker<'_> {
    fn shape(&self, id: ShapeId, value: &Value, path: &str) -> Result<(), Violation> {
        let shape = self.model.shape(id);
        let violated = |constraint: String| Violation {
            value: (!shape.sensitive).then(|| echo(value)),
            path: path.to_owned(),
            constraint,
        };
        match &shape.kind {
            Kind::Structure(structure) => self.structure(structure, value, path),
            Kind::List(list) => self.list(list, value, path),
            Kind::Map(map) => self.map(map, value, path, shape.sensitive),
            Kind::Text(text) => match value.as_str() {
                Some(found) => text_constraint(text, found).map_or(Ok(()), |c| Err(violated(c))),
                None => Ok(()),
            },
            Kind::Blob(bounds) => {
                let len = value.as_str().map_or(0, blob::decoded_len);
                length(bounds, len).map_or(Ok(()), |c| Err(violated(c)))
            }
            Kind::Integer { bounds, .. } | Kind::Float(bounds) => {
                let found = value.as_f64().unwrap_or(0.0);
                range(bounds, found).map_or(Ok(()), |c| Err(violated(c)))
            }
            Kind::Boolean | Kind::Timestamp => Ok(()),
        }
    }

    fn structure(&self, structure: &Structure, value: &Value, path: &str) -> Result<(), Violation> {
        for name in &structure.required {
            if value.get(name).is_none_or(Value::is_null) {
                return Err(Violation {
                    value: Some("null".to_owned()),
                    path: joined(path, name),
                    constraint: "Member must not be null".to_owned(),
                });
            }
        }
        if structure.union && value.as_object().is_none_or(|members| members.len() != 1) {
            return Err(Violation {
                value: None,
                path: path.to_owned(),
                constraint: "Exactly one member must be set".to_owned(),
            });
        }
        for member in &structure.members {
            if let Some(found) = value.get(&member.name) {
                self.shape(member.shape, found, &joined(path, &member.name))?;
            }
        }
        Ok(())
    }

    fn list(&self, list: &List, value: &Value, path: &str) -> Result<(), Violation> {
        let Some(items) = value.as_array() else {
            return Ok(());
        };
        if let Some(constraint) = length(&list.bounds, items.len()) {
            return Err(Violation {
                value: None,
                path: path.to_owned(),
                constraint,
            });
        }
        for (at, item) in items.iter().enumerate() {
            self.shape(list.item, item, &format!("{path}.{}.member", at + 1))?;
        }
        Ok(())
    }

    fn map(&self, map: &Map, value: &Value, path: &str, sensitive: bool) -> Result<(), Violation> {
        let Some(entries) = value.as_object() else {
            return Ok(());
        };
        if let Some(constraint) = length(&map.bounds, entries.len()) {
            return Err(Violation {
                value: None,
                path: path.to_owned(),
                constraint,
            });
        }
        for (key, item) in entries {
            if let Kind::Text(text) = &self.model.shape(map.key).kind
                && let Some(constraint) = text_constraint(text, key)
            {
                return Err(Violation {
                    value: (!sensitive).then(|| format!("'{}'", cut(key))),
                    path: path.to_owned(),
                    constraint: format!("Map keys must satisfy constraint: [{constraint}]"),
                });
            }
            self.shape(map.value, item, &format!("{path}.{}.member", cut(key)))?;
        }
        Ok(())
    }
}

/// The path of a member of the structure at `path`.
pub(crate) fn joined(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn text_constraint(text: &Text, found: &str) -> Option<String> {
    if let Some(constraint) = length(&text.bounds, found.chars().count()) {
        return Some(constraint);
    }
    if !text.values.is_empty() && !text.values.iter().any(|value| value == found) {
        let values = text.values.join(", ");
        return Some(format!("Member must satisfy enum value set: [{values}]"));
    }
    let pattern = text.pattern.as_ref()?;
    (!pattern.matches(found)).then(|| {
        format!(
            "Member must satisfy regular expression pattern: {}",
            pattern.source
        )
    })
}

fn length(bounds: &Bounds, found: usize) -> Option<String> {
    #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
    let found = found as f64;
    outside(bounds, found, "length")
}

fn range(bounds: &Bounds, found: f64) -> Option<String> {
    outside(bounds, found, "value")
}

fn outside(bounds: &Bounds, found: f64, what: &str) -> Option<String> {
    if let Some(min) = bounds.min.filter(|min| found < *min) {
        return Some(format!(
            "Member must have {what} greater than or equal to {min}"
        ));
    }
    let max = bounds.max.filter(|max| *max < found)?;
    Some(format!(
        "Member must have {what} less than or equal to {max}"
    ))
}

fn echo(value: &Value) -> String {
    match value {
        Value::String(text) => format!("'{}'", cut(text)),
        other => format!("'{}'", cut(&other.to_string())),
    }
}

/// As much of a value as a message repeats, without private keys.
fn cut(text: &str) -> String {
    let text = without_private_keys(text);
    text.chars().take(ECHO_CHARACTERS_MAX).collect()
}

#[cfg(test)]
mod tests;
