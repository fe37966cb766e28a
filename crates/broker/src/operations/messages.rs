//! `Publish`, `GetRetainedMessage`, `ListRetainedMessages`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gateway::{AsyncCall, Mutation, Operation};
use model::{ApiError, ErrorKind};
use mqtt::{QoS, TopicLimits, TopicName};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::properties::{Message, expiry_s, user_properties_text};
use super::{gather, page_after, page_token};
use crate::broker::Broker;
use crate::core::{ApiPublish, Core, Now, PublishRefusal};

/// Items of a page when the caller names no number, and the most there can be.
// spec aws-iot [MQ-56]
const PAGE_MAX: usize = 200;
const RETAINED_LIST: &str = "ListRetainedMessages";

pub(super) fn operations(broker: &Broker) -> Vec<Operation> {
    let (for_publish, for_get, for_list) = (broker.clone(), broker.clone(), broker.clone());
    vec![
        Operation::asynchronous(
            "iot-data",
            "Publish",
            "topic/{topic}",
            Mutation::Yes,
            move |call: AsyncCall, input: PublishInput| {
                let broker = for_publish.clone();
                Box::pin(async move { publish(&broker, &call, input).await })
            },
        )
        // spec aws-iot [MQ-54]
        .also("iot:RetainPublish", |input| {
            input["retain"] == Value::Bool(true)
        }),
        Operation::asynchronous(
            "iot-data",
            "GetRetainedMessage",
            "topic/{topic}",
            Mutation::No,
            move |_: AsyncCall, input: GetRetainedInput| {
                let broker = for_get.clone();
                Box::pin(async move { retained_message(&broker, input.topic).await })
            },
        ),
        Operation::asynchronous(
            "iot-data",
            "ListRetainedMessages",
            "*",
            Mutation::No,
            move |_: AsyncCall, input: ListRetainedInput| {
                let broker = for_list.clone();
                Box::pin(async move { retained_messages(&broker, input).await })
            },
        ),
    ]
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PublishInput {
    #[serde(flatten)]
    message: Message,
    #[serde(default)]
    qos: u8,
    #[serde(default)]
    retain: bool,
    #[serde(default)]
    message_expiry: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PublishOutput {
    message: &'static str,
    trace_id: String,
}

// spec aws-iot [EP-40], [EP-41]
async fn publish(
    broker: &Broker,
    call: &AsyncCall,
    input: PublishInput,
) -> Result<PublishOutput, ApiError> {
    let qos = QoS::parse(input.qos).filter(|qos| *qos != QoS::ExactlyOnce);
    let qos = qos.ok_or_else(|| ApiError::invalid("'qos' is 0 or 1"))?;
    let mut publish = input.message.publish(broker.limits(), qos)?;
    publish.retain = input.retain;
    publish.properties.message_expiry_s = expiry_s(input.message_expiry);
    let message = ApiPublish { publish };
    let taken = broker
        .with_core(move |core, now| core.publish_for_api(now, message))
        .await?
        .map_err(refused)?;
    if qos == QoS::AtLeastOnce {
        broker.persisted(taken).await;
    }
    Ok(PublishOutput {
        message: "OK",
        trace_id: call.request_id.to_string(),
    })
}

fn refused(refusal: PublishRefusal) -> ApiError {
    match refusal {
        PublishRefusal::Reserved => {
            ApiError::invalid("clients may not publish to this reserved topic")
        }
        PublishRefusal::RetainReserved => {
            ApiError::invalid("reserved topics keep no retained messages")
        }
        PublishRefusal::TooLarge => ApiError::new(
            ErrorKind::TooLarge,
            "RequestEntityTooLargeException",
            "the payload is too large",
        ),
        PublishRefusal::RetainedFull => {
            ApiError::throttled("no more retained messages can be kept")
        }
        PublishRefusal::Behind => ApiError::throttled("the disk does not follow; try again later"),
    }
}

#[derive(Deserialize)]
struct GetRetainedInput {
    topic: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GetRetainedOutput {
    topic: String,
    #[serde(with = "gateway::blob")]
    payload: Vec<u8>,
    qos: u8,
    last_modified_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_properties: Option<String>,
}

// spec aws-iot [MQ-55], [MQ-56]
async fn retained_message(broker: &Broker, topic: String) -> Result<GetRetainedOutput, ApiError> {
    let name = TopicName::parse(&topic, &TopicLimits::STANDARD)
        .map_err(|error| ApiError::invalid(format!("'topic': {error}")))?;
    let found = broker
        .with_core(move |core, now| core.retained_message(now, &name))
        .await?;
    let found = found.ok_or_else(|| ApiError::not_found("the topic has no retained message"))?;
    let properties = &found.user_properties;
    Ok(GetRetainedOutput {
        topic,
        payload: found.payload.to_vec(),
        qos: found.qos.number(),
        last_modified_time: found.modified_at.millis(),
        user_properties: (!properties.is_empty())
            .then(|| STANDARD.encode(user_properties_text(properties))),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListRetainedInput {
    next_token: Option<String>,
    max_results: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListRetainedOutput {
    retained_topics: Vec<RetainedTopic>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RetainedTopic {
    topic: String,
    payload_size: usize,
    qos: u8,
    last_modified_time: i64,
}

async fn retained_messages(
    broker: &Broker,
    input: ListRetainedInput,
) -> Result<ListRetainedOutput, ApiError> {
    let storage = broker.storage();
    let after = page_after(storage, RETAINED_LIST.to_owned(), input.next_token).await?;
    let after = after.into_iter().next().unwrap_or_default();
    let limit = input.max_results.unwrap_or(PAGE_MAX).min(PAGE_MAX);
    let look = |core: &Core, now: Now, after: &String, room: usize| {
        core.look_at_retained(now, after, room, "")
    };
    let (page, next) = gather(broker, after, limit, look).await?;
    let next_token = match next {
        Some(topic) => Some(page_token(storage, RETAINED_LIST.to_owned(), vec![topic]).await?),
        None => None,
    };
    let retained_topics = page.into_iter().map(|one| RetainedTopic {
        topic: one.topic,
        payload_size: one.payload_bytes,
        qos: one.qos.number(),
        last_modified_time: one.modified_at.millis(),
    });
    Ok(ListRetainedOutput {
        retained_topics: retained_topics.collect(),
        next_token,
    })
}
