//! From a request to one JSON object keyed by the model's member names.
//!
//! Path, query, header and body members come together; texts become numbers, booleans and times
//! where the model says so. Only types are judged here (a number where a text belongs is named
//! with its path); whether the content is acceptable is judged after authorization.
//!
//! A single value that a query or header gives twice is refused: which one counts would be a
//! guess, and whoever reads the request before or after us might guess otherwise.
//!
//! Source: contract core 13.1.

use std::collections::HashMap;

use hyper::HeaderMap;
use hyper::header::HeaderName;
use serde_json::{Map as Object, Value};

use crate::blob;
use crate::constraints::joined;
use crate::percent;
use crate::service_model::{Kind, Location, Member, ServiceModel, ShapeId, Structure};

pub(crate) mod form;
mod json;
mod scalar;

/// Why a request could not be read. The text names the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable(pub(crate) String);

/// The parts of a rest-json request.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) labels: HashMap<String, String>,
    /// The query, still encoded.
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    /// Deepest nesting of a JSON body.
    pub(crate) depth_max: usize,
}

/// Reads a rest-json request into the members of the input at `id`.
///
/// # Errors
/// [`Unreadable`], naming the member or the byte.
pub(crate) fn rest(
    model: &ServiceModel,
    id: Option<ShapeId>,
    parts: &Parts<'_>,
) -> Result<Value, Unreadable> {
    let Some(structure) = id.and_then(|id| model.structure(id)) else {
        return Ok(Value::Object(Object::new()));
    };
    let mut members = body(model, structure, parts)?;
    let query = query_pairs(parts.query)?;
    for member in &structure.members {
        let found = match member.location {
            Location::Path => match parts.labels.get(&member.wire_name) {
                Some(text) => Some(scalar::from_text(model, member.shape, text, &member.name)?),
                None => None,
            },
            Location::Query => from_query(model, member, &query)?,
            Location::Header => from_header(model, member, parts.headers)?,
            Location::Headers => Some(from_headers(&member.wire_name, parts.headers)),
            Location::Body | Location::Status => None,
        };
        if let Some(value) = found {
            members.insert(member.name.clone(), value);
        }
    }
    Ok(Value::Object(members))
}

/// Reads members that are already JSON keyed by member names, as callers within the process give
/// them: the same types are demanded, unknown members ignored.
///
/// # Errors
/// [`Unreadable`], naming the member.
pub(crate) fn members(
    model: &ServiceModel,
    id: Option<ShapeId>,
    value: &Value,
) -> Result<Value, Unreadable> {
    match id {
        Some(id) => json::typed(model, id, value, "", json::Names::Members),
        None => Ok(Value::Object(Object::new())),
    }
}

/// The pairs of a query, decoded.
pub(crate) fn query_pairs(query: &str) -> Result<Vec<(String, String)>, Unreadable> {
    let part = |text: &str| {
        percent::form_decoded(text).ok_or_else(|| {
            Unreadable(format!(
                "the query part '{text}' is not percent-encoded UTF-8"
            ))
        })
    };
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((part(name)?, part(value)?))
        })
        .collect()
}

fn body(
    model: &ServiceModel,
    structure: &Structure,
    parts: &Parts<'_>,
) -> Result<Object<String, Value>, Unreadable> {
    let mut members = Object::new();
    if let Some(name) = &structure.payload {
        let Some(member) = structure.member(name) else {
            return Ok(members);
        };
        let value = match &model.shape(member.shape).kind {
            // spec aws-iot [HT-13] [EP-40]: a blob payload is the raw body.
            Kind::Blob(_) => Some(Value::String(blob::encoded(parts.body))),
            Kind::Text(_) => Some(Value::String(utf8(parts.body)?.to_owned())),
            _ if parts.body.is_empty() => None,
            _ => {
                let found = json::parsed(parts.body, parts.depth_max)?;
                Some(json::typed(
                    model,
                    member.shape,
                    &found,
                    name,
                    json::Names::Wire,
                )?)
            }
        };
        if let Some(value) = value {
            members.insert(name.clone(), value);
        }
        return Ok(members);
    }
    let in_body = structure
        .members
        .iter()
        .any(|member| member.location == Location::Body);
    // spec aws-iot [HT-2]: an empty body means no fields; nor does a body matter that has none.
    if !in_body || parts.body.iter().all(u8::is_ascii_whitespace) {
        return Ok(members);
    }
    let found = json::parsed(parts.body, parts.depth_max)?;
    let Value::Object(found) = found else {
        return Err(Unreadable("the body must be a JSON object".to_owned()));
    };
    json::body_members(model, structure, &found)
}

fn from_query(
    model: &ServiceModel,
    member: &Member,
    query: &[(String, String)],
) -> Result<Option<Value>, Unreadable> {
    let mut given = query.iter().filter(|(name, _)| *name == member.wire_name);
    match &model.shape(member.shape).kind {
        Kind::List(list) => {
            let items: Vec<Value> = given
                .map(|(_, text)| scalar::from_text(model, list.item, text, &member.name))
                .collect::<Result<_, _>>()?;
            Ok((!items.is_empty()).then_some(Value::Array(items)))
        }
        _ => match (given.next(), given.next()) {
            (None, _) => Ok(None),
            (Some((_, text)), None) => {
                scalar::from_text(model, member.shape, text, &member.name).map(Some)
            }
            (Some(_), Some(_)) => Err(twice(&member.wire_name)),
        },
    }
}

/// Two values where one belongs.
fn twice(name: &str) -> Unreadable {
    Unreadable(format!("'{name}' is given twice"))
}

fn from_header(
    model: &ServiceModel,
    member: &Member,
    headers: &HeaderMap,
) -> Result<Option<Value>, Unreadable> {
    let mut given = headers.get_all(member.wire_name.as_str()).iter();
    let value = match (given.next(), given.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value,
        (Some(_), Some(_)) => return Err(twice(&member.wire_name)),
    };
    let text = utf8(value.as_bytes())?;
    if member.json_value {
        let decoded = blob::decoded(text).and_then(|bytes| String::from_utf8(bytes).ok());
        let json = decoded
            .filter(|text| json::parsed(text.as_bytes(), json::HEADER_DEPTH_MAX).is_ok())
            .ok_or_else(|| {
                Unreadable(format!("'{}' must be base64 of a JSON text", member.name))
            })?;
        return Ok(Some(Value::String(json)));
    }
    scalar::from_text(model, member.shape, text, &member.name).map(Some)
}

fn from_headers(prefix: &str, headers: &HeaderMap) -> Value {
    let named = |name: &HeaderName| {
        let name = name.as_str();
        let wanted = name.len() >= prefix.len() && name.is_char_boundary(prefix.len());
        (wanted && name[..prefix.len()].eq_ignore_ascii_case(prefix))
            .then(|| name[prefix.len()..].to_owned())
    };
    let found = headers.iter().filter_map(|(name, value)| {
        let text = value.to_str().ok()?.to_owned();
        Some((named(name)?, Value::String(text)))
    });
    Value::Object(found.collect())
}

fn utf8(bytes: &[u8]) -> Result<&str, Unreadable> {
    std::str::from_utf8(bytes).map_err(|error| {
        Unreadable(format!(
            "byte {} of the text is not UTF-8",
            error.valid_up_to()
        ))
    })
}

/// The path of the item at `at`, counted from one as AWS counts.
fn item_path(path: &str, at: usize) -> String {
    format!("{path}.{}.member", at + 1)
}

/// The path of the member `name` of the structure at `path`.
fn member_path(path: &str, name: &str) -> String {
    joined(path, name)
}

#[cfg(test)]
mod tests;
