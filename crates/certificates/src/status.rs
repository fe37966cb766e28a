//! What a certificate may become: the status machine of device certificates.
//!
//! ```text
//!  create, register          create, register            introduced by its authority
//!  (default)                 as active                              |
//!      |                         |                                  v
//!      v        activate         v                          PENDING_ACTIVATION
//!   INACTIVE ---------------> ACTIVE <--------- activate -------|  |  |
//!      |  |  <--------------    |                               |  |  |
//!      |  |     deactivate      |       INACTIVE <- deactivate -+  |  |
//!      |  |                     |                                  |  |
//!      |  +--- revoke --> REVOKED <------------- revoke -----------+  |
//!      |                        ^  (from ACTIVE too)                  |
//!      | transfer                                                     |
//!      v                                                              v
//!   PENDING_TRANSFER            delete: from every status but ACTIVE (removed)
//! ```
//!
//! Only ACTIVE authenticates. Nothing leaves REVOKED but by deletion. The ways out of
//! PENDING_TRANSFER (accept, reject, cancel) belong to two accounts and are in `transfer`.
//!
//! Source: contract core 5.4.

use std::fmt;

use model::ApiError;
use serde::{Deserialize, Serialize};

/// The status of a device certificate.
// spec aws-iot [CT-31]: only `Active` authenticates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// May authenticate.
    Active,
    /// Known, and switched off.
    Inactive,
    /// Switched off for good.
    Revoked,
    /// On its way to another account.
    PendingTransfer,
    /// Introduced by its authority, waiting for someone to say yes.
    PendingActivation,
}

impl Status {
    /// Every status, in the order of the contract's table.
    pub const ALL: [Self; 5] = [
        Self::Active,
        Self::Inactive,
        Self::PendingActivation,
        Self::PendingTransfer,
        Self::Revoked,
    ];

    /// As the API writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Inactive => "INACTIVE",
            Self::Revoked => "REVOKED",
            Self::PendingTransfer => "PENDING_TRANSFER",
            Self::PendingActivation => "PENDING_ACTIVATION",
        }
    }

    /// Reads what [`Status::as_str`] wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// What `wanted` does to a certificate in this status.
    pub(crate) const fn on(self, wanted: Move) -> Outcome {
        use Move::{Activate, Deactivate, Delete, Revoke, Transfer};
        use Outcome::{Becomes, Refused, Removed, Stays};
        use Status::{Active, Inactive, PendingActivation, PendingTransfer, Revoked};
        match (self, wanted) {
            (Active, Activate) | (Inactive, Deactivate) | (Revoked, Revoke) => Stays,
            (Inactive | PendingActivation, Activate) => Becomes(Active),
            (Active | PendingActivation, Deactivate) => Becomes(Inactive),
            (Active | Inactive | PendingActivation, Revoke) => Becomes(Revoked),
            (Inactive, Transfer) => Becomes(PendingTransfer),
            // spec aws-iot [CT-32]: what is active is switched off before it is deleted.
            (Inactive | PendingActivation | PendingTransfer | Revoked, Delete) => Removed,
            (Active, Transfer | Delete)
            | (PendingActivation, Transfer)
            | (PendingTransfer, Activate | Deactivate | Revoke | Transfer)
            | (Revoked, Activate | Deactivate | Transfer) => Refused,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// What someone wants done with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    Activate,
    Deactivate,
    Revoke,
    Transfer,
    Delete,
}

impl Move {
    /// In words, for messages: "cannot be …".
    pub(crate) const fn participle(self) -> &'static str {
        match self {
            Self::Activate => "activated",
            Self::Deactivate => "deactivated",
            Self::Revoke => "revoked",
            Self::Transfer => "transferred",
            Self::Delete => "deleted",
        }
    }
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It takes this status.
    Becomes(Status),
    /// It has that status already.
    Stays,
    /// It is gone.
    Removed,
    /// The status does not allow it.
    Refused,
}

/// A status as a caller writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum RequestedStatus {
    Active,
    Inactive,
    Revoked,
    PendingTransfer,
    PendingActivation,
    /// An old word for `Inactive`.
    RegisterInactive,
}

impl RequestedStatus {
    /// What it takes for a certificate to get there.
    // spec aws-iot [CT-30]
    pub(crate) fn wanted(self) -> Result<Move, ApiError> {
        match self {
            Self::Active => Ok(Move::Activate),
            Self::Inactive | Self::RegisterInactive => Ok(Move::Deactivate),
            Self::Revoked => Ok(Move::Revoke),
            Self::PendingTransfer | Self::PendingActivation => Err(self.not_settable("newStatus")),
        }
    }

    /// The status of a certificate that is registered with it.
    pub(crate) fn initial(self) -> Result<Status, ApiError> {
        match self {
            Self::Active => Ok(Status::Active),
            Self::Inactive | Self::RegisterInactive => Ok(Status::Inactive),
            Self::Revoked => Ok(Status::Revoked),
            Self::PendingTransfer | Self::PendingActivation => Err(self.not_settable("status")),
        }
    }

    fn not_settable(self, member: &str) -> ApiError {
        let name = match self {
            Self::PendingTransfer => Status::PendingTransfer,
            _ => Status::PendingActivation,
        };
        ApiError::invalid(format!(
            "{member} cannot be {name}; use ACTIVE, INACTIVE or REVOKED"
        ))
    }
}

#[cfg(test)]
mod tests;
