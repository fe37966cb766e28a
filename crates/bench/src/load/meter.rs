//! What a broker uses, read from /proc while it runs: CPU time of all threads of its process tree,
//! which a busy machine does not change much, and resident memory.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

/// A process and its descendants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tree {
    root: u32,
}

/// Nanoseconds each thread has run.
#[derive(Debug, Default)]
pub(crate) struct Cpu(BTreeMap<(u32, u32), u64>);

impl Cpu {
    /// Nanoseconds run since `before`; a thread that ended in between counts up to `before`.
    pub(crate) fn since(&self, before: &Self) -> u64 {
        let ran = self.0.iter().map(|(thread, now)| {
            let then = before.0.get(thread).copied().unwrap_or_default();
            now.saturating_sub(then)
        });
        ran.sum()
    }
}

impl Tree {
    pub(crate) fn of(root: u32) -> Self {
        Self { root }
    }

    /// Scheduler time so far.
    ///
    /// # Errors
    /// When the process is gone.
    pub(crate) fn cpu(self) -> Result<Cpu> {
        let mut cpu = Cpu::default();
        for pid in self.pids()? {
            let tasks = fs::read_dir(format!("/proc/{pid}/task"));
            for task in tasks.with_context(|| format!("process {pid} is gone"))? {
                let task = task?;
                // A thread may end while its directory is read.
                let Ok(text) = fs::read_to_string(task.path().join("schedstat")) else {
                    continue;
                };
                let thread = task.file_name().to_string_lossy().parse()?;
                let ran = text.split_whitespace().next().unwrap_or("0").parse()?;
                cpu.0.insert((pid, thread), ran);
            }
        }
        Ok(cpu)
    }

    /// Resident bytes.
    ///
    /// # Errors
    /// When the process is gone.
    pub(crate) fn resident_bytes(self) -> Result<u64> {
        let mut bytes = 0;
        for pid in self.pids()? {
            let path = PathBuf::from(format!("/proc/{pid}/smaps_rollup"));
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let line = text.lines().find_map(|line| line.strip_prefix("Rss:"));
            let kib = line.and_then(|rest| rest.split_whitespace().next());
            bytes += kib.context("smaps_rollup has no Rss")?.parse::<u64>()? * 1024;
        }
        Ok(bytes)
    }

    fn pids(self) -> Result<Vec<u32>> {
        let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Ok(pid) = name.to_string_lossy().parse::<u32>() else {
                continue;
            };
            let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
                continue;
            };
            // The command's name may hold anything, so what follows its last parenthesis counts.
            let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
            let parent = rest
                .split_whitespace()
                .nth(1)
                .and_then(|text| text.parse().ok());
            children
                .entry(parent.unwrap_or_default())
                .or_default()
                .push(pid);
        }
        let mut found = vec![self.root];
        let mut at = 0;
        while at < found.len() {
            found.extend(children.get(&found[at]).into_iter().flatten());
            at += 1;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_runs_and_has_memory() {
        let tree = Tree::of(std::process::id());
        let before = tree.cpu().expect("readable");
        let mut sum = 0_u64;
        while tree.cpu().expect("readable").since(&before) == 0 {
            sum = sum.wrapping_mul(31).wrapping_add(7);
        }
        assert!(1 << 20 < tree.resident_bytes().expect("readable"), "{sum}");
        assert!(Tree::of(u32::MAX).cpu().is_err());
    }
}
