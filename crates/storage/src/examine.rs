//! What a doctor finds in a database, which it only looks at: no migration runs, no key is made,
//! no lease is taken, whether a node has it open or not.

use std::thread;

use crate::engine::{self, Engine, Fault, Role};
use crate::migration::{self, Plan};
use crate::vault::{self, KeyError};
use crate::{Database, MasterKey, Migration, OpenError, StorageError, lease};

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

impl Check {
    fn new(name: &'static str, ok: bool, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { name, ok, detail }
    }

    fn failed(name: &'static str, error: &dyn std::error::Error) -> Self {
        Self::new(name, false, error.to_string())
    }
}

/// Looks for what is wrong with a database that is there: what it is, damage, schema, lease, and
/// whether `master_key` opens it. Blocks, for long on a large database; may be called from anywhere.
///
/// # Errors
/// When it cannot be opened at all, or `migrations` are not numbered 1, 2, 3 ….
pub fn examine(
    database: &Database,
    master_key: &MasterKey,
    migrations: &[Migration],
) -> Result<Vec<Check>, OpenError> {
    let plan = Plan::new(migrations)?;
    // A driver that blocks must not be called from inside a runtime.
    let looking = thread::scope(|scope| {
        let look = scope.spawn(|| {
            let mut engine = engine::connect(database, Role::Examiner)?;
            look(engine.as_mut(), database, master_key, &plan)
        });
        look.join()
    });
    looking.map_err(|_| StorageError::Panicked {
        message: "while examining the database".to_owned(),
    })?
}

fn look(
    engine: &mut dyn Engine,
    database: &Database,
    master_key: &MasterKey,
    plan: &Plan,
) -> Result<Vec<Check>, OpenError> {
    let plain = |fault: Fault| OpenError::Storage(fault.error);
    engine.begin_read().map_err(plain)?;
    let version = engine.version().map_err(plain)?;
    let mut checks = vec![Check::new("engine", true, format!("{version}, {database}"))];
    checks.push(match engine.integrity() {
        Ok(found) if found.is_empty() => Check::new("integrity", true, "no damage found"),
        Ok(found) => Check::new("integrity", false, found.join("; ")),
        Err(fault) => Check::failed("integrity", &fault.error),
    });
    if engine.has_tables().map_err(plain)? {
        // In this order: a statement that fails ends a transaction on PostgreSQL, and where there
        // is no schema there are no keys and no lease.
        let schema = schema(engine, plan);
        let of_ours = schema.ok;
        checks.push(schema);
        if of_ours {
            checks.push(keys(engine, master_key));
            checks.push(holder(engine, database));
        }
    } else {
        checks.push(Check::new(
            "schema",
            true,
            "no tables yet; a start makes them",
        ));
    }
    engine.rollback();
    Ok(checks)
}

fn schema(engine: &mut dyn Engine, plan: &Plan) -> Check {
    match migration::missing(engine, plan) {
        Ok(0) => Check::new("schema", true, "as this program wants it"),
        Ok(steps) => {
            let detail = format!("of an older program; the next start takes {steps} steps");
            Check::new("schema", true, detail)
        }
        Err(error) => Check::failed("schema", &error),
    }
}

fn keys(engine: &mut dyn Engine, master_key: &MasterKey) -> Check {
    match vault::load(engine, master_key) {
        Ok(keys) => {
            let detail = format!("the master key opens its {} data keys", keys.len());
            Check::new("keys", true, detail)
        }
        Err(KeyError::WrongMasterKey) => Check::failed("keys", &OpenError::WrongMasterKey),
        Err(KeyError::Fault(fault)) => Check::failed("keys", &fault.error),
    }
}

fn holder(engine: &mut dyn Engine, database: &Database) -> Check {
    match lease::held_by(engine, database) {
        Ok(Some(holder)) => Check::new("lease", true, format!("held by {holder}")),
        Ok(None) => Check::new("lease", true, "free"),
        Err(fault) => Check::failed("lease", &fault.error),
    }
}
