//! The tables of this capability, as functions over a transaction.
//!
//! One row per device certificate, one per registered authority, one for the registration code.
//! Every change of a status, and every coming and going, is announced in the same transaction, so
//! that doors drop what they know of the certificate.

mod authorities;

use aws_lc_rs::digest::{SHA256, digest};
use model::{ApiError, CertificateId, Timestamp, random_uuid};
use storage::{Row, Tx, params};

use crate::mode::Mode;
use crate::paging::{Listed, Order, Window};
use crate::status::Status;

pub(crate) use authorities::{
    AuthorityEntry, AuthoritySummary, StoredAuthority, authorities, authorities_named, authority,
    delete_authority, insert_authority, set_authority,
};

/// A device certificate as it is stored.
#[derive(Debug)]
pub(crate) struct StoredCertificate {
    pub(crate) certificate_id: CertificateId,
    /// The registered authority that signed it; none for those we signed and those nobody did.
    pub(crate) authority: Option<CertificateId>,
    pub(crate) status: Status,
    pub(crate) mode: Mode,
    pub(crate) pem: String,
    pub(crate) generation_id: String,
    pub(crate) customer_version: i64,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    pub(crate) created_at: Timestamp,
    pub(crate) modified_at: Timestamp,
}

/// What a list shows of a device certificate.
#[derive(Debug)]
pub(crate) struct CertificateSummary {
    pub(crate) certificate_id: CertificateId,
    pub(crate) status: Status,
    pub(crate) mode: Mode,
    pub(crate) created_at: Timestamp,
}

impl Listed for CertificateSummary {
    fn created_at(&self) -> Timestamp {
        self.created_at
    }

    fn certificate_id(&self) -> &CertificateId {
        &self.certificate_id
    }
}

/// How a device certificate enters the registry.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) certificate: &'a pki::Certificate,
    /// The registered authority that signed it.
    pub(crate) authority: Option<&'a pki::Certificate>,
    pub(crate) status: Status,
    pub(crate) mode: Mode,
}

pub(crate) fn insert_certificate(tx: &mut Tx<'_>, entry: &Entry<'_>) -> Result<(), ApiError> {
    let now = tx.now();
    let certificate = entry.certificate;
    let id = certificate.id().as_str();
    tx.execute(
        "INSERT INTO certificates (certificate_id, ca_certificate_id, status, mode, pem, \
         signed_sha256, issue_sha256, key_sha256, generation_id, customer_version, not_before, \
         not_after, created_at, modified_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 1, ?10, ?11, ?12, ?13)",
        &params![
            id,
            entry.authority.map(|authority| authority.id().as_str()),
            entry.status.as_str(),
            entry.mode.as_str(),
            certificate.pem(),
            certificate.signed_digest().as_slice(),
            entry
                .authority
                .map(|authority| issue_digest(certificate, authority)),
            certificate.public_key().digest().as_slice(),
            random_uuid(),
            certificate.not_before(),
            certificate.not_after(),
            now,
            now,
        ],
    )?;
    announce(tx, CERTIFICATE, certificate.id())
}

pub(crate) fn certificate(
    tx: &mut Tx<'_>,
    id: &CertificateId,
) -> Result<Option<StoredCertificate>, ApiError> {
    let row = tx.query_one(
        "SELECT certificate_id, ca_certificate_id, status, mode, pem, generation_id, \
         customer_version, not_before, not_after, created_at, modified_at \
         FROM certificates WHERE certificate_id = ?1",
        &params![id.as_str()],
    )?;
    row.as_ref().map(stored_certificate).transpose()
}

