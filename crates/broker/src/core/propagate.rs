//! Attributes of a thing and its connection that go with its messages, as user properties.
//!
//! What is appended is worked out when a client connects and when what its access rests on
//! changes, not per message. It is part of the message from there on: retained, queued and stored
//! copies carry it, receivers of 3.1.1 do not see it, and a later change does not reach it.
//!
//! Source: contract core 2.10.

use std::rc::Rc;

use mqtt::packet::Publish;

use super::enforce::Access;
use crate::directory::{Known, PropagatedSource};

/// Keys and values in order; `None` when there are none, which is the rule.
pub(super) type UserProperties = Option<Rc<[(String, String)]>>;

/// What the messages of a connection with this access carry beside what they say themselves.
// spec aws-iot [MQ-90]: an attribute that is missing adds nothing.
// spec aws-iot [MQ-91]: nor does a connection that is no thing.
pub(super) fn propagated(known: &Known, access: &Access) -> UserProperties {
    let thing = access.thing()?;
    let attributes = known.propagating.get(thing.thing_type.as_ref()?)?;
    let properties: Rc<[_]> = attributes
        .iter()
        .filter_map(|attribute| {
            let value = match &attribute.source {
                PropagatedSource::ThingAttribute(name) => thing.attributes.get(name)?,
                PropagatedSource::ClientId => access.client_id()?,
                PropagatedSource::ThingName => &thing.name,
            };
            Some((attribute.key.clone(), value.to_owned()))
        })
        .collect();
    (!properties.is_empty()).then_some(properties)
}

/// Appends them to a message.
// spec aws-iot [MQ-90]: those of the publisher stay, these come last.
pub(super) fn append(properties: &UserProperties, publish: &mut Publish) {
    if let Some(properties) = properties {
        let appended = properties.iter().cloned();
        publish.properties.user_properties.extend(appended);
    }
}
