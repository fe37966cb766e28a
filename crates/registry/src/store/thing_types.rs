//! Table `thing_types`.

use model::{ApiError, Timestamp};
use storage::{Row, Tx, params};

use super::{from_json, to_json};
use crate::thing_types::PropagatingAttribute;

/// A thing type as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ThingType {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) description: Option<String>,
    pub(crate) searchable: Vec<String>,
    pub(crate) propagating: Vec<PropagatingAttribute>,
    pub(crate) created_at: Timestamp,
    pub(crate) deprecated_at: Option<Timestamp>,
}

macro_rules! select_types {
    ($rest:literal) => {
        concat!(
            "SELECT thing_type_name, thing_type_id, description, searchable_json, ",
            "propagating_json, created_at, deprecated_at FROM thing_types ",
            $rest
        )
    };
}

fn thing_type(row: &Row) -> Result<ThingType, ApiError> {
    Ok(ThingType {
        name: row.text(0)?,
        id: row.text(1)?,
        description: row.opt_text(2)?,
        searchable: from_json(&row.text(3)?)?,
        propagating: from_json(&row.text(4)?)?,
        created_at: row.time(5)?,
        deprecated_at: row.opt_time(6)?,
    })
}

pub(crate) fn find(tx: &mut Tx<'_>, name: &str) -> Result<Option<ThingType>, ApiError> {
    let sql = select_types!("WHERE thing_type_name = ?1");
    let row = tx.query_one(sql, &params![name])?;
    row.as_ref().map(thing_type).transpose()
}

pub(crate) fn insert(tx: &mut Tx<'_>, new: &ThingType) -> Result<(), ApiError> {
    tx.execute(
        "INSERT INTO thing_types (thing_type_name, thing_type_id, description, searchable_json, \
         propagating_json, created_at, deprecated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        &params![
            &new.name,
            &new.id,
            new.description.as_deref(),
            to_json(&new.searchable)?,
            to_json(&new.propagating)?,
            new.created_at,
            new.deprecated_at
        ],
    )?;
    Ok(())
}

/// Saves the properties and the deprecation.
pub(crate) fn update(tx: &mut Tx<'_>, next: &ThingType) -> Result<(), ApiError> {
    tx.execute(
        "UPDATE thing_types SET description = ?2, searchable_json = ?3, propagating_json = ?4, \
         deprecated_at = ?5 WHERE thing_type_name = ?1",
        &params![
            &next.name,
            next.description.as_deref(),
            to_json(&next.searchable)?,
            to_json(&next.propagating)?,
            next.deprecated_at
        ],
    )?;
    Ok(())
}

pub(crate) fn delete(tx: &mut Tx<'_>, name: &str) -> Result<(), ApiError> {
    let sql = "DELETE FROM thing_types WHERE thing_type_name = ?1";
    tx.execute(sql, &params![name])?;
    Ok(())
}

/// Whether any thing has this type.
pub(crate) fn in_use(tx: &mut Tx<'_>, name: &str) -> Result<bool, ApiError> {
    let sql = "SELECT thing_name FROM things WHERE thing_type_name = ?1 LIMIT 1";
    Ok(tx.query_one(sql, &params![name])?.is_some())
}

pub(crate) fn page(tx: &mut Tx<'_>, after: &str, rows: i64) -> Result<Vec<ThingType>, ApiError> {
    tx.query(
        select_types!("WHERE thing_type_name > ?1 ORDER BY thing_type_name LIMIT ?2"),
        &params![after, rows],
    )?
    .iter()
    .map(thing_type)
    .collect()
}
