//! Every count and size that the registry bounds.
//!
//! The profile `aws` takes the documented quotas, `standard` lifts those that only ration a
//! service and keeps those that protect memory (contract core `[G-2]`). Each is a setting
//! of [`RegistryConfig`](crate::RegistryConfig).
//!
//! Source: contract core 15.

use std::time::Duration;

use model::Profile;

/// The limits in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Attributes of a thing that has no type.
    pub attributes_without_type: usize,
    /// Attributes of a thing that has a type, and of a group.
    ///
    /// With the longest keys (128) and values (800) fifty attributes stay below 47 KB, so that
    /// limit of `[RG-2]` needs no check of its own.
    pub attributes: usize,
    /// Searchable attributes of a thing type.
    pub searchable_attributes: usize,
    /// Propagating attributes of a thing type.
    pub propagating_attributes: usize,
    /// How long a thing type must have been deprecated before it can be deleted.
    pub type_retirement: Duration,
    /// Levels of a tree of groups, the root included.
    pub group_depth: usize,
    /// Direct children of a group.
    pub group_children: usize,
    /// Groups that a thing is a direct member of.
    pub groups_per_thing: usize,
    /// Principals attached to a thing.
    pub principals_per_thing: usize,
    /// Things attached to a principal; all of them are facts of each of its sessions.
    pub things_per_principal: usize,
    /// Policies attached to a certificate or identity.
    pub policies_per_principal: usize,
    /// Policies attached to a group.
    pub policies_per_group: usize,
    /// Characters of a policy document that are not white space.
    pub policy_chars: usize,
    /// Versions kept of a policy.
    pub policy_versions: usize,
    /// Tags of one resource.
    pub tags: usize,
}

impl Limits {
    /// Structural limits only.
    pub const STANDARD: Self = Self {
        attributes_without_type: 50,
        attributes: 50,
        searchable_attributes: 3,
        propagating_attributes: 50,
        type_retirement: Duration::ZERO,
        group_depth: 16,
        group_children: 10_000,
        groups_per_thing: 50,
        principals_per_thing: 1000,
        things_per_principal: 1000,
        policies_per_principal: 50,
        policies_per_group: 50,
        policy_chars: 404_600,
        policy_versions: 5,
        tags: 50,
    };

    /// The documented quotas.
    pub const AWS: Self = Self {
        attributes_without_type: 3,
        type_retirement: Duration::from_secs(5 * 60),
        group_depth: 7,
        group_children: 100,
        groups_per_thing: 10,
        principals_per_thing: 10,
        policies_per_principal: 10,
        policies_per_group: 2,
        policy_chars: 2048,
        ..Self::STANDARD
    };

    /// The limits of a profile.
    pub const fn of(profile: Profile) -> Self {
        match profile {
            Profile::Standard => Self::STANDARD,
            Profile::Aws => Self::AWS,
        }
    }
}
