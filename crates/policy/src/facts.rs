//! What a device's verdict rests on, as plain data.
//!
//! The registry capability fills [`Facts`] from its tables, the broker fills
//! [`Connection`] from the handshake and CONNECT. Nothing here is looked up
//! later: when a fact changes, a new [`Authorizer`](crate::Authorizer) is built.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::document::Document;

/// One version of a policy with its name.
#[derive(Debug, Clone)]
pub struct NamedPolicy {
    /// The policy's name.
    pub name: Arc<str>,
    /// The policy's ARN, without a version.
    pub arn: Arc<str>,
    /// The version's id, a decimal number for IoT policies.
    pub version: Arc<str>,
    /// The document, parsed.
    pub document: Arc<Document>,
    /// The document as it was stored.
    pub text: Arc<str>,
}

/// What the registry knows about a principal.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The certificate, when the principal is one.
    pub certificate: Option<CertificateFacts>,
    /// Every thing attached to the principal.
    pub things: Vec<ThingFacts>,
    /// The policies attached to the principal.
    pub policies: Vec<NamedPolicy>,
}

/// What a certificate says about its holder.
#[derive(Debug, Clone, Default)]
pub struct CertificateFacts {
    /// The certificate id: 64 hexadecimal digits.
    pub id: String,
    /// The serial number as the registry renders it.
    pub serial: String,
    /// The subject's attributes, each with its values in certificate order.
    pub subject: Vec<(NameAttribute, Vec<String>)>,
    /// The issuer's attributes.
    pub issuer: Vec<(NameAttribute, Vec<String>)>,
    /// The subject's alternative names.
    pub subject_alternative: Vec<(AlternativeName, Vec<String>)>,
    /// The issuer's alternative names.
    pub issuer_alternative: Vec<(AlternativeName, Vec<String>)>,
}

/// An attribute of a distinguished name that policies can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the variants are the attributes' own names in X.520"
)]
pub enum NameAttribute {
    DistinguishedNameQualifier,
    Country,
    Organization,
    OrganizationalUnit,
    State,
    CommonName,
    SerialNumber,
    Title,
    Surname,
    GivenName,
    Initials,
    Pseudonym,
    GenerationQualifier,
}

impl NameAttribute {
    pub(crate) const ALL: [Self; 13] = [
        Self::DistinguishedNameQualifier,
        Self::Country,
        Self::Organization,
        Self::OrganizationalUnit,
        Self::State,
        Self::CommonName,
        Self::SerialNumber,
        Self::Title,
        Self::Surname,
        Self::GivenName,
        Self::Initials,
        Self::Pseudonym,
        Self::GenerationQualifier,
    ];

    /// As it stands in a variable's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::DistinguishedNameQualifier => "DistinguishedNameQualifier",
            Self::Country => "Country",
            Self::Organization => "Organization",
            Self::OrganizationalUnit => "OrganizationalUnit",
            Self::State => "State",
            Self::CommonName => "CommonName",
            Self::SerialNumber => "SerialNumber",
            Self::Title => "Title",
            Self::Surname => "Surname",
            Self::GivenName => "GivenName",
            Self::Initials => "Initials",
            Self::Pseudonym => "Pseudonym",
            Self::GenerationQualifier => "GenerationQualifier",
        }
    }
}

/// A kind of alternative name that policies can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the variants are the name forms of RFC 5280, 4.2.1.6"
)]
pub enum AlternativeName {
    Rfc822Name,
    DnsName,
    DirectoryName,
    UniformResourceIdentifier,
    IpAddress,
}

impl AlternativeName {
    pub(crate) const ALL: [Self; 5] = [
        Self::Rfc822Name,
        Self::DnsName,
        Self::DirectoryName,
        Self::UniformResourceIdentifier,
        Self::IpAddress,
    ];

    /// As it stands in a variable's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rfc822Name => "RFC822Name",
            Self::DnsName => "DNSName",
            Self::DirectoryName => "DirectoryName",
            Self::UniformResourceIdentifier => "UniformResourceIdentifier",
            Self::IpAddress => "IPAddress",
        }
    }
}

/// A thing attached to the principal.
#[derive(Debug, Clone, Default)]
pub struct ThingFacts {
    /// The thing's name.
    pub name: String,
    /// The name of its type, when it has one.
    pub thing_type: Option<String>,
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
    /// Whether the attachment is exclusive: the principal is this thing,
    /// whatever client id it uses.
    pub exclusive: bool,
    /// The static groups it is in, and all ancestors of those.
    pub groups: Vec<GroupFacts>,
}

/// A thing group with the policies attached to it.
#[derive(Debug, Clone, Default)]
pub struct GroupFacts {
    /// The group's name.
    pub name: String,
    /// The group's ARN.
    pub arn: String,
    /// The policies attached to the group.
    pub policies: Vec<NamedPolicy>,
}

/// Where resources live; the part of an ARN before the kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
    /// For example `eu-central-1`.
    pub region: String,
    /// Twelve digits.
    pub account: String,
}

impl Scope {
    /// `arn:{partition}:iot:{region}:{account}:`.
    pub(crate) fn arn_prefix(&self) -> String {
        let Self {
            partition,
            region,
            account,
        } = self;
        format!("arn:{partition}:iot:{region}:{account}:")
    }
}

/// What the handshake and CONNECT said.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The MQTT client id; `None` for HTTPS, which has none.
    pub client_id: Option<String>,
    /// The peer's address.
    pub source_ip: IpAddr,
    /// MQTT 3.1.1 clean session 0; MQTT 5 clean start 0 or a session expiry above 0.
    pub persistent: bool,
    /// The will's topic, when there is a will.
    pub last_will_topic: Option<String>,
    /// Whether CONNECT carried a will.
    pub has_will: bool,
    /// The server name the client asked for.
    pub domain_name: Option<String>,
    /// Whether the connection is encrypted.
    pub secure_transport: bool,
}

/// Where to be safer than AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hardening {
    /// A Deny with an undefined variable matches whatever the value could have
    /// been; an Allow that excludes one excludes as much.
    // spec aws-iot [PL-30]
    pub deny_on_undefined: bool,
    /// Deny statements of the groups of every attached thing apply, whatever
    /// client id the principal chose.
    // spec aws-iot [PL-50]
    pub group_denies_of_all_things: bool,
    /// CONNECT with `+`, `#`, `*` or `?` in the client id is refused.
    // core.md 7.7 row 37
    pub refuse_wildcard_ids: bool,
}

impl Hardening {
    /// The default profile: closed wherever AWS is open.
    pub fn standard() -> Self {
        Self {
            deny_on_undefined: true,
            group_denies_of_all_things: true,
            refuse_wildcard_ids: true,
        }
    }

    /// What AWS does, for rehearsal.
    pub fn aws() -> Self {
        Self {
            deny_on_undefined: false,
            group_denies_of_all_things: false,
            refuse_wildcard_ids: false,
        }
    }
}
