//! What a request says of its own signature, and the proof of it.

use std::borrow::Cow;
use std::time::Duration;

use hyper::header::{AUTHORIZATION, HOST};
use model::Timestamp;
use subtle::ConstantTimeEq as _;

use super::canonical::{self, QueryForm};
use super::{
    ALGORITHM, Circumstances, Payload, Scope, SignatureError, Signed, Token, UNSIGNED_PAYLOAD,
    sha256_hex, signature,
};
use crate::caller::Credential;
use crate::percent;

/// Longest `Authorization` header or credential parameter read, in bytes.
const TEXT_BYTES_MAX: usize = 4096;
/// Longest access key id, in bytes.
const KEY_BYTES_MAX: usize = 128;
/// Longest validity of a presigned URL: seven days, as AWS has it.
const VALIDITY_MAX_S: u64 = 7 * 24 * 3600;
/// Headers that need not be signed: they carry nothing that is acted on.
const FREE_HEADERS: [&str; 1] = ["x-amzn-trace-id"];
/// The parameter that is added to a presigned URL after signing.
const SIGNATURE_PARAMETER: &str = "X-Amz-Signature";
const TOKEN_PARAMETER: &str = "X-Amz-Security-Token";

/// Where the signature stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// In the `Authorization` header.
    Header,
    /// In the query: a presigned URL.
    Presigned,
}

/// A signature as a request presents it, not yet proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    /// Whose key it claims to be.
    pub access_key_id: String,
    /// The region of the scope.
    pub region: String,
    /// The signing name of the service.
    pub service: String,
    /// The session token sent along.
    pub session_token: Option<String>,
    /// Where it stands.
    pub form: Form,
    at: Timestamp,
    date: String,
    validity: Option<Duration>,
    signed_headers: Vec<String>,
    signature: String,
}

impl Presented {
    /// Reads the signature of `request`.
    ///
    /// # Errors
    /// [`SignatureError::Missing`] when there is none, [`SignatureError::Incomplete`] when it
    /// cannot be read.
    pub fn parse(request: &Signed<'_>) -> Result<Self, SignatureError> {
        let mut headers = request.headers.get_all(AUTHORIZATION).iter();
        match (headers.next(), headers.next()) {
            (Some(header), None) => {
                let text = header.to_str().map_err(|_| incomplete("not ASCII"))?;
                Self::from_header(text, request)
            }
            (Some(_), Some(_)) => Err(incomplete("there are two Authorization headers")),
            (None, _) => Self::from_query(request),
        }
    }

