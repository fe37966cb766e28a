//! What a caller chooses when it opens the database.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use model::Clock;

use crate::{DiskReserve, MasterKey, Migration, OpenError};

/// Everything [`Storage::open`](crate::Storage::open) needs.
#[derive(Debug)]
pub struct Options {
    /// Which database.
    pub database: Database,
    /// Opens the data keys.
    pub master_key: MasterKey,
    /// Where transactions take their time from.
    pub clock: Arc<dyn Clock>,
    /// Every capability's migrations, in any order.
    pub migrations: Vec<Migration>,
    /// What is kept free for containment when the disk is full.
    pub disk: DiskReserve,
}

/// Where the data rests. `sqlite:PATH` or `postgres://…` as text.
#[derive(Clone, PartialEq, Eq)]
pub enum Database {
    /// A file, created when absent; its directory exists.
    Sqlite(PathBuf),
    /// The URL of an existing database in UTF-8, at version 13 or later. The connection is not
    /// encrypted: a host that is not this one needs `?sslmode=disable`, and a network to trust.
    Postgres(String),
}

impl FromStr for Database {
    type Err = OpenError;

    fn from_str(text: &str) -> Result<Self, OpenError> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        match text.strip_prefix("sqlite:") {
            Some(path) if !path.is_empty() => Ok(Self::Sqlite(PathBuf::from(path))),
            _ => Err(OpenError::Address {
                text: without_password(text),
            }),
        }
    }
}

impl fmt::Display for Database {
    /// As it is written, but without its password.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(out, "sqlite:{}", path.display()),
            Self::Postgres(url) => out.write_str(&without_password(url)),
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")
    }
}

/// `url` with all that may carry a secret cut out: the part between `:` and `@`, and the query.
fn without_password(url: &str) -> String {
    let url = url.split_once('?').map_or(url, |(before, _)| before);
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let Some((who, host)) = rest.rsplit_once('@') else {
        return url.to_owned();
    };
    let user = who.split_once(':').map_or(who, |(user, _)| user);
    format!("{scheme}://{user}@{host}")
}

/// How a write stands against others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Refused when the disk is full.
    Normal,
    /// Revoke, detach, quarantine, and their records: before all others, and also on a full disk.
    Containment,
}

#[cfg(test)]
mod tests;
