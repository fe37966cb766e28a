//! The values of variables and condition keys for one device's session.
//!
//! Source: docs/contract/core.md 7.4 and 7.5.

use std::borrow::Cow;
use std::sync::Arc;

use crate::condition::Operand;
use crate::evaluate::Context;
use crate::facts::{CertificateFacts, Connection, Facts, Scope, ThingFacts};
use crate::name::{Field, Key, Name, Side, Which};
use crate::request::{Kind, Request, Resource};

/// Values seen of one certificate attribute.
// spec aws-iot [PL-32]
const ATTRIBUTE_VALUES_MAX: usize = 5;

/// Characters of a certificate value that is still substituted.
// spec aws-iot [PL-32]
const SUBSTITUTED_CHARS_MAX: usize = 1_024;

/// Everything that stays the same while a session lives.
#[derive(Debug)]
pub(crate) struct Session {
    facts: Arc<Facts>,
    connection: Connection,
    /// How the connection's thing is found.
    naming: Naming,
    last_will_arn: Option<String>,
}

/// What names the connection's thing.
#[derive(Debug)]
enum Naming {
    /// MQTT: the client id, or an exclusive attachment.
    ClientId,
    /// A request that names the thing itself, such as `x-amzn-iot-thingname`.
    Named(String),
    /// HTTPS without a thing's name.
    Nothing,
}

impl Session {
    pub(crate) fn new(
        facts: Arc<Facts>,
        connection: &Connection,
        scope: &Scope,
        thing: Option<&str>,
    ) -> Self {
        let naming = match (thing, &connection.client_id) {
            (Some(name), _) => Naming::Named(name.to_owned()),
            (None, Some(_)) => Naming::ClientId,
            (None, None) => Naming::Nothing,
        };
        let last_will_arn = connection
            .last_will_topic
            .as_ref()
            .map(|topic| format!("{}{}{topic}", scope.arn_prefix(), Kind::Topic.arn_part()));
        Self {
            facts,
            connection: connection.clone(),
            naming,
            last_will_arn,
        }
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn client_id(&self) -> Option<&str> {
        self.connection.client_id.as_deref()
    }

    /// The thing this connection is.
    // spec aws-iot [RG-52]: the exclusively attached one, whatever the client
    // id; else the attached one that the client id names.
    pub(crate) fn thing(&self) -> Option<&ThingFacts> {
        let things = &self.facts.things;
        let named = |name: &str| things.iter().find(|thing| thing.name == name);
        match &self.naming {
            Naming::ClientId => {
                let exclusive = things.iter().find(|thing| thing.exclusive);
                exclusive.or_else(|| self.client_id().and_then(named))
            }
            Naming::Named(name) => named(name),
            Naming::Nothing => None,
        }
    }

    /// Everything a certificate field holds, bounded, unescaped.
    fn field(certificate: &CertificateFacts, side: Side, field: Field) -> Vec<&str> {
        fn values<'c, K: PartialEq>(of: &'c [(K, Vec<String>)], wanted: &K) -> Vec<&'c str> {
            let found = of.iter().filter(|(kind, _)| kind == wanted);
            let texts = found.flat_map(|(_, values)| values.iter().map(String::as_str));
            // spec aws-iot [PL-32]: at most five values are seen.
            texts.take(ATTRIBUTE_VALUES_MAX).collect()
        }
        match (side, field) {
            (Side::Subject, Field::Attribute(name)) => values(&certificate.subject, &name),
            (Side::Issuer, Field::Attribute(name)) => values(&certificate.issuer, &name),
            (Side::Subject, Field::Alternative(name)) => {
                values(&certificate.subject_alternative, &name)
            }
            (Side::Issuer, Field::Alternative(name)) => {
                values(&certificate.issuer_alternative, &name)
            }
        }
    }

    /// The names of all certificate variables that have a value.
    fn available_keys(certificate: &CertificateFacts) -> Vec<String> {
        let mut keys = vec!["iot:Certificate.SerialNumber".to_owned()];
        for (side, side_name) in [(Side::Subject, "Subject"), (Side::Issuer, "Issuer")] {
            let attributes = crate::NameAttribute::ALL
                .map(|name| (Field::Attribute(name), name.name().to_owned()));
            let alternatives = crate::AlternativeName::ALL.map(|name| {
                (
                    Field::Alternative(name),
                    format!("AlternativeName.{}", name.name()),
                )
            });
            for (field, field_name) in attributes.into_iter().chain(alternatives) {
                let count = Self::field(certificate, side, field).len();
                let base = format!("iot:Certificate.{side_name}.{field_name}");
                if 0 < count {
                    keys.extend([base.clone(), format!("{base}.List")]);
                }
                keys.extend((1..count).map(|index| format!("{base}.{index}")));
            }
        }
        keys
    }

    fn connect_attributes(&self) -> Vec<Operand<'_>> {
        // spec aws-iot [PL-42]
        // spec aws-iot [PL-44]
        let Connection {
            persistent,
            has_will,
            ..
        } = self.connection;
        let present = [(persistent, "PersistentConnect"), (has_will, "LastWill")];
        let names = present.into_iter().filter(|(there, _)| *there);
        names.map(|(_, name)| Operand::Text(name.into())).collect()
    }
}

