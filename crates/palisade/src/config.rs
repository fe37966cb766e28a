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
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use model::{AccountId, Profile, Region};
use toml::{Table, Value};

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
    values: BTreeMap<String, (Value, Origin)>,
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

/// The settings file looked for in the data directory when none is named.
const FILE_NAME: &str = "palisade.toml";

/// Every variable of ours begins so.
const VARIABLE_PREFIX: &str = "PALISADE_";
/// Names the settings file.
const FILE_VARIABLE: &str = "PALISADE_CONFIG";
/// What our own tests are told by.
const TEST_PREFIX: &str = "PALISADE_TEST_";
/// What Kubernetes and `docker --link` set in every container beside a service called `palisade`:
/// `PALISADE_SERVICE_HOST`, `PALISADE_PORT_8883_TCP_ADDR` and the like.
const SERVICE_PREFIXES: [&str; 2] = ["PALISADE_SERVICE_", "PALISADE_PORT"];

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
        let mut values: BTreeMap<String, (Value, Origin)> = known
            .iter()
            .map(|known| (known.key.clone(), (known.default.clone(), Origin::Default)))
            .collect();
        check_variables(&values, &sources.environment)?;
        overlay_flat(&mut values, sources)?;
        if let Some(path) = settings_file(&values, sources) {
            let mut from_file = values.clone();
            overlay_file(&mut from_file, &path)?;
            values = from_file;
            overlay_flat(&mut values, sources)?;
        }
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

/// The settings file: the one named, else the one in the data directory if it is there.
fn settings_file(values: &BTreeMap<String, (Value, Origin)>, sources: &Sources) -> Option<PathBuf> {
    let named = sources.file.clone().or_else(|| {
        sources
            .environment
            .get(FILE_VARIABLE)
            .map(PathBuf::from)
    });
    named.or_else(|| {
        let data_dir = values
            .get("data_dir")
            .and_then(|(value, _)| value.as_str())?;
        let path = Path::new(data_dir).join(FILE_NAME);
        path.exists().then_some(path)
    })
}

fn variable(key: &str) -> String {
    format!("{VARIABLE_PREFIX}{}", key.replace('.', "_").to_uppercase())
}

/// A variable that looks like a setting and is none is a mistake that nobody would notice.
fn check_variables(
    values: &BTreeMap<String, (Value, Origin)>,
    environment: &BTreeMap<String, String>,
) -> Result<()> {
    let known: Vec<String> = values.keys().map(|key| variable(key)).collect();
    let not_ours = |name: &str| {
        name == FILE_VARIABLE
            || name.starts_with(TEST_PREFIX)
            || SERVICE_PREFIXES.iter().any(|other| name.starts_with(other))
    };
    for name in environment.keys() {
        if name.starts_with(VARIABLE_PREFIX) && !known.contains(name) && !not_ours(name) {
            let hint = nearest(known.iter().map(String::as_str), name);
            bail!("the environment variable {name} is not a setting{hint}");
        }
    }
    Ok(())
}

fn overlay_flat(values: &mut BTreeMap<String, (Value, Origin)>, sources: &Sources) -> Result<()> {
    let keys: Vec<String> = values.keys().cloned().collect();
    for key in &keys {
        let name = variable(key);
        if let Some(text) = sources.environment.get(&name) {
            put(values, key, text, Origin::Environment(name))?;
        }
    }
    for (key, text) in &sources.flags {
        put(values, key, text, Origin::Flag)?;
    }
    Ok(())
}

/// Reads `text` as the type that the default has.
fn put(
    values: &mut BTreeMap<String, (Value, Origin)>,
    key: &str,
    text: &str,
    origin: Origin,
) -> Result<()> {
    let Some(slot) = values.get_mut(key) else {
        return Err(unknown(values, key, &origin));
    };
    let wrong = |what: &str| anyhow!("{key} = `{text}` ({origin}) must be {what}");
    let value = match &slot.0 {
        Value::Integer(_) => Value::Integer(text.parse().map_err(|_| wrong("a whole number"))?),
        Value::Float(_) => Value::Float(text.parse().map_err(|_| wrong("a number"))?),
        Value::Boolean(_) => Value::Boolean(text.parse().map_err(|_| wrong("true or false"))?),
        _ => quota(&slot.0, text).unwrap_or_else(|| Value::String(text.to_owned())),
    };
    *slot = (value, origin);
    Ok(())
}

/// A quota: a word, or a number in its place.
fn is_quota(default: &Value, value: &Value) -> bool {
    default.as_str() == Some("profile") && value.is_integer()
}

fn quota(default: &Value, text: &str) -> Option<Value> {
    let number = Value::Integer(text.parse().ok()?);
    is_quota(default, &number).then_some(number)
}

fn overlay_file(values: &mut BTreeMap<String, (Value, Origin)>, path: &Path) -> Result<()> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("could not read the settings file {}", path.display()))?;
    let table: Table = text
        .parse()
        .with_context(|| format!("{} is not valid TOML", path.display()))?;
    let mut flat = BTreeMap::new();
    flatten("", &table, &mut flat);
    let origin = Origin::File(path.to_owned());
    for (key, value) in flat {
        let Some(slot) = values.get_mut(&key) else {
            return Err(unknown(values, &key, &origin));
        };
        if !slot.0.same_type(&value) && !is_quota(&slot.0, &value) {
            bail!(
                "{key} ({origin}) must be {}, not {}",
                slot.0.type_str(),
                value.type_str()
            );
        }
        *slot = (value, origin.clone());
    }
    Ok(())
}

fn unknown(
    values: &BTreeMap<String, (Value, Origin)>,
    key: &str,
    origin: &Origin,
) -> anyhow::Error {
    let hint = nearest(values.keys().map(String::as_str), key);
    anyhow!("`{key}` ({origin}) is not a setting{hint}")
}

fn nearest<'a>(known: impl Iterator<Item = &'a str>, name: &str) -> String {
    let near = known.min_by_key(|known| distance(known, name));
    near.map(|near| format!("; did you mean `{near}`?"))
        .unwrap_or_default()
}

/// Edit distance, for naming the nearest known key.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

fn flatten(prefix: &str, table: &Table, flat: &mut BTreeMap<String, Value>) {
    for (name, value) in table {
        let key = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        match value {
            Value::Table(inner) => flatten(&key, inner, flat),
            other => {
                flat.insert(key, other.clone());
            }
        }
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
                mqtt: resolved.parsed("listen.mqtt")?,
                device: resolved.parsed("listen.device")?,
                device_said: resolved.said("listen.device"),
                https: resolved.parsed("listen.https")?,
                control: resolved.parsed("listen.control")?,
                operator: resolved.parsed("listen.operator")?,
            },
            log_format: resolved.parsed("log.format")?,
            log_level: resolved.text("log.level")?.to_owned(),
            device_keys: resolved.parsed("device_keys")?,
            disk_reserve_bytes: resolved.bytes_of_mib("disk.reserve_mib")?,
            disk_floor_bytes: resolved.bytes_of_mib("disk.floor_mib")?,
            broker: resolved.broker()?,
            registry: resolved.section("registry")?,
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
