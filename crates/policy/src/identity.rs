//! Identity policies: what a user or role may do through the HTTP APIs.
//!
//! The same grammar and matcher as for devices, over any service's actions and
//! with a context that the door fills per call.
//!
//! Source: docs/contract/core.md [CR-12]; IAM User Guide, "Policy evaluation logic".

use std::collections::BTreeMap;

use serde::Serialize;

use crate::evaluate::{Outcome, RequestContext, Statements, Subject, examine};
use crate::explain::{StatementRef, StatementSource, mention, missing};
use crate::facts::NamedPolicy;
use crate::request::Verdict;

/// One call of an API.
#[derive(Debug, Clone, Copy)]
pub struct IdentityRequest<'a> {
    /// For example `iot:CreateThing`.
    pub action: &'a str,
    /// The ARNs the call acts on, all of which must be allowed. `*`, or none,
    /// for an action without resources, which only `*` covers.
    pub resources: &'a [String],
    /// The condition keys' values, for example `aws:SourceIp`.
    pub context: &'a BTreeMap<String, Vec<String>>,
}

/// A verdict on an API call with its reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityDecision {
    /// The answer.
    pub verdict: Verdict,
    /// The statements that decided; none when nothing allowed.
    pub deciding: Vec<StatementRef>,
    /// Variables and condition keys that statements on this action mention and
    /// the request does not define.
    pub missing: Vec<String>,
}

/// Decides by the policies of a user or role, its groups' included.
///
/// A Deny whose resource or condition value holds an undefined variable
/// matches whatever the value could have been, in every profile.
// spec aws-iot [CR-12]
// spec aws-iot [PL-30]
pub fn decide_identity(
    policies: &[NamedPolicy],
    request: &IdentityRequest<'_>,
) -> IdentityDecision {
    let action = request.action.to_ascii_lowercase();
    let context = RequestContext(request.context);
    let mut resources: Vec<&str> = request.resources.iter().map(String::as_str).collect();
    if resources.is_empty() {
        resources.push("*");
    }
    let subject = Subject {
        action: &action,
        resources: &resources,
    };
    let attached = policies
        .iter()
        .flat_map(|policy| policy.document.attached_statements());
    let verdict = Statements::decide(attached.map(|(_, statement)| statement), &subject, &context);

    let mut variables = BTreeMap::new();
    let mut deciding = Vec::new();
    for policy in policies {
        for (index, statement) in policy.document.attached_statements() {
            if !statement.covers_action(&action) {
                continue;
            }
            mention(&mut variables, statement, &context);
            let outcome = examine(statement, &resources, &context, true);
            let decided = match verdict {
                Verdict::Allowed => !statement.is_deny(),
                Verdict::ExplicitDeny => statement.is_deny(),
                Verdict::ImplicitDeny => false,
            };
            if decided && matches!(outcome, Outcome::Applies) {
                let source = StatementSource::Principal;
                deciding.push(StatementRef::new(policy, index, statement, source));
            }
        }
    }
    IdentityDecision {
        verdict,
        deciding,
        missing: missing(&variables),
    }
}
