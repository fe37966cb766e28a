//! Settings: where each value comes from and what it is.
//!
//! A value is a flag over an environment variable over the file over the default, and
//! [`Resolved`] remembers which it was, so that `palisade config explain` can say so. Nothing
//! below this module reads the environment or a settings file.
//!
//! The broker's settings are the fields of `broker::BrokerConfig`: its defaults, serialised, give
//! the known keys below `broker.`, so that a new field there is a setting here at once. The same
//! holds for `registry::RegistryConfig` and `registry.`.

mod known;
mod overlay;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use model::{AccountId, Profile, Region};
use toml::{Table, Value};

use overlay::Values;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A flag of this call.
    Flag,
    /// The environment variable of this name.
    Environment(String),
    /// The settings file.
    File(PathBuf),
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => out.write_str("flag"),
            Self::Environment(name) => write!(out, "environment {name}"),
            Self::File(path) => write!(out, "file {}", path.display()),
            Self::Default => out.write_str("default"),
        }
    }
}

/// Every known key with its value and its origin.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    values: Values,
    help: BTreeMap<String, &'static str>,
}

/// What the three sources say, before they are laid over each other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    /// `key=value` of flags.
    pub(crate) flags: Vec<(String, String)>,
    /// The whole environment, as a map, so that tests need not touch the real one.
    pub(crate) environment: BTreeMap<String, String>,
    /// `--config FILE`.
    pub(crate) file: Option<PathBuf>,
}

impl Resolved {
    /// Lays flags over environment over file over defaults.
    ///
    /// # Errors
    /// An unknown key, a value of the wrong type, an unreadable file: each names its place.
    pub(crate) fn resolve(sources: &Sources) -> Result<Self> {
        let home = sources
            .environment
            .get("HOME")
            .map(String::as_str)
            .unwrap_or(".");
        let known = known::all(Path::new(home));
        let defaults = known
            .iter()
            .map(|known| (known.key.clone(), (known.default.clone(), Origin::Default)))
            .collect();
        let values = overlay::resolved(&defaults, sources)?;
        let help = known
            .into_iter()
            .map(|known| (known.key, known.help))
            .collect();
        Ok(Self { values, help })
    }

    /// Every key in order, with its value, where it came from, and what it is.
    pub(crate) fn explain(&self) -> impl Iterator<Item = (&str, &Value, &Origin, &str)> {
        self.values.iter().map(|(key, (value, origin))| {
            let help = self.help.get(key).copied().unwrap_or_default();
            (key.as_str(), value, origin, help)
        })
    }

    /// The keys whose values are others in `newer`.
    pub(crate) fn differing<'a>(&'a self, newer: &'a Self) -> impl Iterator<Item = &'a str> {
        let other = |key: &String| newer.values.get(key).map(|(value, _)| value);
        self.values
            .iter()
            .filter(move |(key, (value, _))| other(key) != Some(value))
            .map(|(key, _)| key.as_str())
    }

    fn value(&self, key: &str) -> Result<&(Value, Origin)> {
        self.values
            .get(key)
            .ok_or_else(|| anyhow!("`{key}` is not a setting"))
    }

    fn text(&self, key: &str) -> Result<&str> {
        let (value, origin) = self.value(key)?;
        value
            .as_str()
            .ok_or_else(|| anyhow!("{key} must be text ({origin})"))
    }

    fn parsed<T>(&self, key: &str) -> Result<T>
    where
        T: std::str::FromStr<Err: fmt::Display>,
    {
        let text = self.text(key)?;
        let origin = &self.value(key)?.1;
        text.parse()
            .map_err(|error| anyhow!("{key} = `{text}` ({origin}): {error}"))
    }

    fn list(&self, key: &str) -> Result<Vec<String>> {
        let text = self.text(key)?;
        let parts = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        Ok(parts.map(str::to_owned).collect())
    }

    fn bytes_of_mib(&self, key: &str) -> Result<u64> {
        let (value, origin) = self.value(key)?;
        let mib = value
            .as_integer()
            .and_then(|number| u64::try_from(number).ok());
        let mib = mib.ok_or_else(|| anyhow!("{key} must be a whole number of MiB ({origin})"))?;
        mib.checked_mul(1 << 20)
            .ok_or_else(|| anyhow!("{key} is too large ({origin})"))
    }

    fn said(&self, key: &str) -> bool {
        self.values
            .get(key)
            .is_some_and(|(_, origin)| *origin != Origin::Default)
    }
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// A line of text for people.
    Plain,
    /// A JSON object a line.
    Json,
}

impl std::str::FromStr for LogFormat {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "plain" => Ok(Self::Plain),
            "json" => Ok(Self::Json),
            _ => Err("use `plain` or `json`".to_owned()),
        }
    }
}

/// Which keys CreateKeysAndCertificate makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeviceKeys {
    /// RSA 2048, as AWS does.
    Rsa2048,
    /// ECDSA P-256: smaller and faster.
    EcdsaP256,
}

impl std::str::FromStr for DeviceKeys {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "rsa-2048" => Ok(Self::Rsa2048),
            "ecdsa-p256" => Ok(Self::EcdsaP256),
            _ => Err("use `rsa-2048` or `ecdsa-p256`".to_owned()),
        }
    }
}

