//! Finding the files of the workspace.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(Path::to_owned)
        .unwrap_or_default()
}

/// Every file below `dir` whose name ends in `ending`, in order, build folders left out.
pub(crate) fn files(dir: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(dir) = waiting.pop() {
        let entries = fs::read_dir(&dir).with_context(|| format!("{}", dir.display()))?;
        for entry in entries {
            let path = entry?.path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if path.is_dir() {
                if !matches!(
                    name,
                    "target" | "node_modules" | ".git" | ".venv" | ".build"
                ) {
                    waiting.push(path);
                }
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The Rust files of the workspace with their texts; paths relative to the root.
pub(crate) fn rust_files() -> Result<Vec<(PathBuf, String)>> {
    texts(&["crates", "xtask"], ".rs")
}

/// The files of `folders` that end in `ending`, with their texts.
pub(crate) fn texts(folders: &[&str], ending: &str) -> Result<Vec<(PathBuf, String)>> {
    let root = root();
    let mut found = Vec::new();
    for folder in folders {
        for path in files(&root.join(folder), ending)? {
            let text = fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
            found.push((path.strip_prefix(&root).unwrap_or(&path).to_owned(), text));
        }
    }
    Ok(found)
}
