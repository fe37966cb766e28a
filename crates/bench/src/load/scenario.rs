//! The scenarios: who publishes, who reads whom, how much is in flight.
//!
//! Topics are `t/<publisher>/d`. Publishers are called `p0`, `p1`, …; `s3` reads `p3`; `f0`, `f1`,
//! … all read `p0`; `all` reads everybody.

use std::ops::Range;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Who collects from everybody.
pub(crate) const COLLECTOR: &str = "all";
/// Who the idle connections are.
pub(crate) const IDLER: &str = "idle";
/// Who publishes to everybody.
pub(crate) const FEEDER: &str = "feeder";
/// Devices that publish.
pub(crate) const PUBLISHERS: u32 = 50;
/// Subscribers of one publisher.
pub(crate) const FAN: u32 = 100;
const LATENCY_PAIRS: u32 = 20;
const LATENCY_RATE: u32 = 1_000;

/// What is measured.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize,
)]
#[value(rename_all = "lower")]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scenario {
    FanIn0,
    FanIn1,
    FanOut0,
    FanOut1,
    Pairs0,
    Pairs1,
    Lat0,
    Lat1,
    Conn,
    Conn8,
    Resume,
    ConnPq,
    Idle,
}

/// What kind of run a scenario is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Traffic(Shape),
    Connects(Connects),
    Idle,
}

/// Connecting and leaving, again and again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connects {
    pub(crate) at_once: u32,
    pub(crate) resume: bool,
    /// Whether the hybrid key exchange is offered.
    pub(crate) hybrid: bool,
}

/// Who sends what to whom.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) publishers: u32,
    pub(crate) subscribers: Vec<Reader>,
    pub(crate) qos: u8,
    /// Messages of one publisher in flight.
    pub(crate) window: usize,
    /// Messages a second in total, evenly spaced; else as many as the window lets.
    pub(crate) rate: Option<u32>,
}

/// A subscriber.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    pub(crate) name: String,
    pub(crate) filter: String,
    /// The publishers it reads.
    pub(crate) reads: Range<u32>,
}

impl Scenario {
    /// As on the command line.
    pub(crate) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// What a reader of the table is told.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::FanIn0 => "fan-in QoS 0, 50 to 1, window 16",
            Self::FanIn1 => "fan-in QoS 1, 50 to 1, window 16",
            Self::FanOut0 => "fan-out QoS 0, 1 to 100, window 8",
            Self::FanOut1 => "fan-out QoS 1, 1 to 100, window 8",
            Self::Pairs0 => "50 pairs QoS 0, one in flight",
            Self::Pairs1 => "50 pairs QoS 1, one in flight",
            Self::Lat0 => "1,000 msg/s over 20 pairs, QoS 0",
            Self::Lat1 => "1,000 msg/s over 20 pairs, QoS 1",
            Self::Conn => "connect, one at a time",
            Self::Conn8 => "connect, 8 at once",
            Self::Resume => "connect, resumed by ticket",
            Self::ConnPq => "connect, X25519MLKEM768",
            Self::Idle => "idle connection, one subscription",
        }
    }

    pub(crate) fn kind(self) -> Kind {
        let connects = |at_once, resume, hybrid| {
            Kind::Connects(Connects {
                at_once,
                resume,
                hybrid,
            })
        };
        match self {
            Self::FanIn0 => Kind::Traffic(Shape::fan_in(PUBLISHERS, 0)),
            Self::FanIn1 => Kind::Traffic(Shape::fan_in(PUBLISHERS, 1)),
            Self::FanOut0 => Kind::Traffic(Shape::fan_out(FAN, 0)),
            Self::FanOut1 => Kind::Traffic(Shape::fan_out(FAN, 1)),
            Self::Pairs0 => Kind::Traffic(Shape::pairs(PUBLISHERS, 0)),
            Self::Pairs1 => Kind::Traffic(Shape::pairs(PUBLISHERS, 1)),
            Self::Lat0 => Kind::Traffic(Shape::paced(LATENCY_PAIRS, LATENCY_RATE, 0)),
            Self::Lat1 => Kind::Traffic(Shape::paced(LATENCY_PAIRS, LATENCY_RATE, 1)),
            Self::Conn => connects(1, false, false),
            Self::Conn8 => connects(8, false, false),
            Self::Resume => connects(1, true, false),
            Self::ConnPq => connects(1, false, true),
            Self::Idle => Kind::Idle,
        }
    }
}

impl Shape {
    pub(crate) fn fan_in(publishers: u32, qos: u8) -> Self {
        let collector = Reader {
            name: COLLECTOR.to_owned(),
            filter: "t/+/d".to_owned(),
            reads: 0..publishers,
        };
        Self {
            publishers,
            subscribers: vec![collector],
            qos,
            window: 16,
            rate: None,
        }
    }

    pub(crate) fn fan_out(subscribers: u32, qos: u8) -> Self {
        let reader = |index| Reader {
            name: format!("f{index}"),
            filter: topic(0),
            reads: 0..1,
        };
        Self {
            publishers: 1,
            subscribers: (0..subscribers).map(reader).collect(),
            qos,
            window: 8,
            rate: None,
        }
    }

    pub(crate) fn pairs(pairs: u32, qos: u8) -> Self {
        let reader = |index| Reader {
            name: format!("s{index}"),
            filter: topic(index),
            reads: index..index + 1,
        };
        Self {
            publishers: pairs,
            subscribers: (0..pairs).map(reader).collect(),
            qos,
            window: 1,
            rate: None,
        }
    }

    pub(crate) fn paced(pairs: u32, rate: u32, qos: u8) -> Self {
        Self {
            // An answer that is late does not keep the next message back, within a bound.
            window: 64,
            rate: Some(rate),
            ..Self::pairs(pairs, qos)
        }
    }
}

/// The topic of a publisher.
pub(crate) fn topic(publisher: u32) -> String {
    format!("t/p{publisher}/d")
}
