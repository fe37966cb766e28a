//! Slots with keys that are never mistaken for each other.
//!
//! A slot is used again, its key is not: the key carries the slot's generation, so that a late
//! event about a closed connection finds nothing rather than its successor.

#[cfg(test)]
mod tests;

use std::fmt;
use std::marker::PhantomData;

/// Names one value of an [`Arena<T>`].
pub(crate) struct Key<T> {
    index: u32,
    generation: u32,
    of: PhantomData<fn(T)>,
}

impl<T> Key<T> {
    /// Both parts in one number; two keys have the same only if they are the same.
    pub(crate) fn bits(self) -> usize {
        const { assert!(usize::BITS >= 64, "a key needs 64 bits") };
        (self.generation as usize) << 32 | self.index as usize
    }
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Key<T> {}

impl<T> PartialEq for Key<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.index, self.generation) == (other.index, other.generation)
    }
}

impl<T> Eq for Key<T> {}

impl<T> PartialOrd for Key<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Key<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.index, self.generation).cmp(&(other.index, other.generation))
    }
}

impl<T> std::hash::Hash for Key<T> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.index, self.generation).hash(state);
    }
}

impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.index, self.generation)
    }
}

/// Values by key; insertion, removal and lookup in constant time.
#[derive(Debug)]
pub(crate) struct Arena<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Arena<T> {
    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Adds a value. The arena's owner bounds how many there are, below 2^32.
    pub(crate) fn insert(&mut self, value: T) -> Key<T> {
        if let Some(index) = self.free.pop()
            && let Some(slot) = self.slots.get_mut(index as usize)
        {
            slot.value = Some(value);
            return Key {
                index,
                generation: slot.generation,
                of: PhantomData,
            };
        }
        let index = u32::try_from(self.slots.len()).expect("the owner's bound is below 2^32");
        self.slots.push(Slot {
            generation: 0,
            value: Some(value),
        });
        Key {
            index,
            generation: 0,
            of: PhantomData,
        }
    }

    /// Takes a value out.
    pub(crate) fn remove(&mut self, key: Key<T>) -> Option<T> {
        let slot = self.slots.get_mut(key.index as usize)?;
        if slot.generation != key.generation {
            return None;
        }
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(key.index);
        Some(value)
    }

    /// The value, if it is still there.
    pub(crate) fn get(&self, key: Key<T>) -> Option<&T> {
        let slot = self.slots.get(key.index as usize)?;
        slot.value
            .as_ref()
            .filter(|_| slot.generation == key.generation)
    }

    /// The value, if it is still there.
    pub(crate) fn get_mut(&mut self, key: Key<T>) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.index as usize)?;
        slot.value
            .as_mut()
            .filter(|_| slot.generation == key.generation)
    }

    /// Every key and value, in the order of the slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key<T>, &T)> {
        (0..).zip(&self.slots).filter_map(|(index, slot)| {
            let generation = slot.generation;
            let of = PhantomData;
            let key = Key {
                index,
                generation,
                of,
            };
            slot.value.as_ref().map(|value| (key, value))
        })
    }
}
