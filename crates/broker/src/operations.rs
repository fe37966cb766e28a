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
mod retained;
mod sessions;
mod subscriptions;
mod traces;

use gateway::Operation;
use model::ApiError;
use storage::{Storage, StorageError, Tx};

use crate::broker::Broker;
use crate::core::look::Stretch;
use crate::core::{Core, Now};

/// Stretches of one call; a list that needs more goes on with the caller's next page.
const STRETCHES_MAX: usize = 100;

/// All of them.
pub(crate) fn operations(broker: &Broker) -> Vec<Operation> {
    let parts = [
        messages::operations(broker),
        connections::operations(broker),
        direct::operations(broker),
        receipts::operations(broker),
        history::operations(broker),
        traces::operations(broker),
        sessions::operations(broker),
        subscriptions::operations(broker),
        retained::operations(broker),
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

/// Up to `limit` things that `look` finds from `cursor` on, in several short visits to the core,
/// and where the next page begins.
async fn gather<T, C, F>(
    broker: &Broker,
    cursor: C,
    limit: usize,
    look: F,
) -> Result<(Vec<T>, Option<C>), ApiError>
where
    T: Send + 'static,
    C: Send + 'static,
    F: Fn(&Core, Now, &C, usize) -> Stretch<T, C> + Clone + Send + 'static,
{
    let mut found = Vec::new();
    let mut next = Some(cursor);
    for _ in 0..STRETCHES_MAX {
        let Some(cursor) = next.take() else {
            break;
        };
        let (look, room) = (look.clone(), limit - found.len());
        let stretch = broker
            .with_core(move |core, now| look(core, now, &cursor, room))
            .await?;
        found.extend(stretch.found);
        next = stretch.next;
        if limit <= found.len() {
            break;
        }
    }
    Ok((found, next))
}
