//! Which policies are attached to which principals and groups.
//!
//! The four operations that AWS deprecated (`…PrincipalPolicy`, `…PrincipalPolicies`,
//! `…PolicyPrincipals`) do the same for principals only.
//!
//! Source: contract core `[PL-4]`, `[PL-5]`.

use std::collections::BTreeSet;
use std::sync::Arc;

use gateway::{Call, Operation};
use model::{ApiError, PolicyName};
use serde::{Deserialize, Serialize};
use storage::Tx;

use crate::pages::{Page, Window};
use crate::policies::{ListedPolicies, NameAndArn, expect};
use crate::principal::{Principal, Target};
use crate::store::policies::TimePage;
use crate::{Certificates, Done, Limits, Ports, groups, store, topics};

/// Whether any policy is attached to a principal (a certificate's ARN or an identity's id).
///
/// # Errors
/// What the storage answers.
pub fn has_policies(tx: &mut Tx<'_>, principal: &str) -> Result<bool, ApiError> {
    Ok(!store::policies::attached(tx, principal)?.is_empty())
}

/// Detaches every policy from a principal that is being deleted, and announces it.
///
/// # Errors
/// What the storage answers.
pub fn detach_all_policies(tx: &mut Tx<'_>, principal: &str) -> Result<(), ApiError> {
    if 0 < store::policies::detach_all(tx, principal)? {
        tx.changed(topics::PRINCIPAL, principal)?;
    }
    Ok(())
}

