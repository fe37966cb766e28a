//! Table `billing_groups`; the members are a column of `things`.

use model::{ApiError, Timestamp};
use storage::{Row, Tx, params};

use super::NameRange;

/// A billing group as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BillingGroup {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) description: Option<String>,
    pub(crate) version: i64,
    pub(crate) created_at: Timestamp,
}

fn billing_group(row: &Row) -> Result<BillingGroup, ApiError> {
    Ok(BillingGroup {
        name: row.text(0)?,
        id: row.text(1)?,
        description: row.opt_text(2)?,
        version: row.int(3)?,
        created_at: row.time(4)?,
    })
}

pub(crate) fn find(tx: &mut Tx<'_>, name: &str) -> Result<Option<BillingGroup>, ApiError> {
    let row = tx.query_one(
        "SELECT billing_group_name, billing_group_id, description, version, created_at \
         FROM billing_groups WHERE billing_group_name = ?1",
        &params![name],
    )?;
    row.as_ref().map(billing_group).transpose()
}

pub(crate) fn insert(tx: &mut Tx<'_>, group: &BillingGroup) -> Result<(), ApiError> {
    tx.execute(
        "INSERT INTO billing_groups (billing_group_name, billing_group_id, description, version, \
         created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        &params![
            &group.name,
            &group.id,
            group.description.as_deref(),
            group.version,
            group.created_at
        ],
    )?;
    Ok(())
}

/// Saves the description and the version.
pub(crate) fn update(tx: &mut Tx<'_>, group: &BillingGroup) -> Result<(), ApiError> {
    tx.execute(
        "UPDATE billing_groups SET description = ?2, version = ?3 WHERE billing_group_name = ?1",
        &params![&group.name, group.description.as_deref(), group.version],
    )?;
    Ok(())
}

/// Deletes the group; its members are in none afterwards.
pub(crate) fn delete(tx: &mut Tx<'_>, name: &str) -> Result<(), ApiError> {
    tx.execute(
        "UPDATE things SET billing_group_name = NULL WHERE billing_group_name = ?1",
        &params![name],
    )?;
    tx.execute(
        "DELETE FROM billing_groups WHERE billing_group_name = ?1",
        &params![name],
    )?;
    Ok(())
}

pub(crate) fn page(tx: &mut Tx<'_>, range: NameRange<'_>) -> Result<Vec<String>, ApiError> {
    let rows = tx.query(
        "SELECT billing_group_name FROM billing_groups WHERE billing_group_name >= ?1 \
         AND billing_group_name > ?2 AND billing_group_name <= ?3 \
         ORDER BY billing_group_name LIMIT ?4",
        &params![range.from, range.after, range.to, range.rows],
    )?;
    rows.iter().map(|row| Ok(row.text(0)?)).collect()
}

/// Names of the things in the group.
pub(crate) fn members(
    tx: &mut Tx<'_>,
    name: &str,
    after: &str,
    rows: i64,
) -> Result<Vec<String>, ApiError> {
    let rows = tx.query(
        "SELECT thing_name FROM things WHERE billing_group_name = ?1 AND thing_name > ?2 \
         ORDER BY thing_name LIMIT ?3",
        &params![name, after, rows],
    )?;
    rows.iter().map(|row| Ok(row.text(0)?)).collect()
}
