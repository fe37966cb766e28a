//! The smallest statement that would allow what was just refused.
//!
//! It names exactly one action and one resource, and speaks of the device
//! through variables where it can, so that the same policy fits its siblings.
//! It is never broader than the request: no `*`, and nothing at all against a
//! Deny, which somebody meant.

use serde::Serialize;

use crate::authorizer::Authorizer;
use crate::document::{Effect, Version};
use crate::pattern::{Syntax, Template};
use crate::request::{DeviceAction, Kind, Request};

/// A statement and where to put it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SuggestedEdit {
    /// The principal's policy to add it to; `None` to make a new one, of
    /// version `2012-10-17`.
    pub policy_name: Option<String>,
    /// What to add.
    pub statement: SuggestedStatement,
}

/// A statement as it stands in a policy document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SuggestedStatement {
    /// Always Allow.
    pub effect: Effect,
    /// One action.
    pub action: String,
    /// One resource, with its own `*`, `?` and `${` escaped.
    pub resource: String,
}

impl Authorizer {
    /// For a request that no statement allows and none denies.
    pub(crate) fn suggest(&self, request: &Request<'_>) -> Option<SuggestedEdit> {
        // Only `*` covers it, and `*` is never suggested.
        if request.resource.kind() == Kind::Any {
            return None;
        }
        let name = request.resource.name();
        let levels: Vec<String> = name
            .split('/')
            .map(|level| self.spelled(request.action, level))
            .collect();
        let resource = self.arn(request.resource.kind(), &levels.join("/"));
        // A name may be longer than a policy can spell.
        let syntax = Syntax {
            wildcards: true,
            variables: true,
            defaults: false,
        };
        Template::parse(&resource, syntax).ok()?;
        // Variables and escapes need the newer language version.
        let policies = self.session.facts().policies.iter();
        let policy = { policies }.find(|policy| policy.document.version() == Version::V2012);
        Some(SuggestedEdit {
            policy_name: policy.map(|policy| policy.name.to_string()),
            statement: SuggestedStatement {
                effect: Effect::Allow,
                action: request.action.name().to_owned(),
                resource,
            },
        })
    }

    /// One level of a name: the variable that holds it, or itself, escaped.
    fn spelled(&self, action: DeviceAction, level: &str) -> String {
        if self
            .resolved_thing()
            .is_some_and(|thing| thing.name == level)
        {
            return "${iot:Connection.Thing.ThingName}".to_owned();
        }
        // `client/${iot:ClientId}` would compare the id with itself and so
        // allow every id; the thing's name above is the safe form.
        if action != DeviceAction::Connect && self.session.client_id() == Some(level) {
            return "${iot:ClientId}".to_owned();
        }
        let mut spelled = String::new();
        let mut rest = level.chars().peekable();
        while let Some(next) = rest.next() {
            match next {
                '*' => spelled.push_str("${*}"),
                '?' => spelled.push_str("${?}"),
                '$' if rest.peek() == Some(&'{') => spelled.push_str("${$}"),
                other => spelled.push(other),
            }
        }
        spelled
    }
}
