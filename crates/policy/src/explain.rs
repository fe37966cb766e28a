//! Why a verdict is what it is.
//!
//! Explaining walks the documents again, statement by statement, because the
//! compiled rules have forgotten where they came from. It is for people: after
//! a denial, in `TestAuthorization`, in the console.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::authorizer::{Authorizer, Source};
use crate::condition::{Condition, Operand};
use crate::document::{Effect, Statement};
use crate::evaluate::{Context, Outcome, examine, resource_patterns};
use crate::facts::NamedPolicy;
use crate::name::Name;
use crate::request::{Request, Verdict};
use crate::session::DuringRequest;
use crate::suggest::SuggestedEdit;

/// A verdict with its reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The same as [`Authorizer::decide`] gives.
    pub verdict: Verdict,
    /// For example `iot:Publish`.
    pub action: String,
    /// The ARN the policies were compared with.
    pub resource_arn: String,
    /// The statements that decided; none when nothing allowed.
    pub deciding: Vec<StatementRef>,
    /// Every variable and condition key that statements on this action mention,
    /// with its value; `None` when it is undefined or cannot be substituted.
    pub variables: BTreeMap<String, Option<String>>,
    /// The names among them without a value.
    // spec aws-iot [PL-62]
    pub missing: Vec<String>,
    /// Why no statement was consulted at all, when that is so.
    pub refusal: Option<&'static str>,
    /// After an implicit deny: the Allows on this action that did not apply.
    pub near_misses: Vec<NearMiss>,
    /// After an implicit deny: the smallest statement that would allow this.
    /// Never against a Deny.
    pub suggested_edit: Option<SuggestedEdit>,
}

/// Where a statement stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatementRef {
    /// The policy's name.
    pub policy_name: String,
    /// The policy's ARN.
    pub policy_arn: String,
    /// The policy version's id.
    pub version: String,
    /// The statement's own name, when it has one.
    pub sid: Option<String>,
    /// The statement's place in the document, counted from 0.
    pub index: usize,
    /// What the policy is attached to.
    pub source: StatementSource,
    /// What the statement does.
    pub effect: Effect,
}

/// What put a policy in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum StatementSource {
    /// It is attached to the principal itself.
    Principal,
    /// It is attached to the thing group of this name.
    Group(String),
}

/// An Allow that speaks of the action and yet did not apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NearMiss {
    /// Which statement.
    pub statement: StatementRef,
    /// Which part of it failed.
    pub failed: Failed,
}

/// The part of a statement that did not match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Failed {
    /// It speaks of other resources.
    #[serde(rename_all = "camelCase")]
    Resource {
        /// The patterns as written.
        patterns: Vec<String>,
        /// The same with variables filled in; those with an undefined one are left out.
        filled: Vec<String>,
        /// Whether the patterns are those of `NotResource`.
        excluded: bool,
    },
    /// A condition does not hold.
    #[serde(rename_all = "camelCase")]
    Condition {
        /// The operator as written.
        operator: String,
        /// The condition key as written.
        key: String,
        /// The values as written.
        expected: Vec<String>,
        /// The key's values in the request; `None` when it has none.
        actual: Option<Vec<String>>,
    },
}

impl Authorizer {
    /// The verdict with its reasons. Slow; for people.
    pub fn explain(&self, request: &Request<'_>) -> Explanation {
        let kind = request.action.kind();
        let context = DuringRequest {
            session: &self.session,
            request,
        };
        let resource_arn = self.arn(request.resource.kind(), &request.resource.name());
        let bare_arn = request
            .resource
            .unshared_filter()
            .map(|bare| self.arn(kind, bare));
        let action = request.action.name().to_ascii_lowercase();
        let refusal = self.refusal(request);
        let consulted = refusal.is_none() && kind == request.resource.kind();

        let mut findings = Findings::default();
        for source in self.sources().into_iter().filter(|_| consulted) {
            for (index, statement) in source.statements(&action) {
                // spec aws-iot [PL-23]: the bare filter counts for Denies only.
                let bare = bare_arn.as_deref().filter(|_| statement.is_deny());
                let texts: Vec<&str> = [resource_arn.as_str()].into_iter().chain(bare).collect();
                let closed = self.hardening.deny_on_undefined;
                let outcome = examine(statement, &texts, &context, closed);
                findings.mention(statement, &context);
                findings.add(
                    source.statement_ref(index, statement),
                    statement,
                    outcome,
                    &context,
                );
            }
        }
        let Findings {
            deny,
            allow,
            near_misses,
            variables,
        } = findings;
        let verdict = Verdict::of(!deny.is_empty(), || !allow.is_empty());
        let undecided = verdict == Verdict::ImplicitDeny && consulted;
        Explanation {
            verdict,
            action: request.action.name().to_owned(),
            resource_arn,
            deciding: if deny.is_empty() { allow } else { deny },
            missing: missing(&variables),
            variables,
            refusal,
            near_misses: if undecided { near_misses } else { Vec::new() },
            suggested_edit: if undecided {
                self.suggest(request)
            } else {
                None
            },
        }
    }
}

