//! Small rules that keep the tree readable.

use std::path::Path;

use anyhow::Result;

use crate::source;

/// Lines of a source file, tests not counted.
const FILE_LINES_MAX: usize = 500;
const LINE_LENGTH_MAX: usize = 130;
const DRAWERS: &[&str] = &["utils.rs", "util.rs", "common.rs", "types.rs", "helpers.rs"];

/// Words that mark unfinished work; spelled apart so that this file does not accuse itself.
fn unfinished() -> [String; 3] {
    [
        ["TO", "DO"].concat(),
        ["FIX", "ME"].concat(),
        ["X", "XX:"].concat(),
    ]
}

/// One complaint for each broken rule.
pub(crate) fn complaints() -> Result<Vec<String>> {
    let mut complaints = Vec::new();
    let architecture = std::fs::read_to_string(source::root().join("ARCHITECTURE.md"))?;
    for (path, text) in source::rust_files()? {
        of_file(&path, &text, &mut complaints);
    }
    for (path, manifest) in source::texts(&["crates"], "Cargo.toml")? {
        if path.components().count() != 3 {
            continue;
        }
        let name = path
            .components()
            .nth(1)
            .map(|part| part.as_os_str().to_string_lossy());
        let name = name.unwrap_or_default();
        if !manifest.contains("description = ") {
            complaints.push(format!("{}: a crate says what it is", path.display()));
        }
        if !architecture.contains(&format!("`{name}`")) {
            complaints.push(format!("ARCHITECTURE.md does not name the crate `{name}`"));
        }
    }
    Ok(complaints)
}

fn is_test(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text.contains("/tests") || text.contains("/fuzz/") || text.contains("/examples/")
}

fn of_file(path: &Path, text: &str, complaints: &mut Vec<String>) {
    let place = path.display();
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    if DRAWERS.contains(&name) {
        complaints.push(format!("{place}: a module is named for what it holds"));
    }
    let code = text
        .split("\n#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or(text);
    if !is_test(path) && FILE_LINES_MAX < code.lines().count() {
        complaints.push(format!("{place}: {} lines of code", code.lines().count()));
    }
    if !is_test(path) && !text.starts_with("//!") {
        complaints.push(format!("{place}: a module opens with what it is (`//!`)"));
    }
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if LINE_LENGTH_MAX < line.chars().count() && !line.contains("http") && !is_test(path) {
            complaints.push(format!(
                "{place}:{number}: {} characters",
                line.chars().count()
            ));
        }
        if line.ends_with([' ', '\t']) || line.starts_with('\t') {
            complaints.push(format!("{place}:{number}: stray white space"));
        }
        if unfinished().iter().any(|word| line.contains(word.as_str())) {
            complaints.push(format!(
                "{place}:{number}: unfinished work is not committed"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, text: &str, expected: usize) {
        let mut complaints = Vec::new();
        of_file(Path::new(path), text, &mut complaints);
        assert_eq!(complaints.len(), expected, "{complaints:?}");
    }

    #[test]
    fn each_rule_bites() {
        check("crates/a/src/b.rs", "//! Fine.\n", 0);
        check("crates/a/src/b.rs", "fn undocumented() {}\n", 1);
        check("crates/a/src/utils.rs", "//! A drawer.\n", 1);
        check(
            "crates/a/src/b.rs",
            &format!("//! Long.\n{}", "x();\n".repeat(500)),
            1,
        );
        check(
            "crates/a/src/b.rs",
            &format!("//! Long.\n{}", "x();\n".repeat(499)),
            0,
        );
        check("crates/a/src/b.rs", "//! Space. \n", 1);
        check(
            "crates/a/src/b.rs",
            &format!("//! {} later\n", unfinished()[0]),
            1,
        );
        check("crates/a/src/b/tests.rs", "fn no_header_needed() {}\n", 0);
    }
}
