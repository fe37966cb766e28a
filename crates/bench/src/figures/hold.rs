//! Fifteen thousand idle connections with mutual TLS, held at once.

use std::path::Path;

use anyhow::{Result, bail};

use super::Figure;
use crate::load::idle;
use crate::load::meter::Tree;
use crate::load::scenario::IDLER;
use crate::load::target::Target;
use crate::peers::Peer as _;
use crate::peers::fleet::Fleet;
use crate::peers::palisade::Palisade;

const FEW: u64 = 1_000;
const AIM_BYTES: f64 = 6_000.0;
/// Loopback addresses connected from.
const SOURCES: u8 = 16;

pub(super) fn measure(program: &Path, connections: u64) -> Result<Vec<Figure>> {
    let dir = tempfile::Builder::new()
        .prefix("palisade-bench-")
        .tempdir()?;
    let fleet = Fleet::of(dir.path(), [IDLER])?;
    let palisade = Palisade::set_up(&fleet, program, dir.path())?;
    let running = palisade.start()?;
    let (address, ca) = (running.address, &running.ca);
    let mut target = Target::secured(address, ca, &fleet.identities, false, false)?;
    target.sources = SOURCES;
    target.tree = Some(Tree::of(running.pid()));
    let held = idle::run(target, &[FEW, connections])?;
    if let Some(why) = held.broken {
        bail!("{connections} idle connections: {why}");
    }
    let resident: Vec<String> = held
        .samples
        .iter()
        .map(|(count, bytes)| format!("{:.1} MB with {count}", *bytes as f64 / 1e6))
        .collect();
    let detail = format!(
        "one subscription each, from {SOURCES} loopback addresses, opened in {:.1} s; resident: {}; \
         idle CPU {:.2} ms a second",
        held.seconds,
        resident.join(", "),
        held.idle_cpu_ns_per_s / 1e6
    );
    let what = format!("each of {connections} idle connections held");
    Ok(vec![Figure::below(
        &what,
        held.bytes_per_connection,
        "bytes",
        AIM_BYTES,
        detail,
    )])
}
