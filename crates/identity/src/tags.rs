//! Tags of users and roles; `aws:PrincipalTag/…` in policies sees them.
//!
//! Source: IAM User Guide, "Tags for IAM resources": keys are compared without regard to case,
//! which they keep, because policies compare the names of condition keys that way.

use std::collections::BTreeSet;

use gateway::{Call, Operation};
use model::ApiError;
use serde::{Deserialize, Serialize};
use storage::Tx;

use crate::error::{invalid_input, limit};
use crate::lists::{Next, Page};
use crate::owner::{OfRole, OfUser, Owner};
use crate::store;
use crate::users::Nothing;

/// Tags of one user or role.
const TAGS_MAX: u32 = 50;
/// What keys may not begin with, in any case.
const RESERVED: &str = "aws:";

pub(crate) fn operations() -> Vec<Operation> {
    const USER: &str = "iam:user/{UserName}";
    const ROLE: &str = "iam:role/{RoleName}";
    vec![
        Operation::write("iam", "TagUser", USER, add::<OfUser>),
        Operation::write("iam", "UntagUser", USER, remove::<OfUser>),
        Operation::read("iam", "ListUserTags", USER, list::<OfUser>),
        Operation::write("iam", "TagRole", ROLE, add::<OfRole>),
        Operation::write("iam", "UntagRole", ROLE, remove::<OfRole>),
        Operation::read("iam", "ListRoleTags", ROLE, list::<OfRole>),
    ]
}

/// A tag.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Tag {
    pub(crate) key: String,
    pub(crate) value: String,
}

/// A key as keys are compared.
pub(crate) fn folded(key: &str) -> String {
    key.to_lowercase()
}

/// Stores `tags`, refusing reserved keys, keys given twice and too many.
pub(crate) fn put_all(tx: &mut Tx<'_>, owner: &str, tags: &[Tag]) -> Result<(), ApiError> {
    let mut seen = BTreeSet::new();
    for tag in tags {
        let key = folded(&tag.key);
        if key.starts_with(RESERVED) {
            let message = format!("The tag key {} begins with the reserved aws:", tag.key);
            return Err(invalid_input(message));
        }
        if !seen.insert(key) {
            let message = "Duplicate tag keys found. Please note that Tag keys are case \
                           insensitive.";
            return Err(invalid_input(message.to_owned()));
        }
        store::put_tag(tx, owner, tag)?;
    }
    if store::tags(tx, owner, TAGS_MAX + 1)?.len() > TAGS_MAX as usize {
        return Err(limit(format!("Cannot exceed quota for tags: {TAGS_MAX}")));
    }
    Ok(())
}

/// Every tag of a user or role, by key.
pub(crate) fn all_of(tx: &mut Tx<'_>, owner: &str) -> Result<Vec<Tag>, ApiError> {
    store::tags(tx, owner, TAGS_MAX)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AddTags<O> {
    #[serde(flatten)]
    owner: O,
    tags: Vec<Tag>,
}

fn add<O: Owner>(call: &mut Call<'_, '_>, input: AddTags<O>) -> Result<Nothing, ApiError> {
    let owner = input.owner.id(call)?;
    put_all(call.tx, &owner, &input.tags)?;
    Ok(Nothing {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RemoveTags<O> {
    #[serde(flatten)]
    owner: O,
    tag_keys: Vec<String>,
}

fn remove<O: Owner>(call: &mut Call<'_, '_>, input: RemoveTags<O>) -> Result<Nothing, ApiError> {
    let owner = input.owner.id(call)?;
    for key in &input.tag_keys {
        store::delete_tag(call.tx, &owner, key)?;
    }
    Ok(Nothing {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListTags<O> {
    #[serde(flatten)]
    owner: O,
    #[serde(flatten)]
    page: Page,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Tags {
    tags: Vec<Tag>,
    #[serde(flatten)]
    next: Next,
}

/// Goes on by the number of tags shown, because a key may be longer than a marker.
fn list<O: Owner>(call: &mut Call<'_, '_>, input: ListTags<O>) -> Result<Tags, ApiError> {
    let owner = input.owner.id(call)?;
    let list = format!("iam:ListTags {owner}");
    let shown: usize = input.page.after(call.tx, &list)?.parse().unwrap_or(0);
    let tags = all_of(call.tx, &owner)?.into_iter();
    let mut numbered: Vec<_> = (1..).map(|at: usize| at.to_string()).zip(tags).collect();
    numbered.drain(..shown.min(numbered.len()));
    let next = input
        .page
        .cut(call.tx, &list, &mut numbered, |(number, _)| number);
    let tags = numbered.into_iter().map(|(_, tag)| tag).collect();
    Ok(Tags { tags, next })
}
