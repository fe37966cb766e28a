//! The broker's operations over HTTP: messages, connections, receipts and history.
//!
//! The gateway has judged the caller before any of these runs.
//!
//! Source: contract core 1.5, 2.6, 2.11; the service model of `palisade` for what is ours.

mod connections;
mod direct;
mod history;
mod messages;
mod properties;
mod receipts;
mod traces;

use gateway::Operation;
use model::ApiError;
use storage::{Storage, StorageError, Tx};

use crate::broker::Broker;

/// All of them.
pub(crate) fn operations(broker: &Broker) -> Vec<Operation> {
    let parts = [
        messages::operations(broker),
        connections::operations(broker),
        direct::operations(broker),
        receipts::operations(broker),
        history::operations(broker),
        traces::operations(broker),
    ];
    parts.into_iter().flatten().collect()
}

/// Where a page begins: behind what `token`, an earlier answer's, names.
async fn page_after(
    storage: &Storage,
    list: String,
    token: Option<String>,
) -> Result<Vec<String>, ApiError> {
    let Some(token) = token else {
        return Ok(Vec::new());
    };
    let run =
        move |tx: &mut Tx<'_>| -> Result<_, StorageError> { Ok(tx.page_after(&list, &token)) };
    let after = storage.read(run).await?;
    after.map_err(|_| ApiError::invalid("the page token is not one of ours for this list"))
}

/// The token of the next page.
async fn page_token(
    storage: &Storage,
    list: String,
    last: Vec<String>,
) -> Result<String, ApiError> {
    let run = move |tx: &mut Tx<'_>| -> Result<_, StorageError> {
        let last: Vec<&str> = last.iter().map(String::as_str).collect();
        Ok(tx.page_token(&list, &last))
    };
    Ok(storage.read(run).await?)
}
