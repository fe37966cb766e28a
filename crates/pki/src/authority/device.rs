//! The authority that device certificates come from.
//!
//! The certificates are written here, field by field, rather than by `rcgen`: it keeps one value
//! per attribute of a name, and a request's subject must come back byte for byte, because
//! policies read every value of it. All else is fixed: client authentication only, no CA bit, no
//! extension out of a request.

use model::Timestamp;
use rcgen::{ExtendedKeyUsagePurpose, SigningKey as _};
use yasna::models::{GeneralizedTime, ObjectIdentifier, UTCTime};
use yasna::{DERWriter, DERWriterSeq, Tag, construct_der};
use zeroize::Zeroizing;

use super::{IssueError, Signer, Validity, authority_params, moment, random_serial};
use crate::certificate::Certificate;
use crate::key::PublicKey;
use crate::name::Name;

/// The common name of a certificate whose key was generated here.
// spec aws-iot [CT-3]
pub const DEVICE_COMMON_NAME: &str = "AWS IoT Certificate";

const CN: &[u64] = &[2, 5, 4, 3];
const ECDSA_WITH_SHA256: &[u64] = &[1, 2, 840, 10045, 4, 3, 2];
const SUBJECT_KEY_ID: &[u64] = &[2, 5, 29, 14];
const KEY_USAGE: &[u64] = &[2, 5, 29, 15];
const BASIC_CONSTRAINTS: &[u64] = &[2, 5, 29, 19];
const AUTHORITY_KEY_ID: &[u64] = &[2, 5, 29, 35];
const EXT_KEY_USAGE: &[u64] = &[2, 5, 29, 37];
const CLIENT_AUTH: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 3, 2];

/// From here on RFC 5280 writes years with four digits: 2050-01-01T00:00:00Z.
const FOUR_DIGIT_YEARS: Timestamp = Timestamp::from_seconds(2_524_608_000);

/// Under what name a device certificate is issued.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// `CN=AWS IoT Certificate`, for keys generated here.
    Fixed,
    /// The name that a request asks for, byte for byte.
    Requested(&'a Name),
}

/// Issues device certificates: client authentication only, never an authority.
#[derive(Debug)]
pub struct DeviceAuthority {
    signer: Signer,
}

impl DeviceAuthority {
    /// A new authority `CN=Palisade Device CA {label}` with a new P-256 key.
    ///
    /// # Errors
    /// [`IssueError::Label`] or [`IssueError::Validity`]; others only when randomness fails.
    pub fn create(label: &str, validity: Validity) -> Result<Self, IssueError> {
        let params = authority_params("Device", label, ExtendedKeyUsagePurpose::ClientAuth)?;
        Ok(Self {
            signer: Signer::create(params, validity)?,
        })
    }

    /// Loads what [`DeviceAuthority::certificate`] and [`DeviceAuthority::private_key_pkcs8`] gave.
    ///
    /// # Errors
    /// [`IssueError::WrongAuthority`] for another kind of certificate, [`IssueError::WrongKey`]
    /// when the two do not belong together.
    pub fn load(certificate_pem: &str, pkcs8: &[u8]) -> Result<Self, IssueError> {
        let certificate = Certificate::parse_pem(certificate_pem)?;
        if !certificate.is_ca() || !certificate.names_client_auth() {
            return Err(IssueError::WrongAuthority { purpose: "device" });
        }
        Ok(Self {
            signer: Signer::load(certificate, pkcs8)?,
        })
    }

