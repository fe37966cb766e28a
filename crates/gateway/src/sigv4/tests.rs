use hyper::header::{HeaderName, HeaderValue};
use model::ManualClock;
use proptest::prelude::*;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::*;
use crate::caller::{CallerIdentity, CallerKind, Credential};

#[derive(Deserialize)]
struct File {
    at: String,
    access_key_id: String,
    secret: String,
    region: String,
    vectors: Vec<Vector>,
}

#[derive(Clone, Deserialize)]
struct Vector {
    name: String,
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: String,
    token: Option<String>,
    form: String,
}

fn file() -> File {
    serde_json::from_str(include_str!("../../tests/vectors/sigv4.json")).unwrap()
}

/// What a server sees, so that a test can change any of it.
#[derive(Clone)]
struct Seen {
    method: String,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Vec<u8>,
    credential: Credential,
    now: Timestamp,
    token: Token,
}

impl Seen {
    fn of(file: &File, vector: &Vector) -> Self {
        let headers = vector.headers.iter().map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            (name, HeaderValue::from_bytes(value.as_bytes()).unwrap())
        });
        Self {
            method: vector.method.clone(),
            path: vector.path.clone(),
            query: vector.query.clone(),
            headers: headers.collect(),
            body: crate::blob::decoded(&vector.body).unwrap(),
            credential: credential(&file.secret, vector.token.as_deref()),
            now: Timestamp::parse_iso_basic(&file.at).unwrap(),
            token: match vector.form.as_str() {
                "appended" => Token::SignedOrAppended,
                _ => Token::Signed,
            },
        }
    }

    fn judged(&self) -> Result<Payload, SignatureError> {
        self.judged_with(Some(&self.credential))
    }

    fn judged_with(&self, credential: Option<&Credential>) -> Result<Payload, SignatureError> {
        let request = Signed {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
        };
        let presented = Presented::parse(&request)?;
        let hosts = ["palisade.example".to_owned(), "[::1]".to_owned()];
        let given = Circumstances {
            now: self.now,
            skew: Duration::from_mins(15),
            hosts: &hosts,
        };
        presented.check(&request, &given)?;
        let payload = presented.payload(&request, &self.body)?;
        presented.verify(&request, &payload, credential, self.now, self.token)?;
        Ok(payload)
    }

    fn set(&mut self, name: &'static str, value: &str) {
        self.headers
            .insert(name, HeaderValue::from_str(value).unwrap());
    }

    fn replace(&mut self, name: &str, from: &str, to: &str) {
        let value = self.headers[name].to_str().unwrap().to_owned();
        assert!(value.contains(from), "{value}");
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        let value = HeaderValue::from_str(&value.replace(from, to)).unwrap();
        self.headers.insert(name, value);
    }
}

fn credential(secret: &str, token: Option<&str>) -> Credential {
    Credential {
        secret: Zeroizing::new(secret.to_owned()),
        session_token: token.map(str::to_owned),
        expires: None,
        active: true,
        caller: CallerIdentity {
            kind: CallerKind::User,
            arn: "arn:aws:iam::111122223333:user/anna".to_owned(),
            user_id: "AIDA".to_owned(),
            policies: std::sync::Arc::default(),
            tags: std::collections::BTreeMap::new(),
            session_name: None,
        },
    }
}

fn named(name: &str) -> Seen {
    let file = file();
    let vector = file.vectors.iter().find(|vector| vector.name == name);
    Seen::of(&file, vector.unwrap_or_else(|| panic!("no vector {name}")))
}

// tests aws-iot [HT-1] [EP-31] [EP-32]
#[test]
fn what_botocore_signs_is_believed() {
    let file = file();
    assert!(50 <= file.vectors.len());
    for vector in &file.vectors {
        let seen = Seen::of(&file, vector);
        let expected = match vector.name.as_str() {
            "unsigned payload" => Payload::Unsigned,
            _ => Payload::Signed(sha256_hex(&seen.body)),
        };
        assert_eq!(seen.judged(), Ok(expected), "{}", vector.name);
    }
}

