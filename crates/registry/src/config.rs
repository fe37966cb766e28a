//! The registry's settings: each of its limits is `"profile"`, `"off"`, `"aws"` or a number.
//!
//! Source: contract core, `[G-2]`, sections 4, 7 and 15.

#[cfg(test)]
mod tests;

use std::time::Duration;

use model::{OutOfRange, Profile, Quota, QuotaRule};
use policy::DOCUMENT_CHARS_MAX;
use serde::{Deserialize, Serialize};

use crate::Limits;

/// The registry's section of the configuration file. What each limit counts is said at [`Limits`].
///
/// A limit that is lowered holds for what comes; what is stored already stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegistryConfig {
    /// Attributes of a thing that has no type. `aws`: 3. In `standard`: 50. 0 to 50.
    pub attributes_without_type: Quota,
    /// Attributes of a thing that has a type, and of a group. 50. 0 to 50.
    pub attributes: Quota,
    /// Searchable attributes of a thing type. 3. 0 to 50.
    pub searchable_attributes: Quota,
    /// Propagating attributes of a thing type. 50. 0 to 50.
    pub propagating_attributes: Quota,
    /// How long a type must have been deprecated before it can be deleted, in seconds. `aws`: 300.
    /// In `standard`, and for `"off"`: 0. 0 to 86,400.
    pub type_retirement_s: Quota,
    /// Levels of a tree of groups. `aws`: 7. In `standard`: 16. 1 to 64.
    pub group_depth: Quota,
    /// Direct children of a group. `aws`: 100. In `standard`: 10,000. 1 to 100,000.
    pub group_children: Quota,
    /// Groups that a thing is a direct member of. `aws`: 10. In `standard`: 50. 1 to 1,000.
    pub groups_per_thing: Quota,
    /// Principals attached to a thing. `aws`: 10. In `standard`: 1,000. 1 to 10,000.
    pub principals_per_thing: Quota,
    /// Things attached to a principal. 1,000. 1 to 10,000.
    pub things_per_principal: Quota,
    /// Policies attached to a certificate or identity. `aws`: 10. In `standard`: 50. 1 to 1,000.
    pub policies_per_principal: Quota,
    /// Policies attached to a group. `aws`: 2. In `standard`: 50. 1 to 1,000.
    pub policies_per_group: Quota,
    /// Characters of a policy document that are not white space. `aws`: 2,048. In `standard`:
    /// 404,600. 256 to 404,600.
    pub policy_chars: Quota,
    /// Versions kept of a policy. 5. 1 to 100.
    pub policy_versions: Quota,
    /// Tags of one resource. 50. 0 to 200.
    pub tags: Quota,
}

const fn rule(field: &'static str, aws: u64, standard: u64, min: u64, max: u64) -> QuotaRule {
    QuotaRule {
        field,
        aws,
        standard,
        min,
        max,
    }
}

// spec aws-iot [RG-2], [RG-20], [RG-23], [RG-30], [RG-31], [RG-54], [PL-2]: AWS's values.
const ATTRIBUTES_WITHOUT_TYPE: QuotaRule = rule("attributes_without_type", 3, 50, 0, 50);
const ATTRIBUTES: QuotaRule = rule("attributes", 50, 50, 0, 50);
const SEARCHABLE: QuotaRule = rule("searchable_attributes", 3, 3, 0, 50);
const PROPAGATING: QuotaRule = rule("propagating_attributes", 50, 50, 0, 50);
const RETIREMENT_S: QuotaRule = rule("type_retirement_s", 300, 0, 0, 86_400);
const DEPTH: QuotaRule = rule("group_depth", 7, 16, 1, 64);
const CHILDREN: QuotaRule = rule("group_children", 100, 10_000, 1, 100_000);
const GROUPS: QuotaRule = rule("groups_per_thing", 10, 50, 1, 1000);
const PRINCIPALS: QuotaRule = rule("principals_per_thing", 10, 1000, 1, 10_000);
const THINGS: QuotaRule = rule("things_per_principal", 1000, 1000, 1, 10_000);
const OF_PRINCIPAL: QuotaRule = rule("policies_per_principal", 10, 50, 1, 1000);
const OF_GROUP: QuotaRule = rule("policies_per_group", 2, 50, 1, 1000);
const CHARS: QuotaRule = rule("policy_chars", 2048, CHARS_MAX, 256, CHARS_MAX);
const VERSIONS: QuotaRule = rule("policy_versions", 5, 5, 1, 100);
const TAGS: QuotaRule = rule("tags", 50, 50, 0, 200);
/// What the policy engine reads.
const CHARS_MAX: u64 = DOCUMENT_CHARS_MAX as u64;

impl RegistryConfig {
    /// Resolves every limit for `profile`.
    ///
    /// # Errors
    /// The first setting outside its range.
    pub fn limits(&self, profile: Profile) -> Result<Limits, OutOfRange> {
        let size = |rule: &QuotaRule, quota| {
            let value = rule.resolve(quota, profile)?;
            Ok::<_, OutOfRange>(usize::try_from(value).unwrap_or(usize::MAX))
        };
        // A waiting time that is off is none, not the longest.
        let retirement = match self.type_retirement_s {
            Quota::Off => Quota::At(0),
            said => said,
        };
        Ok(Limits {
            attributes_without_type: size(&ATTRIBUTES_WITHOUT_TYPE, self.attributes_without_type)?,
            attributes: size(&ATTRIBUTES, self.attributes)?,
            searchable_attributes: size(&SEARCHABLE, self.searchable_attributes)?,
            propagating_attributes: size(&PROPAGATING, self.propagating_attributes)?,
            type_retirement: Duration::from_secs(RETIREMENT_S.resolve(retirement, profile)?),
            group_depth: size(&DEPTH, self.group_depth)?,
            group_children: size(&CHILDREN, self.group_children)?,
            groups_per_thing: size(&GROUPS, self.groups_per_thing)?,
            principals_per_thing: size(&PRINCIPALS, self.principals_per_thing)?,
            things_per_principal: size(&THINGS, self.things_per_principal)?,
            policies_per_principal: size(&OF_PRINCIPAL, self.policies_per_principal)?,
            policies_per_group: size(&OF_GROUP, self.policies_per_group)?,
            policy_chars: size(&CHARS, self.policy_chars)?,
            policy_versions: size(&VERSIONS, self.policy_versions)?,
            tags: size(&TAGS, self.tags)?,
        })
    }
}
