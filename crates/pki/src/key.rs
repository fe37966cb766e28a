//! Keys: what a public key is and how strong, and making new private ones.
//!
//! A [`PublicKey`] has been checked: its kind is accepted, its size is within bounds, its numbers
//! are a key (a point on its curve, a plausible modulus). Private keys live only as long as the
//! answer that carries them; they are wiped when dropped and never printed.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{self, EcdsaKeyPair, KeyPair, ParsedPublicKey};
use x509_parser::asn1_rs::{Any, FromDer, Tag};
use x509_parser::oid_registry as oid;
use x509_parser::public_key::RSAPublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;
use zeroize::Zeroizing;

use crate::der::is_whole;
use crate::digest::{DIGEST_BYTES, sha256};
use crate::pem;

/// A kind of key that we accept, and its size.
// spec aws-iot [EP-15]: RSA from 2048 bits, ECDSA on P-256, P-384 and P-521.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyAlgorithm {
    /// RSA with a modulus of [`KeyAlgorithm::RSA_BITS_MIN`] to [`KeyAlgorithm::RSA_BITS_MAX`].
    Rsa {
        /// Length of the modulus in bits.
        bits: usize,
    },
    /// ECDSA on NIST P-256.
    EcdsaP256,
    /// ECDSA on NIST P-384.
    EcdsaP384,
    /// ECDSA on NIST P-521.
    EcdsaP521,
}

impl KeyAlgorithm {
    /// Shortest RSA modulus accepted, in bits.
    pub const RSA_BITS_MIN: usize = 2048;
    /// Longest RSA modulus accepted, in bits; a longer one only costs us time.
    pub const RSA_BITS_MAX: usize = 8192;

    /// The size of the key in bits.
    pub const fn bits(self) -> usize {
        match self {
            Self::Rsa { bits } => bits,
            Self::EcdsaP256 => 256,
            Self::EcdsaP384 => 384,
            Self::EcdsaP521 => 521,
        }
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { bits } => write!(out, "RSA {bits}"),
            Self::EcdsaP256 => out.write_str("ECDSA P-256"),
            Self::EcdsaP384 => out.write_str("ECDSA P-384"),
            Self::EcdsaP521 => out.write_str("ECDSA P-521"),
        }
    }
}

/// Why a key was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A kind of key, or a curve, that we do not accept.
    #[error(
        "key algorithm `{oid}` is not accepted; \
            use RSA of 2048 bits or more, or ECDSA on P-256, P-384 or P-521"
    )]
    Unsupported {
        /// The algorithm's or the curve's object identifier, dotted.
        oid: String,
    },
    /// An RSA modulus shorter than [`KeyAlgorithm::RSA_BITS_MIN`].
    #[error("an RSA key of {bits} bits is too weak; use 2048 bits or more")]
    TooWeak {
        /// Length found, in bits.
        bits: usize,
    },
    /// An RSA modulus longer than [`KeyAlgorithm::RSA_BITS_MAX`].
    #[error("an RSA key of {bits} bits is too large; use 8192 bits or fewer")]
    TooLarge {
        /// Length found, in bits.
        bits: usize,
    },
    /// The bytes are not a key of the kind they claim.
    #[error("the bytes of the public key are not a valid {kind} key")]
    Malformed {
        /// The kind claimed.
        kind: &'static str,
    },
    /// The operating system or the library could not make or read a private key.
    #[error("the private key could not be made or read")]
    Private,
}

/// What a point with both coordinates begins with (SEC 1, section 2.3.3).
const UNCOMPRESSED: u8 = 0x04;

