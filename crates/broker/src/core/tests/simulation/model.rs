//! What clients may expect, worked out from what they sent and were told, and from nothing else.
//!
//! Slow and obvious. Every moment that counts has a number from one counter, so that "before" has
//! a meaning: what was acknowledged before something else was sent came first for everybody.
//! Where the order cannot be known, nothing is demanded; what must not be, must never be.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::Timestamp;

use super::agent::{Mode, filter_matches};

/// A message, by the number in its payload.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) publisher: usize,
    pub(super) topic: &'static str,
    pub(super) qos: u8,
    pub(super) retain: bool,
    /// A retained message without payload: it removes, and carries no number.
    pub(super) empty: bool,
    pub(super) sent: u64,
    pub(super) acknowledged: Option<u64>,
    /// It may not arrive after this moment.
    pub(super) expires: Option<Timestamp>,
    pub(super) repeated: bool,
    pub(super) refused: bool,
    pub(super) delivered: bool,
}

/// A subscription of one session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subscribed {
    pub(super) asked: u64,
    /// SUBACK has come, and nothing since makes it doubtful.
    pub(super) granted: Option<u64>,
    pub(super) qos: u8,
    /// UNSUBACK has come.
    pub(super) ended: Option<u64>,
    /// When one before it ended: what came through that may still wait.
    pub(super) before: Option<u64>,
}

/// What is known of the session of a client.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// Whether the broker must have it; `None` when nobody can know.
    pub(super) exists: Option<bool>,
    /// CONNECTs since the last that was accepted.
    attempts: usize,
    /// Whether it may be on no disk yet.
    fresh: bool,
    expiry_s: u32,
    expiry_max_s: u32,
    /// Where the disk would let it end, while it may not know of the resumption.
    disk_ends: Option<Timestamp>,
    /// When its client was surely connected for the last time, and when the broker noticed the
    /// end at the latest. `None` while connected.
    left_from: Option<Timestamp>,
    left_to: Option<Timestamp>,
    pub(super) subscriptions: BTreeMap<&'static str, Subscribed>,
    /// Messages that must arrive.
    pub(super) owed: BTreeSet<u32>,
    /// Those that have, and how often at this QoS.
    received: BTreeMap<(u32, u8), u32>,
    /// By publisher and topic, the last that arrived for the first time at QoS 1 or 2.
    last: BTreeMap<(usize, &'static str), u32>,
}

/// A will, by the number in its payload.
#[derive(Clone, Debug)]
pub(super) struct WillKnown {
    pub(super) client: usize,
    pub(super) delay_s: u32,
    pub(super) fate: Fate,
    pub(super) received: bool,
}

/// What must become of a will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Its connection was accepted and lives.
    Stands,
    /// Nobody can know.
    Open,
    /// Its connection ended, and it must come.
    Owed,
    /// Its client left politely and was heard: it must not come, unless the broker died since.
    Dropped,
}

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Model {
    counter: u64,
    pub(super) messages: BTreeMap<u32, Sent>,
    pub(super) sessions: Vec<Known>,
    pub(super) wills: BTreeMap<u32, WillKnown>,
    /// What each client may do.
    pub(super) modes: Vec<Mode>,
    modes_since: Vec<u64>,
    /// Messages that some member of the shared subscription must get.
    pub(super) group_owed: BTreeSet<u32>,
    pub(super) deliveries: u64,
}

pub(super) const SHARED: &str = "$share/g/t/1";
/// Clocks may differ by what is on its way.
const SLACK: Duration = Duration::from_secs(90);

impl Model {
    pub(super) fn new(clients: usize) -> Self {
        Self {
            counter: 0,
            messages: BTreeMap::new(),
            sessions: vec![Known::default(); clients],
            wills: BTreeMap::new(),
            modes: vec![Mode::All; clients],
            modes_since: vec![0; clients],
            group_owed: BTreeSet::new(),
            deliveries: 0,
        }
    }

