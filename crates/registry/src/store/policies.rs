//! Tables `iot_policies`, `iot_policy_versions` and `iot_policy_attachments`.

use model::{ApiError, Timestamp};
use storage::{Row, Tx, params};

/// A policy as it is stored, without its documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) name: String,
    /// The version that is evaluated.
    pub(crate) default_version: i64,
    /// The last version number given out.
    pub(crate) last_version: i64,
    /// Changes whenever the policy does.
    pub(crate) generation: String,
    pub(crate) created_at: Timestamp,
    pub(crate) modified_at: Timestamp,
}

/// One version of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) policy: String,
    pub(crate) version: i64,
    pub(crate) document: String,
    /// Unique for ever: a policy created again counts its versions from 1 again.
    pub(crate) generation: String,
    pub(crate) created_at: Timestamp,
}

fn policy(row: &Row) -> Result<Policy, ApiError> {
    Ok(Policy {
        name: row.text(0)?,
        default_version: row.int(1)?,
        last_version: row.int(2)?,
        generation: row.text(3)?,
        created_at: row.time(4)?,
        modified_at: row.time(5)?,
    })
}

fn version(row: &Row) -> Result<Version, ApiError> {
    Ok(Version {
        policy: row.text(0)?,
        version: row.int(1)?,
        document: row.text(2)?,
        generation: row.text(3)?,
        created_at: row.time(4)?,
    })
}

pub(crate) fn find(tx: &mut Tx<'_>, name: &str) -> Result<Option<Policy>, ApiError> {
    let row = tx.query_one(
        "SELECT policy_name, default_version, last_version, generation_id, created_at, \
         modified_at FROM iot_policies WHERE policy_name = ?1",
        &params![name],
    )?;
    row.as_ref().map(policy).transpose()
}

pub(crate) fn insert(tx: &mut Tx<'_>, policy: &Policy) -> Result<(), ApiError> {
    tx.execute(
        "INSERT INTO iot_policies (policy_name, default_version, last_version, generation_id, \
         created_at, modified_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        &params![
            &policy.name,
            policy.default_version,
            policy.last_version,
            &policy.generation,
            policy.created_at,
            policy.modified_at
        ],
    )?;
    Ok(())
}

/// Saves the version numbers, the generation and the time of modification.
pub(crate) fn update(tx: &mut Tx<'_>, policy: &Policy) -> Result<(), ApiError> {
    tx.execute(
        "UPDATE iot_policies SET default_version = ?2, last_version = ?3, generation_id = ?4, \
         modified_at = ?5 WHERE policy_name = ?1",
        &params![
            &policy.name,
            policy.default_version,
            policy.last_version,
            &policy.generation,
            policy.modified_at
        ],
    )?;
    Ok(())
}

/// Deletes the policy with all its versions.
pub(crate) fn delete(tx: &mut Tx<'_>, name: &str) -> Result<(), ApiError> {
    let versions = "DELETE FROM iot_policy_versions WHERE policy_name = ?1";
    tx.execute(versions, &params![name])?;
    let policy = "DELETE FROM iot_policies WHERE policy_name = ?1";
    tx.execute(policy, &params![name])?;
    Ok(())
}

/// A page in the order of a time and, within it, of a name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimePage<'a> {
    pub(crate) ascending: bool,
    /// Behind which item; none at the start.
    pub(crate) after: Option<(i64, &'a str)>,
    pub(crate) rows: i64,
}

impl<'a> TimePage<'a> {
    /// The item behind which to start, whichever the direction.
    fn start(self) -> (i64, &'a str) {
        let edge = if self.ascending { i64::MIN } else { i64::MAX };
        self.after.unwrap_or((edge, ""))
    }
}

/// An item of a list in the order of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dated {
    pub(crate) name: String,
    pub(crate) at: Timestamp,
}

impl Dated {
    /// What a page that ends here is continued from.
    pub(crate) fn key(&self) -> Vec<String> {
        vec![self.at.millis().to_string(), self.name.clone()]
    }
}

fn dated(rows: &[Row]) -> Result<Vec<Dated>, ApiError> {
    rows.iter()
        .map(|row| {
            let (name, at) = (row.text(0)?, row.time(1)?);
            Ok(Dated { name, at })
        })
        .collect()
}

/// Policies in the order of their creation.
pub(crate) fn page(tx: &mut Tx<'_>, page: TimePage<'_>) -> Result<Vec<Dated>, ApiError> {
    let (at, name) = page.start();
    let sql = if page.ascending {
        "SELECT policy_name, created_at FROM iot_policies \
         WHERE (created_at, policy_name) > (?1, ?2) ORDER BY created_at, policy_name LIMIT ?3"
    } else {
        "SELECT policy_name, created_at FROM iot_policies \
         WHERE (created_at, policy_name) < (?1, ?2) \
         ORDER BY created_at DESC, policy_name DESC LIMIT ?3"
    };
    dated(&tx.query(sql, &params![at, name, page.rows])?)
}

pub(crate) fn insert_version(tx: &mut Tx<'_>, version: &Version) -> Result<(), ApiError> {
    tx.execute(
        "INSERT INTO iot_policy_versions (policy_name, version, document, generation_id, \
         created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        &params![
            &version.policy,
            version.version,
            &version.document,
            &version.generation,
            version.created_at
        ],
    )?;
    Ok(())
}

