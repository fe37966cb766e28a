//! The way of one request: who, what, may they, do it, say it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{HeaderMap, header};
use model::{ApiError, CertificateId, ErrorKind};
use serde_json::Value;

use super::{Peer, Plane, Seen};
use crate::caller::{Caller, CallerKind, Credential};
use crate::catalogue::Served;
use crate::constraints;
use crate::gateway::{Done, Failure, Gateway, Request};
use crate::input::{self, Unreadable, form::Form};
use crate::operation::Mutation;
use crate::render::{self, Answer};
use crate::router::Match;
use crate::service_model::{Protocol, ServiceModel};
use crate::sigv4::{self, Circumstances, Payload, Presented, SignatureError, Signed, Token};

/// Longest `User-Agent` kept, in bytes.
pub const USER_AGENT_BYTES_MAX: usize = 512;
/// Allowed difference of clocks on the control plane. Source: contract core `[HT-1]`.
const CONTROL_SKEW: Duration = Duration::from_mins(15);
/// Allowed difference of clocks on the data plane. Source: contract core `[HT-1]`.
const DATA_SKEW: Duration = Duration::from_mins(5);
/// The region that clients sign for global services with, beside ours.
const GLOBAL_REGION: &str = "us-east-1";

/// Who calls, and how the call was signed.
struct Authenticated {
    caller: Caller,
    path: String,
    presigned: bool,
    payload: Payload,
}

impl Gateway {
    /// From a request to its answer.
    pub(super) async fn way(
        self: &Arc<Self>,
        request: hyper::Request<Incoming>,
        peer: &Peer,
        id: &Arc<str>,
        seen: &mut Seen,
    ) -> Result<Answer, Failure> {
        let (head, body) = request.into_parts();
        let (authenticated, body) = match device_of(peer) {
            Some(certificate) => {
                seen.model = ServiceModel::of("iot-data").unwrap_or_else(ServiceModel::ours);
                let body = self.body(body).await?;
                (self.device(certificate, &head, peer), body)
            }
            None => self.signed(&head, body, peer, seen).await?,
        };
        let (served, input) = self.read(seen.model, &head, &authenticated.path, &body)?;
        seen.operation = served.operation.name;
        self.check_form(&served, &authenticated)?;
        let request = Request {
            served,
            caller: Arc::new(authenticated.caller),
            input: Arc::new(input),
            id: Arc::clone(id),
        };
        let done = self.perform(&request).await?;
        Ok(answer(&request.served, &done, id)?)
    }

    /// The caller behind a certificate, which the TLS handshake has proven.
    fn device(&self, certificate: &CertificateId, head: &Parts, peer: &Peer) -> Authenticated {
        let caller = Caller {
            kind: CallerKind::Device,
            arn: self.scope.iot_arn(&format!("cert/{certificate}")),
            user_id: certificate.to_string(),
            account: self.scope.account.to_string(),
            access_key_id: None,
            session_name: None,
            source_ip: peer.address.ip(),
            user_agent: user_agent(&head.headers),
            policies: Arc::default(),
            tags: BTreeMap::new(),
            certificate: Some(certificate.clone()),
        };
        Authenticated {
            caller,
            path: head.uri.path().to_owned(),
            presigned: false,
            payload: Payload::Signed(String::new()),
        }
    }

    /// The caller behind a signature, and the body it covers.
    async fn signed(
        &self,
        head: &Parts,
        body: Incoming,
        peer: &Peer,
        seen: &mut Seen,
    ) -> Result<(Authenticated, bytes::Bytes), ApiError> {
        let signed = Signed {
            method: head.method.as_str(),
            path: head.uri.path(),
            query: head.uri.query().unwrap_or_default(),
            headers: &head.headers,
        };
        let query = |model: &ServiceModel| model.protocol == Protocol::Query;
        let guess = query(seen.model);
        let refused = |error: SignatureError| error.to_api_error(guess);
        let presented = Presented::parse(&signed).map_err(refused)?;
        let model = self.scoped(&presented, peer).map_err(refused)?;
        seen.model = model;
        let refused = |error: SignatureError| error.to_api_error(query(model));
        let now = self.storage.clock().now();
        let given = Circumstances {
            now,
            skew: if model.is_data_plane() {
                DATA_SKEW
            } else {
                CONTROL_SKEW
            },
            hosts: &self.hosts,
        };
        presented.check(&signed, &given).map_err(refused)?;
        let body = self.body(body).await?;
        let payload = presented.payload(&signed, &body).map_err(refused)?;
        let credential = self.credential(&presented.access_key_id).await?;
        presented
            .verify(&signed, &payload, credential.as_ref(), now, Token::Signed)
            .map_err(refused)?;
        let credential = credential
            .ok_or(SignatureError::UnknownKey)
            .map_err(refused)?;
        self.credentials
            .used(&presented.access_key_id, model.action_prefix(), now);
        let authenticated = Authenticated {
            path: presented.signed_path(&signed).into_owned(),
            presigned: presented.form == sigv4::Form::Presigned,
            payload,
            caller: self.caller(credential, presented, head, peer),
        };
        Ok((authenticated, body))
    }

    async fn credential(&self, access_key_id: &str) -> Result<Option<Credential>, ApiError> {
        let (credentials, key) = (Arc::clone(&self.credentials), access_key_id.to_owned());
        self.storage
            .read(move |tx| credentials.find(tx, &key))
            .await
    }

    fn caller(
        &self,
        credential: Credential,
        presented: Presented,
        head: &Parts,
        peer: &Peer,
    ) -> Caller {
        let identity = credential.caller;
        Caller {
            kind: identity.kind,
            arn: identity.arn,
            user_id: identity.user_id,
            account: self.scope.account.to_string(),
            access_key_id: Some(presented.access_key_id),
            session_name: identity.session_name,
            source_ip: peer.address.ip(),
            user_agent: user_agent(&head.headers),
            policies: identity.policies,
            tags: identity.tags,
            certificate: None,
        }
    }

