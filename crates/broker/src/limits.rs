//! The limits in force: what follows from the settings and the profile.
//!
//! Every quota of AWS IoT resolves here to a number, within a structural bound that protects
//! memory in every profile.
//!
//! Source: contract core, `[G-2]`, sections 2 and 15.

use std::num::NonZeroU16;
use std::time::Duration;

use model::{OutOfRange, Profile, Quota, QuotaRule};
use mqtt::TopicLimits;
use mqtt::session::ExpiryLimits;

use crate::config::{BrokerConfig, ConnectDenied};

/// The limits in force: the settings, with every quota resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The profile they were resolved for.
    pub profile: Profile,
    /// See [`BrokerConfig::connections_max`].
    pub connections_max: usize,
    /// See [`BrokerConfig::connections_per_principal_max`].
    pub connections_per_principal_max: usize,
    /// See [`BrokerConfig::connects_per_principal_s`].
    pub connects_per_principal_s: u32,
    /// See [`BrokerConfig::packets_per_s`]; `None` is no limit.
    pub packets_per_s: Option<u32>,
    /// See [`BrokerConfig::bytes_per_s`]; `None` is no limit.
    pub bytes_per_s: Option<u32>,
    /// See [`BrokerConfig::connect_timeout_ms`].
    pub connect_timeout: Duration,
    /// See [`BrokerConfig::output_bytes_max`].
    pub output_bytes_max: usize,
    /// See [`BrokerConfig::output_bytes_total_max`].
    pub output_bytes_total_max: u64,
    /// See [`BrokerConfig::packet_bytes`].
    pub packet_bytes_max: u32,
    /// See [`BrokerConfig::payload_bytes`].
    pub payload_bytes_max: usize,
    /// See [`BrokerConfig::topic_bytes`].
    pub topic_bytes_max: usize,
    /// See [`BrokerConfig::topic_levels`].
    pub topic_levels_max: usize,
    /// See [`BrokerConfig::filters_per_packet`].
    pub filters_per_packet_max: usize,
    /// See [`BrokerConfig::subscriptions_per_session`].
    pub subscriptions_max: usize,
    /// See [`BrokerConfig::subscriptions_max`].
    pub subscriptions_total_max: usize,
    /// See [`BrokerConfig::publishes_per_s`]; `None` is no limit.
    pub publishes_per_s: Option<u32>,
    /// See [`BrokerConfig::publish_bytes_per_s`]; `None` is no limit.
    pub publish_bytes_per_s: Option<u32>,
    /// See [`BrokerConfig::connects_per_client_s`]; `None` is no limit.
    pub connects_per_client_s: Option<u32>,
    /// See [`BrokerConfig::receive_maximum`].
    pub receive_maximum: u16,
    /// See [`BrokerConfig::inflight_max`].
    pub inflight_max: u16,
    /// See [`BrokerConfig::topic_alias_max`].
    pub topic_alias_max: u16,
    /// Shortest and longest keep alive in seconds, and whether 0 switches it off.
    pub keep_alive: KeepAliveRange,
    /// Whether QoS 2 is served.
    pub qos2: bool,
    /// Whether subscription identifiers are served.
    pub subscription_identifiers: bool,
    /// See [`BrokerConfig::session_expiry_v3_s`].
    pub session_expiry_v3_s: u32,
    /// See [`BrokerConfig::session_expiry_max_s`].
    pub session_expiry_max_s: u32,
    /// See [`BrokerConfig::store_backlog_max`].
    pub store_backlog_max: u64,
    /// See [`BrokerConfig::sessions_max`].
    pub sessions_max: usize,
    /// See [`BrokerConfig::queue_messages_max`].
    pub queue_messages_max: usize,
    /// See [`BrokerConfig::queue_bytes_max`].
    pub queue_bytes_max: u64,
    /// See [`BrokerConfig::retained_max`].
    pub retained_max: usize,
    /// See [`BrokerConfig::retained_bytes_max`].
    pub retained_bytes_max: u64,
    /// See [`BrokerConfig::hash_matches_parent`].
    pub hash_matches_parent: bool,
    /// See [`BrokerConfig::retained_on_wildcard`].
    pub retained_on_wildcard: bool,
    /// See [`BrokerConfig::v3_connect_denied`].
    pub v3_connect_denied: ConnectDenied,
    /// Message expiry intervals that publishers may ask for.
    // spec aws-iot [MQ-81]
    pub message_expiry: ExpiryLimits,
    /// Keys and values of all user properties of one packet, in bytes.
    // spec aws-iot [MQ-83]
    pub user_property_bytes_max: usize,
    /// A client id whose session is another owner's is refused, live or waiting, rather than taken.
    // spec aws-iot [MQ-11]
    pub refuse_other_owner: bool,
    /// A lost permission to connect ends the connection.
    // spec aws-iot [PL-52]
    pub recheck_connect: bool,
}