/// A public key whose kind, size and numbers have been checked.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey {
    algorithm: KeyAlgorithm,
    spki: Box<[u8]>,
    bits: Box<[u8]>,
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo in DER.
    ///
    /// # Errors
    /// [`KeyError`] when the kind, the size or the numbers are not acceptable.
    pub fn parse_der(spki: &[u8]) -> Result<Self, KeyError> {
        let (_, info) = SubjectPublicKeyInfo::from_der(spki)
            .map_err(|_| KeyError::Malformed { kind: "X.509" })?;
        if info.raw.len() != spki.len() {
            return Err(KeyError::Malformed { kind: "X.509" });
        }
        Self::read(&info)
    }

    pub(crate) fn read(info: &SubjectPublicKeyInfo<'_>) -> Result<Self, KeyError> {
        if !is_whole(info.raw) || info.subject_public_key.unused_bits != 0 {
            return Err(KeyError::Malformed { kind: "X.509" });
        }
        let bits: &[u8] = &info.subject_public_key.data;
        let algorithm = algorithm_of(info, bits)?;
        check_numbers(algorithm, bits)?;
        Ok(Self {
            algorithm,
            spki: info.raw.into(),
            bits: bits.into(),
        })
    }

    /// Kind and size.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// The SubjectPublicKeyInfo in DER.
    pub fn der(&self) -> &[u8] {
        &self.spki
    }

    /// The SHA-256 of the bare key, the same however its algorithm identifier is spelled.
    pub fn digest(&self) -> [u8; DIGEST_BYTES] {
        // An RSA key, a SEQUENCE, begins with 0x30 and a point with 0x04; each curve's points have
        // a length of their own. So no two keys share these bytes.
        sha256(&self.bits)
    }

    /// As PEM, label `PUBLIC KEY`, newline included.
    pub fn pem(&self) -> String {
        pem::encode("PUBLIC KEY", &self.spki)
    }

    /// The bare key, without its algorithm identifier.
    pub(crate) fn bits(&self) -> &[u8] {
        &self.bits
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "PublicKey({})", self.algorithm)
    }
}

fn algorithm_of(info: &SubjectPublicKeyInfo<'_>, bits: &[u8]) -> Result<KeyAlgorithm, KeyError> {
    let id = &info.algorithm.algorithm;
    if *id == oid::OID_PKCS1_RSAENCRYPTION {
        return rsa_algorithm(bits);
    }
    if *id != oid::OID_KEY_TYPE_EC_PUBLIC_KEY {
        return Err(KeyError::Unsupported {
            oid: id.to_id_string(),
        });
    }
    let parameters = info.algorithm.parameters.as_ref();
    let curve = parameters
        .filter(|parameters| parameters.tag() == Tag::Oid)
        .and_then(|parameters| parameters.as_oid().ok())
        .ok_or(KeyError::Malformed { kind: "ECDSA" })?;
    if curve == oid::OID_EC_P256 {
        Ok(KeyAlgorithm::EcdsaP256)
    } else if curve == oid::OID_NIST_EC_P384 {
        Ok(KeyAlgorithm::EcdsaP384)
    } else if curve == oid::OID_NIST_EC_P521 {
        Ok(KeyAlgorithm::EcdsaP521)
    } else {
        Err(KeyError::Unsupported {
            oid: curve.to_id_string(),
        })
    }
}

fn rsa_algorithm(bits: &[u8]) -> Result<KeyAlgorithm, KeyError> {
    let malformed = || KeyError::Malformed { kind: "RSA" };
    let (rest, key) = RSAPublicKey::from_der(bits).map_err(|_| malformed())?;
    if !rest.is_empty() || !is_whole(bits) {
        return Err(malformed());
    }
    let zeros = key.modulus.iter().take_while(|byte| **byte == 0).count();
    let modulus = key.modulus.get(zeros..).unwrap_or_default();
    let first = modulus.first().ok_or_else(malformed)?;
    let unused = usize::try_from(first.leading_zeros()).unwrap_or(0);
    let bits = modulus.len().saturating_mul(8).saturating_sub(unused);
    if bits < KeyAlgorithm::RSA_BITS_MIN {
        return Err(KeyError::TooWeak { bits });
    }
    if KeyAlgorithm::RSA_BITS_MAX < bits {
        return Err(KeyError::TooLarge { bits });
    }
    Ok(KeyAlgorithm::Rsa { bits })
}

