use model::Profile;

use super::*;

fn parse(text: &str) -> Result<BrokerConfig, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

#[track_caller]
fn check(text: &str, profile: Profile, expected: Result<(u32, Option<u32>), &str>) {
    let limits =
        parse(text).and_then(|config| config.limits(profile).map_err(|error| error.to_string()));
    let found = limits.map(|limits| (limits.packet_bytes_max, limits.publishes_per_s));
    match (found, expected) {
        (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
        (Err(found), Err(expected)) => assert!(found.contains(expected), "{text}: {found}"),
        (found, expected) => panic!("{text}: {found:?}, not {expected:?}"),
    }
}

// tests aws-iot [G-2]
#[test]
fn a_quota_is_off_aws_or_a_number() {
    use Profile::{Aws, Standard};
    check("{}", Standard, Ok((1 << 20, None)));
    check("{}", Aws, Ok((149_504, Some(100))));
    check(
        r#"{"packet_bytes":"aws","publishes_per_s":"aws"}"#,
        Standard,
        Ok((149_504, Some(100))),
    );
    check(
        r#"{"packet_bytes":"off","publishes_per_s":"off"}"#,
        Aws,
        Ok((268_435_455, None)),
    );
    check(
        r#"{"packet_bytes":"profile"}"#,
        Aws,
        Ok((149_504, Some(100))),
    );
    check(
        r#"{"packet_bytes":1024,"publishes_per_s":7}"#,
        Aws,
        Ok((1024, Some(7))),
    );
    check(
        r#"{"packet_bytes":1023}"#,
        Aws,
        Err("`packet_bytes` is 1023; it must be 1024 to"),
    );
    check(
        r#"{"packet_bytes":268435456}"#,
        Aws,
        Err("`packet_bytes` is 268435456"),
    );
    check(
        r#"{"packet_bytes":"most"}"#,
        Aws,
        Err("`most` is not a quota"),
    );
    check(
        r#"{"packet_bites":1}"#,
        Aws,
        Err("unknown field `packet_bites`"),
    );
    check(
        r#"{"connections_max":0}"#,
        Standard,
        Err("`connections_max` is 0; it must be 1"),
    );
    check(
        r#"{"session_expiry_max_s":60,"session_expiry_v3_s":61}"#,
        Standard,
        Err("`session_expiry_v3_s` is 61; it must be 1 to 60"),
    );
}

#[test]
fn what_is_written_is_read_back() {
    let config = BrokerConfig {
        topic_bytes: Quota::At(300),
        topic_levels: Quota::Off,
        filters_per_packet: Quota::Aws,
        ..BrokerConfig::default()
    };
    let text = serde_json::to_string(&config).expect("settings are plain data");
    assert_eq!(parse(&text), Ok(config));
}

// tests aws-iot [MQ-13]
#[test]
fn keep_alive_is_brought_into_the_profiles_range() {
    let range = |profile| {
        let limits = BrokerConfig::default().limits(profile);
        limits.expect("defaults are in range").keep_alive
    };
    for (profile, asked, effective) in [
        (Profile::Aws, 0, 1200),
        (Profile::Aws, 1, 30),
        (Profile::Aws, 29, 30),
        (Profile::Aws, 30, 30),
        (Profile::Aws, 1200, 1200),
        (Profile::Aws, 1201, 1200),
        (Profile::Standard, 0, 0),
        (Profile::Standard, 1, 1),
        (Profile::Standard, u16::MAX, u16::MAX),
    ] {
        assert_eq!(
            range(profile).effective(asked),
            effective,
            "{profile:?} {asked}"
        );
    }
}

/// The least and the most of each bound, and one beyond either.
#[test]
fn bounds_have_two_ends() {
    const MIB: u64 = 1 << 20;
    const TIB: u64 = 1 << 40;
    for (field, min, max) in [
        ("connections_max", 1, 1_000_000),
        ("connections_per_principal_max", 1, 1_000_000),
        ("connects_per_principal_s", 1, 1_000_000),
        ("accepts_per_address_s", 1, 1_000_000),
        ("handshakes_max", 1, 65_536),
        ("handshake_timeout_ms", 100, 120_000),
        ("connect_timeout_ms", 100, 120_000),
        ("packets_per_s", 1, 4_294_967_295),
        ("bytes_per_s", 1024, 4_294_967_295),
        ("output_bytes_max", 65_536, 1 << 30),
        ("output_bytes_total_max", MIB, TIB),
        ("write_timeout_ms", 100, 600_000),
        ("sessions_max", 1, 10_000_000),
        ("subscriptions_max", 1, 100_000_000),
        ("queue_messages_max", 1, 1_000_000),
        ("queue_bytes_max", MIB, TIB),
        ("retained_max", 1, 100_000_000),
        ("retained_bytes_max", MIB, TIB),
        ("store_backlog_max", 16, 1_000_000),
        ("review_timeout_ms", 10, 60_000),
    ] {
        for (value, fits) in [(min - 1, false), (min, true), (max, true), (max + 1, false)] {
            let config = parse(&format!(r#"{{"{field}":{value}}}"#));
            let limits = config.and_then(|config| {
                let limits = config.limits(Profile::Standard);
                limits.map_err(|error| error.to_string())
            });
            assert_eq!(limits.is_ok(), fits, "{field} at {value}: {limits:?}");
        }
    }
}

#[test]
fn the_pace_is_off_unless_it_is_a_number() {
    for (text, expected) in [
        ("{}", (None, None)),
        (
            r#"{"packets_per_s":"aws","bytes_per_s":"off"}"#,
            (None, None),
        ),
        (r#"{"packets_per_s":7}"#, (Some(7), None)),
        (r#"{"bytes_per_s":2048}"#, (None, Some(2048))),
    ] {
        for profile in [Profile::Standard, Profile::Aws] {
            let limits = parse(text).expect("settings").limits(profile);
            let limits = limits.expect("in range");
            let found = (limits.packets_per_s, limits.bytes_per_s);
            assert_eq!(found, expected, "{text} {profile:?}");
            assert_eq!(limits.has_pace(), expected != (None, None));
        }
    }
}
