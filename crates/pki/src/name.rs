//! Distinguished names and alternative names, as policies see them.
//!
//! The attributes and kinds are those that AWS IoT offers as policy variables, spelled as the
//! variables spell them. A name keeps its DER beside its values: issuing copies the bytes,
//! comparing compares the bytes.
//!
//! Sources: contract core 7.4; AWS IoT Developer Guide, "Using X.509 certificate policy
//! variables"; RFC 4519 and RFC 4514 for the text form.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use x509_parser::asn1_rs::{Any, Class, Oid, Tag};
use x509_parser::extensions::GeneralName;
use x509_parser::x509::X509Name;

use crate::der::is_whole;

/// How many values of one attribute a policy sees; further ones are ignored.
// spec aws-iot [PL-32]: at most five values per attribute.
pub(crate) const VALUES_MAX: usize = 5;

/// Longest text of a name in a message, in characters.
const EXCERPT_CHARS_MAX: usize = 200;

/// An attribute of a distinguished name that policies can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are X.520's own")]
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
    /// All thirteen, in the order of the contract.
    pub const ALL: [Self; 13] = [
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

    /// The last part of the policy variable, such as `CommonName`.
    pub const fn as_str(self) -> &'static str {
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

    fn from_oid(oid: &Oid<'_>) -> Option<Self> {
        // All thirteen lie directly under 2.5.4 (X.520 attribute types).
        let [0x55, 0x04, arc] = oid.as_bytes() else {
            return None;
        };
        Some(match arc {
            3 => Self::CommonName,
            4 => Self::Surname,
            5 => Self::SerialNumber,
            6 => Self::Country,
            8 => Self::State,
            10 => Self::Organization,
            11 => Self::OrganizationalUnit,
            12 => Self::Title,
            42 => Self::GivenName,
            43 => Self::Initials,
            44 => Self::GenerationQualifier,
            46 => Self::DistinguishedNameQualifier,
            65 => Self::Pseudonym,
            _ => return None,
        })
    }
}

/// A kind of alternative name that policies can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlternativeName {
    /// A mail address.
    Rfc822Name,
    /// A host name.
    DnsName,
    /// A distinguished name, in the text form of [`Name`].
    DirectoryName,
    /// A URI.
    UniformResourceIdentifier,
    /// An IPv4 or IPv6 address in its usual text form.
    IpAddress,
}

impl AlternativeName {
    /// The last part of the policy variable, such as `RFC822Name`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rfc822Name => "RFC822Name",
            Self::DnsName => "DNSName",
            Self::DirectoryName => "DirectoryName",
            Self::UniformResourceIdentifier => "UniformResourceIdentifier",
            Self::IpAddress => "IPAddress",
        }
    }

    /// Kind and text of `name`: `Ok(None)` for a kind no policy asks for, an error when it is
    /// not what its tag says.
    pub(crate) fn read(name: &GeneralName<'_>) -> Result<Option<(Self, String)>, NotAName> {
        Ok(Some(match name {
            GeneralName::RFC822Name(text) => (Self::Rfc822Name, (*text).to_owned()),
            GeneralName::DNSName(text) => (Self::DnsName, (*text).to_owned()),
            GeneralName::URI(text) => (Self::UniformResourceIdentifier, (*text).to_owned()),
            GeneralName::DirectoryName(name) => (
                Self::DirectoryName,
                Name::read(name).ok_or(NotAName)?.to_string(),
            ),
            GeneralName::IPAddress(bytes) => (Self::IpAddress, ip_text(bytes).ok_or(NotAName)?),
            GeneralName::Invalid(..) => return Err(NotAName),
            GeneralName::OtherName(..)
            | GeneralName::X400Address(_)
            | GeneralName::EDIPartyName(_)
            | GeneralName::RegisteredID(_) => return Ok(None),
        }))
    }
}

/// A general name whose bytes are not what its tag says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAName;

fn ip_text(bytes: &[u8]) -> Option<String> {
    if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(octets).to_string());
    }
    let octets = <[u8; 16]>::try_from(bytes).ok()?;
    Some(Ipv6Addr::from(octets).to_string())
}

/// A distinguished name. Its text form is that of RFC 4519: `cn=pump-7,ou=Line 2,o=Plant,c=DE`,
/// most specific part first.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name {
    der: Box<[u8]>,
    text: Box<str>,
    values: Vec<(NameAttribute, Vec<String>)>,
}