/// A point must lie on its curve and be written in full, so that a key has one spelling; an RSA
/// exponent must be odd and not 1.
fn check_numbers(algorithm: KeyAlgorithm, bits: &[u8]) -> Result<(), KeyError> {
    let (parsed, kind) = match algorithm {
        KeyAlgorithm::Rsa { .. } => (
            ParsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, bits),
            "RSA",
        ),
        KeyAlgorithm::EcdsaP256 => (
            ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_ASN1, bits),
            "ECDSA P-256",
        ),
        KeyAlgorithm::EcdsaP384 => (
            ParsedPublicKey::new(&signature::ECDSA_P384_SHA384_ASN1, bits),
            "ECDSA P-384",
        ),
        KeyAlgorithm::EcdsaP521 => (
            ParsedPublicKey::new(&signature::ECDSA_P521_SHA512_ASN1, bits),
            "ECDSA P-521",
        ),
    };
    let in_full = match algorithm {
        KeyAlgorithm::Rsa { .. } => true,
        KeyAlgorithm::EcdsaP256 | KeyAlgorithm::EcdsaP384 | KeyAlgorithm::EcdsaP521 => {
            bits.first() == Some(&UNCOMPRESSED)
        }
    };
    match parsed {
        Ok(_) if in_full => Ok(()),
        _ => Err(KeyError::Malformed { kind }),
    }
}

/// What kind of key to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA with 2048 bits, as AWS makes; takes a core for tens to hundreds of milliseconds.
    Rsa2048,
    /// ECDSA on P-256; takes microseconds.
    EcdsaP256,
}

/// A private key that was made here: hand it over once, then drop it.
pub struct PrivateKey {
    kind: KeyKind,
    pkcs8: Zeroizing<Vec<u8>>,
    public: PublicKey,
}

/// Makes a key from the operating system's randomness.
///
/// # Errors
/// [`KeyError::Private`] when there is no randomness or no memory.
pub fn generate_key(kind: KeyKind) -> Result<PrivateKey, KeyError> {
    let (pkcs8, spki) = match kind {
        KeyKind::Rsa2048 => generate_rsa(),
        KeyKind::EcdsaP256 => generate_ecdsa(),
    }
    .ok_or(KeyError::Private)?;
    let public = PublicKey::parse_der(&spki)?;
    Ok(PrivateKey {
        kind,
        pkcs8,
        public,
    })
}

fn generate_rsa() -> Option<(Zeroizing<Vec<u8>>, Vec<u8>)> {
    let pair = rsa::KeyPair::generate(KeySize::Rsa2048).ok()?;
    let pkcs8: Pkcs8V1Der<'_> = pair.as_der().ok()?;
    let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().ok()?;
    Some((
        Zeroizing::new(pkcs8.as_ref().to_vec()),
        spki.as_ref().to_vec(),
    ))
}

fn generate_ecdsa() -> Option<(Zeroizing<Vec<u8>>, Vec<u8>)> {
    let pair = EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_ASN1_SIGNING).ok()?;
    let pkcs8 = pair.to_pkcs8v1().ok()?;
    let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().ok()?;
    Some((
        Zeroizing::new(pkcs8.as_ref().to_vec()),
        spki.as_ref().to_vec(),
    ))
}

impl PrivateKey {
    /// The key in PKCS #8 DER.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The key in PEM, newline included: `RSA PRIVATE KEY` (PKCS #1) for RSA, as AWS returns it,
    /// `PRIVATE KEY` (PKCS #8) for ECDSA.
    ///
    /// # Errors
    /// [`KeyError::Private`] when the RSA key cannot be taken out of its PKCS #8 wrapping.
    pub fn pem(&self) -> Result<Zeroizing<String>, KeyError> {
        let text = match self.kind {
            KeyKind::Rsa2048 => {
                let pkcs1 = pkcs1_of(&self.pkcs8).ok_or(KeyError::Private)?;
                pem::encode("RSA PRIVATE KEY", pkcs1)
            }
            KeyKind::EcdsaP256 => pem::encode("PRIVATE KEY", &self.pkcs8),
        };
        Ok(Zeroizing::new(text))
    }

    /// The public half.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "PrivateKey({:?}, <redacted>)", self.kind)
    }
}

/// The PKCS #1 key inside a PKCS #8 one: `SEQUENCE { version, algorithm, OCTET STRING }`.
fn pkcs1_of(pkcs8: &[u8]) -> Option<&[u8]> {
    let (_, wrapping) = Any::from_der(pkcs8).ok()?;
    let (rest, _version) = Any::from_der(wrapping.data).ok()?;
    let (rest, _algorithm) = Any::from_der(rest).ok()?;
    let (_, key) = Any::from_der(rest).ok()?;
    (key.tag() == Tag::OctetString).then_some(key.data)
}

#[cfg(test)]
mod tests;
