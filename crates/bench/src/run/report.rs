//! What a run found: a table for people, JSON for programs, a chart.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::chart;
use super::{Outcome, Sample};
use crate::figures::{self, Figure};
use crate::load::scenario::Scenario;
use crate::peers::Name;

/// Everything found.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) seconds: f64,
    pub(crate) notes: BTreeMap<Name, String>,
    pub(crate) left_out: BTreeMap<Name, String>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) medians: Vec<Row>,
    /// Of Palisade alone.
    pub(crate) figures: Vec<Figure>,
}

/// Where it ran.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) priority: i32,
    pub(crate) load_before: String,
    pub(crate) load_after: String,
}

/// One figure of one scenario: the median of each peer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) scenario: Scenario,
    pub(crate) figure: String,
    pub(crate) medians: BTreeMap<Name, f64>,
    /// Palisade's to mosquitto's.
    pub(crate) ratio: Option<f64>,
    /// The ratio aimed at.
    pub(crate) target: Option<f64>,
}

impl Report {
    pub(crate) fn begin(priority: i32, seconds: f64) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpu = read("/proc/cpuinfo");
        let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
        let model = model
            .unwrap_or("unknown")
            .trim_start_matches(['\t', ':', ' ']);
        Self {
            machine: Machine {
                processor: model.to_owned(),
                cores: std::thread::available_parallelism().map_or(1, usize::from),
                kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
                priority,
                load_before: load(),
                load_after: String::new(),
            },
            seconds,
            notes: BTreeMap::new(),
            left_out: BTreeMap::new(),
            samples: Vec::new(),
            medians: Vec::new(),
            figures: Vec::new(),
        }
    }

    /// Computes the medians, writes the files and prints the table.
    pub(crate) fn finish(mut self, dir: &Path) -> Result<()> {
        self.machine.load_after = load();
        self.medians = rows(&self.samples);
        fs::create_dir_all(dir)?;
        let table = self.table();
        fs::write(
            dir.join("report.json"),
            serde_json::to_string_pretty(&self)?,
        )?;
        fs::write(dir.join("report.txt"), &table)?;
        fs::write(dir.join("report.svg"), chart::draw(&self))?;
        let mut out = std::io::stdout().lock();
        writeln!(
            out,
            "{table}\nIn {}: report.txt, report.json, report.svg",
            dir.display()
        )?;
        Ok(())
    }

    fn table(&self) -> String {
        let mut peers: Vec<Name> = self.notes.keys().copied().collect();
        peers.sort_unstable();
        let mut head = vec!["scenario".to_owned(), "figure".to_owned()];
        head.extend(peers.iter().map(|peer| peer.as_str().to_owned()));
        head.extend(["to mosquitto".to_owned(), "aim".to_owned()]);
        let mut lines = vec![head];
        for row in &self.medians {
            let mut line = vec![row.scenario.title().to_owned(), row.figure.clone()];
            line.extend(
                peers
                    .iter()
                    .map(|peer| shown(row.medians.get(peer).copied())),
            );
            line.push(shown(row.ratio));
            line.push(shown(row.target));
            lines.push(line);
        }
        let mut text = String::new();
        let machine = &self.machine;
        text += &format!(
            "{}, {} cores, Linux {}; priority {}; load {} before, {} after; {} s a run, medians\n\n",
            machine.processor,
            machine.cores,
            machine.kernel,
            machine.priority,
            machine.load_before,
            machine.load_after,
            self.seconds
        );
        text += &aligned(&lines);
        text += "\nExactly once and in order, all rounds:\n";
        for peer in &peers {
            text += &format!(
                "  {:<10} {}\n",
                peer.as_str(),
                exactness(&self.samples, *peer)
            );
        }
        if !self.figures.is_empty() {
            text += &format!("\nPalisade alone:\n{}", figures::table(&self.figures));
        }
        text += "\nPeers:\n";
        for (peer, note) in &self.notes {
            text += &format!("  {:<10} {note}\n", peer.as_str());
        }
        for (peer, why) in &self.left_out {
            text += &format!("  {:<10} left out: {why}\n", peer.as_str());
        }
        text += "\nOnly ratios within one run count; a busy machine moves every figure.\n";
        text
    }
}

fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..columns)
        .map(|column| width(column).unwrap_or(0))
        .collect();
    let mut text = String::new();
    for line in lines {
        for (column, cell) in line.iter().enumerate() {
            match column {
                0 | 1 => text += &format!("{cell:<width$}  ", width = widths[column]),
                _ => text += &format!("{cell:>width$}  ", width = widths[column]),
            }
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

/// Three digits that count.
pub(crate) fn shown(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value.abs() < 10.0 => format!("{value:.2}"),
        Some(value) if value.abs() < 100.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.0}"),
    }
}

/// One run in a line.
pub(crate) fn line(sample: &Sample) -> String {
    let all = figures(&sample.outcome);
    let all: Vec<String> = all
        .iter()
        .map(|(name, value)| format!("{name} {}", shown(Some(*value))))
        .collect();
    let verdict = match (&sample.outcome, broken(&sample.outcome)) {
        (_, Some(why)) => format!(" — broken: {why}"),
        (Outcome::Traffic(traffic), None) => format!(" — {}", traffic.faults),
        _ => String::new(),
    };
    let (scenario, peer) = (sample.scenario.name(), sample.peer.as_str());
    format!("{scenario} {peer}: {}{verdict}", all.join(", "))
}

