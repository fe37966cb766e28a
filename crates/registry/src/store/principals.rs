//! Table `thing_principals`.

use model::ApiError;
use storage::{Row, Tx, params};

/// How a principal and a thing belong together, seen from one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attachment {
    /// The other one: a principal, or a thing's name.
    pub(crate) other: String,
    /// Whether the thing is the principal's only thing.
    pub(crate) exclusive: bool,
}

fn attachment(row: &Row) -> Result<Attachment, ApiError> {
    Ok(Attachment {
        other: row.text(0)?,
        exclusive: row.bool(1)?,
    })
}

/// A page of attachments: of which kind, behind which name, how many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttachmentPage<'a> {
    /// Exclusive ones only, others only, or all.
    pub(crate) exclusive: Option<bool>,
    pub(crate) after: &'a str,
    pub(crate) rows: i64,
}

impl AttachmentPage<'_> {
    /// The lowest and the highest value of the column `exclusive`.
    fn kinds(self) -> (i64, i64) {
        match self.exclusive {
            None => (0, 1),
            Some(false) => (0, 0),
            Some(true) => (1, 1),
        }
    }
}

/// The things of a principal.
pub(crate) fn things(
    tx: &mut Tx<'_>,
    principal: &str,
    page: AttachmentPage<'_>,
) -> Result<Vec<Attachment>, ApiError> {
    let (low, high) = page.kinds();
    tx.query(
        "SELECT thing_name, exclusive FROM thing_principals WHERE principal = ?1 \
         AND thing_name > ?2 AND exclusive >= ?3 AND exclusive <= ?4 \
         ORDER BY thing_name LIMIT ?5",
        &params![principal, page.after, low, high, page.rows],
    )?
    .iter()
    .map(attachment)
    .collect()
}

/// The principals of a thing.
pub(crate) fn principals(
    tx: &mut Tx<'_>,
    thing: &str,
    page: AttachmentPage<'_>,
) -> Result<Vec<Attachment>, ApiError> {
    let (low, high) = page.kinds();
    tx.query(
        "SELECT principal, exclusive FROM thing_principals WHERE thing_name = ?1 \
         AND principal > ?2 AND exclusive >= ?3 AND exclusive <= ?4 \
         ORDER BY principal LIMIT ?5",
        &params![thing, page.after, low, high, page.rows],
    )?
    .iter()
    .map(attachment)
    .collect()
}

pub(crate) fn attach(
    tx: &mut Tx<'_>,
    principal: &str,
    thing: &str,
    exclusive: bool,
) -> Result<(), ApiError> {
    tx.execute(
        "INSERT INTO thing_principals (principal, thing_name, exclusive) VALUES (?1, ?2, ?3)",
        &params![principal, thing, exclusive],
    )?;
    Ok(())
}

/// Whether there was anything to detach.
pub(crate) fn detach(tx: &mut Tx<'_>, principal: &str, thing: &str) -> Result<bool, ApiError> {
    let sql = "DELETE FROM thing_principals WHERE principal = ?1 AND thing_name = ?2";
    Ok(0 < tx.execute(sql, &params![principal, thing])?)
}
