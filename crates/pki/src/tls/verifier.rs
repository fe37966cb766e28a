//! Who may finish a handshake as a client: whoever proves to hold the key of a certificate that
//! the registry admits.
//!
//! No chain is built: the leaf alone is enough, whoever signed it, because the registry knows it
//! by fingerprint. So intermediates are only counted, never read. What the certificate says is
//! not read either, beyond its key; `webpki` is not asked, since it refuses the version 1
//! certificates that many fleets carry.
//!
//! First the proof, then the question: the registry is asked once the handshake's signature has
//! verified, so that nobody learns the state of a certificate by showing it, and nothing is
//! recorded on the word of a stranger.

use std::fmt;
use std::sync::Arc;

use model::Timestamp;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, PeerMisbehaved,
    SignatureScheme,
};
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::certificate;
use crate::key::{KeyAlgorithm, PublicKey};
use crate::signature::{Hash, SignatureAlgorithm};

/// Most bytes of certificates that a client may send.
pub const CLIENT_CHAIN_BYTES_MAX: usize = 16 * 1024;

/// Decides whether a certificate may connect: known, active, within its validity.
///
/// Called once in each full handshake, on the connection's own thread, after the peer has proven
/// that it holds the key. It must answer at once, from memory: no I/O. It is not called when a
/// session is resumed. To register an unknown certificate of a known authority, admit it here and
/// close the connection after the handshake.
pub trait Admission: Send + Sync + fmt::Debug {
    /// `Ok` lets the handshake finish; a refusal ends it with the alert named at [`Refusal`].
    ///
    /// # Errors
    /// [`Refusal`] says why not.
    fn admit(&self, leaf: &CertificateDer<'_>) -> Result<(), Refusal>;
}

/// Why a certificate may not connect. Each has a TLS alert that the client sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// Nobody has registered it: `certificate_unknown`.
    #[error("the certificate is not registered")]
    Unknown,
    /// Registered and neither active nor revoked: `certificate_unknown`.
    #[error("the certificate is not active")]
    Inactive,
    /// Revoked: `certificate_revoked`.
    #[error("the certificate is revoked")]
    Revoked,
    /// Past its end: `certificate_expired`.
    #[error("the certificate has expired")]
    Expired,
    /// Before its beginning: `certificate_expired`, which TLS uses for both.
    #[error("the certificate is not yet valid")]
    NotYetValid,
    /// Not X.509, or with a key that is not acceptable: `bad_certificate`.
    #[error("the certificate cannot be read")]
    Malformed,
    /// Nobody could tell, so the answer is no: `access_denied`.
    #[error("the certificate's status could not be determined")]
    Undetermined,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::InvalidCertificate(match refusal {
            Refusal::Unknown | Refusal::Inactive => {
                CertificateError::Other(OtherError(Arc::new(refusal)))
            }
            Refusal::Revoked => CertificateError::Revoked,
            Refusal::Expired => CertificateError::Expired,
            Refusal::NotYetValid => CertificateError::NotValidYet,
            Refusal::Malformed => CertificateError::BadEncoding,
            Refusal::Undetermined => CertificateError::ApplicationVerificationFailure,
        })
    }
}

/// When a certificate is valid, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// The first moment, to the second.
    pub not_before: Timestamp,
    /// The last moment, to the second.
    pub not_after: Timestamp,
}

impl Lifetime {
    /// Reads it out of a certificate.
    ///
    /// # Errors
    /// [`Refusal::Malformed`].
    pub fn of(leaf: &CertificateDer<'_>) -> Result<Self, Refusal> {
        let x509 = certificate::read(leaf).ok_or(Refusal::Malformed)?;
        let validity = x509.validity();
        Ok(Self {
            not_before: Timestamp::from_seconds(validity.not_before.timestamp()),
            not_after: Timestamp::from_seconds(validity.not_after.timestamp()),
        })
    }

    /// Whether `now` lies within it.
    ///
    /// # Errors
    /// [`Refusal::Expired`] or [`Refusal::NotYetValid`].
    // spec aws-iot [CT-10]: expired certificates are refused at TLS time.
    pub fn check(self, now: Timestamp) -> Result<(), Refusal> {
        if now.seconds() < self.not_before.seconds() {
            return Err(Refusal::NotYetValid);
        }
        if self.not_after.seconds() < now.seconds() {
            return Err(Refusal::Expired);
        }
        Ok(())
    }
}

