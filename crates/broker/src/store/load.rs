//! Everything the broker kept, read once at start, a bounded number of rows at a time.
//!
//! An entry without its message or without somebody to wait for it is known by nothing we do; the
//! core logs and forgets it, because a broker that does not start helps nobody.

use std::collections::HashMap;

use bytes::Bytes;
use device_api::DisconnectReason;
use model::Timestamp;
use storage::{Row, StorageError, Tx, Value, params};

use super::wills::{self, WillRow};
use super::{EntryRow, MESSAGE, RETAINED, RetainedRow, SessionRow, SubscriptionRow};

/// What was kept.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub(crate) sessions: Vec<StoredSession>,
    pub(crate) wills: Vec<WillRow>,
    /// By id; a message several holders wait for stands here once.
    pub(crate) messages: HashMap<u64, StoredMessage>,
    /// Every entry, in order.
    pub(crate) entries: Vec<EntryRow>,
    pub(crate) retained: Vec<RetainedRow>,
}

/// A session with what belongs to it alone.
#[derive(Debug)]
pub(crate) struct StoredSession {
    pub(crate) row: SessionRow,
    pub(crate) subscriptions: Vec<SubscriptionRow>,
    pub(crate) inbound: Vec<u16>,
}

/// A message that somebody waits for.
#[derive(Debug)]
pub(crate) struct StoredMessage {
    pub(crate) body: Bytes,
    pub(crate) expires_at: Option<Timestamp>,
}

/// Rows read by one statement.
const ROWS_MAX: u32 = 4096;

/// Reads it all, in one transaction.
///
/// # Errors
/// When the database cannot answer, or a body does not open.
pub(crate) fn load(tx: &mut Tx<'_>) -> Result<Stored, StorageError> {
    let mut sessions = HashMap::new();
    for session in sessions_alone(tx)? {
        sessions.insert(session.row.client_id.clone(), session);
    }
    subscriptions(tx, &mut sessions)?;
    inbound(tx, &mut sessions)?;
    Ok(Stored {
        sessions: sessions.into_values().collect(),
        wills: wills::load(tx)?,
        messages: messages(tx)?,
        entries: entries(tx)?,
        retained: retained(tx)?,
    })
}

