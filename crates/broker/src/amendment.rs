//! What a change does to facts that are known already.
//!
//! A policy may be attached to ten thousand live sessions. To read every one of them again takes
//! as many times half a dozen queries; to read what changed takes two. So a change of a policy or
//! of a group is read once and put into the facts of everybody it touches.

use std::collections::BTreeSet;
use std::sync::Arc;

use policy::{Facts, NamedPolicy};

use crate::directory::Known;

/// What there is now, in place of what was known.
#[derive(Clone, Debug)]
pub enum Amendment {
    /// The default version of the policy with this name.
    Policy(NamedPolicy),
    /// A thing group.
    Group {
        /// Its name.
        name: String,
        /// The policies attached to it.
        policies: Vec<NamedPolicy>,
        /// The things in it, and in the groups below it.
        things: BTreeSet<String>,
    },
}

impl Amendment {
    /// What is known of a principal, with the change.
    pub(crate) fn of(&self, known: &Known) -> Known {
        let mut facts = Facts::clone(&known.facts);
        match self {
            Self::Policy(policy) => {
                let of_groups = facts.things.iter_mut().flat_map(|thing| &mut thing.groups);
                let of_groups = of_groups.flat_map(|group| &mut group.policies);
                for known in facts.policies.iter_mut().chain(of_groups) {
                    if known.name == policy.name {
                        *known = policy.clone();
                    }
                }
            }
            Self::Group {
                name,
                policies,
                things,
            } => {
                for thing in &mut facts.things {
                    let is_member = things.contains(&thing.name);
                    thing
                        .groups
                        .retain(|group| is_member || group.name != *name);
                    for group in &mut thing.groups {
                        if group.name == *name {
                            group.policies.clone_from(policies);
                        }
                    }
                }
            }
        }
        Known {
            facts: Arc::new(facts),
            propagating: known.propagating.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
