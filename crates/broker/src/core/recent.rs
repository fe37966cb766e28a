//! Where messages went of late: a device publishes on the same few topics again and again.
//!
//! One place per hash of a topic, good as long as no subscription has been made or ended since; a
//! topic that shares its place with another takes it over. Nothing here is by the choice of who
//! publishes but which of the places is used.

use mqtt::TopicName;

use super::Target;
use super::session::SubscriptionOptions;

/// Places; each holds one topic.
const PLACES: usize = 1024;
/// A topic with more targets is looked up each time: that costs little beside the deliveries.
const TARGETS_MAX: usize = 128;

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Recent {
    places: Vec<Option<Place>>,
}

#[derive(Debug)]
struct Place {
    topic: TopicName,
    generation: u64,
    targets: Vec<(Target, SubscriptionOptions)>,
}

impl Default for Recent {
    fn default() -> Self {
        let places = std::iter::repeat_with(|| None).take(PLACES).collect();
        Self { places }
    }
}

impl Recent {
    /// Appends the targets of `topic`, if they are known and nothing has changed since
    /// `generation`; whether they are.
    pub(super) fn recall(
        &self,
        (topic, hash): (&TopicName, u64),
        generation: u64,
        into: &mut Vec<(Target, SubscriptionOptions)>,
    ) -> bool {
        match self.places.get(place(hash)) {
            Some(Some(known)) if known.generation == generation && known.topic == *topic => {
                into.extend_from_slice(&known.targets);
                true
            }
            _ => false,
        }
    }

    /// Keeps the targets of `topic` as of `generation`.
    pub(super) fn keep(
        &mut self,
        (topic, hash): (&TopicName, u64),
        generation: u64,
        targets: &[(Target, SubscriptionOptions)],
    ) {
        if TARGETS_MAX < targets.len() {
            return;
        }
        if let Some(place) = self.places.get_mut(place(hash)) {
            *place = Some(Place {
                topic: topic.clone(),
                generation,
                targets: targets.to_vec(),
            });
        }
    }
}

fn place(hash: u64) -> usize {
    // The low bits alone choose a place among a connection's verdicts; here the others count too.
    let mixed = hash ^ (hash >> 32);
    usize::try_from(mixed % PLACES as u64).unwrap_or(0)
}