    pub(super) fn moment(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// CONNECT leaves the client.
    pub(super) fn connecting(&mut self, client: usize, clean: bool) {
        let known = &mut self.sessions[client];
        known.attempts += 1;
        if clean {
            known.exists = None;
            known.owed.clear();
            // It has forgotten what it had, and if the broker has not it comes again.
            known.received.clear();
            known.last.clear();
            self.doubt_group(client);
        }
    }

    /// CONNACK leaves the broker, for a CONNECT with so many later ones. Whether the session is another than the client knows.
    pub(super) fn connected(
        &mut self,
        client: usize,
        now: Timestamp,
        clean: bool,
        present: bool,
        expiry_s: u32,
        later: usize,
    ) -> bool {
        let known = &self.sessions[client];
        let expected = known.expected(now).filter(|_| !clean);
        // An earlier attempt may have begun a session that nobody was told of.
        let may_be_another = known.attempts > 1;
        let right = match (clean, expected) {
            (true, _) => !present,
            (false, Some(false)) => !present || may_be_another,
            (false, Some(true)) => present,
            (false, None) => true,
        };
        assert!(
            right,
            "client {client}: session present is {present}: {known:?}"
        );
        let anew = !present || expected == Some(false);
        if anew {
            self.doubt_group(client);
            self.sessions[client] = Known {
                fresh: true,
                ..Known::default()
            };
        } else if may_be_another && expected.is_none() {
            self.doubt_group(client);
            let known = &mut self.sessions[client];
            known.owed.clear();
            for subscribed in known.subscriptions.values_mut() {
                subscribed.granted = None;
            }
        }
        let known = &mut self.sessions[client];
        known.attempts = later;
        known.disk_ends = known.ends_at_the_soonest();
        known.exists = Some(true);
        known.expiry_max_s = expiry_s.max(if present { known.expiry_max_s } else { 0 });
        known.expiry_s = expiry_s;
        known.left_from = None;
        known.left_to = None;
        anew
    }

    /// The client is gone, or about to be; the broker may not know it.
    pub(super) fn leaves(&mut self, client: usize, now: Timestamp, discards: bool) {
        let known = &mut self.sessions[client];
        known.left_from.get_or_insert(now);
        if discards {
            known.exists = None;
            known.owed.clear();
            known.received.clear();
            known.last.clear();
            self.doubt_group(client);
        }
    }

    /// The broker has ended the connection.
    pub(super) fn left(&mut self, client: usize, now: Timestamp) {
        let known = &mut self.sessions[client];
        known.left_from.get_or_insert(now);
        known.left_to = Some(now);
        if known.expiry_s == 0 {
            known.exists = known.exists.map(|_| false);
            known.owed.clear();
            self.doubt_group(client);
        }
    }

    /// Everything the broker has done so far is on the disk.
    pub(super) fn synced(&mut self) {
        for known in &mut self.sessions {
            known.fresh = false;
            known.disk_ends = None;
        }
    }

    /// The broker died, and has started again.
    pub(super) fn crashed(&mut self, died_at: Timestamp, now: Timestamp) {
        for client in 0..self.sessions.len() {
            let known = &mut self.sessions[client];
            known.left_from.get_or_insert(died_at);
            known.left_to = Some(now);
            // The disk may know of the last resumption, or of the one before.
            if let Some(ends) = known.disk_ends.take() {
                let expiry_ms = i64::from(known.expiry_s) * 1000;
                let from = Timestamp::from_millis(ends.millis() - expiry_ms);
                known.left_from = known.left_from.map(|left| left.min(from));
            }
            if known.fresh {
                known.exists = None;
                known.owed.clear();
                self.doubt_group(client);
            } else if known.expiry_s == 0 {
                known.exists = known.exists.map(|_| false);
                known.owed.clear();
                self.doubt_group(client);
            }
        }
        for will in self.wills.values_mut() {
            match will.fate {
                Fate::Stands => will.fate = Fate::Owed,
                Fate::Dropped => will.fate = Fate::Open,
                Fate::Open | Fate::Owed => {}
            }
        }
    }

    /// Nobody can say any more that this client gets what is shared.
    fn doubt_group(&mut self, client: usize) {
        if self.sessions[client].subscriptions.contains_key(SHARED) {
            self.group_owed.clear();
        }
    }

    /// What a client may do is another matter now.
    pub(super) fn changes_mode(&mut self, client: usize, mode: Mode) {
        let changed = [self.modes[client], mode];
        self.modes[client] = mode;
        self.modes_since[client] = self.moment();
        let messages = &self.messages;
        let known = &mut self.sessions[client];
        if changed.contains(&Mode::NoReceive) {
            known.owed.retain(|number| messages[number].topic != "t/2");
        }
        if changed.contains(&Mode::NoSubscribe) {
            known.owed.retain(|number| messages[number].topic != "t/1");
            for (filter, subscribed) in &mut known.subscriptions {
                if filter.ends_with("t/1") {
                    subscribed.granted = None;
                }
            }
            self.doubt_group(client);
        }
        if changed.contains(&Mode::Revoked) {
            for will in self.wills.values_mut().filter(|will| will.client == client) {
                if will.fate != Fate::Dropped {
                    will.fate = Fate::Open;
                }
            }
        }
    }

    /// A message was acknowledged: whoever was subscribed by then must get it.
    pub(super) fn acknowledged(&mut self, number: u32, refused: bool) {
        let moment = self.moment();
        let Some(message) = self.messages.get_mut(&number) else {
            return;
        };
        if refused {
            message.refused = true;
            assert!(
                message.repeated || !message.delivered,
                "message {number} was refused and delivered"
            );
            return;
        }
        if message.acknowledged.is_some() {
            return;
        }
        message.acknowledged = Some(moment);
        let message = message.clone();
        if message.empty || message.expires.is_some() {
            return;
        }
        let member_has =
            |known: &Known| known.subscriptions.contains_key(SHARED) && known.has(number);
        let group_has = self.sessions.iter().any(member_has);
        for client in 0..self.sessions.len() {
            let mode = self.modes[client];
            let known = &mut self.sessions[client];
            if known.exists != Some(true) || known.expiry_s == 0 {
                continue;
            }
            // What it might at some time in between may be lost.
            let steady = self.modes_since[client] < message.sent;
            if message.topic == "t/2" && (mode == Mode::NoReceive || !steady) {
                continue;
            }
            for (filter, subscribed) in &known.subscriptions {
                let covers = filter_matches(filter, message.topic)
                    && subscribed.qos > 0
                    && subscribed.ended.is_none()
                    && subscribed.granted.is_some_and(|at| at < message.sent);
                if covers && *filter == SHARED {
                    if mode == Mode::All && steady && !group_has {
                        self.group_owed.insert(number);
                    }
                } else if covers && !known.has(number) {
                    known.owed.insert(number);
                }
            }
        }
    }

    /// A message leaves the broker for a client.
    pub(super) fn delivers(
        &mut self,
        client: usize,
        now: Timestamp,
        number: u32,
        (retained, dup): (bool, bool),
    ) {
        self.deliveries += 1;
        let message = self.messages.get_mut(&number).expect("somebody sent it");
        message.delivered = true;
        let what = format!("message {number} to client {client}: {message:?}");
        assert!(!message.refused || message.repeated, "refused: {what}");
        // Its repeat is a message of its own when the first was lost; and what was sent once to
        // this client is sent until it has it.
        let expires = message.expires.filter(|_| !message.repeated && !dup);
        let alive = expires.is_none_or(|at| now <= at.after(SLACK));
        assert!(alive, "expired: {what}");
        let message = message.clone();
        assert!(
            !(self.modes[client] == Mode::NoReceive && message.topic == "t/2"),
            "may not receive: {what}"
        );
        let known = &self.sessions[client];
        let fits = |(filter, subscribed): (&&str, &Subscribed)| {
            // What waits for a group goes to whoever joins it.
            let since = retained
                || *filter == SHARED
                || message.acknowledged.is_none_or(|at| subscribed.asked < at);
            let until = |ended| message.sent < ended;
            filter_matches(filter, message.topic)
                && (subscribed.before.is_some_and(until)
                    || (since && subscribed.ended.is_none_or(until)))
        };
        assert!(
            known.subscriptions.iter().any(fits),
            "not subscribed: {what} {:?}",
            known.subscriptions
        );
        if retained {
            let replaced = self.messages.iter().find(|(_, later)| {
                later.retain
                    && later.topic == message.topic
                    && message.acknowledged.is_some_and(|at| at < later.sent)
                    && later.acknowledged.is_some()
                    && known.subscriptions.iter().all(|(filter, subscribed)| {
                        !filter_matches(filter, message.topic)
                            || later.acknowledged.is_some_and(|at| at < subscribed.asked)
                    })
            });
            assert!(replaced.is_none(), "replaced by {replaced:?}: {what}");
        }
    }

    /// A client has a message; at QoS 2 only when its packet id is new.
    pub(super) fn receives(&mut self, client: usize, number: u32, qos: u8, retained: bool) {
        let message = &self.messages[&number];
        let known = &mut self.sessions[client];
        known.owed.remove(&number);
        if known.subscriptions.contains_key(SHARED) && message.topic == "t/1" {
            self.group_owed.remove(&number);
        }
        if retained {
            return;
        }
        let first = !known.has(number);
        let times = known.received.entry((number, qos)).or_default();
        *times += 1;
        let filters = known.subscriptions.keys();
        let most = filters.filter(|f| filter_matches(f, message.topic)).count();
        assert!(
            // At QoS 0 it leaves before the disk has it: a crash lets its repeat through. None fits
            // when the session was ended while this was on its way.
            qos == 1
                || message.qos == 1
                || (qos == 0 && message.repeated)
                || most == 0
                || *times as usize <= most,
            "message {number} came {times} times to client {client} at QoS {qos}: {message:?}"
        );
        if qos == 0 || !first || known.subscriptions.contains_key(SHARED) {
            return;
        }
        let last = known.last.entry((message.publisher, message.topic));
        let last = last.or_insert(number);
        assert!(
            *last <= number,
            "message {number} came after {last} to client {client}"
        );
        *last = number;
    }

    /// The observer has a will.
    pub(super) fn will_comes(&mut self, number: u32) {
        let will = self.wills.get_mut(&number).expect("somebody set it");
        will.received = true;
        assert!(
            !matches!(will.fate, Fate::Stands | Fate::Dropped),
            "will {number} came: {will:?}"
        );
    }

    /// Everybody was connected long enough, and nothing happened.
    pub(super) fn settled(&mut self) {
        for (client, known) in self.sessions.iter().enumerate() {
            let owed = known.owed.iter().map(|number| &self.messages[number]);
            let owed: Vec<_> = known.owed.iter().zip(owed).collect();
            assert!(
                owed.is_empty(),
                "client {client} never got {owed:?}: {:?}",
                known.subscriptions
            );
        }
        let group = &self.group_owed;
        assert!(group.is_empty(), "no member ever got {group:?}");
        for (number, will) in &self.wills {
            assert!(
                will.fate != Fate::Owed || will.received,
                "will {number} never came: {will:?}"
            );
        }
        // What is over need not be remembered.
        self.wills
            .retain(|_, will| matches!(will.fate, Fate::Stands));
    }

    /// What a topic must have retained: the candidates, and whether there must be one.
    pub(super) fn retained(&self, topic: &str) -> (Vec<u32>, bool) {
        let of_topic = || {
            let of = self.messages.iter();
            of.filter(|(_, one)| one.topic == topic && one.retain && !one.refused)
        };
        let stands = |one: &Sent| {
            !of_topic().any(|(_, later)| {
                later.acknowledged.is_some() && one.acknowledged.is_some_and(|at| at < later.sent)
            })
        };
        let standing: Vec<_> = of_topic().filter(|(_, one)| stands(one)).collect();
        let certain = standing.len() == 1
            && standing
                .iter()
                .all(|(_, one)| one.acknowledged.is_some() && !one.empty);
        let numbers = standing.iter().filter(|(_, one)| !one.empty);
        (numbers.map(|(number, _)| **number).collect(), certain)
    }
}

impl Known {
    fn ends_at_the_soonest(&self) -> Option<Timestamp> {
        let from = self.left_from?;
        Some(from.after(Duration::from_secs(self.expiry_s.into())))
    }

    fn has(&self, number: u32) -> bool {
        let mut of = self.received.range((number, 0)..=(number, 2));
        of.next().is_some()
    }

    fn expected(&self, now: Timestamp) -> Option<bool> {
        match self.exists {
            // Never connected, or nobody knows.
            None => None,
            Some(false) => Some(false),
            Some(true) => {
                let soonest = self.ends_at_the_soonest();
                if soonest.is_none_or(|at| now.after(SLACK) < at) {
                    return Some(true);
                }
                let latest = Duration::from_secs(self.expiry_max_s.into());
                let latest = self.left_to.map(|left| left.after(latest));
                latest
                    .is_some_and(|at| at.after(SLACK) < now)
                    .then_some(false)
            }
        }
    }
}
