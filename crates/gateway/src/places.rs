//! Places that strangers compete for: so many in all, and nobody takes them all.
//!
//! A bound alone protects the server and not those it serves: who opens enough connections and says
//! nothing has every place. So an address takes another place only while it holds no more than are
//! free: the first gets half of all, the next half of what is left, and a newcomer still finds one.
//!
//! Deliberately not here: many addresses at once. Those are for a firewall.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// See the module documentation.
#[derive(Debug)]
pub struct Places {
    max: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// Never more entries than places; whoever holds none has none.
    by: HashMap<IpAddr, usize>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    holder: IpAddr,
}

impl Places {
    /// So many places, all free.
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            taken: Mutex::default(),
        })
    }

    /// A place for `address`; `None` when none is free, or it holds more than are.
    pub fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let holder = network(address);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let held = taken.by.get(&holder).copied().unwrap_or_default();
        let free = self.max.saturating_sub(taken.all);
        if free == 0 || free < held {
            return None;
        }
        taken.all += 1;
        taken.by.insert(holder, held + 1);
        Some(Place {
            places: Arc::clone(self),
            holder,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let taken = &self.places.taken;
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        match taken.by.get_mut(&self.holder) {
            Some(held) if *held > 1 => *held -= 1,
            _ => {
                taken.by.remove(&self.holder);
            }
        }
    }
}

/// What counts as one address: in version 6 the network of 64 bits, as every host in it may choose
/// the other 64 as it likes.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests;
