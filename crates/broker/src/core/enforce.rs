//! The enforcement point: each connect, publish, subscribe and delivery is asked about here.
//!
//! What needs permission takes a [`Cleared`], and only this module makes one: from a verdict of
//! the policy, or for the platform itself. Verdicts on topics are remembered in a small table; the
//! table goes with the authorizer, which is replaced whenever a fact changes, so that no verdict
//! outlives what it rests on.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use gateway::{Denial, Door};
use model::{CertificateId, Profile, Timestamp};
use mqtt::TopicName;
use policy::{Authorizer, DeviceAction, Facts, Hardening, Request, Resource, Verdict};

use super::message::hash;
use super::refusals::{DenialBook, Detail, Refusals};

/// Proof that something may be done with one topic or filter.
#[derive(Debug)]
#[must_use]
pub(crate) struct Cleared(());

impl Cleared {
    /// The platform's own messages, and those of callers whom the gateway allowed.
    pub(crate) fn for_platform() -> Self {
        Self(())
    }
}

/// A refusal, for whoever reports it.
#[derive(Debug)]
pub(crate) struct Refused {
    /// Where the refusal can be looked up.
    pub(crate) denial_id: Rc<str>,
}

impl Refused {
    /// The reason string of version 5.
    pub(crate) fn reason_string(&self) -> String {
        format!("not authorized; denial id {}", self.denial_id)
    }
}

/// Who is behind a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    pub(crate) certificate: CertificateId,
    pub(crate) arn: String,
}

/// What decides for one connection: its policies compiled, and the verdicts of late.
pub(crate) struct Access {
    authorizer: Authorizer,
    /// Made with the first verdict to remember: a device that says nothing has none.
    remembered: Option<Box<[Option<Remembered>; REMEMBERED]>>,
    /// Its certificate lets nobody in: no policy counts.
    barred: bool,
    /// What was refused of late, so that repeats cost no more than what is allowed.
    refusals: RefCell<Option<Box<Refusals>>>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Access")
            .field("client_id", &self.client_id())
            .finish_non_exhaustive()
    }
}

/// Verdicts kept per connection; a device mostly uses a handful of topics.
const REMEMBERED: usize = 8;

#[derive(Debug)]
struct Remembered {
    action: DeviceAction,
    topic: TopicName,
    allowed: bool,
}

/// What policies are compiled with, beside facts and connection.
#[derive(Clone, Debug)]
pub(crate) struct Grounds {
    pub(crate) scope: policy::Scope,
    pub(crate) hardening: Hardening,
}

impl Grounds {
    pub(crate) fn new(scope: &model::Scope, profile: Profile) -> Self {
        Self {
            scope: policy::Scope {
                partition: scope.partition.clone(),
                region: scope.region.to_string(),
                account: scope.account.to_string(),
            },
            hardening: match profile {
                Profile::Standard => Hardening::standard(),
                Profile::Aws => Hardening::aws(),
            },
        }
    }
}

impl Access {
    pub(crate) fn new(
        facts: Arc<Facts>,
        connection: policy::Connection,
        grounds: &Grounds,
    ) -> Self {
        let authorizer = Authorizer::new(facts, &connection, &grounds.scope, grounds.hardening);
        Self {
            authorizer,
            remembered: None,
            barred: false,
            refusals: RefCell::default(),
        }
    }

    /// Of a principal whose certificate lets nobody in: allows nothing.
    pub(crate) fn barred(connection: policy::Connection, grounds: &Grounds) -> Self {
        Self {
            barred: true,
            ..Self::new(Arc::default(), connection, grounds)
        }
    }

    /// The same connection under other facts; nothing is remembered.
    pub(crate) fn renewed(&self, facts: Arc<Facts>, grounds: &Grounds) -> Self {
        Self::new(facts, self.authorizer.connection().clone(), grounds)
    }

    /// The client id that CONNECT named or was given.
    pub(crate) fn client_id(&self) -> Option<&str> {
        self.authorizer.connection().client_id.as_deref()
    }

    /// The thing this connection is.
    pub(crate) fn thing(&self) -> Option<&policy::ThingFacts> {
        self.authorizer.resolved_thing()
    }

