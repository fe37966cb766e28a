//! `palisade config explain`: each setting, its value and where it comes from.

use anyhow::Result;
use serde_json::{Value, json};

use crate::arguments::Output;
use crate::config::Resolved;
use crate::output;

pub(crate) fn run(output: Output, resolved: &Resolved) -> Result<()> {
    let rows: Vec<Value> = resolved
        .explain()
        .map(|(key, value, origin, help)| {
            let value = match value {
                toml::Value::String(text) => redacted(text),
                other => other.to_string(),
            };
            json!({"key": key, "value": value, "origin": origin.to_string(), "help": help})
        })
        .collect();
    let columns = [
        ("SETTING", "key"),
        ("VALUE", "value"),
        ("FROM", "origin"),
        ("WHAT IT IS", "help"),
    ];
    output::rows(output, &columns, &rows)
}

/// A database URL may carry a password.
fn redacted(text: &str) -> String {
    match text.split_once("://").zip(text.rsplit_once('@')) {
        Some(((scheme, _), (_, host))) => format!("{scheme}://…@{host}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::redacted;

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(redacted("postgres://u:p@h/db"), "postgres://…@h/db");
        assert_eq!(redacted("sqlite:/d/p.db"), "sqlite:/d/p.db");
    }
}
