//! Access ends when somebody says so: live sessions judged again when what they rest on changes.
//!
//! A changed fact compiles the policies of every connection of the principal anew. A connection
//! whose certificate is no longer active, or that may no longer connect, ends; subscriptions that
//! are no longer allowed are taken away; a will that is no longer allowed is dropped; what waits
//! is judged when it is delivered.

use std::sync::Arc;

use device_api::{DisconnectReason, SubscriptionChange};
use model::CertificateId;
use mqtt::ReasonCode;
use policy::{DeviceAction, Resource};

use super::arena::Key;
use super::connection::Connection;
use super::propagate::propagated;
use super::{Core, End, Now};
use crate::directory::{Known, Standing};

/// What a review did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reviewed {
    /// Connections that were ended.
    pub(crate) sessions_closed: u64,
    /// Subscriptions that were taken away.
    pub(crate) subscriptions_dropped: u64,
}

impl Reviewed {
    pub(crate) fn add(&mut self, other: Self) {
        self.sessions_closed += other.sessions_closed;
        self.subscriptions_dropped += other.subscriptions_dropped;
    }
}

impl Core {
    /// Judges every connection of `certificate` by what is known of it now.
    pub(crate) fn review(
        &mut self,
        now: Now,
        certificate: &CertificateId,
        standing: &Standing,
    ) -> Reviewed {
        let mut reviewed = Reviewed::default();
        let connections = self.by_principal.get(certificate).cloned();
        for key in connections.unwrap_or_default() {
            let closes = match standing {
                Standing::Active(known) => {
                    let verdict = self.review_connection(now, key, known);
                    if verdict.is_none() {
                        let dropped = self.recheck_subscriptions(now, key);
                        reviewed.subscriptions_dropped += dropped;
                    }
                    verdict
                }
                Standing::Inactive(status) => Some(format!("the certificate is {status}")),
                Standing::Unknown => Some("the certificate is not registered".to_owned()),
            };
            if let Some(text) = closes {
                self.shut_out(key, text);
                reviewed.sessions_closed += 1;
            }
        }
        self.settle(now);
        reviewed
    }

    /// Puts new facts under every connection of `certificate`, which still have to be reviewed:
    /// whatever they do from now on is judged by them.
    pub(crate) fn adopt(&mut self, now: Now, certificate: &CertificateId, known: &Arc<Known>) {
        let connections = self.by_principal.get(certificate).cloned();
        for key in connections.unwrap_or_default() {
            self.put_under(now, key, known);
        }
    }

    fn put_under(&mut self, now: Now, key: Key<Connection>, known: &Arc<Known>) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        connection.access_read_at = now.wall;
        if Arc::ptr_eq(&connection.known, known) {
            return;
        }
        connection.known = Arc::clone(known);
        if let Some(serving) = connection.serving_mut() {
            let facts = Arc::clone(&known.facts);
            serving.access = serving.access.renewed(facts, &self.settings.grounds);
            serving.propagated = propagated(known, &serving.access);
        }
    }

    /// Ends every connection of `certificate`, because it cannot be told whether it may stay.
    pub(crate) fn shut_out_unreviewed(
        &mut self,
        now: Now,
        certificate: &CertificateId,
    ) -> Reviewed {
        let connections = self.by_principal.get(certificate).cloned();
        let mut reviewed = Reviewed::default();
        for key in connections.unwrap_or_default() {
            let text = "a change of access could not be applied in time";
            self.shut_out(key, text.to_owned());
            reviewed.sessions_closed += 1;
        }
        self.settle(now);
        reviewed
    }

    /// Whether `certificate` has connections.
    pub(crate) fn is_connected(&self, certificate: &CertificateId) -> bool {
        self.by_principal.contains_key(certificate)
    }

    // spec aws-iot [PL-52]
    fn shut_out(&mut self, key: Key<Connection>, text: String) {
        let end = End::new(DisconnectReason::AuthError, ReasonCode::NotAuthorized);
        self.end(key, end.because(text));
    }

    /// Puts new facts under a connection. Why it must end, if it must.
    // spec aws-iot [G-5], [PL-33], [PL-51]
    fn review_connection(
        &mut self,
        now: Now,
        key: Key<Connection>,
        known: &Arc<Known>,
    ) -> Option<String> {
        let rechecks = self.limits().recheck_connect;
        self.put_under(now, key, known);
        let connection = self.connections.get_mut(key)?;
        let principal = std::rc::Rc::clone(&connection.peer.principal);
        // First: the will of a connection that ends goes out, unless it may not any more.
        self.recheck_will(now, key);
        if rechecks {
            let serving = self.connections.get(key)?.serving()?;
            let client_id = Arc::clone(&serving.client_id);
            let (action, resource) = (DeviceAction::Connect, Resource::Client(&client_id));
            if serving.access.clear(action, resource, now.wall).is_none() {
                let book = &self.settings.denials;
                let refused = serving
                    .access
                    .refuse(book, &principal, action, resource, now.wall);
                self.counters.denials += 1;
                return Some(refused.reason_string());
            }
        }
        None
    }

    /// Takes away the subscriptions that are no longer allowed; how many.
    // spec aws-iot [MQ-24]: hardened, also at resume; AWS keeps them and judges deliveries alone.
    pub(super) fn recheck_subscriptions(&mut self, now: Now, key: Key<Connection>) -> u64 {
        if !self.limits().recheck_connect {
            return 0;
        }
        let Some(session) = self.session_of(key) else {
            return 0;
        };
        let filters: Vec<Arc<str>> = match self.sessions.get(session) {
            Some(found) => {
                let all = found.subscriptions.after(None);
                all.map(|(filter, _)| Arc::clone(filter)).collect()
            }
            None => return 0,
        };
        let found = self.connections.get(key);
        let Some((peer, serving)) = found.and_then(|c| Some((&c.peer, c.serving()?))) else {
            return 0;
        };
        let mut lost: Vec<&str> = Vec::new();
        for filter in &filters {
            let action = DeviceAction::Subscribe;
            let resource = Resource::TopicFilter(filter);
            if serving.access.clear(action, resource, now.wall).is_none() {
                let book = &self.settings.denials;
                serving
                    .access
                    .refuse(book, &peer.principal, action, resource, now.wall);
                self.counters.denials += 1;
                lost.push(filter);
            }
        }
        for filter in &lost {
            tracing::info!(
                filter,
                "a subscription is no longer allowed and was dropped"
            );
            self.unsubscribe(session, filter);
        }
        self.report_change(now, key, SubscriptionChange::Unsubscribed, &lost);
        let lost = lost.len() as u64;
        self.rest(key);
        lost
    }
}
