//! Who carries tags and inline policies: a user or a role, as the input names it.
//!
//! Two types rather than one with two optional names, so that an operation authorized for a user
//! cannot be led to a role by a further member.

use gateway::Call;
use model::ApiError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{roles, users};

/// The part of an input that names a user or a role; answers repeat it.
pub(crate) trait Owner: DeserializeOwned + Serialize {
    /// The kind, as messages name it.
    const KIND: &'static str;

    /// The unique id.
    fn id(&self, call: &mut Call<'_, '_>) -> Result<String, ApiError>;
}

/// Names a user.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct OfUser {
    pub(crate) user_name: String,
}

/// Names a role.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct OfRole {
    pub(crate) role_name: String,
}

impl Owner for OfUser {
    const KIND: &'static str = "user";

    fn id(&self, call: &mut Call<'_, '_>) -> Result<String, ApiError> {
        Ok(users::named(call, &self.user_name)?.user_id)
    }
}

impl Owner for OfRole {
    const KIND: &'static str = "role";

    fn id(&self, call: &mut Call<'_, '_>) -> Result<String, ApiError> {
        Ok(roles::named(call, &self.role_name)?.role_id)
    }
}