#[test]
fn any_change_of_a_signed_request_is_noticed() {
    let file = file();
    for vector in &file.vectors {
        let original = Seen::of(&file, vector);
        let refused = |what: &str, change: &dyn Fn(&mut Seen)| {
            let mut seen = original.clone();
            change(&mut seen);
            assert!(seen.judged().is_err(), "{}: {what}", vector.name);
        };
        refused("method", &|seen| seen.method = "PATCH".to_owned());
        refused("path", &|seen| seen.path.push_str("/x"));
        refused("query", &|seen| seen.query.push_str("&x=1"));
        refused("secret", &|seen| seen.credential.secret.push('x'));
        refused("host", &|seen| seen.set("host", "palisade.example:1"));
        refused("foreign host", &|seen| seen.set("host", "other.example"));
        refused("session token", &|seen| {
            seen.credential.session_token = match &seen.credential.session_token {
                Some(token) => Some(format!("{token}x")),
                None => Some("x".to_owned()),
            };
        });
        refused("inactive", &|seen| seen.credential.active = false);
        refused("expired", &|seen| seen.credential.expires = Some(seen.now));
        refused("new header", &|seen| seen.set("x-amz-meta2", "1"));
        refused("new principal", &|seen| {
            seen.set("x-amzn-principal", "arn:other")
        });
        if vector.name != "unsigned payload" {
            refused("body", &|seen| seen.body.push(b' '));
        }
        assert_eq!(
            original.judged_with(None),
            Err(SignatureError::UnknownKey),
            "{}",
            vector.name
        );
    }
}

#[track_caller]
fn check(change: impl FnOnce(&mut Seen), expected: &str) {
    let mut seen = named("iot describe_thing 0");
    change(&mut seen);
    let found = match seen.judged() {
        Ok(_) => "believed".to_owned(),
        Err(error) => format!("{error:?}"),
    };
    assert!(found.starts_with(expected), "{found}");
}

// tests aws-iot [HT-1] [EP-33] [HT-23]
#[test]
fn each_refusal_says_why() {
    check(|_| (), "believed");
    check(|seen| drop(seen.headers.remove("authorization")), "Missing");
    for (from, to, expected) in [
        (
            "AWS4-HMAC-SHA256 ",
            "AWS4-HMAC-SHA1 ",
            "Incomplete(\"the algorithm",
        ),
        (
            "Credential=",
            "credential=",
            "Incomplete(\"the Authorization header has an unknown",
        ),
        (
            "Signature=",
            "Signature=A",
            "Incomplete(\"Signature must be 64",
        ),
        (
            ", Signature=",
            ", Signature=0, Signature=",
            "Incomplete(\"a part of the Authorization header stands",
        ),
        ("host;", "x;host;", "Incomplete(\"SignedHeaders"),
        ("host;", "Host;", "Incomplete(\"SignedHeaders"),
        ("host;", "", "UnsignedHeader(\"host\")"),
        (
            ";x-amz-security-token",
            "",
            "UnsignedHeader(\"x-amz-security-token\")",
        ),
        ("x-amz-date;", "", "UnsignedHeader(\"x-amz-date\")"),
        ("/20260102/", "/20260103/", "WrongScope(\"the date 20260102"),
        ("/aws4_request", "/aws4", "Incomplete(\"Credential must be"),
        ("/iot/", "/iotdata/", "Mismatch"),
        (
            "AKIDEXAMPLE",
            "AKID-XAMPLE",
            "Incomplete(\"the access key id",
        ),
    ] {
        check(|seen| seen.replace("authorization", from, to), expected);
    }
    check(
        |seen| drop(seen.headers.remove("x-amz-date")),
        "Incomplete(\"the x-amz-date",
    );
    check(
        |seen| seen.set("x-amz-date", "now"),
        "Incomplete(\"the date must",
    );
    check(|seen| drop(seen.headers.remove("host")), "WrongHost");
    check(|seen| seen.set("host", "PALISADE.example:9443"), "Mismatch");
    check(
        |seen| {
            let second = HeaderValue::from_static("palisade.example");
            assert!(seen.headers.append("host", second));
        },
        "Incomplete(\"the header host stands twice",
    );
    check(|seen| seen.set("x-amzn-trace-id", "Root=1"), "believed");
    check(
        |seen| seen.set("x-amz-content-sha256", "00"),
        "UnsignedHeader",
    );
}

