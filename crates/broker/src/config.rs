//! The broker's settings.
//!
//! Every quota of AWS IoT is a setting that takes `"off"`, `"aws"` or a number; left out, the
//! profile decides. `"off"` lifts AWS's quota, never the structural bound that protects memory.
//!
//! Source: contract core, `[G-2]`, sections 2 and 15.

#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};

use model::Quota;
use serde::{Deserialize, Serialize};

/// The broker's section of the configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BrokerConfig {
    /// Where MQTT over mutual TLS binds. Default `0.0.0.0:8883`; port 0 takes any free one.
    pub mqtt_listen: SocketAddr,
    /// Where the port that chooses by ALPN binds (MQTT and HTTPS, with and without a client
    /// certificate). Default `0.0.0.0:443`.
    pub alpn_listen: SocketAddr,
    /// Where HTTPS over mutual TLS binds. Default `0.0.0.0:8443`.
    pub https_listen: SocketAddr,

    /// Connections at once, MQTT and HTTPS together; further ones are closed unanswered.
    /// 1 to 1,000,000. Default 100,000.
    pub connections_max: u32,
    /// TLS handshakes at once; further ones wait in the kernel's backlog. An address that has more
    /// under way than are free is closed unanswered. 1 to 65,536. Default 256.
    pub handshakes_max: u32,
    /// Time for a TLS handshake, in milliseconds. 100 to 120,000. Default 10,000.
    pub handshake_timeout_ms: u32,
    /// Time from TLS to a whole CONNECT, in milliseconds. 100 to 120,000. Default 10,000.
    pub connect_timeout_ms: u32,
    /// Connections accepted from one address per second, with one second's worth of burst;
    /// further ones are closed unanswered. 1 to 1,000,000. Default 1,000.
    pub accepts_per_address_s: u32,
    /// MQTT connections at once with one certificate; further ones are closed unanswered. 1 to
    /// 1,000,000. Default 1,000.
    pub connections_per_principal_max: u32,
    /// MQTT connections with one certificate per second, with one second's worth of burst; further
    /// ones are closed unanswered. 1 to 1,000,000. Default 100.
    pub connects_per_principal_s: u32,
    /// Packets of one connection per second, with one second's worth of burst; beyond that the
    /// connection is not read until it is within the rate. `off` or 1 to 4,294,967,294. Default
    /// off.
    pub packets_per_s: Quota,
    /// Bytes of packets of one connection per second; as above. `off` or 1,024 to 4,294,967,294.
    /// Default off.
    pub bytes_per_s: Quota,

    /// Bytes waiting for one client's socket before it is cut as too slow. 65,536 to
    /// 1,073,741,824. Default 4,194,304.
    pub output_bytes_max: u32,
    /// Bytes waiting for the sockets of all clients. Above half of it QoS 0 is dropped for those
    /// for whom more than 64 KiB wait; above it, for all, and those for whom most waits are cut
    /// as too slow. 1,048,576 to 1,099,511,627,776. Default 268,435,456.
    pub output_bytes_total_max: u64,
    /// A client whose socket takes nothing for this long while bytes wait is cut, in milliseconds.
    /// 100 to 600,000. Default 20,000.
    pub write_timeout_ms: u32,
    /// Largest packet, either way. `aws`: 149,504. Default in `standard`: 1,048,576.
    pub packet_bytes: Quota,
    /// Largest payload. `aws`: 131,072. Default in `standard`: off, the packet is the bound.
    pub payload_bytes: Quota,
    /// Longest topic or filter. `aws`: 256. Default in `standard`: 4,096.
    pub topic_bytes: Quota,
    /// Levels of a topic or filter. `aws`: 8. Default in `standard`: 128.
    pub topic_levels: Quota,
    /// Filters in one SUBSCRIBE or UNSUBSCRIBE. `aws`: 8. Default in `standard`: 1,024.
    pub filters_per_packet: Quota,
    /// Subscriptions of one session. `aws`: 50. Default in `standard`: 10,000.
    pub subscriptions_per_session: Quota,
    /// Publishes of one connection per second. `aws`: 100. Default in `standard`: off.
    pub publishes_per_s: Quota,
    /// Bytes of publishes of one connection per second. `aws`: 524,288. Default in `standard`:
    /// off.
    pub publish_bytes_per_s: Quota,
    /// CONNECTs of one client id per second. `aws`: 1. Default in `standard`: off.
    pub connects_per_client_s: Quota,
    /// Unacknowledged publishes a client may have towards us. `aws`: 100. Default in
    /// `standard`: 1,000.
    pub receive_maximum: Quota,
    /// Unacknowledged publishes we have towards a client, whatever more it allows. `aws`: 100.
    /// Default in `standard`: 1,000.
    pub inflight_max: Quota,
    /// Topic aliases a version 5 client may use, and the most that are used towards it. `aws`: 8.
    /// Default in `standard`: 64.
    pub topic_alias_max: Quota,

    /// Session expiry of version 3.1.1 clients that do not ask for a clean session, in seconds.
    /// 1 to `session_expiry_max_s`. Default 3,600.
    pub session_expiry_v3_s: u32,
    /// Longest session expiry, in seconds. 1 to 31,536,000. Default 604,800 (7 days).
    pub session_expiry_max_s: u32,
    /// Stored sessions, connected or not; a further CONNECT that would store one is refused
    /// (quota exceeded). 1 to 10,000,000. Default 1,000,000.
    pub sessions_max: u32,
    /// Subscriptions of all sessions; a further one is refused (quota exceeded). 1 to 100,000,000.
    /// Default 10,000,000.
    pub subscriptions_max: u32,
    /// Messages waiting for one session or one shared subscription; further ones are dropped.
    /// 1 to 1,000,000. Default 10,000.
    pub queue_messages_max: u32,
    /// Bytes of all waiting messages, each counted once; further ones are dropped for those who
    /// would have to wait. 1,048,576 to 1,099,511,627,776. Default 268,435,456.
    pub queue_bytes_max: u64,
    /// Retained messages; a further topic is refused (quota exceeded). 1 to 100,000,000.
    /// Default 1,000,000.
    pub retained_max: u32,
    /// Bytes of all retained messages. 1,048,576 to 1,099,511,627,776. Default 268,435,456.
    pub retained_bytes_max: u64,
    /// Writes that wait for the database before packets that may add to them (CONNECT, SUBSCRIBE,
    /// UNSUBSCRIBE, a retained message, QoS 1 and 2) are no longer read. 16 to 1,000,000.
    /// Default 8,192.
    pub store_backlog_max: u32,

    /// Whether `a/#` also selects `a`: `"yes"`, `"no"`, or as the profile (`standard` yes, `aws`
    /// no), which is the default.
    pub hash_matches_parent: Choice,
    /// Whether wildcard filters get retained messages: `"yes"`, `"no"`, or as the profile
    /// (`standard` yes, `aws` no), which is the default.
    pub retained_on_wildcard: Choice,
    /// What a version 3.1.1 client sees when policy denies its CONNECT: CONNACK 0x05, or just
    /// the close. Default `connack`.
    pub v3_connect_denied: ConnectDenied,
    /// A change of access that could not be applied to a live session within this time ends the
    /// session, in milliseconds. 10 to 60,000. Default 1,000.
    pub review_timeout_ms: u32,
}

