//! An X.509 certificate, read once and checked.
//!
//! What a registration, a policy and an operator need to know of a certificate, taken out of
//! its DER by `x509-parser`. A value of this type has an acceptable key and an acceptable
//! signature algorithm; it says nothing about who signed it (see [`crate::verify_issued_by`]),
//! whether it is within its validity, or whether anyone has registered it.
//!
//! Versions 1 and 3 are both read: `openssl x509 -req` without an extension file still makes
//! version 1, and many device fleets were made that way.
//!
//! Sources: RFC 5280; contract core 1.2, 5.1 and 7.4.

use std::fmt::Write as _;

use model::{CertificateId, Timestamp};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::SectionKind;
use x509_parser::asn1_rs::{FromDer, Oid};
use x509_parser::certificate::{TbsCertificate, X509Certificate, X509CertificateParser};
use x509_parser::error::X509Error;
use x509_parser::extensions::{
    self, AuthorityKeyIdentifier, ExtendedKeyUsage, GeneralName, IssuerAlternativeName,
    KeyIdentifier, SubjectAlternativeName,
};
use x509_parser::nom::Parser as _;
use x509_parser::oid_registry as oid;

use crate::der::{is_whole, parts};
use crate::digest::{DIGEST_BYTES, sha256};
use crate::key::{KeyError, PublicKey};
use crate::name::{AlternativeName, Name, NotAName, push_value};
use crate::pem::{self, Block, PemError};
use crate::signature::{SignatureAlgorithm, SignatureError};

const SERIAL_BYTES_MAX: usize = 64;

/// The first bytes of the two outer values that are always there.
const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;

pub(crate) const BLOCK: Block = Block {
    label: "CERTIFICATE",
    kind: SectionKind::Certificate,
    chars_max: Certificate::PEM_CHARS_MAX,
};

/// Why bytes are not a certificate that we accept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The text holds no single PEM block.
    #[error("certificate: {0}")]
    Pem(#[from] PemError),
    /// The bytes are not X.509, are not DER in its shortest form, or bytes are left over.
    #[error("certificate: the bytes are not exactly one X.509 certificate in DER")]
    NotX509,
    /// The serial number is longer than 64 bytes.
    #[error("certificate: the serial number is {len} bytes long; the limit is 64")]
    SerialTooLong {
        /// Length found, in bytes.
        len: usize,
    },
    /// The subject or the issuer is not a well-formed distinguished name.
    #[error("certificate: the {field} is not a well-formed distinguished name")]
    BadName {
        /// `subject` or `issuer`.
        field: &'static str,
    },
    /// An extension is not what its identifier says.
    #[error("certificate: extension `{extension}` is malformed")]
    BadExtension {
        /// The extension's name in RFC 5280.
        extension: &'static str,
    },
    /// An extension that may stand once stands twice.
    #[error("certificate: extension `{extension}` is there more than once")]
    RepeatedExtension {
        /// The extension's name in RFC 5280.
        extension: &'static str,
    },
    /// The public key is not acceptable.
    #[error("certificate: {0}")]
    Key(#[from] KeyError),
    /// The signature algorithm is not acceptable.
    #[error("certificate: {0}")]
    Signature(#[from] SignatureError),
}

/// What the certificate says about being an authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BasicConstraints {
    /// Whether its key may sign certificates.
    pub ca: bool,
    /// How many authorities may stand below it; `None` for any number.
    pub path_len: Option<u32>,
}

/// A certificate whose parts have been read and whose key and algorithm are acceptable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    der: CertificateDer<'static>,
    id: CertificateId,
    signed_digest: [u8; DIGEST_BYTES],
    serial: String,
    subject: Name,
    issuer: Name,
    subject_alternative: Vec<(AlternativeName, Vec<String>)>,
    issuer_alternative: Vec<(AlternativeName, Vec<String>)>,
    not_before: Timestamp,
    not_after: Timestamp,
    public_key: PublicKey,
    signature_algorithm: SignatureAlgorithm,
    basic_constraints: Option<BasicConstraints>,
    purposes: Option<Purposes>,
    subject_key_id: Option<Vec<u8>>,
    authority_key_id: Option<Vec<u8>>,
}

