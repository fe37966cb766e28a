//! Tables `thing_groups`, `thing_group_ancestry` and `thing_group_members`.

use model::{ApiError, Timestamp};
use storage::{Row, Tx, params};

use super::{NameRange, from_json, to_json};
use crate::attributes::Attributes;

/// A static group as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) parent: Option<String>,
    /// The top of its tree; itself when it has no parent.
    pub(crate) root: String,
    pub(crate) description: Option<String>,
    pub(crate) attributes: Attributes,
    pub(crate) version: i64,
    pub(crate) created_at: Timestamp,
}

fn group(row: &Row) -> Result<Group, ApiError> {
    Ok(Group {
        name: row.text(0)?,
        id: row.text(1)?,
        parent: row.opt_text(2)?,
        root: row.text(3)?,
        description: row.opt_text(4)?,
        attributes: from_json(&row.text(5)?)?,
        version: row.int(6)?,
        created_at: row.time(7)?,
    })
}

fn names(rows: &[Row]) -> Result<Vec<String>, ApiError> {
    rows.iter().map(|row| Ok(row.text(0)?)).collect()
}

pub(crate) fn find(tx: &mut Tx<'_>, name: &str) -> Result<Option<Group>, ApiError> {
    let row = tx.query_one(
        "SELECT thing_group_name, thing_group_id, parent_name, root_name, description, \
         attributes_json, version, created_at FROM thing_groups WHERE thing_group_name = ?1",
        &params![name],
    )?;
    row.as_ref().map(group).transpose()
}

pub(crate) fn exists(tx: &mut Tx<'_>, name: &str) -> Result<bool, ApiError> {
    let sql = "SELECT thing_group_name FROM thing_groups WHERE thing_group_name = ?1";
    Ok(tx.query_one(sql, &params![name])?.is_some())
}

/// Inserts the group and its place below its parent, which exists.
pub(crate) fn insert(tx: &mut Tx<'_>, group: &Group) -> Result<(), ApiError> {
    tx.execute(
        "INSERT INTO thing_groups (thing_group_name, thing_group_id, parent_name, root_name, \
         description, attributes_json, version, created_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        &params![
            &group.name,
            &group.id,
            group.parent.as_deref(),
            &group.root,
            group.description.as_deref(),
            to_json(&group.attributes)?,
            group.version,
            group.created_at
        ],
    )?;
    tx.execute(
        "INSERT INTO thing_group_ancestry (ancestor_name, thing_group_name, distance) \
         VALUES (?1, ?1, 0)",
        &params![&group.name],
    )?;
    let Some(parent) = &group.parent else {
        return Ok(());
    };
    for (distance, ancestor) in (1i64..).zip(ancestors(tx, parent)?.iter().rev()) {
        tx.execute(
            "INSERT INTO thing_group_ancestry (ancestor_name, thing_group_name, distance) \
             VALUES (?1, ?2, ?3)",
            &params![ancestor, &group.name, distance],
        )?;
    }
    Ok(())
}

/// Saves description, attributes and version.
pub(crate) fn update(tx: &mut Tx<'_>, group: &Group) -> Result<(), ApiError> {
    tx.execute(
        "UPDATE thing_groups SET description = ?2, attributes_json = ?3, version = ?4 \
         WHERE thing_group_name = ?1",
        &params![
            &group.name,
            group.description.as_deref(),
            to_json(&group.attributes)?,
            group.version
        ],
    )?;
    Ok(())
}

/// Deletes a group without children, with its memberships.
pub(crate) fn delete(tx: &mut Tx<'_>, name: &str) -> Result<(), ApiError> {
    for sql in [
        "DELETE FROM thing_group_members WHERE thing_group_name = ?1",
        "DELETE FROM thing_group_ancestry WHERE thing_group_name = ?1",
        "DELETE FROM thing_groups WHERE thing_group_name = ?1",
    ] {
        tx.execute(sql, &params![name])?;
    }
    Ok(())
}

/// The group and all its ancestors, the root first.
pub(crate) fn ancestors(tx: &mut Tx<'_>, name: &str) -> Result<Vec<String>, ApiError> {
    names(&tx.query(
        "SELECT ancestor_name FROM thing_group_ancestry WHERE thing_group_name = ?1 \
         ORDER BY distance DESC",
        &params![name],
    )?)
}

