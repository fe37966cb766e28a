//! How the resource of an operation is named by its input.
//!
//! A template names the ARN that authorization asks about. A member that is missing or of the
//! wrong kind becomes `*`, which only a policy as wide as that matches: authorization comes before
//! validation, so it must not trust the input to be complete.
//!
//! Source: contract core `[G-4]`.

use model::Scope;
use serde_json::Value;

/// A resource template, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResourceTemplate {
    service: ArnService,
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ArnService {
    Iot,
    Iam,
    Sts,
    Palisade,
    /// The template is `*`, or one member that is an ARN itself.
    Whole,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(&'static str),
    Member(&'static str),
}

impl ResourceTemplate {
    /// Reads a template; see [`crate::Operation::read`] for the grammar.
    pub(crate) fn new(template: &'static str) -> Self {
        let (service, text) = if let Some(rest) = template.strip_prefix("iam:") {
            (ArnService::Iam, rest)
        } else if let Some(rest) = template.strip_prefix("sts:") {
            (ArnService::Sts, rest)
        } else if let Some(rest) = template.strip_prefix("palisade:") {
            (ArnService::Palisade, rest)
        } else {
            (ArnService::Iot, template)
        };
        let parts = parts(text);
        let whole = matches!(parts.as_slice(), [Part::Member(_)] | [Part::Text("*")]);
        let service = if whole { ArnService::Whole } else { service };
        Self { service, parts }
    }

    /// The members the template mentions.
    pub(crate) fn members(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.parts.iter().filter_map(|part| match part {
            Part::Member(name) => Some(*name),
            Part::Text(_) => None,
        })
    }

    /// The resources for `input`: one, or one per element when a member is a list.
    pub(crate) fn resources(&self, input: &Value, scope: &Scope) -> Vec<String> {
        let list = self
            .members()
            .find_map(|name| input.get(name).and_then(Value::as_array));
        match list {
            Some(items) => items
                .iter()
                .map(|item| self.filled(input, Some(item), scope))
                .collect(),
            None => vec![self.filled(input, None, scope)],
        }
    }

    fn filled(&self, input: &Value, item: Option<&Value>, scope: &Scope) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Member(name) => {
                    let value = match input.get(name) {
                        Some(Value::Array(_)) => item,
                        other => other,
                    };
                    text.push_str(value.and_then(Value::as_str).unwrap_or("*"));
                }
            }
        }
        let Scope {
            partition,
            region,
            account,
        } = scope;
        match self.service {
            ArnService::Whole => text,
            ArnService::Iot => scope.iot_arn(&text),
            ArnService::Iam => scope.iam_arn(&text),
            ArnService::Sts => format!("arn:{partition}:sts::{account}:{text}"),
            ArnService::Palisade => format!("arn:{partition}:palisade:{region}:{account}:{text}"),
        }
    }
}

fn parts(template: &'static str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        if !before.is_empty() {
            parts.push(Part::Text(before));
        }
        let (member, after) = after.split_once('}').unwrap_or((after, ""));
        parts.push(Part::Member(member));
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    parts
}

#[cfg(test)]
mod tests;
