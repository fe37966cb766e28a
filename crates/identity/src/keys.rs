//! Access keys: CreateAccessKey, ListAccessKeys, UpdateAccessKey, DeleteAccessKey,
//! GetAccessKeyLastUsed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gateway::{Call, Operation};
use model::{ApiError, Timestamp};
use serde::{Deserialize, Serialize};
use storage::Tx;
use zeroize::Zeroizing;

use crate::error::{invalid_input, limit, no_such};
use crate::lists::{Next, Page};
use crate::store::{self, Key, User};
use crate::usage::Usage;
use crate::users::{Nothing, named_or_caller, unique_id};

/// Access keys of one user: enough to rotate, as on AWS.
const KEYS_MAX: usize = 2;
/// What binds a sealed secret to its place.
pub(crate) const SEALED_FOR: &str = "iam_access_keys.secret";

pub(crate) fn operations(usage: &Usage) -> Vec<Operation> {
    const USER: &str = "iam:user/{UserName}";
    let usage = usage.clone();
    vec![
        // The key alone does not say whose it is, so only a policy as wide as `*` allows it.
        Operation::read("iam", "GetAccessKeyLastUsed", "*", move |call, input| {
            last_used(call, &usage, input)
        }),
        Operation::write("iam", "CreateAccessKey", USER, create).or_caller(),
        Operation::read("iam", "ListAccessKeys", USER, list).or_caller(),
        Operation::write("iam", "UpdateAccessKey", USER, update)
            .or_caller()
            .containment(),
        Operation::write("iam", "DeleteAccessKey", USER, delete)
            .or_caller()
            .containment(),
    ]
}

/// A secret access key: 40 characters of base 64.
pub(crate) fn new_secret() -> Zeroizing<String> {
    Zeroizing::new(STANDARD.encode(model::random_bytes::<30>()))
}

/// Makes a key for `user` and stores its secret sealed.
pub(crate) fn new_key(
    tx: &mut Tx<'_>,
    user: &User,
    created_at: Timestamp,
) -> Result<(Key, Zeroizing<String>), ApiError> {
    let secret = new_secret();
    let id = unique_id("AKIA");
    let key = Key {
        id,
        user_id: user.user_id.clone(),
        active: true,
        created_at,
    };
    let sealed = tx.seal(SEALED_FOR, secret.as_bytes())?;
    store::insert_key(tx, &key, &sealed)?;
    Ok((key, secret))
}

fn status(active: bool) -> &'static str {
    if active { "Active" } else { "Inactive" }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OfUserOrCaller {
    user_name: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NewKey {
    access_key: NewKeyView,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NewKeyView {
    user_name: String,
    access_key_id: String,
    status: &'static str,
    secret_access_key: String,
    create_date: f64,
}

fn create(call: &mut Call<'_, '_>, input: OfUserOrCaller) -> Result<NewKey, ApiError> {
    let user = named_or_caller(call, input.user_name.as_deref())?;
    if KEYS_MAX <= store::keys_of(call.tx, &user.user_id)?.len() {
        return Err(limit(format!(
            "Cannot exceed quota for AccessKeysPerUser: {KEYS_MAX}"
        )));
    }
    let created_at = call.now();
    let (key, secret) = new_key(call.tx, &user, created_at)?;
    Ok(NewKey {
        access_key: NewKeyView {
            user_name: user.name,
            access_key_id: key.id,
            status: status(true),
            secret_access_key: secret.to_string(),
            create_date: created_at.epoch_seconds(),
        },
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListKeys {
    user_name: Option<String>,
    #[serde(flatten)]
    page: Page,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Keys {
    access_key_metadata: Vec<KeyView>,
    #[serde(flatten)]
    next: Next,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct KeyView {
    user_name: String,
    access_key_id: String,
    status: &'static str,
    create_date: f64,
}

fn list(call: &mut Call<'_, '_>, input: ListKeys) -> Result<Keys, ApiError> {
    let user = named_or_caller(call, input.user_name.as_deref())?;
    let list = format!("iam:ListAccessKeys {}", user.user_id);
    let after = input.page.after(call.tx, &list)?;
    let mut keys = store::keys_of(call.tx, &user.user_id)?;
    keys.retain(|key| after.as_str() < key.id.as_str());
    let next = input.page.cut(call.tx, &list, &mut keys, |key| &key.id);
    let view = |key: Key| KeyView {
        user_name: user.name.clone(),
        access_key_id: key.id,
        status: status(key.active),
        create_date: key.created_at.epoch_seconds(),
    };
    Ok(Keys {
        access_key_metadata: keys.into_iter().map(view).collect(),
        next,
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OneKey {
    user_name: Option<String>,
    access_key_id: String,
}

/// The key, if it is one of the user named (or calling).
fn key_of(call: &mut Call<'_, '_>, of: &OneKey) -> Result<Key, ApiError> {
    let user = named_or_caller(call, of.user_name.as_deref())?;
    let found = store::key_by_id(call.tx, &of.access_key_id)?;
    let found = found
        .map(|(key, _)| key)
        .filter(|key| key.user_id == user.user_id);
    found.ok_or_else(|| no_such("Access Key with id", &of.access_key_id))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateKey {
    #[serde(flatten)]
    key: OneKey,
    status: String,
}

fn update(call: &mut Call<'_, '_>, input: UpdateKey) -> Result<Nothing, ApiError> {
    let active = match input.status.as_str() {
        "Active" => true,
        "Inactive" => false,
        other => {
            let message = format!("Status must be Active or Inactive, not {other}");
            return Err(invalid_input(message));
        }
    };
    let key = key_of(call, &input.key)?;
    store::set_key_active(call.tx, &key.id, active)?;
    Ok(Nothing {})
}

fn delete(call: &mut Call<'_, '_>, input: OneKey) -> Result<Nothing, ApiError> {
    let key = key_of(call, &input)?;
    store::delete_key(call.tx, &key.id)?;
    Ok(Nothing {})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetLastUsed {
    access_key_id: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct LastUsed {
    user_name: String,
    access_key_last_used: LastUse,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct LastUse {
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_date: Option<f64>,
    service_name: String,
    region: String,
}

/// A key that was never used has no date, and `N/A` for service and region, as on AWS.
fn last_used(
    call: &mut Call<'_, '_>,
    usage: &Usage,
    input: GetLastUsed,
) -> Result<LastUsed, ApiError> {
    let id = &input.access_key_id;
    let unknown = || ApiError::access_denied(format!("There is no access key {id} here"));
    let (key, _) = store::key_by_id(call.tx, id)?.ok_or_else(unknown)?;
    let user = store::user_by_id(call.tx, &key.user_id)?.ok_or_else(unknown)?;
    let last = match usage.of(id) {
        Some(noted) => Some(noted),
        None => store::key_last_used(call.tx, id)?,
    };
    let never = "N/A";
    let region = last.as_ref().map_or(never, |_| call.scope.region.as_str());
    Ok(LastUsed {
        user_name: user.name,
        access_key_last_used: LastUse {
            region: region.to_owned(),
            last_used_date: last.as_ref().map(|last| last.at.epoch_seconds()),
            service_name: last.map_or_else(|| never.to_owned(), |last| last.service),
        },
    })
}
