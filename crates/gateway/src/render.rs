//! From outputs and errors to HTTP answers, as each protocol writes them.
//!
//! Source: contract core 13.2, 13.4; the AWS restJson1 and Query protocols.

use hyper::header::HeaderValue;
use model::ApiError;
use serde_json::{Map as Object, Value, json};

use crate::blob;
use crate::catalogue::Served;
use crate::error;
use crate::redaction::without_private_keys;
use crate::service_model::{Kind, Location, Member, Protocol, ServiceModel, ShapeId};

mod xml;

/// An HTTP answer, but for the headers that every answer has.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    /// Lower-case names.
    pub(crate) headers: Vec<(String, HeaderValue)>,
    pub(crate) body: Vec<u8>,
}

const JSON: &str = "application/json";
const XML: &str = "text/xml";
const BYTES: &str = "application/octet-stream";

/// The answer of an operation that succeeded.
pub(crate) fn output(
    served: &Served,
    output: &Value,
    request_id: &str,
) -> Result<Answer, ApiError> {
    debug_assert!(
        unknown_member(served, output).is_none(),
        "the output of {} has a member {:?} that its model does not know",
        served.action,
        unknown_member(served, output)
    );
    match served.service.protocol {
        Protocol::RestJson => rest(served, output),
        Protocol::Query => Ok(Answer {
            status: served.model.status,
            content_type: XML,
            headers: Vec::new(),
            body: xml::output(served.service, served.model, output, request_id).into_bytes(),
        }),
    }
}

/// The answer of a failure.
// spec aws-iot [HT-20] [HT-21]: the type in a header and the body, `message` in lower case.
pub(crate) fn failure(model: &ServiceModel, failed: &ApiError, request_id: &str) -> Answer {
    let code = error::code(model, failed.exception);
    let status = error::status(model, failed);
    // Callers log what they are answered.
    let text = without_private_keys(&failed.message);
    if model.protocol == Protocol::Query {
        return Answer {
            status,
            content_type: XML,
            headers: Vec::new(),
            body: xml::error(model, &code, &text, status, request_id).into_bytes(),
        };
    }
    let mut body = Object::new();
    // spec aws-iot [HT-23]: this one alone writes its message with a capital.
    let message = if failed.exception == "AccessDeniedException" {
        "Message"
    } else {
        "message"
    };
    body.insert(message.to_owned(), json!(text));
    for (name, value) in &failed.members {
        body.insert((*name).to_owned(), json!(without_private_keys(value)));
    }
    body.insert("__type".to_owned(), json!(code));
    let headers = HeaderValue::from_str(&format!("{code}:"))
        .map(|value| ("x-amzn-errortype".to_owned(), value))
        .into_iter()
        .collect();
    Answer {
        status,
        content_type: JSON,
        headers,
        body: Value::Object(body).to_string().into_bytes(),
    }
}

// spec aws-iot [HT-10]: JSON without nulls; [HT-13]: a blob payload is the raw body.
fn rest(served: &Served, output: &Value) -> Result<Answer, ApiError> {
    let model = served.service;
    let mut answer = Answer {
        status: served.model.status,
        content_type: JSON,
        headers: Vec::new(),
        body: b"{}".to_vec(),
    };
    let Some(structure) = served.model.output.and_then(|id| model.structure(id)) else {
        return Ok(answer);
    };
    let mut body = Object::new();
    for member in &structure.members {
        let Some(value) = output.get(&member.name).filter(|value| !value.is_null()) else {
            continue;
        };
        if structure.payload.as_ref() == Some(&member.name) {
            continue;
        }
        match member.location {
            Location::Body | Location::Path | Location::Query => {
                body.insert(member.wire_name.clone(), wire(model, member.shape, value));
            }
            Location::Header => answer.headers.push(header(member, value)?),
            Location::Headers => answer.headers.extend(prefixed(member, value)?),
            Location::Status => {
                let status = value.as_u64().and_then(|status| u16::try_from(status).ok());
                answer.status = status.unwrap_or(answer.status);
            }
        }
    }
    match structure
        .payload
        .as_ref()
        .and_then(|name| structure.member(name))
    {
        Some(member) => payload(model, member, output, &mut answer),
        None => answer.body = Value::Object(body).to_string().into_bytes(),
    }
    Ok(answer)
}

