//! The administrator: an ordinary user with a full-access policy, made at first start.

use std::fmt;

use model::{ApiError, Timestamp};
use storage::Tx;
use zeroize::Zeroizing;

use crate::error::exists;
use crate::store::User;
use crate::{inline_policies, keys, store, users};

/// The administrator's user name.
const NAME: &str = "administrator";
const POLICY_NAME: &str = "full-access";
/// May do everything; it can be narrowed or deleted like any other policy.
const FULL_ACCESS: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;

/// An access key whose secret has just been made.
#[derive(Clone)]
pub struct AccessKey {
    /// `AKIA…`.
    pub id: String,
    /// 40 characters; shown once.
    pub secret: Zeroizing<String>,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("AccessKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Creates the administrator with its policy and its first key.
///
/// # Errors
/// `EntityAlreadyExistsException` when there is one; what the storage answers.
pub fn create_administrator(tx: &mut Tx<'_>, now: Timestamp) -> Result<AccessKey, ApiError> {
    if store::user_by_folded_name(tx, NAME)?.is_some() {
        return Err(exists("User", NAME));
    }
    let user = users::new_user(tx, NAME, now)?;
    equip(tx, &user, now)
}

/// Puts the administrator back to the first day: one new key instead of all others, full access
/// instead of whatever policies there were, the user itself again when it is gone. For whoever
/// holds the data directory and has lost the profile, or was locked out.
///
/// # Errors
/// What the storage answers.
pub fn new_administrator_key(tx: &mut Tx<'_>, now: Timestamp) -> Result<AccessKey, ApiError> {
    let user = match store::user_by_folded_name(tx, NAME)? {
        Some(user) => user,
        None => users::new_user(tx, NAME, now)?,
    };
    store::delete_policies_of(tx, &user.user_id)?;
    store::delete_keys_of(tx, &user.user_id)?;
    equip(tx, &user, now)
}

fn equip(tx: &mut Tx<'_>, user: &User, now: Timestamp) -> Result<AccessKey, ApiError> {
    inline_policies::put_for(tx, &user.user_id, POLICY_NAME, FULL_ACCESS)?;
    let (key, secret) = keys::new_key(tx, user, now)?;
    Ok(AccessKey { id: key.id, secret })
}
