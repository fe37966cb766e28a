//! How the resource of an operation is named by its input.
//!
//! A template names the ARN that authorization asks about. A member that is missing or of the
//! wrong kind becomes `*`, which only a policy as wide as that matches: authorization comes before
//! validation, so it must not trust the input to be complete.
//!
//! Some inputs name a thing or group by `thingName`, by `thingArn` or by both. The ARN is then
//! what is asked about, or is asked about too: a Deny on one group must be found whichever way the
//! group is named.
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

    /// Whether `input` gives no text for a member of the template.
    pub(crate) fn lacks_member(&self, input: &Value) -> bool {
        self.members()
            .any(|name| input.get(name).is_none_or(|value| !value.is_string()))
    }

    /// The resources for `input`, at least one: more when it is named in two ways, and one per
    /// element when a member is a list.
    pub(crate) fn resources(&self, input: &Value, scope: &Scope) -> Vec<String> {
        let list = self
            .members()
            .find_map(|name| input.get(name).and_then(Value::as_array))
            .filter(|items| !items.is_empty());
        if let Some(items) = list {
            return items
                .iter()
                .map(|item| self.filled(input, Some(item), scope))
                .collect();
        }
        match self.named_by_arn(input) {
            Some(arn) if self.lacks_member(input) => vec![arn.to_owned()],
            Some(arn) => vec![self.filled(input, None, scope), arn.to_owned()],
            None => vec![self.filled(input, None, scope)],
        }
    }

    /// The ARN beside the name: `thingArn` for the template `thing/{thingName}`.
    fn named_by_arn<'v>(&self, input: &'v Value) -> Option<&'v str> {
        let [Part::Text(_), Part::Member(name)] = self.parts.as_slice() else {
            return None;
        };
        let stem = name.strip_suffix("Name")?;
        input.get(format!("{stem}Arn"))?.as_str()
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
