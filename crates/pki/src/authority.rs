//! The two authorities of an installation: one for devices, one for its own servers.
//!
//! They are apart so that neither can speak for the other: a device certificate is useless to
//! pose as the server, and a stolen server authority can make no device and, being constrained
//! to this host's names, no other host either. Only the server authority's certificate goes to
//! clients.
//!
//! Nothing is stored here. An authority is made or loaded from a certificate and a PKCS #8 key;
//! the caller seals the key.
//!
//! Sources: RFC 5280, sections 4.1 and 4.2; contract core 1.2 and 5.1.

mod device;
mod server;

use std::fmt;
use std::time::Duration;

use model::{Timestamp, random_bytes};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SerialNumber,
};
use rustls_pki_types::PrivatePkcs8KeyDer;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::certificate::{Certificate, CertificateError};
use crate::key::{KeyError, KeyKind, PublicKey, generate_key};

pub use device::{DEVICE_COMMON_NAME, DeviceAuthority, Subject};
pub use server::{IssuedServer, NAMES_MAX, SanName, SanNameError, ServerAuthority};

/// Longest label of an authority's name, in bytes; with what stands before it a common name stays
/// within the 64 characters of RFC 5280.
pub const LABEL_BYTES_MAX: usize = 40;

/// How far before now a new certificate's validity begins, for clients whose clocks run behind.
// spec aws-iot [CT-3]: notBefore slightly in the past.
const BACKDATE: Duration = Duration::from_secs(5 * 60);

/// 2049-12-31T23:59:59Z.
const DEVICE_END: Timestamp = Timestamp::from_seconds(2_524_607_999);

/// 9999-12-31T23:59:59Z, the last second that X.509 can write.
const LAST_SECOND: Timestamp = Timestamp::from_seconds(253_402_300_799);

/// Why an authority could not be made, loaded or used.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The label in an authority's name is empty, too long or not printable ASCII.
    #[error("authority label: 1 to 40 printable ASCII characters are needed")]
    Label,
    /// The validity is empty or reaches outside what X.509 can write.
    #[error("validity: it must end after it begins, between 1970 and 9999")]
    Validity,
    /// The certificate would be valid for longer than the authority that signs it.
    #[error("validity: it ends at {not_after}, after the authority's own end at {authority_end}")]
    OutlivesAuthority {
        /// The end asked for.
        not_after: Timestamp,
        /// The authority's end.
        authority_end: Timestamp,
    },
    /// No name, or more than [`NAMES_MAX`].
    #[error("names: {count} given; 1 to 64 are needed")]
    NameCount {
        /// Names given.
        count: usize,
    },
    /// The server authority's constraints leave out one of the names.
    #[error("names: this server authority was made for other names than `{names}`; make a new one")]
    NamesNotPermitted {
        /// The names asked for.
        names: String,
    },
    /// The certificate given is not that of an authority of this kind.
    #[error("the certificate is not that of a {purpose} authority")]
    WrongAuthority {
        /// `device` or `server`.
        purpose: &'static str,
    },
    /// The private key does not belong to the certificate.
    #[error("the private key does not belong to the authority's certificate")]
    WrongKey,
    /// The authority's certificate cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A key cannot be made or read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The certificate could not be encoded or signed.
    #[error("the certificate could not be encoded or signed")]
    Encoding(#[from] rcgen::Error),
}

/// From when to when a certificate is valid, in whole seconds, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    not_before: Timestamp,
    not_after: Timestamp,
}

impl Validity {
    /// From five minutes before `now` until `not_after`.
    ///
    /// # Errors
    /// [`IssueError::Validity`] when it would end before it begins or lies outside 1970 to 9999.
    pub fn until(now: Timestamp, not_after: Timestamp) -> Result<Self, IssueError> {
        let backdate_ms = i64::try_from(BACKDATE.as_millis()).unwrap_or(0);
        let not_before = Timestamp::from_millis(now.millis().saturating_sub(backdate_ms));
        if not_before.seconds() < 0 || not_after <= not_before || LAST_SECOND < not_after {
            return Err(IssueError::Validity);
        }
        Ok(Self {
            not_before,
            not_after,
        })
    }

    /// From five minutes before `now` until `duration` after it.
    ///
    /// # Errors
    /// As [`Validity::until`].
    pub fn lasting(now: Timestamp, duration: Duration) -> Result<Self, IssueError> {
        Self::until(now, now.after(duration))
    }

    /// What AWS IoT gives device certificates: until 2049-12-31T23:59:59Z.
    ///
    /// # Errors
    /// As [`Validity::until`].
    // spec aws-iot [CT-3]
    pub fn device_default(now: Timestamp) -> Result<Self, IssueError> {
        Self::until(now, DEVICE_END)
    }

    fn within(self, authority: &Certificate) -> Result<Self, IssueError> {
        let authority_end = authority.not_after();
        if authority_end.seconds() < self.not_after.seconds() {
            return Err(IssueError::OutlivesAuthority {
                not_after: self.not_after,
                authority_end,
            });
        }
        Ok(self)
    }
}

fn moment(at: Timestamp) -> Result<OffsetDateTime, IssueError> {
    OffsetDateTime::from_unix_timestamp(at.seconds()).map_err(|_| IssueError::Validity)
}

/// 126 random bits, positive, always sixteen bytes.
// spec aws-iot [CT-3]: random serial.
fn random_serial() -> [u8; 16] {
    let mut serial = random_bytes::<16>();
    let [first, ..] = &mut serial;
    *first = (*first & 0x3f) | 0x40;
    serial
}

/// An authority's certificate and key, checked to belong together.
struct Signer {
    certificate: Certificate,
    key: KeyPair,
}

impl Signer {
    /// A new self-signed authority with a new P-256 key.
    fn create(mut params: CertificateParams, validity: Validity) -> Result<Self, IssueError> {
        let private = generate_key(KeyKind::EcdsaP256)?;
        let key = key_pair(private.pkcs8())?;
        params.not_before = moment(validity.not_before)?;
        params.not_after = moment(validity.not_after)?;
        params.serial_number = Some(SerialNumber::from_slice(&random_serial()));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let made = params.self_signed(&key)?;
        Ok(Self {
            certificate: Certificate::parse_der(made.der())?,
            key,
        })
    }

    fn load(certificate: Certificate, pkcs8: &[u8]) -> Result<Self, IssueError> {
        let key = key_pair(pkcs8)?;
        let public = PublicKey::parse_der(&rcgen::PublicKeyData::subject_public_key_info(&key))?;
        if public != *certificate.public_key() {
            return Err(IssueError::WrongKey);
        }
        Ok(Self { certificate, key })
    }

    fn pkcs8(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.key.serialize_der())
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Signer({:?}, <redacted>)", self.certificate.subject())
    }
}

fn key_pair(pkcs8: &[u8]) -> Result<KeyPair, IssueError> {
    let der = PrivatePkcs8KeyDer::from(pkcs8);
    KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ECDSA_P256_SHA256)
        .map_err(|_| IssueError::Key(KeyError::Private))
}

/// What both authorities' certificates have in common.
fn authority_params(
    kind: &str,
    label: &str,
    purpose: ExtendedKeyUsagePurpose,
) -> Result<CertificateParams, IssueError> {
    let printable = label
        .bytes()
        .all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if label.is_empty() || LABEL_BYTES_MAX < label.len() || !printable {
        return Err(IssueError::Label);
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, format!("Palisade {kind} CA {label}"));
    params.extended_key_usages = vec![purpose];
    Ok(params)
}

#[cfg(test)]
mod tests;
