//! What a TLS handshake agreed on, in words from closed sets: for the API, the history and metrics.
//!
//! A resumed session of TLS 1.3 has made a key exchange of its own, so its group is that of this
//! handshake and not of the first one; a recording of it stays closed to a quantum computer only
//! if this group is the hybrid one. TLS 1.2 is never resumed here.
//!
//! Source: contract core 1.2; RFC 8446 4.2.9 (`psk_dhe_ke` alone is served).

use std::sync::atomic::Ordering;

use gateway::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use rustls::{CommonState, HandshakeKind, NamedGroup, ProtocolVersion};

/// What a handshake agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Negotiated {
    pub(crate) version: TlsVersion,
    pub(crate) group: KeyExchange,
    /// Whether the certificate came out of a ticket of an earlier handshake.
    pub(crate) resumed: bool,
}

/// A version of TLS that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TlsVersion {
    Tls12,
    Tls13,
}

/// A group of the key exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyExchange {
    /// The hybrid one, which a quantum computer does not open.
    X25519MlKem768,
    X25519,
    Secp256r1,
    Secp384r1,
    /// One that this table does not know yet.
    Other,
}

impl TlsVersion {
    const ALL: [Self; 2] = [Self::Tls12, Self::Tls13];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Tls12 => "TLSv1_2",
            Self::Tls13 => "TLSv1_3",
        }
    }
}

impl KeyExchange {
    const ALL: [Self; 5] = [
        Self::X25519MlKem768,
        Self::X25519,
        Self::Secp256r1,
        Self::Secp384r1,
        Self::Other,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::X25519MlKem768 => "X25519MLKEM768",
            Self::X25519 => "X25519",
            Self::Secp256r1 => "secp256r1",
            Self::Secp384r1 => "secp384r1",
            Self::Other => "other",
        }
    }
}

impl Negotiated {
    /// What was agreed on; to be asked when the handshake is done.
    pub(crate) fn of(tls: &CommonState) -> Self {
        let version = match tls.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => TlsVersion::Tls12,
            _ => TlsVersion::Tls13,
        };
        let group = tls.negotiated_key_exchange_group();
        let group = match group.map(rustls::crypto::SupportedKxGroup::name) {
            Some(NamedGroup::X25519MLKEM768) => KeyExchange::X25519MlKem768,
            Some(NamedGroup::X25519) => KeyExchange::X25519,
            Some(NamedGroup::secp256r1) => KeyExchange::Secp256r1,
            Some(NamedGroup::secp384r1) => KeyExchange::Secp384r1,
            Some(_) | None => KeyExchange::Other,
        };
        Self {
            version,
            group,
            resumed: tls.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }
}

/// How many connections agreed on what.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally([[Count; KeyExchange::ALL.len()]; TlsVersion::ALL.len()]);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    live: u64,
    total: u64,
    resumed: u64,
}

impl Tally {
    /// A connection begins.
    pub(crate) fn begin(&mut self, negotiated: Negotiated) {
        let count = self.count(negotiated);
        count.live += 1;
        count.total += 1;
        count.resumed += u64::from(negotiated.resumed);
    }

    /// It has ended.
    pub(crate) fn end(&mut self, negotiated: Negotiated) {
        let count = self.count(negotiated);
        count.live = count.live.saturating_sub(1);
    }

    fn count(&mut self, negotiated: Negotiated) -> &mut Count {
        &mut self.0[negotiated.version as usize][negotiated.group as usize]
    }

    fn counts(&self) -> impl Iterator<Item = (Labels, Count)> {
        let of_version = |(version, row): (TlsVersion, &[Count; KeyExchange::ALL.len()])| {
            let cells = KeyExchange::ALL.into_iter().zip(*row);
            cells.map(move |(group, count)| {
                let labels = Labels {
                    tls_version: version.as_str(),
                    group: group.as_str(),
                };
                (labels, count)
            })
        };
        TlsVersion::ALL
            .into_iter()
            .zip(&self.0)
            .flat_map(of_version)
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Labels {
    tls_version: &'static str,
    group: &'static str,
}

/// The tally where metrics are read.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsMetrics {
    live: Family<Labels, Gauge>,
    total: Family<Labels, Counter>,
    resumed: Family<Labels, Counter>,
}

impl TlsMetrics {
    pub(crate) fn register(&self, metrics: &Metrics) {
        metrics.register(|registry| {
            registry.register(
                "broker_tls_connections",
                "MQTT connections by TLS version and key exchange group",
                self.live.clone(),
            );
            registry.register(
                "broker_tls_handshakes",
                "TLS handshakes of MQTT connections that were taken in",
                self.total.clone(),
            );
            registry.register(
                "broker_tls_resumptions",
                "Those of them that resumed an earlier session",
                self.resumed.clone(),
            );
        });
        self.set(&Tally::default());
    }

    /// Copies the tally.
    pub(crate) fn set(&self, tally: &Tally) {
        for (labels, count) in tally.counts() {
            let live = i64::try_from(count.live).unwrap_or(i64::MAX);
            self.live.get_or_create(&labels).set(live);
            for (family, value) in [(&self.total, count.total), (&self.resumed, count.resumed)] {
                let counter = family.get_or_create(&labels);
                counter.inner().store(value, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests;
