//! Signing, for our own clients: the command line, the console's server, tests.

use std::fmt;

use hyper::HeaderMap;
use hyper::header::{HOST, HeaderName, HeaderValue, InvalidHeaderValue};
use model::Timestamp;

use super::canonical::{self, QueryForm};
use super::{ALGORITHM, Scope, Signed, sha256_hex, signature};

/// A request to be signed.
#[derive(Clone, Copy)]
pub struct Signing<'a> {
    /// The method, in upper case.
    pub method: &'a str,
    /// The path as it will be sent, percent-encoded, beginning with a slash.
    pub path: &'a str,
    /// The query as it will be sent, without the question mark.
    pub query: &'a str,
    /// The value of the `Host` header.
    pub host: &'a str,
    /// Further headers; all of them are signed.
    pub headers: &'a HeaderMap,
    /// The body.
    pub body: &'a [u8],
    /// The access key.
    pub access_key_id: &'a str,
    /// Its secret.
    pub secret: &'a str,
    /// The session token of temporary credentials.
    pub session_token: Option<&'a str>,
    /// The region of the scope.
    pub region: &'a str,
    /// The signing name of the service, such as `iot` or `iotdata`.
    pub service: &'a str,
    /// When it is sent.
    pub at: Timestamp,
}

impl fmt::Debug for Signing<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Signing")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("access_key_id", &self.access_key_id)
            .field("secret", &"<redacted>")
            .finish_non_exhaustive()
    }
}

/// The headers of the signed request: those given, `host`, `x-amz-date`, the session token and
/// `authorization`.
///
/// # Errors
/// When the host, token or key cannot stand in a header.
pub fn sign(signing: &Signing<'_>) -> Result<HeaderMap, InvalidHeaderValue> {
    let mut headers = signing.headers.clone();
    headers.insert(HOST, HeaderValue::from_str(signing.host)?);
    let date = signing.at.iso_basic();
    headers.insert("x-amz-date", HeaderValue::from_str(&date)?);
    if let Some(token) = signing.session_token {
        headers.insert("x-amz-security-token", HeaderValue::from_str(token)?);
    }
    let mut names: Vec<String> = headers
        .keys()
        .map(HeaderName::as_str)
        .map(str::to_owned)
        .collect();
    names.sort();
    let scope = Scope {
        date: &date[..8],
        region: signing.region,
        service: signing.service,
    };
    let request = Signed {
        method: signing.method,
        path: signing.path,
        query: signing.query,
        headers: &headers,
    };
    let query = canonical::query(signing.query, QueryForm::Recoded, &[]);
    let host = signing.host.as_bytes();
    let hash = sha256_hex(signing.body);
    let canonical = canonical::request(&request, &query, &names, host, &hash);
    let signature = signature(&canonical, signing.secret, &scope, signing.at);
    let authorization = format!(
        "{ALGORITHM} Credential={}/{}, SignedHeaders={}, Signature={signature}",
        signing.access_key_id,
        scope.text(),
        names.join(";")
    );
    headers.insert("authorization", HeaderValue::from_str(&authorization)?);
    Ok(headers)
}