fn broken(outcome: &Outcome) -> Option<&str> {
    match outcome {
        Outcome::Traffic(traffic) => traffic.broken.as_deref(),
        Outcome::Connects(connected) => connected.broken.as_deref(),
        Outcome::Idle(idled) => idled.broken.as_deref(),
    }
}

fn exactness(samples: &[Sample], peer: Name) -> String {
    let ours = samples.iter().filter(|sample| sample.peer == peer);
    let (mut runs, mut exact, mut faults) = (0, 0, Vec::new());
    for sample in ours {
        if let Some(why) = broken(&sample.outcome) {
            faults.push(format!("{}: {why}", sample.scenario.name()));
        }
        let Outcome::Traffic(traffic) = &sample.outcome else {
            continue;
        };
        runs += 1;
        if traffic.faults.none() && traffic.broken.is_none() {
            exact += 1;
        } else if !traffic.faults.none() {
            faults.push(format!("{}: {}", sample.scenario.name(), traffic.faults));
        }
    }
    let mut text = format!("{exact} of {runs} runs");
    for fault in faults {
        text += &format!("; {fault}");
    }
    text
}

/// The figures of one run; the first is the one that the scenario is about.
pub(crate) fn figures(outcome: &Outcome) -> Vec<(&'static str, f64)> {
    match outcome {
        Outcome::Traffic(traffic) => {
            let messages = traffic.delivered.max(1) as f64;
            vec![
                (
                    "CPU µs/message",
                    traffic.broker_cpu_ns as f64 / messages / 1e3,
                ),
                (
                    "messages/s",
                    traffic.delivered as f64 / traffic.seconds.max(1e-9),
                ),
                ("p50 µs", traffic.p50_us),
                ("p99 µs", traffic.p99_us),
            ]
        }
        Outcome::Connects(connected) => {
            let connections = connected.connections.max(1) as f64;
            let part = |count: u64| 100.0 * count as f64 / connections;
            vec![
                (
                    "CPU ms/connect",
                    connected.broker_cpu_ns as f64 / connections / 1e6,
                ),
                (
                    "connects/s",
                    connected.connections as f64 / connected.seconds.max(1e-9),
                ),
                ("p50 µs", connected.p50_us),
                ("p99 µs", connected.p99_us),
                ("resumed %", part(connected.resumed)),
                ("hybrid %", part(connected.hybrid)),
            ]
        }
        Outcome::Idle(idled) => vec![
            ("bytes/connection", idled.bytes_per_connection),
            ("CPU ms/s idle", idled.idle_cpu_ns_per_s / 1e6),
        ],
    }
}

fn rows(samples: &[Sample]) -> Vec<Row> {
    let mut found: BTreeMap<(Scenario, usize, &'static str), BTreeMap<Name, Vec<f64>>> =
        BTreeMap::new();
    for sample in samples
        .iter()
        .filter(|sample| broken(&sample.outcome).is_none())
    {
        let figures = figures(&sample.outcome).into_iter().enumerate();
        for (place, (figure, value)) in figures.filter(|(_, it)| tells(sample.scenario, it.0)) {
            let row = found.entry((sample.scenario, place, figure)).or_default();
            row.entry(sample.peer).or_default().push(value);
        }
    }
    let row = |((scenario, _, figure), values): (_, BTreeMap<Name, Vec<f64>>)| {
        let medians: BTreeMap<Name, f64> = values
            .into_iter()
            .map(|(peer, values)| (peer, median(values)))
            .collect();
        let of = |peer| medians.get(&peer).copied();
        let ratio = match (of(Name::Palisade), of(Name::Mosquitto)) {
            (Some(ours), Some(theirs)) if 0.0 < theirs => Some(ours / theirs),
            _ => None,
        };
        Row {
            scenario,
            figure: str::to_owned(figure),
            ratio,
            target: target(scenario, figure),
            medians,
        }
    };
    found.into_iter().map(row).collect()
}

/// Whether the figure says something in that scenario.
fn tells(scenario: Scenario, figure: &str) -> bool {
    match figure {
        "resumed %" => scenario == Scenario::Resume,
        "hybrid %" => scenario == Scenario::ConnPq,
        _ => true,
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// The ratio to mosquitto that is aimed at.
fn target(scenario: Scenario, figure: &str) -> Option<f64> {
    match (scenario, figure) {
        (Scenario::Lat0, "p50 µs" | "p99 µs") => return Some(1.0),
        (_, "CPU µs/message" | "CPU ms/connect" | "bytes/connection") => {}
        _ => return None,
    }
    match scenario {
        Scenario::FanIn0 => Some(0.15),
        Scenario::FanIn1 => Some(0.09),
        Scenario::FanOut0 => Some(0.20),
        Scenario::FanOut1 => Some(0.22),
        Scenario::Pairs0 => Some(0.54),
        Scenario::Pairs1 => Some(0.61),
        Scenario::Lat0 => Some(0.84),
        Scenario::Conn | Scenario::Idle => Some(0.28),
        Scenario::Conn8 | Scenario::Resume => Some(0.26),
        Scenario::Lat1 | Scenario::ConnPq => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
    }

    #[test]
    fn columns_are_aligned() {
        let line = |a: &str, b: &str, c: &str| vec![a.to_owned(), b.to_owned(), c.to_owned()];
        let text = aligned(&[line("a", "bb", "c"), line("aa", "b", "100")]);
        assert_eq!(text, "a   bb    c\naa  b   100\n");
    }
}
