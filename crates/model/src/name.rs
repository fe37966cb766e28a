//! Names and identifiers, each with its alphabet and its length.
//!
//! One small function takes an alphabet and a limit and serves them all; each type adds its own
//! constants and its source.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Why a text is not the name it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text has no characters.
    #[error("{what} must not be empty")]
    Empty {
        /// The kind of name, as people call it.
        what: &'static str,
    },
    /// The text is longer than the limit.
    #[error("{what} is {len} bytes long; the limit is {max}")]
    TooLong {
        /// The kind of name.
        what: &'static str,
        /// Length found, in bytes.
        len: usize,
        /// The limit, in bytes.
        max: usize,
    },
    /// A byte outside the alphabet.
    #[error("{what} has a character at byte {at} that is not one of {alphabet}")]
    BadByte {
        /// The kind of name.
        what: &'static str,
        /// Offset of the first bad byte.
        at: usize,
        /// The alphabet in words.
        alphabet: &'static str,
    },
    /// The length is fixed and the text has another.
    #[error("{what} must be {expected} characters long, not {len}")]
    WrongLength {
        /// The kind of name.
        what: &'static str,
        /// Length found, in bytes.
        len: usize,
        /// The length it must have.
        expected: usize,
    },
}

struct Rule {
    what: &'static str,
    max: usize,
    alphabet: &'static str,
    allowed: fn(u8) -> bool,
}

fn checked(text: &str, rule: &Rule) -> Result<Box<str>, NameError> {
    let what = rule.what;
    if text.is_empty() {
        return Err(NameError::Empty { what });
    }
    if rule.max < text.len() {
        return Err(NameError::TooLong {
            what,
            len: text.len(),
            max: rule.max,
        });
    }
    match text.bytes().position(|byte| !(rule.allowed)(byte)) {
        Some(at) => Err(NameError::BadByte {
            what,
            at,
            alphabet: rule.alphabet,
        }),
        None => Ok(text.into()),
    }
}

fn fixed(text: &str, expected: usize, rule: &Rule) -> Result<Box<str>, NameError> {
    if text.len() != expected {
        return Err(NameError::WrongLength {
            what: rule.what,
            len: text.len(),
            expected,
        });
    }
    checked(text, rule)
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $parse:expr) => {
        $(#[$doc])*
        ///
        /// Cheap to clone.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text` and takes it.
            ///
            /// # Errors
            /// [`NameError`] says what is wrong and where.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                let parse: fn(&str) -> Result<Box<str>, NameError> = $parse;
                parse(text).map(|text| Self(text.into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "{:?}", &*self.0)
            }
        }
    };
}

const REGISTRY_ALPHABET: &str = "A-Z a-z 0-9 : _ -";

fn registry_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'_' | b'-')
}

const fn registry_rule(what: &'static str) -> Rule {
    Rule {
        what,
        max: 128,
        alphabet: REGISTRY_ALPHABET,
        allowed: registry_byte,
    }
}

fn lower_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

name_type!(
    /// A thing's name: 1 to 128 bytes, each of `A-Z a-z 0-9 : _ -`.
    ///
    /// Source: contract core 4.1.
    ThingName,
    |text| checked(text, &registry_rule("thing name"))
);
name_type!(
    /// A thing type's name; alphabet and length of [`ThingName`]. Source: contract core 4.1.
    ThingTypeName,
    |text| checked(text, &registry_rule("thing type name"))
);
name_type!(
    /// A thing group's name; alphabet and length of [`ThingName`]. Source: contract core 4.1.
    ThingGroupName,
    |text| checked(text, &registry_rule("thing group name"))
);
name_type!(
    /// A billing group's name; alphabet and length of [`ThingName`]. Source: contract core 4.1.
    BillingGroupName,
    |text| checked(text, &registry_rule("billing group name"))
);
name_type!(
    /// An IoT policy's name: 1 to 128 bytes, each of `A-Z a-z 0-9 _ + = , . @ -`.
    ///
    /// Source: contract core `[PL-2]`.
    PolicyName,
    |text| checked(
        text,
        &Rule {
            what: "policy name",
            max: 128,
            alphabet: "A-Z a-z 0-9 _ + = , . @ -",
            allowed: |byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte),
        }
    )
);
name_type!(
    /// A certificate's id: the SHA-256 of its DER, 64 lower-case hexadecimal characters.
    ///
    /// Source: contract core `[CT-1]`.
    CertificateId,
    |text| fixed(
        text,
        64,
        &Rule { what: "certificate id", max: 64, alphabet: "0-9 a-f", allowed: lower_hex }
    )
);
name_type!(
    /// An account: 12 digits. Source: contract core `[G-4]`.
    AccountId,
    |text| fixed(
        text,
        12,
        &Rule {
            what: "account id",
            max: 12,
            alphabet: "0-9",
            allowed: |byte| byte.is_ascii_digit()
        }
    )
);
name_type!(
    /// A region, such as `us-east-1`: 1 to 32 bytes, each of `a-z 0-9 -`.
    Region,
    |text| checked(
        text,
        &Rule {
            what: "region",
            max: 32,
            alphabet: "a-z 0-9 -",
            allowed: |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-',
        }
    )
);
name_type!(
    /// An MQTT client id: 1 to 128 bytes of UTF-8, not beginning with `$`, no control characters.
    ///
    /// Source: contract core `[MQ-10]`.
    ClientId,
    |text| {
        let what = "client id";
        if text.starts_with('$') {
            return Err(NameError::BadByte { what, at: 0, alphabet: "anything but a leading $" });
        }
        if let Some((at, _)) = text.char_indices().find(|(_, letter)| letter.is_control()) {
            return Err(NameError::BadByte { what, at, alphabet: "printable characters" });
        }
        checked(text, &Rule { what, max: 128, alphabet: "UTF-8", allowed: |_| true })
    }
);

#[cfg(test)]
mod tests;