    fn from_header(text: &str, request: &Signed<'_>) -> Result<Self, SignatureError> {
        if TEXT_BYTES_MAX < text.len() {
            return Err(incomplete("the Authorization header is too long"));
        }
        let parts = text
            .strip_prefix(ALGORITHM)
            .and_then(|rest| rest.strip_prefix([' ', '\t']))
            .ok_or_else(|| incomplete("the algorithm must be AWS4-HMAC-SHA256"))?;
        let (mut credential, mut signed, mut signature) = (None, None, None);
        for part in parts.split(',') {
            let (name, value) = part
                .trim()
                .split_once('=')
                .ok_or_else(|| incomplete("a part of the Authorization header has no value"))?;
            let slot = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed,
                "Signature" => &mut signature,
                _ => return Err(incomplete("the Authorization header has an unknown part")),
            };
            if slot.replace(value).is_some() {
                return Err(incomplete(
                    "a part of the Authorization header stands twice",
                ));
            }
        }
        let date = single_header(request, "x-amz-date")?
            .ok_or_else(|| incomplete("the x-amz-date header is missing"))?;
        Self::assembled(Fields {
            form: Form::Header,
            credential: credential.ok_or_else(|| incomplete("Credential is missing"))?,
            signed: signed.ok_or_else(|| incomplete("SignedHeaders is missing"))?,
            signature: signature.ok_or_else(|| incomplete("Signature is missing"))?,
            date,
            validity: None,
            token: single_header(request, "x-amz-security-token")?,
        })
    }

    fn from_query(request: &Signed<'_>) -> Result<Self, SignatureError> {
        let parameter = |name: &str| parameter(request.query, name);
        let Some(algorithm) = parameter("X-Amz-Algorithm")? else {
            return Err(SignatureError::Missing);
        };
        if algorithm != ALGORITHM {
            return Err(incomplete("the algorithm must be AWS4-HMAC-SHA256"));
        }
        let needed =
            |name: &str| parameter(name)?.ok_or_else(|| incomplete(format!("{name} is missing")));
        let validity = match parameter("X-Amz-Expires")? {
            None => None,
            Some(text) => match text.parse() {
                Ok(seconds @ 1..=VALIDITY_MAX_S) => Some(Duration::from_secs(seconds)),
                _ => return Err(incomplete("X-Amz-Expires must be 1 to 604800 seconds")),
            },
        };
        let token = parameter(TOKEN_PARAMETER)?;
        Self::assembled(Fields {
            form: Form::Presigned,
            credential: &needed("X-Amz-Credential")?,
            signed: &needed("X-Amz-SignedHeaders")?,
            signature: &needed(SIGNATURE_PARAMETER)?,
            date: &needed("X-Amz-Date")?,
            validity,
            token: token.as_deref(),
        })
    }

    fn assembled(fields: Fields<'_>) -> Result<Self, SignatureError> {
        let scope: Vec<&str> = fields.credential.split('/').collect();
        let [key, date, region, service, "aws4_request"] = scope.as_slice() else {
            let form = "Credential must be key/yyyymmdd/region/service/aws4_request";
            return Err(incomplete(form));
        };
        let key_byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if key.is_empty() || KEY_BYTES_MAX < key.len() || !key.bytes().all(key_byte) {
            return Err(incomplete("the access key id is malformed"));
        }
        let at = Timestamp::parse_iso_basic(fields.date)
            .ok_or_else(|| incomplete("the date must have the form yyyymmddThhmmssZ"))?;
        if !fields.date.starts_with(date) || date.len() != 8 {
            let scope = format!("the date {}, not {date}", &at.iso_basic()[..8]);
            return Err(SignatureError::WrongScope(scope));
        }
        let signature_byte = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if fields.signature.len() != 64 || !fields.signature.bytes().all(signature_byte) {
            return Err(incomplete(
                "Signature must be 64 lower-case hexadecimal digits",
            ));
        }
        Ok(Self {
            access_key_id: (*key).to_owned(),
            region: (*region).to_owned(),
            service: (*service).to_owned(),
            session_token: fields.token.map(str::to_owned),
            form: fields.form,
            at,
            date: (*date).to_owned(),
            validity: fields.validity,
            signed_headers: signed_headers(fields.signed)?,
            signature: fields.signature.to_owned(),
        })
    }

    /// Judges all that needs no secret: the time, the host, and that what must be signed is.
    ///
    /// # Errors
    /// The first thing found wrong.
    // spec aws-iot [HT-1]: skew either way; date and host signed; the host ours.
    pub fn check(
        &self,
        request: &Signed<'_>,
        given: &Circumstances<'_>,
    ) -> Result<(), SignatureError> {
        self.check_time(given)?;
        let host = single_header(request, HOST.as_str())?.ok_or(SignatureError::WrongHost)?;
        let name = without_port(host).to_ascii_lowercase();
        if !given.hosts.contains(&name) {
            return Err(SignatureError::WrongHost);
        }
        let is_signed = |name: &str| self.signed_headers.iter().any(|signed| signed == name);
        let amazon = request
            .headers
            .keys()
            .map(hyper::header::HeaderName::as_str);
        let amazon = amazon.filter(|name| name.starts_with("x-amz"));
        for name in amazon.chain(["host"]) {
            if !is_signed(name) && !FREE_HEADERS.contains(&name) {
                return Err(SignatureError::UnsignedHeader(name.to_owned()));
            }
        }
        Ok(())
    }

    fn check_time(&self, given: &Circumstances<'_>) -> Result<(), SignatureError> {
        let latest = given.now.after(given.skew);
        let (signed, now) = (self.at.iso_basic(), given.now.iso_basic());
        if latest < self.at {
            let latest = latest.iso_basic();
            return Err(SignatureError::TooEarly {
                signed,
                latest,
                now,
            });
        }
        let lifetime = self.validity.unwrap_or(given.skew);
        if lifetime < given.now.since(self.at) {
            let lifetime_ms = i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX);
            let earliest = given.now.millis().saturating_sub(lifetime_ms);
            let earliest = Timestamp::from_millis(earliest).iso_basic();
            return Err(SignatureError::Expired {
                signed,
                earliest,
                now,
            });
        }
        Ok(())
    }

    /// The path that was signed: what is routed must be this, or a signature would stand for
    /// paths that only normalise to the signed one.
    pub fn signed_path<'a>(&self, request: &Signed<'a>) -> Cow<'a, str> {
        canonical::normalised_path(request.path)
    }

    /// The body as signed.
    ///
    /// # Errors
    /// [`SignatureError::PayloadMismatch`] when the stated hash is not that of `body`.
    pub fn payload(&self, request: &Signed<'_>, body: &[u8]) -> Result<Payload, SignatureError> {
        let hash = sha256_hex(body);
        match single_header(request, "x-amz-content-sha256")? {
            None => Ok(Payload::Signed(hash)),
            Some(UNSIGNED_PAYLOAD) => Ok(Payload::Unsigned),
            Some(stated) if stated == hash => Ok(Payload::Signed(hash)),
            Some(_) => Err(SignatureError::PayloadMismatch),
        }
    }

    /// Proves the signature with the credential found for the key, and the credential itself:
    /// active, not expired, with the right session token. Without a credential the same work is
    /// done for nothing, so that time does not tell which keys exist.
    ///
    /// # Errors
    /// [`SignatureError::UnknownKey`], [`SignatureError::Mismatch`] or
    /// [`SignatureError::TokenExpired`].
    pub fn verify(
        &self,
        request: &Signed<'_>,
        payload: &Payload,
        credential: Option<&Credential>,
        now: Timestamp,
        token: Token,
    ) -> Result<(), SignatureError> {
        let secret = credential.map_or("", |credential| credential.secret.as_str());
        let matches = self.matches(request, payload, secret, token);
        let credential = credential.ok_or(SignatureError::UnknownKey)?;
        let tokens_equal = match (&credential.session_token, &self.session_token) {
            (None, None) => true,
            (Some(ours), Some(theirs)) => bool::from(ours.as_bytes().ct_eq(theirs.as_bytes())),
            _ => false,
        };
        if !credential.active || !tokens_equal {
            return Err(SignatureError::UnknownKey);
        }
        if !matches {
            return Err(SignatureError::Mismatch);
        }
        if credential.expires.is_some_and(|end| end <= now) {
            return Err(SignatureError::TokenExpired);
        }
        Ok(())
    }

    fn matches(&self, request: &Signed<'_>, payload: &Payload, secret: &str, token: Token) -> bool {
        let hash = match payload {
            Payload::Signed(hash) => hash.as_str(),
            Payload::Unsigned => UNSIGNED_PAYLOAD,
        };
        let scope = Scope {
            date: &self.date,
            region: &self.region,
            service: &self.service,
        };
        let mut found = subtle::Choice::from(0);
        for left_out in self.left_out(token) {
            for form in [QueryForm::Recoded, QueryForm::AsIs] {
                let query = canonical::query(request.query, form, left_out);
                for host in hosts(request) {
                    let canonical =
                        canonical::request(request, &query, &self.signed_headers, &host, hash);
                    let expected = signature(&canonical, secret, &scope, self.at);
                    found |= expected.as_bytes().ct_eq(self.signature.as_bytes());
                }
            }
        }
        found.into()
    }

    /// The query parameters outside the signature, in each form that is accepted.
    fn left_out(&self, token: Token) -> &'static [&'static [&'static str]] {
        match (self.form, token) {
            (Form::Header, _) => &[&[]],
            (Form::Presigned, Token::Signed) => &[&[SIGNATURE_PARAMETER]],
            (Form::Presigned, Token::SignedOrAppended) => &[
                &[SIGNATURE_PARAMETER],
                &[SIGNATURE_PARAMETER, TOKEN_PARAMETER],
            ],
        }
    }
}

