//! `palisade-bench`: Palisade beside its peers, in one run, on one machine.
//!
//! `run` sets every peer up, starts one at a time, puts the generator ([`load`], a process of its
//! own) on it and writes what it cost as a table, JSON and SVG. Only ratios within one run count: a
//! busy machine moves all figures. See `docs/benchmarks.md`.

mod figures;
mod load;
mod peers;
mod run;

use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use load::scenario::Scenario;

/// Palisade beside its peers: processor time per message, throughput, latency, memory.
#[derive(Debug, Parser)]
#[command(name = "palisade-bench", arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure the scenarios on all peers, interleaved
    Run(run::RunArguments),
    /// Figures of Palisade alone: routing, deciding, durable queues, revocation
    Figure(figures::FigureArguments),
    /// The load generator alone, against a broker that runs; prints JSON
    Load(Load),
}

/// What one run of the generator is told.
#[derive(Debug, Args)]
struct Load {
    /// What to do
    #[arg(long, value_enum)]
    scenario: Scenario,
    /// The broker's MQTT listener
    #[arg(long)]
    address: SocketAddrV4,
    /// What its certificate is verified against
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// NAME.pem and NAME.key of every client
    #[arg(long, value_name = "DIR")]
    identities: PathBuf,
    /// The broker's process, whose processor time and memory are read
    #[arg(long)]
    pid: Option<u32>,
    /// How long is measured
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// How long it runs before
    #[arg(long, default_value_t = 0.5)]
    warm_up_seconds: f64,
    /// Connections held, for `idle`: ascending counts, comma separated
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 2_000])]
    connections: Vec<u64>,
    /// Loopback addresses to connect from, 127.0.0.2 and up
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u8).range(1..=250))]
    sources: u8,
}

impl Load {
    fn timing(&self) -> Result<load::traffic::Timing> {
        Ok(load::traffic::Timing {
            warm_up: Duration::try_from_secs_f64(self.warm_up_seconds)?,
            measured: Duration::try_from_secs_f64(self.seconds)?,
            messages_max: u64::MAX,
        })
    }
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Figure(arguments) => run::figures(&arguments),
        Command::Load(arguments) => run::load(&arguments),
    }
}
