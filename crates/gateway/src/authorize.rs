//! The gateway's enforcement: which actions on which resources a call needs, and the question.
//!
//! Users and roles are judged by their identity policies; devices by the broker's view of their
//! IoT policies, and only for the data plane.
//!
//! Source: contract core `[HT-23]`, 7.2; IAM User Guide, "Global condition context keys".

use std::collections::{BTreeMap, HashSet};

use model::{ApiError, ErrorKind, Scope, Timestamp};
use policy::{DeviceAction, IdentityDecision, IdentityRequest, Verdict};
use serde_json::Value;

use crate::caller::{Caller, CallerKind, OwnedResource};
use crate::catalogue::Served;
use crate::constraints;

/// Most resources that one request may name: each is judged by every policy of the caller.
const RESOURCES_MAX: usize = 1000;

/// One question: may this be done to that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) action: String,
    pub(crate) resource: String,
}

/// A refusal with its reasons.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) question: Question,
    pub(crate) decision: IdentityDecision,
}

/// Everything a call of `served` with `input` needs allowed, at least one question. A resource
/// named twice is asked about once.
///
/// # Errors
/// When the input names more than [`RESOURCES_MAX`] resources.
pub(crate) fn questions(
    served: &Served,
    input: &Value,
    caller: &Caller,
    scope: &Scope,
) -> Result<Vec<Question>, ApiError> {
    let operation = &served.operation;
    let named = operation.templates.iter().flat_map(|template| {
        if operation.or_caller && template.lacks_member(input) {
            vec![caller.arn.clone()]
        } else {
            template.resources(input, scope)
        }
    });
    let computed = operation.resources.as_ref();
    let computed = computed.map(|of| of(input, scope)).unwrap_or_default();
    let mut seen = HashSet::new();
    let resources: Vec<String> = named
        .chain(computed)
        .filter(|resource| seen.insert(resource.clone()))
        .collect();
    if RESOURCES_MAX < resources.len() {
        let message = format!("the request names more than {RESOURCES_MAX} resources");
        return Err(constraints::refusal(served.service.name, message));
    }
    let further = operation.further.iter().filter(|more| (more.when)(input));
    let actions = std::iter::once(served.action.as_str()).chain(further.map(|more| more.action));
    let question = |action: &str, resource: &String| Question {
        action: action.to_owned(),
        resource: resource.clone(),
    };
    Ok(actions
        .flat_map(|action| {
            resources
                .iter()
                .map(move |resource| question(action, resource))
        })
        .collect())
}

/// Asks the policies of a user or role; all must allow.
pub(crate) fn identity(
    caller: &Caller,
    questions: Vec<Question>,
    context: &BTreeMap<String, Vec<String>>,
) -> Result<(), Box<Refused>> {
    for question in questions {
        let request = IdentityRequest {
            action: &question.action,
            resources: std::slice::from_ref(&question.resource),
            context,
        };
        let decision = policy::decide_identity(&caller.policies, &request);
        match decision.verdict {
            Verdict::Allowed => (),
            Verdict::ExplicitDeny | Verdict::ImplicitDeny => {
                return Err(Box::new(Refused { question, decision }));
            }
        }
    }
    Ok(())
}

/// The condition keys of a call.
pub(crate) fn context(
    caller: &Caller,
    input: &Value,
    now: Timestamp,
    scope: &Scope,
) -> BTreeMap<String, Vec<String>> {
    let mut keys = BTreeMap::new();
    let mut set = |key: &str, value: String| {
        keys.insert(key.to_owned(), vec![value]);
    };
    set("aws:SourceIp", caller.source_ip.to_string());
    set("aws:CurrentTime", now.iso_seconds());
    set("aws:EpochTime", now.seconds().to_string());
    // Every listener of the control and data planes speaks TLS only.
    set("aws:SecureTransport", "true".to_owned());
    set("aws:PrincipalArn", caller.arn.clone());
    set("aws:PrincipalAccount", caller.account.clone());
    set("aws:RequestedRegion", scope.region.as_str().to_owned());
    set("aws:UserAgent", caller.user_agent.clone());
    set("aws:userid", caller.user_id.clone());
    let kind = match caller.kind {
        CallerKind::User => "User",
        CallerKind::AssumedRole { .. } => "AssumedRole",
        CallerKind::Device => "Device",
    };
    set("aws:PrincipalType", kind.to_owned());
    // Whole seconds, rounded down: who is as old as a revocation counts as older.
    if let Some(issued_at) = caller.token_issued_at() {
        set("aws:TokenIssueTime", issued_at.iso_seconds());
    }
    if let Some(name) = caller.user_name() {
        set("aws:username", name.to_owned());
    }
    for (key, value) in &caller.tags {
        set(&format!("aws:PrincipalTag/{key}"), value.clone());
    }
    let tags = request_tags(input);
    for (key, value) in &tags {
        if let Some(value) = value {
            set(&format!("aws:RequestTag/{key}"), value.clone());
        }
    }
    if !tags.is_empty() {
        let names = tags.into_iter().map(|(key, _)| key).collect();
        keys.insert("aws:TagKeys".to_owned(), names);
    }
    keys
}

