//! The authority that this installation's own server certificates come from.
//!
//! Its certificate carries critical name constraints: this host's DNS names and addresses, and
//! loopback. Whoever steals its key can pose as this host and as no other, so an operator may
//! put it into a trust store without opening every other site to Palisade.
//!
//! A permitted DNS name permits the names below it as well (RFC 5280, section 4.2.1.10); there is
//! no way to say otherwise in X.509. A host that gets a new name needs a new authority.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use rcgen::{
    CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, Issuer, KeyUsagePurpose, NameConstraints, SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, DnsName, ServerName, UnixTime};
use webpki::{EndEntityCert, KeyUsage};
use zeroize::Zeroizing;

use super::{IssueError, Signer, Validity, authority_params, key_pair, moment, random_serial};
use crate::certificate::Certificate;
use crate::key::{KeyKind, PrivateKey, generate_key};

/// Most names of one server.
pub const NAMES_MAX: usize = 64;

const SERVER_COMMON_NAME: &str = "Palisade server";

/// A name that a server answers to: a DNS name without wildcard, or an IP address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SanName {
    /// A DNS name, in lower case.
    Dns(DnsName<'static>),
    /// An address.
    Ip(IpAddr),
}

/// A text that is neither a DNS name nor an IP address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is neither a DNS name nor an IP address")]
pub struct SanNameError {
    text: String,
}

impl SanName {
    /// Reads `10.0.0.1`, `::1` or `iot.example.com`; DNS names at most 253 bytes.
    ///
    /// # Errors
    /// [`SanNameError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, SanNameError> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Ip(address));
        }
        match DnsName::try_from(text) {
            Ok(name) if !text.ends_with('.') => Ok(Self::Dns(name.to_lowercase_owned())),
            _ => Err(SanNameError {
                text: text.chars().take(80).collect(),
            }),
        }
    }

    pub(crate) fn server_name(&self) -> ServerName<'_> {
        match self {
            Self::Dns(name) => ServerName::DnsName(name.borrow()),
            Self::Ip(address) => ServerName::IpAddress((*address).into()),
        }
    }

    fn alternative_name(&self) -> Result<SanType, IssueError> {
        Ok(match self {
            Self::Dns(name) => SanType::DnsName(name.as_ref().try_into()?),
            Self::Ip(address) => SanType::IpAddress(*address),
        })
    }

    fn constraint(&self) -> GeneralSubtree {
        match self {
            Self::Dns(name) => GeneralSubtree::DnsName(name.as_ref().to_owned()),
            Self::Ip(address @ IpAddr::V4(_)) => {
                GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(*address, 32))
            }
            Self::Ip(address @ IpAddr::V6(_)) => {
                GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(*address, 128))
            }
        }
    }
}

impl fmt::Display for SanName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => out.write_str(name.as_ref()),
            Self::Ip(address) => address.fmt(out),
        }
    }
}

/// A server's certificate and the key that was made for it.
#[derive(Debug)]
pub struct IssuedServer {
    /// The certificate; clients need no other below the authority.
    pub certificate: Certificate,
    /// Its key, ECDSA on P-256.
    pub key: PrivateKey,
}

/// Issues server certificates for the names it was made for, and loopback.
#[derive(Debug)]
pub struct ServerAuthority {
    signer: Signer,
}

