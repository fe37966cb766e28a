//! Temporary credentials: AssumeRole, GetCallerIdentity.
//!
//! A session belongs to its role: it does what the role's policies allow at the time of each call,
//! and ends with the role. A policy of the role that denies by `aws:TokenIssueTime` ends the
//! sessions that are older than it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gateway::{Call, CallerKind, Operation};
use model::{ApiError, Arn, Scope, Timestamp};
use serde::{Deserialize, Serialize};
use storage::{Storage, Tx, Urgency};
use zeroize::Zeroizing;

use crate::error::{invalid, unserved};
use crate::keys::new_secret;
use crate::roles::role_arn;
use crate::store::{self, Role, Session};
use crate::trust::{self, Asked};
use crate::users::unique_id;

/// How long a session lasts when the caller does not say, in seconds.
const SECONDS_DEFAULT: i64 = 3600;
/// How long a session lasts at most that another session asks for, in seconds, as on AWS.
const CHAINED_SECONDS_MAX: i64 = 3600;
/// Sessions of one role that have not ended. AWS has no such bound, nor a table to fill.
const SESSIONS_MAX: i64 = 10_000;
/// A session token, in bytes before its base64.
const TOKEN_BYTES: usize = 96;
/// Expired sessions deleted in one run.
const FORGET_MAX: u32 = 1000;
/// What binds a sealed secret and token to their place.
pub(crate) const SECRET_SEALED_FOR: &str = "sts_sessions.secret";
pub(crate) const TOKEN_SEALED_FOR: &str = "sts_sessions.token";

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::read("sts", "GetCallerIdentity", "*", caller_identity).any_caller(),
        Operation::write("sts", "AssumeRole", "{RoleArn}", assume_role),
    ]
}

#[derive(Debug, Deserialize)]
struct NoInput {}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct CallerIdentity {
    user_id: String,
    account: String,
    arn: String,
}

