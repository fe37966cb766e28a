//! What a doctor asks the database.

use std::sync::atomic::Ordering;

use crate::{Storage, StorageError, Tx};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was found, for people.
    pub detail: String,
}

pub(crate) async fn run(storage: &Storage) -> Vec<Check> {
    let shared = &storage.shared;
    let mut checks = Vec::new();
    let mut note = |name, ok, detail: String| checks.push(Check { name, ok, detail });

    match storage.read(version).await {
        Ok(version) => note("engine", true, format!("{version}, {}", shared.database)),
        Err(error) => note("engine", false, error.to_string()),
    }
    match storage.read(integrity).await {
        Ok(found) if found.is_empty() => note("integrity", true, "no damage found".to_owned()),
        Ok(found) => note("integrity", false, found.join("; ")),
        Err(error) => note("integrity", false, error.to_string()),
    }
    match storage.read(steps).await {
        Ok(count) => note("schema", true, format!("{count} migrations applied")),
        Err(error) => note("schema", false, error.to_string()),
    }
    match shared.writable.load(Ordering::Relaxed) {
        true => note("lease", true, "this node holds it".to_owned()),
        false => note(
            "lease",
            false,
            "lost: the database does not take writes".to_owned(),
        ),
    }
    match shared.reserve_missing.load(Ordering::Relaxed) {
        false => note(
            "disk-reserve",
            true,
            "in place, or not asked for".to_owned(),
        ),
        true => note(
            "disk-reserve",
            false,
            "absent: free space on the disk".to_owned(),
        ),
    }
    checks
}

fn version(tx: &mut Tx<'_>) -> Result<String, StorageError> {
    tx.run(&[], |engine| engine.version())
}

fn integrity(tx: &mut Tx<'_>) -> Result<Vec<String>, StorageError> {
    tx.run(&[], |engine| engine.integrity())
}

fn steps(tx: &mut Tx<'_>) -> Result<i64, StorageError> {
    let row = tx.query_one("SELECT COUNT(*) FROM schema_migrations", &[])?;
    row.map_or(Ok(0), |row| row.int(0))
}