pub(crate) fn operations(ports: &Ports) -> Vec<Operation> {
    const TARGET: &str = "{target}";
    const PRINCIPAL: &str = "{principal}";
    const POLICY: &str = "policy/{policyName}";
    let limits = ports.limits;
    let certificates = || Arc::clone(&ports.certificates);
    let (new, legacy, listed) = (certificates(), certificates(), certificates());
    let of_principal = certificates();
    vec![
        Operation::write(
            "iot",
            "AttachPolicy",
            TARGET,
            move |call, input: OnTarget| {
                let target = Target::parse(call.scope, &input.target)?;
                attach(call, &*new, &limits, &input.policy_name, &target)
            },
        )
        .containment(),
        Operation::write("iot", "AttachPrincipalPolicy", PRINCIPAL, {
            move |call, input: OnPrincipal| {
                let principal = Principal::parse(call.scope, &input.principal)?;
                let target = Target::Principal(principal);
                attach(call, &*legacy, &limits, &input.policy_name, &target)
            }
        })
        .containment(),
        Operation::write("iot", "DetachPolicy", TARGET, detach_from_target).containment(),
        Operation::write(
            "iot",
            "DetachPrincipalPolicy",
            PRINCIPAL,
            detach_from_principal,
        )
        .containment(),
        Operation::read("iot", "ListAttachedPolicies", TARGET, move |call, input| {
            list_attached(call, &*listed, &input)
        }),
        Operation::read(
            "iot",
            "ListPrincipalPolicies",
            PRINCIPAL,
            move |call, input| list_of_principal(call, &*of_principal, &input),
        ),
        Operation::read("iot", "ListTargetsForPolicy", POLICY, list_targets),
        Operation::read("iot", "ListPolicyPrincipals", POLICY, list_principals),
    ]
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OnTarget {
    policy_name: PolicyName,
    target: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OnPrincipal {
    policy_name: PolicyName,
    principal: String,
}

/// Attaching again succeeds and changes nothing.
// spec aws-iot [PL-4]
fn attach(
    call: &mut Call<'_, '_>,
    certificates: &dyn Certificates,
    limits: &Limits,
    policy: &PolicyName,
    target: &Target,
) -> Result<Done, ApiError> {
    let policy = expect(call.tx, policy)?.name;
    target.check_exists(call.tx, certificates)?;
    let attached = store::policies::attached(call.tx, target.as_str())?;
    if attached.contains(&policy) {
        return Ok(Done {});
    }
    let on_group = matches!(target, Target::Group { .. });
    let max = match target {
        Target::Group { .. } => limits.policies_per_group,
        Target::Principal(_) => limits.policies_per_principal,
    };
    if max <= attached.len() {
        return Err(ApiError::limit_exceeded(format!(
            "{max} policies are attached to {target} already, which is the limit",
            target = target.as_str()
        )));
    }
    store::policies::attach(call.tx, target.as_str(), &policy, on_group)?;
    target.announce(call.tx)?;
    Ok(Done {})
}

/// Detaching what is not attached succeeds: taking access away must never depend on what is left.
fn detach_from_target(call: &mut Call<'_, '_>, input: OnTarget) -> Result<Done, ApiError> {
    let target = Target::parse(call.scope, &input.target)?;
    detach(call, &input.policy_name, &target)
}

fn detach_from_principal(call: &mut Call<'_, '_>, input: OnPrincipal) -> Result<Done, ApiError> {
    let principal = Principal::parse(call.scope, &input.principal)?;
    expect(call.tx, &input.policy_name)?;
    detach(call, &input.policy_name, &Target::Principal(principal))
}

fn detach(call: &mut Call<'_, '_>, policy: &PolicyName, target: &Target) -> Result<Done, ApiError> {
    if store::policies::detach(call.tx, target.as_str(), policy.as_str())? {
        target.announce(call.tx)?;
    }
    Ok(Done {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListAttachedPolicies {
    target: String,
    #[serde(default)]
    recursive: bool,
    #[serde(flatten)]
    window: Window,
}

/// By name; recursively, a group's list includes what it inherits from its ancestors.
fn list_attached(
    call: &mut Call<'_, '_>,
    certificates: &dyn Certificates,
    input: &ListAttachedPolicies,
) -> Result<ListedPolicies, ApiError> {
    let target = Target::parse(call.scope, &input.target)?;
    target.check_exists(call.tx, certificates)?;
    let depth = if input.recursive { "inherited" } else { "own" };
    let filters = [target.as_str(), depth];
    let page = Page::open(call.tx, "ListAttachedPolicies", &filters, &input.window)?;
    let holders = match &target {
        Target::Group { name, .. } if input.recursive => {
            store::groups::ancestors(call.tx, name.as_str())?
                .iter()
                .map(|group| groups::arn(call.scope, group))
                .collect()
        }
        _ => vec![target.as_str().to_owned()],
    };
    let mut names = BTreeSet::new();
    for holder in holders {
        names.extend(store::policies::attached(call.tx, &holder)?);
    }
    let behind = |name: &String| page.after_name() < name.as_str();
    let names = names.into_iter().filter(behind).collect();
    let (names, next_marker) = page.close(call.tx, names, |name: &String| vec![name.clone()]);
    let policies = names
        .into_iter()
        .map(|name| NameAndArn::of(call.scope, name))
        .collect();
    Ok(ListedPolicies {
        policies,
        next_marker,
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListPrincipalPolicies {
    principal: String,
    #[serde(default)]
    ascending_order: bool,
    #[serde(flatten)]
    window: Window,
}

/// In the order of attachment, the newest first unless asked otherwise.
fn list_of_principal(
    call: &mut Call<'_, '_>,
    certificates: &dyn Certificates,
    input: &ListPrincipalPolicies,
) -> Result<ListedPolicies, ApiError> {
    let principal = Principal::parse(call.scope, &input.principal)?;
    principal.check_exists(call.tx, certificates)?;
    let order = order(input.ascending_order);
    let filters = [principal.as_str(), order];
    let page = Page::open(call.tx, "ListPrincipalPolicies", &filters, &input.window)?;
    let times = times(&page, input.ascending_order);
    let found = store::policies::page_of_target(call.tx, principal.as_str(), times)?;
    let (found, next_marker) = page.close(call.tx, found, |policy| policy.key());
    let policies = found
        .into_iter()
        .map(|policy| NameAndArn::of(call.scope, policy.name))
        .collect();
    Ok(ListedPolicies {
        policies,
        next_marker,
    })
}

fn order(ascending: bool) -> &'static str {
    if ascending { "ascending" } else { "descending" }
}

fn times(page: &Page, ascending: bool) -> TimePage<'_> {
    TimePage {
        ascending,
        after: page.after_dated(),
        rows: page.rows(),
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListOfPolicy {
    policy_name: PolicyName,
    #[serde(default)]
    ascending_order: bool,
    #[serde(flatten)]
    window: Window,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedTargets {
    targets: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedPrincipals {
    principals: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
}

/// Which targets of a policy a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    All,
    Principals,
}

fn list_targets(call: &mut Call<'_, '_>, input: ListOfPolicy) -> Result<ListedTargets, ApiError> {
    let input = ListOfPolicy {
        ascending_order: true,
        ..input
    };
    let (targets, next_marker) = targets(call, &input, "ListTargetsForPolicy", Shown::All)?;
    Ok(ListedTargets {
        targets,
        next_marker,
    })
}

fn list_principals(
    call: &mut Call<'_, '_>,
    input: ListOfPolicy,
) -> Result<ListedPrincipals, ApiError> {
    let (principals, next_marker) =
        targets(call, &input, "ListPolicyPrincipals", Shown::Principals)?;
    Ok(ListedPrincipals {
        principals,
        next_marker,
    })
}

fn targets(
    call: &mut Call<'_, '_>,
    input: &ListOfPolicy,
    list: &str,
    shown: Shown,
) -> Result<(Vec<String>, Option<String>), ApiError> {
    let policy = expect(call.tx, &input.policy_name)?.name;
    let filters = [policy.as_str(), order(input.ascending_order)];
    let page = Page::open(call.tx, list, &filters, &input.window)?;
    let times = times(&page, input.ascending_order);
    let with_groups = shown == Shown::All;
    let found = store::policies::page_of_policy(call.tx, &policy, with_groups, times)?;
    let (found, marker) = page.close(call.tx, found, |target| target.key());
    Ok((
        found.into_iter().map(|target| target.name).collect(),
        marker,
    ))
}
