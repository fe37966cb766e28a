//! The table of registered authorities.

use model::{ApiError, CertificateId, Timestamp, random_uuid};
use storage::{Row, Tx, params};

use super::{announce, name_digest, read, read_id};
use crate::authority::{AuthorityStatus, AutoRegistration};
use crate::mode::Mode;
use crate::paging::{Listed, Order, Window};

const CA_CERTIFICATE: &str = "ca-certificate";

/// A registered authority as it is stored.
#[derive(Debug)]
pub(crate) struct StoredAuthority {
    pub(crate) certificate_id: CertificateId,
    pub(crate) status: AuthorityStatus,
    pub(crate) auto_registration: AutoRegistration,
    pub(crate) mode: Mode,
    pub(crate) pem: String,
    pub(crate) generation_id: String,
    pub(crate) customer_version: i64,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    pub(crate) created_at: Timestamp,
    pub(crate) modified_at: Timestamp,
}

/// What a list shows of an authority.
#[derive(Debug)]
pub(crate) struct AuthoritySummary {
    pub(crate) certificate_id: CertificateId,
    pub(crate) status: AuthorityStatus,
    pub(crate) created_at: Timestamp,
}

impl Listed for AuthoritySummary {
    fn created_at(&self) -> Timestamp {
        self.created_at
    }

    fn certificate_id(&self) -> &CertificateId {
        &self.certificate_id
    }
}

/// How an authority enters the registry.
#[derive(Debug)]
pub(crate) struct AuthorityEntry<'a> {
    pub(crate) certificate: &'a pki::Certificate,
    pub(crate) status: AuthorityStatus,
    pub(crate) auto_registration: AutoRegistration,
    pub(crate) mode: Mode,
}

pub(crate) fn insert_authority(
    tx: &mut Tx<'_>,
    entry: &AuthorityEntry<'_>,
) -> Result<(), ApiError> {
    let now = tx.now();
    let certificate = entry.certificate;
    tx.execute(
        "INSERT INTO ca_certificates (certificate_id, subject_sha256, status, \
         auto_registration, mode, pem, generation_id, customer_version, not_before, not_after, \
         created_at, modified_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1, ?8, ?9, ?10, ?11)",
        &params![
            certificate.id().as_str(),
            name_digest(certificate.subject()),
            entry.status.as_str(),
            entry.auto_registration.as_str(),
            entry.mode.as_str(),
            certificate.pem(),
            random_uuid(),
            certificate.not_before(),
            certificate.not_after(),
            now,
            now,
        ],
    )?;
    announce(tx, CA_CERTIFICATE, certificate.id())
}

pub(crate) fn authority(
    tx: &mut Tx<'_>,
    id: &CertificateId,
) -> Result<Option<StoredAuthority>, ApiError> {
    let row = tx.query_one(
        "SELECT certificate_id, status, auto_registration, mode, pem, generation_id, \
         customer_version, not_before, not_after, created_at, modified_at \
         FROM ca_certificates WHERE certificate_id = ?1",
        &params![id.as_str()],
    )?;
    row.as_ref().map(stored_authority).transpose()
}

/// The registered authorities whose subject is `name`, at most `limit` of them.
pub(crate) fn authorities_named(
    tx: &mut Tx<'_>,
    name: &pki::Name,
    limit: i64,
) -> Result<Vec<StoredAuthority>, ApiError> {
    let rows = tx.query(
        "SELECT certificate_id, status, auto_registration, mode, pem, generation_id, \
         customer_version, not_before, not_after, created_at, modified_at \
         FROM ca_certificates WHERE subject_sha256 = ?1 ORDER BY certificate_id LIMIT ?2",
        &params![name_digest(name), limit],
    )?;
    rows.iter().map(stored_authority).collect()
}

fn stored_authority(row: &Row) -> Result<StoredAuthority, ApiError> {
    Ok(StoredAuthority {
        certificate_id: read_id(&row.text(0)?)?,
        status: read(&row.text(1)?, AuthorityStatus::parse)?,
        auto_registration: read(&row.text(2)?, AutoRegistration::parse)?,
        mode: read(&row.text(3)?, Mode::parse)?,
        pem: row.text(4)?,
        generation_id: row.text(5)?,
        customer_version: row.int(6)?,
        not_before: row.time(7)?,
        not_after: row.time(8)?,
        created_at: row.time(9)?,
        modified_at: row.time(10)?,
    })
}

/// Stores the two switches of an authority and raises its version.
pub(crate) fn set_authority(
    tx: &mut Tx<'_>,
    id: &CertificateId,
    status: AuthorityStatus,
    auto_registration: AutoRegistration,
) -> Result<(), ApiError> {
    let now = tx.now();
    tx.execute(
        "UPDATE ca_certificates SET status = ?1, auto_registration = ?2, modified_at = ?3, \
         customer_version = customer_version + 1 WHERE certificate_id = ?4",
        &params![
            status.as_str(),
            auto_registration.as_str(),
            now,
            id.as_str()
        ],
    )?;
    announce(tx, CA_CERTIFICATE, id)
}

pub(crate) fn delete_authority(tx: &mut Tx<'_>, id: &CertificateId) -> Result<(), ApiError> {
    tx.execute(
        "DELETE FROM ca_certificates WHERE certificate_id = ?1",
        &params![id.as_str()],
    )?;
    announce(tx, CA_CERTIFICATE, id)
}

pub(crate) fn authorities(
    tx: &mut Tx<'_>,
    window: &Window,
) -> Result<Vec<AuthoritySummary>, ApiError> {
    let sql = match window.order {
        Order::OldestFirst => {
            "SELECT certificate_id, status, created_at FROM ca_certificates \
             WHERE (created_at, certificate_id) > (?1, ?2) \
             ORDER BY created_at, certificate_id LIMIT ?3"
        }
        Order::NewestFirst => {
            "SELECT certificate_id, status, created_at FROM ca_certificates \
             WHERE (created_at, certificate_id) < (?1, ?2) \
             ORDER BY created_at DESC, certificate_id DESC LIMIT ?3"
        }
    };
    let (at, id) = (window.created_at, window.certificate_id.as_str());
    let rows = tx.query(sql, &params![at, id, window.limit])?;
    let summary = |row: &Row| {
        Ok(AuthoritySummary {
            certificate_id: read_id(&row.text(0)?)?,
            status: read(&row.text(1)?, AuthorityStatus::parse)?,
            created_at: row.time(2)?,
        })
    };
    rows.iter().map(summary).collect()
}
