//! The trail: a record of each control call that changes something, in the shape of CloudTrail.
//!
//! A successful call is recorded in its own transaction; a failed or denied one, which has no
//! transaction, through a bounded batch. Secrets never enter a record: members that the model
//! calls sensitive and those known to hold secrets are replaced, as are blobs, and private keys
//! that were pasted into anything else.
//!
//! Source: contract core 12.3.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{ApiError, Scope, Timestamp};
use serde_json::{Map as Object, Value, json};
use storage::{Storage, StorageError, Tx, Urgency, params};
use tokio::sync::Notify;

use crate::caller::{Caller, CallerKind};
use crate::catalogue::Served;
use crate::operation::Mutation;
use crate::redaction::{HIDDEN, value_without_private_keys, without_private_keys};
use crate::service_model::{Kind, ServiceModel, ShapeId};

/// Longest request parameters or response elements of one record, in bytes of JSON.
const ELEMENTS_BYTES_MAX: usize = 32 * 1024;
/// Longest error message of one record, in bytes.
const MESSAGE_BYTES_MAX: usize = 1024;
/// Members that hold secrets though a model may not say so.
const SECRETS: [&str; 8] = [
    "privateKey",
    "secretAccessKey",
    "sessionToken",
    "webIdentityToken",
    "sAMLAssertion",
    "tokenCode",
    "password",
    "registrationCode",
];
/// Records waiting for the next batch.
const WAITING_MAX: usize = 4096;
/// Records written in one transaction.
const BATCH: usize = 256;
/// Records removed by one call of retention.
const REMOVE_BATCH: u32 = 1000;

/// One record, ready to be stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TrailRecord {
    pub(crate) id: String,
    pub(crate) at: Timestamp,
    pub(crate) event_name: &'static str,
    pub(crate) event_source: &'static str,
    pub(crate) user_arn: String,
    pub(crate) access_key_id: Option<String>,
    pub(crate) error_code: Option<&'static str>,
    pub(crate) record: Value,
}

/// A call and how it ended.
pub(crate) struct Event<'a> {
    pub(crate) served: &'a Served,
    pub(crate) caller: &'a Caller,
    pub(crate) scope: &'a Scope,
    pub(crate) request_id: &'a str,
    pub(crate) at: Timestamp,
    pub(crate) input: &'a Value,
    pub(crate) outcome: Result<&'a Value, &'a ApiError>,
}

impl Event<'_> {
    /// The record of this event.
    pub(crate) fn record(&self) -> TrailRecord {
        let id = model::random_uuid();
        let record = self.rendered(&id);
        TrailRecord {
            id,
            at: self.at,
            event_name: self.served.operation.name,
            event_source: event_source(self.served.service),
            user_arn: self.caller.arn.clone(),
            access_key_id: self.caller.access_key_id.clone(),
            error_code: self.outcome.err().map(|error| error.exception),
            record,
        }
    }

    fn rendered(&self, id: &str) -> Value {
        let Event { served, scope, .. } = self;
        let model = served.service;
        let data = model.is_data_plane();
        let mut record = json!({
            "eventVersion": "1.08",
            "userIdentity": identity(self.caller),
            "eventTime": self.at.iso_seconds(),
            "eventSource": event_source(model),
            "eventName": served.operation.name,
            "awsRegion": scope.region.as_str(),
            "sourceIPAddress": self.caller.source_ip.to_string(),
            "userAgent": self.caller.user_agent,
            "requestParameters": elements(model, served.model.input, self.input),
            "responseElements": match self.outcome {
                Ok(output) if served.operation.mutation == Mutation::Yes => {
                    elements(model, served.model.output, output)
                }
                _ => Value::Null,
            },
            "requestID": self.request_id,
            "eventID": id,
            "readOnly": served.operation.mutation == Mutation::No,
            "eventType": "AwsApiCall",
            "managementEvent": !data,
            "recipientAccountId": scope.account.as_str(),
            "eventCategory": if data { "Data" } else { "Management" },
        });
        if let Err(error) = self.outcome {
            // Before it is cut: a key without its end would take the rest along.
            let message = without_private_keys(&error.message);
            let end = message.floor_char_boundary(MESSAGE_BYTES_MAX);
            record["errorCode"] = json!(error.exception);
            record["errorMessage"] = json!(message[..end]);
        }
        value_without_private_keys(record)
    }
}

fn event_source(model: &ServiceModel) -> &'static str {
    match model.name {
        "iam" => "iam.amazonaws.com",
        "sts" => "sts.amazonaws.com",
        "palisade" => "palisade",
        _ => "iot.amazonaws.com",
    }
}

