//! IoT policies and their versions; what they are attached to is in `policy_attachments`.
//!
//! Documents are checked by the parser that evaluates them, so what is stored can be decided by.
//!
//! Source: contract core `[PL-1]` to `[PL-3]`.

use gateway::{Call, Operation};
use model::{ApiError, ErrorKind, PolicyName, Scope, random_hex};
use policy::{DOCUMENT_CHARS_MAX, Dialect, Document, significant_len};
use serde::{Deserialize, Serialize};
use storage::Tx;

use crate::pages::{Page, Window};
use crate::store::policies::{Policy, TimePage, Version};
use crate::tags::{Tag, delete_tags, put_tags};
use crate::{Done, Limits, Ports, store, topics};

pub(crate) fn operations(ports: &Ports) -> Vec<Operation> {
    const POLICY: &str = "policy/{policyName}";
    let limits = ports.limits;
    vec![
        Operation::write("iot", "CreatePolicy", POLICY, move |call, input| {
            create(call, &limits, input)
        }),
        Operation::read("iot", "GetPolicy", POLICY, describe),
        Operation::write("iot", "DeletePolicy", POLICY, delete),
        Operation::read("iot", "ListPolicies", "*", list),
        Operation::write("iot", "CreatePolicyVersion", POLICY, move |call, input| {
            create_version(call, &limits, input)
        })
        .containment(),
        Operation::read("iot", "GetPolicyVersion", POLICY, describe_version),
        Operation::read("iot", "ListPolicyVersions", POLICY, list_versions),
        Operation::write("iot", "DeletePolicyVersion", POLICY, delete_version),
        Operation::write("iot", "SetDefaultPolicyVersion", POLICY, set_default).containment(),
    ]
}

pub(crate) fn arn(scope: &Scope, name: &str) -> String {
    scope.iot_arn(&format!("policy/{name}"))
}

/// The policy, or `ResourceNotFoundException`.
pub(crate) fn expect(tx: &mut Tx<'_>, name: &PolicyName) -> Result<Policy, ApiError> {
    store::policies::find(tx, name.as_str())?
        .ok_or_else(|| ApiError::not_found(format!("policy {name} does not exist")))
}

fn expect_version(tx: &mut Tx<'_>, policy: &Policy, id: &str) -> Result<Version, ApiError> {
    let found = match id.parse() {
        Ok(number) => store::policies::find_version(tx, &policy.name, number)?,
        Err(_) => None,
    };
    found.ok_or_else(|| {
        let name = &policy.name;
        ApiError::not_found(format!("policy {name} has no version {id}"))
    })
}