impl ServerAuthority {
    /// A new authority `CN=Palisade Server CA {label}` with a new P-256 key, constrained to
    /// `names` and loopback (`localhost`, 127.0.0.0/8, ::1).
    ///
    /// # Errors
    /// [`IssueError::NameCount`], [`IssueError::Label`] or [`IssueError::Validity`].
    pub fn create(label: &str, names: &[SanName], validity: Validity) -> Result<Self, IssueError> {
        if NAMES_MAX < names.len() {
            return Err(IssueError::NameCount { count: names.len() });
        }
        let mut params = authority_params("Server", label, ExtendedKeyUsagePurpose::ServerAuth)?;
        let mut permitted_subtrees = loopback();
        for constraint in names.iter().map(SanName::constraint) {
            if !permitted_subtrees.contains(&constraint) {
                permitted_subtrees.push(constraint);
            }
        }
        let excluded_subtrees = Vec::new();
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees,
            excluded_subtrees,
        });
        Ok(Self {
            signer: Signer::create(params, validity)?,
        })
    }

    /// Loads what [`ServerAuthority::certificate`] and [`ServerAuthority::private_key_pkcs8`] gave.
    ///
    /// # Errors
    /// [`IssueError::WrongAuthority`] for another kind of certificate, [`IssueError::WrongKey`]
    /// when the two do not belong together.
    pub fn load(certificate_pem: &str, pkcs8: &[u8]) -> Result<Self, IssueError> {
        let certificate = Certificate::parse_pem(certificate_pem)?;
        if !certificate.is_ca() || !certificate.names_server_auth() {
            return Err(IssueError::WrongAuthority { purpose: "server" });
        }
        Ok(Self {
            signer: Signer::load(certificate, pkcs8)?,
        })
    }

    /// The authority's own certificate: what clients are given to trust.
    pub fn certificate(&self) -> &Certificate {
        &self.signer.certificate
    }

    /// The authority's key in PKCS #8 DER, for the caller to seal.
    pub fn private_key_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        self.signer.pkcs8()
    }

    /// A certificate for a server that answers to `names`, with a new key.
    ///
    /// # Errors
    /// [`IssueError::NamesNotPermitted`] when a client would refuse it for this authority's
    /// constraints; [`IssueError::NameCount`]; [`IssueError::OutlivesAuthority`].
    pub fn issue_server(
        &self,
        names: &[SanName],
        validity: Validity,
    ) -> Result<IssuedServer, IssueError> {
        if names.is_empty() || NAMES_MAX < names.len() {
            return Err(IssueError::NameCount { count: names.len() });
        }
        let validity = validity.within(&self.signer.certificate)?;
        let key = generate_key(KeyKind::EcdsaP256)?;
        let params = server_params(names, validity)?;
        let authority = self.signer.certificate.der();
        let issuer = Issuer::from_ca_cert_der(authority, &self.signer.key)?;
        let made = params.signed_by(&key_pair(key.pkcs8())?, &issuer)?;
        if !accepted_by_clients(made.der(), authority, validity) {
            let names: Vec<String> = names.iter().map(SanName::to_string).collect();
            return Err(IssueError::NamesNotPermitted {
                names: names.join(", "),
            });
        }
        Ok(IssuedServer {
            certificate: Certificate::parse_der(made.der())?,
            key,
        })
    }
}

fn loopback() -> Vec<GeneralSubtree> {
    let v4 = CidrSubnet::from_addr_prefix(Ipv4Addr::new(127, 0, 0, 0).into(), 8);
    let v6 = CidrSubnet::from_addr_prefix(Ipv6Addr::LOCALHOST.into(), 128);
    vec![
        GeneralSubtree::DnsName("localhost".to_owned()),
        GeneralSubtree::IpAddress(v4),
        GeneralSubtree::IpAddress(v6),
    ]
}

fn server_params(names: &[SanName], validity: Validity) -> Result<CertificateParams, IssueError> {
    let mut params = CertificateParams::default();
    params.not_before = moment(validity.not_before)?;
    params.not_after = moment(validity.not_after)?;
    params.serial_number = Some(SerialNumber::from_slice(&random_serial()));
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, SERVER_COMMON_NAME);
    params.subject_alt_names = names
        .iter()
        .map(SanName::alternative_name)
        .collect::<Result<_, _>>()?;
    params.is_ca = rcgen::IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// Asks the verifier that our own clients use, so that nothing is handed out that they refuse.
fn accepted_by_clients(
    server: &CertificateDer<'_>,
    authority: &CertificateDer<'_>,
    validity: Validity,
) -> bool {
    let seconds = u64::try_from(validity.not_before.seconds()).unwrap_or(0);
    let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let Ok(anchor) = webpki::anchor_from_trusted_cert(authority) else {
        return false;
    };
    EndEntityCert::try_from(server).is_ok_and(|server| {
        let usage = KeyUsage::server_auth();
        let known = webpki::ALL_VERIFICATION_ALGS;
        server
            .verify_for_usage(known, &[anchor], &[], at, usage, None, None)
            .is_ok()
    })
}
