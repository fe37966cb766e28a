//! Policy documents in their compiled form.
//!
//! Everything that can be wrong with a policy is found while parsing, so that
//! evaluation has no error case: a document that cannot be parsed does not
//! exist, and therefore allows nothing.
//!
//! Source: docs/contract/core.md 7.1; for identity and trust policies the IAM
//! User Guide, "Grammar of the IAM JSON policy language".

use crate::condition::Condition;
use crate::grammar::{Grammar, parse_version, string, unknown_member, wrong_kind};
use crate::json::{self, Node};
use crate::pattern::{Pattern, Template};
use crate::trust::Principals;

/// Characters of a document, white space included: the API model's maximum.
// spec aws-iot [PL-2]
pub const DOCUMENT_CHARS_MAX: usize = 404_600;

/// The characters of `text` that count towards AWS's size quota: all but white space.
// spec aws-iot [PL-2]
pub fn significant_len(text: &str) -> usize {
    text.chars().filter(|next| !next.is_whitespace()).count()
}

/// Where a document is used, which decides its grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Attached to certificates and thing groups; `iot:` and `greengrass:` actions.
    Iot,
    /// Attached to users and roles; any service's actions.
    Identity,
    /// Who may assume a role; has principals and no resources.
    Trust,
}

/// The policy language's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// `2008-10-17`, also when none is written: no variables, no escapes.
    V2008,
    /// `2012-10-17`.
    V2012,
}

/// What a matching statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[expect(missing_docs, reason = "the variants are the language's own two words")]
pub enum Effect {
    Allow,
    Deny,
}

/// A policy, parsed and compiled; cheap to share behind an `Arc`.
#[derive(Debug, Clone)]
pub struct Document {
    version: Version,
    statements: Vec<Statement>,
}

/// One statement of a policy.
#[derive(Debug, Clone)]
pub struct Statement {
    pub(crate) sid: Option<Box<str>>,
    pub(crate) effect: Effect,
    pub(crate) actions: Actions,
    pub(crate) resources: Resources,
    pub(crate) principals: Option<Principals>,
    pub(crate) conditions: Vec<Condition>,
}

/// `Action` or, negated, `NotAction`. The patterns are in lower case.
#[derive(Debug, Clone)]
pub(crate) struct Actions {
    pub(crate) negated: bool,
    pub(crate) patterns: Vec<Pattern>,
}

/// `Resource` or, negated, `NotResource`. A trust policy has none, which stands
/// for the role itself: no patterns, negated.
#[derive(Debug, Clone)]
pub(crate) struct Resources {
    pub(crate) negated: bool,
    pub(crate) templates: Vec<Template>,
}

/// Why a document was refused: the place, and what to write there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", place(.statement, .member))]
pub struct PolicyError {
    statement: Option<usize>,
    member: Option<String>,
    message: String,
}

fn place(statement: &Option<usize>, member: &Option<String>) -> String {
    match (statement, member) {
        (None, None) => String::new(),
        (None, Some(member)) => format!("{member}: "),
        (Some(index), None) => format!("Statement[{index}]: "),
        (Some(index), Some(member)) => format!("Statement[{index}].{member}: "),
    }
}

impl PolicyError {
    pub(crate) fn document(message: impl Into<String>) -> Self {
        Self {
            statement: None,
            member: None,
            message: message.into(),
        }
    }

    /// An error at a member of a statement, which is not known here.
    pub(crate) fn member(member: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            statement: None,
            member: Some(member.into()),
            message: message.into(),
        }
    }

    /// The statement, counted from 0, when the error lies within one.
    pub fn statement(&self) -> Option<usize> {
        self.statement
    }

    /// The member within it, for example `Action[2]` or `Condition.IpAddress.aws:SourceIp`.
    pub fn place(&self) -> Option<&str> {
        self.member.as_deref()
    }
}

impl Document {
    /// Parses and compiles a policy.
    ///
    /// # Errors
    ///
    /// Everything the grammar refuses, with the statement's index, the member
    /// and what to do; bad JSON with its line and column.
    // spec aws-iot [PL-1]
    pub fn parse(text: &str, dialect: Dialect) -> Result<Self, PolicyError> {
        if DOCUMENT_CHARS_MAX < text.chars().count() {
            return Err(PolicyError::document(format!(
                "the document has more than {DOCUMENT_CHARS_MAX} characters; split it"
            )));
        }
        let root = json::parse(text)
            .map_err(|error| PolicyError::document(format!("not valid JSON: {error}")))?;
        let Node::Object(members) = root else {
            return Err(PolicyError::document("the document must be a JSON object"));
        };
        let mut version = Version::V2008;
        let mut statement = None;
        for (key, value) in members {
            match key.as_str() {
                "Version" => version = parse_version(&value)?,
                "Statement" => statement = Some(value),
                "Id" if dialect != Dialect::Iot => {
                    let _id = string("Id", &value)?;
                }
                _ => return Err(unknown_member(&key, "`Version` and `Statement`")),
            }
        }
        let nodes = match statement {
            Some(Node::List(nodes)) => nodes,
            Some(node @ Node::Object(_)) => vec![node],
            Some(other) => return Err(wrong_kind("Statement", "an object or an array", &other)),
            None => {
                return Err(PolicyError::document(
                    "`Statement` is missing; add an array of statements",
                ));
            }
        };
        let grammar = Grammar { dialect, version };
        let statements = nodes
            .into_iter()
            .enumerate()
            .map(|(index, node)| {
                let located = |error| PolicyError {
                    statement: Some(index),
                    ..error
                };
                grammar.statement(node).map_err(located)
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            version,
            statements,
        })
    }

    /// The language version the document is written in.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The statements in order.
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// The statements that apply to whom the policy is attached to, each with
    /// its index. One that names principals has no resources and would
    /// otherwise speak of all of them.
    pub(crate) fn attached_statements(&self) -> impl Iterator<Item = (usize, &Statement)> {
        let numbered = self.statements.iter().enumerate();
        numbered.filter(|(_, statement)| statement.principals.is_none())
    }
}

impl Statement {
    /// The statement's own name, when it has one.
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref()
    }

    /// What the statement does when it matches.
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// Whether the statement speaks of `action`, written in lower case.
    // spec aws-iot [PL-20]: action names are compared without regard to case.
    pub fn covers_action(&self, action: &str) -> bool {
        let Actions { negated, patterns } = &self.actions;
        patterns.iter().any(|pattern| pattern.matches(action)) != *negated
    }

    /// Whether [`Self::resources`] are those the statement does *not* speak of.
    pub fn excludes_resources(&self) -> bool {
        self.resources.negated
    }

    /// The patterns of `Resource` or `NotResource`.
    pub fn resources(&self) -> &[Template] {
        &self.resources.templates
    }

    /// The conditions, all of which must hold.
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    pub(crate) fn is_deny(&self) -> bool {
        self.effect == Effect::Deny
    }
}
