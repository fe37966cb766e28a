//! Laying the sources over each other: flags over environment over file over defaults.
//!
//! A key or variable that names no setting is refused with the nearest that does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use toml::{Table, Value};

use super::{Origin, Sources};

/// Each key with its value and where it came from.
pub(super) type Values = BTreeMap<String, (Value, Origin)>;

/// The settings file looked for in the data directory when none is named.
pub(super) const FILE_NAME: &str = "palisade.toml";

/// Every variable of ours begins so.
const VARIABLE_PREFIX: &str = "PALISADE_";
/// Names the settings file.
const FILE_VARIABLE: &str = "PALISADE_CONFIG";
/// What our own tests are told by.
const TEST_PREFIX: &str = "PALISADE_TEST_";
/// What Kubernetes and `docker --link` set in every container beside a service called `palisade`:
/// `PALISADE_SERVICE_HOST`, `PALISADE_PORT_8883_TCP_ADDR` and the like.
const SERVICE_PREFIXES: [&str; 2] = ["PALISADE_SERVICE_", "PALISADE_PORT"];

/// The defaults with all that the sources say.
pub(super) fn resolved(defaults: &Values, sources: &Sources) -> Result<Values> {
    check_variables(defaults, &sources.environment)?;
    let mut values = defaults.clone();
    overlay_flat(&mut values, defaults, sources)?;
    // Where the file lies may be said by a flag, and a flag is laid over it all the same.
    if let Some(path) = settings_file(&values, sources) {
        values.clone_from(defaults);
        overlay_file(&mut values, &path)?;
        overlay_flat(&mut values, defaults, sources)?;
    }
    Ok(values)
}

/// The settings file: the one named, else the one in the data directory if it is there.
fn settings_file(values: &Values, sources: &Sources) -> Option<PathBuf> {
    let named = sources
        .file
        .clone()
        .or_else(|| sources.environment.get(FILE_VARIABLE).map(PathBuf::from));
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
fn check_variables(values: &Values, environment: &BTreeMap<String, String>) -> Result<()> {
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

fn overlay_flat(values: &mut Values, defaults: &Values, sources: &Sources) -> Result<()> {
    for key in defaults.keys() {
        let name = variable(key);
        if let Some(text) = sources.environment.get(&name) {
            put(values, defaults, key, text, Origin::Environment(name))?;
        }
    }
    for (key, text) in &sources.flags {
        put(values, defaults, key, text, Origin::Flag)?;
    }
    Ok(())
}

/// Reads `text` as the type that the default has.
fn put(
    values: &mut Values,
    defaults: &Values,
    key: &str,
    text: &str,
    origin: Origin,
) -> Result<()> {
    let Some((default, _)) = defaults.get(key) else {
        return Err(unknown(defaults, key, &origin));
    };
    let wrong = |what: &str| anyhow!("{key} = `{text}` ({origin}) must be {what}");
    let value = match default {
        Value::Integer(_) => Value::Integer(text.parse().map_err(|_| wrong("a whole number"))?),
        Value::Float(_) => Value::Float(text.parse().map_err(|_| wrong("a number"))?),
        Value::Boolean(_) => Value::Boolean(text.parse().map_err(|_| wrong("true or false"))?),
        _ => quota(default, text).unwrap_or_else(|| Value::String(text.to_owned())),
    };
    values.insert(key.to_owned(), (value, origin));
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

fn overlay_file(values: &mut Values, path: &Path) -> Result<()> {
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

fn unknown(values: &Values, key: &str, origin: &Origin) -> anyhow::Error {
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

pub(super) fn flatten(prefix: &str, table: &Table, flat: &mut BTreeMap<String, Value>) {
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
