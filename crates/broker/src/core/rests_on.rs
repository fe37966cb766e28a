//! What each principal's access rests on, so that a change wakes exactly those it touches.
//!
//! A change names a topic and a key: `policy` and a policy's name, `thing` and a thing's name. A
//! principal is found again under every such name its facts mention, and under its own.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};

use model::CertificateId;
use policy::Facts;

/// Principals by what their access rests on.
#[derive(Debug, Default)]
pub(crate) struct RestsOn {
    principals: HashMap<CertificateId, BTreeSet<Ground>>,
    grounds: HashMap<Ground, BTreeSet<CertificateId>>,
}

/// One thing that access rests on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ground {
    topic: &'static str,
    key: String,
}

impl RestsOn {
    /// States what `principal` rests on from now on; what was stated before is forgotten.
    pub(crate) fn put(&mut self, principal: &CertificateId, arn: &str, facts: Option<&Facts>) {
        let grounds = grounds(principal, arn, facts);
        if self.principals.get(principal) == Some(&grounds) {
            return;
        }
        self.remove(principal);
        for ground in &grounds {
            self.grounds
                .entry(ground.clone())
                .or_default()
                .insert(principal.clone());
        }
        self.principals.insert(principal.clone(), grounds);
    }

    /// Forgets `principal`.
    pub(crate) fn remove(&mut self, principal: &CertificateId) {
        for ground in self.principals.remove(principal).unwrap_or_default() {
            if let Some(principals) = self.grounds.get_mut(&ground) {
                principals.remove(principal);
                if principals.is_empty() {
                    self.grounds.remove(&ground);
                }
            }
        }
    }

    /// Everybody.
    pub(crate) fn all(&self) -> Vec<CertificateId> {
        self.principals.keys().cloned().collect()
    }

    /// Those whose access may differ after a change of `topic` and `key`.
    pub(crate) fn touched(&self, topic: &str, key: &str) -> Vec<CertificateId> {
        let Some(topic) = TOPICS.into_iter().find(|known| *known == topic) else {
            return Vec::new();
        };
        let key = key.to_owned();
        let found = self.grounds.get(&Ground { topic, key });
        found.into_iter().flatten().cloned().collect()
    }
}

/// Whether a change of `topic` and `key` may alter what these facts say.
pub(crate) fn concerns(
    principal: &CertificateId,
    arn: &str,
    facts: Option<&Facts>,
    topic: &str,
    key: &str,
) -> bool {
    grounds(principal, arn, facts)
        .iter()
        .any(|ground| ground.topic == topic && ground.key == key)
}

const CERTIFICATE: &str = "certificate";
const PRINCIPAL: &str = "principal";
const POLICY: &str = "policy";
const THING: &str = "thing";
const THING_GROUP: &str = "thing-group";
const THING_TYPE: &str = "thing-type";
const TOPICS: [&str; 6] = [
    CERTIFICATE,
    PRINCIPAL,
    POLICY,
    THING,
    THING_GROUP,
    THING_TYPE,
];

fn grounds(principal: &CertificateId, arn: &str, facts: Option<&Facts>) -> BTreeSet<Ground> {
    let mut grounds = BTreeSet::new();
    let mut add = |topic, key: &str| {
        let key = key.to_owned();
        grounds.insert(Ground { topic, key });
    };
    add(CERTIFICATE, principal.as_str());
    add(PRINCIPAL, arn);
    let Some(facts) = facts else {
        return grounds;
    };
    for policy in &facts.policies {
        add(POLICY, &policy.name);
    }
    for thing in &facts.things {
        add(THING, &thing.name);
        if let Some(thing_type) = &thing.thing_type {
            add(THING_TYPE, thing_type);
        }
        for group in &thing.groups {
            add(THING_GROUP, &group.name);
            for policy in &group.policies {
                add(POLICY, &policy.name);
            }
        }
    }
    grounds
}