/// Every row of a statement that takes the last key seen and a limit, in the order of its keys.
pub(super) fn every<T>(
    tx: &mut Tx<'_>,
    sql: &'static str,
    first: Vec<Value>,
    key: fn(&Row) -> Result<Vec<Value>, StorageError>,
    read: fn(&Tx<'_>, &Row) -> Result<T, StorageError>,
) -> Result<Vec<T>, StorageError> {
    let mut all = Vec::new();
    let mut after = first;
    loop {
        let mut parameters = after;
        parameters.push(ROWS_MAX.into());
        let rows = tx.query(sql, &parameters)?;
        for row in &rows {
            all.push(read(tx, row)?);
        }
        match rows.last() {
            Some(last) if rows.len() >= ROWS_MAX as usize => after = key(last)?,
            _ => return Ok(all),
        }
    }
}

pub(super) fn text_key(row: &Row) -> Result<Vec<Value>, StorageError> {
    Ok(vec![row.text(0)?.into()])
}

fn number_key(row: &Row) -> Result<Vec<Value>, StorageError> {
    Ok(vec![row.int(0)?.into()])
}

fn sessions_alone(tx: &mut Tx<'_>) -> Result<Vec<StoredSession>, StorageError> {
    every(
        tx,
        "SELECT client_id, owner, principal, thing, expiry_s, version, keep_alive_s, presence, \
         connected_at, disconnected_at, disconnect_reason FROM sessions \
         WHERE client_id > ?1 ORDER BY client_id LIMIT ?2",
        params![""].to_vec(),
        text_key,
        session,
    )
}

fn session(_: &Tx<'_>, row: &Row) -> Result<StoredSession, StorageError> {
    let reason = row.opt_text(10)?;
    let reason = reason.and_then(|word| DisconnectReason::parse(&word));
    Ok(StoredSession {
        row: SessionRow {
            client_id: row.text(0)?,
            owner: row.text(1)?,
            principal: row.text(2)?,
            thing: row.opt_text(3)?,
            expiry_s: small(row, 4)?,
            version: small(row, 5)?,
            keep_alive_s: small(row, 6)?,
            presence: small(row, 7)?,
            connected_at: row.time(8)?,
            disconnected_at: row.opt_time(9)?,
            disconnect_reason: reason.map(DisconnectReason::as_str),
        },
        subscriptions: Vec::new(),
        inbound: Vec::new(),
    })
}

fn subscriptions(
    tx: &mut Tx<'_>,
    sessions: &mut HashMap<String, StoredSession>,
) -> Result<(), StorageError> {
    let rows = every(
        tx,
        "SELECT client_id, filter, qos, no_local, retain_as_published, identifier \
         FROM session_subscriptions WHERE client_id > ?1 OR (client_id = ?1 AND filter > ?2) \
         ORDER BY client_id, filter LIMIT ?3",
        params!["", ""].to_vec(),
        |row| Ok(params![row.text(0)?, row.text(1)?].to_vec()),
        |_, row| {
            let subscription = SubscriptionRow {
                filter: row.text(1)?,
                qos: small(row, 2)?,
                no_local: row.bool(3)?,
                retain_as_published: row.bool(4)?,
                identifier: opt_small(row, 5)?,
            };
            Ok((row.text(0)?, subscription))
        },
    )?;
    for (client_id, subscription) in rows {
        if let Some(session) = sessions.get_mut(&client_id) {
            session.subscriptions.push(subscription);
        }
    }
    Ok(())
}

fn inbound(
    tx: &mut Tx<'_>,
    sessions: &mut HashMap<String, StoredSession>,
) -> Result<(), StorageError> {
    let rows = every(
        tx,
        "SELECT client_id, packet_id FROM session_inbound \
         WHERE client_id > ?1 OR (client_id = ?1 AND packet_id > ?2) \
         ORDER BY client_id, packet_id LIMIT ?3",
        params!["", 0_i64].to_vec(),
        |row| Ok(params![row.text(0)?, row.int(1)?].to_vec()),
        |_, row| Ok((row.text(0)?, small::<u16>(row, 1)?)),
    )?;
    for (client_id, packet_id) in rows {
        if let Some(session) = sessions.get_mut(&client_id) {
            session.inbound.push(packet_id);
        }
    }
    Ok(())
}

fn messages(tx: &mut Tx<'_>) -> Result<HashMap<u64, StoredMessage>, StorageError> {
    let rows = every(
        tx,
        "SELECT id, body, expires_at FROM messages WHERE id > ?1 ORDER BY id LIMIT ?2",
        params![0_i64].to_vec(),
        number_key,
        |tx, row| {
            let body = tx.open(MESSAGE, &row.blob(1)?)?.into();
            let expires_at = row.opt_time(2)?;
            Ok((small(row, 0)?, StoredMessage { body, expires_at }))
        },
    )?;
    Ok(rows.into_iter().collect())
}

fn entries(tx: &mut Tx<'_>) -> Result<Vec<EntryRow>, StorageError> {
    every(
        tx,
        "SELECT entry, holder, message, qos, retain, identifier, packet_id, released \
         FROM session_messages WHERE entry > ?1 ORDER BY entry LIMIT ?2",
        params![0_i64].to_vec(),
        number_key,
        |_, row| {
            Ok(EntryRow {
                entry: small(row, 0)?,
                holder: row.text(1)?,
                message: small(row, 2)?,
                qos: small(row, 3)?,
                retain: row.bool(4)?,
                identifier: opt_small(row, 5)?,
                packet_id: opt_small(row, 6)?,
                released: row.bool(7)?,
            })
        },
    )
}

fn retained(tx: &mut Tx<'_>) -> Result<Vec<RetainedRow>, StorageError> {
    every(
        tx,
        "SELECT topic, body, modified_at, expires_at FROM retained WHERE topic > ?1 \
         ORDER BY topic LIMIT ?2",
        params![""].to_vec(),
        text_key,
        |tx, row| {
            Ok(RetainedRow {
                topic: row.text(0)?,
                body: tx.open(RETAINED, &row.blob(1)?)?.into(),
                modified_at: row.time(2)?,
                expires_at: row.opt_time(3)?,
            })
        },
    )
}

/// An integer of the type it was written from.
pub(super) fn small<T: TryFrom<i64>>(row: &Row, column: usize) -> Result<T, StorageError> {
    opt_small(row, column)?.ok_or(StorageError::TypeMismatch {
        column,
        wanted: "integer",
        found: "null",
    })
}

fn opt_small<T: TryFrom<i64>>(row: &Row, column: usize) -> Result<Option<T>, StorageError> {
    let narrow = |value| {
        T::try_from(value).map_err(|_| StorageError::TypeMismatch {
            column,
            wanted: "integer in range",
            found: "integer",
        })
    };
    row.opt_int(column)?.map(narrow).transpose()
}
