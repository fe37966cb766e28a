//! `palisade:ListConnectionHistory`: who connected when, and why it ended.

use gateway::{Call, Operation};
use model::{ApiError, Timestamp};
use serde::{Deserialize, Serialize};

use crate::broker::Broker;
use crate::store::{HistoryRow, history};

/// Items of a page when the caller names no number, and the most there can be.
const PAGE_MAX: u32 = 250;

pub(super) fn operations(_broker: &Broker) -> Vec<Operation> {
    vec![Operation::read(
        "palisade",
        "ListConnectionHistory",
        "*",
        list,
    )]
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    principal: Option<String>,
    client_id: Option<String>,
    max_results: Option<u32>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Output {
    connections: Vec<PastConnection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PastConnection {
    session_identifier: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    principal: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    thing_name: Option<String>,
    source_address: String,
    tls_version: String,
    tls_group: String,
    connected_at: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    disconnected_at: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disconnect_reason: Option<String>,
}

impl From<HistoryRow> for PastConnection {
    fn from(row: HistoryRow) -> Self {
        Self {
            session_identifier: row.id,
            client_id: row.client_id,
            principal: row.principal,
            thing_name: row.thing,
            source_address: row.address,
            tls_version: row.tls_version,
            tls_group: row.tls_group,
            connected_at: row.connected_at.epoch_seconds(),
            disconnected_at: row.disconnected_at.map(Timestamp::epoch_seconds),
            disconnect_reason: row.reason,
        }
    }
}

fn list(call: &mut Call<'_, '_>, input: Input) -> Result<Output, ApiError> {
    let (principal, client_id) = (input.principal.as_deref(), input.client_id.as_deref());
    let name = format!(
        "ListConnectionHistory/{}/{}",
        principal.unwrap_or_default(),
        client_id.unwrap_or_default()
    );
    let wrong = || ApiError::invalid("the page token is not one of ours for this list");
    let after = match &input.next_token {
        None => None,
        Some(token) => {
            let last = call.tx.page_after(&name, token).map_err(|_| wrong())?;
            let [at, id] = last.as_slice() else {
                return Err(wrong());
            };
            let at = Timestamp::from_millis(at.parse().map_err(|_| wrong())?);
            Some((at, id.clone()))
        }
    };
    let after = after.as_ref().map(|(at, id)| (*at, id.as_str()));
    let limit = input.max_results.unwrap_or(PAGE_MAX).min(PAGE_MAX);
    let page = history(call.tx, principal, client_id, after, limit)?;
    let next_token = page.next.map(|(at, id)| {
        let at = at.millis().to_string();
        call.tx.page_token(&name, &[&at, &id])
    });
    Ok(Output {
        connections: page.rows.into_iter().map(Into::into).collect(),
        next_token,
    })
}