// spec aws-iot [PL-1] [PL-2]
fn check_document(limits: &Limits, text: &str) -> Result<(), ApiError> {
    let malformed =
        |why: String| ApiError::new(ErrorKind::Invalid, "MalformedPolicyException", why);
    let max = limits.policy_chars.min(DOCUMENT_CHARS_MAX);
    let count = significant_len(text);
    if max < count {
        return Err(malformed(format!(
            "the policy document has {count} characters, white space not counted; \
             the limit is {max}"
        )));
    }
    Document::parse(text, Dialect::Iot).map_err(|error| malformed(error.to_string()))?;
    Ok(())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreatePolicy {
    policy_name: PolicyName,
    policy_document: String,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CreatedPolicy {
    policy_name: String,
    policy_arn: String,
    policy_document: String,
    policy_version_id: String,
}

fn create(
    call: &mut Call<'_, '_>,
    limits: &Limits,
    input: CreatePolicy,
) -> Result<CreatedPolicy, ApiError> {
    let name = input.policy_name.as_str();
    let arn = arn(call.scope, name);
    check_document(limits, &input.policy_document)?;
    if store::policies::find(call.tx, name)?.is_some() {
        let message = format!("policy {name} already exists in this account");
        return Err(ApiError::already_exists(message, name, &arn));
    }
    let now = call.now();
    let policy = Policy {
        name: name.to_owned(),
        default_version: 1,
        last_version: 1,
        generation: random_hex::<16>(),
        created_at: now,
        modified_at: now,
    };
    store::policies::insert(call.tx, &policy)?;
    store::policies::insert_version(
        call.tx,
        &Version {
            policy: policy.name.clone(),
            version: 1,
            document: input.policy_document.clone(),
            generation: random_hex::<16>(),
            created_at: now,
        },
    )?;
    put_tags(call.tx, limits, &arn, &input.tags)?;
    Ok(CreatedPolicy {
        policy_name: policy.name,
        policy_arn: arn,
        policy_document: input.policy_document,
        policy_version_id: "1".to_owned(),
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OnePolicy {
    policy_name: PolicyName,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DescribedPolicy {
    policy_name: String,
    policy_arn: String,
    policy_document: String,
    default_version_id: String,
    creation_date: f64,
    last_modified_date: f64,
    generation_id: String,
}

fn describe(call: &mut Call<'_, '_>, input: OnePolicy) -> Result<DescribedPolicy, ApiError> {
    let policy = expect(call.tx, &input.policy_name)?;
    let default_version_id = policy.default_version.to_string();
    let version = expect_version(call.tx, &policy, &default_version_id)?;
    Ok(DescribedPolicy {
        policy_arn: arn(call.scope, &policy.name),
        policy_name: policy.name,
        policy_document: version.document,
        default_version_id,
        creation_date: policy.created_at.epoch_seconds(),
        last_modified_date: policy.modified_at.epoch_seconds(),
        generation_id: policy.generation,
    })
}

// spec aws-iot [PL-3]
fn delete(call: &mut Call<'_, '_>, input: OnePolicy) -> Result<Done, ApiError> {
    let name = expect(call.tx, &input.policy_name)?.name;
    if store::policies::has_targets(call.tx, &name)? {
        return Err(ApiError::delete_conflict(format!(
            "policy {name} is attached to principals or groups; detach it first"
        )));
    }
    if 1 < store::policies::versions(call.tx, &name)?.len() {
        return Err(ApiError::delete_conflict(format!(
            "policy {name} has versions besides its default version; delete them first"
        )));
    }
    store::policies::delete(call.tx, &name)?;
    delete_tags(call.tx, &arn(call.scope, &name))?;
    call.tx.changed(topics::POLICY, &name)?;
    Ok(Done {})
}

/// A policy in a list.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NameAndArn {
    pub(crate) policy_name: String,
    pub(crate) policy_arn: String,
}

impl NameAndArn {
    pub(crate) fn of(scope: &Scope, name: String) -> Self {
        Self {
            policy_arn: arn(scope, &name),
            policy_name: name,
        }
    }
}

/// A page of policies.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListedPolicies {
    pub(crate) policies: Vec<NameAndArn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_marker: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListPolicies {
    #[serde(default)]
    ascending_order: bool,
    #[serde(flatten)]
    window: Window,
}

/// In the order of creation, the newest first unless asked otherwise.
fn list(call: &mut Call<'_, '_>, input: ListPolicies) -> Result<ListedPolicies, ApiError> {
    let ascending = input.ascending_order;
    let filters = [if ascending { "ascending" } else { "descending" }];
    let page = Page::open(call.tx, "ListPolicies", &filters, &input.window)?;
    let found = store::policies::page(
        call.tx,
        TimePage {
            ascending,
            after: page.after_dated(),
            rows: page.rows(),
        },
    )?;
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

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreatePolicyVersion {
    policy_name: PolicyName,
    policy_document: String,
    #[serde(default)]
    set_as_default: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CreatedVersion {
    policy_arn: String,
    policy_document: String,
    policy_version_id: String,
    is_default_version: bool,
}

// spec aws-iot [PL-3]: ids rise and are never used again.
fn create_version(
    call: &mut Call<'_, '_>,
    limits: &Limits,
    input: CreatePolicyVersion,
) -> Result<CreatedVersion, ApiError> {
    check_document(limits, &input.policy_document)?;
    let mut policy = expect(call.tx, &input.policy_name)?;
    let max = limits.policy_versions;
    if max <= store::policies::versions(call.tx, &policy.name)?.len() {
        let name = &policy.name;
        return Err(ApiError::new(
            ErrorKind::Conflict,
            "VersionsLimitExceededException",
            format!("policy {name} has {max} versions already, which is the limit; delete one"),
        ));
    }
    policy.last_version += 1;
    let version = policy.last_version;
    let now = call.now();
    store::policies::insert_version(
        call.tx,
        &Version {
            policy: policy.name.clone(),
            version,
            document: input.policy_document.clone(),
            generation: random_hex::<16>(),
            created_at: now,
        },
    )?;
    if input.set_as_default {
        policy.default_version = version;
        call.tx.changed(topics::POLICY, &policy.name)?;
    }
    save(call, &mut policy)?;
    Ok(CreatedVersion {
        policy_arn: arn(call.scope, &policy.name),
        policy_document: input.policy_document,
        policy_version_id: version.to_string(),
        is_default_version: input.set_as_default,
    })
}

/// Saves a policy that was modified now.
fn save(call: &mut Call<'_, '_>, policy: &mut Policy) -> Result<(), ApiError> {
    policy.generation = random_hex::<16>();
    policy.modified_at = call.now();
    store::policies::update(call.tx, policy)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OneVersion {
    policy_name: PolicyName,
    policy_version_id: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DescribedVersion {
    policy_arn: String,
    policy_name: String,
    policy_document: String,
    policy_version_id: String,
    is_default_version: bool,
    creation_date: f64,
    last_modified_date: f64,
    generation_id: String,
}

fn describe_version(
    call: &mut Call<'_, '_>,
    input: OneVersion,
) -> Result<DescribedVersion, ApiError> {
    let policy = expect(call.tx, &input.policy_name)?;
    let version = expect_version(call.tx, &policy, &input.policy_version_id)?;
    Ok(DescribedVersion {
        policy_arn: arn(call.scope, &policy.name),
        policy_name: policy.name,
        policy_document: version.document,
        policy_version_id: version.version.to_string(),
        is_default_version: version.version == policy.default_version,
        creation_date: version.created_at.epoch_seconds(),
        last_modified_date: version.created_at.epoch_seconds(),
        generation_id: version.generation,
    })
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedVersions {
    policy_versions: Vec<ListedVersion>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedVersion {
    version_id: String,
    is_default_version: bool,
    create_date: f64,
}

fn list_versions(call: &mut Call<'_, '_>, input: OnePolicy) -> Result<ListedVersions, ApiError> {
    let policy = expect(call.tx, &input.policy_name)?;
    let policy_versions = store::policies::versions(call.tx, &policy.name)?
        .into_iter()
        .map(|version| ListedVersion {
            version_id: version.version.to_string(),
            is_default_version: version.version == policy.default_version,
            create_date: version.created_at.epoch_seconds(),
        })
        .collect();
    Ok(ListedVersions { policy_versions })
}

fn delete_version(call: &mut Call<'_, '_>, input: OneVersion) -> Result<Done, ApiError> {
    let mut policy = expect(call.tx, &input.policy_name)?;
    let version = expect_version(call.tx, &policy, &input.policy_version_id)?.version;
    if version == policy.default_version {
        let name = &policy.name;
        return Err(ApiError::delete_conflict(format!(
            "version {version} is the default version of policy {name}; \
             make another the default, or delete the policy"
        )));
    }
    store::policies::delete_version(call.tx, &policy.name, version)?;
    save(call, &mut policy)?;
    Ok(Done {})
}

fn set_default(call: &mut Call<'_, '_>, input: OneVersion) -> Result<Done, ApiError> {
    let mut policy = expect(call.tx, &input.policy_name)?;
    let version = expect_version(call.tx, &policy, &input.policy_version_id)?.version;
    if version != policy.default_version {
        policy.default_version = version;
        call.tx.changed(topics::POLICY, &policy.name)?;
        save(call, &mut policy)?;
    }
    Ok(Done {})
}
