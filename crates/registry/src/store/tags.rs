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

/// At most `rows` tags, in the order of their keys.
pub(crate) fn page(
    tx: &mut Tx<'_>,
    arn: &str,
    after: &str,
    rows: i64,
) -> Result<Vec<Tag>, ApiError> {
    let rows = tx.query(
        "SELECT tag_key, tag_value FROM tags WHERE resource_arn = ?1 AND tag_key > ?2 \
         ORDER BY tag_key LIMIT ?3",
        &params![arn, after, rows],
    )?;
    rows.iter()
        .map(|row| {
            let (key, value) = (row.text(0)?, row.text(1)?);
            Ok(Tag { key, value })
        })
        .collect()
}

pub(crate) fn count(tx: &mut Tx<'_>, arn: &str) -> Result<usize, ApiError> {
    let sql = "SELECT COUNT(*) FROM tags WHERE resource_arn = ?1";
    let row = tx.query_one(sql, &params![arn])?;
    let count = row.map_or(Ok(0), |row| row.int(0))?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}
