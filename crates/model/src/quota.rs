//! A quota of AWS IoT as a setting: as the profile says, `"off"`, `"aws"`, or a number.
//!
//! `"off"` lifts AWS's quota, never the structural bound that protects memory. Which quotas there
//! are is said by the capability that keeps them.
//!
//! Source: contract core `[G-2]`.

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

use crate::Profile;

/// What a setting says about one of AWS's quotas.
// spec aws-iot [G-2]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quota {
    /// AWS's value in profile `aws`, ours in `standard`.
    #[default]
    Profile,
    /// Only the structural bound.
    Off,
    /// AWS's value.
    Aws,
    /// This value.
    At(u64),
}

/// What a quota may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaRule {
    /// The setting's name, for the message.
    pub field: &'static str,
    /// AWS's value.
    pub aws: u64,
    /// The value in profile `standard`.
    pub standard: u64,
    /// The smallest value.
    pub min: u64,
    /// The structural bound, which `"off"` means.
    pub max: u64,
}

/// A setting that is outside its range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` is {value}; it must be {min} to {max}")]
pub struct OutOfRange {
    field: &'static str,
    value: u64,
    min: u64,
    max: u64,
}

impl OutOfRange {
    /// `value` when it is `min` to `max`.
    ///
    /// # Errors
    /// When it is not; the message names `field`.
    pub fn check(field: &'static str, value: u64, min: u64, max: u64) -> Result<u64, Self> {
        if (min..=max).contains(&value) {
            return Ok(value);
        }
        Err(Self {
            field,
            value,
            min,
            max,
        })
    }
}

impl QuotaRule {
    /// The number in force.
    ///
    /// # Errors
    /// When `quota` is a number outside the rule's range.
    pub fn resolve(&self, quota: Quota, profile: Profile) -> Result<u64, OutOfRange> {
        let value = match (quota, profile) {
            (Quota::Aws, _) | (Quota::Profile, Profile::Aws) => self.aws,
            (Quota::Profile, Profile::Standard) => self.standard,
            (Quota::Off, _) => self.max,
            (Quota::At(value), _) => value,
        };
        OutOfRange::check(self.field, value, self.min, self.max)
    }
}

impl Serialize for Quota {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Profile => out.serialize_str("profile"),
            Self::Off => out.serialize_str("off"),
            Self::Aws => out.serialize_str("aws"),
            Self::At(value) => out.serialize_u64(*value),
        }
    }
}

impl<'de> Deserialize<'de> for Quota {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Word(String),
        }
        match Written::deserialize(source)? {
            Written::Number(value) => Ok(Self::At(value)),
            Written::Word(word) => match word.as_str() {
                "profile" => Ok(Self::Profile),
                "off" => Ok(Self::Off),
                "aws" => Ok(Self::Aws),
                other => Err(de::Error::custom(format!(
                    "`{other}` is not a quota; use `off`, `aws`, `profile` or a number"
                ))),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: QuotaRule = QuotaRule {
        field: "levels",
        aws: 8,
        standard: 100,
        min: 1,
        max: 128,
    };

    #[track_caller]
    fn check(text: &str, profile: Profile, expected: Result<u64, &str>) {
        let found = serde_json::from_str(text)
            .map_err(|error| error.to_string())
            .and_then(|quota| {
                let resolved = RULE.resolve(quota, profile);
                resolved.map_err(|error| error.to_string())
            });
        match (found, expected) {
            (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
            (found, expected) => assert_eq!(found, expected.map_err(str::to_owned), "{text}"),
        }
    }

    // tests aws-iot [G-2]
    #[test]
    fn a_quota_is_a_word_or_a_number_in_its_range() {
        use Profile::{Aws, Standard};
        check(r#""profile""#, Standard, Ok(100));
        check(r#""profile""#, Aws, Ok(8));
        check(r#""off""#, Aws, Ok(128));
        check(r#""aws""#, Standard, Ok(8));
        check("1", Aws, Ok(1));
        check("128", Aws, Ok(128));
        check("0", Aws, Err("`levels` is 0; it must be 1 to 128"));
        check("129", Standard, Err("`levels` is 129"));
        check("-1", Aws, Err("did not match"));
        check(r#""most""#, Aws, Err("`most` is not a quota"));
    }

    #[test]
    fn what_is_written_is_read() {
        for quota in [Quota::Profile, Quota::Off, Quota::Aws, Quota::At(7)] {
            let text = serde_json::to_string(&quota).expect("a quota can be written");
            assert_eq!(serde_json::from_str::<Quota>(&text).ok(), Some(quota));
        }
    }
}
