//! Rounds: every scenario on every peer, interleaved, each on a broker just started.

mod chart;
pub(crate) mod report;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use crate::Load;
use crate::figures::{self, FigureArguments};
use crate::load::connects::{self, Connected};
use crate::load::guard::{self, Guarded};
use crate::load::idle::{self, Idled};
use crate::load::meter::Tree;
use crate::load::scenario::{Kind, Scenario};
use crate::load::target::Target;
use crate::load::traffic::{self, Traffic};
use crate::peers::fleet::Fleet;
use crate::peers::{self, Binaries, Name, Peer, Running};
use report::Report;

/// What a run is told.
#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// Only these scenarios
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Scenario>,
    /// Only these peers
    #[arg(long, value_enum, value_delimiter = ',')]
    peers: Vec<Name>,
    /// Rounds, interleaved; medians are shown
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds measured of each run
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Connections held by `idle`: ascending counts, comma separated
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 2_000])]
    connections: Vec<u64>,
    /// Leave out the figures of Palisade alone; they are left out with --only too
    #[arg(long)]
    no_figures: bool,
    /// Where the report goes
    #[arg(long, value_name = "DIR", default_value = ".build/bench")]
    out: PathBuf,
    /// The server to measure
    #[arg(long, value_name = "FILE", default_value = "target/release/palisade")]
    palisade: PathBuf,
    /// FlashMQ, when it is to be measured
    #[arg(long, value_name = "FILE", env = "FLASHMQ")]
    flashmq: Option<PathBuf>,
    /// Where `scripts/setup bench` built the peers of the crate registry
    #[arg(long, value_name = "DIR", default_value = ".build/peers")]
    built: PathBuf,
    /// Priority of brokers and generator, where the system lets us
    #[arg(long, default_value_t = -10, allow_negative_numbers = true)]
    nice: i32,
}

/// What the generator found.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub(crate) enum Outcome {
    Traffic(Traffic),
    Connects(Connected),
    Idle(Idled),
}

/// One run of one scenario on one peer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) scenario: Scenario,
    pub(crate) peer: Name,
    pub(crate) round: u32,
    pub(crate) outcome: Outcome,
}

/// The generator, in a process of its own.
pub(crate) fn load(arguments: &Load) -> Result<()> {
    let kind = arguments.scenario.kind();
    let connects = match kind {
        Kind::Connects(connects) => Some(connects),
        _ => None,
    };
    let mut target = Target::secured(
        arguments.address,
        &arguments.ca,
        &arguments.identities,
        connects.is_some_and(|connects| connects.resume),
        connects.is_some_and(|connects| connects.hybrid),
    )?;
    target.tree = arguments.pid.map(Tree::of);
    target.sources = arguments.sources;
    let timing = arguments.timing()?;
    let outcome = match kind {
        Kind::Traffic(shape) => Outcome::Traffic(traffic::run(target, shape, timing)?),
        Kind::Connects(what) => Outcome::Connects(connects::run(target, what, timing)?),
        Kind::Idle => Outcome::Idle(idle::run(target, &arguments.connections)?),
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(&outcome)?)?;
    Ok(())
}

/// Figures, for people.
pub(crate) fn figures(arguments: &FigureArguments) -> Result<()> {
    raise_open_files()?;
    let found = figures::measure(arguments)?;
    Ok(write!(
        std::io::stdout().lock(),
        "{}",
        figures::table(&found)
    )?)
}

/// Thousands of connections are thousands of open files, here and in the brokers.
fn raise_open_files() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    Ok(setrlimit(Resource::Nofile, raised)?)
}

