//! The grammar of statements: from JSON to the compiled form.
//!
//! Each refusal names the member and says what to write instead; the caller
//! adds the statement's index.
//!
//! Source: docs/contract/core.md 7.1; for identity and trust policies the IAM
//! User Guide, "Grammar of the IAM JSON policy language".

use crate::condition::{Condition, Operator};
use crate::document::{Actions, Dialect, Effect, PolicyError, Resources, Statement, Version};
use crate::json::Node;
use crate::name::Name;
use crate::pattern::{Pattern, Syntax, Template, Undefined};
use crate::trust::Principals;

/// What the rest of the document depends on.
#[derive(Clone, Copy)]
pub(crate) struct Grammar {
    pub(crate) dialect: Dialect,
    pub(crate) version: Version,
}

impl Grammar {
    pub(crate) fn statement(self, node: Node) -> Result<Statement, PolicyError> {
        let Node::Object(members) = node else {
            return Err(PolicyError::document(format!(
                "a statement must be an object, not {}",
                node.kind()
            )));
        };
        let (mut sid, mut effect, mut actions) = (None, None, None);
        let (mut resources, mut principals, mut conditions) = (None, None, Vec::new());
        for (key, value) in members {
            let negated = key.starts_with("Not");
            match key.as_str() {
                "Sid" => sid = Some(string("Sid", &value)?.into()),
                "Effect" => effect = Some(parse_effect(&value)?),
                "Action" | "NotAction" => {
                    let patterns = self.actions(&key, &value)?;
                    set_once(&mut actions, Actions { negated, patterns }, "Action")?;
                }
                "Resource" | "NotResource" if self.dialect != Dialect::Trust => {
                    let templates = self.resources(&key, &value)?;
                    set_once(&mut resources, Resources { negated, templates }, "Resource")?;
                }
                "Resource" | "NotResource" => {
                    return Err(PolicyError::member(
                        key,
                        "a trust policy has no resources; remove it",
                    ));
                }
                "Principal" if self.dialect == Dialect::Trust => {
                    principals = Some(Principals::parse(&value)?);
                }
                "Principal" | "NotPrincipal" => return Err(self.principal_refused(&key)),
                "Condition" => conditions = self.conditions(&value)?,
                _ => return Err(unknown_member(&key, self.members())),
            }
        }
        let missing = |what: &str| PolicyError::document(format!("{what} is missing; add it"));
        if self.dialect == Dialect::Trust && principals.is_none() {
            return Err(missing("`Principal`"));
        }
        let the_role_itself = Resources {
            negated: true,
            templates: Vec::new(),
        };
        Ok(Statement {
            sid,
            effect: effect.ok_or_else(|| missing("`Effect` (`Allow` or `Deny`)"))?,
            actions: actions.ok_or_else(|| missing("`Action` or `NotAction`"))?,
            resources: match resources {
                None if self.dialect == Dialect::Trust => the_role_itself,
                given => given.ok_or_else(|| missing("`Resource` or `NotResource`"))?,
            },
            principals,
            conditions,
        })
    }

