//! Time: what is due, and who waits for it.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use device_api::DisconnectReason;
use model::Timestamp;
use mqtt::ReasonCode;

use super::arena::Key;
use super::connection::Connection;
use super::message::{Entry, Life};
use super::session::Session;
use super::{Budget, Core, End, Now};

/// What waits for a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Greeting(Key<Connection>),
    KeepAlive(Key<Connection>),
    CertificateEnd(Key<Connection>),
    SessionExpiry(Key<Session>),
    Will(Key<Session>),
    Traces,
    ReadOn(Key<Connection>),
    Sweep,
    Tell,
}

/// Something at a moment on the monotonic clock, for the heap of timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Due {
    at: Instant,
    what: Timer,
}

/// Timers that stand for something: four for a connection, two for a session.
const TIMERS_EACH: usize = 4;
/// Below this nobody looks for timers that stand for nothing.
const TIMERS_MIN: usize = 1024;

/// How often expired messages, idle rates and old presence numbers are looked for.
pub(super) const SWEEP_EVERY: Duration = Duration::from_secs(60);

impl Core {
    /// Whatever is due.
    pub(crate) fn tick(&mut self, now: Now) {
        while let Some(Reverse(due)) = self.timers.peek()
            && due.at <= now.instant
        {
            if let Some(Reverse(due)) = self.timers.pop() {
                self.fire(now, due.what);
            }
        }
        self.settle(now);
    }

    /// When [`Core::tick`] must be called next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse(due)| due.at)
    }

    pub(super) fn wake_at(&mut self, at: Instant, what: Timer) {
        self.timers.push(Reverse(Due { at, what }));
    }

    // spec aws-iot [1.6]: a connection ends with its certificate. A timer reaches a day ahead and
    // then looks again, so that a change of the wall clock is seen.
    pub(super) fn watch_certificate(
        &mut self,
        now: Now,
        key: Key<Connection>,
        not_after: Timestamp,
    ) {
        const LOOK_AGAIN: Duration = Duration::from_secs(24 * 60 * 60);
        let left = not_after.since(now.wall).min(LOOK_AGAIN);
        self.wake_at(now.instant + left, Timer::CertificateEnd(key));
    }

    fn fire(&mut self, now: Now, timer: Timer) {
        match timer {
            Timer::Greeting(key) => {
                let waiting = self.connections.get(key);
                if waiting.is_some_and(|connection| connection.serving().is_none()) {
                    self.reached(Budget::ConnectTimeout, key);
                    self.end(key, End::silent(DisconnectReason::ClientError));
                }
            }
            Timer::KeepAlive(key) => self.check_keep_alive(now, key),
            Timer::CertificateEnd(key) => {
                if let Some(connection) = self.connections.get(key) {
                    let not_after = connection.peer.not_after;
                    if not_after <= now.wall {
                        let end = End::new(DisconnectReason::AuthError, ReasonCode::NotAuthorized);
                        self.end(key, end.because("the certificate has expired"));
                    } else {
                        self.watch_certificate(now, key, not_after);
                    }
                }
            }
            Timer::SessionExpiry(key) => self.expire_session(now, key),
            Timer::Will(key) => self.publish_due_will(now, key),
            Timer::Traces => self.check_traces(now),
            Timer::Sweep => {
                self.sweep(now);
                self.wake_at(now.instant + SWEEP_EVERY, Timer::Sweep);
            }
            Timer::ReadOn(key) => self.read_on(now, key),
            Timer::Tell => self.tell(now),
        }
    }

    fn check_keep_alive(&mut self, now: Now, key: Key<Connection>) {
        let serving = self.connections.get(key).and_then(Connection::serving);
        let Some(keep_alive) = serving.map(|serving| serving.keep_alive) else {
            return;
        };
        let held = self.is_paused_for_pace(key) || self.is_held_by_disk(key);
        if keep_alive.expired(now.instant) && held {
            self.wake_at(now.instant + SWEEP_EVERY, Timer::KeepAlive(key));
        } else if keep_alive.expired(now.instant) {
            // spec aws-iot [MQ-13]; spec mqtt5 [MQTT-3.1.2-22]
            let reason = DisconnectReason::MqttKeepAliveTimeout;
            self.end(key, End::new(reason, ReasonCode::KeepAliveTimeout));
        } else if let Some(at) = keep_alive.deadline() {
            self.wake_at(at, Timer::KeepAlive(key));
        }
    }

    /// Forgets timers of connections that are gone and of sessions that were resumed since, once
    /// they are most of all.
    fn forget_timers(&mut self) {
        let known = self.connections.len() + self.sessions.len();
        if self.timers.len() <= TIMERS_MIN + TIMERS_EACH * known {
            return;
        }
        let (connections, sessions) = (&self.connections, &self.sessions);
        self.timers.retain(|Reverse(due)| match due.what {
            Timer::Greeting(key) => connections
                .get(key)
                .is_some_and(|one| one.serving().is_none()),
            Timer::KeepAlive(key) | Timer::CertificateEnd(key) | Timer::ReadOn(key) => {
                connections.get(key).is_some()
            }
            Timer::SessionExpiry(key) => {
                let left = sessions.get(key).and_then(|session| session.left);
                left.is_some_and(|left| left.ends == due.at)
            }
            Timer::Will(key) => sessions.get(key).is_some(),
            Timer::Traces | Timer::Sweep | Timer::Tell => true,
        });
    }

    fn sweep(&mut self, now: Now) {
        self.forget_timers();
        for topic in self.retained.expired(now.wall) {
            self.remove_retained(&topic);
        }
        self.presences.sweep(now.wall);
        self.drop_expired(now);
    }

    /// Drops what has expired while it waited, so that it does not take up the bounds.
    fn drop_expired(&mut self, now: Now) {
        let over = |entry: &Entry| entry.message.life(now.wall) == Life::Over;
        let waiting: Vec<_> = self.sessions.iter().map(|(key, _)| key).collect();
        for key in waiting {
            let Some(session) = self.sessions.get_mut(key) else {
                continue;
            };
            if !session.queue.iter().any(over) {
                continue;
            }
            let queue = std::mem::take(&mut session.queue);
            let (gone, kept): (VecDeque<Entry>, VecDeque<Entry>) =
                queue.into_iter().partition(over);
            session.queue = kept;
            self.counters.dropped_expired += gone.len() as u64;
            for entry in gone {
                self.finish(entry, false);
            }
        }
    }
}
