//! Figures of Palisade alone: what no peer has, or what is measured inside.

mod decide;
mod hold;
mod queue;
mod revoke;
mod route;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

/// What is measured.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Name {
    /// A publish among 1,000,000 subscriptions
    Route,
    /// A policy decision
    Decide,
    /// Durable insertions into the queues of sessions that are away
    Queue,
    /// 15,000 idle connections
    Hold,
    /// A revocation and a policy change among 10,000 live sessions
    Revoke,
}

/// What a figure is told.
#[derive(Clone, Debug, Args)]
pub(crate) struct FigureArguments {
    /// Which; all when none is named
    #[arg(value_enum)]
    pub(crate) names: Vec<Name>,
    /// The server to measure
    #[arg(long, value_name = "FILE", default_value = "target/release/palisade")]
    pub(crate) palisade: PathBuf,
    /// Seconds measured, where time limits it
    #[arg(long, default_value_t = 5.0)]
    pub(crate) seconds: f64,
    /// Live sessions of `revoke`
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(200..=50_000))]
    pub(crate) sessions: u32,
    /// Idle connections of `hold`
    #[arg(long, default_value_t = 15_000, value_parser = clap::value_parser!(u32).range(2_000..=60_000))]
    pub(crate) connections: u32,
}

/// One figure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) what: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
    /// What is aimed at, in the same unit.
    pub(crate) aim: f64,
    /// Whether more is better.
    pub(crate) more: bool,
    /// How it was found, and what else was seen.
    pub(crate) detail: String,
}

impl Figure {
    fn below(what: &str, value: f64, unit: &str, aim: f64, detail: String) -> Self {
        Self {
            what: what.to_owned(),
            value,
            unit: unit.to_owned(),
            aim,
            more: false,
            detail,
        }
    }

    pub(crate) fn met(&self) -> bool {
        match self.more {
            true => self.aim <= self.value,
            false => self.value <= self.aim,
        }
    }
}

/// Measures what is named.
///
/// # Errors
/// When one cannot be measured.
pub(crate) fn measure(arguments: &FigureArguments) -> Result<Vec<Figure>> {
    let names = match arguments.names.is_empty() {
        true => Name::value_variants(),
        false => &arguments.names,
    };
    let mut figures = Vec::new();
    for name in names {
        figures.extend(match name {
            Name::Route => route::measure()?,
            Name::Decide => decide::measure()?,
            Name::Queue => queue::measure(&arguments.palisade, arguments.seconds)?,
            Name::Hold => hold::measure(&arguments.palisade, arguments.connections.into())?,
            Name::Revoke => revoke::measure(&arguments.palisade, arguments.sessions)?,
        });
    }
    Ok(figures)
}

/// The figures as lines for people.
pub(crate) fn table(figures: &[Figure]) -> String {
    let mut text = String::new();
    for figure in figures {
        let Figure {
            what,
            value,
            unit,
            aim,
            detail,
            ..
        } = figure;
        let verdict = if figure.met() { "met" } else { "MISSED" };
        let sign = if figure.more { "≥" } else { "≤" };
        let value = crate::run::report::shown(Some(*value));
        let aim = crate::run::report::shown(Some(*aim));
        text += &format!("{what}: {value} {unit} (aim {sign} {aim}: {verdict})\n    {detail}\n");
    }
    text
}
