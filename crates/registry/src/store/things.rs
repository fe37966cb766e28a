//! Tables `things` and `thing_attributes`.

use model::ApiError;
use storage::{Row, Tx, params};

use super::{from_json, to_json};
use crate::attributes::Attributes;

/// A thing as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Thing {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) thing_type: Option<String>,
    pub(crate) billing_group: Option<String>,
    pub(crate) attributes: Attributes,
    pub(crate) version: i64,
}

macro_rules! select_things {
    ($rest:literal) => {
        concat!(
            "SELECT t.thing_name, t.thing_id, t.thing_type_name, t.billing_group_name, ",
            "t.attributes_json, t.version FROM things t ",
            $rest
        )
    };
}

fn thing(row: &Row) -> Result<Thing, ApiError> {
    Ok(Thing {
        name: row.text(0)?,
        id: row.text(1)?,
        thing_type: row.opt_text(2)?,
        billing_group: row.opt_text(3)?,
        attributes: from_json(&row.text(4)?)?,
        version: row.int(5)?,
    })
}

fn things(rows: &[Row]) -> Result<Vec<Thing>, ApiError> {
    rows.iter().map(thing).collect()
}

pub(crate) fn find(tx: &mut Tx<'_>, name: &str) -> Result<Option<Thing>, ApiError> {
    let row = tx.query_one(select_things!("WHERE t.thing_name = ?1"), &params![name])?;
    row.as_ref().map(thing).transpose()
}

pub(crate) fn exists(tx: &mut Tx<'_>, name: &str) -> Result<bool, ApiError> {
    let sql = "SELECT thing_name FROM things WHERE thing_name = ?1";
    Ok(tx.query_one(sql, &params![name])?.is_some())
}

pub(crate) fn insert(tx: &mut Tx<'_>, thing: &Thing) -> Result<(), ApiError> {
    let now = tx.now();
    tx.execute(
        "INSERT INTO things (thing_name, thing_id, thing_type_name, billing_group_name, \
         attributes_json, version, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        &params![
            &thing.name,
            &thing.id,
            thing.thing_type.as_deref(),
            thing.billing_group.as_deref(),
            to_json(&thing.attributes)?,
            thing.version,
            now
        ],
    )?;
    insert_attributes(tx, thing)
}

/// Saves type, attributes and version.
pub(crate) fn update(tx: &mut Tx<'_>, thing: &Thing) -> Result<(), ApiError> {
    tx.execute(
        "UPDATE things SET thing_type_name = ?2, attributes_json = ?3, version = ?4 \
         WHERE thing_name = ?1",
        &params![
            &thing.name,
            thing.thing_type.as_deref(),
            to_json(&thing.attributes)?,
            thing.version
        ],
    )?;
    delete_attributes(tx, &thing.name)?;
    insert_attributes(tx, thing)
}

/// Deletes the thing, its attributes and its group memberships.
pub(crate) fn delete(tx: &mut Tx<'_>, name: &str) -> Result<(), ApiError> {
    delete_attributes(tx, name)?;
    tx.execute(
        "DELETE FROM thing_group_members WHERE thing_name = ?1",
        &params![name],
    )?;
    tx.execute("DELETE FROM things WHERE thing_name = ?1", &params![name])?;
    Ok(())
}

fn delete_attributes(tx: &mut Tx<'_>, name: &str) -> Result<(), ApiError> {
    let sql = "DELETE FROM thing_attributes WHERE thing_name = ?1";
    tx.execute(sql, &params![name])?;
    Ok(())
}

fn insert_attributes(tx: &mut Tx<'_>, thing: &Thing) -> Result<(), ApiError> {
    for (name, value) in &thing.attributes {
        tx.execute(
            "INSERT INTO thing_attributes (thing_name, attribute_name, attribute_value) \
             VALUES (?1, ?2, ?3)",
            &params![&thing.name, name, value],
        )?;
    }
    Ok(())
}

pub(crate) fn page(tx: &mut Tx<'_>, after: &str, rows: i64) -> Result<Vec<Thing>, ApiError> {
    things(&tx.query(
        select_things!("WHERE t.thing_name > ?1 ORDER BY t.thing_name LIMIT ?2"),
        &params![after, rows],
    )?)
}

pub(crate) fn page_of_type(
    tx: &mut Tx<'_>,
    thing_type: &str,
    after: &str,
    rows: i64,
) -> Result<Vec<Thing>, ApiError> {
    things(&tx.query(
        select_things!(
            "WHERE t.thing_type_name = ?1 AND t.thing_name > ?2 ORDER BY t.thing_name LIMIT ?3"
        ),
        &params![thing_type, after, rows],
    )?)
}

/// Which values of an attribute a list asks for, and which type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttributeFilter<'a> {
    pub(crate) name: &'a str,
    /// The lowest value.
    pub(crate) from: &'a str,
    /// The highest value.
    pub(crate) to: &'a str,
    pub(crate) thing_type: Option<&'a str>,
}

/// Things by the value of an attribute, in the order of value and name.
pub(crate) fn page_by_attribute(
    tx: &mut Tx<'_>,
    filter: AttributeFilter<'_>,
    after: (&str, &str),
    rows: i64,
) -> Result<Vec<Thing>, ApiError> {
    things(&tx.query(
        select_things!(
            "JOIN thing_attributes a ON a.thing_name = t.thing_name \
             WHERE a.attribute_name = ?1 AND a.attribute_value >= ?2 AND a.attribute_value <= ?3 \
             AND (a.attribute_value, a.thing_name) > (?4, ?5) \
             AND (?6 = '' OR t.thing_type_name = ?6) \
             ORDER BY a.attribute_value, a.thing_name LIMIT ?7"
        ),
        &params![
            filter.name,
            filter.from,
            filter.to,
            after.0,
            after.1,
            filter.thing_type.unwrap_or_default(),
            rows
        ],
    )?)
}

/// Puts the thing into a billing group, or into none.
pub(crate) fn set_billing_group(
    tx: &mut Tx<'_>,
    name: &str,
    billing_group: Option<&str>,
) -> Result<(), ApiError> {
    let sql = "UPDATE things SET billing_group_name = ?2 WHERE thing_name = ?1";
    tx.execute(sql, &params![name, billing_group])?;
    Ok(())
}
