//! Who is let in after the handshake: so many connections in all, and so many with one
//! certificate, at once and per second. Whoever is too many is closed unanswered, which is the
//! cheapest there is.

use std::collections::BTreeSet;

use super::budgets::Budget;
use super::connection::Peer;
use super::{Core, Now};

/// Certificates whose rate is measured at once; beyond that strangers pass unmeasured, as the
/// bounds on connections hold anyway.
pub(super) const PRINCIPALS_MAX: usize = 65_536;

impl Core {
    /// Whether one more connection of `peer` is within the bounds.
    pub(super) fn lets_in(&mut self, now: Now, peer: &Peer) -> bool {
        let certificate = &peer.principal.certificate;
        let limits = &self.settings.limits;
        let open = self.by_principal.get(certificate).map_or(0, BTreeSet::len);
        let per_s = limits.connects_per_principal_s;
        let used_up = if limits.connections_max <= self.connections.len() {
            Budget::Connections
        } else if limits.connections_per_principal_max <= open {
            Budget::ConnectionsPerPrincipal
        } else if !self.arrivals.take(certificate, per_s, now.instant) {
            Budget::ConnectsPerPrincipal
        } else {
            return true;
        };
        self.counters.connects_refused += 1;
        let who = format_args!("certificate {certificate} at {}", peer.address.ip());
        self.reached.count(used_up, &who);
        self.arrange_telling(now);
        false
    }
}
