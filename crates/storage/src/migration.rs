//! The schema goes forward, one step at a time, and remembers its steps.
//!
//! Each capability numbers its own steps from 1. A step once released is never edited: its
//! checksum is kept, and a database made by another text, or by a newer program, is refused
//! rather than guessed at. There is no way back; that is what backups are for.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use model::Timestamp;

use crate::engine::{Engine, Fault};
use crate::{OpenError, dialect, params};

/// One step of a capability's schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Whose step.
    pub capability: &'static str,
    /// Its number: 1, 2, 3 …
    pub version: u32,
    /// One or more statements, with the types TEXT, BIGINT, BLOB, DOUBLE PRECISION in capitals.
    /// No deferred constraints: they would show at the commit, which a write shares with others.
    pub sql: &'static str,
}

/// Why the schema cannot be brought up to date.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MigrationError {
    /// Made by a newer program.
    #[error(
        "the database has version {found} of `{capability}`, this program knows {known}; \
         use the newer program that wrote it"
    )]
    Newer {
        /// Whose schema.
        capability: String,
        /// What the database has.
        found: i64,
        /// The latest this program knows; 0 when it does not know the capability.
        known: u32,
    },
    /// A step that ran had another text than it has now.
    #[error(
        "version {version} of `{capability}` in the database was made by another text than this \
         program has; use the program that wrote it"
    )]
    Changed {
        /// Whose step.
        capability: String,
        /// Its number.
        version: u32,
    },
    /// The steps of a capability are not numbered 1, 2, 3 …
    #[error("the steps of `{capability}` have no version {missing}, or have one twice")]
    Numbering {
        /// Whose steps.
        capability: &'static str,
        /// The first number that is absent, or follows one that stands twice.
        missing: u32,
    },
}

/// The tables of this crate.
pub(crate) const OWN: &[Migration] = &[Migration {
    capability: "storage",
    version: 1,
    sql: "
        CREATE TABLE outbox (
            sequence BIGINT PRIMARY KEY,
            at BIGINT NOT NULL,
            topic TEXT NOT NULL,
            key TEXT NOT NULL
        );
        CREATE TABLE vault_keys (
            id BIGINT PRIMARY KEY,
            wrapped BLOB NOT NULL,
            created_at BIGINT NOT NULL,
            retired_at BIGINT
        );
        CREATE TABLE node_lease (
            id BIGINT PRIMARY KEY,
            holder TEXT NOT NULL,
            since BIGINT NOT NULL
        );
    ",
}];

const STEPS_TABLE: &str = "
    CREATE TABLE IF NOT EXISTS schema_migrations (
        capability TEXT NOT NULL,
        version BIGINT NOT NULL,
        checksum TEXT NOT NULL,
        applied_at BIGINT NOT NULL,
        PRIMARY KEY (capability, version)
    );
";

/// The steps to take, in order: this crate's, then each capability's by name.
#[derive(Debug)]
pub(crate) struct Plan(BTreeMap<&'static str, Vec<Migration>>);

impl Plan {
    pub(crate) fn new(migrations: &[Migration]) -> Result<Self, MigrationError> {
        let mut by_capability: BTreeMap<_, Vec<Migration>> = BTreeMap::new();
        for step in OWN.iter().chain(migrations) {
            by_capability
                .entry(step.capability)
                .or_default()
                .push(*step);
        }
        for (&capability, steps) in &mut by_capability {
            steps.sort_by_key(|step| step.version);
            for (missing, step) in (1..).zip(steps.iter()) {
                if step.version != missing {
                    return Err(MigrationError::Numbering {
                        capability,
                        missing,
                    });
                }
            }
        }
        Ok(Self(by_capability))
    }

    /// Compares what the database has with what is known; answers what is left to do.
    fn left_to_do(&self, done: &[(String, i64, String)]) -> Result<Vec<Migration>, MigrationError> {
        for (capability, found, checksum) in done {
            let steps = self
                .0
                .get(capability.as_str())
                .map_or(&[][..], Vec::as_slice);
            let step = steps.iter().find(|step| i64::from(step.version) == *found);
            let Some(step) = step else {
                return Err(MigrationError::Newer {
                    capability: capability.clone(),
                    found: *found,
                    known: steps.last().map_or(0, |step| step.version),
                });
            };
            if checksum_of(step.sql) != *checksum {
                return Err(MigrationError::Changed {
                    capability: capability.clone(),
                    version: step.version,
                });
            }
        }
        let is_done = |step: &&Migration| {
            done.iter().any(|(capability, version, _)| {
                step.capability == capability && i64::from(step.version) == *version
            })
        };
        let own = self.0.get("storage").into_iter().flatten();
        let others = self.0.iter().filter(|(name, _)| **name != "storage");
        let all = own.chain(others.flat_map(|(_, steps)| steps));
        Ok(all.filter(|step| !is_done(step)).copied().collect())
    }
}

/// Brings the schema up to date, all in one transaction.
pub(crate) fn run(engine: &mut dyn Engine, plan: &Plan, now: Timestamp) -> Result<(), OpenError> {
    let plain = |fault: Fault| OpenError::Storage(fault.error);
    engine.begin_write().map_err(plain)?;
    let done = steps(engine, plan, now);
    match done {
        Ok(()) => engine.commit().map_err(plain),
        Err(error) => {
            engine.rollback();
            Err(error)
        }
    }
}

/// How many steps a database that has tables lacks.
///
/// # Errors
/// When its schema and the one in this program do not fit.
pub(crate) fn missing(engine: &mut dyn Engine, plan: &Plan) -> Result<usize, OpenError> {
    Ok(plan.left_to_do(&done(engine)?)?.len())
}

fn done(engine: &mut dyn Engine) -> Result<Vec<(String, i64, String)>, OpenError> {
    let sql =
        "SELECT capability, version, checksum FROM schema_migrations ORDER BY capability, version";
    let rows = engine.query(sql, &[]);
    let rows = rows.map_err(|fault| OpenError::Storage(fault.error))?;
    rows.iter()
        .map(|row| Ok((row.text(0)?, row.int(1)?, row.text(2)?)))
        .collect()
}

fn steps(engine: &mut dyn Engine, plan: &Plan, now: Timestamp) -> Result<(), OpenError> {
    let plain = |fault: Fault| OpenError::Storage(fault.error);
    let dialect = engine.dialect();
    engine
        .run_script(&dialect::schema(STEPS_TABLE, dialect))
        .map_err(plain)?;
    for step in plan.left_to_do(&done(engine)?)? {
        engine
            .run_script(&dialect::schema(step.sql, dialect))
            .map_err(plain)?;
        let record = "INSERT INTO schema_migrations (capability, version, checksum, applied_at) \
                      VALUES (?1, ?2, ?3, ?4)";
        let values = params![step.capability, step.version, checksum_of(step.sql), now];
        engine.execute(record, &values).map_err(plain)?;
    }
    Ok(())
}

/// SHA-256 in hexadecimal.
fn checksum_of(sql: &str) -> String {
    let hash = digest(&SHA256, sql.as_bytes());
    hash.as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests;
