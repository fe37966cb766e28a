//! Trust policies: who may assume a role.
//!
//! A trust policy hangs on one role, so it names principals instead of
//! resources. Whether the caller may also *ask* is the caller's own identity
//! policy, which this does not look at.
//!
//! Source: IAM User Guide, "AWS JSON policy elements: Principal".

use std::collections::BTreeMap;

use crate::document::{Document, PolicyError};
use crate::evaluate::{RequestContext, Statements, Subject};
use crate::grammar::{each_string, object};
use crate::json::Node;
use crate::request::Verdict;

/// The `Principal` of a statement.
#[derive(Debug, Clone)]
pub(crate) enum Principals {
    /// `"*"`: whoever it is.
    Anyone,
    Listed(Vec<TrustedParty>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TrustedParty {
    /// `{"AWS": "*"}`: every principal that has an ARN.
    AnyArn,
    /// An account's twelve digits, or `arn:aws:iam::{account}:root`: everyone in it.
    Account(Box<str>),
    Arn(Box<str>),
    Service(Box<str>),
    Federated(Box<str>),
}

/// Who asks to assume a role. What does not apply is `None`.
#[derive(Debug, Clone, Copy, Default)]
pub struct TrustPrincipal<'a> {
    /// The user's, role's or session's ARN.
    pub arn: Option<&'a str>,
    /// The account it belongs to: twelve digits.
    pub account: Option<&'a str>,
    /// A service, for example `credentials.iot.amazonaws.com`.
    pub service: Option<&'a str>,
    /// An identity provider, for example its ARN or `cognito-identity.amazonaws.com`.
    pub federated: Option<&'a str>,
}

/// Whether a role's trust policy lets `principal` do `action` (`sts:AssumeRole`
/// and its kin). `context` holds the condition keys' values.
pub fn decide_trust(
    document: &Document,
    principal: &TrustPrincipal<'_>,
    action: &str,
    context: &BTreeMap<String, Vec<String>>,
) -> Verdict {
    let trusting = document.statements().iter().filter(|statement| {
        statement
            .principals
            .as_ref()
            .is_some_and(|principals| principals.include(principal))
    });
    let action = action.to_ascii_lowercase();
    // A trust policy names no resource: the role it hangs on is understood.
    let subject = Subject {
        action: &action,
        resources: &[""],
    };
    Statements::decide(trusting, &subject, &RequestContext(context))
}

impl Principals {
    pub(crate) fn parse(node: &Node) -> Result<Self, PolicyError> {
        if matches!(node, Node::Text(text) if text == "*") {
            return Ok(Self::Anyone);
        }
        let mut listed = Vec::new();
        for (kind, names) in object("Principal", node)? {
            let place = format!("Principal.{kind}");
            let parse: fn(&str) -> Option<TrustedParty> = match kind.as_str() {
                "AWS" => TrustedParty::parse_aws,
                "Service" => |name| plain(name).map(TrustedParty::Service),
                "Federated" => |name| plain(name).map(TrustedParty::Federated),
                _ => {
                    return Err(PolicyError::member(
                        place,
                        "unknown kind of principal; write `AWS`, `Service` or `Federated`",
                    ));
                }
            };
            listed.extend(each_string(&place, names, |place, name| {
                parse(name).ok_or_else(|| {
                    let message =
                        format!("`{name}` is not a principal; name it in full, or write `*`");
                    PolicyError::member(place, message)
                })
            })?);
        }
        if listed.is_empty() {
            return Err(PolicyError::member(
                "Principal",
                "names nobody; name at least one",
            ));
        }
        Ok(Self::Listed(listed))
    }

    fn include(&self, principal: &TrustPrincipal<'_>) -> bool {
        match self {
            Self::Anyone => true,
            Self::Listed(parties) => parties.iter().any(|party| party.is(principal)),
        }
    }
}

impl TrustedParty {
    fn parse_aws(name: &str) -> Option<Self> {
        if name == "*" {
            return Some(Self::AnyArn);
        }
        if is_account(name) {
            return Some(Self::Account(name.into()));
        }
        let name = plain(name)?;
        let mut parts = name.splitn(6, ':');
        let (arn, _partition, service) = (parts.next()?, parts.next()?, parts.next()?);
        let (_region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
        if arn != "arn" || !matches!(service, "iam" | "sts") || !is_account(account) {
            return None;
        }
        Some(if resource == "root" {
            Self::Account(account.into())
        } else {
            Self::Arn(name)
        })
    }

    fn is(&self, principal: &TrustPrincipal<'_>) -> bool {
        match self {
            Self::AnyArn => principal.arn.is_some(),
            Self::Account(account) => principal.account == Some(account),
            Self::Arn(arn) => principal.arn.is_some_and(|theirs| {
                **arn == *theirs || role_of_session(theirs).as_deref() == Some(arn)
            }),
            Self::Service(service) => principal.service == Some(service),
            Self::Federated(provider) => principal.federated == Some(provider),
        }
    }
}

/// A name without wildcards, which principals may not hold in part.
fn plain(name: &str) -> Option<Box<str>> {
    (!name.is_empty() && !name.contains(['*', '?'])).then(|| name.into())
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `arn:aws:sts::{account}:assumed-role/{role}/{session}` acts as
/// `arn:aws:iam::{account}:role/{role}`, which a trust policy may name.
fn role_of_session(arn: &str) -> Option<String> {
    let (head, session) = arn.split_once(":assumed-role/")?;
    let (role, _session) = session.split_once('/')?;
    let (partition, account) = head.strip_prefix("arn:")?.split_once(":sts::")?;
    Some(format!("arn:{partition}:iam::{account}:role/{role}"))
}
