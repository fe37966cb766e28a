//! Inline policies of users and roles: Put, Get, List, Delete of both.

use gateway::{Call, Operation};
use model::ApiError;
use policy::Dialect;
use serde::{Deserialize, Serialize};
use storage::Tx;

use crate::error::{limit, no_such};
use crate::lists::{Next, Page};
use crate::owner::{OfRole, OfUser, Owner};
use crate::users::Nothing;
use crate::{documents, store};

/// All inline policies of one user or role together, in bytes. AWS allows 10 240 to a role and
/// 2048 to a user and does not count white space; there being no managed policies, one bound that
/// leaves room for both, and for white space, keeps each decision cheap.
const BYTES_MAX: usize = 20_480;
/// Inline policies of one user or role.
pub(crate) const POLICIES_MAX: u32 = 100;

pub(crate) fn operations() -> Vec<Operation> {
    const USER: &str = "iam:user/{UserName}";
    const ROLE: &str = "iam:role/{RoleName}";
    vec![
        Operation::write("iam", "PutUserPolicy", USER, put::<OfUser>).containment(),
        Operation::read("iam", "GetUserPolicy", USER, describe::<OfUser>),
        Operation::read("iam", "ListUserPolicies", USER, list::<OfUser>),
        Operation::write("iam", "DeleteUserPolicy", USER, delete::<OfUser>).containment(),
        Operation::write("iam", "PutRolePolicy", ROLE, put::<OfRole>).containment(),
        Operation::read("iam", "GetRolePolicy", ROLE, describe::<OfRole>),
        Operation::read("iam", "ListRolePolicies", ROLE, list::<OfRole>),
        Operation::write("iam", "DeleteRolePolicy", ROLE, delete::<OfRole>).containment(),
    ]
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutPolicy<O> {
    #[serde(flatten)]
    owner: O,
    policy_name: String,
    policy_document: String,
}

fn put<O: Owner>(call: &mut Call<'_, '_>, input: PutPolicy<O>) -> Result<Nothing, ApiError> {
    let owner = input.owner.id(call)?;
    put_for(call.tx, &owner, &input.policy_name, &input.policy_document)?;
    Ok(Nothing {})
}

/// Checks and stores one inline policy.
pub(crate) fn put_for(
    tx: &mut Tx<'_>,
    owner: &str,
    name: &str,
    document: &str,
) -> Result<(), ApiError> {
    documents::check(document, Dialect::Identity)?;
    store::put_policy(tx, owner, name, document)?;
    let all = store::policies_after(tx, owner, "", POLICIES_MAX + 1)?;
    if all.len() > POLICIES_MAX as usize {
        return Err(limit(format!(
            "Cannot exceed quota for inline policies of one user or role: {POLICIES_MAX}"
        )));
    }
    if BYTES_MAX < all.iter().map(|policy| policy.document.len()).sum() {
        return Err(limit(format!(
            "Cannot exceed quota for the inline policies of one user or role together: \
             {BYTES_MAX} bytes"
        )));
    }
    Ok(())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OnePolicy<O> {
    #[serde(flatten)]
    owner: O,
    policy_name: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PolicyView<O> {
    #[serde(flatten)]
    owner: O,
    policy_name: String,
    policy_document: String,
}

fn describe<O: Owner>(
    call: &mut Call<'_, '_>,
    input: OnePolicy<O>,
) -> Result<PolicyView<O>, ApiError> {
    let id = input.owner.id(call)?;
    let OnePolicy { owner, policy_name } = input;
    let document = store::policy(call.tx, &id, &policy_name)?;
    let document = document.ok_or_else(|| no_such_policy::<O>(&policy_name))?;
    Ok(PolicyView {
        owner,
        policy_name,
        policy_document: documents::shown(&document),
    })
}

fn no_such_policy<O: Owner>(name: &str) -> ApiError {
    no_such(&format!("{} policy with name", O::KIND), name)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListPolicies<O> {
    #[serde(flatten)]
    owner: O,
    #[serde(flatten)]
    page: Page,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Policies {
    policy_names: Vec<String>,
    #[serde(flatten)]
    next: Next,
}

fn list<O: Owner>(call: &mut Call<'_, '_>, input: ListPolicies<O>) -> Result<Policies, ApiError> {
    let owner = input.owner.id(call)?;
    let list = format!("iam:ListPolicies {owner}");
    let after = input.page.after(call.tx, &list)?;
    let mut policies = store::policies_after(call.tx, &owner, &after, input.page.rows())?;
    let next = input
        .page
        .cut(call.tx, &list, &mut policies, |policy| &policy.name);
    Ok(Policies {
        policy_names: policies.into_iter().map(|policy| policy.name).collect(),
        next,
    })
}

fn delete<O: Owner>(call: &mut Call<'_, '_>, input: OnePolicy<O>) -> Result<Nothing, ApiError> {
    let owner = input.owner.id(call)?;
    if store::delete_policy(call.tx, &owner, &input.policy_name)? == 0 {
        return Err(no_such_policy::<O>(&input.policy_name));
    }
    Ok(Nothing {})
}
