//! Tags: up to fifty names and values on a resource, keyed by its ARN.
//!
//! Things and device certificates are not taggable. Tags of CA certificates are kept here too,
//! because an ARN is all they need; whether the CA exists is asked through the port.
//!
//! Source: contract core `[HT-31]`.

use std::collections::BTreeSet;
use std::sync::Arc;

use gateway::{Call, Operation};
use model::{ApiError, Arn, CertificateId, Scope};
use serde::{Deserialize, Serialize};
use storage::Tx;

use crate::pages::{Page, Window};
use crate::{Certificates, Done, Limits, Ports, store};

/// A tag of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Tag {
    /// 1 to 128 characters, not beginning with `aws:`.
    pub key: String,
    /// At most 256 characters.
    #[serde(default)]
    pub value: String,
}

/// Gives `tags` to the resource `arn`, which the caller has just created.
///
/// # Errors
/// `InvalidRequestException` for a reserved or repeated key, or more than `limits.tags` in all.
pub fn put_tags(tx: &mut Tx<'_>, limits: &Limits, arn: &str, tags: &[Tag]) -> Result<(), ApiError> {
    write(tx, limits, arn, tags, ApiError::invalid)
}

/// Adds or overwrites `tags`; `refused` makes the error when they become too many.
fn write(
    tx: &mut Tx<'_>,
    limits: &Limits,
    arn: &str,
    tags: &[Tag],
    refused: fn(String) -> ApiError,
) -> Result<(), ApiError> {
    check_tags(tags)?;
    let max = limits.tags;
    let too_many = || refused(format!("tags: a resource has at most {max} tags"));
    if max < tags.len() {
        return Err(too_many());
    }
    for tag in tags {
        store::tags::put(tx, arn, tag)?;
    }
    if max < store::tags::all(tx, arn)?.len() {
        return Err(too_many());
    }
    Ok(())
}

/// Removes all tags of a resource that is being deleted.
///
/// # Errors
/// What the storage answers.
pub fn delete_tags(tx: &mut Tx<'_>, arn: &str) -> Result<(), ApiError> {
    store::tags::delete_all(tx, arn)
}

fn check_tags(tags: &[Tag]) -> Result<(), ApiError> {
    let mut seen = BTreeSet::new();
    for Tag { key, value } in tags {
        if key.starts_with("aws:") {
            return Err(ApiError::invalid(format!(
                "tags: the key `{key}` begins with `aws:`, which is reserved"
            )));
        }
        if value.contains('\0') {
            return Err(ApiError::invalid(format!(
                "tags: the value of `{key}` has a character U+0000"
            )));
        }
        if !seen.insert(key) {
            return Err(ApiError::invalid(format!(
                "tags: the key `{key}` is given twice"
            )));
        }
    }
    Ok(())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TagResource {
    resource_arn: String,
    tags: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct UntagResource {
    resource_arn: String,
    tag_keys: BTreeSet<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListTagsForResource {
    resource_arn: String,
    #[serde(flatten)]
    window: Window,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedTags {
    tags: Vec<Tag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(crate) fn operations(ports: &Ports) -> Vec<Operation> {
    let limits = ports.limits;
    let certificates = || Arc::clone(&ports.certificates);
    let (tagged, untagged, listed) = (certificates(), certificates(), certificates());
    vec![
        Operation::write("iot", "TagResource", "{resourceArn}", move |call, input| {
            tag(call, &*tagged, &limits, &input)
        }),
        Operation::write(
            "iot",
            "UntagResource",
            "{resourceArn}",
            move |call, input| untag(call, &*untagged, &input),
        ),
        Operation::read(
            "iot",
            "ListTagsForResource",
            "{resourceArn}",
            move |call, input| list(call, &*listed, &input),
        ),
    ]
}

fn tag(
    call: &mut Call<'_, '_>,
    certificates: &dyn Certificates,
    limits: &Limits,
    input: &TagResource,
) -> Result<Done, ApiError> {
    let TagResource { resource_arn, tags } = input;
    check_resource(call.tx, call.scope, certificates, resource_arn)?;
    // spec aws-iot [HT-24]: only this operation models the exception for too many.
    write(
        call.tx,
        limits,
        resource_arn,
        tags,
        ApiError::limit_exceeded,
    )?;
    Ok(Done {})
}

fn untag(
    call: &mut Call<'_, '_>,
    certificates: &dyn Certificates,
    input: &UntagResource,
) -> Result<Done, ApiError> {
    let UntagResource {
        resource_arn,
        tag_keys,
    } = input;
    check_resource(call.tx, call.scope, certificates, resource_arn)?;
    for Tag { key, .. } in store::tags::all(call.tx, resource_arn)? {
        if tag_keys.contains(&key) {
            store::tags::delete(call.tx, resource_arn, &key)?;
        }
    }
    Ok(Done {})
}

fn list(
    call: &mut Call<'_, '_>,
    certificates: &dyn Certificates,
    input: &ListTagsForResource,
) -> Result<ListedTags, ApiError> {
    let arn = &input.resource_arn;
    check_resource(call.tx, call.scope, certificates, arn)?;
    let page = Page::open(call.tx, "ListTagsForResource", &[arn], &input.window)?;
    let behind = |tag: &Tag| page.after_name() < tag.key.as_str();
    let tags = store::tags::all(call.tx, arn)?.into_iter().filter(behind);
    let (tags, next_token) = page.close(call.tx, tags.collect(), |tag: &Tag| vec![tag.key.clone()]);
    Ok(ListedTags { tags, next_token })
}

/// Refuses what cannot be tagged and what does not exist.
fn check_resource(
    tx: &mut Tx<'_>,
    scope: &Scope,
    certificates: &dyn Certificates,
    arn: &str,
) -> Result<(), ApiError> {
    let not_taggable = || {
        ApiError::invalid(format!(
            "resourceArn: `{arn}` is not the ARN of a taggable resource of this account and region"
        ))
    };
    let parsed = Arn::parse(arn).map_err(|_| not_taggable())?;
    let (kind, _) = parsed.kind_and_name().ok_or_else(not_taggable)?;
    let name = scope.iot_name(arn, kind).ok_or_else(not_taggable)?;
    let exists = match kind {
        "thingtype" => store::thing_types::find(tx, &name)?.is_some(),
        "thinggroup" => store::groups::exists(tx, &name)?,
        "billinggroup" => store::billing_groups::find(tx, &name)?.is_some(),
        "policy" => store::policies::find(tx, &name)?.is_some(),
        "cacert" => match CertificateId::parse(&name) {
            Ok(id) => certificates.ca_exists(tx, &id)?,
            Err(_) => false,
        },
        _ => return Err(not_taggable()),
    };
    if exists {
        Ok(())
    } else {
        Err(ApiError::not_found(format!("{arn} does not exist")))
    }
}
