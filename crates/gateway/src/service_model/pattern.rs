//! The models' regular expressions, which are Java's, in the words of the `regex` crate.
//!
//! What differs and occurs: `\uXXXX`; POSIX classes written as properties; `\w`, `\d` and `\s`
//! are ASCII in Java. A match is of the whole text. What neither can express is not in the models
//! that are served; a test compiles every one of them.

/// The same pattern for `regex`, matching whole texts only.
pub(super) fn translated(java: &str) -> String {
    let mut out = String::with_capacity(java.len() + 16);
    out.push_str("^(?:");
    let mut rest = java;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = escape(&rest[at..], &mut out);
    }
    out.push_str(rest);
    out.push_str(")$");
    out
}

const CLASSES: [(&str, &str); 11] = [
    (r"\p{Graph}", "[[:graph:]]"),
    (r"\p{Cntrl}", "[[:cntrl:]]"),
    (r"\p{Upper}", "[[:upper:]]"),
    (r"\p{Digit}", "[[:digit:]]"),
    (r"\w", "[[:word:]]"),
    (r"\W", "[^[:word:]]"),
    (r"\d", "[0-9]"),
    (r"\D", "[^0-9]"),
    (r"\s", "[[:space:]]"),
    (r"\S", "[^[:space:]]"),
    // The model means the planes above the first, and Java reads U+1000 and a zero.
    (r"\u10000-\u10FFFF", r"\u{10000}-\u{10FFFF}"),
];

/// Writes the escape at the start of `rest` and answers what follows it.
fn escape<'a>(rest: &'a str, out: &mut String) -> &'a str {
    for (java, ours) in CLASSES {
        if let Some(after) = rest.strip_prefix(java) {
            out.push_str(ours);
            return after;
        }
    }
    if let Some(after) = rest.strip_prefix(r"\u")
        && let Some(digits) = after.get(..4)
    {
        out.push_str(&format!(r"\u{{{digits}}}"));
        return &after[4..];
    }
    // A backslash and the character it escapes, as they stand.
    let end = rest.char_indices().nth(2).map_or(rest.len(), |(at, _)| at);
    out.push_str(&rest[..end]);
    &rest[end..]
}
