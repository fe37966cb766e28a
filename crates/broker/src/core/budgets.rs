//! Budgets that are used up: counted each time, told in the log once a second.
//!
//! A budget is a setting; its name is the reason in the log and the label of the metric. Who uses
//! one up does so a thousand times a second, so the log names the first of them and says how often
//! it happened. What the client is told stands in `docs/status-codes.md`.

use std::fmt;

use super::Core;
use super::arena::Key;
use super::connection::Connection;
use super::message::Message;

/// What a client can use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Budget {
    AcceptsPerAddress,
    Handshakes,
    HandshakeTimeout,
    Connections,
    ConnectionsPerPrincipal,
    ConnectsPerPrincipal,
    ConnectTimeout,
    ConnectsPerClient,
    PacketsPerSecond,
    BytesPerSecond,
    Publishes,
    PublishBytes,
    OutputBytes,
    OutputBytesTotal,
    WriteTimeout,
    Sessions,
    SubscriptionsPerSession,
    Subscriptions,
    QueueMessages,
    QueueBytes,
    Retained,
}

impl Budget {
    pub(crate) const ALL: [Self; 21] = [
        Self::AcceptsPerAddress,
        Self::Handshakes,
        Self::HandshakeTimeout,
        Self::Connections,
        Self::ConnectionsPerPrincipal,
        Self::ConnectsPerPrincipal,
        Self::ConnectTimeout,
        Self::ConnectsPerClient,
        Self::PacketsPerSecond,
        Self::BytesPerSecond,
        Self::Publishes,
        Self::PublishBytes,
        Self::OutputBytes,
        Self::OutputBytesTotal,
        Self::WriteTimeout,
        Self::Sessions,
        Self::SubscriptionsPerSession,
        Self::Subscriptions,
        Self::QueueMessages,
        Self::QueueBytes,
        Self::Retained,
    ];

    /// Whether it is used up before the core knows of the connection.
    pub(crate) fn is_of_the_doors(self) -> bool {
        matches!(
            self,
            Self::AcceptsPerAddress | Self::Handshakes | Self::HandshakeTimeout | Self::Connections
        )
    }

    /// The setting's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AcceptsPerAddress => "accepts_per_address_s",
            Self::Handshakes => "handshakes_max",
            Self::HandshakeTimeout => "handshake_timeout_ms",
            Self::Connections => "connections_max",
            Self::ConnectionsPerPrincipal => "connections_per_principal_max",
            Self::ConnectsPerPrincipal => "connects_per_principal_s",
            Self::ConnectTimeout => "connect_timeout_ms",
            Self::ConnectsPerClient => "connects_per_client_s",
            Self::PacketsPerSecond => "packets_per_s",
            Self::BytesPerSecond => "bytes_per_s",
            Self::Publishes => "publishes_per_s",
            Self::PublishBytes => "publish_bytes_per_s",
            Self::OutputBytes => "output_bytes_max",
            Self::OutputBytesTotal => "output_bytes_total_max",
            Self::WriteTimeout => "write_timeout_ms",
            Self::Sessions => "sessions_max",
            Self::SubscriptionsPerSession => "subscriptions_per_session",
            Self::Subscriptions => "subscriptions_max",
            Self::QueueMessages => "queue_messages_max",
            Self::QueueBytes => "queue_bytes_max",
            Self::Retained => "retained_max",
        }
    }
}

/// How often each budget was used up, and what the log does not say yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reached {
    of: [Times; Budget::ALL.len()],
    has_untold: bool,
}

#[derive(Clone, Debug, Default)]
struct Times {
    all: u64,
    untold: u64,
    /// The first of those not told of.
    who: String,
}

impl Reached {
    /// Counts one more time, by `who`.
    pub(crate) fn count(&mut self, budget: Budget, who: &dyn fmt::Display) {
        let Some(times) = self.of.get_mut(budget as usize) else {
            return;
        };
        times.all += 1;
        if times.untold == 0 {
            times.who = who.to_string();
        }
        times.untold += 1;
        self.has_untold = true;
    }

    /// How often it was used up since the start.
    pub(crate) fn times(&self, budget: Budget) -> u64 {
        self.of.get(budget as usize).map_or(0, |times| times.all)
    }

    /// Whether [`Reached::tell`] has something to say.
    pub(crate) fn has_untold(&self) -> bool {
        self.has_untold
    }

    /// One line for each budget that was used up since the last time.
    pub(crate) fn tell(&mut self) {
        self.has_untold = false;
        for budget in Budget::ALL {
            let Some(times) = self.of.get_mut(budget as usize) else {
                continue;
            };
            let Times { untold, who, .. } = times;
            if *untold == 0 {
                continue;
            }
            tracing::warn!(
                reason = budget.name(),
                times = *untold,
                first = who.as_str(),
                "a budget is used up"
            );
            *untold = 0;
            *who = String::new();
        }
    }
}

/// A connection as the log names it.
pub(super) struct Who<'a>(pub(super) Option<&'a Connection>);

impl fmt::Display for Who<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(connection) = self.0 else {
            return Ok(());
        };
        let peer = &connection.peer;
        if let Some(serving) = connection.serving() {
            write!(out, "client `{}`, ", serving.client_id)?;
        }
        let certificate = &peer.principal.certificate;
        write!(out, "certificate {certificate} at {}", peer.address.ip())
    }
}

impl Core {
    /// `key` has used up a budget.
    pub(super) fn reached(&mut self, budget: Budget, key: Key<Connection>) {
        let who = Who(self.connections.get(key));
        self.reached.count(budget, &who);
    }

    /// Which budget is used up for one more message behind `waiting` others.
    pub(super) fn is_full(&self, waiting: usize, message: &Message) -> Option<Budget> {
        if self.limits().queue_messages_max <= waiting {
            return Some(Budget::QueueMessages);
        }
        (!self.ledger.has_room(message)).then_some(Budget::QueueBytes)
    }

    /// Counts a message that somebody would have had to wait for.
    pub(super) fn drop_for_full_queue(&mut self, full: Budget, who: &str) {
        self.counters.dropped_queue_full += 1;
        self.reached.count(full, &format_args!("`{who}`"));
    }

    /// How often each budget was used up.
    pub(crate) fn budgets(&self) -> &Reached {
        &self.reached
    }
}

#[cfg(test)]
mod tests;