/// How many direct children the group has.
pub(crate) fn children_count(tx: &mut Tx<'_>, name: &str) -> Result<usize, ApiError> {
    let sql = "SELECT COUNT(*) FROM thing_groups WHERE parent_name = ?1";
    let row = tx.query_one(sql, &params![name])?;
    let count = row.map_or(Ok(0), |row| row.int(0))?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// Which groups a list is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Below<'a> {
    /// All groups.
    Everything,
    /// Groups without a parent.
    Roots,
    /// The direct children of a group.
    Children(&'a str),
    /// All groups below a group.
    Descendants(&'a str),
}

pub(crate) fn page(
    tx: &mut Tx<'_>,
    below: Below<'_>,
    range: NameRange<'_>,
) -> Result<Vec<String>, ApiError> {
    let (sql, parent) = match below {
        Below::Everything => (
            "SELECT thing_group_name FROM thing_groups WHERE thing_group_name >= ?1 \
             AND thing_group_name > ?2 AND thing_group_name <= ?3 \
             ORDER BY thing_group_name LIMIT ?4",
            None,
        ),
        Below::Roots => (
            "SELECT thing_group_name FROM thing_groups WHERE parent_name IS NULL \
             AND thing_group_name >= ?1 AND thing_group_name > ?2 AND thing_group_name <= ?3 \
             ORDER BY thing_group_name LIMIT ?4",
            None,
        ),
        Below::Children(parent) => (
            "SELECT thing_group_name FROM thing_groups WHERE thing_group_name >= ?1 \
             AND thing_group_name > ?2 AND thing_group_name <= ?3 AND parent_name = ?5 \
             ORDER BY thing_group_name LIMIT ?4",
            Some(parent),
        ),
        Below::Descendants(parent) => (
            "SELECT thing_group_name FROM thing_group_ancestry WHERE thing_group_name >= ?1 \
             AND thing_group_name > ?2 AND thing_group_name <= ?3 AND ancestor_name = ?5 \
             AND distance > 0 ORDER BY thing_group_name LIMIT ?4",
            Some(parent),
        ),
    };
    let mut parameters = params![range.from, range.after, range.to, range.rows].to_vec();
    parameters.extend(parent.map(Into::into));
    names(&tx.query(sql, &parameters)?)
}

/// Names of the things in the group, and with `recursive` in any group below it.
pub(crate) fn members(
    tx: &mut Tx<'_>,
    name: &str,
    recursive: bool,
    after: &str,
    rows: i64,
) -> Result<Vec<String>, ApiError> {
    let sql = if recursive {
        "SELECT DISTINCT m.thing_name FROM thing_group_ancestry a \
         JOIN thing_group_members m ON m.thing_group_name = a.thing_group_name \
         WHERE a.ancestor_name = ?1 AND m.thing_name > ?2 ORDER BY m.thing_name LIMIT ?3"
    } else {
        "SELECT thing_name FROM thing_group_members WHERE thing_group_name = ?1 \
         AND thing_name > ?2 ORDER BY thing_name LIMIT ?3"
    };
    names(&tx.query(sql, &params![name, after, rows])?)
}

/// The direct groups of a thing.
pub(crate) fn of_thing(
    tx: &mut Tx<'_>,
    thing: &str,
    after: &str,
    rows: i64,
) -> Result<Vec<String>, ApiError> {
    names(&tx.query(
        "SELECT thing_group_name FROM thing_group_members WHERE thing_name = ?1 \
         AND thing_group_name > ?2 ORDER BY thing_group_name LIMIT ?3",
        &params![thing, after, rows],
    )?)
}

/// A direct group of a thing, and the root of its tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Membership {
    pub(crate) group: String,
    pub(crate) root: String,
}

pub(crate) fn memberships(tx: &mut Tx<'_>, thing: &str) -> Result<Vec<Membership>, ApiError> {
    let rows = tx.query(
        "SELECT g.thing_group_name, g.root_name FROM thing_group_members m \
         JOIN thing_groups g ON g.thing_group_name = m.thing_group_name \
         WHERE m.thing_name = ?1 ORDER BY g.thing_group_name",
        &params![thing],
    )?;
    rows.iter()
        .map(|row| {
            let (group, root) = (row.text(0)?, row.text(1)?);
            Ok(Membership { group, root })
        })
        .collect()
}

/// The direct groups of a thing and all their ancestors.
pub(crate) fn all_of_thing(tx: &mut Tx<'_>, thing: &str) -> Result<Vec<String>, ApiError> {
    names(&tx.query(
        "SELECT DISTINCT a.ancestor_name FROM thing_group_members m \
         JOIN thing_group_ancestry a ON a.thing_group_name = m.thing_group_name \
         WHERE m.thing_name = ?1 ORDER BY a.ancestor_name",
        &params![thing],
    )?)
}

pub(crate) fn add_member(tx: &mut Tx<'_>, group: &str, thing: &str) -> Result<(), ApiError> {
    tx.execute(
        "INSERT INTO thing_group_members (thing_group_name, thing_name) VALUES (?1, ?2)",
        &params![group, thing],
    )?;
    Ok(())
}

/// Whether the thing was a member.
pub(crate) fn remove_member(tx: &mut Tx<'_>, group: &str, thing: &str) -> Result<bool, ApiError> {
    let sql = "DELETE FROM thing_group_members WHERE thing_group_name = ?1 AND thing_name = ?2";
    Ok(0 < tx.execute(sql, &params![group, thing])?)
}
