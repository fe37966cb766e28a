//! `palisade:GetReceipt`: what a change of access did to live sessions.

use std::time::Duration;

use gateway::{AsyncCall, Mutation, Operation};
use model::ApiError;
use serde::Deserialize;

use crate::broker::Broker;
use crate::receipts::Receipt;

/// How long a change that is just being applied is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn operations(broker: &Broker) -> Vec<Operation> {
    let broker = broker.clone();
    vec![Operation::asynchronous(
        "palisade",
        "GetReceipt",
        "*",
        Mutation::No,
        move |_: AsyncCall, input: Input| {
            let broker = broker.clone();
            Box::pin(async move { receipt(&broker, input.sequence).await })
        },
    )]
}

#[derive(Deserialize)]
struct Input {
    sequence: u64,
}

async fn receipt(broker: &Broker, sequence: u64) -> Result<Receipt, ApiError> {
    let receipt = broker.receipt(sequence, PATIENCE).await;
    receipt.ok_or_else(|| {
        ApiError::not_found(format!(
            "there is no receipt of change {sequence}; it is not applied yet, or too long ago"
        ))
    })
}