// tests aws-iot [HT-1]
#[test]
fn clocks_may_differ_by_fifteen_minutes_either_way() {
    let skew = 15 * 60;
    for (seconds, expected) in [
        (skew, "believed"),
        (skew + 1, "Expired"),
        (-skew, "believed"),
        (-skew - 1, "TooEarly"),
    ] {
        check(
            |seen| seen.now = Timestamp::from_seconds(seen.now.seconds() + seconds),
            expected,
        );
    }
}

#[test]
fn a_presigned_url_lives_as_long_as_it_says() {
    for (name, life, expected) in [
        ("presigned /things", 900, true),
        ("presigned /things", 901, false),
        ("presigned /things", -900, true),
        ("presigned /things", -901, false),
        ("websocket, token appended", 300, true),
        ("websocket, token appended", 301, false),
    ] {
        let mut seen = named(name);
        seen.now = Timestamp::from_seconds(seen.now.seconds() + life);
        assert_eq!(seen.judged().is_ok(), expected, "{name} {life}");
    }
}

// tests aws-iot [EP-32]
#[test]
fn an_appended_token_is_believed_only_where_it_is_usual() {
    let mut seen = named("websocket, token appended");
    seen.token = Token::Signed;
    assert_eq!(seen.judged(), Err(SignatureError::Mismatch));
    let file = file();
    let signed_inside = file
        .vectors
        .iter()
        .find(|vector| vector.form == "presigned" && vector.token.is_some());
    let mut seen = Seen::of(&file, signed_inside.unwrap());
    seen.token = Token::SignedOrAppended;
    assert!(seen.judged().is_ok());
}

// tests aws-iot [EP-33]
#[test]
fn the_standard_port_may_be_signed_or_not() {
    let clock = ManualClock::new(Timestamp::from_seconds(1_767_323_045));
    let at = model::Clock::now(&clock);
    for (signed, sent, expected) in [
        ("palisade.example", "palisade.example", true),
        ("palisade.example:443", "palisade.example", true),
        ("palisade.example", "palisade.example:443", true),
        ("palisade.example:8443", "palisade.example", false),
        ("palisade.example", "palisade.example:8443", false),
        ("[::1]:443", "[::1]", true),
        ("[::1]", "[::1]:443", true),
    ] {
        let empty = HeaderMap::new();
        let mut headers = sign(&Signing {
            method: "GET",
            path: "/things",
            query: "",
            host: signed,
            headers: &empty,
            body: b"",
            access_key_id: "AKID",
            secret: "secret",
            session_token: None,
            region: "us-east-1",
            service: "iot",
            at,
        })
        .unwrap();
        headers.insert("host", HeaderValue::from_static(sent));
        let mut seen = named("iot describe_thing 0");
        seen.headers = headers;
        seen.path = "/things".to_owned();
        seen.credential = credential("secret", None);
        assert_eq!(seen.judged().is_ok(), expected, "{signed} {sent}");
    }
}

#[test]
fn the_path_that_was_signed_is_told() {
    let presented = |path: &str| {
        let mut seen = named("iot describe_thing 0");
        seen.path = path.to_owned();
        let request = Signed {
            method: "GET",
            path: &seen.path,
            query: "",
            headers: &seen.headers,
        };
        let presented = Presented::parse(&request).unwrap();
        presented.signed_path(&request).into_owned()
    };
    for (path, expected) in [
        ("/things/a%2Fb", "/things/a%2Fb"),
        ("/things/", "/things/"),
        ("/", "/"),
        ("//", "/"),
        ("/a//b", "/a/b"),
        ("/a/./b/../c/", "/a/c/"),
        ("/..", "/"),
        ("", "/"),
    ] {
        assert_eq!(presented(path), expected, "{path:?}");
    }
}