impl Name {
    /// `None` when a value is not text of the kind its tag says or bytes are left over.
    pub(crate) fn read(name: &X509Name<'_>) -> Option<Self> {
        if !is_whole(name.as_raw()) {
            return None;
        }
        let mut values: Vec<(NameAttribute, Vec<String>)> = Vec::new();
        let mut parts = Vec::new();
        for part in name.iter() {
            let mut pairs = Vec::new();
            for pair in part.iter() {
                let value = value_text(pair.attr_value())?;
                pairs.push(format!("{}={}", keyword(pair.attr_type()), escaped(&value)));
                if let Some(attribute) = NameAttribute::from_oid(pair.attr_type()) {
                    push_value(&mut values, attribute, value);
                }
            }
            parts.push(pairs.join("+"));
        }
        parts.reverse();
        Some(Self {
            der: name.as_raw().into(),
            text: parts.join(",").into(),
            values,
        })
    }

    /// The name in DER, byte for byte as it was found.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The text form for a message, cut after 200 characters: a name may be as
    /// long as a certificate.
    pub fn excerpt(&self) -> String {
        let mut text: String = self.text.chars().take(EXCERPT_CHARS_MAX).collect();
        if text.len() < self.text.len() {
            text.push('…');
        }
        text
    }

    /// What policies see: each attribute present, with its first five values in order, unescaped.
    pub fn values(&self) -> &[(NameAttribute, Vec<String>)] {
        &self.values
    }

    /// The values of one attribute, in order; empty when it is absent.
    pub fn values_of(&self, attribute: NameAttribute) -> &[String] {
        let found = self.values.iter().find(|(name, _)| *name == attribute);
        found.map_or(&[], |(_, values)| values.as_slice())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Name({:?})", self.text)
    }
}

/// Adds `value` under `key`, which keeps at most [`VALUES_MAX`].
pub(crate) fn push_value<K: PartialEq>(all: &mut Vec<(K, Vec<String>)>, key: K, value: String) {
    match all.iter_mut().find(|(found, _)| *found == key) {
        Some((_, values)) if values.len() < VALUES_MAX => values.push(value),
        Some(_) => (),
        None => all.push((key, vec![value])),
    }
}

/// The keyword of RFC 4519, or the dotted identifier of a type that has none there.
fn keyword(oid: &Oid<'_>) -> String {
    let known = match oid.as_bytes() {
        [0x55, 0x04, arc] => match arc {
            3 => "cn",
            4 => "sn",
            5 => "serialNumber",
            6 => "c",
            7 => "l",
            8 => "st",
            9 => "street",
            10 => "o",
            11 => "ou",
            12 => "title",
            42 => "givenName",
            43 => "initials",
            44 => "generationQualifier",
            46 => "dnQualifier",
            _ => "",
        },
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01] => "uid",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19] => "dc",
        _ => "",
    };
    if known.is_empty() {
        oid.to_id_string()
    } else {
        known.to_owned()
    }
}

/// RFC 4514, section 2.4: what would read as punctuation gets a backslash, and control characters
/// are written in hexadecimal, so that a name breaks no line of a log.
fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut text = String::with_capacity(value.len());
    for (at, letter) in value.chars().enumerate() {
        if letter.is_control() {
            for byte in letter.encode_utf8(&mut [0; 4]).bytes() {
                text.push_str(&format!("\\{byte:02X}"));
            }
            continue;
        }
        let special = matches!(letter, ',' | '"' | '\\' | '+' | '=' | '<' | '>' | ';')
            || (letter == '#' && at == 0)
            || (letter == ' ' && (at == 0 || at == last));
        if special {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

/// The text of an attribute value; of one that is no string, `#` and its contents in hexadecimal.
fn value_text(value: &Any<'_>) -> Option<String> {
    // Of another class the tag's number would name another kind.
    if value.class() != Class::Universal {
        return None;
    }
    let bytes = value.data;
    match value.tag() {
        Tag::Utf8String
        | Tag::PrintableString
        | Tag::Ia5String
        | Tag::NumericString
        | Tag::VisibleString => std::str::from_utf8(bytes).ok().map(str::to_owned),
        // In practice Latin-1, whatever T.61 once meant.
        Tag::T61String => Some(bytes.iter().copied().map(char::from).collect()),
        Tag::BmpString => {
            let (units, rest) = bytes.as_chunks::<2>();
            let units = units.iter().map(|unit| u16::from_be_bytes(*unit));
            let text = char::decode_utf16(units)
                .collect::<Result<String, _>>()
                .ok()?;
            rest.is_empty().then_some(text)
        }
        Tag::UniversalString => {
            let (units, rest) = bytes.as_chunks::<4>();
            let letters = units
                .iter()
                .map(|unit| char::from_u32(u32::from_be_bytes(*unit)));
            let text = letters.collect::<Option<String>>()?;
            rest.is_empty().then_some(text)
        }
        _ => Some(bytes.iter().fold(String::from("#"), |text, byte| {
            text + &format!("{byte:02x}")
        })),
    }
}

#[cfg(test)]
mod tests;
