//! The list of settings: key, default, what it is.

use std::collections::BTreeMap;
use std::path::Path;

use toml::{Table, Value};

/// One setting.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// Dotted key, as in the file; the environment variable is `PALISADE_` and the key in upper
    /// case with `_` for `.`.
    pub(crate) key: String,
    /// Its default, which also fixes its type.
    pub(crate) default: Value,
    /// One line, with the unit.
    pub(crate) help: &'static str,
}

/// Settings that are text: key, default, what it is. The data directory's default is made of the
/// home directory.
const TEXTS: [(&str, &str, &str); 15] = [
    (
        "account_id",
        "000000000000",
        "the account served; fixed at first start",
    ),
    (
        "region",
        "us-east-1",
        "the region answered to; fixed at first start",
    ),
    (
        "profile",
        "standard",
        "`standard`, or `aws` for AWS's limits and deviations",
    ),
    (
        "database",
        "",
        "sqlite:PATH or postgres://…; empty: palisade.db in the data dir",
    ),
    (
        "master_key_file",
        "",
        "hexadecimal, mode 0600; empty: master.key in the data dir",
    ),
    (
        "hosts",
        "",
        "names and addresses of the server certificate, comma separated; empty: own",
    ),
    (
        "advertise",
        "localhost",
        "the host name that DescribeEndpoint answers",
    ),
    ("listen.mqtt", "0.0.0.0:8883", "MQTT over mutual TLS"),
    (
        "listen.device",
        "0.0.0.0:443",
        "MQTT and HTTPS told apart by ALPN",
    ),
    ("listen.https", "0.0.0.0:8443", "HTTPS over mutual TLS"),
    (
        "listen.control",
        "0.0.0.0:9443",
        "the control plane: every AWS API, SigV4",
    ),
    (
        "listen.operator",
        "127.0.0.1:9600",
        "/livez, /readyz, /metrics",
    ),
    ("log.format", "plain", "`plain` or `json`"),
    (
        "log.level",
        "info",
        "error, warn, info, debug, trace, or a filter per module",
    ),
    (
        "device_keys",
        "rsa-2048",
        "what CreateKeysAndCertificate makes: rsa-2048 or ecdsa-p256",
    ),
];

fn known(key: &str, default: Value, help: &'static str) -> Known {
    Known {
        key: key.to_owned(),
        default,
        help,
    }
}

/// Every setting.
pub(crate) fn all(home: &Path) -> Vec<Known> {
    let data_dir = Value::String(home.join(".palisade").display().to_string());
    let help = "where everything is kept; created with mode 0700";
    let mut all = vec![known("data_dir", data_dir, help)];
    for (key, default, help) in TEXTS {
        all.push(known(key, Value::String(default.to_owned()), help));
    }
    let help = "whether DescribeEndpoint names the port when it is not 443";
    all.push(known("endpoint_with_port", Value::Boolean(false), help));
    let help = "disk space kept for revocation on a full disk, MiB";
    all.push(known("disk.reserve_mib", Value::Integer(16), help));
    let help = "free disk space below which ordinary writes are refused, MiB";
    all.push(known("disk.floor_mib", Value::Integer(64), help));
    all.extend(of_the_broker());
    all.extend(of_the_registry());
    all
}

/// The fields of the broker's own struct, read off its defaults.
fn of_the_broker() -> impl Iterator<Item = Known> {
    let defaults = Table::try_from(broker::BrokerConfig::default()).unwrap_or_default();
    let all = of_a_section(
        "broker",
        &defaults,
        "a limit of the broker; see docs/settings.md",
    );
    // Where the broker listens is said once, below `listen.`.
    all.filter(|known| !known.key.ends_with("_listen"))
}

/// The fields of the registry's own struct, read off its defaults.
fn of_the_registry() -> impl Iterator<Item = Known> {
    let defaults = Table::try_from(registry::RegistryConfig::default()).unwrap_or_default();
    let help = "a limit of the registry; see docs/settings.md";
    of_a_section("registry", &defaults, help)
}

fn of_a_section(
    name: &str,
    defaults: &Table,
    help: &'static str,
) -> impl Iterator<Item = Known> + use<> {
    let mut flat = BTreeMap::new();
    super::overlay::flatten(name, defaults, &mut flat);
    flat.into_iter()
        .map(move |(key, default)| Known { key, default, help })
}
