//! Trust policies: who may assume a role.
//!
//! A user or role of this account is trusted for who it is, not for what it is called: its unique
//! id is kept beside the ARN by which the policy names it. One re-created under the name is not
//! trusted until the policy is written again; a user renamed stays trusted.
//!
//! Beside this, the caller's own policies must allow `sts:AssumeRole` on the role, which the
//! gateway asks first, also where the trust policy names the caller.
//!
//! Source: IAM User Guide, "AWS JSON policy elements: Principal".

use std::collections::BTreeMap;

use gateway::{Call, CallerKind};
use model::{ApiError, Arn, Scope, Timestamp};
use policy::{Dialect, Document, TrustPrincipal, Verdict, decide_trust};
use serde_json::Value;
use storage::Tx;

use crate::documents;
use crate::error::{limit, malformed};
use crate::roles::role_arn;
use crate::store::{self, Role, Trusted};

/// One trust policy, in bytes. AWS allows 4096 at most and does not count white space.
const BYTES_MAX: usize = 8192;

/// Checks a trust policy and finds whom of this account it names.
///
/// # Errors
/// `MalformedPolicyDocumentException`, also for a principal that does not exist;
/// `LimitExceededException` when it is too long.
pub(crate) fn check(
    tx: &mut Tx<'_>,
    scope: &Scope,
    document: &str,
) -> Result<Vec<Trusted>, ApiError> {
    if BYTES_MAX < document.len() {
        return Err(limit(format!(
            "Cannot exceed quota for ACLSizePerRole: {BYTES_MAX}"
        )));
    }
    documents::check(document, Dialect::Trust)?;
    let mut trusted = Vec::new();
    for arn in named_arns(document) {
        let Ok(parsed) = Arn::parse(&arn) else {
            continue;
        };
        if parsed.account != scope.account.as_str() || parsed.resource == "root" {
            continue;
        }
        let id = unique_id(tx, scope, &parsed)?;
        let id =
            id.ok_or_else(|| malformed(format!("Invalid principal in policy: \"AWS\":\"{arn}\"")))?;
        trusted.push(Trusted { arn, id });
    }
    Ok(trusted)
}

/// The texts in `Principal.AWS` of a document whose grammar is good.
fn named_arns(document: &str) -> Vec<String> {
    let root: Value = serde_json::from_str(document).unwrap_or_default();
    let statements = each(&root["Statement"]);
    let principals = statements.flat_map(|statement| each(&statement["Principal"]["AWS"]));
    principals
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect()
}

/// The items of an array, or the one value that stands for an array of one.
fn each(value: &Value) -> impl Iterator<Item = &Value> {
    match value {
        Value::Array(items) => items.iter(),
        single => std::slice::from_ref(single).iter(),
    }
}

/// The unique id of the user or role that has `arn` now.
fn unique_id(tx: &mut Tx<'_>, scope: &Scope, arn: &Arn) -> Result<Option<String>, ApiError> {
    let (service, partition) = (arn.service.as_str(), &arn.partition);
    if *partition != scope.partition || !arn.region.is_empty() {
        return Ok(None);
    }
    let named = arn.kind_and_name();
    Ok(match named.map(|(kind, name)| (service, kind, name)) {
        Some(("iam", "user", name)) => store::user_by_name(tx, name)?.map(|user| user.user_id),
        Some(("iam", "role", name)) => store::role_by_name(tx, name)?.map(|role| role.role_id),
        Some(("sts", "assumed-role", name)) => {
            let role = name.split_once('/').map_or(name, |(role, _)| role);
            store::role_by_name(tx, role)?.map(|role| role.role_id)
        }
        _ => None,
    })
}

/// What the conditions of a trust policy see of a request, beside the caller.
pub(crate) struct Asked<'a> {
    pub(crate) session_name: &'a str,
    pub(crate) external_id: Option<&'a str>,
}

/// Whether the role's trust policy lets the caller in.
pub(crate) fn allows(
    call: &mut Call<'_, '_>,
    role: &Role,
    asked: &Asked<'_>,
) -> Result<bool, ApiError> {
    // Checked before it was stored; one that does not parse all the same allows nobody.
    let Ok(document) = Document::parse(&role.trust, Dialect::Trust) else {
        return Ok(false);
    };
    let trusted = store::trusted_by(call.tx, &role.role_id)?;
    let known_as = known_as(call, trusted);
    let principal = TrustPrincipal {
        arn: Some(&known_as),
        account: Some(call.scope.account.as_str()),
        ..TrustPrincipal::default()
    };
    let verdict = decide_trust(
        &document,
        &principal,
        "sts:AssumeRole",
        &context(call, asked),
    );
    Ok(verdict == Verdict::Allowed)
}

/// The ARN by which the trust policy knows the caller. When it names somebody else who had the
/// caller's ARN before: the unique id, which no policy can name.
fn known_as(call: &Call<'_, '_>, trusted: Vec<Trusted>) -> String {
    let caller = call.caller;
    let id = caller.user_id.split(':').next().unwrap_or_default();
    let role = Arn::parse(&caller.arn).ok().and_then(|arn| {
        let (role, _session) = arn
            .resource
            .strip_prefix("assumed-role/")?
            .split_once('/')?;
        Some(role_arn(call.scope, role))
    });
    let names_caller = |arn: &str| arn == caller.arn || Some(arn) == role.as_deref();
    if trusted
        .iter()
        .any(|it| it.id != id && names_caller(&it.arn))
    {
        return caller.user_id.clone();
    }
    let renamed = trusted
        .into_iter()
        .find(|it| it.id == id && caller.kind == CallerKind::User);
    renamed.map_or_else(|| caller.arn.clone(), |it| it.arn)
}

/// The condition keys of a request to assume a role.
fn context(call: &Call<'_, '_>, asked: &Asked<'_>) -> BTreeMap<String, Vec<String>> {
    let (caller, scope, now) = (call.caller, call.scope, call.now());
    let kind = match caller.kind {
        CallerKind::User => "User",
        CallerKind::AssumedRole { .. } => "AssumedRole",
        CallerKind::Device => "Device",
    };
    let token_issued_at = caller.token_issued_at().map(Timestamp::iso_seconds);
    let keys = [
        ("aws:CurrentTime", Some(now.iso_seconds())),
        ("aws:EpochTime", Some(now.seconds().to_string())),
        ("aws:PrincipalAccount", Some(scope.account.to_string())),
        ("aws:PrincipalArn", Some(caller.arn.clone())),
        ("aws:PrincipalType", Some(kind.to_owned())),
        ("aws:RequestedRegion", Some(scope.region.to_string())),
        ("aws:SecureTransport", Some("true".to_owned())),
        ("aws:SourceIp", Some(caller.source_ip.to_string())),
        ("aws:TokenIssueTime", token_issued_at),
        ("aws:UserAgent", Some(caller.user_agent.clone())),
        ("aws:userid", Some(caller.user_id.clone())),
        ("aws:username", caller.user_name().map(str::to_owned)),
        ("sts:ExternalId", asked.external_id.map(str::to_owned)),
        ("sts:RoleSessionName", Some(asked.session_name.to_owned())),
    ];
    let known = keys
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), vec![value?])));
    let tags = caller
        .tags
        .iter()
        .map(|(key, value)| (format!("aws:PrincipalTag/{key}"), vec![value.clone()]));
    known.chain(tags).collect()
}
