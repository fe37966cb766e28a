//! `ListSessions` and `DescribeSession`: connected or waiting, and what waits for them.

use gateway::{AsyncCall, Mutation, Operation};
use model::{ApiError, Timestamp};
use serde::{Deserialize, Serialize};

use super::connections::{Filter, no_such_client};
use super::traces::protocol;
use super::{gather, page_after, page_token};
use crate::broker::Broker;
use crate::core::look::{SessionFilter, SessionSummary, WaitingMessage};
use crate::core::{Core, Now};

/// Items of a page when the caller names no number, and the most there can be.
const PAGE_MAX: usize = 250;
/// Messages shown of those that wait for one session.
const WAITING_SHOWN: usize = 10;

pub(super) fn operations(broker: &Broker) -> Vec<Operation> {
    let (for_list, for_describe) = (broker.clone(), broker.clone());
    vec![
        Operation::asynchronous(
            "palisade",
            "ListSessions",
            "*",
            Mutation::No,
            move |_: AsyncCall, input: ListInput| {
                let broker = for_list.clone();
                Box::pin(async move { list(&broker, input).await })
            },
        ),
        Operation::asynchronous(
            "palisade",
            "DescribeSession",
            "client/{clientId}",
            Mutation::No,
            move |_: AsyncCall, input: DescribeInput| {
                let broker = for_describe.clone();
                Box::pin(async move { describe(&broker, input).await })
            },
        ),
    ]
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListInput {
    #[serde(flatten)]
    filter: Filter,
    next_token: Option<String>,
    max_results: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListOutput {
    sessions: Vec<ListedSession>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedSession {
    client_id: String,
    connected: bool,
    owner: String,
    principal: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    thing_name: Option<String>,
    protocol: &'static str,
    subscriptions: usize,
    queued_messages: usize,
    queued_bytes: u64,
    in_flight_messages: usize,
    receiving_messages: usize,
    has_will: bool,
    session_expiry_seconds: u32,
    connected_since: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    disconnected_since: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disconnect_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<f64>,
}

impl From<SessionSummary> for ListedSession {
    fn from(found: SessionSummary) -> Self {
        let of = found.connection;
        Self {
            client_id: of.client_id,
            connected: of.connected,
            owner: found.owner,
            principal: of.principal,
            thing_name: of.thing,
            protocol: protocol(of.version),
            subscriptions: of.subscriptions,
            queued_messages: found.queued,
            queued_bytes: found.queued_bytes,
            in_flight_messages: found.in_flight,
            receiving_messages: found.receiving,
            has_will: found.has_will,
            session_expiry_seconds: of.session_expiry_s,
            connected_since: of.connected_at.epoch_seconds(),
            disconnected_since: of.disconnected_at.map(Timestamp::epoch_seconds),
            disconnect_reason: of.disconnect_reason.map(|reason| reason.as_str()),
            expires_at: found.expires_at.map(Timestamp::epoch_seconds),
        }
    }
}

async fn list(broker: &Broker, input: ListInput) -> Result<ListOutput, ApiError> {
    let storage = broker.storage();
    let filter = input.filter;
    let name = format!("ListSessions/{filter:?}");
    let after = page_after(storage, name.clone(), input.next_token).await?;
    let after = after.into_iter().next().unwrap_or_default();
    let limit = input.max_results.unwrap_or(PAGE_MAX).min(PAGE_MAX);
    let wanted = SessionFilter::from(filter);
    let look = move |core: &Core, _: Now, after: &String, room: usize| {
        core.look_at_sessions(after, room, &wanted)
    };
    let (page, next) = gather(broker, after, limit, look).await?;
    let next_token = match next {
        Some(client_id) => Some(page_token(storage, name, vec![client_id]).await?),
        None => None,
    };
    Ok(ListOutput {
        sessions: page.into_iter().map(Into::into).collect(),
        next_token,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DescribeInput {
    client_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DescribeOutput {
    session: ListedSession,
    waiting: Vec<Waiting>,
}

/// The payload is for the client alone.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Waiting {
    topic: String,
    qos: u8,
    retain: bool,
    payload_bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<f64>,
}

impl From<WaitingMessage> for Waiting {
    fn from(message: WaitingMessage) -> Self {
        Self {
            topic: message.topic,
            qos: message.qos.number(),
            retain: message.retain,
            payload_bytes: message.payload_bytes,
            expires_at: message.expires_at.map(Timestamp::epoch_seconds),
        }
    }
}

async fn describe(broker: &Broker, input: DescribeInput) -> Result<DescribeOutput, ApiError> {
    let client_id = input.client_id.clone();
    let found = broker
        .with_core(move |core, _| core.session_of_client(&client_id, WAITING_SHOWN))
        .await?;
    let (session, waiting) = found.ok_or_else(|| no_such_client(&input.client_id))?;
    Ok(DescribeOutput {
        session: session.into(),
        waiting: waiting.into_iter().map(Into::into).collect(),
    })
}