fn identity(caller: &Caller) -> Value {
    let mut identity = json!({
        "type": match caller.kind {
            CallerKind::User => "IAMUser",
            CallerKind::AssumedRole { .. } => "AssumedRole",
            CallerKind::Device => "Device",
        },
        "principalId": caller.user_id,
        "arn": caller.arn,
        "accountId": caller.account,
    });
    if let Some(key) = &caller.access_key_id {
        identity["accessKeyId"] = json!(key);
    }
    if let Some(name) = caller.user_name() {
        identity["userName"] = json!(name);
    }
    identity
}

/// The members of an input or output as they may be kept.
fn elements(model: &ServiceModel, id: Option<ShapeId>, value: &Value) -> Value {
    let Some(id) = id else {
        return Value::Null;
    };
    let kept = redacted(model, id, value);
    match &kept {
        Value::Object(members) if members.is_empty() => Value::Null,
        _ if ELEMENTS_BYTES_MAX < kept.to_string().len() => {
            json!({"omitted": format!("larger than {ELEMENTS_BYTES_MAX} bytes")})
        }
        _ => kept,
    }
}

fn redacted(model: &ServiceModel, id: ShapeId, value: &Value) -> Value {
    let shape = model.shape(id);
    if shape.sensitive && !value.is_null() {
        return json!(HIDDEN);
    }
    match (&shape.kind, value) {
        (Kind::Blob(_), Value::String(_)) => json!(HIDDEN),
        (Kind::Structure(structure), Value::Object(members)) => {
            let kept = members.iter().filter_map(|(name, value)| {
                let member = structure.member(name)?;
                let value = if is_secret(name) && !value.is_null() {
                    json!(HIDDEN)
                } else {
                    redacted(model, member.shape, value)
                };
                Some((name.clone(), value))
            });
            Value::Object(kept.collect())
        }
        (Kind::List(list), Value::Array(items)) => items
            .iter()
            .map(|item| redacted(model, list.item, item))
            .collect(),
        (Kind::Map(map), Value::Object(entries)) => {
            let kept = entries.iter().map(|(key, item)| {
                let item = redacted(model, map.value, item);
                (key.clone(), item)
            });
            Value::Object(kept.collect::<Object<String, Value>>())
        }
        _ => value.clone(),
    }
}

fn is_secret(name: &str) -> bool {
    SECRETS
        .iter()
        .any(|secret| secret.eq_ignore_ascii_case(name))
}

/// Stores a record.
pub(crate) fn put(tx: &mut Tx<'_>, record: &TrailRecord) -> Result<(), StorageError> {
    tx.execute(
        "INSERT INTO trail_events \
         (id, at, event_name, event_source, user_arn, access_key_id, error_code, record) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        &params![
            record.id.as_str(),
            record.at,
            record.event_name,
            record.event_source,
            record.user_arn.as_str(),
            record.access_key_id.clone(),
            record.error_code,
            record.record.to_string()
        ],
    )?;
    Ok(())
}

/// Removes records before `oldest`, a bounded number; answers how many.
pub(crate) fn remove_older(tx: &mut Tx<'_>, oldest: Timestamp) -> Result<u64, StorageError> {
    tx.execute(
        "DELETE FROM trail_events WHERE id IN \
         (SELECT id FROM trail_events WHERE at < ?1 ORDER BY at, id LIMIT ?2)",
        &params![oldest, REMOVE_BATCH],
    )
}

/// The oldest moment that `age` keeps.
pub(crate) fn oldest(now: Timestamp, age: Duration) -> Timestamp {
    let age_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(now.millis().saturating_sub(age_ms))
}

/// Records of calls without a transaction, waiting for the next batch.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    waiting: Mutex<Waiting>,
    wake: Notify,
    flushing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Waiting {
    records: VecDeque<TrailRecord>,
    lost: u64,
}

impl Journal {
    /// Takes a record. When too many wait it is counted as lost.
    pub(crate) fn push(&self, record: TrailRecord) {
        let mut waiting = self.waiting();
        if WAITING_MAX <= waiting.records.len() {
            waiting.lost += 1;
        } else {
            waiting.records.push_back(record);
        }
        drop(waiting);
        self.wake.notify_one();
    }

    /// How many records were lost.
    pub(crate) fn lost(&self) -> u64 {
        self.waiting().lost
    }

    /// Resolves when a record was taken since the last time.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// The storage's; the records wait on.
    pub(crate) async fn flush(&self, storage: &Storage) -> Result<(), StorageError> {
        let _one_at_a_time = self.flushing.lock().await;
        loop {
            let batch: Arc<Vec<TrailRecord>> =
                Arc::new(self.waiting().records.iter().take(BATCH).cloned().collect());
            if batch.is_empty() {
                return Ok(());
            }
            let writing = Arc::clone(&batch);
            storage
                .write(Urgency::Normal, move |tx| {
                    writing.iter().try_for_each(|record| put(tx, record))
                })
                .await?;
            self.waiting().records.drain(..batch.len());
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
