//! The subscribers of one filter: mostly one, sometimes very many.

use std::collections::BTreeMap;

/// From this many subscribers on a sorted list costs more than a tree: every
/// change moves half of it.
const FEW_MAX: usize = 64;

/// Subscribers of one filter, each with its value.
#[derive(Debug)]
pub(super) enum Subscribers<K, V> {
    /// Sorted by subscriber; small, as most filters have one.
    Few(Vec<(K, V)>),
    Many(BTreeMap<K, V>),
}

impl<K, V> Default for Subscribers<K, V> {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl<K: Ord, V> Subscribers<K, V> {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Few(few) => few.is_empty(),
            Self::Many(many) => many.is_empty(),
        }
    }

    pub(super) fn insert(&mut self, subscriber: K, value: V) -> Option<V> {
        match self {
            Self::Many(many) => many.insert(subscriber, value),
            Self::Few(few) => {
                let at = match few.binary_search_by(|(known, _)| known.cmp(&subscriber)) {
                    Ok(at) => {
                        let (_, known) = few.get_mut(at)?;
                        return Some(std::mem::replace(known, value));
                    }
                    Err(at) => at,
                };
                if few.is_empty() {
                    few.reserve_exact(1);
                }
                few.insert(at, (subscriber, value));
                if few.len() > FEW_MAX {
                    *self = Self::Many(std::mem::take(few).into_iter().collect());
                }
                None
            }
        }
    }

    pub(super) fn remove(&mut self, subscriber: &K) -> Option<V> {
        match self {
            Self::Many(many) => {
                let removed = many.remove(subscriber);
                // Well below the limit, so that one who comes and goes does not
                // move all the others each time.
                if many.len() < FEW_MAX / 2 {
                    *self = Self::Few(std::mem::take(many).into_iter().collect());
                }
                removed
            }
            Self::Few(few) => {
                let at = few
                    .binary_search_by(|(known, _)| known.cmp(subscriber))
                    .ok()?;
                Some(few.remove(at).1)
            }
        }
    }

    pub(super) fn for_each<'a>(&'a self, each: &mut impl FnMut(&'a K, &'a V)) {
        match self {
            Self::Few(few) => few
                .iter()
                .for_each(|(subscriber, value)| each(subscriber, value)),
            Self::Many(many) => {
                many.iter()
                    .for_each(|(subscriber, value)| each(subscriber, value));
            }
        }
    }
}
