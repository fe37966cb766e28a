//! `palisade config explain`: each setting, its value and where it comes from.

use anyhow::Result;
use serde_json::{Value, json};
use storage::Database;

use crate::arguments::Output;
use crate::config::Resolved;
use crate::output;

pub(crate) fn run(output: Output, resolved: &Resolved) -> Result<()> {
    let rows: Vec<Value> = resolved
        .explain()
        .map(|(key, value, origin, help)| {
            let value = match value {
                toml::Value::String(text) if key == "database" => without_secrets(text),
                toml::Value::String(text) => text.clone(),
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

/// A database URL may carry a password, in more places than one.
fn without_secrets(text: &str) -> String {
    match text.parse::<Database>() {
        Ok(database) => database.to_string(),
        Err(_) if text.is_empty() => String::new(),
        Err(_) => "<not a database>".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::without_secrets;

    #[test]
    fn passwords_are_not_shown() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            assert_eq!(without_secrets(text), expected);
        }
        check("postgres://u:p@h/db", "postgres://u@h/db");
        check("postgres://h/db?user=u&password=p", "postgres://h/db");
        check("sqlite:/d/p.db", "sqlite:/d/p.db");
        check("mysql://u:p@h/db", "<not a database>");
        check("", "");
    }
}
