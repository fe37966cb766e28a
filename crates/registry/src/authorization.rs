//! What a device's verdict rests on, and the operations that show it.
//!
//! [`facts`] gathers it for the broker; `TestAuthorization` and `GetEffectivePolicies` answer
//! from the same facts and the same engine, so that a test cannot say other than the broker does.
//!
//! Source: contract core 7.6, 7.8.

mod documents;
mod test;

use std::collections::BTreeSet;
use std::sync::Arc;

use gateway::{Call, Operation};
use model::{ApiError, CertificateId, Scope, ThingName};
use policy::{Facts, GroupFacts, NamedPolicy, ThingFacts};
use serde::{Deserialize, Serialize};
use storage::Tx;

use crate::principal::Principal;
use crate::principals::first;
use crate::store::things::Thing;
use crate::{Certificates, Ports, groups, store, things};

pub use documents::Documents;

/// Everything that decides what the holder of a certificate may do.
///
/// A stored document that this version cannot parse is an error, so that a Deny in it is never
/// passed over.
///
/// # Errors
/// What the storage or the certificates port answers.
pub fn facts(
    tx: &mut Tx<'_>,
    scope: &Scope,
    certificate: &CertificateId,
    certificates: &dyn Certificates,
    documents: &Documents,
) -> Result<Facts, ApiError> {
    let arn = scope.iot_arn(&format!("cert/{certificate}"));
    Ok(Facts {
        certificate: certificates.facts(tx, certificate)?,
        things: things_of(tx, scope, &arn, documents)?,
        policies: policies_of(tx, scope, &arn, documents)?,
    })
}

/// The things attached to a principal (a certificate's ARN or an identity's id), with all their
/// groups.
///
/// # Errors
/// As [`facts`].
pub fn things_of(
    tx: &mut Tx<'_>,
    scope: &Scope,
    principal: &str,
    documents: &Documents,
) -> Result<Vec<ThingFacts>, ApiError> {
    // `Limits::things_per_principal` bounded them when they were attached.
    let attached = store::principals::things(tx, principal, first(usize::MAX))?;
    let mut facts = Vec::with_capacity(attached.len());
    for attachment in attached {
        if let Some(thing) = store::things::find(tx, &attachment.other)? {
            facts.push(thing_facts(
                tx,
                scope,
                thing,
                attachment.exclusive,
                documents,
            )?);
        }
    }
    Ok(facts)
}

fn thing_facts(
    tx: &mut Tx<'_>,
    scope: &Scope,
    thing: Thing,
    exclusive: bool,
    documents: &Documents,
) -> Result<ThingFacts, ApiError> {
    let mut groups = Vec::new();
    for name in store::groups::all_of_thing(tx, &thing.name)? {
        let arn = groups::arn(scope, &name);
        let policies = policies_of(tx, scope, &arn, documents)?;
        groups.push(GroupFacts {
            name,
            arn,
            policies,
        });
    }
    Ok(ThingFacts {
        name: thing.name,
        thing_type: thing.thing_type,
        attributes: thing.attributes,
        exclusive,
        groups,
    })
}

/// The policies attached to a principal or to a group's ARN, in their default versions.
///
/// # Errors
/// As [`facts`].
pub fn policies_of(
    tx: &mut Tx<'_>,
    scope: &Scope,
    target: &str,
    documents: &Documents,
) -> Result<Vec<NamedPolicy>, ApiError> {
    store::policies::attached_documents(tx, target)?
        .into_iter()
        .map(|version| documents.named(scope, version))
        .collect()
}

/// The default version of a policy; `None` when there is no such policy.
///
/// # Errors
/// As [`facts`].
pub fn policy_now(
    tx: &mut Tx<'_>,
    scope: &Scope,
    name: &str,
    documents: &Documents,
) -> Result<Option<NamedPolicy>, ApiError> {
    let Some(policy) = store::policies::find(tx, name)? else {
        return Ok(None);
    };
    let version = store::policies::find_version(tx, name, policy.default_version)?;
    version
        .map(|version| documents.named(scope, version))
        .transpose()
}

/// The policies of a group, and the things below it.
pub type GroupNow = (Vec<NamedPolicy>, BTreeSet<String>);

