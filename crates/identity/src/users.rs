//! Users: CreateUser, GetUser, ListUsers, UpdateUser, DeleteUser.

use gateway::{Call, CallerKind, Operation};
use model::{ApiError, Scope, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use storage::Tx;

use crate::error::{delete_conflict, exists, invalid, limit, no_such, unserved};
use crate::lists::{Next, Page};
use crate::owner::OfUser;
use crate::store::{self, User};
use crate::tags::{self, Tag};

/// Users of an installation, as on AWS.
const USERS_MAX: i64 = 5000;

/// The id of a user, role or key: a prefix and 16 characters of base 32, as AWS forms them.
pub(crate) fn unique_id(prefix: &str) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let letters = model::random_bytes::<16>();
    let letters = letters
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte & 31)]));
    prefix.chars().chain(letters).collect()
}

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::write("iam", "CreateUser", "iam:user/{UserName}", create),
        Operation::read("iam", "GetUser", "iam:user/{UserName}", describe).or_caller(),
        Operation::read("iam", "ListUsers", "*", list),
        Operation::write("iam", "UpdateUser", "iam:user/{UserName}", update).resources(new_name),
        Operation::write("iam", "DeleteUser", "iam:user/{UserName}", delete).containment(),
    ]
}

/// Whoever renames needs the permission on both names.
fn new_name(input: &Value, scope: &Scope) -> Vec<String> {
    let name = input.get("NewUserName").and_then(Value::as_str);
    name.map(|name| user_arn(scope, name)).into_iter().collect()
}

/// A user as IAM shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UserView {
    path: &'static str,
    user_name: String,
    user_id: String,
    arn: String,
    create_date: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Tag>,
}

pub(crate) fn user_arn(scope: &Scope, name: &str) -> String {
    scope.iam_arn(&format!("user/{name}"))
}

fn view(scope: &Scope, user: User, tags: Vec<Tag>) -> UserView {
    let User {
        name,
        user_id,
        created_at,
    } = user;
    let (arn, create_date) = (user_arn(scope, &name), created_at.epoch_seconds());
    UserView {
        path: "/",
        user_name: name,
        user_id,
        arn,
        create_date,
        tags,
    }
}

/// Only the path `/` is served: a resource of a policy could not see another one.
pub(crate) fn only_root_path(path: Option<&str>) -> Result<(), ApiError> {
    match path {
        None | Some("/") => Ok(()),
        Some(_) => Err(unserved("a Path other than /")),
    }
}

/// The user named. Names differ in more than case, and only the exact one is found, because a
/// policy that names a user sees no other spelling.
pub(crate) fn named(call: &mut Call<'_, '_>, name: &str) -> Result<User, ApiError> {
    store::user_by_name(call.tx, name)?.ok_or_else(|| no_such("user with name", name))
}

/// The user named, or the caller when nobody is named: by its id, not by a name that may have
/// changed hands since the call was signed.
pub(crate) fn named_or_caller(
    call: &mut Call<'_, '_>,
    name: Option<&str>,
) -> Result<User, ApiError> {
    if let Some(name) = name {
        return named(call, name);
    }
    let caller = call.caller;
    if caller.kind != CallerKind::User {
        return Err(invalid(
            "Must specify userName when calling with non-User credentials",
        ));
    }
    let user = store::user_by_id(call.tx, &caller.user_id)?;
    user.ok_or_else(|| no_such("user with id", &caller.user_id))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateUser {
    user_name: String,
    path: Option<String>,
    permissions_boundary: Option<String>,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct OneUser {
    user: UserView,
}

fn create(call: &mut Call<'_, '_>, input: CreateUser) -> Result<OneUser, ApiError> {
    only_root_path(input.path.as_deref())?;
    if input.permissions_boundary.is_some() {
        return Err(unserved("PermissionsBoundary"));
    }
    if store::user_by_folded_name(call.tx, &input.user_name)?.is_some() {
        return Err(exists("User", &input.user_name));
    }
    if USERS_MAX <= store::count_users(call.tx)? {
        return Err(limit(format!(
            "Cannot exceed quota for UsersPerAccount: {USERS_MAX}"
        )));
    }
    let created_at = call.now();
    let user = new_user(call.tx, &input.user_name, created_at)?;
    tags::put_all(call.tx, &user.user_id, &input.tags)?;
    Ok(OneUser {
        user: view(call.scope, user, input.tags),
    })
}

/// Stores a new user; the caller has seen that nobody has the name.
pub(crate) fn new_user(
    tx: &mut Tx<'_>,
    name: &str,
    created_at: Timestamp,
) -> Result<User, ApiError> {
    let user = User {
        name: name.to_owned(),
        user_id: unique_id("AIDA"),
        created_at,
    };
    store::insert_user(tx, &user)?;
    Ok(user)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetUser {
    user_name: Option<String>,
}

fn describe(call: &mut Call<'_, '_>, input: GetUser) -> Result<OneUser, ApiError> {
    let user = named_or_caller(call, input.user_name.as_deref())?;
    let tags = tags::all_of(call.tx, &user.user_id)?;
    Ok(OneUser {
        user: view(call.scope, user, tags),
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct List {
    path_prefix: Option<String>,
    #[serde(flatten)]
    pub(crate) page: Page,
}

impl List {
    /// Everything lives under `/`, so a longer prefix selects nothing.
    pub(crate) fn selects_nothing(&self) -> bool {
        self.path_prefix
            .as_deref()
            .is_some_and(|prefix| prefix != "/")
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Users {
    users: Vec<UserView>,
    #[serde(flatten)]
    next: Next,
}

fn list(call: &mut Call<'_, '_>, input: List) -> Result<Users, ApiError> {
    const LIST: &str = "iam:ListUsers";
    let after = input.page.after(call.tx, LIST)?;
    let mut users = if input.selects_nothing() {
        Vec::new()
    } else {
        store::users_after(call.tx, &after, input.page.rows())?
    };
    let next = input.page.cut(call.tx, LIST, &mut users, |user| &user.name);
    let users = users
        .into_iter()
        .map(|user| view(call.scope, user, Vec::new()))
        .collect();
    Ok(Users { users, next })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateUser {
    user_name: String,
    new_path: Option<String>,
    new_user_name: Option<String>,
}

/// The answer of operations that have none.
#[derive(Debug, Serialize)]
pub(crate) struct Nothing {}

fn update(call: &mut Call<'_, '_>, input: UpdateUser) -> Result<Nothing, ApiError> {
    only_root_path(input.new_path.as_deref())?;
    let user = named(call, &input.user_name)?;
    let Some(name) = input.new_user_name else {
        return Ok(Nothing {});
    };
    let holder = store::user_by_folded_name(call.tx, &name)?;
    if holder.is_some_and(|holder| holder.user_id != user.user_id) {
        return Err(exists("User", &name));
    }
    store::rename_user(call.tx, &user.user_id, &name)?;
    Ok(Nothing {})
}

fn delete(call: &mut Call<'_, '_>, input: OfUser) -> Result<Nothing, ApiError> {
    let user = named(call, &input.user_name)?;
    if !store::keys_of(call.tx, &user.user_id)?.is_empty() {
        return Err(delete_conflict("access keys"));
    }
    if !store::policies_after(call.tx, &user.user_id, "", 1)?.is_empty() {
        return Err(delete_conflict("policies"));
    }
    store::delete_user(call.tx, &user.user_id)?;
    Ok(Nothing {})
}
