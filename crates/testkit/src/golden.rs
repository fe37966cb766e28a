//! Golden files: what a reviewer should see change.

use std::fs;
use std::path::Path;

/// Compares `found` with the file at `path`, relative to the root of the crate under test.
/// With `UPDATE_GOLDEN=1` in the environment the file is written instead.
///
/// # Panics
/// When they differ, naming the first line that does, or when the file cannot be read or written.
#[track_caller]
pub fn golden(path: &str, found: &str) {
    let path = Path::new(path);
    if update() {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).expect("the directory of golden files can be made");
        }
        fs::write(path, found).expect("the golden file can be written");
        return;
    }
    let shown = path.display();
    let hint = "run the test with UPDATE_GOLDEN=1 and review the difference";
    let Ok(expected) = fs::read_to_string(path) else {
        panic!("`{shown}` cannot be read; {hint}");
    };
    if expected != found {
        let line = first_difference(&expected, found);
        let at = |text: &str| text.lines().nth(line).unwrap_or("(end)").to_owned();
        let number = line + 1;
        panic!(
            "`{shown}` differs from line {number} on; {hint}\n  expected: {}\n  found:    {}",
            at(&expected),
            at(found)
        );
    }
}

/// The number, from 0, of the first line that differs.
fn first_difference(expected: &str, found: &str) -> usize {
    let same = |(one, other): &(&str, &str)| one == other;
    expected.lines().zip(found.lines()).take_while(same).count()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a switch of the test run, not configuration"
)]
fn update() -> bool {
    std::env::var("UPDATE_GOLDEN").is_ok_and(|value| value == "1")
}

#[cfg(test)]
mod tests;