/// The policies attached to a group, and the things in it or below it; `None` when those are more
/// than `things_max`. A group that is not there has neither.
///
/// # Errors
/// As [`facts`].
pub fn group_now(
    tx: &mut Tx<'_>,
    scope: &Scope,
    name: &str,
    documents: &Documents,
    things_max: usize,
) -> Result<Option<GroupNow>, ApiError> {
    let rows = i64::try_from(things_max.saturating_add(1)).unwrap_or(i64::MAX);
    let things = store::groups::members(tx, name, true, "", rows)?;
    if things_max < things.len() {
        return Ok(None);
    }
    let policies = policies_of(tx, scope, &groups::arn(scope, name), documents)?;
    Ok(Some((policies, things.into_iter().collect())))
}

pub(crate) fn operations(ports: &Ports) -> Vec<Operation> {
    let (effective, tested) = (ports.clone(), ports.clone());
    vec![
        Operation::read(
            "iot",
            "GetEffectivePolicies",
            "{principal}",
            move |call, input| effective_policies(call, &effective, &input),
        ),
        Operation::read(
            "iot",
            "TestAuthorization",
            "{principal}",
            move |call, input| test::test_authorization(call, &tested, &input),
        ),
    ]
}

/// The principal that a request names; a Cognito identity pool is none of ours.
fn expect_principal(
    call: &mut Call<'_, '_>,
    certificates: &dyn Certificates,
    principal: Option<&str>,
    pool: Option<&str>,
) -> Result<Principal, ApiError> {
    if pool.is_some() {
        return Err(ApiError::invalid(
            "cognitoIdentityPoolId: there are no Cognito identity pools here; name a principal",
        ));
    }
    let Some(principal) = principal else {
        return Err(ApiError::invalid("principal is required"));
    };
    let principal = Principal::parse(call.scope, principal)?;
    principal.check_exists(call.tx, certificates)?;
    Ok(principal)
}

/// The facts of a principal of either kind.
fn facts_of(
    call: &mut Call<'_, '_>,
    ports: &Ports,
    principal: &Principal,
) -> Result<Facts, ApiError> {
    match principal {
        Principal::Certificate { id, .. } => facts(
            call.tx,
            call.scope,
            id,
            &*ports.certificates,
            &ports.documents,
        ),
        Principal::Identity(id) => Ok(Facts {
            certificate: None,
            things: things_of(call.tx, call.scope, id, &ports.documents)?,
            policies: policies_of(call.tx, call.scope, id, &ports.documents)?,
        }),
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GetEffectivePolicies {
    principal: Option<String>,
    cognito_identity_pool_id: Option<String>,
    thing_name: Option<ThingName>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EffectivePolicies {
    effective_policies: Vec<EffectivePolicy>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EffectivePolicy {
    policy_name: String,
    policy_arn: String,
    policy_document: String,
}

/// The principal's own policies and those of a thing's groups: of the thing that is named, else of
/// the thing that the principal is attached to exclusively.
// spec aws-iot [PL-61]
fn effective_policies(
    call: &mut Call<'_, '_>,
    ports: &Ports,
    input: &GetEffectivePolicies,
) -> Result<EffectivePolicies, ApiError> {
    let pool = input.cognito_identity_pool_id.as_deref();
    let named = input.principal.as_deref();
    let principal = expect_principal(call, &*ports.certificates, named, pool)?;
    let documents = &*ports.documents;
    let Facts {
        things, policies, ..
    } = facts_of(call, ports, &principal)?;
    let thing = match &input.thing_name {
        Some(name) => {
            let thing = things::expect(call.tx, name)?;
            Some(thing_facts(call.tx, call.scope, thing, false, documents)?)
        }
        None => things.into_iter().find(|thing| thing.exclusive),
    };
    let of_groups = thing.into_iter().flat_map(|thing| thing.groups);
    let mut seen = BTreeSet::new();
    let effective_policies = policies
        .into_iter()
        .chain(of_groups.flat_map(|group| group.policies))
        .filter(|policy| seen.insert(Arc::clone(&policy.name)))
        .map(|policy| EffectivePolicy {
            policy_name: policy.name.to_string(),
            policy_arn: policy.arn.to_string(),
            policy_document: policy.text.to_string(),
        })
        .collect();
    Ok(EffectivePolicies { effective_policies })
}
