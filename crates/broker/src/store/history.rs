//! The connection history: who connected, from where, for how long, and why it ended.
//!
//! Kept 31 days. Refused connections stand here too, with the reason they were refused for.
//!
//! Source: design, "doors out and records".

use std::time::Duration;

use device_api::DisconnectReason;
use model::{ApiError, Timestamp};
use serde::Serialize;
use storage::{Row, StorageError, Tx, params};

/// How long a connection is remembered after it began.
const KEPT: Duration = Duration::from_secs(31 * 24 * 60 * 60);
/// Rows removed by one run of [`reconcile`].
const REMOVED_MAX: u32 = 10_000;

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HistoryRow {
    /// The connection's UUID, which presence events carry as `sessionIdentifier`.
    pub(crate) id: String,
    /// The certificate id.
    pub(crate) principal: String,
    /// Absent when the connection was refused before it named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) thing: Option<String>,
    pub(crate) address: String,
    pub(crate) tls_version: String,
    pub(crate) tls_group: String,
    pub(crate) connected_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) disconnected_at: Option<Timestamp>,
    /// A disconnect reason, or why the connection was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

pub(super) fn put(tx: &mut Tx<'_>, row: &HistoryRow) -> Result<(), StorageError> {
    tx.execute(
        "INSERT INTO connection_history (id, principal, client_id, thing, address, tls_version, \
         tls_group, connected_at, disconnected_at, reason) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (id) DO NOTHING",
        &params![
            &row.id,
            &row.principal,
            row.client_id.as_ref(),
            row.thing.as_ref(),
            &row.address,
            &row.tls_version,
            &row.tls_group,
            row.connected_at,
            row.disconnected_at,
            row.reason.as_ref(),
        ],
    )
    .map(|_| ())
}

pub(super) fn end(
    tx: &mut Tx<'_>,
    id: &str,
    at: Timestamp,
    reason: &str,
) -> Result<(), StorageError> {
    tx.execute(
        "UPDATE connection_history SET disconnected_at = ?2, reason = ?3 WHERE id = ?1",
        &params![id, at, reason],
    )
    .map(|_| ())
}

/// One page of the history, newest first.
#[derive(Debug)]
pub(crate) struct HistoryPage {
    pub(crate) rows: Vec<HistoryRow>,
    /// Where the next page begins, when there is one.
    pub(crate) next: Option<(Timestamp, String)>,
}

/// Connections before `after` (all when `None`), newest first, of one principal or client id when
/// given.
///
/// # Errors
/// When the database cannot answer.
pub(crate) fn history(
    tx: &mut Tx<'_>,
    principal: Option<&str>,
    client_id: Option<&str>,
    after: Option<(Timestamp, &str)>,
    limit: u32,
) -> Result<HistoryPage, ApiError> {
    let (at, id) = after.unwrap_or((Timestamp::from_millis(i64::MAX), ""));
    let rows = tx.query(
        "SELECT id, principal, client_id, thing, address, tls_version, tls_group, connected_at, \
         disconnected_at, reason FROM connection_history \
         WHERE (connected_at < ?1 OR (connected_at = ?1 AND id < ?2)) \
         AND (?3 = '' OR principal = ?3) AND (?4 = '' OR client_id = ?4) \
         ORDER BY connected_at DESC, id DESC LIMIT ?5",
        &params![
            at,
            id,
            principal.unwrap_or_default(),
            client_id.unwrap_or_default(),
            limit.saturating_add(1),
        ],
    )?;
    let mut rows: Vec<HistoryRow> = rows.iter().map(read).collect::<Result<_, _>>()?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().filter(|_| more);
    let next = last.map(|row| (row.connected_at, row.id.clone()));
    Ok(HistoryPage { rows, next })
}

fn read(row: &Row) -> Result<HistoryRow, StorageError> {
    Ok(HistoryRow {
        id: row.text(0)?,
        principal: row.text(1)?,
        client_id: row.opt_text(2)?,
        thing: row.opt_text(3)?,
        address: row.text(4)?,
        tls_version: row.text(5)?,
        tls_group: row.text(6)?,
        connected_at: row.time(7)?,
        disconnected_at: row.opt_time(8)?,
        reason: row.opt_text(9)?,
    })
}

/// Closes what a crash left open: at the start nobody is connected.
///
/// # Errors
/// When the database cannot take it.
pub(crate) fn close_open(tx: &mut Tx<'_>, now: Timestamp) -> Result<(), StorageError> {
    let reason = DisconnectReason::ServerError.as_str();
    tx.execute(
        "UPDATE connection_history SET disconnected_at = ?1, reason = ?2 \
         WHERE disconnected_at IS NULL",
        &params![now, reason],
    )
    .map(|_| ())
}

/// Forgets what is older than 31 days, a bounded number per run; how many.
///
/// # Errors
/// When the database cannot answer.
pub(crate) fn reconcile(tx: &mut Tx<'_>, now: Timestamp) -> Result<u64, StorageError> {
    let kept_ms = i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
    let before = Timestamp::from_millis(now.millis().saturating_sub(kept_ms));
    tx.execute(
        "DELETE FROM connection_history WHERE id IN (SELECT id FROM connection_history \
         WHERE connected_at < ?1 ORDER BY connected_at, id LIMIT ?2)",
        &params![before, REMOVED_MAX],
    )
}
