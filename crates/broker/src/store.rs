//! Where sessions, waiting messages, retained messages and the connection history rest.
//!
//! The broker works on its own memory and writes behind: each change of what must survive becomes
//! an [`Op`], ops are applied in order, many in one transaction, and the acknowledgements that
//! depend on them leave after the commit. Everything is read once, at start ([`load`]).
//!
//! Message bodies and wills are sealed. What stands beside them (client ids, filters, times) is
//! what the platform needs to find them.

mod history;
mod load;
mod wills;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use model::Timestamp;
use storage::{Migration, StorageError, Tx, Value, params};

pub(crate) use history::{HistoryRow, close_open, history, reconcile};
#[cfg(test)]
pub(crate) use load::StoredMessage;
pub(crate) use load::{Stored, StoredSession, load};
pub(crate) use wills::WillRow;

/// The broker's tables.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        capability: "broker",
        version: 1,
        sql: include_str!("../migrations/0001.sql"),
    },
    Migration {
        capability: "broker",
        version: 2,
        sql: include_str!("../migrations/0002.sql"),
    },
];

/// What a sealed body was sealed for; a body of one kind does not open as another.
const MESSAGE: &str = "broker-message";
const RETAINED: &str = "broker-retained";

/// One change of what must survive a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// A session as it now is.
    Session(Box<SessionRow>),
    /// A session is over, with its subscriptions and inbound packet ids. What waits for it is
    /// removed entry by entry.
    SessionEnd { client_id: String },
    /// A subscription as it now is.
    Subscription {
        client_id: String,
        subscription: SubscriptionRow,
    },
    /// A subscription is over.
    SubscriptionEnd { client_id: String, filter: String },
    /// The will of a connection as it now is.
    Will(Box<WillRow>),
    /// A will was published, or will not be.
    WillEnd { id: String },
    /// A QoS 2 message was received under this packet id.
    Inbound { client_id: String, packet_id: u16 },
    /// The client released this packet id.
    InboundEnd { client_id: String, packet_id: u16 },
    /// Somebody waits for a message that nobody waited for.
    Message {
        id: u64,
        body: Bytes,
        expires_at: Option<Timestamp>,
    },
    /// Nobody waits for this message any more.
    MessageEnd { id: u64 },
    /// Somebody waits for a message.
    Entry(Box<EntryRow>),
    /// An entry was sent under this packet id, or was received and only its release is left.
    EntrySent {
        entry: u64,
        packet_id: u16,
        released: bool,
    },
    /// Nobody waits under this entry any more.
    EntryEnd { entry: u64 },
    /// The retained message of a topic as it now is.
    Retained(RetainedRow),
    /// A topic has no retained message any more.
    RetainedEnd { topic: String },
    /// A connection began, or was refused.
    History(Box<HistoryRow>),
    /// A connection ended.
    HistoryEnd {
        id: String,
        at: Timestamp,
        reason: &'static str,
    },
}

/// A session, without its subscriptions and messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionRow {
    pub(crate) client_id: String,
    pub(crate) owner: String,
    pub(crate) principal: String,
    pub(crate) thing: Option<String>,
    pub(crate) expiry_s: u32,
    /// Protocol level of the last connection: 4 or 5.
    pub(crate) version: u8,
    pub(crate) keep_alive_s: u16,
    /// The presence version number of the last connection.
    pub(crate) presence: u64,
    pub(crate) connected_at: Timestamp,
    /// `None` while connected.
    pub(crate) disconnected_at: Option<Timestamp>,
    pub(crate) disconnect_reason: Option<&'static str>,
}

/// One subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SubscriptionRow {
    /// As the client wrote it, `$share/…` included.
    pub(crate) filter: String,
    pub(crate) qos: u8,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
    pub(crate) identifier: Option<u32>,
}

/// One message that one holder waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EntryRow {
    pub(crate) entry: u64,
    /// A client id, or a shared subscription.
    pub(crate) holder: String,
    pub(crate) message: u64,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) identifier: Option<u32>,
    pub(crate) packet_id: Option<u16>,
    pub(crate) released: bool,
}

/// The retained message of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RetainedRow {
    pub(crate) topic: String,
    pub(crate) body: Bytes,
    pub(crate) modified_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
}

/// Applies `ops` in order.
///
/// # Errors
/// When the database cannot take them; none is applied then.
pub(crate) fn apply(tx: &mut Tx<'_>, ops: &[Op]) -> Result<(), StorageError> {
    ops.iter().try_for_each(|op| apply_one(tx, op))
}

fn apply_one(tx: &mut Tx<'_>, op: &Op) -> Result<(), StorageError> {
    match op {
        Op::Session(row) => put_session(tx, row),
        Op::Subscription {
            client_id,
            subscription,
        } => put_subscription(tx, client_id, subscription),
        Op::Will(row) => wills::put(tx, row),
        Op::Inbound {
            client_id,
            packet_id,
        } => run(
            tx,
            "INSERT INTO session_inbound (client_id, packet_id) VALUES (?1, ?2) \
             ON CONFLICT (client_id, packet_id) DO NOTHING",
            &params![client_id, *packet_id],
        ),
        Op::Message {
            id,
            body,
            expires_at,
        } => {
            let body = tx.seal(MESSAGE, body)?;
            run(
                tx,
                "INSERT INTO messages (id, body, expires_at) VALUES (?1, ?2, ?3)",
                &params![number(*id), body, *expires_at],
            )
        }
        Op::Entry(row) => put_entry(tx, row),
        Op::EntrySent {
            entry,
            packet_id,
            released,
        } => run(
            tx,
            "UPDATE session_messages SET packet_id = ?2, released = ?3 WHERE entry = ?1",
            &params![number(*entry), *packet_id, *released],
        ),
        Op::Retained(row) => put_retained(tx, row),
        Op::History(row) => history::put(tx, row),
        Op::HistoryEnd { id, at, reason } => history::end(tx, id, *at, reason),
        Op::SessionEnd { .. }
        | Op::SubscriptionEnd { .. }
        | Op::WillEnd { .. }
        | Op::InboundEnd { .. }
        | Op::MessageEnd { .. }
        | Op::EntryEnd { .. }
        | Op::RetainedEnd { .. } => end_one(tx, op),
    }
}

