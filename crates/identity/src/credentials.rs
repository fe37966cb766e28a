//! Access keys as the gateway asks for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use gateway::{CallerIdentity, CallerKind, Credential, Credentials};
use model::{ApiError, Scope, Timestamp};
use policy::{Dialect, Document, NamedPolicy};
use storage::Tx;
use zeroize::Zeroizing;

use crate::inline_policies::POLICIES_MAX;
use crate::roles::role_arn;
use crate::sessions::{SECRET_SEALED_FOR, TOKEN_SEALED_FOR, session_arn};
use crate::store::InlinePolicy;
use crate::usage::Usage;
use crate::users::user_arn;
use crate::{keys, store, tags};

/// The credentials of users and of role sessions.
#[derive(Clone, Debug)]
pub struct IdentityCredentials {
    scope: Scope,
    usage: Usage,
}

impl IdentityCredentials {
    /// Credentials of the account in `scope`, whose uses are noted in `usage`.
    pub fn new(scope: Scope, usage: Usage) -> Self {
        Self { scope, usage }
    }

    fn of_user(&self, tx: &mut Tx<'_>, key_id: &str) -> Result<Option<Credential>, ApiError> {
        let Some((key, sealed)) = store::key_by_id(tx, key_id)? else {
            return Ok(None);
        };
        let Some(user) = store::user_by_id(tx, &key.user_id)? else {
            return Ok(None);
        };
        let arn = user_arn(&self.scope, &user.name);
        Ok(Some(Credential {
            secret: opened(tx, keys::SEALED_FOR, &sealed)?,
            session_token: None,
            expires: None,
            active: key.active,
            caller: CallerIdentity {
                kind: CallerKind::User,
                policies: Arc::new(policies(tx, &user.user_id, &arn)?),
                tags: tag_map(tx, &user.user_id)?,
                arn,
                user_id: user.user_id,
                session_name: None,
            },
        }))
    }

    fn of_session(&self, tx: &mut Tx<'_>, key_id: &str) -> Result<Option<Credential>, ApiError> {
        let Some(session) = store::session(tx, key_id)? else {
            return Ok(None);
        };
        let Some(role) = store::role_by_id(tx, &session.role_id)? else {
            return Ok(None);
        };
        let token = opened(tx, TOKEN_SEALED_FOR, &session.token)?;
        Ok(Some(Credential {
            secret: opened(tx, SECRET_SEALED_FOR, &session.secret)?,
            session_token: Some(token.to_string()),
            expires: Some(session.expires_at),
            active: true,
            caller: CallerIdentity {
                kind: CallerKind::AssumedRole {
                    issued_at: session.issued_at,
                },
                arn: session_arn(&self.scope, &role.name, &session.name),
                user_id: format!("{}:{}", role.role_id, session.name),
                policies: Arc::new(policies(
                    tx,
                    &role.role_id,
                    &role_arn(&self.scope, &role.name),
                )?),
                tags: tag_map(tx, &role.role_id)?,
                session_name: Some(session.name),
            },
        }))
    }
}

fn opened(tx: &Tx<'_>, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<String>, ApiError> {
    let plain = tx.open(purpose, sealed)?;
    Ok(Zeroizing::new(
        String::from_utf8(plain).map_err(ApiError::internal)?,
    ))
}

fn tag_map(tx: &mut Tx<'_>, owner: &str) -> Result<BTreeMap<String, String>, ApiError> {
    let tags = tags::all_of(tx, owner)?;
    Ok(tags.into_iter().map(|tag| (tag.key, tag.value)).collect())
}

/// The inline policies of a user or role.
///
/// A stored document that no longer parses would have to deny; it cannot happen, because every
/// document was parsed before it was stored, so it is an internal error and nobody is let in.
fn policies(tx: &mut Tx<'_>, owner: &str, arn: &str) -> Result<Vec<NamedPolicy>, ApiError> {
    let rows = store::policies_after(tx, owner, "", POLICIES_MAX)?;
    let named = |InlinePolicy { name, document }| {
        let parsed = Document::parse(&document, Dialect::Identity).map_err(ApiError::internal)?;
        Ok(NamedPolicy {
            arn: format!("{arn}/{name}").into(),
            name: name.into(),
            version: "1".into(),
            document: Arc::new(parsed),
            text: document.into(),
        })
    };
    rows.into_iter().map(named).collect()
}

impl Credentials for IdentityCredentials {
    fn find(&self, tx: &mut Tx<'_>, key_id: &str) -> Result<Option<Credential>, ApiError> {
        if key_id.starts_with("ASIA") {
            self.of_session(tx, key_id)
        } else {
            self.of_user(tx, key_id)
        }
    }

    fn used(&self, key_id: &str, service: &str, at: Timestamp) {
        self.usage.note(key_id, service, at);
    }
}