    /// The authority's own certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.signer.certificate
    }

    /// The authority's key in PKCS #8 DER, for the caller to seal.
    pub fn private_key_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        self.signer.pkcs8()
    }

    /// A certificate for `key`. Each call gives another serial number, so the same request twice
    /// gives two certificates.
    ///
    /// # Errors
    /// [`IssueError::OutlivesAuthority`] when it would be valid beyond this authority.
    pub fn issue(
        &self,
        key: &PublicKey,
        subject: Subject<'_>,
        validity: Validity,
    ) -> Result<Certificate, IssueError> {
        let validity = validity.within(&self.signer.certificate)?;
        let signed_part = self.signed_part(key, subject, validity)?;
        let signature = self.signer.key.sign(&signed_part)?;
        let der = construct_der(|out| {
            out.write_sequence(|out| {
                out.next().write_der(&signed_part);
                write_signature_algorithm(out.next());
                write_bits(out.next(), &signature);
            });
        });
        Ok(Certificate::parse_der(&der)?)
    }

    /// RFC 5280, section 4.1: `TBSCertificate`.
    fn signed_part(
        &self,
        key: &PublicKey,
        subject: Subject<'_>,
        validity: Validity,
    ) -> Result<Vec<u8>, IssueError> {
        let validity = validity_der(validity)?;
        let authority = &self.signer.certificate;
        Ok(construct_der(|out| {
            out.write_sequence(|out| {
                out.next()
                    .write_tagged(Tag::context(0), |out| out.write_u8(2)); // version 3
                out.next().write_bigint_bytes(&random_serial(), true);
                write_signature_algorithm(out.next());
                out.next().write_der(authority.subject().der());
                out.next().write_der(&validity);
                match subject {
                    Subject::Fixed => write_common_name(out.next(), DEVICE_COMMON_NAME),
                    Subject::Requested(name) => out.next().write_der(name.der()),
                }
                out.next().write_der(key.der());
                out.next().write_tagged(Tag::context(3), |out| {
                    out.write_sequence(|out| write_extensions(out, key, authority));
                });
            });
        }))
    }
}

fn write_signature_algorithm(out: DERWriter<'_>) {
    out.write_sequence(|out| {
        out.next()
            .write_oid(&ObjectIdentifier::from_slice(ECDSA_WITH_SHA256))
    });
}

fn write_bits(out: DERWriter<'_>, bytes: &[u8]) {
    out.write_bitvec_bytes(bytes, bytes.len().saturating_mul(8));
}

fn write_common_name(out: DERWriter<'_>, name: &str) {
    out.write_sequence(|out| {
        out.next().write_set(|out| {
            out.next().write_sequence(|out| {
                out.next().write_oid(&ObjectIdentifier::from_slice(CN));
                out.next().write_utf8_string(name);
            });
        });
    });
}

fn validity_der(validity: Validity) -> Result<Vec<u8>, IssueError> {
    let times = [validity.not_before, validity.not_after];
    let moments = [moment(validity.not_before)?, moment(validity.not_after)?];
    Ok(construct_der(|out| {
        out.write_sequence(|out| {
            for (at, moment) in times.into_iter().zip(moments) {
                if at < FOUR_DIGIT_YEARS {
                    out.next().write_utctime(&UTCTime::from_datetime(moment));
                } else {
                    let time = GeneralizedTime::from_datetime(moment);
                    out.next().write_generalized_time(&time);
                }
            }
        });
    }))
}

fn write_extensions(out: &mut DERWriterSeq<'_>, key: &PublicKey, authority: &Certificate) {
    if let Some(id) = authority.subject_key_id() {
        write_extension(out.next(), AUTHORITY_KEY_ID, false, |out| {
            out.write_sequence(|out| {
                out.next()
                    .write_tagged_implicit(Tag::context(0), |out| out.write_bytes(id));
            });
        });
    }
    // RFC 7093, method 1: the first 160 bits of the key's SHA-256.
    let id = key
        .digest()
        .first_chunk::<20>()
        .copied()
        .unwrap_or_default();
    write_extension(out.next(), SUBJECT_KEY_ID, false, |out| {
        out.write_bytes(&id)
    });
    // An empty SEQUENCE: cA is FALSE by default.
    write_extension(out.next(), BASIC_CONSTRAINTS, true, |out| {
        out.write_sequence(|_| ())
    });
    // digitalSignature is bit 0.
    write_extension(out.next(), KEY_USAGE, true, |out| {
        out.write_bitvec_bytes(&[0x80], 1)
    });
    write_extension(out.next(), EXT_KEY_USAGE, false, |out| {
        out.write_sequence(|out| {
            out.next()
                .write_oid(&ObjectIdentifier::from_slice(CLIENT_AUTH))
        });
    });
}

fn write_extension(
    out: DERWriter<'_>,
    oid: &[u64],
    critical: bool,
    value: impl FnOnce(DERWriter<'_>),
) {
    out.write_sequence(|out| {
        out.next().write_oid(&ObjectIdentifier::from_slice(oid));
        if critical {
            out.next().write_bool(true);
        }
        out.next().write_bytes(&construct_der(value));
    });
}
