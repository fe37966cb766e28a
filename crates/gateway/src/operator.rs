//! The operator plane: health and metrics, on a listener of its own without authentication, which
//! stays on loopback unless somebody decides otherwise.
//!
//! It tells whether the process lives, whether it can serve, and its counters; nothing of a
//! caller, a device or a thing.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::metrics::Metrics;

/// Time for the head of a request to arrive, and for an idle connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Most headers of a request.
const HEADERS_MAX: usize = 32;
const TEXT: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether the process can serve: `Err` names what it waits for.
type Readiness = dyn Fn() -> Result<(), String> + Send + Sync;

/// `/livez`, `/readyz` and `/metrics`. Cheap to clone.
#[derive(Clone)]
pub struct OperatorPlane {
    metrics: Metrics,
    ready: Arc<Readiness>,
}

impl fmt::Debug for OperatorPlane {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("OperatorPlane")
    }
}

impl OperatorPlane {
    /// `ready` is asked at each request and must not block.
    pub fn new(
        metrics: Metrics,
        ready: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            metrics,
            ready: Arc::new(ready),
        }
    }

    /// Serves one connection until it ends.
    pub async fn serve_connection<I>(&self, io: I)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let plane = self.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = plane.answer(request.method(), request.uri().path());
            async move { Ok::<_, Infallible>(answer) }
        });
        let ended = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_headers(HEADERS_MAX)
            .serve_connection(TokioIo::new(io), service)
            .await;
        if let Err(error) = ended {
            tracing::debug!(error = %error, "connection of the operator plane ended");
        }
    }

    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        let (status, kind, text) = match (method, path) {
            (&Method::GET, "/livez") => (StatusCode::OK, TEXT, "ok\n".to_owned()),
            (&Method::GET, "/readyz") => match (self.ready)() {
                Ok(()) => (StatusCode::OK, TEXT, "ok\n".to_owned()),
                Err(waits_for) => {
                    let text = format!("not ready: {waits_for}\n");
                    (StatusCode::SERVICE_UNAVAILABLE, TEXT, text)
                }
            },
            (&Method::GET, "/metrics") => match self.metrics.render() {
                Ok(text) => (StatusCode::OK, OPEN_METRICS, text),
                Err(_) => {
                    let text = "the metrics cannot be written\n".to_owned();
                    (StatusCode::INTERNAL_SERVER_ERROR, TEXT, text)
                }
            },
            (_, "/livez" | "/readyz" | "/metrics") => {
                let text = "only GET is served\n".to_owned();
                (StatusCode::METHOD_NOT_ALLOWED, TEXT, text)
            }
            _ => {
                let text = "there are /livez, /readyz and /metrics\n".to_owned();
                (StatusCode::NOT_FOUND, TEXT, text)
            }
        };
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status;
        let kind = HeaderValue::from_static(kind);
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }
}

#[cfg(test)]
mod tests;