impl Limits {
    /// What a client's packets may be and cost.
    pub(crate) fn decode(&self) -> mqtt::Limits {
        mqtt::Limits {
            sender: mqtt::Sender::Client,
            packet_bytes_max: bound(self.packet_bytes_max),
            filters_max: self.filters_per_packet_max,
            user_property_bytes_max: self.user_property_bytes_max,
            topic: TopicLimits {
                bytes_max: self.topic_bytes_max,
                levels_max: self.topic_levels_max,
            },
        }
    }

    /// Whether a connection is read no faster than at some rate.
    pub(crate) fn has_pace(&self) -> bool {
        self.packets_per_s.is_some() || self.bytes_per_s.is_some()
    }

    /// Receive Maximum and Topic Alias Maximum that clients are told.
    pub(crate) fn inbound(&self) -> (NonZeroU16, u16) {
        let receive_maximum = NonZeroU16::new(self.receive_maximum).unwrap_or(NonZeroU16::MIN);
        (receive_maximum, self.topic_alias_max)
    }
}

/// What keep alive a client may have.
// spec aws-iot [MQ-13]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAliveRange {
    /// Shortest, in seconds.
    pub min_s: u16,
    /// Longest, in seconds.
    pub max_s: u16,
    /// Whether 0 switches the check off; otherwise 0 means the longest.
    pub may_be_off: bool,
}

impl KeepAliveRange {
    /// The effective keep alive for what a client asked; 0 is none.
    pub fn effective(self, asked_s: u16) -> u16 {
        match asked_s {
            0 if self.may_be_off => 0,
            0 => self.max_s,
            asked => asked.clamp(self.min_s, self.max_s),
        }
    }
}

fn rate(rule: &QuotaRule, quota: Quota, profile: Profile) -> Result<Option<u32>, OutOfRange> {
    let value = rule.resolve(quota, profile)?;
    // The structural bound itself is no limit.
    Ok((value < rule.max).then(|| u32::try_from(value).unwrap_or(u32::MAX)))
}

fn size(rule: &QuotaRule, quota: Quota, profile: Profile) -> Result<usize, OutOfRange> {
    Ok(usize::try_from(rule.resolve(quota, profile)?).unwrap_or(usize::MAX))
}

fn count(rule: &QuotaRule, quota: Quota, profile: Profile) -> Result<u16, OutOfRange> {
    Ok(u16::try_from(rule.resolve(quota, profile)?).unwrap_or(u16::MAX))
}

const fn rule(field: &'static str, aws: u64, standard: u64, min: u64, max: u64) -> QuotaRule {
    QuotaRule {
        field,
        aws,
        standard,
        min,
        max,
    }
}

// spec aws-iot [MQ-14], [MQ-30], [MQ-35], [MQ-40], [MQ-80]: AWS's values.
const PACKET: QuotaRule = rule("packet_bytes", 149_504, 1 << 20, 1024, 268_435_455);
const PAYLOAD: QuotaRule = rule("payload_bytes", 131_072, 268_435_455, 1024, 268_435_455);
const TOPIC_BYTES: QuotaRule = rule("topic_bytes", 256, 4096, 1, 65_535);
const TOPIC_LEVELS: QuotaRule = rule("topic_levels", 8, 128, 1, 128);
const FILTERS: QuotaRule = rule("filters_per_packet", 8, 1024, 1, 65_535);
const SUBSCRIPTIONS: QuotaRule = rule("subscriptions_per_session", 50, 10_000, 1, 1_000_000);
const PUBLISHES: QuotaRule = rule("publishes_per_s", 100, RATE_OFF, 1, RATE_OFF);
const PUBLISH_BYTES: QuotaRule = rule("publish_bytes_per_s", 524_288, RATE_OFF, 1024, RATE_OFF);
// Of ours, not AWS's: off in both profiles.
const PACKETS: QuotaRule = rule("packets_per_s", RATE_OFF, RATE_OFF, 1, RATE_OFF);
const BYTES: QuotaRule = rule("bytes_per_s", RATE_OFF, RATE_OFF, 1024, RATE_OFF);
const CONNECTS: QuotaRule = rule("connects_per_client_s", 1, RATE_OFF, 1, RATE_OFF);
const RECEIVE: QuotaRule = rule("receive_maximum", 100, 1000, 1, 65_535);
const INFLIGHT: QuotaRule = rule("inflight_max", 100, 1000, 1, 65_535);
const ALIASES: QuotaRule = rule("topic_alias_max", 8, 64, 0, 1024);
const RATE_OFF: u64 = 4_294_967_295;

