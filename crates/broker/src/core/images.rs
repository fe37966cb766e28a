//! Deliveries of one message, encoded once for all receivers of a kind.

use mqtt::packet::SubscriptionIdentifier;
use mqtt::{DeliveryClass, PublishImage, Version};

use super::message::{Life, Message, Terms};

/// Encoded deliveries of the message at hand, one per class of receivers.
#[derive(Debug, Default)]
pub(super) struct Images {
    message: Option<u64>,
    images: Vec<(Class, PublishImage)>,
    /// How many of them are of the message at hand; the others are memory to use again.
    used: usize,
}

/// Names an image until that of another message is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct ImageKey(usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Class {
    pub(super) version: Version,
    pub(super) terms: Terms,
    pub(super) life: Life,
}

/// Images kept to be used again.
const KEPT_MAX: usize = 16;

impl Images {
    pub(super) fn clear(&mut self) {
        self.message = None;
        self.used = 0;
        self.images.truncate(KEPT_MAX);
    }

    pub(super) fn get(&self, key: ImageKey) -> Option<&PublishImage> {
        self.images.get(key.0).map(|(_, image)| image)
    }

    /// The bytes of `message` for receivers of a class, encoded once. `None` when they cannot be
    /// encoded, or its life is over.
    pub(super) fn image(&mut self, message: &Message, class: Class) -> Option<ImageKey> {
        if self.message != Some(message.id) {
            self.clear();
            self.message = Some(message.id);
        }
        let known = self.images.iter().take(self.used);
        if let Some(at) = known
            .map(|(known, _)| known)
            .position(|known| *known == class)
        {
            return Some(ImageKey(at));
        }
        let expiry_s = match class.life {
            Life::Unlimited => None,
            Life::Seconds(left) => Some(left),
            Life::Over => return None,
        };
        let identifier: Option<[SubscriptionIdentifier; 1]> = class.terms.identifier.map(|id| [id]);
        let delivery = DeliveryClass {
            version: class.version,
            qos: class.terms.qos,
            retain: class.terms.retain,
            message_expiry_s: expiry_s,
            subscription_identifiers: identifier.as_ref().map_or(&[], |one| one.as_slice()),
        };
        if self.images.len() == self.used {
            self.images.push((class, PublishImage::default()));
        }
        let (kept_class, image) = self.images.get_mut(self.used)?;
        if let Err(error) = image.encode_again(message.publish(), &delivery) {
            tracing::error!(%error, "a message could not be encoded for its subscribers");
            return None;
        }
        *kept_class = class;
        self.used += 1;
        Some(ImageKey(self.used - 1))
    }
}
