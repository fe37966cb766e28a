//! The service models: what the wire of each service looks like, as data.
//!
//! `models/*.json` come from botocore's public models (see `scripts/service_models.py`), ours is
//! written by hand in the same form. They are read once per process and linked into a table of
//! shapes; regular expressions are compiled when first needed.
//!
//! It knows nothing of requests: parsing, validation and rendering walk these shapes elsewhere.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{LazyLock, OnceLock};

use regex::Regex;

mod pattern;
mod raw;

/// How a service speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    RestJson,
    Query,
}

/// One service: operations and the shapes they reach.
#[derive(Debug)]
pub(crate) struct ServiceModel {
    /// `iot`, `iot-data`, `iam`, `sts` or `palisade`.
    pub(crate) name: &'static str,
    pub(crate) protocol: Protocol,
    pub(crate) api_version: String,
    pub(crate) xml_namespace: String,
    /// By operation name.
    pub(crate) operations: BTreeMap<String, OperationModel>,
    shapes: Vec<Shape>,
    /// Exception shape name or query error code -> its shape.
    exceptions: BTreeMap<String, ShapeId>,
}

/// One operation of a service.
#[derive(Debug)]
pub(crate) struct OperationModel {
    pub(crate) name: String,
    pub(crate) method: String,
    pub(crate) uri: String,
    pub(crate) status: u16,
    pub(crate) input: Option<ShapeId>,
    pub(crate) output: Option<ShapeId>,
    /// The element around the output in a query answer.
    pub(crate) result_wrapper: Option<String>,
    /// Names of the exceptions it may raise.
    pub(crate) errors: Vec<String>,
}

/// The place of a shape in its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ShapeId(usize);

/// One shape.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) kind: Kind,
    pub(crate) sensitive: bool,
}

/// What a shape is.
#[derive(Debug)]
pub(crate) enum Kind {
    Structure(Structure),
    List(List),
    Map(Map),
    Text(Text),
    Blob(Bounds),
    /// A 32-bit integer when `narrow`, else 64 bits.
    Integer {
        narrow: bool,
        bounds: Bounds,
    },
    Float(Bounds),
    Boolean,
    Timestamp,
}

/// Named members.
#[derive(Debug)]
pub(crate) struct Structure {
    pub(crate) members: Vec<Member>,
    pub(crate) required: Vec<String>,
    /// The member that is the whole HTTP body.
    pub(crate) payload: Option<String>,
    /// Exactly one member is set.
    pub(crate) union: bool,
    /// Set for exceptions.
    pub(crate) exception: Option<Exception>,
}

/// How an exception goes over the wire.
#[derive(Debug)]
pub(crate) struct Exception {
    pub(crate) status: Option<u16>,
    /// The code of the query protocol, when it is not the shape's name.
    pub(crate) code: Option<String>,
}

/// One member of a structure.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) wire_name: String,
    pub(crate) location: Location,
    pub(crate) shape: ShapeId,
    /// A header that holds base64 of JSON text.
    pub(crate) json_value: bool,
}

/// Where a member travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    Body,
    Path,
    Query,
    Header,
    /// All headers with a prefix.
    Headers,
    Status,
}

/// Items of one shape.
#[derive(Debug)]
pub(crate) struct List {
    pub(crate) item: ShapeId,
    /// The XML element and query part of an item.
    pub(crate) item_name: String,
    pub(crate) flattened: bool,
    pub(crate) bounds: Bounds,
}

/// Keys and values of one shape each.
#[derive(Debug)]
pub(crate) struct Map {
    pub(crate) key: ShapeId,
    pub(crate) value: ShapeId,
    pub(crate) key_name: String,
    pub(crate) value_name: String,
    pub(crate) flattened: bool,
    pub(crate) bounds: Bounds,
}

/// A string and its constraints.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) bounds: Bounds,
    pub(crate) pattern: Option<Pattern>,
    pub(crate) values: Vec<String>,
}

/// Smallest and largest: of a value, a number of characters, bytes or items.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Bounds {
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
}

/// A regular expression of a model, compiled when first used.
pub(crate) struct Pattern {
    /// As the model writes it, for messages.
    pub(crate) source: String,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    fn new(source: String) -> Self {
        Self {
            source,
            compiled: OnceLock::new(),
        }
    }

    /// Whether the whole of `text` matches. A pattern that cannot be compiled matches nothing:
    /// the tests compile every one, so that is a bug and must not open a door.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.regex().is_some_and(|regex| regex.is_match(text))
    }

    fn regex(&self) -> Option<&Regex> {
        self.compiled
            .get_or_init(|| Regex::new(&pattern::translated(&self.source)).ok())
            .as_ref()
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?}", self.source)
    }
}

static IOT: LazyLock<ServiceModel> =
    LazyLock::new(|| raw::linked("iot", include_str!("../models/iot.json")));
static IOT_DATA: LazyLock<ServiceModel> =
    LazyLock::new(|| raw::linked("iot-data", include_str!("../models/iot-data.json")));
static IAM: LazyLock<ServiceModel> =
    LazyLock::new(|| raw::linked("iam", include_str!("../models/iam.json")));
static STS: LazyLock<ServiceModel> =
    LazyLock::new(|| raw::linked("sts", include_str!("../models/sts.json")));
static PALISADE: LazyLock<ServiceModel> =
    LazyLock::new(|| raw::linked("palisade", include_str!("../models/palisade.json")));

/// The names of every service there is a model of.
#[cfg(test)]
pub(crate) const SERVICES: [&str; 5] = ["iot", "iot-data", "iam", "sts", "palisade"];

impl ServiceModel {
    /// The model of `service`.
    pub(crate) fn of(service: &str) -> Option<&'static Self> {
        match service {
            "iot" => Some(&IOT),
            "iot-data" => Some(&IOT_DATA),
            "iam" => Some(&IAM),
            "sts" => Some(&STS),
            "palisade" => Some(&PALISADE),
            _ => None,
        }
    }

    /// Our own service.
    pub(crate) fn ours() -> &'static Self {
        &PALISADE
    }

    /// The service that a credential scope names.
    // spec aws-iot [1.5]: the data plane goes by two names.
    pub(crate) fn of_signing_name(name: &str) -> Option<&'static Self> {
        match name {
            "iotdata" | "iotdevicegateway" => Self::of("iot-data"),
            "iot" | "iam" | "sts" | "palisade" => Self::of(name),
            _ => None,
        }
    }

    /// The prefix of its IAM actions.
    pub(crate) fn action_prefix(&self) -> &'static str {
        match self.name {
            "iot-data" => "iot",
            other => other,
        }
    }

    /// Whether it belongs to the data plane: devices call it, and calls are not control calls.
    pub(crate) fn is_data_plane(&self) -> bool {
        self.name == "iot-data"
    }

    /// The shape at `id`.
    pub(crate) fn shape(&self, id: ShapeId) -> &Shape {
        &self.shapes[id.0]
    }

    /// The structure at `id`; none when the shape is of another kind.
    pub(crate) fn structure(&self, id: ShapeId) -> Option<&Structure> {
        match &self.shape(id).kind {
            Kind::Structure(structure) => Some(structure),
            _ => None,
        }
    }

    /// The exception called `name`, which is its shape's name or its query code.
    pub(crate) fn exception(&self, name: &str) -> Option<&Structure> {
        self.structure(*self.exceptions.get(name)?)
    }
}

impl Structure {
    /// The member called `name`.
    pub(crate) fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }
}

#[cfg(test)]
mod tests;
