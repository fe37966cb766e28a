//! What an idle connection costs: resident memory between two counts of connections.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use model::{Clock as _, SystemClock};
use serde::{Deserialize, Serialize};

use super::crowd::{Crowd, Join, nothing};
use super::meter::Tree;
use super::scenario::IDLER;
use super::target::Target;

/// Memory counts as settled when it has not moved by more than this for [`SETTLED`].
const NOISE_BYTES: u64 = 64 * 1024;
const SETTLED: Duration = Duration::from_millis(800);
const SETTLE_PATIENCE: Duration = Duration::from_secs(15);

/// What idle connections came to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Idled {
    /// Connections held and the resident bytes of the broker with them.
    pub(crate) samples: Vec<(u64, u64)>,
    /// The slope between the first and the last sample.
    pub(crate) bytes_per_connection: f64,
    /// Seconds to open them all.
    pub(crate) seconds: f64,
    /// Nanoseconds the broker runs in a second with all of them idle.
    pub(crate) idle_cpu_ns_per_s: f64,
    pub(crate) broken: Option<String>,
}

/// Holds as many connections as each of `counts` says, one after the other.
///
/// # Errors
/// When the broker's memory cannot be read.
pub(crate) fn run(target: Target, counts: &[u64]) -> Result<Idled> {
    let tree = target
        .tree
        .context("idle connections need the broker's process")?;
    let mut crowd = Crowd::new(target)?;
    let mut outcome = Idled::default();
    if let Err(error) = measure(&mut crowd, tree, counts, &mut outcome) {
        outcome.broken = Some(format!("{error:#}"));
    }
    if let ([first, .., last], true) = (&outcome.samples[..], outcome.broken.is_none()) {
        let (grown, more) = (
            last.1 as f64 - first.1 as f64,
            last.0 as f64 - first.0 as f64,
        );
        outcome.bytes_per_connection = grown / more.max(1.0);
    }
    Ok(outcome)
}

fn measure(crowd: &mut Crowd, tree: Tree, counts: &[u64], outcome: &mut Idled) -> Result<()> {
    for count in counts {
        let began = SystemClock.instant();
        let joins = (crowd.len()..usize::try_from(*count)?).map(joining);
        crowd.open(joins, &mut nothing)?;
        outcome.seconds += (SystemClock.instant() - began).as_secs_f64();
        outcome.samples.push((*count, settled(crowd, tree)?));
    }
    let (before, since) = (tree.cpu()?, SystemClock.instant());
    crowd.for_time(SETTLED, &mut nothing)?;
    let ran = tree.cpu()?.since(&before) as f64;
    outcome.idle_cpu_ns_per_s = ran / (SystemClock.instant() - since).as_secs_f64();
    ensure!(
        crowd.closed() == 0,
        "{} connections were lost",
        crowd.closed()
    );
    Ok(())
}

fn joining(index: usize) -> Join {
    let client_id = format!("{IDLER}-{index}");
    Join {
        identity: IDLER.to_owned(),
        subscribes: Some((format!("t/{client_id}/d"), 0)),
        client_id,
        clean: true,
    }
}

fn settled(crowd: &mut Crowd, tree: Tree) -> Result<u64> {
    let deadline = SystemClock.instant() + SETTLE_PATIENCE;
    let mut last = (tree.resident_bytes()?, SystemClock.instant());
    loop {
        crowd.for_time(SETTLED / 8, &mut nothing)?;
        let (bytes, now) = (tree.resident_bytes()?, SystemClock.instant());
        if NOISE_BYTES < bytes.abs_diff(last.0) {
            last = (bytes, now);
        }
        if SETTLED < now - last.1 || deadline < now {
            return Ok(bytes);
        }
    }
}
