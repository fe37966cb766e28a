//! The canonical form of a request, over which the signature is taken.
//!
//! As botocore forms it for every service but S3: the path is normalised (no dot segments, no
//! empty ones) and then encoded once more; query pairs are sorted; header values are trimmed.

use std::borrow::Cow;

use hyper::HeaderMap;

use super::Signed;
use crate::percent;

/// How the query is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueryForm {
    /// Each name and value decoded and encoded again, as the standard describes.
    Recoded,
    /// As it arrived, as botocore does.
    AsIs,
}

/// The path that was signed, not yet encoded again: without dot segments and empty ones.
pub(super) fn normalised_path(path: &str) -> Cow<'_, str> {
    let odd = |part: &str| part.is_empty() || part == "." || part == "..";
    let inner = path.strip_prefix('/').unwrap_or(path);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    if path.starts_with('/') && (inner.is_empty() || !inner.split('/').any(odd)) {
        return Cow::Borrowed(if inner.is_empty() { "/" } else { path });
    }
    let mut kept: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => (),
            ".." => drop(kept.pop()),
            _ => kept.push(part),
        }
    }
    let last = if path.ends_with('/') && !kept.is_empty() {
        "/"
    } else {
        ""
    };
    Cow::Owned(format!("/{}{last}", kept.join("/")))
}

/// The query in canonical order, without `left_out`.
pub(super) fn query(query: &str, form: QueryForm, left_out: &[&str]) -> String {
    let recoded = |text: &str| -> String {
        match form {
            QueryForm::AsIs => text.to_owned(),
            // What cannot be decoded stands as it is and then cannot match either.
            QueryForm::Recoded => percent::decoded(text)
                .map_or_else(|| text.to_owned(), |text| percent::encoded(&text)),
        }
    };
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .filter(|(name, _)| !left_out.contains(name))
        .map(|(name, value)| (recoded(name), recoded(value)))
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}

/// The canonical request.
pub(super) fn request(
    request: &Signed<'_>,
    query: &str,
    signed_headers: &[String],
    host: &[u8],
    payload_hash: &str,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(request.method.as_bytes());
    out.push(b'\n');
    let path = percent::encoded_path(&normalised_path(request.path));
    out.extend_from_slice(path.as_bytes());
    out.push(b'\n');
    out.extend_from_slice(query.as_bytes());
    out.push(b'\n');
    for name in signed_headers {
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        if name == "host" {
            out.extend_from_slice(host);
        } else {
            header_value(request.headers, name, &mut out);
        }
        out.push(b'\n');
    }
    out.push(b'\n');
    out.extend_from_slice(signed_headers.join(";").as_bytes());
    out.push(b'\n');
    out.extend_from_slice(payload_hash.as_bytes());
    out
}

/// The values of a header, joined by commas, runs of white space being one space.
fn header_value(headers: &HeaderMap, name: &str, out: &mut Vec<u8>) {
    for (at, value) in headers.get_all(name).iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        let words = value
            .as_bytes()
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        for (at, word) in words.enumerate() {
            if at > 0 {
                out.push(b' ');
            }
            out.extend_from_slice(word);
        }
    }
}
