//! What goes into a statement: five kinds of value, the same on both engines.
//!
//! Booleans are integers 0 and 1 and times are milliseconds, so that one SQL text serves both.

use model::{
    AccountId, BillingGroupName, CertificateId, ClientId, PolicyName, Region, ThingGroupName,
    ThingName, ThingTypeName, Timestamp,
};

use crate::StorageError;

/// A parameter of a statement, or a cell of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// A 64-bit signed integer; also booleans (0, 1) and times (milliseconds since the epoch).
    Int(i64),
    /// A double; finite.
    Real(f64),
    /// UTF-8 without U+0000.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl Value {
    /// What both engines can store: SQLite would keep U+0000 and turn NaN into NULL, PostgreSQL
    /// refuses the first and keeps the second.
    pub(crate) fn check(&self, parameter: usize) -> Result<(), StorageError> {
        match self {
            Self::Text(text) if text.contains('\0') => Err(StorageError::Unstorable {
                parameter,
                reason: "text holds U+0000",
            }),
            Self::Real(real) if !real.is_finite() => Err(StorageError::Unstorable {
                parameter,
                reason: "number is not finite",
            }),
            Self::Null | Self::Int(_) | Self::Real(_) | Self::Text(_) | Self::Blob(_) => Ok(()),
        }
    }

    /// The kind in one word, for messages.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Int(_) => "integer",
            Self::Real(_) => "real",
            Self::Text(_) => "text",
            Self::Blob(_) => "blob",
        }
    }
}

macro_rules! from {
    ($($source:ty => |$value:ident| $make:expr;)*) => {
        $(impl From<$source> for Value {
            fn from($value: $source) -> Self {
                $make
            }
        })*
    };
}

from! {
    &str => |text| Self::Text(text.to_owned());
    String => |text| Self::Text(text);
    &String => |text| Self::Text(text.clone());
    i64 => |int| Self::Int(int);
    i32 => |int| Self::Int(i64::from(int));
    u32 => |int| Self::Int(i64::from(int));
    u16 => |int| Self::Int(i64::from(int));
    u8 => |int| Self::Int(i64::from(int));
    bool => |yes| Self::Int(i64::from(yes));
    f64 => |real| Self::Real(real);
    Vec<u8> => |bytes| Self::Blob(bytes);
    &Vec<u8> => |bytes| Self::Blob(bytes.clone());
    &[u8] => |bytes| Self::Blob(bytes.to_vec());
    Timestamp => |at| Self::Int(at.millis());
    &AccountId => |name| Self::from(name.as_str());
    &BillingGroupName => |name| Self::from(name.as_str());
    &CertificateId => |name| Self::from(name.as_str());
    &ClientId => |name| Self::from(name.as_str());
    &PolicyName => |name| Self::from(name.as_str());
    &Region => |name| Self::from(name.as_str());
    &ThingGroupName => |name| Self::from(name.as_str());
    &ThingName => |name| Self::from(name.as_str());
    &ThingTypeName => |name| Self::from(name.as_str());
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The parameters of a statement: `params![name, now]` is `[Value; 2]`, each by `Value::from`.
#[macro_export]
macro_rules! params {
    () => {
        [] as [$crate::Value; 0]
    };
    ($($value:expr),+ $(,)?) => {
        [$($crate::Value::from($value)),+]
    };
}

#[cfg(test)]
mod tests;
