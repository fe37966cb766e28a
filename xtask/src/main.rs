//! Automation in the main language: `cargo xtask tidy` and `cargo xtask citations`.
//!
//! What should stay true is checked here and runs as a test of this crate, so `make test` fails
//! when an import goes the wrong way, a file grows into a drawer or a rule is cited that no
//! document has.

mod citations;
mod direction;
mod source;
mod spec;
mod tidy;

use anyhow::{Result, bail};

fn main() -> Result<()> {
    let complaints = match std::env::args().nth(1).as_deref() {
        Some("tidy") => [direction::complaints()?, tidy::complaints()?].concat(),
        Some("citations") => {
            let report = citations::report()?;
            print(&report.summary);
            report.complaints
        }
        _ => bail!("usage: cargo xtask tidy | citations"),
    };
    for complaint in &complaints {
        print(complaint);
    }
    if complaints.is_empty() {
        Ok(())
    } else {
        bail!("{} complaints", complaints.len())
    }
}

#[expect(clippy::print_stdout, reason = "a report is what this program is for")]
fn print(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_go_down() {
        assert_eq!(
            direction::complaints().expect("readable"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn the_tree_is_tidy() {
        assert_eq!(tidy::complaints().expect("readable"), Vec::<String>::new());
    }

    #[test]
    fn cited_rules_exist() {
        assert_eq!(
            citations::report().expect("readable").complaints,
            Vec::<String>::new()
        );
    }
}
