//! `SearchRetainedMessages` by the beginning of their topics, and `DeleteRetainedMessage`.
//!
//! A deletion is quiet, unlike the empty retained message of MQTT: nobody who is subscribed is
//! sent anything. There is none of a whole prefix at once: each topic is a question to the
//! policies, which may deny it among others that they allow.

use gateway::{AsyncCall, Mutation, Operation};
use model::{ApiError, Timestamp};
use mqtt::{TopicLimits, TopicName};
use serde::{Deserialize, Serialize};

use super::{gather, page_after, page_token};
use crate::broker::Broker;
use crate::core::{Core, Now};

/// Items of a page when the caller names no number, and the most there can be.
const PAGE_MAX: usize = 250;

pub(super) fn operations(broker: &Broker) -> Vec<Operation> {
    let (for_search, for_delete) = (broker.clone(), broker.clone());
    vec![
        Operation::asynchronous(
            "palisade",
            "SearchRetainedMessages",
            "*",
            Mutation::No,
            move |_: AsyncCall, input: SearchInput| {
                let broker = for_search.clone();
                Box::pin(async move { search(&broker, input).await })
            },
        ),
        Operation::asynchronous(
            "palisade",
            "DeleteRetainedMessage",
            "topic/{topic}",
            Mutation::Yes,
            move |_: AsyncCall, input: DeleteInput| {
                let broker = for_delete.clone();
                Box::pin(async move { delete(&broker, input.topic).await })
            },
        ),
    ]
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SearchInput {
    #[serde(default)]
    topic_prefix: String,
    next_token: Option<String>,
    max_results: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SearchOutput {
    retained_messages: Vec<Found>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    topic: String,
    payload_bytes: usize,
    qos: u8,
    last_modified_at: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<f64>,
}

async fn search(broker: &Broker, input: SearchInput) -> Result<SearchOutput, ApiError> {
    let storage = broker.storage();
    let prefix = input.topic_prefix;
    let name = format!("SearchRetainedMessages/{prefix}");
    let after = page_after(storage, name.clone(), input.next_token).await?;
    let after = after.into_iter().next().unwrap_or_default();
    let limit = input.max_results.unwrap_or(PAGE_MAX).min(PAGE_MAX);
    let look = move |core: &Core, now: Now, after: &String, room: usize| {
        core.look_at_retained(now, after, room, &prefix)
    };
    let (page, next) = gather(broker, after, limit, look).await?;
    let next_token = match next {
        Some(topic) => Some(page_token(storage, name, vec![topic]).await?),
        None => None,
    };
    let retained_messages = page.into_iter().map(|one| Found {
        topic: one.topic,
        payload_bytes: one.payload_bytes,
        qos: one.qos.number(),
        last_modified_at: one.modified_at.epoch_seconds(),
        expires_at: one.expires_at.map(Timestamp::epoch_seconds),
    });
    Ok(SearchOutput {
        retained_messages: retained_messages.collect(),
        next_token,
    })
}

#[derive(Deserialize)]
struct DeleteInput {
    topic: String,
}

#[derive(Serialize)]
struct Nothing {}

async fn delete(broker: &Broker, topic: String) -> Result<Nothing, ApiError> {
    let name = TopicName::parse(&topic, &TopicLimits::STANDARD)
        .map_err(|error| ApiError::invalid(format!("'topic': {error}")))?;
    let (known, written) = broker
        .with_core(move |core, now| (core.forget_retained_message(now, &name), core.written()))
        .await?;
    if !known {
        return Err(ApiError::not_found("the topic has no retained message"));
    }
    broker.persisted(written).await;
    Ok(Nothing {})
}