pub(crate) fn find_version(
    tx: &mut Tx<'_>,
    policy: &str,
    number: i64,
) -> Result<Option<Version>, ApiError> {
    let row = tx.query_one(
        "SELECT policy_name, version, document, generation_id, created_at \
         FROM iot_policy_versions WHERE policy_name = ?1 AND version = ?2",
        &params![policy, number],
    )?;
    row.as_ref().map(version).transpose()
}

/// All versions, the newest first; they are few.
pub(crate) fn versions(tx: &mut Tx<'_>, policy: &str) -> Result<Vec<Version>, ApiError> {
    tx.query(
        "SELECT policy_name, version, document, generation_id, created_at \
         FROM iot_policy_versions WHERE policy_name = ?1 ORDER BY version DESC",
        &params![policy],
    )?
    .iter()
    .map(version)
    .collect()
}

pub(crate) fn delete_version(tx: &mut Tx<'_>, policy: &str, number: i64) -> Result<(), ApiError> {
    let sql = "DELETE FROM iot_policy_versions WHERE policy_name = ?1 AND version = ?2";
    tx.execute(sql, &params![policy, number])?;
    Ok(())
}

/// Attaches the policy to a principal or, with `on_group`, to a group.
pub(crate) fn attach(
    tx: &mut Tx<'_>,
    target: &str,
    policy: &str,
    on_group: bool,
) -> Result<(), ApiError> {
    let now = tx.now();
    tx.execute(
        "INSERT INTO iot_policy_attachments (target, policy_name, on_group, attached_at) \
         VALUES (?1, ?2, ?3, ?4)",
        &params![target, policy, on_group, now],
    )?;
    Ok(())
}

/// Whether the policy was attached.
pub(crate) fn detach(tx: &mut Tx<'_>, target: &str, policy: &str) -> Result<bool, ApiError> {
    let sql = "DELETE FROM iot_policy_attachments WHERE target = ?1 AND policy_name = ?2";
    Ok(0 < tx.execute(sql, &params![target, policy])?)
}

/// Detaches every policy; how many there were.
pub(crate) fn detach_all(tx: &mut Tx<'_>, target: &str) -> Result<u64, ApiError> {
    let sql = "DELETE FROM iot_policy_attachments WHERE target = ?1";
    Ok(tx.execute(sql, &params![target])?)
}

/// Names of the policies attached to a target, which are few.
pub(crate) fn attached(tx: &mut Tx<'_>, target: &str) -> Result<Vec<String>, ApiError> {
    let rows = tx.query(
        "SELECT policy_name FROM iot_policy_attachments WHERE target = ?1 ORDER BY policy_name",
        &params![target],
    )?;
    rows.iter().map(|row| Ok(row.text(0)?)).collect()
}

/// The default versions of the policies attached to a target, by policy name.
pub(crate) fn attached_documents(tx: &mut Tx<'_>, target: &str) -> Result<Vec<Version>, ApiError> {
    tx.query(
        "SELECT v.policy_name, v.version, v.document, v.generation_id, v.created_at \
         FROM iot_policy_attachments a JOIN iot_policies p ON p.policy_name = a.policy_name \
         JOIN iot_policy_versions v \
         ON v.policy_name = p.policy_name AND v.version = p.default_version \
         WHERE a.target = ?1 ORDER BY v.policy_name",
        &params![target],
    )?
    .iter()
    .map(version)
    .collect()
}

/// Policies of a target, in the order in which they were attached.
pub(crate) fn page_of_target(
    tx: &mut Tx<'_>,
    target: &str,
    page: TimePage<'_>,
) -> Result<Vec<Dated>, ApiError> {
    let (at, name) = page.start();
    let sql = if page.ascending {
        "SELECT policy_name, attached_at FROM iot_policy_attachments \
         WHERE target = ?1 AND (attached_at, policy_name) > (?2, ?3) \
         ORDER BY attached_at, policy_name LIMIT ?4"
    } else {
        "SELECT policy_name, attached_at FROM iot_policy_attachments \
         WHERE target = ?1 AND (attached_at, policy_name) < (?2, ?3) \
         ORDER BY attached_at DESC, policy_name DESC LIMIT ?4"
    };
    dated(&tx.query(sql, &params![target, at, name, page.rows])?)
}

/// Targets of a policy, with or without groups, in the order in which it was attached to them.
pub(crate) fn page_of_policy(
    tx: &mut Tx<'_>,
    policy: &str,
    with_groups: bool,
    page: TimePage<'_>,
) -> Result<Vec<Dated>, ApiError> {
    let (at, target) = page.start();
    let sql = if page.ascending {
        "SELECT target, attached_at FROM iot_policy_attachments \
         WHERE policy_name = ?1 AND (attached_at, target) > (?2, ?3) AND on_group <= ?4 \
         ORDER BY attached_at, target LIMIT ?5"
    } else {
        "SELECT target, attached_at FROM iot_policy_attachments \
         WHERE policy_name = ?1 AND (attached_at, target) < (?2, ?3) AND on_group <= ?4 \
         ORDER BY attached_at DESC, target DESC LIMIT ?5"
    };
    dated(&tx.query(sql, &params![policy, at, target, with_groups, page.rows])?)
}

/// Whether the policy is attached to anything.
pub(crate) fn has_targets(tx: &mut Tx<'_>, policy: &str) -> Result<bool, ApiError> {
    let sql = "SELECT target FROM iot_policy_attachments WHERE policy_name = ?1 LIMIT 1";
    Ok(tx.query_one(sql, &params![policy])?.is_some())
}
