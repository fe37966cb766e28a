//! The subscriptions of one session, by filter: mostly one or two, at times very many.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::session::Subscription;

/// From this many on a sorted list costs more than a tree, whose nodes have room for eleven.
const FEW_MAX: usize = 8;

/// Subscriptions by the filter as the client wrote it, in order.
#[derive(Debug)]
pub(crate) enum Subscriptions {
    /// Sorted by filter, no larger than it must be.
    Few(Vec<(Arc<str>, Subscription)>),
    Many(BTreeMap<Arc<str>, Subscription>),
}

impl Default for Subscriptions {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Subscriptions {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Few(few) => few.len(),
            Self::Many(many) => many.len(),
        }
    }

    pub(crate) fn contains(&self, filter: &str) -> bool {
        match self {
            Self::Few(few) => find(few, filter).is_ok(),
            Self::Many(many) => many.contains_key(filter),
        }
    }

    /// What the subscription was before, if it existed.
    pub(crate) fn insert(
        &mut self,
        filter: Arc<str>,
        subscription: Subscription,
    ) -> Option<Subscription> {
        match self {
            Self::Many(many) => many.insert(filter, subscription),
            Self::Few(few) => match find(few, &filter) {
                Ok(at) => {
                    let (_, known) = few.get_mut(at)?;
                    Some(std::mem::replace(known, subscription))
                }
                Err(at) => {
                    few.reserve_exact(1);
                    few.insert(at, (filter, subscription));
                    if FEW_MAX < few.len() {
                        *self = Self::Many(std::mem::take(few).into_iter().collect());
                    }
                    None
                }
            },
        }
    }

    pub(crate) fn remove(&mut self, filter: &str) -> Option<Subscription> {
        match self {
            Self::Many(many) => many.remove(filter),
            Self::Few(few) => {
                let at = find(few, filter).ok()?;
                Some(few.remove(at).1)
            }
        }
    }

    pub(crate) fn values(&self) -> Box<dyn Iterator<Item = &Subscription> + '_> {
        match self {
            Self::Few(few) => Box::new(few.iter().map(|(_, subscription)| subscription)),
            Self::Many(many) => Box::new(many.values()),
        }
    }

    /// Those whose filter comes after `after`, in order; all without it.
    pub(crate) fn after<'a>(
        &'a self,
        after: Option<&str>,
    ) -> Box<dyn Iterator<Item = (&'a Arc<str>, &'a Subscription)> + 'a> {
        match self {
            Self::Few(few) => {
                let from = after.map_or(0, |after| {
                    few.partition_point(|(known, _)| &**known <= after)
                });
                let rest = few.get(from..).unwrap_or_default();
                Box::new(
                    rest.iter()
                        .map(|(filter, subscription)| (filter, subscription)),
                )
            }
            Self::Many(many) => {
                let from = after.map_or(Bound::Unbounded, Bound::Excluded);
                Box::new(many.range::<str, _>((from, Bound::Unbounded)))
            }
        }
    }
}

fn find(few: &[(Arc<str>, Subscription)], filter: &str) -> Result<usize, usize> {
    few.binary_search_by(|(known, _)| (**known).cmp(filter))
}

#[cfg(test)]
mod tests {
    use mqtt::topic::parse_subscription;
    use mqtt::{QoS, TopicLimits};
    use proptest::prelude::*;

    use super::*;
    use crate::core::session::SubscriptionOptions;

    fn subscription(filter: &str) -> Subscription {
        Subscription {
            filter: parse_subscription(filter, &TopicLimits::STANDARD).unwrap(),
            options: SubscriptionOptions {
                qos: QoS::AtMostOnce,
                no_local: false,
                retain_as_published: false,
                identifier: None,
            },
        }
    }

    proptest! {
        #[test]
        fn few_or_many_it_is_a_sorted_map(steps in prop::collection::vec((0_u8..24, any::<bool>()), 0..80)) {
            let (mut subject, mut model) = (Subscriptions::default(), BTreeMap::new());
            for (number, adds) in steps {
                let filter = format!("a/{number}");
                if adds {
                    let before = subject.insert(filter.as_str().into(), subscription(&filter));
                    prop_assert_eq!(before.is_some(), model.insert(filter, ()).is_some());
                } else {
                    prop_assert_eq!(subject.remove(&filter).is_some(), model.remove(&filter).is_some());
                }
                prop_assert_eq!(subject.len(), model.len());
                prop_assert_eq!(subject.values().count(), model.len());
                for after in [None, Some("a/17"), Some("a/5")] {
                    let found: Vec<_> = subject.after(after).map(|(filter, _)| filter.to_string()).collect();
                    let behind = |key: &&String| after.is_none_or(|after| after < key.as_str());
                    let expected: Vec<_> = model.keys().filter(behind).cloned().collect();
                    prop_assert_eq!(found, expected);
                }
            }
            for number in 0..24 {
                let filter = format!("a/{number}");
                prop_assert_eq!(subject.contains(&filter), model.contains_key(&filter));
            }
        }
    }
}