/// The purposes of an extended key usage that concern us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Purposes {
    server: bool,
    client: bool,
    any: bool,
}

impl Certificate {
    /// Longest PEM text accepted, in characters.
    // spec aws-iot [CT-2]
    pub const PEM_CHARS_MAX: usize = 65_536;

    /// Reads the only certificate in a PEM text; other text around it is skipped.
    ///
    /// # Errors
    /// [`CertificateError`] names what is wrong.
    pub fn parse_pem(text: &str) -> Result<Self, CertificateError> {
        Self::parse_der(&BLOCK.decode(text)?)
    }

    /// Reads a certificate in DER.
    ///
    /// # Errors
    /// [`CertificateError`] names what is wrong.
    pub fn parse_der(der: &[u8]) -> Result<Self, CertificateError> {
        let x509 = read(der).ok_or(CertificateError::NotX509)?;
        let tbs = &x509.tbs_certificate;
        let len = tbs.raw_serial().len();
        if SERIAL_BYTES_MAX < len {
            return Err(CertificateError::SerialTooLong { len });
        }
        let named = |field| move || CertificateError::BadName { field };
        Ok(Self {
            der: CertificateDer::from(der.to_vec()),
            id: certificate_id(der),
            signed_digest: sha256(tbs.as_ref()),
            serial: tbs.serial.to_string(),
            subject: Name::read(tbs.subject()).ok_or_else(named("subject"))?,
            issuer: Name::read(tbs.issuer()).ok_or_else(named("issuer"))?,
            subject_alternative: subject_alternative(tbs)?,
            issuer_alternative: issuer_alternative(tbs)?,
            not_before: Timestamp::from_seconds(tbs.validity().not_before.timestamp()),
            not_after: Timestamp::from_seconds(tbs.validity().not_after.timestamp()),
            public_key: PublicKey::read(tbs.public_key())?,
            signature_algorithm: SignatureAlgorithm::read(&x509.signature_algorithm)?,
            basic_constraints: basic_constraints(tbs)?,
            purposes: purposes(tbs)?,
            subject_key_id: subject_key_id(tbs)?,
            authority_key_id: authority_key_id(tbs)?,
        })
    }

    /// The certificate in DER.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// The certificate in PEM, newline included.
    pub fn pem(&self) -> String {
        pem::encode(BLOCK.label, &self.der)
    }

    /// The SHA-256 of the DER.
    pub fn id(&self) -> &CertificateId {
        &self.id
    }

    /// The SHA-256 of the signed part. Two certificates that share it differ in nothing but the
    /// signature: for an ECDSA signature (r, s) the pair (r, n - s) is as good, so whoever holds a
    /// certificate can make another one of it, with another id, that verifies as well.
    pub fn signed_digest(&self) -> &[u8; DIGEST_BYTES] {
        &self.signed_digest
    }

    /// The SHA-256 of the DER for people to compare: `AB:CD:…`, 32 pairs.
    pub fn fingerprint(&self) -> String {
        let pairs: Vec<String> = sha256(&self.der)
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        pairs.join(":")
    }

    /// The serial number in decimal, as the policy variable `iot:Certificate.SerialNumber` has it.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// Whom the certificate is about.
    pub fn subject(&self) -> &Name {
        &self.subject
    }

    /// Who signed it, by its own account.
    pub fn issuer(&self) -> &Name {
        &self.issuer
    }

    /// The subject's alternative names: each kind present, with its first five values in order.
    pub fn subject_alternative(&self) -> &[(AlternativeName, Vec<String>)] {
        &self.subject_alternative
    }

    /// The issuer's alternative names, in the same form.
    pub fn issuer_alternative(&self) -> &[(AlternativeName, Vec<String>)] {
        &self.issuer_alternative
    }

