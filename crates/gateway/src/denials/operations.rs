//! `palisade:GetDenial` and `palisade:ListDenials`.
//!
//! Both are authorized and recorded as any operation: why somebody was refused tells much about
//! the policies.

use model::{ApiError, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use storage::Tx;

use super::{DenialId, DenialRecord, Denials, store};
use crate::operation::{AsyncCall, Mutation, Operation};

/// Items of a page when the caller names no number, and the most there can be.
const PAGE_MAX: u32 = 250;
/// Sorts after every id.
const AFTER_EVERY_ID: &str = "~";

/// The operations over `denials`.
pub(crate) fn operations(denials: &Denials) -> Vec<Operation> {
    let (for_get, for_list) = (denials.clone(), denials.clone());
    vec![
        Operation::asynchronous(
            "palisade",
            "GetDenial",
            "palisade:denial/{denialId}",
            Mutation::No,
            move |call: AsyncCall, input: GetDenialInput| {
                let denials = for_get.clone();
                Box::pin(async move { denial(&denials, &call, input.denial_id).await })
            },
        )
        .recorded(),
        Operation::asynchronous(
            "palisade",
            "ListDenials",
            "palisade:denial/*",
            Mutation::No,
            move |call: AsyncCall, input: ListDenialsInput| {
                let denials = for_list.clone();
                Box::pin(async move { list(&denials, &call, input).await })
            },
        )
        .recorded(),
    ]
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GetDenialInput {
    denial_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListDenialsInput {
    principal: Option<String>,
    max_results: Option<u32>,
    next_token: Option<String>,
}

#[derive(Serialize)]
struct GetDenialOutput {
    denial: DenialOutput,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListDenialsOutput {
    denials: Vec<DenialOutput>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DenialOutput {
    denial_id: String,
    first_at: f64,
    last_at: f64,
    count: u64,
    door: String,
    principal: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_ip: Option<String>,
    action: String,
    resource: String,
    verdict: String,
    /// JSON inside a string: its shape belongs to the policy engine, not to the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<String>,
}

impl From<DenialRecord> for DenialOutput {
    fn from(record: DenialRecord) -> Self {
        Self {
            denial_id: record.id.to_string(),
            first_at: record.first_at.epoch_seconds(),
            last_at: record.last_at.epoch_seconds(),
            count: record.count,
            door: record.door,
            principal: record.principal,
            client_id: record.client_id,
            source_ip: record.source_ip,
            action: record.action,
            resource: record.resource,
            verdict: record.verdict,
            explanation: match record.explanation {
                Value::Null => None,
                known => Some(known.to_string()),
            },
        }
    }
}

async fn denial(
    denials: &Denials,
    call: &AsyncCall,
    id: String,
) -> Result<GetDenialOutput, ApiError> {
    let found = match denials.in_memory(&DenialId(id.as_str().into())) {
        Some(record) => Some(record),
        None => {
            let wanted = id.clone();
            call.storage
                .read(move |tx| store::find(tx, &wanted).map_err(ApiError::from))
                .await?
        }
    };
    let record = found.ok_or_else(|| {
        ApiError::not_found(format!(
            "there is no denial {id}; records are kept for a limited time and number"
        ))
    })?;
    Ok(GetDenialOutput {
        denial: record.into(),
    })
}

async fn list(
    denials: &Denials,
    call: &AsyncCall,
    input: ListDenialsInput,
) -> Result<ListDenialsOutput, ApiError> {
    denials.flush(&call.storage).await.map_err(ApiError::from)?;
    call.storage.read(move |tx| page(tx, &input)).await
}

fn page(tx: &mut Tx<'_>, input: &ListDenialsInput) -> Result<ListDenialsOutput, ApiError> {
    let principal = input.principal.as_deref();
    let list = format!("palisade:ListDenials:{}", principal.unwrap_or_default());
    let before = match &input.next_token {
        None => (Timestamp::from_millis(i64::MAX), AFTER_EVERY_ID.to_owned()),
        Some(token) => read_token(tx, &list, token)?,
    };
    let most = input.max_results.unwrap_or(PAGE_MAX).min(PAGE_MAX);
    let mut found = store::page(tx, principal, (before.0, &before.1), most + 1)?;
    let more = most as usize <= found.len().saturating_sub(1);
    found.truncate(most as usize);
    let next_token = found.last().filter(|_| more).map(|last| {
        let at = last.first_at.millis().to_string();
        tx.page_token(&list, &[&at, last.id.as_str()])
    });
    Ok(ListDenialsOutput {
        denials: found.into_iter().map(DenialOutput::from).collect(),
        next_token,
    })
}

fn read_token(tx: &Tx<'_>, list: &str, token: &str) -> Result<(Timestamp, String), ApiError> {
    let invalid = || ApiError::invalid("nextToken is not one that this list has given out");
    let last = tx.page_after(list, token).map_err(|_| invalid())?;
    match last.as_slice() {
        [at, id] => {
            let millis = at.parse().map_err(|_| invalid())?;
            Ok((Timestamp::from_millis(millis), id.clone()))
        }
        _ => Err(invalid()),
    }
}
