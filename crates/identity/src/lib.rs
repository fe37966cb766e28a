//! Who may administer: users, access keys, roles, temporary credentials.
//!
//! The `iam` and `sts` APIs in the shapes AWS gives them, so that the AWS CLI, boto3 and Terraform
//! manage identities here. What is not enforced is refused rather than kept and ignored: managed
//! policies, permissions boundaries, session policies and paths are answered with an error that
//! says so.
//!
//! Invariants:
//! - The administrator of the first start is a user with a full-access policy, not a code path.
//! - A secret is shown once, when it is made; after that it exists only sealed.
//! - Keys, sessions and trust refer to users and roles by their unique id, so one re-created under
//!   an old name inherits nothing.
//!
//! Source: the public models of `iam` 2010-05-08 and `sts` 2011-06-15.

mod administrator;
mod credentials;
mod documents;
mod error;
mod inline_policies;
mod keys;
mod lists;
mod owner;
mod roles;
mod sessions;
mod store;
mod tags;
mod trust;
mod usage;
mod users;

use gateway::Operation;
use storage::Migration;

pub use administrator::{AccessKey, create_administrator, new_administrator_key};
pub use credentials::IdentityCredentials;
pub use sessions::forget_expired_sessions;
pub use usage::Usage;

/// The tables of this capability.
pub const MIGRATIONS: &[Migration] = &[Migration {
    capability: "identity",
    version: 1,
    sql: include_str!("../migrations/0001.sql"),
}];

/// Every operation of `iam` and `sts` that is served; `usage` is the one that the credentials note
/// into.
pub fn operations(usage: &Usage) -> Vec<Operation> {
    let parts = [
        users::operations(),
        keys::operations(usage),
        roles::operations(),
        inline_policies::operations(),
        tags::operations(),
        sessions::operations(),
    ];
    parts.into_iter().flatten().collect()
}
