//! HTTP/1.1 on a connection that a door hands in: limits, time-outs, and the way of a request
//! from its head to its answer.
//!
//! The order bounds what a stranger can cost: signature, time and host are judged before the body
//! is read, the body before a secret is looked up.
//!
//! Source: contract core 13, 1.5.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::service::service_fn;
use hyper::{HeaderMap, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use model::{ApiError, CertificateId, ErrorKind};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::gateway::{Failure, Gateway};
use crate::redaction::without_private_keys;
use crate::render::{self, Answer};
use crate::service_model::ServiceModel;

mod timed;
mod way;

use timed::Timed;
pub use way::USER_AGENT_BYTES_MAX;

/// Which plane a connection came in on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Plane {
    /// People and programs: every signed service.
    Control,
    /// Devices, and signed calls of data-plane services.
    Data,
}

/// The other end of a connection. Connections that are not TLS must not be handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The certificate it proved to hold, on the data plane.
    pub certificate: Option<CertificateId>,
    /// The plane of the listener.
    pub plane: Plane,
}

/// What is known of a request when it is answered, for metrics and the log.
struct Seen {
    model: &'static ServiceModel,
    operation: &'static str,
}

/// The smallest head that can be bounded, in bytes; hyper reads no less at once.
const HEAD_BYTES_MIN: usize = 8192;
/// The operation of requests that lead to none, in metrics.
const NO_OPERATION: &str = "unknown";

impl Gateway {
    /// Serves HTTP/1.1 on `io` until the peer closes, a limit is met or the gateway stops.
    pub async fn serve_connection<I>(self: &Arc<Self>, io: I, peer: Peer)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let places = match peer.plane {
            Plane::Control => &self.control_places,
            Plane::Data => &self.data_places,
        };
        let Some(_place) = places.take(peer.address.ip()) else {
            tracing::warn!(address = %peer.address, "connection refused: too many are open");
            return;
        };
        let _connected = self.metrics.connected();
        let gateway = Arc::clone(self);
        let peer = Arc::new(peer);
        let address = peer.address;
        let service = service_fn(move |request| {
            let (gateway, peer) = (Arc::clone(&gateway), Arc::clone(&peer));
            async move { Ok::<_, Infallible>(gateway.answer(request, &peer).await) }
        });
        let limits = &self.limits;
        let io = TokioIo::new(Timed::new(io, limits.write_timeout));
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_timeout)
            .max_headers(limits.headers)
            .max_buf_size(limits.head_bytes.max(HEAD_BYTES_MIN))
            .serve_connection(io, service);
        let mut connection = pin!(connection);
        let mut stopping = self.stopping.subscribe();
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = crate::gateway::stopped(&mut stopping) => {
                // Answers the request at hand, then closes.
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            // A peer's mistake, or its leaving in the middle.
            tracing::debug!(peer.address = %address, error = %error, "connection ended");
        }
    }

    /// Makes connections close after the request at hand, and [`Gateway::background`] end.
    pub fn shutdown(&self) {
        self.stopping.send_replace(true);
    }

    async fn answer(
        self: &Arc<Self>,
        request: hyper::Request<Incoming>,
        peer: &Peer,
    ) -> Response<Full<Bytes>> {
        let clock = Arc::clone(self.storage.clock());
        let started = clock.instant();
        let id: Arc<str> = model::random_uuid().into();
        let mut seen = Seen {
            model: first_guess(request.headers(), request.uri().query(), peer),
            operation: NO_OPERATION,
        };
        let span = tracing::info_span!("http.request", request.id = %id);
        let way = self.way(request, peer, &id, &mut seen);
        let way = tracing::Instrument::instrument(way, span.clone());
        let most = self.limits.body_timeout + self.limits.operation_timeout;
        let mut answer = match tokio::time::timeout(most, way).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(failure)) => failed(seen.model, &failure, &id),
            Err(_) => {
                let late = ApiError::unavailable("the call did not end in time");
                failed(seen.model, &late.into(), &id)
            }
        };
        let took = clock.instant().saturating_duration_since(started);
        let status = answer.status;
        self.metrics
            .answered(seen.model.name, seen.operation, status, took);
        span.in_scope(|| log(&seen, peer, status, took));
        let request_id = HeaderValue::from_str(&id).ok();
        let request_id = request_id.map(|id| ("x-amzn-requestid".to_owned(), id));
        answer.headers.extend(request_id);
        response(answer)
    }

    /// The body, within its bounds of size and time.
    async fn body(&self, body: Incoming) -> Result<Bytes, ApiError> {
        let most = self.limits.body_bytes;
        let too_large = || {
            ApiError::new(
                ErrorKind::TooLarge,
                "RequestEntityTooLargeException",
                format!("the body is larger than {most} bytes"),
            )
        };
        let read = Limited::new(body, most).collect();
        match tokio::time::timeout(self.limits.body_timeout, read).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
            Ok(Err(_)) => Err(ApiError::invalid("the body ended before its length")),
            Err(_) => Err(ApiError::new(
                ErrorKind::Invalid,
                "RequestTimeoutException",
                "the body did not arrive in time",
            )),
        }
    }
}

fn log(seen: &Seen, peer: &Peer, status: u16, took: Duration) {
    tracing::info!(
        service = seen.model.name,
        operation = seen.operation,
        peer.address = %peer.address,
        status,
        latency_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "request answered"
    );
}

fn failed(model: &ServiceModel, failure: &Failure, id: &str) -> Answer {
    let error = &failure.error;
    if let Some(source) = &error.source {
        let chain = chain(source.as_ref());
        let error = without_private_keys(&chain);
        tracing::error!(request.id = id, %error, "request failed");
    }
    let mut answer = render::failure(model, error, id);
    let denial = failure.denial.as_ref();
    let denial = denial.and_then(|id| HeaderValue::from_str(id.as_str()).ok());
    let denial = denial.map(|id| ("x-palisade-denial-id".to_owned(), id));
    answer.headers.extend(denial);
    // The rest of a body that is not read cannot be told from a next request.
    if matches!(
        error.exception,
        "RequestEntityTooLargeException" | "RequestTimeoutException"
    ) {
        let close = HeaderValue::from_static("close");
        answer.headers.push(("connection".to_owned(), close));
    }
    answer
}

/// An error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// Whose error format to use before the signature is read: the service that the scope claims,
/// else the plane's.
fn first_guess(headers: &HeaderMap, query: Option<&str>, peer: &Peer) -> &'static ServiceModel {
    let plane = match peer.plane {
        Plane::Control => "iot",
        Plane::Data => "iot-data",
    };
    let header = headers.get(header::AUTHORIZATION);
    let claimed = header.and_then(|value| value.to_str().ok()).or(query);
    let named = claimed.and_then(|text| {
        let scope = text.split_once("Credential=")?.1.replace("%2F", "/");
        ServiceModel::of_signing_name(scope.split('/').nth(3)?)
    });
    named
        .or_else(|| ServiceModel::of(plane))
        .unwrap_or_else(ServiceModel::ours)
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(answer.content_type),
    );
    // Answers hold credentials and states: nothing between us and the caller may keep them.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for (name, value) in answer.headers {
        if let Ok(name) = header::HeaderName::from_bytes(name.as_bytes()) {
            headers.insert(name, value);
        }
    }
    response
}