fn stored_certificate(row: &Row) -> Result<StoredCertificate, ApiError> {
    Ok(StoredCertificate {
        certificate_id: read_id(&row.text(0)?)?,
        authority: row.opt_text(1)?.as_deref().map(read_id).transpose()?,
        status: read(&row.text(2)?, Status::parse)?,
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

/// Another registered certificate with the same signed part.
pub(crate) fn with_signed_part(
    tx: &mut Tx<'_>,
    certificate: &pki::Certificate,
) -> Result<Option<CertificateId>, ApiError> {
    other(
        tx,
        "SELECT certificate_id FROM certificates \
         WHERE signed_sha256 = ?1 AND certificate_id <> ?2",
        certificate.signed_digest(),
        certificate,
    )
}

/// Another registered certificate to which the same authority, known by its name and key, gave the
/// same serial number.
pub(crate) fn with_serial(
    tx: &mut Tx<'_>,
    certificate: &pki::Certificate,
    authority: &pki::Certificate,
) -> Result<Option<CertificateId>, ApiError> {
    other(
        tx,
        "SELECT certificate_id FROM certificates \
         WHERE issue_sha256 = ?1 AND certificate_id <> ?2",
        &issue_digest(certificate, authority),
        certificate,
    )
}

/// Another registered certificate for the same key that is REVOKED, whoever signed it.
pub(crate) fn revoked_with_key(
    tx: &mut Tx<'_>,
    certificate: &pki::Certificate,
) -> Result<Option<CertificateId>, ApiError> {
    other(
        tx,
        "SELECT certificate_id FROM certificates \
         WHERE key_sha256 = ?1 AND status = 'REVOKED' AND certificate_id <> ?2 LIMIT 1",
        &certificate.public_key().digest(),
        certificate,
    )
}

fn other(
    tx: &mut Tx<'_>,
    sql: &'static str,
    digest: &[u8],
    than: &pki::Certificate,
) -> Result<Option<CertificateId>, ApiError> {
    let row = tx.query_one(sql, &params![digest, than.id().as_str()])?;
    row.map(|row| read_id(&row.text(0)?)).transpose()
}

/// A device certificate's status, and the last moment of its validity.
pub(crate) fn standing(
    tx: &mut Tx<'_>,
    id: &CertificateId,
) -> Result<Option<(Status, Timestamp)>, ApiError> {
    let row = tx.query_one(
        "SELECT status, not_after FROM certificates WHERE certificate_id = ?1",
        &params![id.as_str()],
    )?;
    row.map(|row| Ok((read(&row.text(0)?, Status::parse)?, row.time(1)?)))
        .transpose()
}

/// Gives the certificate another status and raises its version.
pub(crate) fn set_status(
    tx: &mut Tx<'_>,
    id: &CertificateId,
    status: Status,
) -> Result<(), ApiError> {
    let now = tx.now();
    // spec aws-iot [CT-4]: the version counts the changes of status.
    tx.execute(
        "UPDATE certificates SET status = ?1, modified_at = ?2, \
         customer_version = customer_version + 1 WHERE certificate_id = ?3",
        &params![status.as_str(), now, id.as_str()],
    )?;
    announce(tx, CERTIFICATE, id)
}

pub(crate) fn delete_certificate(tx: &mut Tx<'_>, id: &CertificateId) -> Result<(), ApiError> {
    tx.execute(
        "DELETE FROM certificates WHERE certificate_id = ?1",
        &params![id.as_str()],
    )?;
    announce(tx, CERTIFICATE, id)
}

pub(crate) fn certificates(
    tx: &mut Tx<'_>,
    window: &Window,
) -> Result<Vec<CertificateSummary>, ApiError> {
    let sql = match window.order {
        Order::OldestFirst => {
            "SELECT certificate_id, status, mode, created_at FROM certificates \
             WHERE (created_at, certificate_id) > (?1, ?2) \
             ORDER BY created_at, certificate_id LIMIT ?3"
        }
        Order::NewestFirst => {
            "SELECT certificate_id, status, mode, created_at FROM certificates \
             WHERE (created_at, certificate_id) < (?1, ?2) \
             ORDER BY created_at DESC, certificate_id DESC LIMIT ?3"
        }
    };
    let (at, id) = (window.created_at, window.certificate_id.as_str());
    let rows = tx.query(sql, &params![at, id, window.limit])?;
    rows.iter().map(certificate_summary).collect()
}

pub(crate) fn certificates_of_authority(
    tx: &mut Tx<'_>,
    authority: &CertificateId,
    window: &Window,
) -> Result<Vec<CertificateSummary>, ApiError> {
    let sql = match window.order {
        Order::OldestFirst => {
            "SELECT certificate_id, status, mode, created_at FROM certificates \
             WHERE ca_certificate_id = ?1 AND (created_at, certificate_id) > (?2, ?3) \
             ORDER BY created_at, certificate_id LIMIT ?4"
        }
        Order::NewestFirst => {
            "SELECT certificate_id, status, mode, created_at FROM certificates \
             WHERE ca_certificate_id = ?1 AND (created_at, certificate_id) < (?2, ?3) \
             ORDER BY created_at DESC, certificate_id DESC LIMIT ?4"
        }
    };
    let (at, id) = (window.created_at, window.certificate_id.as_str());
    let rows = tx.query(sql, &params![authority.as_str(), at, id, window.limit])?;
    rows.iter().map(certificate_summary).collect()
}

fn certificate_summary(row: &Row) -> Result<CertificateSummary, ApiError> {
    Ok(CertificateSummary {
        certificate_id: read_id(&row.text(0)?)?,
        status: read(&row.text(1)?, Status::parse)?,
        mode: read(&row.text(2)?, Mode::parse)?,
        created_at: row.time(3)?,
    })
}

/// How many certificates of `authority` have `status`, counted up to `limit`.
pub(crate) fn count_with_status(
    tx: &mut Tx<'_>,
    authority: &CertificateId,
    status: Status,
    limit: i64,
) -> Result<i64, ApiError> {
    let row = tx.query_one(
        "SELECT COUNT(*) FROM (SELECT 1 FROM certificates \
         WHERE ca_certificate_id = ?1 AND status = ?2 LIMIT ?3) AS counted",
        &params![authority.as_str(), status.as_str(), limit],
    )?;
    row.map_or(Ok(0), |row| Ok(row.int(0)?))
}

/// How many certificates of `authority` were entered after `since`, counted up to `limit`.
pub(crate) fn count_since(
    tx: &mut Tx<'_>,
    authority: &CertificateId,
    since: Timestamp,
    limit: i64,
) -> Result<i64, ApiError> {
    let row = tx.query_one(
        "SELECT COUNT(*) FROM (SELECT 1 FROM certificates \
         WHERE ca_certificate_id = ?1 AND created_at > ?2 LIMIT ?3) AS counted",
        &params![authority.as_str(), since, limit],
    )?;
    row.map_or(Ok(0), |row| Ok(row.int(0)?))
}

/// The registration code, when there is one.
pub(crate) fn registration_code(tx: &mut Tx<'_>) -> Result<Option<String>, ApiError> {
    let row = tx.query_one(
        "SELECT code FROM registration_code WHERE singleton = 1",
        &[],
    )?;
    row.map(|row| Ok(row.text(0)?)).transpose()
}

pub(crate) fn insert_registration_code(tx: &mut Tx<'_>, code: &str) -> Result<(), ApiError> {
    let now = tx.now();
    tx.execute(
        "INSERT INTO registration_code (singleton, code, created_at) VALUES (1, ?1, ?2)",
        &params![code, now],
    )?;
    Ok(())
}

/// Removes the registration code; whether there was one.
pub(crate) fn delete_registration_code(tx: &mut Tx<'_>) -> Result<bool, ApiError> {
    Ok(tx.execute("DELETE FROM registration_code WHERE singleton = 1", &[])? > 0)
}

const CERTIFICATE: &str = "certificate";

fn announce(tx: &mut Tx<'_>, topic: &'static str, id: &CertificateId) -> Result<(), ApiError> {
    Ok(tx.changed(topic, id.as_str())?)
}

fn issue_digest(certificate: &pki::Certificate, authority: &pki::Certificate) -> Vec<u8> {
    let mut issue = name_digest(authority.subject());
    issue.extend(authority.public_key().digest());
    issue.extend(certificate.serial().as_bytes());
    digest(&SHA256, &issue).as_ref().to_vec()
}

fn name_digest(name: &pki::Name) -> Vec<u8> {
    digest(&SHA256, name.der()).as_ref().to_vec()
}

fn read_id(text: &str) -> Result<CertificateId, ApiError> {
    CertificateId::parse(text).map_err(ApiError::internal)
}

/// A word that we wrote ourselves; anything else in its column is damage.
fn read<T>(text: &str, parse: fn(&str) -> Option<T>) -> Result<T, ApiError> {
    parse(text).ok_or_else(|| ApiError::internal(format!("the table holds `{text}`")))
}