#[test]
fn errors_have_the_names_of_their_protocol() {
    for (error, rest, query) in [
        (
            SignatureError::Missing,
            "MissingAuthenticationTokenException",
            "MissingAuthenticationToken",
        ),
        (
            SignatureError::UnknownKey,
            "UnrecognizedClientException",
            "InvalidClientTokenId",
        ),
        (
            SignatureError::Mismatch,
            "InvalidSignatureException",
            "SignatureDoesNotMatch",
        ),
        (
            SignatureError::TokenExpired,
            "ExpiredTokenException",
            "ExpiredToken",
        ),
        (
            SignatureError::Incomplete(String::new()),
            "IncompleteSignatureException",
            "IncompleteSignature",
        ),
    ] {
        assert_eq!(error.to_api_error(false).exception, rest);
        assert_eq!(error.to_api_error(true).exception, query);
    }
}

/// Reads `bytes` as a request head of our own plain form and judges it: nothing may panic.
fn attack(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines();
    let (path, query) = lines
        .next()
        .unwrap_or_default()
        .split_once('?')
        .unwrap_or(("/", ""));
    let mut headers = HeaderMap::new();
    for line in lines {
        if let Some((name, value)) = line.split_once(": ")
            && let Ok(name) = HeaderName::from_bytes(name.as_bytes())
            && let Ok(value) = HeaderValue::from_str(value)
        {
            headers.append(name, value);
        }
    }
    let mut seen = named("iot describe_thing 0");
    (seen.path, seen.query, seen.headers) = (path.to_owned(), query.to_owned(), headers);
    assert!(seen.judged().is_err());
}

#[test]
fn the_corpus_of_the_fuzzer_harms_nobody() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/signature");
    let mut read = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        attack(&std::fs::read(entry.unwrap().path()).unwrap());
        read += 1;
    }
    assert!(5 <= read);
}

proptest! {
    #[test]
    fn hostile_authorization_headers_harm_nobody(
        value in "AWS4-HMAC-SHA256 [ -~]{0,80}|(AWS4-HMAC-SHA256 )?(Credential=[a-z/0-9]{0,30},? ?|SignedHeaders=[a-z;]{0,9}, |Signature=[0-9a-f]{0,65}){0,4}",
    ) {
        attack(format!("/?a\nauthorization: {value}\nx-amz-date: 20260102T030405Z\nhost: palisade.example").as_bytes());
    }

    #[test]
    fn what_we_sign_we_believe(
        path in "(/[a-zA-Z0-9%.:~-]{0,6}){1,4}",
        query in "([a-z]{1,3}=[a-zA-Z0-9.~-]{0,4}&){0,3}",
        body in proptest::collection::vec(any::<u8>(), 0..40),
        token in proptest::option::of("[a-zA-Z0-9+/=]{1,20}"),
        header in "[ -~]{0,12}",
    ) {
        let file = file();
        let mut seen = Seen::of(&file, &file.vectors[0]);
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-meta", HeaderValue::from_str(&header).unwrap());
        seen.headers = sign(&Signing {
            method: "PUT", path: &path, query: &query, host: "palisade.example", headers: &headers,
            body: &body, access_key_id: &file.access_key_id, secret: &file.secret,
            session_token: token.as_deref(), region: &file.region, service: "iot", at: seen.now,
        }).unwrap();
        (seen.method, seen.path, seen.query, seen.body) = ("PUT".to_owned(), path, query, body);
        seen.credential = credential(&file.secret, token.as_deref());
        prop_assert!(seen.judged().is_ok());
    }
}
