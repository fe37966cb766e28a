//! `run.json`: what runs on a data directory, for the commands that look for it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use storage::Database;

use crate::data_dir;

/// The name the kernel gives our process.
const COMMAND: &str = "palisade";

/// A running platform.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RunFile {
    /// Its process.
    pub(crate) pid: i32,
    /// Seconds since the epoch.
    pub(crate) started_at: i64,
    /// The host name that clients use.
    pub(crate) host: String,
    /// Listener → bound address: mqtt, device, https, control, operator.
    pub(crate) endpoints: BTreeMap<String, SocketAddr>,
    /// The database, without its password.
    pub(crate) database: String,
    pub(crate) master_key_file: PathBuf,
}

impl RunFile {
    /// # Errors
    /// When nothing runs here.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!(
                "nothing runs on {}",
                path.parent().unwrap_or(path).display()
            )
        })?;
        serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        data_dir::replace(path, &serde_json::to_string_pretty(self)?, 0o600)
    }

    /// The database as another process finds it, without its password.
    ///
    /// # Errors
    /// When `database` is not one.
    pub(crate) fn located(database: &str) -> Result<String> {
        Ok(match database.parse()? {
            Database::Sqlite(path) => format!("sqlite:{}", std::path::absolute(path)?.display()),
            server @ Database::Postgres(_) => server.to_string(),
        })
    }

    /// Host and port of the MQTT listener.
    pub(crate) fn mqtt(&self) -> Result<(String, u16)> {
        let address = self
            .endpoints
            .get("mqtt")
            .context("run.json names no mqtt endpoint")?;
        Ok((self.host.clone(), address.port()))
    }

    /// Whether the process still lives and is one of ours: after a crash its number may have
    /// gone to another program, and a process that ended but was not waited for is no longer one.
    pub(crate) fn is_alive(&self) -> bool {
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)) else {
            return false;
        };
        // `pid (command) state …`; the command may hold spaces and parentheses.
        let Some((head, tail)) = stat.rsplit_once(')') else {
            return false;
        };
        let ours = head
            .split_once('(')
            .is_some_and(|(_, command)| command == COMMAND);
        let ended = tail.trim_start().starts_with(['Z', 'X']);
        ours && !ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_program_is_not_ours() {
        let pid = i32::try_from(std::process::id()).expect("a process id");
        let running = RunFile {
            pid,
            started_at: 0,
            host: String::new(),
            endpoints: BTreeMap::new(),
            database: String::new(),
            master_key_file: PathBuf::new(),
        };
        // This is the test program, whatever it is called.
        assert!(!running.is_alive());
        assert!(
            !RunFile {
                pid: i32::MAX,
                ..running
            }
            .is_alive()
        );
    }
}