    /// The first second of its validity.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// The last second of its validity.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Whether `now` lies within its validity, both ends included.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        (self.not_before.seconds()..=self.not_after.seconds()).contains(&now.seconds())
    }

    /// The key it binds the subject to.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// How it was signed.
    pub fn signature_algorithm(&self) -> SignatureAlgorithm {
        self.signature_algorithm
    }

    /// What it says about being an authority, when it says anything.
    pub fn basic_constraints(&self) -> Option<BasicConstraints> {
        self.basic_constraints
    }

    /// Whether it says that it is an authority.
    pub fn is_ca(&self) -> bool {
        self.basic_constraints
            .is_some_and(|constraints| constraints.ca)
    }

    /// Whether an extended key usage is there and names serverAuth.
    pub fn names_server_auth(&self) -> bool {
        self.purposes.is_some_and(|purposes| purposes.server)
    }

    /// Whether an extended key usage is there and names clientAuth.
    pub fn names_client_auth(&self) -> bool {
        self.purposes.is_some_and(|purposes| purposes.client)
    }

    /// Whether it may stand for a client: it has no extended key usage, or one that names
    /// clientAuth or any purpose.
    pub fn allows_client_auth(&self) -> bool {
        self.purposes
            .is_none_or(|purposes| purposes.client || purposes.any)
    }

    /// The identifier of its own key, when it gives one.
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.subject_key_id.as_deref()
    }

    /// The identifier of the key that signed it, when it gives one.
    pub fn authority_key_id(&self) -> Option<&[u8]> {
        self.authority_key_id.as_deref()
    }

    /// Whether `key` signed this certificate.
    pub(crate) fn signed_by(&self, key: &PublicKey) -> Result<(), SignatureError> {
        let x509 = read(&self.der).ok_or(SignatureError::Wrong)?;
        let signature: &[u8] = &x509.signature_value.data;
        self.signature_algorithm
            .verify(key, x509.tbs_certificate.as_ref(), signature)
    }
}

/// The id of a certificate in DER: the lower-case hexadecimal SHA-256, whatever the bytes are.
// spec aws-iot [CT-1]
pub fn certificate_id(der: &[u8]) -> CertificateId {
    let mut text = String::with_capacity(64);
    for byte in sha256(der) {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    #[expect(
        clippy::expect_used,
        reason = "64 lower-case hexadecimal characters are an id"
    )]
    CertificateId::parse(&text).expect("a SHA-256 in hexadecimal is a certificate id")
}

/// The fingerprint of the only certificate in a PEM text; see [`Certificate::fingerprint`].
///
/// # Errors
/// [`CertificateError`] names what is wrong with the text.
pub fn fingerprint(pem: &str) -> Result<String, CertificateError> {
    Ok(Certificate::parse_pem(pem)?.fingerprint())
}

/// The certificate's structure, extensions left unread; `None` unless the bytes are exactly that.
pub(crate) fn read(der: &[u8]) -> Option<X509Certificate<'_>> {
    let mut parser = X509CertificateParser::new().with_deep_parse_extensions(false);
    let (_, x509) = parser.parse(der).ok()?;
    let [signed_part, outer_algorithm, signature] = parts(der)?.try_into().ok()?;
    // What is not signed must follow from what is: the outer tags, of which the parser reads the
    // number and not the class, and the algorithm, which stands in both places. The signed part
    // is `[0] version`, serial number, algorithm and so on, the version optional.
    let fields = parts(signed_part)?;
    let inner_algorithm = match fields.as_slice() {
        [[0xa0, ..], _serial, algorithm, ..] | [_serial, algorithm, ..] => *algorithm,
        _ => return None,
    };
    let exact = der.first() == Some(&SEQUENCE)
        && signature.first() == Some(&BIT_STRING)
        && signed_part == x509.tbs_certificate.as_ref()
        && inner_algorithm == outer_algorithm
        && x509.signature_value.unused_bits == 0;
    exact.then_some(x509)
}

