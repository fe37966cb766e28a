//! The signature algorithms that a certificate, a request or a handshake may use, and checking
//! them.
//!
//! RSA and ECDSA with SHA-2 and nothing else: SHA-1 and MD5 are broken, DSA is refused by
//! decision, the rest no device of this kind uses. One table pairs an algorithm with a key, for
//! certificates and for TLS alike.

use std::fmt;

use rustls_pki_types::SignatureVerificationAlgorithm;
use webpki::aws_lc_rs as algorithms;
use x509_parser::oid_registry as oid;
use x509_parser::signature_algorithm::RsaSsaPssParams;
use x509_parser::x509::AlgorithmIdentifier;

use crate::key::{KeyAlgorithm, PublicKey};

/// The digest under a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// A signature algorithm that we accept.
// spec aws-iot [EP-15]: RSA and ECDSA with SHA-256, 384 or 512; DSA is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// RSA with PKCS #1 v1.5 padding.
    RsaPkcs1(Hash),
    /// RSA with PSS padding, MGF1 and a salt as long as the digest.
    RsaPss(Hash),
    /// ECDSA.
    Ecdsa(Hash),
}

/// Why a signature was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// An algorithm that we do not accept.
    #[error(
        "signature algorithm `{oid}` is not accepted; \
         use RSA or ECDSA with SHA-256, SHA-384 or SHA-512"
    )]
    Algorithm {
        /// Its object identifier, dotted.
        oid: String,
    },
    /// The signing key cannot make signatures of this algorithm.
    #[error("a key of kind {key} cannot make a {algorithm} signature")]
    KeyMismatch {
        /// The key.
        key: KeyAlgorithm,
        /// The algorithm.
        algorithm: SignatureAlgorithm,
    },
    /// The signature does not verify.
    #[error("the signature was not made by that key over those bytes")]
    Wrong,
}

impl SignatureAlgorithm {
    pub(crate) fn read(id: &AlgorithmIdentifier<'_>) -> Result<Self, SignatureError> {
        let algorithm = &id.algorithm;
        let found = if *algorithm == oid::OID_PKCS1_SHA256WITHRSA {
            Some(Self::RsaPkcs1(Hash::Sha256))
        } else if *algorithm == oid::OID_PKCS1_SHA384WITHRSA {
            Some(Self::RsaPkcs1(Hash::Sha384))
        } else if *algorithm == oid::OID_PKCS1_SHA512WITHRSA {
            Some(Self::RsaPkcs1(Hash::Sha512))
        } else if *algorithm == oid::OID_SIG_ECDSA_WITH_SHA256 {
            Some(Self::Ecdsa(Hash::Sha256))
        } else if *algorithm == oid::OID_SIG_ECDSA_WITH_SHA384 {
            Some(Self::Ecdsa(Hash::Sha384))
        } else if *algorithm == oid::OID_SIG_ECDSA_WITH_SHA512 {
            Some(Self::Ecdsa(Hash::Sha512))
        } else if *algorithm == oid::OID_PKCS1_RSASSAPSS {
            pss_hash(id).map(Self::RsaPss)
        } else {
            None
        };
        found.ok_or_else(|| SignatureError::Algorithm {
            oid: algorithm.to_id_string(),
        })
    }

    /// Whether `key` made `signature` over `message`.
    pub(crate) fn verify(
        self,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureError> {
        let mismatch = SignatureError::KeyMismatch {
            key: key.algorithm(),
            algorithm: self,
        };
        let verifier = self.verifier(key.algorithm()).ok_or(mismatch)?;
        verifier
            .verify_signature(key.bits(), message, signature)
            .map_err(|_| SignatureError::Wrong)
    }

    fn verifier(self, key: KeyAlgorithm) -> Option<&'static dyn SignatureVerificationAlgorithm> {
        use Hash::{Sha256, Sha384, Sha512};
        use KeyAlgorithm::{EcdsaP256, EcdsaP384, EcdsaP521, Rsa};
        Some(match (self, key) {
            (Self::RsaPkcs1(Sha256), Rsa { .. }) => algorithms::RSA_PKCS1_2048_8192_SHA256,
            (Self::RsaPkcs1(Sha384), Rsa { .. }) => algorithms::RSA_PKCS1_2048_8192_SHA384,
            (Self::RsaPkcs1(Sha512), Rsa { .. }) => algorithms::RSA_PKCS1_2048_8192_SHA512,
            (Self::RsaPss(Sha256), Rsa { .. }) => algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
            (Self::RsaPss(Sha384), Rsa { .. }) => algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
            (Self::RsaPss(Sha512), Rsa { .. }) => algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
            (Self::Ecdsa(Sha256), EcdsaP256) => algorithms::ECDSA_P256_SHA256,
            (Self::Ecdsa(Sha384), EcdsaP256) => algorithms::ECDSA_P256_SHA384,
            (Self::Ecdsa(Sha512), EcdsaP256) => algorithms::ECDSA_P256_SHA512,
            (Self::Ecdsa(Sha256), EcdsaP384) => algorithms::ECDSA_P384_SHA256,
            (Self::Ecdsa(Sha384), EcdsaP384) => algorithms::ECDSA_P384_SHA384,
            (Self::Ecdsa(Sha512), EcdsaP384) => algorithms::ECDSA_P384_SHA512,
            (Self::Ecdsa(Sha256), EcdsaP521) => algorithms::ECDSA_P521_SHA256,
            (Self::Ecdsa(Sha384), EcdsaP521) => algorithms::ECDSA_P521_SHA384,
            (Self::Ecdsa(Sha512), EcdsaP521) => algorithms::ECDSA_P521_SHA512,
            (Self::RsaPkcs1(_) | Self::RsaPss(_), EcdsaP256 | EcdsaP384 | EcdsaP521)
            | (Self::Ecdsa(_), Rsa { .. }) => return None,
        })
    }
}

fn pss_hash(id: &AlgorithmIdentifier<'_>) -> Option<Hash> {
    let parameters = RsaSsaPssParams::try_from(id.parameters.as_ref()?).ok()?;
    let hash = parameters.hash_algorithm_oid();
    if *hash == oid::OID_NIST_HASH_SHA256 {
        Some(Hash::Sha256)
    } else if *hash == oid::OID_NIST_HASH_SHA384 {
        Some(Hash::Sha384)
    } else if *hash == oid::OID_NIST_HASH_SHA512 {
        Some(Hash::Sha512)
    } else {
        None
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        })
    }
}

impl fmt::Display for SignatureAlgorithm {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RsaPkcs1(hash) => write!(out, "RSA with {hash}"),
            Self::RsaPss(hash) => write!(out, "RSA-PSS with {hash}"),
            Self::Ecdsa(hash) => write!(out, "ECDSA with {hash}"),
        }
    }
}