impl Source<'_> {
    fn statement_ref(self, index: usize, statement: &Statement) -> StatementRef {
        let source = match self.group {
            None => StatementSource::Principal,
            Some(group) => StatementSource::Group(group.name.clone()),
        };
        StatementRef::new(self.policy, index, statement, source)
    }
}

impl StatementRef {
    pub(crate) fn new(
        policy: &NamedPolicy,
        index: usize,
        statement: &Statement,
        source: StatementSource,
    ) -> Self {
        Self {
            policy_name: policy.name.to_string(),
            policy_arn: policy.arn.to_string(),
            version: policy.version.to_string(),
            sid: statement.sid().map(str::to_owned),
            index,
            source,
            effect: statement.effect,
        }
    }
}

/// The names among `variables` without a value.
pub(crate) fn missing(variables: &BTreeMap<String, Option<String>>) -> Vec<String> {
    let undefined = variables.iter().filter(|(_, value)| value.is_none());
    undefined.map(|(name, _)| name.clone()).collect()
}

/// What the walk over the statements brings together.
#[derive(Default)]
struct Findings {
    deny: Vec<StatementRef>,
    allow: Vec<StatementRef>,
    near_misses: Vec<NearMiss>,
    variables: BTreeMap<String, Option<String>>,
}

impl Findings {
    fn add(
        &mut self,
        at: StatementRef,
        statement: &Statement,
        outcome: Outcome<'_>,
        context: &DuringRequest<'_>,
    ) {
        let failed = match outcome {
            Outcome::Applies if statement.is_deny() => return self.deny.push(at),
            Outcome::Applies => return self.allow.push(at),
            Outcome::OtherResource => Failed::resource(statement, context),
            Outcome::ConditionFailed(condition) => Failed::condition(condition, context),
        };
        if !statement.is_deny() {
            self.near_misses.push(NearMiss {
                statement: at,
                failed,
            });
        }
    }

    fn mention(&mut self, statement: &Statement, context: &dyn Context) {
        mention(&mut self.variables, statement, context);
    }
}

/// Notes the value of each name that `statement` mentions. A name used both as
/// a variable and as a key counts as undefined when it is so in either place.
pub(crate) fn mention(
    variables: &mut BTreeMap<String, Option<String>>,
    statement: &Statement,
    context: &dyn Context,
) {
    let mut note = |name: &Name, value: Option<String>| {
        let known = variables
            .entry(name.text().to_owned())
            .or_insert_with(|| value.clone());
        if value.is_none() {
            *known = None;
        }
    };
    let in_values = statement
        .conditions
        .iter()
        .flat_map(|condition| &condition.values);
    for template in statement.resources.templates.iter().chain(in_values) {
        for name in template.variables() {
            note(name, context.text(name).map(|text| text.into_owned()));
        }
    }
    for condition in &statement.conditions {
        let value = context.operands(&condition.key);
        note(
            &condition.key,
            value.map(|operands| texts(&operands).join(", ")),
        );
    }
}

impl Failed {
    fn resource(statement: &Statement, context: &DuringRequest<'_>) -> Self {
        let filled = resource_patterns(statement, context, false);
        Self::Resource {
            patterns: statement
                .resources()
                .iter()
                .map(|t| t.text().to_owned())
                .collect(),
            filled: filled.iter().map(|pattern| pattern.display()).collect(),
            excluded: statement.resources.negated,
        }
    }

    fn condition(condition: &Condition, context: &DuringRequest<'_>) -> Self {
        let operands = context.operands(&condition.key);
        Self::Condition {
            operator: condition.operator().to_owned(),
            key: condition.key.text().to_owned(),
            expected: condition
                .values
                .iter()
                .map(|value| value.text().to_owned())
                .collect(),
            actual: operands.as_deref().map(texts),
        }
    }
}

fn texts(operands: &[Operand<'_>]) -> Vec<String> {
    operands
        .iter()
        .map(|operand| operand.text().into_owned())
        .collect()
}
