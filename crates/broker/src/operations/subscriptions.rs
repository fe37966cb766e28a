//! `SearchSubscriptions`: who subscribed to what, and who would get a topic.

use gateway::{AsyncCall, Mutation, Operation};
use model::ApiError;
use mqtt::{TopicLimits, TopicName};
use serde::{Deserialize, Serialize};

use super::connections::Filter;
use super::{gather, page_after, page_token};
use crate::broker::Broker;
use crate::core::look::{FoundSubscription, SubscriptionsWanted};
use crate::core::{Core, Now};

/// Items of a page when the caller names no number, and the most there can be.
const PAGE_MAX: usize = 250;

pub(super) fn operations(broker: &Broker) -> Vec<Operation> {
    let broker = broker.clone();
    vec![Operation::asynchronous(
        "palisade",
        "SearchSubscriptions",
        "*",
        Mutation::No,
        move |_: AsyncCall, input: Input| {
            let broker = broker.clone();
            Box::pin(async move { search(&broker, input).await })
        },
    )]
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    #[serde(flatten)]
    of: Filter,
    topic_filter: Option<String>,
    topic: Option<String>,
    next_token: Option<String>,
    max_results: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Output {
    subscriptions: Vec<Found>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    client_id: String,
    connected: bool,
    topic_filter: String,
    qos: u8,
    shared: bool,
    no_local: bool,
    retain_as_published: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription_identifier: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    may_receive: Option<bool>,
}

impl From<FoundSubscription> for Found {
    fn from(found: FoundSubscription) -> Self {
        Self {
            client_id: found.client_id,
            connected: found.connected,
            topic_filter: found.filter,
            qos: found.qos.number(),
            shared: found.shared,
            no_local: found.no_local,
            retain_as_published: found.retain_as_published,
            subscription_identifier: found.identifier,
            may_receive: found.may_receive,
        }
    }
}

async fn search(broker: &Broker, input: Input) -> Result<Output, ApiError> {
    let storage = broker.storage();
    let (of, filter, topic) = (&input.of, &input.topic_filter, &input.topic);
    let name = format!("SearchSubscriptions/{of:?}/{filter:?}/{topic:?}");
    let topic = input.topic.map(|text| {
        TopicName::parse(&text, &TopicLimits::STANDARD)
            .map_err(|error| ApiError::invalid(format!("'topic': {error}")))
    });
    let wanted = SubscriptionsWanted {
        of: input.of.into(),
        filter: input.topic_filter,
        topic: topic.transpose()?,
    };
    let after = page_after(storage, name.clone(), input.next_token).await?;
    let mut after = after.into_iter();
    let after = (
        after.next().unwrap_or_default(),
        after.next().unwrap_or_default(),
    );
    let limit = input.max_results.unwrap_or(PAGE_MAX).min(PAGE_MAX);
    let look = move |core: &Core, now: Now, after: &(String, String), room: usize| {
        core.look_at_subscriptions(now, after, room, &wanted)
    };
    let (page, next) = gather(broker, after, limit, look).await?;
    let next_token = match next {
        Some((client_id, filter)) => {
            Some(page_token(storage, name, vec![client_id, filter]).await?)
        }
        None => None,
    };
    Ok(Output {
        subscriptions: page.into_iter().map(Into::into).collect(),
        next_token,
    })
}
