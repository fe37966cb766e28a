//! The names of policy variables and condition keys.
//!
//! A name is understood once, when the document is parsed, so that filling a
//! pattern for a session is a match over an enum. Names are compared without
//! regard to case, as in IAM; only the attribute in `Attributes[...]` is exact.
//!
//! Source: docs/contract/core.md 7.4 and 7.5.

use crate::facts::{AlternativeName, NameAttribute};

/// A variable's or condition key's name, as written and as understood.
#[derive(Debug, Clone)]
pub struct Name {
    text: Box<str>,
    pub(crate) key: Key,
}

/// Two names are one if they name the same thing, however they are written.
impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Name {}

/// What a name stands for in a device's session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    ClientId,
    SourceIp,
    CertificateId,
    CertificateSerial,
    CertificateAvailableKeys,
    Certificate {
        side: Side,
        field: Field,
        which: Which,
    },
    ThingName,
    ThingTypeName,
    ThingAttribute(Box<str>),
    ThingIsAttached,
    ThingGroupArn,
    ConnectAttributes,
    LastWillTopic,
    DomainName,
    SecureTransport,
    /// The topic of a direct message; known per request.
    Topic,
    /// Known per request.
    CurrentTime,
    /// Known per request.
    EpochTime,
    /// Has no meaning for devices; identity policies look it up by its text,
    /// here in lower case.
    Other(Box<str>),
}

/// Whose distinguished name a certificate variable reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Subject,
    Issuer,
}

/// Which field of a certificate's subject or issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Attribute(NameAttribute),
    Alternative(AlternativeName),
}

/// Which of a field's values.
// core.md 7.4: no index is the first value, `.1` the second, `.List` all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// Counted from zero.
    Nth(usize),
    All,
}

impl Name {
    pub(crate) fn parse(text: &str) -> Self {
        Self {
            text: text.into(),
            key: Key::parse(text),
        }
    }

    /// The name as the policy writes it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the value belongs to a request rather than to a session.
    pub(crate) fn is_per_request(&self) -> bool {
        matches!(self.key, Key::Topic | Key::CurrentTime | Key::EpochTime)
    }

    /// Whether the value is the time.
    pub fn is_time(&self) -> bool {
        matches!(self.key, Key::CurrentTime | Key::EpochTime)
    }
}

impl Key {
    fn parse(text: &str) -> Self {
        let lower = text.to_ascii_lowercase();
        match lower.as_str() {
            "iot:clientid" => Self::ClientId,
            "aws:sourceip" => Self::SourceIp,
            "iot:certificateid" => Self::CertificateId,
            "iot:certificate.serialnumber" => Self::CertificateSerial,
            "iot:certificate.availablekeys" => Self::CertificateAvailableKeys,
            // Some AWS examples use the short form.
            "iot:connection.thing.thingname" | "iot:thing.thingname" => Self::ThingName,
            "iot:connection.thing.thingtypename" => Self::ThingTypeName,
            "iot:connection.thing.isattached" => Self::ThingIsAttached,
            "iot:thinggrouparn" => Self::ThingGroupArn,
            "iot:connectattributes" => Self::ConnectAttributes,
            "iot:lastwilltopic" => Self::LastWillTopic,
            "iot:domainname" => Self::DomainName,
            "aws:securetransport" => Self::SecureTransport,
            "iot:topic" => Self::Topic,
            "aws:currenttime" => Self::CurrentTime,
            "aws:epochtime" => Self::EpochTime,
            _ => Self::attribute(text)
                .or_else(|| Self::certificate(&lower))
                .unwrap_or_else(|| Self::Other(lower.into())),
        }
    }

    /// `iot:Connection.Thing.Attributes[name]`, the name as written.
    fn attribute(text: &str) -> Option<Self> {
        let (head, tail) = text.split_once('[')?;
        let name = tail.strip_suffix(']')?;
        head.eq_ignore_ascii_case("iot:Connection.Thing.Attributes")
            .then(|| Self::ThingAttribute(name.into()))
    }

    /// `iot:certificate.{subject|issuer}.[alternativename.]{field}[.n|.list]`.
    fn certificate(lower: &str) -> Option<Self> {
        let rest = lower.strip_prefix("iot:certificate.")?;
        let (side, rest) = match rest.split_once('.')? {
            ("subject", rest) => (Side::Subject, rest),
            ("issuer", rest) => (Side::Issuer, rest),
            _ => return None,
        };
        let (alternative, rest) = match rest.strip_prefix("alternativename.") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let (field, which) = match rest.split_once('.') {
            None => (rest, Which::Nth(0)),
            Some((field, "list")) => (field, Which::All),
            Some((field, "1")) => (field, Which::Nth(1)),
            Some((field, "2")) => (field, Which::Nth(2)),
            Some((field, "3")) => (field, Which::Nth(3)),
            Some((field, "4")) => (field, Which::Nth(4)),
            Some(_) => return None,
        };
        let field = if alternative {
            let found = AlternativeName::ALL
                .iter()
                .find(|a| a.name().eq_ignore_ascii_case(field));
            Field::Alternative(*found?)
        } else {
            let found = NameAttribute::ALL
                .iter()
                .find(|a| a.name().eq_ignore_ascii_case(field));
            Field::Attribute(*found?)
        };
        Some(Self::Certificate { side, field, which })
    }
}