    /// Whether `action` may be done with `resource`.
    pub(crate) fn clear(
        &self,
        action: DeviceAction,
        resource: Resource<'_>,
        now: Timestamp,
    ) -> Option<Cleared> {
        let request = request(action, resource, now);
        self.authorizer.permit(&request).ok().map(|_| Cleared(()))
    }

    /// As [`Access::clear`] for a topic, by what is remembered where that is sound.
    pub(crate) fn clear_topic(
        &mut self,
        action: DeviceAction,
        topic: &TopicName,
        topic_hash: u64,
        now: Timestamp,
    ) -> Option<Cleared> {
        let slot = slot(action, topic_hash);
        let remembered = self.remembered.as_deref();
        if let Some(Some(known)) = remembered.and_then(|table| table.get(slot))
            && known.action == action
            && known.topic == *topic
        {
            return known.allowed.then_some(Cleared(()));
        }
        let cleared = self.clear(action, Resource::Topic(topic.as_str()), now);
        if self.authorizer.cacheable(action)
            && let Some(place) = self.remembered.get_or_insert_default().get_mut(slot)
        {
            *place = Some(Remembered {
                action,
                topic: topic.clone(),
                allowed: cleared.is_some(),
            });
        }
        cleared
    }

    /// What is asked once, when a client connects and subscribes, need not be kept ready.
    pub(super) fn rest(&mut self) {
        for action in [DeviceAction::Connect, DeviceAction::Subscribe] {
            self.authorizer.forget_rules(action);
        }
    }

    /// Takes a refusal down: who, what, and every statement that decided; or counts it, when the
    /// same was refused before.
    pub(crate) fn refuse(
        &self,
        book: &DenialBook,
        principal: &Principal,
        action: DeviceAction,
        resource: Resource<'_>,
        now: Timestamp,
    ) -> Refused {
        let mut refusals = self.refusals.borrow_mut();
        let refusals =
            refusals.get_or_insert_with(|| Box::new(Refusals::new(book, principal, now)));
        let form = |detail| self.denial(principal, action, resource, now, detail);
        let denial_id = refusals.refused(action, resource, now, form);
        Refused { denial_id }
    }

    /// Tells of the refusals that were only counted so far.
    pub(super) fn tell_refusals(&self, now: Timestamp) {
        if let Some(refusals) = &mut *self.refusals.borrow_mut() {
            refusals.tell(now);
        }
    }

    fn denial(
        &self,
        principal: &Principal,
        action: DeviceAction,
        resource: Resource<'_>,
        now: Timestamp,
        detail: Detail,
    ) -> Denial {
        let request = request(action, resource, now);
        let (verdict, resource, explanation) = match detail {
            Detail::Whole => {
                let mut explanation = self.authorizer.explain(&request);
                if self.barred {
                    // No edit of a policy would help.
                    explanation.refusal = Some("the certificate is not active");
                    explanation.suggested_edit = None;
                }
                let text = serde_json::to_value(&explanation).unwrap_or_default();
                (explanation.verdict, explanation.resource_arn, text)
            }
            Detail::ActionAlone => {
                let verdict = self.authorizer.decide(&request);
                (verdict, "*".to_owned(), serde_json::Value::Null)
            }
        };
        Denial {
            door: Door::Mqtt,
            principal: principal.arn.clone(),
            client_id: self.client_id().map(str::to_owned),
            source_ip: Some(self.source_ip()),
            action: action.name().to_owned(),
            resource,
            verdict: match verdict {
                Verdict::ExplicitDeny => "explicit-deny",
                Verdict::ImplicitDeny | Verdict::Allowed => "implicit-deny",
            },
            explanation,
        }
    }

    fn source_ip(&self) -> IpAddr {
        self.authorizer.connection().source_ip
    }
}

fn request(action: DeviceAction, resource: Resource<'_>, now: Timestamp) -> Request<'_> {
    Request {
        action,
        resource,
        now_ms: now.millis(),
    }
}

fn slot(action: DeviceAction, topic_hash: u64) -> usize {
    let mixed = topic_hash ^ (action as u64);
    usize::try_from(mixed % REMEMBERED as u64).unwrap_or(0)
}

/// The hash that [`Access::clear_topic`] wants of a topic.
pub(crate) fn topic_hash(topic: &TopicName) -> u64 {
    hash(topic.as_str())
}
