//! `palisade down`: stops what runs on the data directory; with `--purge` leaves nothing behind.
//!
//! What was put elsewhere on purpose is treated by what it is: an SQLite file of ours is deleted, a
//! master key and a PostgreSQL database stay, because others may have a claim on them, and are named.

use std::fs;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use storage::Database;

use crate::config::Config;
use crate::data_dir::DataDir;
use crate::output;
use crate::run_file::RunFile;

/// How long a platform may take to stop, and how often we look.
const PATIENCE: Duration = Duration::from_secs(30);
const GLANCE: Duration = Duration::from_millis(20);
/// What marks a directory as ours, so that `--purge` never deletes another.
const MARKS: [&str; 3] = ["palisade.db", "master.key", "aws-config"];
/// What lies beside an SQLite file of ours.
const BESIDE: [&str; 4] = ["-wal", "-shm", ".lock", ".reserve"];
/// Where SQLite keeps the application id of a file, and ours: "Plsd".
const MARK_AT: u64 = 68;
const MARK: [u8; 4] = *b"Plsd";

pub(crate) async fn run(data_dir: &DataDir, config: &Config, purge: bool) -> Result<()> {
    let running = stop_if_alive(data_dir).await?;
    if purge {
        // What runs knows where its things are; settings of this call may say something else.
        let (database, key) = match running {
            Some(running) => (running.database, running.master_key_file),
            None => (config.database.clone(), config.master_key_file.clone()),
        };
        remove(data_dir)?;
        remove_elsewhere(&database, &key)?;
    }
    Ok(())
}

/// Stops what runs on `data_dir`, and tells what it was.
///
/// # Errors
/// When it does not stop in time.
pub(crate) async fn stop_if_alive(data_dir: &DataDir) -> Result<Option<RunFile>> {
    let running = RunFile::read(&data_dir.run_file()).ok();
    let running = running.filter(RunFile::is_alive);
    match &running {
        Some(running) => stop(running, data_dir).await?,
        None => output::line(&format!("nothing runs on {}", data_dir.root().display()))?,
    }
    Ok(running)
}

async fn stop(running: &RunFile, data_dir: &DataDir) -> Result<()> {
    let pid = Pid::from_raw(running.pid).context("run.json names no process")?;
    kill_process(pid, Signal::TERM).context("could not signal the platform")?;
    let rounds = PATIENCE.as_millis() / GLANCE.as_millis();
    for _ in 0..rounds {
        // The run file goes last, after everything is written.
        if !data_dir.run_file().exists() && !running.is_alive() {
            return output::line(&format!("stopped process {}", running.pid));
        }
        tokio::time::sleep(GLANCE).await;
    }
    bail!(
        "process {} did not stop within {} s",
        running.pid,
        PATIENCE.as_secs()
    )
}

fn remove(data_dir: &DataDir) -> Result<()> {
    let root = data_dir.root();
    if !root.exists() {
        return output::line(&format!("{} is not there", root.display()));
    }
    if !MARKS.iter().any(|name| root.join(name).exists()) {
        bail!("{} holds no Palisade; nothing was deleted", root.display());
    }
    fs::remove_dir_all(root).with_context(|| format!("{}", root.display()))?;
    output::line(&format!("deleted {}", root.display()))
}

/// What the data directory did not hold.
fn remove_elsewhere(database: &str, key: &Path) -> Result<()> {
    match database.parse()? {
        // One inside is gone already.
        Database::Sqlite(path) => remove_sqlite(&path)?,
        server @ Database::Postgres(_) => {
            output::line(&format!("left: {server} — drop it on its server"))?;
        }
    }
    if key.exists() {
        output::line(&format!(
            "left: {} — the master key; without it backups cannot be opened",
            key.display()
        ))?;
    }
    Ok(())
}

fn remove_sqlite(path: &Path) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    if !is_ours(path).unwrap_or(false) {
        return output::line(&format!("left: {} — it is not ours", path.display()));
    }
    let beside = BESIDE.iter().map(|ending| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    });
    for path in beside.chain([path.to_owned()]) {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("{}", path.display()));
            }
            _ => {}
        }
    }
    output::line(&format!("deleted {}", path.display()))
}

fn is_ours(path: &Path) -> std::io::Result<bool> {
    let mut file = fs::File::open(path)?;
    file.seek(SeekFrom::Start(MARK_AT))?;
    let mut mark = [0; 4];
    file.read_exact(&mut mark)?;
    Ok(mark == MARK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_directory_of_ours_is_deleted() {
        let parent = tempfile::tempdir().expect("a directory");
        let foreign = parent.path().join("photos");
        fs::create_dir(&foreign).expect("made");
        fs::write(foreign.join("cat.jpg"), "cat").expect("written");
        assert!(remove(&DataDir::at(&foreign)).is_err());
        assert!(foreign.join("cat.jpg").exists());

        let ours = parent.path().join("palisade");
        fs::create_dir(&ours).expect("made");
        fs::write(ours.join("master.key"), "00").expect("written");
        remove(&DataDir::at(&ours)).expect("deleted");
        assert!(!ours.exists());
    }

    #[test]
    fn only_a_database_of_ours_is_deleted() {
        let parent = tempfile::tempdir().expect("a directory");
        let file = parent.path().join("a.db");
        let mut bytes = vec![0; 100];
        fs::write(&file, &bytes).expect("written");
        remove_sqlite(&file).expect("told");
        assert!(file.exists());
        bytes[68..72].copy_from_slice(b"Plsd");
        fs::write(&file, &bytes).expect("written");
        fs::write(parent.path().join("a.db-wal"), "").expect("written");
        remove_sqlite(&file).expect("deleted");
        let left = fs::read_dir(parent.path()).expect("readable");
        assert_eq!(left.count(), 0);
    }
}
