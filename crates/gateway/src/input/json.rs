//! JSON bodies: parsed with a bound on nesting, then typed by the model.

use serde_json::{Map as Object, Value};

use super::{Unreadable, item_path, member_path, scalar};
use crate::service_model::{Kind, Location, Member, ServiceModel, ShapeId, Structure};

/// Deepest nesting of JSON in a header.
pub(super) const HEADER_DEPTH_MAX: usize = 8;

/// By which names the members of the JSON at hand go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// The names on the wire.
    Wire,
    /// The model's member names, as inside the process.
    Members,
}

impl Names {
    fn of(self, member: &Member) -> &str {
        match self {
            Self::Wire => &member.wire_name,
            Self::Members => &member.name,
        }
    }
}

/// Parses `bytes`, nested at most `depth_max` deep.
pub(super) fn parsed(bytes: &[u8], depth_max: usize) -> Result<Value, Unreadable> {
    if depth_max < depth(bytes) {
        return Err(Unreadable(format!(
            "the body nests deeper than {depth_max} levels"
        )));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        Unreadable(format!(
            "the body is not JSON at line {} column {}",
            error.line(),
            error.column()
        ))
    })
}

/// How deep brackets nest outside of strings.
fn depth(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0_usize);
    let (mut in_text, mut escaped) = (false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => (),
        }
    }
    deepest
}

/// The body members of `structure` out of `found`. Unknown members are ignored.
pub(super) fn body_members(
    model: &ServiceModel,
    structure: &Structure,
    found: &Object<String, Value>,
) -> Result<Object<String, Value>, Unreadable> {
    let in_body = |member: &&Member| member.location == Location::Body;
    let members = structure.members.iter().filter(in_body);
    typed_members(model, members, found, "", Names::Wire)
}

/// `value` as the shape at `id` wants it.
pub(super) fn typed(
    model: &ServiceModel,
    id: ShapeId,
    value: &Value,
    path: &str,
    names: Names,
) -> Result<Value, Unreadable> {
    match &model.shape(id).kind {
        Kind::Structure(structure) => {
            let Value::Object(found) = value else {
                return Err(wrong(path, "an object", value));
            };
            typed_members(model, structure.members.iter(), found, path, names).map(Value::Object)
        }
        Kind::List(list) => {
            let Value::Array(items) = value else {
                return Err(wrong(path, "a list", value));
            };
            items
                .iter()
                .enumerate()
                .map(|(at, item)| typed(model, list.item, item, &item_path(path, at), names))
                .collect()
        }
        Kind::Map(map) => {
            let Value::Object(entries) = value else {
                return Err(wrong(path, "a map", value));
            };
            let mut out = Object::new();
            for (key, item) in entries.iter().filter(|(_, item)| !item.is_null()) {
                let path = format!("{}.member", member_path(path, key));
                out.insert(key.clone(), typed(model, map.value, item, &path, names)?);
            }
            Ok(Value::Object(out))
        }
        kind => {
            scalar::from_json(kind, value).ok_or_else(|| wrong(path, scalar::name(kind), value))
        }
    }
}

fn typed_members<'a>(
    model: &ServiceModel,
    members: impl Iterator<Item = &'a Member>,
    found: &Object<String, Value>,
    path: &str,
    names: Names,
) -> Result<Object<String, Value>, Unreadable> {
    let mut out = Object::new();
    for member in members {
        match found.get(names.of(member)) {
            // A null means the same as an absent member.
            None | Some(Value::Null) => (),
            Some(value) => {
                let path = member_path(path, &member.name);
                let value = typed(model, member.shape, value, &path, names)?;
                out.insert(member.name.clone(), value);
            }
        }
    }
    Ok(out)
}

fn wrong(path: &str, wanted: &str, found: &Value) -> Unreadable {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    Unreadable(if path.is_empty() {
        format!("the input must be {wanted}, not {found}")
    } else {
        format!("'{path}' must be {wanted}, not {found}")
    })
}