/// The parts of a signature as texts.
struct Fields<'a> {
    form: Form,
    credential: &'a str,
    signed: &'a str,
    signature: &'a str,
    date: &'a str,
    validity: Option<Duration>,
    token: Option<&'a str>,
}

fn incomplete(what: impl Into<String>) -> SignatureError {
    SignatureError::Incomplete(what.into())
}

fn signed_headers(text: &str) -> Result<Vec<String>, SignatureError> {
    let names: Vec<String> = text.split(';').map(str::to_owned).collect();
    let lower = |name: &String| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase())
    };
    // Sorted and without repeats: one set of headers has one form.
    if !names.iter().all(lower) || !names.is_sorted_by(|a, b| a < b) {
        return Err(incomplete(
            "SignedHeaders must be lower-case names in order",
        ));
    }
    Ok(names)
}

/// The one value of a header; an error when there are several.
fn single_header<'a>(request: &Signed<'a>, name: &str) -> Result<Option<&'a str>, SignatureError> {
    let mut values = request.headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let text = value.to_str();
            text.map(Some)
                .map_err(|_| incomplete(format!("the header {name} is not ASCII")))
        }
        (Some(_), Some(_)) => Err(incomplete(format!("the header {name} stands twice"))),
    }
}

/// The one value of a query parameter, decoded.
fn parameter(query: &str, name: &str) -> Result<Option<String>, SignatureError> {
    let mut values = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .filter(|(found, _)| *found == name);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some((_, value)), None) if value.len() <= TEXT_BYTES_MAX => percent::decoded(value)
            .map(Some)
            .ok_or_else(|| incomplete(format!("{name} is not percent-encoded UTF-8"))),
        (Some(_), None) => Err(incomplete(format!("{name} is too long"))),
        (Some(_), Some(_)) => Err(incomplete(format!("{name} stands twice"))),
    }
}

/// The host as sent, and as it may have been signed.
// spec aws-iot [EP-33]: the signed host may or may not carry `:443`.
fn hosts(request: &Signed<'_>) -> Vec<Vec<u8>> {
    let Some(sent) = request
        .headers
        .get(HOST)
        .map(|host| host.as_bytes().to_vec())
    else {
        return Vec::new();
    };
    let other = match sent.strip_suffix(b":443") {
        Some(name) => Some(name.to_vec()),
        None if std::str::from_utf8(&sent).is_ok_and(|text| without_port(text) == text) => {
            Some([sent.as_slice(), b":443"].concat())
        }
        None => None,
    };
    std::iter::once(sent).chain(other).collect()
}

/// `host` without its port; an IPv6 address keeps its brackets.
fn without_port(host: &str) -> &str {
    let after_bracket = host.rfind(']').map_or(0, |at| at + 1);
    match host[after_bracket..].rfind(':') {
        Some(at) => &host[..after_bracket + at],
        None => host,
    }
}
