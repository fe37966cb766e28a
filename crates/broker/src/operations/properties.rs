//! A message of an HTTP caller, and its properties, as MQTT has them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use model::ApiError;
use mqtt::packet::{PayloadFormat, Publish, PublishProperties, UserProperties};
use mqtt::session::ExpiryLimits;
use mqtt::{QoS, TopicName};
use serde::Deserialize;
use serde_json::Value;

use crate::limits::Limits;

/// The members that `Publish` and `SendDirectMessage` share.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message {
    pub(super) topic: String,
    #[serde(default, with = "gateway::blob")]
    payload: Vec<u8>,
    /// JSON text: a list of objects with one member each.
    user_properties: Option<String>,
    payload_format_indicator: Option<String>,
    content_type: Option<String>,
    response_topic: Option<String>,
    /// Base64.
    correlation_data: Option<String>,
}

impl Message {
    /// The message as a PUBLISH.
    ///
    /// # Errors
    /// `InvalidRequestException` names the member that is wrong.
    // spec aws-iot [EP-46], [MQ-82]
    pub(super) fn publish(self, limits: &Limits, qos: QoS) -> Result<Publish, ApiError> {
        let topics = limits.decode().topic;
        let name = |member: &str, text: &str| {
            TopicName::parse(text, &topics)
                .map_err(|error| ApiError::invalid(format!("'{member}': {error}")))
        };
        let response_topic = self.response_topic.map(|text| name("responseTopic", &text));
        let correlation = self.correlation_data.map(|text| {
            let decoded = STANDARD.decode(text);
            let wrong = |_| ApiError::invalid("'correlationData' is not base64");
            decoded.map(Bytes::from).map_err(wrong)
        });
        let user_properties = match self.user_properties {
            Some(text) => user_properties(&text, limits.user_property_bytes_max)?,
            None => UserProperties::new(),
        };
        Ok(Publish {
            dup: false,
            qos,
            retain: false,
            topic: Some(name("topic", &self.topic)?),
            packet_id: None,
            properties: PublishProperties {
                payload_format: self
                    .payload_format_indicator
                    .map(|word| match word.as_str() {
                        "UTF8_DATA" => PayloadFormat::Utf8,
                        _ => PayloadFormat::Unspecified,
                    }),
                message_expiry_s: None,
                topic_alias: None,
                response_topic: response_topic.transpose()?,
                correlation_data: correlation.transpose()?,
                user_properties,
                subscription_identifiers: Vec::new(),
                content_type: self.content_type,
            },
            payload: self.payload.into(),
        })
    }
}

/// The interval of a message published over HTTPS; 0 or less never expires.
// spec aws-iot [MQ-81]
pub(super) fn expiry_s(asked_s: i64) -> Option<u32> {
    let asked_s = u32::try_from(asked_s.min(u32::MAX.into())).ok()?;
    (asked_s > 0).then(|| ExpiryLimits::AWS.effective_s(asked_s))
}

/// Reads `[{"name":"value"},…]`.
fn user_properties(text: &str, bytes_max: usize) -> Result<UserProperties, ApiError> {
    let wrong = || {
        ApiError::invalid(
            "'userProperties' is not a JSON list of objects with one text member each",
        )
    };
    let list: Vec<serde_json::Map<String, Value>> =
        serde_json::from_str(text).map_err(|_| wrong())?;
    let mut properties = UserProperties::new();
    let mut bytes: usize = 0;
    for object in list {
        let mut members = object.into_iter();
        match (members.next(), members.next()) {
            (Some((name, Value::String(value))), None) => {
                bytes = bytes.saturating_add(name.len()).saturating_add(value.len());
                properties.push((name, value));
            }
            _ => return Err(wrong()),
        }
    }
    if bytes_max < bytes {
        return Err(ApiError::invalid(format!(
            "'userProperties' has {bytes} bytes; the limit is {bytes_max}"
        )));
    }
    Ok(properties)
}

/// The JSON text of user properties.
pub(super) fn user_properties_text(properties: &UserProperties) -> String {
    let object = |(name, value): &(String, String)| {
        let mut members = serde_json::Map::new();
        members.insert(name.clone(), Value::String(value.clone()));
        Value::Object(members)
    };
    Value::Array(properties.iter().map(object).collect()).to_string()
}

#[cfg(test)]
mod tests;
