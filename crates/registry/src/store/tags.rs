//! Table `tags`, keyed by the ARN of what is tagged.

use model::ApiError;
use storage::{Tx, params};

use crate::tags::Tag;

pub(crate) fn put(tx: &mut Tx<'_>, arn: &str, tag: &Tag) -> Result<(), ApiError> {
    tx.execute(
        "INSERT INTO tags (resource_arn, tag_key, tag_value) VALUES (?1, ?2, ?3) \
         ON CONFLICT (resource_arn, tag_key) DO UPDATE SET tag_value = excluded.tag_value",
        &params![arn, &tag.key, &tag.value],
    )?;
    Ok(())
}

pub(crate) fn delete(tx: &mut Tx<'_>, arn: &str, key: &str) -> Result<(), ApiError> {
    let sql = "DELETE FROM tags WHERE resource_arn = ?1 AND tag_key = ?2";
    tx.execute(sql, &params![arn, key])?;
    Ok(())
}

pub(crate) fn delete_all(tx: &mut Tx<'_>, arn: &str) -> Result<(), ApiError> {
    let sql = "DELETE FROM tags WHERE resource_arn = ?1";
    tx.execute(sql, &params![arn])?;
    Ok(())
}

/// The tags of a resource, which are few, in the order of their keys.
pub(crate) fn all(tx: &mut Tx<'_>, arn: &str) -> Result<Vec<Tag>, ApiError> {
    let rows = tx.query(
        "SELECT tag_key, tag_value FROM tags WHERE resource_arn = ?1 ORDER BY tag_key",
        &params![arn],
    )?;
    rows.iter()
        .map(|row| {
            let (key, value) = (row.text(0)?, row.text(1)?);
            Ok(Tag { key, value })
        })
        .collect()
}