/// The value of an extension that may stand once; `None` when it is absent.
fn extension<'a, T: FromDer<'a, X509Error>>(
    tbs: &TbsCertificate<'a>,
    oid: &Oid<'_>,
    extension: &'static str,
) -> Result<Option<T>, CertificateError> {
    let mut found = tbs
        .iter_extensions()
        .filter(|candidate| candidate.oid == *oid);
    let Some(first) = found.next() else {
        return Ok(None);
    };
    if found.next().is_some() {
        return Err(CertificateError::RepeatedExtension { extension });
    }
    match T::from_der(first.value) {
        Ok(([], value)) if is_whole(first.value) => Ok(Some(value)),
        _ => Err(CertificateError::BadExtension { extension }),
    }
}

fn basic_constraints(
    tbs: &TbsCertificate<'_>,
) -> Result<Option<BasicConstraints>, CertificateError> {
    let found = extension::<extensions::BasicConstraints>(
        tbs,
        &oid::OID_X509_EXT_BASIC_CONSTRAINTS,
        "basicConstraints",
    )?;
    Ok(found.map(|value| BasicConstraints {
        ca: value.ca,
        path_len: value.path_len_constraint,
    }))
}

fn purposes(tbs: &TbsCertificate<'_>) -> Result<Option<Purposes>, CertificateError> {
    let found = extension::<ExtendedKeyUsage<'_>>(
        tbs,
        &oid::OID_X509_EXT_EXTENDED_KEY_USAGE,
        "extKeyUsage",
    )?;
    Ok(found.map(|usage| Purposes {
        server: usage.server_auth,
        client: usage.client_auth,
        any: usage.any,
    }))
}

fn subject_key_id(tbs: &TbsCertificate<'_>) -> Result<Option<Vec<u8>>, CertificateError> {
    let found = extension::<KeyIdentifier<'_>>(
        tbs,
        &oid::OID_X509_EXT_SUBJECT_KEY_IDENTIFIER,
        "subjectKeyIdentifier",
    )?;
    Ok(found.map(|id| id.0.to_vec()))
}

fn authority_key_id(tbs: &TbsCertificate<'_>) -> Result<Option<Vec<u8>>, CertificateError> {
    let found = extension::<AuthorityKeyIdentifier<'_>>(
        tbs,
        &oid::OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER,
        "authorityKeyIdentifier",
    )?;
    Ok(found
        .and_then(|value| value.key_identifier)
        .map(|id| id.0.to_vec()))
}

type AlternativeNames = Vec<(AlternativeName, Vec<String>)>;

fn subject_alternative(tbs: &TbsCertificate<'_>) -> Result<AlternativeNames, CertificateError> {
    let name = "subjectAltName";
    let oid = &oid::OID_X509_EXT_SUBJECT_ALT_NAME;
    let found = extension::<SubjectAlternativeName<'_>>(tbs, oid, name)?;
    alternative_names(found.map_or(Vec::new(), |value| value.general_names), name)
}

fn issuer_alternative(tbs: &TbsCertificate<'_>) -> Result<AlternativeNames, CertificateError> {
    let name = "issuerAltName";
    let oid = &oid::OID_X509_EXT_ISSUER_ALT_NAME;
    let found = extension::<IssuerAlternativeName<'_>>(tbs, oid, name)?;
    alternative_names(found.map_or(Vec::new(), |value| value.general_names), name)
}

fn alternative_names(
    found: Vec<GeneralName<'_>>,
    extension: &'static str,
) -> Result<AlternativeNames, CertificateError> {
    let mut names = Vec::new();
    for name in &found {
        let read = AlternativeName::read(name)
            .map_err(|NotAName| CertificateError::BadExtension { extension })?;
        if let Some((kind, text)) = read {
            push_value(&mut names, kind, text);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests;
