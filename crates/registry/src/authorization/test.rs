//! `TestAuthorization`: what the broker would decide, without connecting.
//!
//! The device is imagined at the caller's address, over TLS, without a will and with a clean
//! session.
//!
//! Source: contract core `[PL-60]`, `[PL-62]`.

use std::collections::BTreeSet;
use std::sync::Arc;

use gateway::Call;
use model::{ApiError, PolicyName, Profile, Scope};
use policy::{
    Authorizer, Connection, DeviceAction, Effect, Facts, Hardening, NamedPolicy, Request, Resource,
    StatementRef, Verdict,
};
use serde::{Deserialize, Serialize};

use super::{expect_principal, facts_of};
use crate::policies::{self, NameAndArn};
use crate::{Ports, store};

/// Resources of one call, because each is explained at length.
const RESOURCES_MAX: usize = 1000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TestAuthorization {
    principal: Option<String>,
    cognito_identity_pool_id: Option<String>,
    auth_infos: Vec<AuthInfo>,
    client_id: Option<String>,
    #[serde(default)]
    policy_names_to_add: BTreeSet<PolicyName>,
    #[serde(default)]
    policy_names_to_skip: BTreeSet<PolicyName>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthInfo {
    action_type: Option<ActionType>,
    resources: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum ActionType {
    Publish,
    Subscribe,
    Receive,
    Connect,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TestedAuthorization {
    auth_results: Vec<AuthResult>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AuthResult {
    auth_info: AuthInfo,
    allowed: Policies,
    denied: Denied,
    auth_decision: Verdict,
    missing_context_values: BTreeSet<String>,
}

#[derive(Debug, Default, Serialize)]
struct Policies {
    policies: Vec<NameAndArn>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Denied {
    implicit_deny: Policies,
    explicit_deny: Policies,
}

impl Policies {
    fn add(&mut self, policy_name: &str, policy_arn: &str) {
        let policy = NameAndArn {
            policy_name: policy_name.to_owned(),
            policy_arn: policy_arn.to_owned(),
        };
        if !self.policies.contains(&policy) {
            self.policies.push(policy);
        }
    }

    fn add_deciding(&mut self, statements: &[StatementRef], effect: Effect) {
        for statement in statements.iter().filter(|found| found.effect == effect) {
            self.add(&statement.policy_name, &statement.policy_arn);
        }
    }
}

pub(crate) fn test_authorization(
    call: &mut Call<'_, '_>,
    ports: &Ports,
    input: &TestAuthorization,
) -> Result<TestedAuthorization, ApiError> {
    let pool = input.cognito_identity_pool_id.as_deref();
    let named = input.principal.as_deref();
    let principal = expect_principal(call, &*ports.certificates, named, pool)?;
    check_counts(input, ports)?;
    let mut facts = facts_of(call, ports, &principal)?;
    skip(&mut facts, &input.policy_names_to_skip);
    add(call, ports, &mut facts, &input.policy_names_to_add)?;

    let connection = Connection {
        client_id: input.client_id.clone(),
        source_ip: call.caller.source_ip,
        persistent: false,
        last_will_topic: None,
        has_will: false,
        domain_name: None,
        secure_transport: true,
    };
    let hardening = match call.profile {
        Profile::Standard => Hardening::standard(),
        Profile::Aws => Hardening::aws(),
    };
    let facts = Arc::new(facts);
    let scope = policy_scope(call.scope);
    let authorizer = Authorizer::new(Arc::clone(&facts), &connection, &scope, hardening);
    let auth_results = input
        .auth_infos
        .iter()
        .map(|info| decided(call, &authorizer, &facts, info))
        .collect::<Result<_, _>>()?;
    Ok(TestedAuthorization { auth_results })
}

fn check_counts(input: &TestAuthorization, ports: &Ports) -> Result<(), ApiError> {
    let resources = input.auth_infos.iter().map(|info| info.resources.len());
    if RESOURCES_MAX < resources.sum() {
        return Err(ApiError::invalid(format!(
            "authInfos: at most {RESOURCES_MAX} resources in all"
        )));
    }
    let max = ports.limits.policies_per_principal;
    if max < input.policy_names_to_add.len() {
        return Err(ApiError::invalid(format!(
            "policyNamesToAdd: at most {max}, as many as can be attached"
        )));
    }
    Ok(())
}

fn policy_scope(scope: &Scope) -> policy::Scope {
    policy::Scope {
        partition: scope.partition.clone(),
        region: scope.region.to_string(),
        account: scope.account.to_string(),
    }
}

/// Leaves out policies wherever they are attached.
fn skip(facts: &mut Facts, names: &BTreeSet<PolicyName>) {
    let names: BTreeSet<&str> = names.iter().map(PolicyName::as_str).collect();
    let kept = |policy: &NamedPolicy| !names.contains(&*policy.name);
    facts.policies.retain(kept);
    for thing in &mut facts.things {
        for group in &mut thing.groups {
            group.policies.retain(kept);
        }
    }
}

/// Adds policies as if they were attached to the principal.
fn add(
    call: &mut Call<'_, '_>,
    ports: &Ports,
    facts: &mut Facts,
    names: &BTreeSet<PolicyName>,
) -> Result<(), ApiError> {
    for name in names {
        let found = policies::expect(call.tx, name)?;
        let version = store::policies::find_version(call.tx, &found.name, found.default_version)?;
        let attached = facts
            .policies
            .iter()
            .any(|policy| &*policy.name == name.as_str());
        if let Some(version) = version
            && !attached
        {
            facts
                .policies
                .push(ports.documents.named(call.scope, version)?);
        }
    }
    Ok(())
}

/// The verdict on one action: all its resources must be allowed.
fn decided(
    call: &Call<'_, '_>,
    authorizer: &Authorizer,
    facts: &Facts,
    info: &AuthInfo,
) -> Result<AuthResult, ApiError> {
    let action_type = info
        .action_type
        .ok_or_else(|| ApiError::invalid("authInfos: each needs an actionType"))?;
    let mut verdict = Verdict::Allowed;
    let (mut allowed, mut explicit) = (Policies::default(), Policies::default());
    let mut implicit = Policies::default();
    let mut missing_context_values = BTreeSet::new();
    if info.resources.is_empty() {
        return Err(ApiError::invalid(
            "authInfos: each needs at least one resource",
        ));
    }
    for arn in &info.resources {
        let (action, kind) = action_type.action_and_kind();
        let name = call.scope.iot_name(arn, kind).ok_or_else(|| {
            ApiError::invalid(format!(
                "authInfos: `{arn}` is not the ARN of a {kind} of this account and region, \
                 which is what {} is about",
                action.name()
            ))
        })?;
        let explanation = authorizer.explain(&Request {
            action,
            resource: action_type.resource(&name),
            now_ms: call.now().millis(),
        });
        match explanation.verdict {
            Verdict::Allowed => allowed.add_deciding(&explanation.deciding, Effect::Allow),
            Verdict::ExplicitDeny => explicit.add_deciding(&explanation.deciding, Effect::Deny),
            Verdict::ImplicitDeny => {
                for policy in consulted(authorizer, facts) {
                    implicit.add(&policy.name, &policy.arn);
                }
            }
        }
        verdict = verdict.and(explanation.verdict);
        missing_context_values.extend(explanation.missing);
    }
    Ok(AuthResult {
        auth_info: info.clone(),
        allowed,
        denied: Denied {
            implicit_deny: implicit,
            explicit_deny: explicit,
        },
        auth_decision: verdict,
        missing_context_values,
    })
}

/// The policies that could have allowed: the principal's own and those of the thing's groups.
fn consulted<'a>(
    authorizer: &'a Authorizer,
    facts: &'a Facts,
) -> impl Iterator<Item = &'a NamedPolicy> {
    let groups = authorizer
        .resolved_thing()
        .into_iter()
        .flat_map(|thing| &thing.groups);
    facts
        .policies
        .iter()
        .chain(groups.flat_map(|group| &group.policies))
}

impl ActionType {
    /// The action and the kind of its resources' ARNs.
    fn action_and_kind(self) -> (DeviceAction, &'static str) {
        match self {
            Self::Publish => (DeviceAction::Publish, "topic"),
            Self::Subscribe => (DeviceAction::Subscribe, "topicfilter"),
            Self::Receive => (DeviceAction::Receive, "topic"),
            Self::Connect => (DeviceAction::Connect, "client"),
        }
    }

    fn resource(self, name: &str) -> Resource<'_> {
        match self {
            Self::Publish | Self::Receive => Resource::Topic(name),
            Self::Subscribe => Resource::TopicFilter(name),
            Self::Connect => Resource::Client(name),
        }
    }
}
