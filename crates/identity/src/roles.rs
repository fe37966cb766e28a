//! Roles: Create, Get, List, Update, UpdateAssumeRolePolicy, Delete.

use gateway::{Call, Operation};
use model::{ApiError, Scope};
use serde::{Deserialize, Serialize};

use crate::error::{delete_conflict, exists, limit, no_such, unserved};
use crate::lists::Next;
use crate::owner::OfRole;
use crate::store::{self, Role};
use crate::tags::{self, Tag};
use crate::users::{List, Nothing, only_root_path, unique_id};
use crate::{documents, trust};

/// Roles of an installation: what AWS allows at most.
const ROLES_MAX: i64 = 5000;
/// How long a session of a role may last when the role does not say, in seconds.
const SESSION_SECONDS_DEFAULT: i64 = 3600;

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::write("iam", "CreateRole", "iam:role/{RoleName}", create),
        Operation::read("iam", "GetRole", "iam:role/{RoleName}", describe),
        Operation::read("iam", "ListRoles", "*", list),
        Operation::write("iam", "UpdateRole", "iam:role/{RoleName}", update),
        Operation::write(
            "iam",
            "UpdateAssumeRolePolicy",
            "iam:role/{RoleName}",
            update_trust,
        )
        .containment(),
        Operation::write("iam", "DeleteRole", "iam:role/{RoleName}", delete).containment(),
    ]
}

/// A role as IAM shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct RoleView {
    path: &'static str,
    role_name: String,
    role_id: String,
    arn: String,
    create_date: f64,
    assume_role_policy_document: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    max_session_duration: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Tag>,
}

pub(crate) fn role_arn(scope: &Scope, name: &str) -> String {
    scope.iam_arn(&format!("role/{name}"))
}

fn view(scope: &Scope, role: Role, tags: Vec<Tag>) -> RoleView {
    RoleView {
        path: "/",
        arn: role_arn(scope, &role.name),
        role_name: role.name,
        role_id: role.role_id,
        create_date: role.created_at.epoch_seconds(),
        assume_role_policy_document: documents::shown(&role.trust),
        description: role.description,
        max_session_duration: role.session_seconds_max,
        tags,
    }
}

/// The role with exactly this name, as [`crate::users::named`].
pub(crate) fn named(call: &mut Call<'_, '_>, name: &str) -> Result<Role, ApiError> {
    store::role_by_name(call.tx, name)?.ok_or_else(|| no_such("role with name", name))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateRole {
    role_name: String,
    path: Option<String>,
    assume_role_policy_document: String,
    description: Option<String>,
    max_session_duration: Option<i64>,
    permissions_boundary: Option<String>,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct OneRole {
    role: RoleView,
}

fn create(call: &mut Call<'_, '_>, input: CreateRole) -> Result<OneRole, ApiError> {
    only_root_path(input.path.as_deref())?;
    if input.permissions_boundary.is_some() {
        return Err(unserved("PermissionsBoundary"));
    }
    let trusted = trust::check(call.tx, call.scope, &input.assume_role_policy_document)?;
    if store::role_by_folded_name(call.tx, &input.role_name)?.is_some() {
        return Err(exists("Role", &input.role_name));
    }
    if ROLES_MAX <= store::count_roles(call.tx)? {
        return Err(limit(format!(
            "Cannot exceed quota for RolesPerAccount: {ROLES_MAX}"
        )));
    }
    let role = Role {
        name: input.role_name,
        role_id: unique_id("AROA"),
        trust: input.assume_role_policy_document,
        description: input.description,
        session_seconds_max: input
            .max_session_duration
            .unwrap_or(SESSION_SECONDS_DEFAULT),
        created_at: call.now(),
    };
    store::insert_role(call.tx, &role)?;
    store::replace_trusted(call.tx, &role.role_id, &trusted)?;
    tags::put_all(call.tx, &role.role_id, &input.tags)?;
    Ok(OneRole {
        role: view(call.scope, role, input.tags),
    })
}

fn describe(call: &mut Call<'_, '_>, input: OfRole) -> Result<OneRole, ApiError> {
    let role = named(call, &input.role_name)?;
    let tags = tags::all_of(call.tx, &role.role_id)?;
    Ok(OneRole {
        role: view(call.scope, role, tags),
    })
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Roles {
    roles: Vec<RoleView>,
    #[serde(flatten)]
    next: Next,
}

fn list(call: &mut Call<'_, '_>, input: List) -> Result<Roles, ApiError> {
    const LIST: &str = "iam:ListRoles";
    let after = input.page.after(call.tx, LIST)?;
    let mut roles = if input.selects_nothing() {
        Vec::new()
    } else {
        store::roles_after(call.tx, &after, input.page.rows())?
    };
    let next = input.page.cut(call.tx, LIST, &mut roles, |role| &role.name);
    let roles = roles
        .into_iter()
        .map(|role| view(call.scope, role, Vec::new()))
        .collect();
    Ok(Roles { roles, next })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateRole {
    role_name: String,
    description: Option<String>,
    max_session_duration: Option<i64>,
}

/// As the model says, a duration that is not given becomes the default again.
fn update(call: &mut Call<'_, '_>, input: UpdateRole) -> Result<Nothing, ApiError> {
    let mut role = named(call, &input.role_name)?;
    role.description = input.description.or(role.description);
    role.session_seconds_max = input
        .max_session_duration
        .unwrap_or(SESSION_SECONDS_DEFAULT);
    store::update_role(call.tx, &role)?;
    Ok(Nothing {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateTrust {
    role_name: String,
    policy_document: String,
}

fn update_trust(call: &mut Call<'_, '_>, input: UpdateTrust) -> Result<Nothing, ApiError> {
    let mut role = named(call, &input.role_name)?;
    let trusted = trust::check(call.tx, call.scope, &input.policy_document)?;
    role.trust = input.policy_document;
    store::update_role(call.tx, &role)?;
    store::replace_trusted(call.tx, &role.role_id, &trusted)?;
    Ok(Nothing {})
}

fn delete(call: &mut Call<'_, '_>, input: OfRole) -> Result<Nothing, ApiError> {
    let role = named(call, &input.role_name)?;
    if !store::policies_after(call.tx, &role.role_id, "", 1)?.is_empty() {
        return Err(delete_conflict("policies"));
    }
    store::delete_role(call.tx, &role.role_id)?;
    Ok(Nothing {})
}
