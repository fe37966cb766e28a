//! The table of denials.

use model::Timestamp;
use serde_json::Value;
use storage::{Row, StorageError, Tx, params};

use super::{DenialId, DenialRecord};

/// Rows removed by one statement of retention.
const REMOVE_BATCH: u32 = 1000;

/// Writes a record, or the new count of one that is already there.
pub(super) fn put(tx: &mut Tx<'_>, record: &DenialRecord) -> Result<(), StorageError> {
    let explanation = match &record.explanation {
        Value::Null => None,
        known => Some(known.to_string()),
    };
    tx.execute(
        "INSERT INTO denials (id, first_at, last_at, repeats, door, principal, client_id, \
         source_ip, action, resource, verdict, explanation) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) \
         ON CONFLICT (id) DO UPDATE SET last_at = excluded.last_at, repeats = excluded.repeats",
        &params![
            record.id.as_str(),
            record.first_at,
            record.last_at,
            i64::try_from(record.count).unwrap_or(i64::MAX),
            record.door.as_str(),
            record.principal.as_str(),
            record.client_id.clone(),
            record.source_ip.clone(),
            record.action.as_str(),
            record.resource.as_str(),
            record.verdict.as_str(),
            explanation
        ],
    )?;
    Ok(())
}

/// Adds to the count of a record; nothing, when it is there no more.
pub(super) fn add(
    tx: &mut Tx<'_>,
    id: &str,
    times: u64,
    at: Timestamp,
) -> Result<(), StorageError> {
    let times = i64::try_from(times).unwrap_or(i64::MAX);
    tx.execute(
        "UPDATE denials SET repeats = repeats + ?2, last_at = ?3 WHERE id = ?1",
        &params![id, times, at],
    )?;
    Ok(())
}

/// The record of `id`.
pub(super) fn find(tx: &mut Tx<'_>, id: &str) -> Result<Option<DenialRecord>, StorageError> {
    tx.query_one(
        "SELECT id, first_at, last_at, repeats, door, principal, client_id, source_ip, action, \
         resource, verdict, explanation FROM denials WHERE id = ?1",
        &params![id],
    )?
    .map(|row| record(&row))
    .transpose()
}

/// The records before `(first_at, id)`, newest first; of one principal when given.
pub(super) fn page(
    tx: &mut Tx<'_>,
    principal: Option<&str>,
    before: (Timestamp, &str),
    most: u32,
) -> Result<Vec<DenialRecord>, StorageError> {
    let (at, id) = before;
    let rows = match principal {
        None => tx.query(
            "SELECT id, first_at, last_at, repeats, door, principal, client_id, source_ip, \
             action, resource, verdict, explanation FROM denials \
             WHERE first_at < ?1 OR (first_at = ?1 AND id < ?2) \
             ORDER BY first_at DESC, id DESC LIMIT ?3",
            &params![at, id, most],
        )?,
        Some(principal) => tx.query(
            "SELECT id, first_at, last_at, repeats, door, principal, client_id, source_ip, \
             action, resource, verdict, explanation FROM denials \
             WHERE principal = ?4 AND (first_at < ?1 OR (first_at = ?1 AND id < ?2)) \
             ORDER BY first_at DESC, id DESC LIMIT ?3",
            &params![at, id, most, principal],
        )?,
    };
    rows.iter().map(record).collect()
}

/// Removes records first seen before `oldest`.
pub(super) fn remove_older(tx: &mut Tx<'_>, oldest: Timestamp) -> Result<u64, StorageError> {
    tx.execute(
        "DELETE FROM denials WHERE id IN \
         (SELECT id FROM denials WHERE first_at < ?1 ORDER BY first_at, id LIMIT ?2)",
        &params![oldest, REMOVE_BATCH],
    )
}

/// Removes the oldest records when there are more than `most`.
pub(super) fn remove_beyond(tx: &mut Tx<'_>, most: u32) -> Result<u64, StorageError> {
    tx.execute(
        "DELETE FROM denials WHERE id IN \
         (SELECT id FROM denials ORDER BY first_at DESC, id DESC LIMIT ?2 OFFSET ?1)",
        &params![most, REMOVE_BATCH],
    )
}

fn record(row: &Row) -> Result<DenialRecord, StorageError> {
    let explanation = row.opt_text(11)?;
    Ok(DenialRecord {
        id: DenialId(row.text(0)?.into()),
        first_at: row.time(1)?,
        last_at: row.time(2)?,
        count: u64::try_from(row.int(3)?).unwrap_or(0),
        door: row.text(4)?,
        principal: row.text(5)?,
        client_id: row.opt_text(6)?,
        source_ip: row.opt_text(7)?,
        action: row.text(8)?,
        resource: row.text(9)?,
        verdict: row.text(10)?,
        explanation: explanation
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or(Value::Null),
    })
}
