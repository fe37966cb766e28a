//! Calling the platform's own APIs from the command line: the same doors as everybody's.
//!
//! There is no private API: what the command line does, boto3 can do. Requests are signed with
//! the key of the administrator's profile and sent to the control plane over TLS that trusts the
//! profile's `ca_bundle` alone.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use bytes::Bytes;
use gateway::sigv4;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use model::{Clock as _, SystemClock};
use pki::tls::{ClientSettings, SecurityPolicy};
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::profile::AwsProfile;

/// The longest answer read, in bytes.
const ANSWER_MAX: usize = 16 << 20;
/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Pages read of one list before the command line gives up.
const PAGES_MAX: usize = 10_000;

/// A failed call: the exception and the message of the platform.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    pub(crate) exception: String,
    pub(crate) message: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}: {}", self.exception, self.message)
    }
}

impl std::error::Error for Refused {}

/// An answer: its JSON and the change it made, if any.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) body: Value,
    /// The sequence number of the last change this call made.
    pub(crate) change: Option<u64>,
}

/// Signs and sends requests to one control plane.
#[derive(Debug)]
pub(crate) struct Client {
    profile: AwsProfile,
    tls: Arc<rustls::ClientConfig>,
}

impl Client {
    /// A client with the credentials of the profile file at `path`.
    ///
    /// # Errors
    /// When the profile or its CA cannot be read.
    pub(crate) fn from_profile(path: &Path) -> Result<Self> {
        let profile = AwsProfile::read(path)?;
        let ca = std::fs::read_to_string(&profile.ca_bundle)
            .with_context(|| format!("could not read {}", profile.ca_bundle.display()))?;
        let tls = pki::tls::client_config(ClientSettings {
            roots_pem: &ca,
            identity: None,
            send_sni: true,
            policy: SecurityPolicy::Tls13And12,
            alpn: vec![b"http/1.1".to_vec()],
            clock: Arc::new(SystemClock),
        })?;
        Ok(Self { profile, tls })
    }

    /// A call without a body.
    pub(crate) async fn get(&self, service: &str, path: &str) -> Result<Answer> {
        self.call(service, Method::GET, path, &[], Bytes::new())
            .await
    }

    /// A call with a JSON body.
    pub(crate) async fn send(
        &self,
        service: &str,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Answer> {
        let body = if body.is_null() {
            Bytes::new()
        } else {
            serde_json::to_vec(body)?.into()
        };
        self.call(service, method, path, &[], body).await
    }

    /// A call of a Query service; answers the XML.
    pub(crate) async fn query(
        &self,
        service: &str,
        version: &str,
        parameters: &[(&str, &str)],
    ) -> Result<String> {
        let pairs = parameters
            .iter()
            .map(|(key, value)| format!("{key}={}", encode(value)));
        let body = pairs
            .chain([format!("Version={version}")])
            .collect::<Vec<_>>()
            .join("&");
        let form = [(
            "content-type",
            "application/x-www-form-urlencoded; charset=utf-8",
        )];
        let answer = self
            .call(service, Method::POST, "/", &form, body.into())
            .await?;
        Ok(answer.body.as_str().unwrap_or_default().to_owned())
    }

    /// Every item of a list, over all its pages.
    pub(crate) async fn all(&self, service: &str, path: &str, member: &str) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let joint = if path.contains('?') { '&' } else { '?' };
            let page = match &token {
                None => path.to_owned(),
                Some(token) => format!("{path}{joint}nextToken={}", encode(token)),
            };
            let answer = self.get(service, &page).await?;
            items.extend(answer.body[member].as_array().cloned().unwrap_or_default());
            match answer.body["nextToken"].as_str() {
                Some(next) => token = Some(next.to_owned()),
                None => return Ok(items),
            }
        }
        bail!("the list `{member}` has more than {PAGES_MAX} pages")
    }

    /// A signed call with further headers, each signed too.
    pub(crate) async fn call(
        &self,
        service: &str,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer> {
        let call = self.exchange(service, method, path, headers, body);
        let timed = tokio::time::timeout(CALL_TIMEOUT, call).await;
        timed.map_err(|_| anyhow!("no answer within {} s", CALL_TIMEOUT.as_secs()))?
    }

    async fn exchange(
        &self,
        service: &str,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer> {
        let mut map = HeaderMap::new();
        if !body.is_empty() {
            map.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, value) in headers {
            map.insert(
                HeaderName::from_bytes(name.as_bytes())?,
                HeaderValue::from_str(value)?,
            );
        }
        let (bare, query) = path.split_once('?').unwrap_or((path, ""));
        let signed = sigv4::sign(&sigv4::Signing {
            method: method.as_str(),
            path: bare,
            query,
            host: &self.profile.authority,
            headers: &map,
            body: &body,
            access_key_id: &self.profile.access_key_id,
            secret: &self.profile.secret,
            session_token: None,
            region: &self.profile.region,
            service,
            at: SystemClock.now(),
        })?;
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in &signed {
            request = request.header(name, value);
        }
        self.round_trip(request.body(Full::new(body))?).await
    }

    async fn round_trip(&self, request: Request<Full<Bytes>>) -> Result<Answer> {
        let authority = &self.profile.authority;
        let tcp = TcpStream::connect(authority).await.with_context(|| {
            format!("nothing answers at {authority}; is the platform up? (palisade up)")
        })?;
        tcp.set_nodelay(true)?;
        let host = authority
            .rsplit_once(':')
            .map_or(authority.as_str(), |(host, _)| host);
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
        let tls = tokio_rustls::TlsConnector::from(Arc::clone(&self.tls))
            .connect(name, tcp)
            .await;
        let tls = tls.with_context(|| format!("TLS with {authority} failed"))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(tls)).await?;
        let driver = tokio::spawn(connection);
        let answer = sender.send_request(request).await?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_MAX).collect().await;
        let body = body.map_err(|error| anyhow!("the answer could not be read: {error}"))?;
        driver.abort();
        read_answer(&head, &body.to_bytes())
    }
}

fn read_answer(head: &hyper::http::response::Parts, body: &[u8]) -> Result<Answer> {
    // A Query service answers XML; it is handed on as text.
    let json: Value = serde_json::from_slice(body)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(body).into_owned()));
    if head.status.is_success() {
        let change = head
            .headers
            .get("x-palisade-change")
            .and_then(|value| value.to_str().ok());
        return Ok(Answer {
            body: json,
            change: change.and_then(|text| text.parse().ok()),
        });
    }
    let header = head
        .headers
        .get("x-amzn-errortype")
        .and_then(|value| value.to_str().ok());
    let exception = header
        .unwrap_or("error")
        .split(':')
        .next()
        .unwrap_or_default()
        .to_owned();
    let message = json["message"]
        .as_str()
        .or_else(|| json["Message"].as_str());
    let message = message.map_or_else(|| format!("status {}", head.status), str::to_owned);
    Err(Refused {
        status: head.status,
        exception,
        message,
    }
    .into())
}

/// Percent-encodes one path label or query value.
pub(crate) fn encode(text: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~');
    percent_encoding::utf8_percent_encode(text, KEPT).to_string()
}
