//! Just-in-time registration: an authority introduces a certificate that nobody has seen before.
//!
//! A device shows a certificate that is not registered. When a registered authority signed it and
//! introduces certificates, it is stored as PENDING_ACTIVATION and an event says so; whoever
//! listens decides and sets it to ACTIVE. The connection that showed it is refused all the same,
//! and so is every one after it until then.
//!
//! Whoever holds an authority's key can make as many certificates as they like, so what one
//! authority may introduce is bounded: per minute, and in all while nobody has decided. A
//! certificate that says it is an authority itself, or that it is not for clients, is no device and
//! is not introduced; nor is one that is not valid now or whose authority is not; nor one that is
//! registered under another id, or whose key is that of a REVOKED one (see `clash`).
//!
//! Source: contract core `[CT-40]`.

use std::net::IpAddr;
use std::time::Duration;

use model::{ApiError, CertificateId, Scope, Timestamp};
use pki::Certificate;
use serde::Serialize;
use storage::Tx;

use crate::authority::{self, AuthorityStatus, AutoRegistration, SAME_SUBJECT_MAX};
use crate::clash;
use crate::mode::Mode;
use crate::status::Status;
use crate::store::{self, Entry, StoredCertificate};

/// Longest certificate that is looked at, in bytes of DER.
pub const LEAF_BYTES_MAX: usize = 16 * 1024;

/// Most new certificates of one authority within a minute, whichever way they came: ten a second,
/// as fast as AWS lets them be registered one by one.
pub const INTRODUCTIONS_PER_MINUTE_MAX: u16 = 600;

/// Most certificates of one authority that wait for a decision.
pub const PENDING_PER_AUTHORITY_MAX: u16 = 10_000;

const MINUTE: Duration = Duration::from_secs(60);

/// What to publish, as the platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `$aws/events/certificates/registered/{caCertificateId}`.
    pub topic: String,
    /// The JSON document of `[CT-40]`.
    pub payload: Vec<u8>,
}

/// Takes note of a certificate in DER that a device has shown, holding its key, and that may not
/// authenticate. The transaction must be one that writes.
///
/// `Some` is the event to publish: the certificate is PENDING_ACTIVATION, as of now or still.
/// `None` means that nothing was done: nobody introduces it, its status has been decided, it is in
/// truth one that is registered already, or its authority has introduced too many. The last two are
/// logged.
///
/// # Errors
/// What the storage answers.
pub fn introduce(
    tx: &mut Tx<'_>,
    scope: &Scope,
    leaf_der: &[u8],
    source_ip: IpAddr,
) -> Result<Option<Event>, ApiError> {
    let Some(leaf) = device_certificate(leaf_der, tx.now()) else {
        return Ok(None);
    };
    let known = store::certificate(tx, leaf.id())?;
    if known
        .as_ref()
        .is_some_and(|known| known.status != Status::PendingActivation)
    {
        return Ok(None);
    }
    let Some((authority, mode)) = introducer_of(tx, &leaf, known.as_ref())? else {
        return Ok(None);
    };
    if let Some(clash) = clash::find(tx, &leaf, Some(&authority))? {
        tracing::warn!(
            certificate = %leaf.id(),
            ca.certificate = %authority.id(),
            reason = %clash,
            "a certificate was shown that may not come in; it was not introduced"
        );
        return Ok(None);
    }
    let registered_at = match known {
        Some(known) => known.created_at,
        None if within_bounds(tx, authority.id())? => {
            let entry = Entry {
                certificate: &leaf,
                authority: Some(&authority),
                status: Status::PendingActivation,
                mode,
            };
            store::insert_certificate(tx, &entry)?;
            tx.now()
        }
        None => return Ok(None),
    };
    event(
        tx.now(),
        scope,
        leaf.id(),
        authority.id(),
        registered_at,
        source_ip,
    )
    .map(Some)
}

/// The certificate in `der`, when a device may show it now.
fn device_certificate(der: &[u8], now: Timestamp) -> Option<Certificate> {
    if LEAF_BYTES_MAX < der.len() {
        return None;
    }
    // Whatever cannot be read was not signed by anyone we know.
    let leaf = Certificate::parse_der(der).ok()?;
    // spec aws-iot [CT-10]: what the TLS door would refuse is not worth introducing.
    let fit = !leaf.is_ca() && leaf.allows_client_auth() && leaf.is_valid_at(now);
    fit.then_some(leaf)
}

/// The active authority that signed `leaf` and introduces certificates, with its mode. What is
/// `known` is introduced by the authority that it is registered with, and by no namesake.
fn introducer_of(
    tx: &mut Tx<'_>,
    leaf: &Certificate,
    known: Option<&StoredCertificate>,
) -> Result<Option<(Certificate, Mode)>, ApiError> {
    let named = store::authorities_named(tx, leaf.issuer(), i64::from(SAME_SUBJECT_MAX))?;
    for candidate in named {
        // spec aws-iot [CT-25]: an inactive authority lets nothing new in.
        if candidate.status != AuthorityStatus::Active
            || candidate.auto_registration != AutoRegistration::Enable
            || known
                .is_some_and(|known| known.authority.as_ref() != Some(&candidate.certificate_id))
        {
            continue;
        }
        let certificate = authority::certificate_of(&candidate)?;
        if certificate.is_valid_at(tx.now()) && pki::verify_issued_by(leaf, &certificate).is_ok() {
            return Ok(Some((certificate, candidate.mode)));
        }
    }
    Ok(None)
}

fn within_bounds(tx: &mut Tx<'_>, authority: &CertificateId) -> Result<bool, ApiError> {
    let minute_ms = i64::try_from(MINUTE.as_millis()).unwrap_or(i64::MAX);
    let minute_ago = Timestamp::from_millis(tx.now().millis().saturating_sub(minute_ms));
    let per_minute = i64::from(INTRODUCTIONS_PER_MINUTE_MAX);
    let recent = store::count_since(tx, authority, minute_ago, per_minute)?;
    let pending_max = i64::from(PENDING_PER_AUTHORITY_MAX);
    let pending = store::count_with_status(tx, authority, Status::PendingActivation, pending_max)?;
    let within = recent < per_minute && pending < pending_max;
    if !within {
        tracing::warn!(
            ca.certificate = %authority,
            recent,
            pending,
            "too many certificates introduced; another was not stored"
        );
    }
    Ok(within)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Registered<'a> {
    certificate_id: &'a CertificateId,
    ca_certificate_id: &'a CertificateId,
    timestamp: i64,
    certificate_status: Status,
    aws_account_id: &'a str,
    certificate_registration_timestamp: String,
    source_ip: IpAddr,
}

// spec aws-iot [CT-40]: milliseconds, the time of registration as a string.
fn event(
    now: Timestamp,
    scope: &Scope,
    certificate: &CertificateId,
    authority: &CertificateId,
    registered_at: Timestamp,
    source_ip: IpAddr,
) -> Result<Event, ApiError> {
    let document = Registered {
        certificate_id: certificate,
        ca_certificate_id: authority,
        timestamp: now.millis(),
        certificate_status: Status::PendingActivation,
        aws_account_id: scope.account.as_str(),
        certificate_registration_timestamp: registered_at.millis().to_string(),
        // An IPv4 address is written as one, also when it came in through an IPv6 socket.
        source_ip: source_ip.to_canonical(),
    };
    Ok(Event {
        topic: format!("$aws/events/certificates/registered/{authority}"),
        payload: serde_json::to_vec(&document).map_err(ApiError::internal)?,
    })
}