/// A behaviour in which the profiles differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// As the profile says.
    #[default]
    Profile,
    /// On.
    Yes,
    /// Off.
    No,
}

impl Choice {
    pub(crate) fn resolve(self, profile: bool) -> bool {
        match self {
            Self::Profile => profile,
            Self::Yes => true,
            Self::No => false,
        }
    }
}

/// What a refused version 3.1.1 client sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConnectDenied {
    /// CONNACK 0x05, then the close.
    #[default]
    Connack,
    /// The close alone.
    Close,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        let any = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        Self {
            mqtt_listen: any(8883),
            alpn_listen: any(443),
            https_listen: any(8443),
            connections_max: 100_000,
            handshakes_max: 256,
            handshake_timeout_ms: 10_000,
            connect_timeout_ms: 10_000,
            accepts_per_address_s: 1000,
            connections_per_principal_max: 1000,
            connects_per_principal_s: 100,
            packets_per_s: Quota::Profile,
            bytes_per_s: Quota::Profile,
            output_bytes_max: 4 << 20,
            output_bytes_total_max: 256 << 20,
            write_timeout_ms: 20_000,
            packet_bytes: Quota::Profile,
            payload_bytes: Quota::Profile,
            topic_bytes: Quota::Profile,
            topic_levels: Quota::Profile,
            filters_per_packet: Quota::Profile,
            subscriptions_per_session: Quota::Profile,
            publishes_per_s: Quota::Profile,
            publish_bytes_per_s: Quota::Profile,
            connects_per_client_s: Quota::Profile,
            receive_maximum: Quota::Profile,
            inflight_max: Quota::Profile,
            topic_alias_max: Quota::Profile,
            session_expiry_v3_s: 3600,
            session_expiry_max_s: 604_800,
            sessions_max: 1_000_000,
            subscriptions_max: 10_000_000,
            queue_messages_max: 10_000,
            queue_bytes_max: 256 << 20,
            retained_max: 1_000_000,
            retained_bytes_max: 256 << 20,
            store_backlog_max: 8192,
            hash_matches_parent: Choice::Profile,
            retained_on_wildcard: Choice::Profile,
            v3_connect_denied: ConnectDenied::Connack,
            review_timeout_ms: 1000,
        }
    }
}
