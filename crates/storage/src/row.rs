//! What comes out of a statement.

use model::Timestamp;

use crate::{StorageError, Value};

/// One row of an answer. Columns are counted from 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Row(pub(crate) Vec<Value>);

macro_rules! columns {
    ($(
        $(#[$doc:meta])*
        $name:ident, $opt:ident: $type:ty, $wanted:literal, $kind:pat => $value:expr;
    )*) => {
        $($(#[$doc])*
        ///
        /// # Errors
        /// When the column is absent, NULL or of another kind.
        pub fn $name(&self, column: usize) -> Result<$type, StorageError> {
            let (wanted, found) = ($wanted, "null");
            let null = StorageError::TypeMismatch { column, wanted, found };
            self.$opt(column)?.ok_or(null)
        }

        $(#[$doc])*
        /// `None` when it is NULL.
        ///
        /// # Errors
        /// When the column is absent or of another kind.
        pub fn $opt(&self, column: usize) -> Result<Option<$type>, StorageError> {
            match self.cell(column)? {
                Value::Null => Ok(None),
                $kind => Ok(Some($value)),
                other => {
                    let (wanted, found) = ($wanted, other.kind());
                    Err(StorageError::TypeMismatch { column, wanted, found })
                }
            }
        })*
    };
}

impl Row {
    columns! {
        /// The text in this column.
        text, opt_text: String, "text", Value::Text(text) => text.clone();
        /// The integer in this column.
        int, opt_int: i64, "integer", Value::Int(int) => *int;
        /// The integer in this column, as a truth: anything but 0 is true.
        bool, opt_bool: bool, "integer", Value::Int(int) => *int != 0;
        /// The bytes in this column.
        blob, opt_blob: Vec<u8>, "blob", Value::Blob(bytes) => bytes.clone();
        /// The double in this column.
        real, opt_real: f64, "real", Value::Real(real) => *real;
        /// The integer in this column, as a moment in milliseconds since the epoch.
        time, opt_time: Timestamp, "integer", Value::Int(int) => Timestamp::from_millis(*int);
    }

    fn cell(&self, column: usize) -> Result<&Value, StorageError> {
        let columns = self.0.len();
        self.0
            .get(column)
            .ok_or(StorageError::NoColumn { column, columns })
    }
}