fn caller_identity(call: &mut Call<'_, '_>, _: NoInput) -> Result<CallerIdentity, ApiError> {
    Ok(CallerIdentity {
        user_id: call.caller.user_id.clone(),
        account: call.scope.account.to_string(),
        arn: call.caller.arn.clone(),
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AssumeRole {
    role_arn: String,
    role_session_name: String,
    duration_seconds: Option<i64>,
    external_id: Option<String>,
    policy: Option<String>,
    #[serde(default)]
    policy_arns: Vec<serde_json::Value>,
    #[serde(default)]
    tags: Vec<serde_json::Value>,
    #[serde(default)]
    transitive_tag_keys: Vec<String>,
    serial_number: Option<String>,
    token_code: Option<String>,
    source_identity: Option<String>,
    #[serde(default)]
    provided_contexts: Vec<serde_json::Value>,
    minimum_session_token_size: Option<i64>,
}

impl AssumeRole {
    /// What would narrow or mark the session and is not enforced here is not taken.
    fn refuse_unserved(&self) -> Result<(), ApiError> {
        let given = [
            ("Policy", self.policy.is_some()),
            ("PolicyArns", !self.policy_arns.is_empty()),
            ("Tags", !self.tags.is_empty()),
            ("TransitiveTagKeys", !self.transitive_tag_keys.is_empty()),
            ("SerialNumber", self.serial_number.is_some()),
            ("TokenCode", self.token_code.is_some()),
            ("SourceIdentity", self.source_identity.is_some()),
            ("ProvidedContexts", !self.provided_contexts.is_empty()),
            (
                "MinimumSessionTokenSize",
                self.minimum_session_token_size.is_some(),
            ),
        ];
        match given.iter().find(|(_, is_given)| *is_given) {
            Some((name, _)) => Err(unserved(name)),
            None => Ok(()),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Assumed {
    credentials: CredentialsView,
    assumed_role_user: AssumedRoleUser,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CredentialsView {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    expiration: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AssumedRoleUser {
    assumed_role_id: String,
    arn: String,
}

/// `arn:aws:sts::{account}:assumed-role/{role}/{session}`.
pub(crate) fn session_arn(scope: &Scope, role: &str, session: &str) -> String {
    let Scope {
        partition, account, ..
    } = scope;
    format!("arn:{partition}:sts::{account}:assumed-role/{role}/{session}")
}

/// The role of this account that `arn` names.
fn role_of(call: &mut Call<'_, '_>, arn: &str) -> Result<Role, ApiError> {
    let name = Arn::parse(arn).ok().and_then(|arn| {
        let (kind, name) = arn.kind_and_name()?;
        (arn.service == "iam" && kind == "role").then(|| name.to_owned())
    });
    let name = name.ok_or_else(|| invalid(format!("RoleArn `{arn}` is not the ARN of a role")))?;
    let role = store::role_by_name(call.tx, &name)?;
    // A role that is not there and one that does not trust the caller look alike.
    let role = role.filter(|role| role_arn(call.scope, &role.name) == arn);
    role.ok_or_else(|| not_authorized(call, arn))
}

fn not_authorized(call: &Call<'_, '_>, role: &str) -> ApiError {
    ApiError::access_denied(format!(
        "User: {} is not authorized to perform: sts:AssumeRole on resource: {role}",
        call.caller.arn
    ))
}

/// How long the session lasts.
fn seconds(call: &Call<'_, '_>, role: &Role, asked: Option<i64>) -> Result<i64, ApiError> {
    let seconds = asked.unwrap_or(SECONDS_DEFAULT);
    if role.session_seconds_max < seconds {
        return Err(invalid(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        ));
    }
    let chained = matches!(call.caller.kind, CallerKind::AssumedRole { .. });
    if chained && CHAINED_SECONDS_MAX < seconds {
        return Err(invalid(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by \
             role chaining.",
        ));
    }
    Ok(seconds)
}

fn assume_role(call: &mut Call<'_, '_>, input: AssumeRole) -> Result<Assumed, ApiError> {
    input.refuse_unserved()?;
    let role = role_of(call, &input.role_arn)?;
    let asked = Asked {
        session_name: &input.role_session_name,
        external_id: input.external_id.as_deref(),
    };
    if !trust::allows(call, &role, &asked)? {
        return Err(not_authorized(call, &input.role_arn));
    }
    let seconds = seconds(call, &role, input.duration_seconds)?;
    let now = call.now();
    if SESSIONS_MAX <= store::count_sessions(call.tx, &role.role_id, now)? {
        return Err(ApiError::throttled(format!(
            "Rate exceeded: {SESSIONS_MAX} sessions of the role have not ended yet"
        )));
    }
    let secret = new_secret();
    let token = Zeroizing::new(STANDARD.encode(model::random_bytes::<TOKEN_BYTES>()));
    let lasts = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    let session = Session {
        access_key_id: unique_id("ASIA"),
        role_id: role.role_id,
        name: input.role_session_name,
        secret: call.tx.seal(SECRET_SEALED_FOR, secret.as_bytes())?,
        token: call.tx.seal(TOKEN_SEALED_FOR, token.as_bytes())?,
        issued_at: now,
        expires_at: now.after(lasts),
    };
    store::insert_session(call.tx, &session)?;
    Ok(Assumed {
        assumed_role_user: AssumedRoleUser {
            assumed_role_id: format!("{}:{}", session.role_id, session.name),
            arn: session_arn(call.scope, &role.name, &session.name),
        },
        credentials: CredentialsView {
            access_key_id: session.access_key_id,
            secret_access_key: secret.to_string(),
            session_token: token.to_string(),
            expiration: session.expires_at.epoch_seconds(),
        },
    })
}

/// Deletes sessions that have ended; a bounded number a run. Called periodically.
///
/// # Errors
/// What the storage answers.
pub async fn forget_expired_sessions(storage: &Storage, now: Timestamp) -> Result<u64, ApiError> {
    let forget = move |tx: &mut Tx<'_>| store::delete_expired(tx, now, FORGET_MAX);
    Ok(storage.write(Urgency::Normal, forget).await?.value)
}
