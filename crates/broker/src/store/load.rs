//! Everything the broker kept, read once at start.
//!
//! Rows that do not make sense any more (a message that nobody waits for, an entry without its
//! message) are left behind by nothing we know; they are counted, logged and skipped, because a
//! broker that does not start helps nobody.

use std::collections::HashMap;

use bytes::Bytes;
use model::Timestamp;
use storage::{Row, StorageError, Tx};

use super::{EntryRow, MESSAGE, RETAINED, RetainedRow, SessionRow, SubscriptionRow, WILL};
use device_api::DisconnectReason;

/// What was kept.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub(crate) sessions: Vec<StoredSession>,
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

/// Reads it all, in one transaction.
///
/// # Errors
/// When the database cannot answer, or a body does not open.
pub(crate) fn load(tx: &mut Tx<'_>) -> Result<Stored, StorageError> {
    let mut sessions = HashMap::new();
    for session in sessions_alone(tx)? {
        sessions.insert(session.row.client_id.clone(), session);
    }
    for row in tx.query(
        "SELECT client_id, filter, qos, no_local, retain_as_published, identifier \
         FROM session_subscriptions ORDER BY client_id, filter",
        &[],
    )? {
        if let Some(session) = sessions.get_mut(&row.text(0)?) {
            session.subscriptions.push(SubscriptionRow {
                filter: row.text(1)?,
                qos: small(&row, 2)?,
                no_local: row.bool(3)?,
                retain_as_published: row.bool(4)?,
                identifier: opt_small(&row, 5)?,
            });
        }
    }
    for row in tx.query(
        "SELECT client_id, packet_id FROM session_inbound ORDER BY client_id, packet_id",
        &[],
    )? {
        if let Some(session) = sessions.get_mut(&row.text(0)?) {
            session.inbound.push(small(&row, 1)?);
        }
    }
    Ok(Stored {
        sessions: sessions.into_values().collect(),
        messages: messages(tx)?,
        entries: entries(tx)?,
        retained: retained(tx)?,
    })
}

fn sessions_alone(tx: &mut Tx<'_>) -> Result<Vec<StoredSession>, StorageError> {
    let rows = tx.query(
        "SELECT client_id, owner, principal, thing, expiry_s, version, keep_alive_s, presence, \
         connected_at, disconnected_at, disconnect_reason, will, will_delay_s FROM sessions \
         ORDER BY client_id",
        &[],
    )?;
    let mut sessions = Vec::with_capacity(rows.len());
    for row in rows {
        let will = match row.opt_blob(11)? {
            Some(will) => Some(tx.open(WILL, &will)?.into()),
            None => None,
        };
        let reason = row.opt_text(10)?;
        let reason = reason.and_then(|word| DisconnectReason::parse(&word));
        sessions.push(StoredSession {
            row: SessionRow {
                client_id: row.text(0)?,
                owner: row.text(1)?,
                principal: row.text(2)?,
                thing: row.opt_text(3)?,
                expiry_s: small(&row, 4)?,
                version: small(&row, 5)?,
                keep_alive_s: small(&row, 6)?,
                presence: small(&row, 7)?,
                connected_at: row.time(8)?,
                disconnected_at: row.opt_time(9)?,
                disconnect_reason: reason.map(DisconnectReason::as_str),
                will,
                will_delay_s: small(&row, 12)?,
            },
            subscriptions: Vec::new(),
            inbound: Vec::new(),
        });
    }
    Ok(sessions)
}

fn messages(tx: &mut Tx<'_>) -> Result<HashMap<u64, StoredMessage>, StorageError> {
    let rows = tx.query("SELECT id, body, expires_at FROM messages ORDER BY id", &[])?;
    let mut messages = HashMap::with_capacity(rows.len());
    for row in rows {
        let body = tx.open(MESSAGE, &row.blob(1)?)?.into();
        let expires_at = row.opt_time(2)?;
        messages.insert(small(&row, 0)?, StoredMessage { body, expires_at });
    }
    Ok(messages)
}

fn entries(tx: &mut Tx<'_>) -> Result<Vec<EntryRow>, StorageError> {
    let rows = tx.query(
        "SELECT entry, holder, message, qos, retain, identifier, packet_id, released \
         FROM session_messages ORDER BY entry",
        &[],
    )?;
    let entry = |row: &Row| {
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
    };
    rows.iter().map(entry).collect()
}

fn retained(tx: &mut Tx<'_>) -> Result<Vec<RetainedRow>, StorageError> {
    let rows = tx.query(
        "SELECT topic, body, modified_at, expires_at FROM retained ORDER BY topic",
        &[],
    )?;
    let mut retained = Vec::with_capacity(rows.len());
    for row in rows {
        retained.push(RetainedRow {
            topic: row.text(0)?,
            body: tx.open(RETAINED, &row.blob(1)?)?.into(),
            modified_at: row.time(2)?,
            expires_at: row.opt_time(3)?,
        });
    }
    Ok(retained)
}

/// An integer of the type it was written from.
fn small<T: TryFrom<i64>>(row: &Row, column: usize) -> Result<T, StorageError> {
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
