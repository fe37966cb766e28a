//! Values to and from PostgreSQL's types.

use bytes::BytesMut;
use postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::{Row, Value};

/// The type a parameter is declared with; NULL is not sent as one.
pub(super) const fn declared(value: &Value) -> Option<Type> {
    match value {
        Value::Null => None,
        Value::Int(_) => Some(Type::INT8),
        Value::Real(_) => Some(Type::FLOAT8),
        Value::Text(_) => Some(Type::TEXT),
        Value::Blob(_) => Some(Type::BYTEA),
    }
}

impl ToSql for Value {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(int) => int.to_sql(kind, out),
            Self::Real(real) => real.to_sql(kind, out),
            Self::Text(text) => text.to_sql(kind, out),
            Self::Blob(bytes) => bytes.to_sql(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// The cells of a row; the error says which column is of a type we do not read.
pub(super) fn row(found: &postgres::Row) -> Result<Row, String> {
    let cells = found.columns().iter().enumerate().map(|(at, column)| {
        let cell = match *column.type_() {
            Type::INT8 => found.try_get::<_, Option<i64>>(at).map(Value::from),
            Type::INT4 => found.try_get::<_, Option<i32>>(at).map(Value::from),
            Type::BOOL => found.try_get::<_, Option<bool>>(at).map(Value::from),
            Type::FLOAT8 => found.try_get::<_, Option<f64>>(at).map(Value::from),
            Type::TEXT | Type::VARCHAR => found.try_get::<_, Option<String>>(at).map(Value::from),
            Type::BYTEA => found.try_get::<_, Option<Vec<u8>>>(at).map(Value::from),
            ref other => {
                let name = column.name();
                return Err(format!(
                    "column {at} (`{name}`) is of type {other}; cast it, as in CAST(… AS BIGINT)"
                ));
            }
        };
        cell.map_err(|error| format!("column {at}: {error}"))
    });
    cells.collect::<Result<_, _>>().map(Row)
}