impl BrokerConfig {
    /// Checks every setting and resolves every quota.
    ///
    /// # Errors
    /// The first setting outside its range.
    pub fn limits(&self, profile: Profile) -> Result<Limits, OutOfRange> {
        self.check_ranges()?;
        let aws = profile == Profile::Aws;
        let size = |rule: &QuotaRule, quota| size(rule, quota, profile);
        let rate = |rule: &QuotaRule, quota| rate(rule, quota, profile);
        let count = |rule: &QuotaRule, quota| count(rule, quota, profile);
        Ok(Limits {
            profile,
            connections_max: bound(self.connections_max),
            connections_per_principal_max: bound(self.connections_per_principal_max),
            connects_per_principal_s: self.connects_per_principal_s,
            packets_per_s: rate(&PACKETS, self.packets_per_s)?,
            bytes_per_s: rate(&BYTES, self.bytes_per_s)?,
            connect_timeout: Duration::from_millis(self.connect_timeout_ms.into()),
            output_bytes_max: bound(self.output_bytes_max),
            output_bytes_total_max: self.output_bytes_total_max,
            packet_bytes_max: u32::try_from(PACKET.resolve(self.packet_bytes, profile)?)
                .unwrap_or(u32::MAX),
            payload_bytes_max: size(&PAYLOAD, self.payload_bytes)?,
            topic_bytes_max: size(&TOPIC_BYTES, self.topic_bytes)?,
            topic_levels_max: size(&TOPIC_LEVELS, self.topic_levels)?,
            filters_per_packet_max: size(&FILTERS, self.filters_per_packet)?,
            subscriptions_max: size(&SUBSCRIPTIONS, self.subscriptions_per_session)?,
            subscriptions_total_max: bound(self.subscriptions_max),
            publishes_per_s: rate(&PUBLISHES, self.publishes_per_s)?,
            publish_bytes_per_s: rate(&PUBLISH_BYTES, self.publish_bytes_per_s)?,
            connects_per_client_s: rate(&CONNECTS, self.connects_per_client_s)?,
            receive_maximum: count(&RECEIVE, self.receive_maximum)?,
            inflight_max: count(&INFLIGHT, self.inflight_max)?,
            topic_alias_max: count(&ALIASES, self.topic_alias_max)?,
            keep_alive: KeepAliveRange {
                min_s: if aws { 30 } else { 1 },
                max_s: if aws { 1200 } else { u16::MAX },
                may_be_off: !aws,
            },
            qos2: !aws,
            subscription_identifiers: !aws,
            session_expiry_v3_s: self.session_expiry_v3_s,
            session_expiry_max_s: self.session_expiry_max_s,
            store_backlog_max: self.store_backlog_max.into(),
            sessions_max: bound(self.sessions_max),
            queue_messages_max: bound(self.queue_messages_max),
            queue_bytes_max: self.queue_bytes_max,
            retained_max: bound(self.retained_max),
            retained_bytes_max: self.retained_bytes_max,
            hash_matches_parent: self.hash_matches_parent.resolve(!aws),
            retained_on_wildcard: self.retained_on_wildcard.resolve(!aws),
            v3_connect_denied: self.v3_connect_denied,
            message_expiry: if aws {
                ExpiryLimits::AWS
            } else {
                ExpiryLimits::STANDARD
            },
            user_property_bytes_max: if aws { 8 * 1024 } else { 64 * 1024 },
            refuse_other_owner: !aws,
            recheck_connect: !aws,
        })
    }

    fn check_ranges(&self) -> Result<(), OutOfRange> {
        const MIB: u64 = 1 << 20;
        const TIB: u64 = 1 << 40;
        #[rustfmt::skip]
        let ranges = [
            ("connections_max", self.connections_max.into(), 1, 1_000_000),
            ("handshakes_max", self.handshakes_max.into(), 1, 65_536),
            ("handshake_timeout_ms", self.handshake_timeout_ms.into(), 100, 120_000),
            ("connect_timeout_ms", self.connect_timeout_ms.into(), 100, 120_000),
            ("accepts_per_address_s", self.accepts_per_address_s.into(), 1, 1_000_000),
            ("connections_per_principal_max", self.connections_per_principal_max.into(), 1, 1_000_000),
            ("connects_per_principal_s", self.connects_per_principal_s.into(), 1, 1_000_000),
            ("output_bytes_total_max", self.output_bytes_total_max, MIB, TIB),
            ("output_bytes_max", self.output_bytes_max.into(), 65_536, 1 << 30),
            ("write_timeout_ms", self.write_timeout_ms.into(), 100, 600_000),
            ("session_expiry_max_s", self.session_expiry_max_s.into(), 1, 31_536_000),
            ("session_expiry_v3_s", self.session_expiry_v3_s.into(), 1, self.session_expiry_max_s.into()),
            ("sessions_max", self.sessions_max.into(), 1, 10_000_000),
            ("subscriptions_max", self.subscriptions_max.into(), 1, 100_000_000),
            ("queue_messages_max", self.queue_messages_max.into(), 1, 1_000_000),
            ("queue_bytes_max", self.queue_bytes_max, MIB, TIB),
            ("retained_max", self.retained_max.into(), 1, 100_000_000),
            ("retained_bytes_max", self.retained_bytes_max, MIB, TIB),
            ("store_backlog_max", self.store_backlog_max.into(), 16, 1_000_000),
            ("review_timeout_ms", self.review_timeout_ms.into(), 10, 60_000),
        ];
        for (field, value, min, max) in ranges {
            OutOfRange::check(field, value, min, max)?;
        }
        Ok(())
    }
}

fn bound(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
