//! How results are written: a table for people, JSON for programs.
//!
//! Topics, client ids and reason strings come from strangers. What of them could steer a terminal
//! is written as an escape, in all that people are shown.

use std::borrow::Cow;
use std::io::{self, Write};

use anyhow::Result;
use model::Timestamp;
use serde_json::{Map, Value};

use crate::arguments::Output;

/// Writes rows under `columns`: `(heading, member)`.
///
/// # Errors
/// When standard output is closed.
pub(crate) fn rows(output: Output, columns: &[(&str, &str)], rows: &[Value]) -> Result<()> {
    let mut out = io::stdout().lock();
    match output {
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(rows)?)?,
        Output::Jsonl => {
            for row in rows {
                writeln!(out, "{row}")?;
            }
        }
        Output::Table => table(&mut out, columns, rows)?,
    }
    Ok(())
}

/// Writes one object: aligned `member  value` lines, or JSON.
///
/// # Errors
/// When standard output is closed.
pub(crate) fn object(output: Output, object: &Map<String, Value>) -> Result<()> {
    let mut out = io::stdout().lock();
    match output {
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(object)?)?,
        Output::Jsonl => writeln!(out, "{}", Value::Object(object.clone()))?,
        Output::Table => {
            let width = object.keys().map(String::len).max().unwrap_or(0);
            for (name, value) in object {
                writeln!(out, "{name:width$}  {}", cell(value))?;
            }
        }
    }
    Ok(())
}

/// For a table, turns the epoch seconds in `members` into the time of day that people read; JSON
/// keeps what the API says.
pub(crate) fn tell_times(output: Output, rows: &mut [Value], members: &[&str]) {
    if output != Output::Table {
        return;
    }
    for row in rows {
        for member in members {
            let Some(seconds) = row[*member].as_f64() else {
                continue;
            };
            #[expect(clippy::cast_possible_truncation, reason = "milliseconds fit for ages")]
            let at = Timestamp::from_millis((seconds * 1000.0).round() as i64);
            row[*member] = Value::String(at.to_string());
        }
    }
}

/// Writes a line for people, or several.
///
/// # Errors
/// When standard output is closed.
pub(crate) fn line(text: &str) -> Result<()> {
    writeln!(io::stdout().lock(), "{}", harmless(text, &['\n', '\t']))?;
    Ok(())
}

/// Writes a line for a shell, as it stands.
///
/// # Errors
/// When standard output is closed.
pub(crate) fn verbatim(text: &str) -> Result<()> {
    writeln!(io::stdout().lock(), "{text}")?;
    Ok(())
}

/// `text` with its control characters escaped, but for those `kept`.
fn harmless<'a>(text: &'a str, kept: &[char]) -> Cow<'a, str> {
    let steers = |c: char| c.is_control() && !kept.contains(&c);
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let escaped = |c: char| match steers(c) {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    Cow::Owned(text.chars().map(escaped).collect())
}

/// Writes a line for people beside the results, so that programs can read those alone.
///
/// # Errors
/// When standard error is closed.
pub(crate) fn note(text: &str) -> Result<()> {
    writeln!(io::stderr().lock(), "{text}")?;
    Ok(())
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => harmless(text, &[]).into_owned(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            let texts = items.iter().filter_map(Value::as_str);
            let texts: Vec<_> = texts.map(|text| harmless(text, &[])).collect();
            texts.join(", ")
        }
        other => harmless(&other.to_string(), &[]).into_owned(),
    }
}

fn table(out: &mut impl Write, columns: &[(&str, &str)], rows: &[Value]) -> Result<()> {
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            columns
                .iter()
                .map(|(_, member)| cell(&row[*member]))
                .collect()
        })
        .collect();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(index, (heading, _))| {
            let widest = cells
                .iter()
                .map(|row| row[index].chars().count())
                .max()
                .unwrap_or(0);
            widest.max(heading.chars().count())
        })
        .collect();
    let line = |cells: &[String]| {
        let padded = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let headings: Vec<String> = columns
        .iter()
        .map(|(heading, _)| (*heading).to_owned())
        .collect();
    writeln!(out, "{}", line(&headings))?;
    for row in &cells {
        writeln!(out, "{}", line(row))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn people_read_times_and_programs_read_seconds() {
        let mut rows = [json!({"at": 1_795_232_190.739, "end": null})];
        tell_times(Output::Json, &mut rows, &["at", "end"]);
        assert_eq!(rows[0]["at"], json!(1_795_232_190.739));
        tell_times(Output::Table, &mut rows, &["at", "end"]);
        assert_eq!(
            rows[0],
            json!({"at": "2026-11-21T03:36:30.739Z", "end": null})
        );
    }

    #[test]
    fn what_could_steer_a_terminal_is_escaped() {
        for (text, in_cells, in_lines) in [
            ("pump-7", "pump-7", "pump-7"),
            ("å/ü", "å/ü", "å/ü"),
            ("a\u{1b}[2Jb", "a\\u{1b}[2Jb", "a\\u{1b}[2Jb"),
            ("a\r\nb\tc", "a\\r\\nb\\tc", "a\\r\nb\tc"),
            ("\u{9b}31m", "\\u{9b}31m", "\\u{9b}31m"),
        ] {
            assert_eq!(cell(&json!(text)), in_cells);
            assert_eq!(cell(&json!([text, "x"])), format!("{in_cells}, x"));
            assert_eq!(harmless(text, &['\n', '\t']), in_lines);
        }
    }

    #[test]
    fn columns_are_aligned() {
        let mut out = Vec::new();
        let rows = [
            json!({"a": "x", "b": 1}),
            json!({"a": "long name", "b": null}),
        ];
        table(&mut out, &[("THING", "a"), ("N", "b")], &rows).expect("written");
        assert_eq!(
            String::from_utf8(out).expect("text"),
            "THING      N\nx          1\nlong name  -\n"
        );
    }
}
