//! Deliveries of one message, encoded once for all receivers of a kind.

use std::rc::Rc;

use mqtt::packet::SubscriptionIdentifier;
use mqtt::{DeliveryClass, PublishImage, Version};

use super::message::{Life, Message, Terms};

/// Encoded deliveries of the message at hand, one per class of receivers.
#[derive(Debug, Default)]
pub(super) struct Images {
    message: Option<u64>,
    images: Vec<(Class, Rc<PublishImage>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Class {
    pub(super) version: Version,
    pub(super) terms: Terms,
    pub(super) life: Life,
}

impl Images {
    pub(super) fn clear(&mut self) {
        self.message = None;
        self.images.clear();
    }

    /// The bytes of `message` for receivers of a class, encoded once. `None` when they cannot be
    /// encoded, or its life is over.
    pub(super) fn image(&mut self, message: &Message, class: Class) -> Option<Rc<PublishImage>> {
        if self.message != Some(message.id) {
            self.clear();
            self.message = Some(message.id);
        }
        if let Some((_, image)) = self.images.iter().find(|(known, _)| *known == class) {
            return Some(Rc::clone(image));
        }
        let identifiers: Vec<SubscriptionIdentifier> = class.terms.identifier.into_iter().collect();
        let expiry_s = match class.life {
            Life::Unlimited => None,
            Life::Seconds(left) => Some(left),
            Life::Over => return None,
        };
        let delivery = DeliveryClass {
            version: class.version,
            qos: class.terms.qos,
            retain: class.terms.retain,
            message_expiry_s: expiry_s,
            subscription_identifiers: &identifiers,
        };
        let image = match PublishImage::encode(message.publish(), &delivery) {
            Ok(image) => Rc::new(image),
            Err(error) => {
                tracing::error!(%error, "a message could not be encoded for its subscribers");
                return None;
            }
        };
        self.images.push((class, Rc::clone(&image)));
        Some(image)
    }
}
