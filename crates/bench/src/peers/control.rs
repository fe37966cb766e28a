//! Calls to Palisade's control plane: signed, over one TLS connection that is kept.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use gateway::sigv4::{Signing, sign};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use model::{Clock as _, SystemClock};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::Value;

/// The longest answer, in bytes.
const ANSWER_MAX: usize = 1 << 20;

/// The administrator at the control plane.
#[derive(Debug)]
pub(crate) struct Control {
    stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
    authority: String,
    access_key_id: String,
    secret: String,
    region: String,
    /// The sequence of the last change that a call here made.
    change: Option<u64>,
}

impl Control {
    /// Connects with the profile that `palisade up` wrote into `data_dir`.
    pub(crate) fn connect(data_dir: &Path) -> Result<Self> {
        let profile = fs::read_to_string(data_dir.join("aws-config"))?;
        let value = |wanted: &str| -> Result<String> {
            let mut pairs = profile.lines().filter_map(|line| line.split_once(" = "));
            let found = pairs.find(|(key, _)| *key == wanted);
            Ok(found
                .with_context(|| format!("aws-config has no {wanted}"))?
                .1
                .to_owned())
        };
        let authority = value("endpoint_url")?.replace("https://", "");
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(data_dir.join("ca.pem"))? {
            roots.add(certificate?)?;
        }
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let host = authority
            .rsplit_once(':')
            .map_or(&*authority, |(host, _)| host);
        let name = ServerName::try_from(host.to_owned())?;
        let tls = ClientConnection::new(Arc::new(config), name)?;
        let tcp = TcpStream::connect(&authority).with_context(|| authority.clone())?;
        tcp.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(StreamOwned::new(tls, tcp)),
            authority,
            access_key_id: value("aws_access_key_id")?,
            secret: value("aws_secret_access_key")?,
            region: value("region")?,
            change: None,
        })
    }

    /// A call to `iot`; `principal` goes where the registry's operations expect it.
    ///
    /// # Errors
    /// When it is refused.
    pub(crate) fn call(
        &mut self,
        method: &str,
        path: &str,
        principal: Option<&str>,
        body: &Value,
    ) -> Result<Value> {
        self.call_of("iot", method, path, principal, body)
    }

    /// What the last change did to live sessions, once it is done.
    ///
    /// # Errors
    /// When no change was made, or it is not done in time.
    pub(crate) fn receipt(&mut self) -> Result<Value> {
        let change = self.change.context("no call made a change")?;
        let path = format!("/receipts/{change}");
        self.call_of("palisade", "GET", &path, None, &Value::Null)
    }

    fn call_of(
        &mut self,
        service: &str,
        method: &str,
        path: &str,
        principal: Option<&str>,
        body: &Value,
    ) -> Result<Value> {
        let body = match body {
            Value::Null => Vec::new(),
            body => serde_json::to_vec(body)?,
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(principal) = principal {
            let name = HeaderName::from_static("x-amzn-principal");
            headers.insert(name, HeaderValue::from_str(principal)?);
        }
        let (bare, query) = path.split_once('?').unwrap_or((path, ""));
        let signed = sign(&Signing {
            method,
            path: bare,
            query,
            host: &self.authority,
            headers: &headers,
            body: &body,
            access_key_id: &self.access_key_id,
            secret: &self.secret,
            session_token: None,
            region: &self.region,
            service,
            at: SystemClock.now(),
        })?;
        let mut request = format!("{method} {path} HTTP/1.1\r\n").into_bytes();
        for (name, value) in &signed {
            request.extend_from_slice(name.as_str().as_bytes());
            request.extend_from_slice(b": ");
            request.extend_from_slice(value.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        write!(request, "content-length: {}\r\n\r\n", body.len())?;
        request.extend_from_slice(&body);
        let stream = self.stream.get_mut();
        stream.write_all(&request)?;
        stream.flush()?;
        self.answer().with_context(|| format!("{method} {path}"))
    }

    fn answer(&mut self) -> Result<Value> {
        let status = self.line()?;
        let mut length = 0;
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').context("a header")?;
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse()?,
                "x-palisade-change" => self.change = value.trim().parse().ok(),
                "transfer-encoding" => bail!("the answer comes in chunks"),
                _ => {}
            }
        }
        ensure!(length <= ANSWER_MAX, "an answer of {length} bytes");
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        let text = String::from_utf8_lossy(&body);
        ensure!(status.starts_with("HTTP/1.1 2"), "{status}: {text}");
        Ok(serde_json::from_slice(&body).unwrap_or_default())
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}
