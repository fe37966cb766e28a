//! Every rule cited in code and tests must exist; the report counts both.
//!
//! The grammar is one line: `spec <document> [<rule>]` where a rule is implemented and
//! `tests <document> [<rule>]` above its test; further rules may follow in their own brackets.
//! The rules of `aws-iot` are those of docs/contract; those of the MQTT standards are listed in
//! docs/specs, and a section stands for what a standard says without a number.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::source;
use crate::spec::{Count, Spec};

/// What was cited, and what is wrong with it.
pub(crate) struct Report {
    pub(crate) summary: String,
    pub(crate) complaints: Vec<String>,
}

/// `[AB-12]` anywhere in `text`.
fn bracketed(text: &str) -> impl Iterator<Item = &str> {
    text.split('[')
        .skip(1)
        .filter_map(|rest| rest.split_once(']').map(|(inside, _)| inside))
}

/// The numbers of sections: `### 1.6 Maximum connection life` → `1.6`.
fn headings(text: &str) -> impl Iterator<Item = &str> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let numbers = headings.filter_map(|line| line.split(' ').nth(1));
    numbers.filter(|number| number.contains('.') && !number.ends_with('.'))
}

fn is_contract_rule(text: &str) -> bool {
    text.split_once('-').is_some_and(|(area, number)| {
        (1..=4).contains(&area.len())
            && area.bytes().all(|byte| byte.is_ascii_uppercase())
            && !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// A section, where the standard states the rule without a number: `3.1.2.11.4`.
fn is_section(text: &str) -> bool {
    let numbers = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.contains('.') && text.split('.').all(numbers)
}

/// The citations of a line: several stand apart by `;`.
fn citations(line: &str) -> impl Iterator<Item = (&str, &str, Vec<&str>)> {
    let comment = line.trim_start().trim_start_matches(['/', '!', '#']);
    comment.split(';').filter_map(citation)
}

/// `spec aws-iot [PL-20]` → (`spec`, `aws-iot`, ["PL-20"]).
fn citation(comment: &str) -> Option<(&str, &str, Vec<&str>)> {
    let comment = comment.trim();
    let mut words = comment.splitn(3, ' ');
    let (verb, document, rest) = (words.next()?, words.next()?, words.next()?);
    let known = matches!(verb, "spec" | "tests") && rest.starts_with('[');
    known.then(|| {
        (
            verb,
            document,
            bracketed(rest.split(": ").next().unwrap_or(rest)).collect(),
        )
    })
}

/// Reads the whole tree.
pub(crate) fn report() -> Result<Report> {
    let mut rules = BTreeSet::new();
    for (_, text) in source::texts(&["docs/contract"], ".md")? {
        rules.extend(
            bracketed(&text)
                .filter(|rule| is_contract_rule(rule))
                .map(str::to_owned),
        );
        rules.extend(headings(&text).map(str::to_owned));
    }
    let specs = Spec::all()?;
    let mut complaints = Vec::new();
    let mut cited: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    let mut files = source::rust_files()?;
    files.extend(source::texts(&["tests"], ".py")?);
    files.extend(source::texts(&["tests"], ".txt")?);
    for (path, text) in files {
        for (index, line) in text.lines().enumerate() {
            for (verb, document, rule) in citations(line).flat_map(|(verb, document, found)| {
                found.into_iter().map(move |rule| (verb, document, rule))
            }) {
                let exists = match specs.get(document) {
                    Some(spec) => spec.has(rule) || is_section(rule),
                    None => document == "aws-iot" && rules.contains(rule),
                };
                if !exists && !path.starts_with("xtask") {
                    let place = format!("{}:{}", path.display(), index + 1);
                    complaints.push(format!("{place}: no rule [{rule}] in `{document}`"));
                }
                let key = (document.to_owned(), verb.to_owned());
                cited.entry(key).or_default().insert(rule.to_owned());
            }
        }
    }
    let none = BTreeSet::new();
    let of = |document: &str, verb: &str| {
        let key = (document.to_owned(), verb.to_owned());
        cited.get(&key).unwrap_or(&none)
    };
    let mut summary = format!(
        "aws-iot: {} rules, {} with `spec`, {} with `tests`",
        rules.len(),
        of("aws-iot", "spec").len(),
        of("aws-iot", "tests").len()
    );
    for (document, spec) in &specs {
        let count = Count::of(spec, of(document, "spec"), of(document, "tests"));
        summary.push_str(&format!("\n{document}: {count}"));
        let found = count.complaints(spec);
        complaints.extend(
            found
                .into_iter()
                .map(|text| format!("docs/specs/{document}.toml: {text}")),
        );
    }
    Ok(Report {
        summary,
        complaints,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar() {
        let expected = ("spec", "aws-iot", vec!["PL-20", "PL-21"]);
        let line = "    // spec aws-iot [PL-20], [PL-21]: text, not topics";
        assert_eq!(citations(line).collect::<Vec<_>>(), [expected]);
        let line = "# tests mqtt5 [MQTT-4.7.2-1]; tests aws-iot [MQ-42]";
        assert_eq!(citations(line).count(), 2);
        assert_eq!(citations("// a comment about spec things").count(), 0);
        assert!(is_contract_rule("MQ-11"));
        assert!(!is_contract_rule("u8"));
        assert!(is_section("2.1.2"));
        assert!(!is_section("MQTT-3.1.2-22"));
        assert!(!is_section("2"));
    }
}