/// The listeners' addresses.
#[derive(Clone, Debug)]
pub(crate) struct Listen {
    /// MQTT over mutual TLS.
    pub(crate) mqtt: SocketAddr,
    /// Everything by ALPN, as AWS's port 443.
    pub(crate) device: SocketAddr,
    /// Whether `device` was asked for, or may move to a high port.
    pub(crate) device_said: bool,
    /// HTTPS over mutual TLS.
    pub(crate) https: SocketAddr,
    /// The control plane.
    pub(crate) control: SocketAddr,
    /// Health and metrics.
    pub(crate) operator: SocketAddr,
}

/// The resolved settings as types.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) data_dir: PathBuf,
    pub(crate) data_dir_said: bool,
    pub(crate) account: AccountId,
    pub(crate) account_said: bool,
    pub(crate) region: Region,
    pub(crate) region_said: bool,
    pub(crate) profile: Profile,
    pub(crate) database: String,
    pub(crate) master_key_file: PathBuf,
    pub(crate) hosts: Vec<String>,
    pub(crate) advertise: String,
    pub(crate) endpoint_with_port: bool,
    pub(crate) listen: Listen,
    pub(crate) log_format: LogFormat,
    pub(crate) log_level: String,
    pub(crate) device_keys: DeviceKeys,
    pub(crate) disk_reserve_bytes: u64,
    pub(crate) disk_floor_bytes: u64,
    pub(crate) broker: broker::BrokerConfig,
    pub(crate) registry: registry::RegistryConfig,
}

impl Config {
    /// Reads the resolved values as types.
    ///
    /// # Errors
    /// The first value that does not parse, with its key and origin.
    pub(crate) fn from_resolved(resolved: &Resolved) -> Result<Self> {
        let data_dir = PathBuf::from(resolved.text("data_dir")?);
        let or_in_data_dir = |key: &str, name: &str| -> Result<PathBuf> {
            let text = resolved.text(key)?;
            Ok(if text.is_empty() {
                data_dir.join(name)
            } else {
                PathBuf::from(text)
            })
        };
        let database = match resolved.text("database")? {
            "" => format!("sqlite:{}", data_dir.join("palisade.db").display()),
            url => url.to_owned(),
        };
        database
            .parse::<storage::Database>()
            .context("the setting `database`")?;
        Ok(Self {
            account: resolved.parsed_name("account_id", AccountId::parse)?,
            account_said: resolved.said("account_id"),
            region: resolved.parsed_name("region", Region::parse)?,
            region_said: resolved.said("region"),
            profile: resolved.parsed("profile")?,
            database,
            master_key_file: or_in_data_dir("master_key_file", "master.key")?,
            hosts: resolved.list("hosts")?,
            advertise: resolved.text("advertise")?.to_owned(),
            endpoint_with_port: resolved.flag("endpoint_with_port")?,
            listen: Listen {
                mqtt: resolved.address("listen.mqtt")?,
                device: resolved.address("listen.device")?,
                device_said: resolved.said("listen.device"),
                https: resolved.address("listen.https")?,
                control: resolved.address("listen.control")?,
                operator: resolved.address("listen.operator")?,
            },
            log_format: resolved.parsed("log.format")?,
            log_level: resolved.text("log.level")?.to_owned(),
            device_keys: resolved.parsed("device_keys")?,
            disk_reserve_bytes: resolved.bytes_of_mib("disk.reserve_mib")?,
            disk_floor_bytes: resolved.bytes_of_mib("disk.floor_mib")?,
            broker: resolved.broker()?,
            registry: resolved.section("registry")?,
            data_dir_said: resolved.said("data_dir"),
            data_dir,
        })
    }
}

impl Resolved {
    fn parsed_name<T>(
        &self,
        key: &str,
        parse: fn(&str) -> Result<T, model::NameError>,
    ) -> Result<T> {
        let text = self.text(key)?;
        let origin = &self.value(key)?.1;
        parse(text).map_err(|error| anyhow!("{key} = `{text}` ({origin}): {error}"))
    }

    fn address(&self, key: &str) -> Result<SocketAddr> {
        self.parsed(key)
            .context("a listener is an IP address and a port, such as 127.0.0.1:8883")
    }

    fn flag(&self, key: &str) -> Result<bool> {
        let (value, origin) = self.value(key)?;
        value
            .as_bool()
            .ok_or_else(|| anyhow!("{key} must be true or false ({origin})"))
    }

    /// The `broker.` keys as the broker's own struct.
    fn broker(&self) -> Result<broker::BrokerConfig> {
        let broker: broker::BrokerConfig = self.section("broker")?;
        Ok(broker::BrokerConfig {
            mqtt_listen: self.parsed("listen.mqtt")?,
            alpn_listen: self.parsed("listen.device")?,
            https_listen: self.parsed("listen.https")?,
            ..broker
        })
    }

    /// The keys below `name.` as the struct of whoever owns them.
    fn section<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T> {
        let mut table = Table::new();
        for (key, (value, _)) in &self.values {
            let below = key
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('.'));
            if let Some(key) = below {
                insert(&mut table, key, value.clone());
            }
        }
        Value::Table(table)
            .try_into()
            .with_context(|| format!("the settings below `{name}.` do not fit"))
    }
}

fn insert(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((head, rest)) => {
            let inner = table
                .entry(head)
                .or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}
