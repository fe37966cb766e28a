//! Amazon resource names, as far as this platform speaks of them.
//!
//! Source: contract core `[G-4]`.

use std::fmt;

/// `arn:{partition}:{service}:{region}:{account}:{resource}`, each part as it stood.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Arn {
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
    /// `iot`, `iam`, `sts` …
    pub service: String,
    /// Empty for services without regions.
    pub region: String,
    /// 12 digits, or empty.
    pub account: String,
    /// `{kind}/{name}`; the name may hold further slashes and colons.
    pub resource: String,
}

/// Why a text is not an ARN.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArnError {
    /// Longer than [`Arn::LEN_MAX`] bytes.
    #[error("an ARN is at most {max} bytes long, not {len}", max = Arn::LEN_MAX)]
    TooLong {
        /// Length found.
        len: usize,
    },
    /// Not six parts, or an empty mandatory one.
    #[error("`{text}` is not of the form arn:partition:service:region:account:resource")]
    Shape {
        /// The text as given.
        text: String,
    },
}

impl Arn {
    /// The longest ARN accepted, in bytes.
    pub const LEN_MAX: usize = 2048;

    /// Splits `text` into the six parts.
    ///
    /// # Errors
    /// [`ArnError`] when it is too long or not an ARN.
    pub fn parse(text: &str) -> Result<Self, ArnError> {
        if Self::LEN_MAX < text.len() {
            return Err(ArnError::TooLong { len: text.len() });
        }
        let shape = || ArnError::Shape {
            text: text.to_owned(),
        };
        let mut parts = text.splitn(6, ':');
        let mut part = || parts.next().ok_or_else(shape);
        if part()? != "arn" {
            return Err(shape());
        }
        let arn = Self {
            partition: part()?.to_owned(),
            service: part()?.to_owned(),
            region: part()?.to_owned(),
            account: part()?.to_owned(),
            resource: part()?.to_owned(),
        };
        if !arn.partition.starts_with("aws") || arn.service.is_empty() || arn.resource.is_empty() {
            return Err(shape());
        }
        Ok(arn)
    }

    /// The resource split at its first slash: `("thing", "pump-7")`.
    pub fn kind_and_name(&self) -> Option<(&str, &str)> {
        self.resource.split_once('/')
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            partition,
            service,
            region,
            account,
            resource,
        } = self;
        write!(
            out,
            "arn:{partition}:{service}:{region}:{account}:{resource}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // tests aws-iot [G-4]
    #[test]
    fn parses_and_prints() {
        for text in [
            "arn:aws:iot:us-east-1:111122223333:thing/pump-7",
            "arn:aws-cn:iot:cn-north-1:111122223333:cert/ab/cd:e",
            "arn:aws-us-gov:iam::111122223333:user/a",
        ] {
            assert_eq!(
                Arn::parse(text).map(|arn| arn.to_string()).as_deref(),
                Ok(text)
            );
        }
        for text in [
            "",
            "arn",
            "arn:aws:iot:r:a",
            "nrn:aws:iot:r:a:thing/x",
            "arn:aws::r:a:x",
        ] {
            assert!(Arn::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn splits_the_resource() {
        let arn = Arn::parse("arn:aws:iot:r:1:cert/ab/cd").expect("valid");
        assert_eq!(arn.kind_and_name(), Some(("cert", "ab/cd")));
    }
}