/// The ops that remove something.
fn end_one(tx: &mut Tx<'_>, op: &Op) -> Result<(), StorageError> {
    let (sql, key) = match op {
        Op::SessionEnd { client_id } => return end_session(tx, client_id),
        Op::SubscriptionEnd { client_id, filter } => (
            "DELETE FROM session_subscriptions WHERE client_id = ?1 AND filter = ?2",
            params![client_id, filter].to_vec(),
        ),
        Op::WillEnd { id } => ("DELETE FROM wills WHERE id = ?1", params![id].to_vec()),
        Op::InboundEnd {
            client_id,
            packet_id,
        } => (
            "DELETE FROM session_inbound WHERE client_id = ?1 AND packet_id = ?2",
            params![client_id, *packet_id].to_vec(),
        ),
        Op::MessageEnd { id } => (
            "DELETE FROM messages WHERE id = ?1",
            params![number(*id)].to_vec(),
        ),
        Op::EntryEnd { entry } => (
            "DELETE FROM session_messages WHERE entry = ?1",
            params![number(*entry)].to_vec(),
        ),
        Op::RetainedEnd { topic } => (
            "DELETE FROM retained WHERE topic = ?1",
            params![topic].to_vec(),
        ),
        _ => return Ok(()),
    };
    run(tx, sql, &key)
}

fn put_session(tx: &mut Tx<'_>, row: &SessionRow) -> Result<(), StorageError> {
    run(
        tx,
        "INSERT INTO sessions (client_id, owner, principal, thing, expiry_s, version, \
         keep_alive_s, presence, connected_at, disconnected_at, disconnect_reason) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
         ON CONFLICT (client_id) DO UPDATE SET owner = excluded.owner, \
         principal = excluded.principal, thing = excluded.thing, expiry_s = excluded.expiry_s, \
         version = excluded.version, keep_alive_s = excluded.keep_alive_s, \
         presence = excluded.presence, connected_at = excluded.connected_at, \
         disconnected_at = excluded.disconnected_at, \
         disconnect_reason = excluded.disconnect_reason",
        &params![
            &row.client_id,
            &row.owner,
            &row.principal,
            row.thing.as_ref(),
            row.expiry_s,
            row.version,
            row.keep_alive_s,
            number(row.presence),
            row.connected_at,
            row.disconnected_at,
            row.disconnect_reason,
        ],
    )
}

fn end_session(tx: &mut Tx<'_>, client_id: &str) -> Result<(), StorageError> {
    for sql in [
        "DELETE FROM sessions WHERE client_id = ?1",
        "DELETE FROM session_subscriptions WHERE client_id = ?1",
        "DELETE FROM session_inbound WHERE client_id = ?1",
    ] {
        run(tx, sql, &params![client_id])?;
    }
    Ok(())
}

fn put_subscription(
    tx: &mut Tx<'_>,
    client_id: &str,
    row: &SubscriptionRow,
) -> Result<(), StorageError> {
    run(
        tx,
        "INSERT INTO session_subscriptions (client_id, filter, qos, no_local, \
         retain_as_published, identifier) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
         ON CONFLICT (client_id, filter) DO UPDATE SET qos = excluded.qos, \
         no_local = excluded.no_local, retain_as_published = excluded.retain_as_published, \
         identifier = excluded.identifier",
        &params![
            client_id,
            &row.filter,
            row.qos,
            row.no_local,
            row.retain_as_published,
            row.identifier,
        ],
    )
}

fn put_entry(tx: &mut Tx<'_>, row: &EntryRow) -> Result<(), StorageError> {
    run(
        tx,
        "INSERT INTO session_messages (entry, holder, message, qos, retain, identifier, \
         packet_id, released) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        &params![
            number(row.entry),
            &row.holder,
            number(row.message),
            row.qos,
            row.retain,
            row.identifier,
            row.packet_id,
            row.released,
        ],
    )
}

fn put_retained(tx: &mut Tx<'_>, row: &RetainedRow) -> Result<(), StorageError> {
    let body = tx.seal(RETAINED, &row.body)?;
    run(
        tx,
        "INSERT INTO retained (topic, body, modified_at, expires_at) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (topic) DO UPDATE SET body = excluded.body, \
         modified_at = excluded.modified_at, expires_at = excluded.expires_at",
        &params![&row.topic, body, row.modified_at, row.expires_at],
    )
}

fn run(tx: &mut Tx<'_>, sql: &'static str, parameters: &[Value]) -> Result<(), StorageError> {
    tx.execute(sql, parameters).map(|_| ())
}

/// Counters stay far below 2^63; a database integer is signed.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