    /// The service a signature is scoped to, when this plane and region serve it.
    // spec aws-iot [13.3]: one host serves several services, told apart by the scope.
    fn scoped(
        &self,
        presented: &Presented,
        peer: &Peer,
    ) -> Result<&'static ServiceModel, SignatureError> {
        let wrong = |what: &str| SignatureError::WrongScope(what.to_owned());
        let model = ServiceModel::of_signing_name(&presented.service)
            .ok_or_else(|| wrong("a service that is served here"))?;
        if peer.plane == Plane::Data && !model.is_data_plane() {
            return Err(wrong("iotdata, the service of the data plane"));
        }
        let region = self.scope.region.as_str();
        let global = model.protocol == Protocol::Query && presented.region == GLOBAL_REGION;
        if presented.region != region && !global {
            return Err(wrong(&format!("the region {region}")));
        }
        Ok(model)
    }

    /// The operation a request leads to, and its input.
    fn read(
        &self,
        model: &'static ServiceModel,
        head: &Parts,
        path: &str,
        body: &[u8],
    ) -> Result<(Arc<Served>, Value), ApiError> {
        match model.protocol {
            Protocol::RestJson => self.read_rest(model, head, path, body),
            Protocol::Query => self.read_query(model, head, path, body),
        }
    }

    fn read_rest(
        &self,
        model: &'static ServiceModel,
        head: &Parts,
        path: &str,
        body: &[u8],
    ) -> Result<(Arc<Served>, Value), ApiError> {
        let method = head.method.as_str();
        let (target, labels) = match self.catalogue.route(model.name, method, path) {
            Match::Found { target, labels } => (target, labels),
            Match::BadLabel(name) => {
                let message = format!("'{name}' in the path is not percent-encoded UTF-8");
                return Err(constraints::refusal(model.name, message));
            }
            Match::OtherMethod if model.is_data_plane() => return Err(wrong_method(method)),
            Match::OtherMethod | Match::Nothing => return Err(unknown_operation(model)),
        };
        let served = self
            .catalogue
            .at(target)
            .ok_or_else(|| unknown_operation(model))?;
        let parts = input::Parts {
            labels,
            query: head.uri.query().unwrap_or_default(),
            headers: &head.headers,
            body,
            depth_max: self.limits.json_depth,
        };
        let input = input::rest(model, served.model.input, &parts);
        Ok((
            Arc::clone(served),
            input.map_err(|bad| unreadable(model, bad))?,
        ))
    }

    fn read_query(
        &self,
        model: &'static ServiceModel,
        head: &Parts,
        path: &str,
        body: &[u8],
    ) -> Result<(Arc<Served>, Value), ApiError> {
        if path != "/" {
            return Err(unknown_operation(model));
        }
        let encoded = match head.method.as_str() {
            "POST" => std::str::from_utf8(body).map_err(|_| {
                constraints::refusal(model.name, "the body is not UTF-8".to_owned())
            })?,
            "GET" => head.uri.query().unwrap_or_default(),
            _ => return Err(unknown_operation(model)),
        };
        let form = Form::parse(encoded).map_err(|bad| unreadable(model, bad))?;
        let version_fits = form
            .text("Version")
            .is_none_or(|version| version == model.api_version);
        let served = form
            .text("Action")
            .filter(|_| version_fits)
            .and_then(|action| self.catalogue.named(model.name, action))
            .ok_or_else(|| unknown_operation(model))?;
        let input = form.members(model, served.model.input);
        Ok((
            Arc::clone(served),
            input.map_err(|bad| unreadable(model, bad))?,
        ))
    }

    /// Presigned URLs serve reads only, and control calls that change something are signed whole.
    fn check_form(&self, served: &Served, how: &Authenticated) -> Result<(), ApiError> {
        let query = served.service.protocol == Protocol::Query;
        if served.operation.mutation == Mutation::No {
            return Ok(());
        }
        if how.presigned {
            return Err(SignatureError::PresignedChange.to_api_error(query));
        }
        if how.payload == Payload::Unsigned && !served.service.is_data_plane() {
            return Err(SignatureError::UnsignedPayload.to_api_error(query));
        }
        Ok(())
    }
}

/// The certificate by which a peer is a device.
// spec aws-iot [13.3]: mutual-TLS callers have no scope and belong to the data plane.
fn device_of(peer: &Peer) -> Option<&CertificateId> {
    match peer.plane {
        Plane::Data => peer.certificate.as_ref(),
        Plane::Control => None,
    }
}

fn answer(served: &Served, done: &Done, id: &str) -> Result<Answer, ApiError> {
    let mut answer = render::output(served, &done.output, id)?;
    if let Some(change) = done.change {
        answer
            .headers
            .push(("x-palisade-change".to_owned(), change.into()));
    }
    Ok(answer)
}

fn user_agent(headers: &HeaderMap) -> String {
    let text = headers
        .get(header::USER_AGENT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    text[..text.floor_char_boundary(USER_AGENT_BYTES_MAX)].to_owned()
}

fn unreadable(model: &ServiceModel, bad: Unreadable) -> ApiError {
    constraints::refusal(model.name, bad.0)
}

fn unknown_operation(model: &ServiceModel) -> ApiError {
    let message = format!("no operation of {} is served here by that name", model.name);
    ApiError::new(ErrorKind::NotFound, "UnknownOperationException", message)
}

fn wrong_method(method: &str) -> ApiError {
    let message = format!("the path is not served for the method {method}");
    ApiError::new(ErrorKind::Invalid, "MethodNotAllowedException", message)
}