    fn members(self) -> &'static str {
        match self.dialect {
            Dialect::Iot | Dialect::Identity => {
                "`Sid`, `Effect`, `Action`, `NotAction`, `Resource`, `NotResource` and `Condition`"
            }
            Dialect::Trust => "`Sid`, `Effect`, `Principal`, `Action`, `NotAction` and `Condition`",
        }
    }

    fn principal_refused(self, key: &str) -> PolicyError {
        let message = match self.dialect {
            Dialect::Trust => "not supported; name who is trusted in `Principal`",
            Dialect::Iot | Dialect::Identity => {
                "not allowed here; the policy applies to whom it is attached, so remove it"
            }
        };
        PolicyError::member(key, message)
    }

    fn actions(self, member: &str, node: &Node) -> Result<Vec<Pattern>, PolicyError> {
        let syntax = Syntax {
            wildcards: true,
            variables: false,
            defaults: false,
        };
        each_string(member, node, |place, text| {
            let lower = text.to_ascii_lowercase();
            if !self.is_action(&lower) {
                return Err(PolicyError::member(place, self.action_expected(text)));
            }
            template(place, &lower, syntax)?
                .fill(Undefined::MatchesNothing, |_| None)
                .ok_or_else(|| PolicyError::member(place, "an action cannot hold a variable"))
        })
    }

    fn is_action(self, lower: &str) -> bool {
        let Some((service, verb)) = lower.split_once(':') else {
            return lower == "*";
        };
        let letter = |next: char| next.is_ascii_alphanumeric() || "-*?".contains(next);
        let known = match self.dialect {
            Dialect::Iot => matches!(service, "iot" | "greengrass"),
            Dialect::Identity | Dialect::Trust => {
                !service.is_empty() && service.chars().all(letter)
            }
        };
        known && !verb.is_empty() && verb.chars().all(letter)
    }

    fn action_expected(self, text: &str) -> String {
        let form = match self.dialect {
            Dialect::Iot => "`iot:Publish`, `greengrass:Discover`, `iot:*` or `*`",
            Dialect::Identity => "`iot:CreateThing`, `iot:Get*` or `*`",
            Dialect::Trust => "`sts:AssumeRole`",
        };
        format!("`{text}` is not an action; write one such as {form}")
    }

    fn resources(self, member: &str, node: &Node) -> Result<Vec<Template>, PolicyError> {
        each_string(member, node, |place, text| {
            if !text.starts_with("arn:") && !text.starts_with('*') {
                return Err(PolicyError::member(
                    place,
                    format!(
                        "`{text}` is not an ARN; write `arn:aws:iot:region:account:kind/name` or `*`"
                    ),
                ));
            }
            template(place, text, self.syntax(true))
        })
    }

    fn conditions(self, node: &Node) -> Result<Vec<Condition>, PolicyError> {
        let mut conditions = Vec::new();
        for (written, keys) in object("Condition", node)? {
            let place = format!("Condition.{written}");
            let operator = Operator::parse(written).ok_or_else(|| {
                PolicyError::member(
                    &*place,
                    "unknown operator; write one such as `StringEquals`",
                )
            })?;
            for (key, values) in object(&place, keys)? {
                let place = format!("{place}.{key}");
                let values = self.condition_values(&place, operator, values)?;
                conditions.push(Condition::new(written, operator, Name::parse(key), values));
            }
        }
        Ok(conditions)
    }

    /// Strings, numbers and booleans, alone or in an array, which may be empty.
    fn condition_values(
        self,
        place: &str,
        operator: Operator,
        node: &Node,
    ) -> Result<Vec<Template>, PolicyError> {
        let nodes = match node {
            Node::List(nodes) => nodes.as_slice(),
            single => std::slice::from_ref(single),
        };
        let comparison = operator.comparison;
        let parse_one = |value: &Node| {
            let text = match value {
                Node::Text(text) | Node::Number(text) => text.clone(),
                Node::Bool(value) => value.to_string(),
                other => return Err(wrong_kind(place, "a string, number or boolean", other)),
            };
            let template = template(place, &text, self.syntax(comparison.has_wildcards()))?;
            let bad = || {
                let expected = comparison.expects();
                PolicyError::member(place, format!("`{text}` must be {expected}"))
            };
            // A value without variables is checked now rather than never.
            match template.fill(Undefined::MatchesNothing, |_| None) {
                Some(pattern) => comparison.test(&pattern).map(|_| template).ok_or_else(bad),
                None => Ok(template),
            }
        };
        nodes.iter().map(parse_one).collect()
    }

    fn syntax(self, wildcards: bool) -> Syntax {
        let variables = self.version == Version::V2012;
        Syntax {
            wildcards,
            variables,
            defaults: variables && self.dialect != Dialect::Iot,
        }
    }
}

pub(crate) fn parse_version(node: &Node) -> Result<Version, PolicyError> {
    match string("Version", node)? {
        "2012-10-17" => Ok(Version::V2012),
        "2008-10-17" => Ok(Version::V2008),
        other => Err(PolicyError::member(
            "Version",
            format!("`{other}` is not a version; write `2012-10-17`"),
        )),
    }
}

fn parse_effect(node: &Node) -> Result<Effect, PolicyError> {
    // spec aws-iot [PL-20]: Effect is case-sensitive.
    match string("Effect", node)? {
        "Allow" => Ok(Effect::Allow),
        "Deny" => Ok(Effect::Deny),
        other => Err(PolicyError::member(
            "Effect",
            format!("`{other}` is not an effect; write `Allow` or `Deny`"),
        )),
    }
}

fn template(place: &str, text: &str, syntax: Syntax) -> Result<Template, PolicyError> {
    Template::parse(text, syntax)
        .map_err(|error| PolicyError::member(place, format!("`{}` {error}", shortened(text))))
}

/// Enough of `text` to recognise it in a message.
fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}

fn set_once<T>(slot: &mut Option<T>, value: T, name: &str) -> Result<(), PolicyError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(PolicyError::document(format!(
            "has both `{name}` and `Not{name}`; keep one"
        ))),
    }
}

pub(crate) fn unknown_member(key: &str, known: &str) -> PolicyError {
    PolicyError::member(
        shortened(key),
        format!("unknown member; known here are {known}"),
    )
}

pub(crate) fn wrong_kind(place: &str, expected: &str, found: &Node) -> PolicyError {
    PolicyError::member(place, format!("must be {expected}, not {}", found.kind()))
}

pub(crate) fn string<'n>(place: &str, node: &'n Node) -> Result<&'n str, PolicyError> {
    match node {
        Node::Text(text) => Ok(text),
        other => Err(wrong_kind(place, "a string", other)),
    }
}

pub(crate) fn object<'n>(place: &str, node: &'n Node) -> Result<&'n [(String, Node)], PolicyError> {
    match node {
        Node::Object(members) => Ok(members),
        other => Err(wrong_kind(place, "an object", other)),
    }
}

/// A string, or an array of strings that is not empty; each is parsed with its place.
pub(crate) fn each_string<T>(
    member: &str,
    node: &Node,
    parse: impl Fn(&str, &str) -> Result<T, PolicyError>,
) -> Result<Vec<T>, PolicyError> {
    match node {
        Node::Text(text) => Ok(vec![parse(member, text)?]),
        Node::List(nodes) if nodes.is_empty() => Err(PolicyError::member(
            member,
            "the array is empty; name at least one",
        )),
        Node::List(nodes) => {
            let place = |index: usize| format!("{member}[{index}]");
            let items = nodes.iter().enumerate();
            items
                .map(|(index, node)| parse(&place(index), string(&place(index), node)?))
                .collect()
        }
        other => Err(wrong_kind(member, "a string or an array of strings", other)),
    }
}
