//! Wills: one row per connection that has one, until it is published or will not be.

use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use storage::{Row, StorageError, Tx, params};

use super::load::{every, small, text_key};
use super::run;

/// What a sealed will was sealed for.
const WILL: &str = "broker-will";

/// The will of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WillRow {
    /// The session identifier of the connection.
    pub(crate) id: String,
    pub(crate) client_id: String,
    pub(crate) principal: String,
    pub(crate) source_ip: IpAddr,
    pub(crate) server_name: Option<String>,
    pub(crate) persistent: bool,
    pub(crate) body: Bytes,
    pub(crate) delay_s: u32,
    /// Whether it is due, whatever has become of its session.
    pub(crate) due: bool,
}

pub(super) fn put(tx: &mut Tx<'_>, row: &WillRow) -> Result<(), StorageError> {
    let body = tx.seal(WILL, &row.body)?;
    run(
        tx,
        "INSERT INTO wills (id, client_id, principal, source_ip, server_name, persistent, body, \
         delay_s, due) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) \
         ON CONFLICT (id) DO UPDATE SET due = excluded.due",
        &params![
            &row.id,
            &row.client_id,
            &row.principal,
            row.source_ip.to_string(),
            row.server_name.as_ref(),
            row.persistent,
            body,
            row.delay_s,
            row.due,
        ],
    )
}

pub(super) fn load(tx: &mut Tx<'_>) -> Result<Vec<WillRow>, StorageError> {
    every(
        tx,
        "SELECT id, client_id, principal, source_ip, server_name, persistent, body, delay_s, due \
         FROM wills WHERE id > ?1 ORDER BY id LIMIT ?2",
        params![""].to_vec(),
        text_key,
        will,
    )
}

fn will(tx: &Tx<'_>, row: &Row) -> Result<WillRow, StorageError> {
    let source_ip = row.text(3)?.parse();
    Ok(WillRow {
        id: row.text(0)?,
        client_id: row.text(1)?,
        principal: row.text(2)?,
        // We wrote it; an address that no condition allows is the safe reading of another's hand.
        source_ip: source_ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        server_name: row.opt_text(4)?,
        persistent: row.bool(5)?,
        body: tx.open(WILL, &row.blob(6)?)?.into(),
        delay_s: small(row, 7)?,
        due: row.bool(8)?,
    })
}
