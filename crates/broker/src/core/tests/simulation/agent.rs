//! A simulated client, which keeps to the standard, and what it may do.

use std::collections::{BTreeMap, BTreeSet};

use super::super::*;

/// Message topics. A will goes to `w/{client}`.
pub(super) const TOPICS: [&str; 4] = ["t/0", "t/1", "t/2", "t/3"];
/// What clients subscribe to.
pub(super) const FILTERS: [&str; 7] = ["t/0", "t/1", "t/2", "t/3", "t/+", "t/#", super::SHARED];

pub(super) fn filter_matches(filter: &str, topic: &str) -> bool {
    let filter = filter.strip_prefix("$share/g/").unwrap_or(filter);
    match filter.strip_suffix(['+', '#']) {
        Some(parent) => topic.starts_with(parent),
        None => filter == topic,
    }
}

/// What a client may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    All,
    /// Not receive on `t/2`.
    NoReceive,
    /// Not subscribe to `t/1`, shared or not.
    NoSubscribe,
    /// Not publish to `t/3`.
    NoPublish,
    /// Its certificate is revoked.
    Revoked,
}

impl Mode {
    pub(super) const EACH: [Self; 5] = [
        Self::All,
        Self::NoReceive,
        Self::NoSubscribe,
        Self::NoPublish,
        Self::Revoked,
    ];

    pub(super) fn device(self, name: &str) -> Device {
        let denies = match self {
            Self::All | Self::Revoked => return Device::new(name),
            Self::NoReceive => "Deny Receive topic/t/2",
            Self::NoSubscribe => "Deny Subscribe topicfilter/t/1",
            Self::NoPublish => "Deny Publish topic/t/3",
        };
        Device::allowed(name, &policy(&["Allow * *", denies]))
    }
}

/// A message that its client has not done with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub(super) number: u32,
    pub(super) packet_id: u16,
    pub(super) recorded: bool,
}

/// SUBSCRIBE or UNSUBSCRIBE, not answered yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) filter: &'static str,
    pub(super) qos: Option<u8>,
}

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) name: String,
    pub(super) version: Version,
    /// What it asks for when it keeps its session.
    pub(super) expiry_s: u32,
    pub(super) keep_alive_s: u16,
    pub(super) window: Option<NonZeroU16>,
    /// The connection it believes to have.
    pub(super) link: Option<u64>,
    pub(super) welcomed: bool,
    /// In the order they were published.
    pub(super) flights: Vec<Flight>,
    pub(super) requests: BTreeMap<u16, Request>,
    /// QoS 2 packet ids it has and has not seen released.
    pub(super) open: BTreeSet<u16>,
    /// Acknowledgements it has not sent yet.
    pub(super) deferred: Vec<Packet>,
}

impl Agent {
    pub(super) fn new(name: String, version: Version, expiry_s: u32, keep_alive_s: u16) -> Self {
        Self {
            name,
            version,
            expiry_s,
            keep_alive_s,
            window: None,
            link: None,
            welcomed: false,
            flights: Vec::new(),
            requests: BTreeMap::new(),
            open: BTreeSet::new(),
            deferred: Vec::new(),
        }
    }

    /// CONNECT, and how long the session it begins or resumes then lasts.
    pub(super) fn connect(&self, clean: bool) -> (Connect, u32) {
        let mut connect = super::super::clean(self.version, &self.name);
        connect.clean_start = clean || self.expiry_s == 0;
        connect.keep_alive_s = self.keep_alive_s;
        if self.version == V3 {
            let expiry_s = if connect.clean_start { 0 } else { 3600 };
            return (connect, expiry_s);
        }
        connect.properties.session_expiry_s = Some(self.expiry_s);
        connect.properties.receive_maximum = self.window;
        (connect, self.expiry_s)
    }

    pub(super) fn online(&self) -> bool {
        self.link.is_some() && self.welcomed
    }

    /// It has no session any more.
    pub(super) fn forget(&mut self) {
        self.flights.clear();
        self.requests.clear();
        self.open.clear();
    }

    /// It has no connection any more.
    pub(super) fn offline(&mut self) {
        self.link = None;
        self.welcomed = false;
        self.requests.clear();
        self.deferred.clear();
    }

    pub(super) fn free_id(&self) -> u16 {
        let free = |id: &u16| {
            !self.requests.contains_key(id) && self.flights.iter().all(|f| f.packet_id != *id)
        };
        (1..).find(free).expect("few are in use")
    }
}
