//! The judge of devices that come over HTTPS: the same IoT policies, per request.
//!
//! Nothing is remembered between requests, because a kept-alive connection outlives a revocation.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use gateway::{BoxFuture, Denial, Denials, DevicePolicy, Door, OwnedResource};
use model::{ApiError, CertificateId, ErrorKind, Profile, Scope, Timestamp};
use policy::{Authorizer, Connection, DeviceAction, Request, Resource, Verdict};
use storage::Storage;

use crate::core::Grounds;
use crate::directory::Directory;

/// See the module documentation.
pub(crate) struct IotPolicies {
    storage: Storage,
    directory: Arc<dyn Directory>,
    scope: Scope,
    grounds: Grounds,
    denials: Denials,
}

impl fmt::Debug for IotPolicies {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("IotPolicies")
    }
}

impl IotPolicies {
    pub(crate) fn new(
        storage: Storage,
        directory: Arc<dyn Directory>,
        scope: &Scope,
        profile: Profile,
        denials: Denials,
    ) -> Self {
        Self {
            storage,
            directory,
            scope: scope.clone(),
            grounds: Grounds::new(scope, profile),
            denials,
        }
    }
}

/// What a device asks leave for.
enum Asked {
    Of(DeviceAction, OwnedResource),
    DirectMessage { client: String, topic: String },
}

impl Asked {
    fn action(&self) -> DeviceAction {
        match self {
            Self::Of(action, _) => *action,
            Self::DirectMessage { .. } => DeviceAction::SendDirectMessage,
        }
    }

    fn resource(&self) -> Resource<'_> {
        match self {
            Self::Of(_, resource) => resource.as_resource(),
            Self::DirectMessage { client, topic } => Resource::DirectMessage { client, topic },
        }
    }
}

impl DevicePolicy for IotPolicies {
    fn authorize(
        &self,
        certificate: CertificateId,
        source_ip: IpAddr,
        requests: Vec<(DeviceAction, OwnedResource)>,
    ) -> BoxFuture<'static, Result<(), ApiError>> {
        // spec aws-iot [MQ-96]: a policy may speak of the message's topic, which is not asked about
        // here; the operation asks again, see `authorize_direct`.
        let asked = requests
            .into_iter()
            .filter(|(action, _)| *action != DeviceAction::SendDirectMessage)
            .map(|(action, resource)| Asked::Of(action, resource));
        self.decide(certificate, source_ip, asked.collect())
    }
}

impl IotPolicies {
    /// Whether a device may send to `client` on `topic`.
    ///
    /// # Errors
    /// `ForbiddenException`; and when the database cannot answer.
    pub(crate) async fn authorize_direct(
        &self,
        certificate: CertificateId,
        source_ip: IpAddr,
        client: &str,
        topic: &str,
    ) -> Result<(), ApiError> {
        let asked = vec![Asked::DirectMessage {
            client: client.to_owned(),
            topic: topic.to_owned(),
        }];
        self.decide(certificate, source_ip, asked).await
    }

    fn decide(
        &self,
        certificate: CertificateId,
        source_ip: IpAddr,
        asked: Vec<Asked>,
    ) -> BoxFuture<'static, Result<(), ApiError>> {
        let directory = Arc::clone(&self.directory);
        let storage = self.storage.clone();
        let denials = self.denials.clone();
        let arn = self.scope.iot_arn(&format!("cert/{certificate}"));
        let grounds = self.grounds.clone();
        Box::pin(async move {
            let run = move |tx: &mut storage::Tx<'_>| directory.device(tx, &certificate);
            let now = storage.clock().now();
            let record = storage.read(run).await?;
            let Some(record) = record.filter(|record| record.active) else {
                return Err(forbidden("the certificate is not active", None));
            };
            let facts = Arc::new(record.facts);
            let connection = connection(source_ip);
            let authorizer = Authorizer::new(facts, &connection, &grounds.scope, grounds.hardening);
            for one in &asked {
                judge(&authorizer, one, now, |explanation| {
                    denials.record(Denial {
                        door: Door::Https,
                        principal: arn.clone(),
                        client_id: None,
                        source_ip: Some(source_ip),
                        action: one.action().name().to_owned(),
                        resource: explanation.resource_arn.clone(),
                        verdict: match explanation.verdict {
                            Verdict::ExplicitDeny => "explicit-deny",
                            Verdict::ImplicitDeny | Verdict::Allowed => "implicit-deny",
                        },
                        explanation: serde_json::to_value(explanation).unwrap_or_default(),
                    })
                })?;
            }
            Ok(())
        })
    }
}

// spec aws-iot [EP-44]: over HTTPS there is no client id.
fn connection(source_ip: IpAddr) -> Connection {
    Connection {
        client_id: None,
        source_ip,
        persistent: false,
        last_will_topic: None,
        has_will: false,
        domain_name: None,
        secure_transport: true,
    }
}

fn judge(
    authorizer: &Authorizer,
    asked: &Asked,
    now: Timestamp,
    record: impl FnOnce(&policy::Explanation) -> gateway::DenialId,
) -> Result<(), ApiError> {
    let request = Request {
        action: asked.action(),
        resource: asked.resource(),
        now_ms: now.millis(),
    };
    if authorizer.permit(&request).is_ok() {
        return Ok(());
    }
    let id = record(&authorizer.explain(&request));
    Err(forbidden("not authorized", Some(&id)))
}

// spec aws-iot [EP-42]
fn forbidden(what: &str, denial: Option<&gateway::DenialId>) -> ApiError {
    let message = match denial {
        Some(id) => format!("{what}; denial id {id}"),
        None => what.to_owned(),
    };
    ApiError::new(ErrorKind::Forbidden, "ForbiddenException", message)
}
