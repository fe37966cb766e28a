//! Who may import whom: down only, any number of steps, never sideways.

use std::fs;

use anyhow::{Context as _, Result};

use crate::source;

/// From the words at the bottom to the binaries at the top. A crate of one layer may use crates
/// of the layers before it and no other.
const LAYERS: &[&[&str]] = &[
    &["model"],
    &[
        "mqtt",
        "device-api",
        "policy",
        "pki",
        "detect",
        "storage",
        "bus",
        "egress",
    ],
    &["gateway"],
    &[
        "broker",
        "identity",
        "registry",
        "certificates",
        "shadows",
        "rules",
        "logs",
        "trail",
        "alerts",
        "defender",
        "jobs",
        "tunnels",
        "threats",
        "components",
        "simulator",
    ],
    &["palisade", "palisade-edge"],
];

/// Crates without I/O: no runtime, no database, no HTTP below them.
const PURE: &[&str] = &["model", "mqtt", "device-api", "policy", "detect"];
const IO: &[&str] = &["tokio", "hyper", "rusqlite", "postgres", "tokio-rustls"];

/// Development only: anything from the engines up may use it in tests, nothing at run time.
const TESTKIT: &str = "testkit";
/// Development only: it measures what is built and may use all of it; nobody uses it.
const BENCH: &str = "bench";

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

/// The names in one `[section]` of a manifest.
fn section<'a>(manifest: &'a str, name: &str) -> Vec<&'a str> {
    let header = format!("[{name}]");
    let lines = manifest
        .lines()
        .skip_while(|line| line.trim() != header)
        .skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    lines
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|n| !n.is_empty())
        .collect()
}

/// One complaint for each import that goes sideways or up.
pub(crate) fn complaints() -> Result<Vec<String>> {
    let mut complaints = Vec::new();
    for entry in fs::read_dir(source::root().join("crates"))? {
        let path = entry?.path();
        let user = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default()
            .to_owned();
        let manifest = fs::read_to_string(path.join("Cargo.toml")).with_context(|| user.clone())?;
        complaints.extend(of_crate(&user, &manifest));
    }
    Ok(complaints)
}

fn of_crate(user: &str, manifest: &str) -> Vec<String> {
    if user == TESTKIT || user == BENCH {
        return Vec::new();
    }
    let Some(user_layer) = layer(user) else {
        return vec![format!("`{user}` has no layer in xtask/src/direction.rs")];
    };
    let mut complaints = Vec::new();
    for used in section(manifest, "dependencies") {
        if used == TESTKIT {
            complaints.push(format!("`{user}` may use testkit in tests only"));
        }
        if used == BENCH {
            complaints.push(format!("`{user}` may not use bench"));
        }
        if PURE.contains(&user) && IO.contains(&used) {
            complaints.push(format!("`{user}` does no I/O and may not use `{used}`"));
        }
        if layer(used).is_some_and(|used_layer| user_layer <= used_layer) {
            complaints.push(format!("`{user}` may not import `{used}`"));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sideways_and_upward_imports_are_refused() {
        let manifest = "[dependencies]\nregistry.workspace = true\ntokio = \"1\"\n[lints]\n";
        assert_eq!(
            of_crate("broker", manifest),
            ["`broker` may not import `registry`"]
        );
        assert_eq!(of_crate("palisade", manifest), Vec::<String>::new());
        assert_eq!(of_crate("mqtt", manifest).len(), 2);
        assert_eq!(of_crate("nobody", manifest).len(), 1);
        assert_eq!(of_crate("bench", manifest), Vec::<String>::new());
        let manifest = "[dependencies]\nbench.workspace = true\n";
        assert_eq!(of_crate("broker", manifest), ["`broker` may not use bench"]);
    }
}