// spec aws-iot [EP-15]: preferred first; in TLS 1.2 the curve is not bound to the scheme.
const SCHEMES: [(SignatureScheme, SignatureAlgorithm); 9] = [
    (
        SignatureScheme::ECDSA_NISTP256_SHA256,
        SignatureAlgorithm::Ecdsa(Hash::Sha256),
    ),
    (
        SignatureScheme::ECDSA_NISTP384_SHA384,
        SignatureAlgorithm::Ecdsa(Hash::Sha384),
    ),
    (
        SignatureScheme::ECDSA_NISTP521_SHA512,
        SignatureAlgorithm::Ecdsa(Hash::Sha512),
    ),
    (
        SignatureScheme::RSA_PSS_SHA256,
        SignatureAlgorithm::RsaPss(Hash::Sha256),
    ),
    (
        SignatureScheme::RSA_PSS_SHA384,
        SignatureAlgorithm::RsaPss(Hash::Sha384),
    ),
    (
        SignatureScheme::RSA_PSS_SHA512,
        SignatureAlgorithm::RsaPss(Hash::Sha512),
    ),
    (
        SignatureScheme::RSA_PKCS1_SHA256,
        SignatureAlgorithm::RsaPkcs1(Hash::Sha256),
    ),
    (
        SignatureScheme::RSA_PKCS1_SHA384,
        SignatureAlgorithm::RsaPkcs1(Hash::Sha384),
    ),
    (
        SignatureScheme::RSA_PKCS1_SHA512,
        SignatureAlgorithm::RsaPkcs1(Hash::Sha512),
    ),
];

#[derive(Debug)]
pub(super) struct DeviceVerifier {
    admission: Arc<dyn Admission>,
    required: bool,
}

impl DeviceVerifier {
    pub(super) fn new(admission: Arc<dyn Admission>, required: bool) -> Self {
        Self {
            admission,
            required,
        }
    }

    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        message: &[u8],
        signed: &DigitallySignedStruct,
        allowed: fn(SignatureAlgorithm, KeyAlgorithm) -> bool,
    ) -> Result<HandshakeSignatureValid, Error> {
        let scheme = SCHEMES.iter().find(|(scheme, _)| *scheme == signed.scheme);
        let Some((_, algorithm)) = scheme else {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        };
        let key = public_key(leaf)?;
        if !allowed(*algorithm, key.algorithm()) {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        }
        algorithm
            .verify(&key, message, signed.signature())
            .map_err(|_| Error::InvalidCertificate(CertificateError::BadSignature))?;
        self.admission.admit(leaf)?;
        Ok(HandshakeSignatureValid::assertion())
    }
}

fn public_key(leaf: &CertificateDer<'_>) -> Result<PublicKey, Refusal> {
    let x509 = certificate::read(leaf).ok_or(Refusal::Malformed)?;
    PublicKey::read(x509.public_key()).map_err(|_| Refusal::Malformed)
}

fn any_curve(_: SignatureAlgorithm, _: KeyAlgorithm) -> bool {
    true
}

/// RFC 8446, section 4.2.3: a scheme names its curve, and PKCS #1 v1.5 signs no handshake.
fn tls13_pairing(algorithm: SignatureAlgorithm, key: KeyAlgorithm) -> bool {
    match algorithm {
        SignatureAlgorithm::Ecdsa(Hash::Sha256) => key == KeyAlgorithm::EcdsaP256,
        SignatureAlgorithm::Ecdsa(Hash::Sha384) => key == KeyAlgorithm::EcdsaP384,
        SignatureAlgorithm::Ecdsa(Hash::Sha512) => key == KeyAlgorithm::EcdsaP521,
        SignatureAlgorithm::RsaPss(_) => true,
        SignatureAlgorithm::RsaPkcs1(_) => false,
    }
}

impl ClientCertVerifier for DeviceVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // No hint: any certificate may be registered.
        &[]
    }

    // spec aws-iot [EP-16]: the leaf alone is enough.
    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let chain = std::iter::once(end_entity).chain(intermediates);
        let bytes: usize = chain.map(|certificate| certificate.len()).sum();
        if CLIENT_CHAIN_BYTES_MAX < bytes {
            return Err(Refusal::Malformed.into());
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify(cert, message, dss, any_curve)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify(cert, message, dss, tls13_pairing)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SCHEMES.iter().map(|(scheme, _)| *scheme).collect()
    }
}
