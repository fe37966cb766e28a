//! Whether a statement applies: the plain walk over documents.
//!
//! This is the slow road, one statement at a time with the reason at hand. It
//! decides identity and trust policies, whose context is new with each call,
//! and explains the verdicts that [`Authorizer`](crate::Authorizer) reached by
//! its compiled rules.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::condition::{Condition, Operand, undefined};
use crate::document::Statement;
use crate::name::Name;
use crate::pattern::Pattern;
use crate::request::Verdict;

/// Where names get their values.
pub(crate) trait Context {
    /// The values of a condition key; `None` when the key is missing.
    fn operands(&self, name: &Name) -> Option<Vec<Operand<'_>>>;

    /// The one value that fills a variable in a pattern.
    fn text(&self, name: &Name) -> Option<Cow<'_, str>>;
}

/// What is asked about.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    /// In lower case.
    pub(crate) action: &'a str,
    /// Whole ARNs, or `*`; all must be allowed.
    pub(crate) resources: &'a [&'a str],
}

/// Why a statement applies or not.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome<'s> {
    Applies,
    OtherResource,
    ConditionFailed(&'s Condition),
}

/// Examines a statement whose action matched. It applies when it speaks of any
/// of `resources`; `closed` is [`Hardening::deny_on_undefined`](crate::Hardening).
pub(crate) fn examine<'s>(
    statement: &'s Statement,
    resources: &[&str],
    context: &dyn Context,
    closed: bool,
) -> Outcome<'s> {
    let patterns = resource_patterns(statement, context, closed);
    let negated = statement.resources.negated;
    let covers = |text: &str| patterns.iter().any(|pattern| pattern.matches(text)) != negated;
    if !resources.iter().any(|text| covers(text)) {
        return Outcome::OtherResource;
    }
    // spec aws-iot [PL-40]: every operator and key must hold.
    let failed = statement.conditions.iter().find(|condition| {
        let bound = condition.bind(statement.is_deny(), closed, |name| context.text(name));
        !bound.holds(context.operands(&condition.key).as_deref())
    });
    failed.map_or(Outcome::Applies, Outcome::ConditionFailed)
}

/// The statement's resources with their variables filled in.
pub(crate) fn resource_patterns(
    statement: &Statement,
    context: &dyn Context,
    closed: bool,
) -> Vec<Pattern> {
    let resources = &statement.resources;
    let undefined = undefined(statement.is_deny(), resources.negated, closed);
    let fill = |template: &crate::Template| template.fill(undefined, |name| context.text(name));
    resources.templates.iter().filter_map(fill).collect()
}

/// Statements gathered from several documents.
pub(crate) struct Statements;

impl Statements {
    /// Decides identity and trust policies: always closed, see [PL-30].
    pub(crate) fn decide<'s>(
        statements: impl Iterator<Item = &'s Statement>,
        subject: &Subject<'_>,
        context: &dyn Context,
    ) -> Verdict {
        let candidates: Vec<&Statement> = statements
            .filter(|statement| statement.covers_action(subject.action))
            .collect();
        let applies = |statement: &Statement, resource: &str| {
            matches!(
                examine(statement, &[resource], context, true),
                Outcome::Applies
            )
        };
        let (deny, allow): (Vec<&Statement>, Vec<&Statement>) = candidates
            .into_iter()
            .partition(|statement| statement.is_deny());
        let any = |of: &[&Statement], resource: &str| of.iter().any(|s| applies(s, resource));
        let denied = subject
            .resources
            .iter()
            .any(|resource| any(&deny, resource));
        Verdict::of(denied, || {
            subject
                .resources
                .iter()
                .all(|resource| any(&allow, resource))
        })
    }
}

/// The context of an identity request: condition keys with their values.
pub(crate) struct RequestContext<'a>(pub(crate) &'a BTreeMap<String, Vec<String>>);

impl RequestContext<'_> {
    /// Keys are compared without regard to case.
    fn values(&self, name: &Name) -> Option<&[String]> {
        let text = name.text();
        let found = self.0.get(text).or_else(|| {
            let same = |(key, _): &(&String, &Vec<String>)| key.eq_ignore_ascii_case(text);
            self.0.iter().find(same).map(|(_, values)| values)
        });
        found.map(Vec::as_slice)
    }
}

impl Context for RequestContext<'_> {
    fn operands(&self, name: &Name) -> Option<Vec<Operand<'_>>> {
        let values = self.values(name)?;
        Some(
            values
                .iter()
                .map(|value| Operand::Text(Cow::Borrowed(value.as_str())))
                .collect(),
        )
    }

    fn text(&self, name: &Name) -> Option<Cow<'_, str>> {
        match self.values(name)? {
            [value] => Some(Cow::Borrowed(value.as_str())),
            // A set has no single value to stand in a pattern.
            _ => None,
        }
    }
}
