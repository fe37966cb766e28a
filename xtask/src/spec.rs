//! The list of a standard's requirements, and how far code and tests have come with it.
//!
//! A file of docs/specs has three tables: `rules` (id = what it demands, in our words), `waived`
//! (id = why it is nothing for us) and `floor` (how many rules must at least be cited and tested,
//! so that a citation is not lost unseen).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context as _, Result, bail};
use toml::{Table, Value};

use crate::source;

/// One standard.
#[derive(Debug, Default)]
pub(crate) struct Spec {
    rules: BTreeSet<String>,
    waived: BTreeSet<String>,
    implemented_min: usize,
    tested_min: usize,
}

impl Spec {
    /// Every list in docs/specs, by the name its rules are cited under.
    pub(crate) fn all() -> Result<BTreeMap<String, Self>> {
        let mut specs = BTreeMap::new();
        for (path, text) in source::texts(&["docs/specs"], ".toml")? {
            let name = path.file_stem().and_then(|name| name.to_str());
            let name = name.unwrap_or_default().to_owned();
            let spec = Self::parse(&text).with_context(|| format!("{}", path.display()))?;
            specs.insert(name, spec);
        }
        Ok(specs)
    }

    fn parse(text: &str) -> Result<Self> {
        let document: Table = text.parse()?;
        let rules = texts(&document, "rules")?;
        let waived = texts(&document, "waived")?;
        if let Some(unknown) = waived.difference(&rules).next() {
            bail!("[{unknown}] is waived and not among the rules");
        }
        let floor = |name: &str| {
            let floor = document.get("floor").and_then(|floor| floor.get(name));
            let floor = floor.and_then(Value::as_integer);
            floor
                .and_then(|floor| usize::try_from(floor).ok())
                .with_context(|| format!("floor.{name} is a count"))
        };
        Ok(Self {
            implemented_min: floor("implemented")?,
            tested_min: floor("tested")?,
            rules,
            waived,
        })
    }

    pub(crate) fn has(&self, rule: &str) -> bool {
        self.rules.contains(rule)
    }
}

/// The keys of a table whose values are all texts with something in them.
fn texts(document: &Table, name: &str) -> Result<BTreeSet<String>> {
    let table = document.get(name).and_then(Value::as_table);
    let table = table.with_context(|| format!("there is no table `{name}`"))?;
    for (id, text) in table {
        if text.as_str().is_none_or(str::is_empty) {
            bail!("[{id}] in `{name}` says nothing");
        }
    }
    Ok(table.keys().cloned().collect())
}

/// How far a standard is covered.
#[derive(Debug)]
pub(crate) struct Count {
    rules: usize,
    waived: usize,
    implemented: usize,
    tested: usize,
    /// Neither cited nor tested nor waived.
    missing: Vec<String>,
    /// Waived and yet tested.
    contradicted: Vec<String>,
}

impl Count {
    pub(crate) fn of(spec: &Spec, cited: &BTreeSet<String>, tested: &BTreeSet<String>) -> Self {
        let covered = |rule: &&String| {
            cited.contains(*rule) || tested.contains(*rule) || spec.waived.contains(*rule)
        };
        let missing = spec.rules.iter().filter(|rule| !covered(rule));
        Self {
            rules: spec.rules.len(),
            waived: spec.waived.len(),
            implemented: spec.rules.intersection(cited).count(),
            tested: spec.rules.intersection(tested).count(),
            missing: missing.cloned().collect(),
            contradicted: spec.waived.intersection(tested).cloned().collect(),
        }
    }

    /// One for each rule that nothing covers, each waiver that is none, each count that fell.
    pub(crate) fn complaints(&self, spec: &Spec) -> Vec<String> {
        let mut complaints = Vec::new();
        for rule in &self.missing {
            complaints.push(format!("[{rule}] is neither cited nor tested nor waived"));
        }
        for rule in &self.contradicted {
            complaints.push(format!("[{rule}] is waived and yet tested"));
        }
        for (what, count, least) in [
            ("cited", self.implemented, spec.implemented_min),
            ("tested", self.tested, spec.tested_min),
        ] {
            if count < least {
                complaints.push(format!("{count} rules are {what}; it was {least}"));
            }
        }
        complaints
    }
}

impl fmt::Display for Count {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} rules, {} with `spec`, {} with `tests`, {} waived, {} missing",
            self.rules,
            self.implemented,
            self.tested,
            self.waived,
            self.missing.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"
        [floor]
        implemented = 1
        tested = 1
        [rules]
        "A-1" = "is cited"
        "A-2" = "is tested"
        "A-3" = "is waived"
        [waived]
        "A-3" = "asked of others"
    "#;

    #[track_caller]
    fn check(cited: &[&str], tested: &[&str], expected: &[&str]) {
        let spec = Spec::parse(LIST).expect("a list");
        let set = |rules: &[&str]| rules.iter().map(|rule| (*rule).to_owned()).collect();
        let count = Count::of(&spec, &set(cited), &set(tested));
        assert_eq!(count.complaints(&spec), expected);
    }

    #[test]
    fn what_is_counted() {
        check(&["A-1"], &["A-2"], &[]);
        check(&["A-1", "A-3", "B-1"], &["A-1", "A-2"], &[]);
        check(
            &["A-1"],
            &["A-1"],
            &["[A-2] is neither cited nor tested nor waived"],
        );
        check(
            &["A-1"],
            &["A-2", "A-3"],
            &["[A-3] is waived and yet tested"],
        );
        check(&[], &["A-1", "A-2"], &["0 rules are cited; it was 1"]);
    }

    #[test]
    fn what_is_no_list() {
        for (from, to) in [
            ("\"A-3\" = \"asked", "\"A-4\" = \"asked"),
            ("\"is cited\"", "\"\""),
            ("implemented = 1", "implemented = -1"),
            ("[waived]", "[other]"),
        ] {
            assert!(Spec::parse(&LIST.replace(from, to)).is_err(), "{to}");
        }
        assert!(Spec::parse(LIST).is_ok_and(|spec| spec.has("A-1") && !spec.has("A-4")));
    }
}