/// The tags in the request: pairs of `tags`, bare keys of `tagKeys`, in either casing.
fn request_tags(input: &Value) -> Vec<(String, Option<String>)> {
    let text = |tag: &Value, names: [&str; 2]| {
        let found = names.iter().find_map(|name| tag.get(name)?.as_str());
        found.map(str::to_owned)
    };
    let mut found = Vec::new();
    for list in ["tags", "Tags"] {
        for tag in input
            .get(list)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            if let Some(key) = text(tag, ["Key", "key"]) {
                found.push((key, text(tag, ["Value", "value"])));
            }
        }
    }
    for list in ["tagKeys", "TagKeys"] {
        let keys = input
            .get(list)
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        found.extend(keys.filter_map(|key| Some((key.as_str()?.to_owned(), None))));
    }
    found
}

/// The same questions in the words of IoT policies.
///
/// # Errors
/// `ForbiddenException` when an action is not one that devices can be allowed.
pub(crate) fn device_requests(
    questions: &[Question],
    scope: &Scope,
) -> Result<Vec<(DeviceAction, OwnedResource)>, ApiError> {
    questions
        .iter()
        .map(|question| {
            let action = DeviceAction::ALL
                .into_iter()
                .find(|action| action.name() == question.action);
            let action = action.ok_or_else(|| {
                forbidden(format!("devices cannot be allowed {}", question.action))
            })?;
            Ok((action, device_resource(&question.resource, scope)))
        })
        .collect()
}

fn device_resource(arn: &str, scope: &Scope) -> OwnedResource {
    let prefix = scope.iot_arn("");
    let Some((kind, name)) = arn
        .strip_prefix(&prefix)
        .and_then(|rest| rest.split_once('/'))
    else {
        return OwnedResource::Any;
    };
    match kind {
        "client" => OwnedResource::Client(name.to_owned()),
        "topic" => OwnedResource::Topic(name.to_owned()),
        "topicfilter" => OwnedResource::TopicFilter(name.to_owned()),
        "rolealias" => OwnedResource::RoleAlias(name.to_owned()),
        "thing" => match name.split_once('/') {
            Some((name, shadow)) => OwnedResource::Thing {
                name: name.to_owned(),
                shadow: Some(shadow.to_owned()),
            },
            None => OwnedResource::Thing {
                name: name.to_owned(),
                shadow: None,
            },
        },
        _ => OwnedResource::Any,
    }
}

/// `ForbiddenException`, by which the data plane refuses. Source: contract core `[EP-42]`.
pub(crate) fn forbidden(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorKind::Forbidden, "ForbiddenException", message)
}

/// The words of a refusal, as AWS forms them.
// spec aws-iot [HT-23]: who, which action, which resource.
pub(crate) fn refusal_message(caller: &Caller, refused: &Refused, denial: &str) -> String {
    let Question { action, resource } = &refused.question;
    let why = match refused.decision.verdict {
        Verdict::ExplicitDeny => "with an explicit deny in an identity-based policy".to_owned(),
        Verdict::Allowed | Verdict::ImplicitDeny => {
            format!("because no identity-based policy allows the {action} action")
        }
    };
    format!(
        "User: {} is not authorized to perform: {action} on resource: {resource} {why} \
         (denial id {denial})",
        caller.arn
    )
}

/// The verdict in records.
pub(crate) fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allowed => "allowed",
        Verdict::ExplicitDeny => "explicit-deny",
        Verdict::ImplicitDeny => "implicit-deny",
    }
}

#[cfg(test)]
mod tests;