fn payload(model: &ServiceModel, member: &Member, output: &Value, answer: &mut Answer) {
    let value = output.get(&member.name).unwrap_or(&Value::Null);
    answer.body = match (&model.shape(member.shape).kind, value) {
        (Kind::Blob(_), Value::String(text)) => {
            let bytes = blob::decoded(text).unwrap_or_default();
            if !matches!(bytes.first(), Some(b'{' | b'[')) {
                answer.content_type = BYTES;
            }
            bytes
        }
        (Kind::Text(_), Value::String(text)) => text.clone().into_bytes(),
        (_, Value::Null) => Vec::new(),
        (_, value) => wire(model, member.shape, value).to_string().into_bytes(),
    };
}

fn header(member: &Member, value: &Value) -> Result<(String, HeaderValue), ApiError> {
    let text = match value {
        Value::String(text) if member.json_value => blob::encoded(text.as_bytes()),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let value = HeaderValue::from_str(&text).map_err(ApiError::internal)?;
    Ok((member.wire_name.to_ascii_lowercase(), value))
}

fn prefixed(member: &Member, value: &Value) -> Result<Vec<(String, HeaderValue)>, ApiError> {
    let entries = value.as_object().into_iter().flatten();
    entries
        .map(|(name, value)| {
            let text = value.as_str().unwrap_or_default();
            let value = HeaderValue::from_str(text).map_err(ApiError::internal)?;
            let name = format!("{}{name}", member.wire_name);
            Ok((name.to_ascii_lowercase(), value))
        })
        .collect()
}

/// `value` with wire names in the place of member names, nulls and unknown members left out.
fn wire(model: &ServiceModel, id: ShapeId, value: &Value) -> Value {
    match (&model.shape(id).kind, value) {
        (Kind::Structure(structure), Value::Object(members)) => {
            let known = structure.members.iter().filter_map(|member| {
                let value = members.get(&member.name)?;
                let kept = !value.is_null();
                kept.then(|| (member.wire_name.clone(), wire(model, member.shape, value)))
            });
            Value::Object(known.collect())
        }
        (Kind::List(list), Value::Array(items)) => items
            .iter()
            .map(|item| wire(model, list.item, item))
            .collect(),
        (Kind::Map(map), Value::Object(entries)) => {
            let entries = entries
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key.clone(), wire(model, map.value, value)));
            Value::Object(entries.collect())
        }
        _ => value.clone(),
    }
}

/// The path of a member of `output` that the model does not know.
pub(crate) fn unknown_member(served: &Served, output: &Value) -> Option<String> {
    match served.model.output {
        Some(id) => unknown(served.service, id, output),
        None => match output {
            Value::Object(members) => members.keys().next().cloned(),
            _ => None,
        },
    }
}

fn unknown(model: &ServiceModel, id: ShapeId, value: &Value) -> Option<String> {
    match (&model.shape(id).kind, value) {
        (Kind::Structure(structure), Value::Object(members)) => {
            members.iter().find_map(|(name, value)| {
                let Some(member) = structure.member(name) else {
                    return Some(name.clone());
                };
                let inner = unknown(model, member.shape, value)?;
                Some(format!("{name}.{inner}"))
            })
        }
        (Kind::List(list), Value::Array(items)) => items
            .iter()
            .find_map(|item| unknown(model, list.item, item)),
        (Kind::Map(map), Value::Object(entries)) => entries
            .values()
            .find_map(|item| unknown(model, map.value, item)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
