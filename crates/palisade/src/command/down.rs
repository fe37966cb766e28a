//! `palisade down`: stops what runs on the data directory; with `--purge` leaves nothing behind.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::data_dir::DataDir;
use crate::output;
use crate::run_file::RunFile;

/// How long a platform may take to stop, and how often we look.
const PATIENCE: Duration = Duration::from_secs(30);
const GLANCE: Duration = Duration::from_millis(20);
/// What marks a directory as ours, so that `--purge` never deletes another.
const MARKS: [&str; 3] = ["palisade.db", "master.key", "aws-config"];

pub(crate) async fn run(data_dir: &DataDir, purge: bool) -> Result<()> {
    match RunFile::read(&data_dir.run_file()) {
        Ok(running) if running.is_alive() => stop(&running, data_dir).await?,
        _ => output::line(&format!("nothing runs on {}", data_dir.root().display()))?,
    }
    if purge {
        remove(data_dir)?;
    }
    Ok(())
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
    std::fs::remove_dir_all(root).with_context(|| format!("{}", root.display()))?;
    output::line(&format!("deleted {}", root.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_directory_of_ours_is_deleted() {
        let parent = tempfile::tempdir().expect("a directory");
        let foreign = parent.path().join("photos");
        std::fs::create_dir(&foreign).expect("made");
        std::fs::write(foreign.join("cat.jpg"), "cat").expect("written");
        assert!(remove(&DataDir::at(&foreign)).is_err());
        assert!(foreign.join("cat.jpg").exists());

        let ours = parent.path().join("palisade");
        std::fs::create_dir(&ours).expect("made");
        std::fs::write(ours.join("master.key"), "00").expect("written");
        remove(&DataDir::at(&ours)).expect("deleted");
        assert!(!ours.exists());
    }
}
