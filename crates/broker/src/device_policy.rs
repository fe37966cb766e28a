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

impl DevicePolicy for IotPolicies {
    fn authorize(
        &self,
        certificate: CertificateId,
        source_ip: IpAddr,
        requests: Vec<(DeviceAction, OwnedResource)>,
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
            // spec aws-iot [EP-44]: over HTTPS there is no client id.
            let connection = Connection {
                client_id: None,
                source_ip,
                persistent: false,
                last_will_topic: None,
                has_will: false,
                domain_name: None,
                secure_transport: true,
            };
            let facts = Arc::new(record.facts);
            let authorizer = Authorizer::new(facts, &connection, &grounds.scope, grounds.hardening);
            for (action, resource) in &requests {
                judge(&authorizer, *action, resource, now, |explanation| {
                    denials.record(Denial {
                        door: Door::Https,
                        principal: arn.clone(),
                        client_id: None,
                        source_ip: Some(source_ip),
                        action: action.name().to_owned(),
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

fn judge(
    authorizer: &Authorizer,
    action: DeviceAction,
    resource: &OwnedResource,
    now: Timestamp,
    record: impl FnOnce(&policy::Explanation) -> gateway::DenialId,
) -> Result<(), ApiError> {
    let request = Request {
        action,
        resource: borrowed(resource),
        now_ms: now.millis(),
    };
    if authorizer.permit(&request).is_ok() {
        return Ok(());
    }
    let id = record(&authorizer.explain(&request));
    Err(forbidden("not authorized", Some(&id)))
}

fn borrowed(resource: &OwnedResource) -> Resource<'_> {
    match resource {
        OwnedResource::Client(name) => Resource::Client(name),
        OwnedResource::Topic(name) => Resource::Topic(name),
        OwnedResource::TopicFilter(name) => Resource::TopicFilter(name),
        OwnedResource::Thing { name, shadow } => Resource::Thing {
            name,
            shadow: shadow.as_deref(),
        },
        OwnedResource::RoleAlias(name) => Resource::RoleAlias(name),
        OwnedResource::Any => Resource::Any,
    }
}

// spec aws-iot [EP-42]
fn forbidden(what: &str, denial: Option<&gateway::DenialId>) -> ApiError {
    let message = match denial {
        Some(id) => format!("{what}; denial id {id}"),
        None => what.to_owned(),
    };
    ApiError::new(ErrorKind::Forbidden, "ForbiddenException", message)
}