impl Context for Session {
    fn operands(&self, name: &Name) -> Option<Vec<Operand<'_>>> {
        let certificate = self.facts.certificate.as_ref();
        match &name.key {
            Key::Certificate { side, field, which } => {
                let values = Self::field(certificate?, *side, *field);
                let seen = match which {
                    Which::All => values.as_slice(),
                    Which::Nth(n) => values.get(*n).map(std::slice::from_ref)?,
                };
                let operands = seen.iter().map(|value| Operand::Text(escaped(value)));
                Some(operands.collect()).filter(|_| !seen.is_empty())
            }
            Key::CertificateAvailableKeys => {
                let keys = Self::available_keys(certificate?);
                Some(
                    keys.into_iter()
                        .map(|key| Operand::Text(key.into()))
                        .collect(),
                )
            }
            Key::ThingGroupArn => {
                let groups = self.thing()?.groups.iter();
                Some(
                    groups
                        .map(|group| Operand::Text(group.arn.as_str().into()))
                        .collect(),
                )
            }
            // Only an MQTT connection has these; an empty set is not a missing one.
            Key::ConnectAttributes => self.client_id().map(|_| self.connect_attributes()),
            _ => self.text(name).map(|text| vec![Operand::Text(text)]),
        }
    }

    fn text(&self, name: &Name) -> Option<Cow<'_, str>> {
        let certificate = self.facts.certificate.as_ref();
        let connection = &self.connection;
        match &name.key {
            Key::ClientId => self.client_id().map(Cow::Borrowed),
            // An IPv4 peer of a dual-stack listener is known by its IPv4 address.
            Key::SourceIp => Some(connection.source_ip.to_canonical().to_string().into()),
            Key::CertificateId => Some(certificate?.id.as_str().into()),
            Key::CertificateSerial => Some(certificate?.serial.as_str().into()),
            Key::Certificate {
                side,
                field,
                which: Which::Nth(n),
            } => {
                let values = Self::field(certificate?, *side, *field);
                values
                    .get(*n)
                    .filter(|value| is_substituted(value))
                    .map(|v| escaped(v))
            }
            Key::ThingName => self.thing().map(|thing| thing.name.as_str().into()),
            Key::ThingTypeName => self.thing()?.thing_type.as_deref().map(Cow::Borrowed),
            Key::ThingAttribute(attribute) => self
                .thing()?
                .attributes
                .get(&**attribute)
                .map(|value| value.as_str().into()),
            Key::ThingIsAttached => match self.naming {
                Naming::Nothing => None,
                _ => Some(
                    if self.thing().is_some() {
                        "true"
                    } else {
                        "false"
                    }
                    .into(),
                ),
            },
            Key::LastWillTopic => self.last_will_arn.as_deref().map(Cow::Borrowed),
            Key::DomainName => connection.domain_name.as_deref().map(Cow::Borrowed),
            Key::SecureTransport => Some(
                if connection.secure_transport {
                    "true"
                } else {
                    "false"
                }
                .into(),
            ),
            // Sets, and what belongs to a request, never stand in a pattern.
            Key::Certificate { .. }
            | Key::CertificateAvailableKeys
            | Key::ThingGroupArn
            | Key::ConnectAttributes
            | Key::Topic
            | Key::CurrentTime
            | Key::EpochTime
            | Key::Other(_) => None,
        }
    }
}

/// A session with one request: the time and the direct message's topic are known.
pub(crate) struct DuringRequest<'a> {
    pub(crate) session: &'a Session,
    pub(crate) request: &'a Request<'a>,
}

impl Context for DuringRequest<'_> {
    fn operands(&self, name: &Name) -> Option<Vec<Operand<'_>>> {
        match operand(self.request, name) {
            Some(operand) => Some(vec![operand]),
            None => self.session.operands(name),
        }
    }

    fn text(&self, name: &Name) -> Option<Cow<'_, str>> {
        self.session.text(name)
    }
}

/// The value of a key that belongs to the request.
pub(crate) fn operand<'a>(request: &Request<'a>, name: &Name) -> Option<Operand<'a>> {
    match (&name.key, request.resource) {
        (Key::CurrentTime, _) => Some(Operand::CurrentTime(request.now_ms)),
        (Key::EpochTime, _) => Some(Operand::EpochTime(request.now_ms)),
        (Key::Topic, Resource::DirectMessage { topic, .. }) => Some(Operand::Text(topic.into())),
        _ => None,
    }
}

// spec aws-iot [PL-32]: such a value would read as a pattern or is too long.
fn is_substituted(value: &str) -> bool {
    !value.contains(['*', '$', '+', '?', '#']) && value.chars().count() <= SUBSTITUTED_CHARS_MAX
}

/// A certificate's value as policies see it.
// spec aws-iot [PL-32]: characters with a meaning in a distinguished name carry a backslash.
fn escaped(value: &str) -> Cow<'_, str> {
    const SPECIAL: [char; 8] = [',', '"', '\\', '+', '=', '<', '>', ';'];
    if !value.contains(SPECIAL) {
        return Cow::Borrowed(value);
    }
    let mut escaped = String::new();
    for next in value.chars() {
        if SPECIAL.contains(&next) {
            escaped.push('\\');
        }
        escaped.push(next);
    }
    Cow::Owned(escaped)
}