/// All rounds, and the report.
pub(crate) fn run(arguments: &RunArguments) -> Result<()> {
    let wanted = match arguments.only.is_empty() {
        true => <Scenario as clap::ValueEnum>::value_variants().to_vec(),
        false => arguments.only.clone(),
    };
    let names = match arguments.peers.is_empty() {
        true => <Name as clap::ValueEnum>::value_variants().to_vec(),
        false => arguments.peers.clone(),
    };
    let dir = tempfile::Builder::new()
        .prefix("palisade-bench-")
        .tempdir()?;
    let fleet = Fleet::create(dir.path())?;
    let binaries = Binaries {
        palisade: std::path::absolute(&arguments.palisade)?,
        built: arguments.built.clone(),
        flashmq: arguments.flashmq.clone(),
    };
    raise_open_files()?;
    // What may not be changed stays as it is; the report says what it was.
    let _ = rustix::process::nice(arguments.nice);
    let mut report = Report::begin(rustix::process::nice(0)?, arguments.seconds);
    let mut peers: Vec<(Name, Box<dyn Peer>)> = Vec::new();
    for name in names {
        let peer = peers::set_up(name, &fleet, &binaries, dir.path());
        let guarded = peer.and_then(|peer| Ok((guarded(peer.as_ref(), &fleet)?, peer)));
        match guarded {
            Ok((guarded, peer)) => {
                report
                    .notes
                    .insert(name, format!("{}; {guarded}", peer.note()));
                peers.push((name, peer));
            }
            Err(error) => {
                say(&format!("{} is left out: {error:#}", name.as_str()))?;
                report.left_out.insert(name, format!("{error:#}"));
            }
        }
    }
    ensure!(!peers.is_empty(), "no peer could be set up");
    for round in 0..arguments.rounds {
        for scenario in &wanted {
            for (name, peer) in &peers {
                let outcome = once(peer.as_ref(), *scenario, &fleet, arguments);
                let outcome = outcome.with_context(|| name.as_str())?;
                let sample = Sample {
                    scenario: *scenario,
                    peer: *name,
                    round,
                    outcome,
                };
                say(&format!("round {}: {}", round + 1, report::line(&sample)))?;
                report.samples.push(sample);
            }
        }
    }
    if arguments.only.is_empty() && !arguments.no_figures {
        let alone = FigureArguments {
            names: Vec::new(),
            palisade: binaries.palisade,
            seconds: 5.0,
            sessions: 10_000,
            connections: 15_000,
        };
        // What was measured before is not lost if one of them fails.
        let found = figures::measure(&alone);
        report.figures = found.as_deref().map(<[_]>::to_vec).unwrap_or_default();
        report.finish(&arguments.out)?;
        return found.map(|_| ());
    }
    report.finish(&arguments.out)
}

/// What the peer guards, tried out.
fn guarded(peer: &dyn Peer, fleet: &Fleet) -> Result<Guarded> {
    let running = peer.start()?;
    let (address, ca) = (running.address, &running.ca);
    let mut target = Target::secured(address, ca, &fleet.identities, false, false)?;
    guard::check(&mut target, &mut Target::stranger(address, ca)?)
}

fn once(
    peer: &dyn Peer,
    scenario: Scenario,
    fleet: &Fleet,
    arguments: &RunArguments,
) -> Result<Outcome> {
    let running = peer.start()?;
    let text = generator(&running, scenario, &fleet.identities, arguments)?;
    Ok(serde_json::from_str(&text)?)
}

fn generator(
    running: &Running,
    scenario: Scenario,
    identities: &Path,
    arguments: &RunArguments,
) -> Result<String> {
    let counts: Vec<String> = arguments.connections.iter().map(u64::to_string).collect();
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["load", "--scenario", &scenario.name()])
        .args(["--address", &running.address.to_string()])
        .arg("--ca")
        .arg(&running.ca)
        .arg("--identities")
        .arg(identities)
        .args(["--pid", &running.pid().to_string()])
        .args(["--seconds", &arguments.seconds.to_string()])
        .args(["--connections", &counts.join(",")]);
    let done = command
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output()?;
    let error = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "{}: {error}", scenario.name());
    Ok(String::from_utf8(done.stdout)?)
}

fn say(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stderr(), "{text}")?)
}
