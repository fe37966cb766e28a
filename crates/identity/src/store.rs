//! The tables of identity, as functions over a transaction.
//!
//! Lists read at most the rows they are told; the others are bounded where rows are made.

use model::{ApiError, Timestamp};
use storage::{Row, StorageError, Tx, params};

use crate::tags::{self, Tag};
use crate::usage::Use;

/// A user.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) user_id: String,
    pub(crate) created_at: Timestamp,
}

/// An access key without its secret.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) user_id: String,
    pub(crate) active: bool,
    pub(crate) created_at: Timestamp,
}

/// A role.
#[derive(Clone, Debug)]
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) role_id: String,
    pub(crate) trust: String,
    pub(crate) description: Option<String>,
    pub(crate) session_seconds_max: i64,
    pub(crate) created_at: Timestamp,
}

/// Whom a trust policy names: an ARN, and the user or role that had it at the time.
#[derive(Clone, Debug)]
pub(crate) struct Trusted {
    pub(crate) arn: String,
    pub(crate) id: String,
}

/// An inline policy.
#[derive(Clone, Debug)]
pub(crate) struct InlinePolicy {
    pub(crate) name: String,
    pub(crate) document: String,
}

/// A session; its secret and token are sealed.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) access_key_id: String,
    pub(crate) role_id: String,
    pub(crate) name: String,
    pub(crate) secret: Vec<u8>,
    pub(crate) token: Vec<u8>,
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

type Read<T> = fn(&Row) -> Result<T, StorageError>;

fn each<T>(rows: &[Row], read: Read<T>) -> Result<Vec<T>, ApiError> {
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

fn one<T>(row: Option<Row>, read: Read<T>) -> Result<Option<T>, ApiError> {
    Ok(row.as_ref().map(read).transpose()?)
}

fn count(row: Option<Row>) -> Result<i64, ApiError> {
    Ok(one(row, |row| row.int(0))?.unwrap_or(0))
}

// Users.

fn user(row: &Row) -> Result<User, StorageError> {
    Ok(User {
        name: row.text(0)?,
        user_id: row.text(1)?,
        created_at: row.time(2)?,
    })
}

pub(crate) fn user_by_name(tx: &mut Tx<'_>, name: &str) -> Result<Option<User>, ApiError> {
    let sql = "SELECT name, user_id, created_at FROM iam_users WHERE name = ?1";
    one(tx.query_one(sql, &params![name])?, user)
}

/// The user whose name is `name` but for the case of letters.
pub(crate) fn user_by_folded_name(tx: &mut Tx<'_>, name: &str) -> Result<Option<User>, ApiError> {
    let sql = "SELECT name, user_id, created_at FROM iam_users WHERE folded_name = ?1";
    one(
        tx.query_one(sql, &params![name.to_ascii_lowercase()])?,
        user,
    )
}

pub(crate) fn user_by_id(tx: &mut Tx<'_>, user_id: &str) -> Result<Option<User>, ApiError> {
    let sql = "SELECT name, user_id, created_at FROM iam_users WHERE user_id = ?1";
    one(tx.query_one(sql, &params![user_id])?, user)
}

pub(crate) fn users_after(tx: &mut Tx<'_>, after: &str, rows: u32) -> Result<Vec<User>, ApiError> {
    let sql = "SELECT name, user_id, created_at FROM iam_users \
               WHERE name > ?1 ORDER BY name LIMIT ?2";
    each(&tx.query(sql, &params![after, rows])?, user)
}

pub(crate) fn count_users(tx: &mut Tx<'_>) -> Result<i64, ApiError> {
    count(tx.query_one("SELECT count(*) FROM iam_users", &[])?)
}

pub(crate) fn insert_user(tx: &mut Tx<'_>, user: &User) -> Result<(), ApiError> {
    let sql = "INSERT INTO iam_users (name, folded_name, user_id, created_at) \
               VALUES (?1, ?2, ?3, ?4)";
    let folded = user.name.to_ascii_lowercase();
    tx.execute(
        sql,
        &params![&user.name, folded, &user.user_id, user.created_at],
    )?;
    Ok(())
}

pub(crate) fn rename_user(tx: &mut Tx<'_>, user_id: &str, name: &str) -> Result<(), ApiError> {
    let sql = "UPDATE iam_users SET name = ?2, folded_name = ?3 WHERE user_id = ?1";
    tx.execute(sql, &params![user_id, name, name.to_ascii_lowercase()])?;
    Ok(())
}

/// Deletes a user with its tags; keys and policies are gone before.
pub(crate) fn delete_user(tx: &mut Tx<'_>, user_id: &str) -> Result<(), ApiError> {
    delete_tags(tx, user_id)?;
    tx.execute(
        "DELETE FROM iam_users WHERE user_id = ?1",
        &params![user_id],
    )?;
    Ok(())
}

// Access keys.

fn key(row: &Row) -> Result<Key, StorageError> {
    Ok(Key {
        id: row.text(0)?,
        user_id: row.text(1)?,
        active: row.bool(2)?,
        created_at: row.time(3)?,
    })
}

pub(crate) fn keys_of(tx: &mut Tx<'_>, user_id: &str) -> Result<Vec<Key>, ApiError> {
    let sql = "SELECT access_key_id, user_id, active, created_at FROM iam_access_keys \
               WHERE user_id = ?1 ORDER BY access_key_id";
    each(&tx.query(sql, &params![user_id])?, key)
}

/// A key with its sealed secret.
pub(crate) fn key_by_id(tx: &mut Tx<'_>, id: &str) -> Result<Option<(Key, Vec<u8>)>, ApiError> {
    let sql = "SELECT access_key_id, user_id, active, created_at, secret FROM iam_access_keys \
               WHERE access_key_id = ?1";
    one(tx.query_one(sql, &params![id])?, |row| {
        Ok((key(row)?, row.blob(4)?))
    })
}

/// The last use of a key that was written.
pub(crate) fn key_last_used(tx: &mut Tx<'_>, id: &str) -> Result<Option<Use>, ApiError> {
    let sql = "SELECT used_at, used_service FROM iam_access_keys WHERE access_key_id = ?1";
    let Some(row) = tx.query_one(sql, &params![id])? else {
        return Ok(None);
    };
    let (at, service) = (row.opt_time(0)?, row.opt_text(1)?);
    Ok(at.zip(service).map(|(at, service)| Use { at, service }))
}

/// Writes the last use of a key; temporary ones have no row, and none is written.
pub(crate) fn key_used(tx: &mut Tx<'_>, id: &str, last: &Use) -> Result<u64, ApiError> {
    let sql = "UPDATE iam_access_keys SET used_at = ?2, used_service = ?3 \
               WHERE access_key_id = ?1";
    Ok(tx.execute(sql, &params![id, last.at, &last.service])?)
}

pub(crate) fn insert_key(tx: &mut Tx<'_>, key: &Key, secret: &[u8]) -> Result<(), ApiError> {
    let sql = "INSERT INTO iam_access_keys (access_key_id, user_id, active, created_at, secret) \
               VALUES (?1, ?2, ?3, ?4, ?5)";
    tx.execute(
        sql,
        &params![&key.id, &key.user_id, key.active, key.created_at, secret],
    )?;
    Ok(())
}

pub(crate) fn set_key_active(tx: &mut Tx<'_>, id: &str, active: bool) -> Result<(), ApiError> {
    let sql = "UPDATE iam_access_keys SET active = ?2 WHERE access_key_id = ?1";
    tx.execute(sql, &params![id, active])?;
    Ok(())
}

pub(crate) fn delete_key(tx: &mut Tx<'_>, id: &str) -> Result<(), ApiError> {
    let sql = "DELETE FROM iam_access_keys WHERE access_key_id = ?1";
    tx.execute(sql, &params![id])?;
    Ok(())
}

pub(crate) fn delete_keys_of(tx: &mut Tx<'_>, user_id: &str) -> Result<(), ApiError> {
    let sql = "DELETE FROM iam_access_keys WHERE user_id = ?1";
    tx.execute(sql, &params![user_id])?;
    Ok(())
}

// Roles.

fn role(row: &Row) -> Result<Role, StorageError> {
    Ok(Role {
        name: row.text(0)?,
        role_id: row.text(1)?,
        trust: row.text(2)?,
        description: row.opt_text(3)?,
        session_seconds_max: row.int(4)?,
        created_at: row.time(5)?,
    })
}

pub(crate) fn role_by_name(tx: &mut Tx<'_>, name: &str) -> Result<Option<Role>, ApiError> {
    let sql = "SELECT name, role_id, trust, description, session_seconds_max, created_at \
               FROM iam_roles WHERE name = ?1";
    one(tx.query_one(sql, &params![name])?, role)
}

/// The role whose name is `name` but for the case of letters.
pub(crate) fn role_by_folded_name(tx: &mut Tx<'_>, name: &str) -> Result<Option<Role>, ApiError> {
    let sql = "SELECT name, role_id, trust, description, session_seconds_max, created_at \
               FROM iam_roles WHERE folded_name = ?1";
    one(
        tx.query_one(sql, &params![name.to_ascii_lowercase()])?,
        role,
    )
}

pub(crate) fn role_by_id(tx: &mut Tx<'_>, role_id: &str) -> Result<Option<Role>, ApiError> {
    let sql = "SELECT name, role_id, trust, description, session_seconds_max, created_at \
               FROM iam_roles WHERE role_id = ?1";
    one(tx.query_one(sql, &params![role_id])?, role)
}

pub(crate) fn roles_after(tx: &mut Tx<'_>, after: &str, rows: u32) -> Result<Vec<Role>, ApiError> {
    let sql = "SELECT name, role_id, trust, description, session_seconds_max, created_at \
               FROM iam_roles WHERE name > ?1 ORDER BY name LIMIT ?2";
    each(&tx.query(sql, &params![after, rows])?, role)
}

pub(crate) fn count_roles(tx: &mut Tx<'_>) -> Result<i64, ApiError> {
    count(tx.query_one("SELECT count(*) FROM iam_roles", &[])?)
}

pub(crate) fn insert_role(tx: &mut Tx<'_>, role: &Role) -> Result<(), ApiError> {
    let sql = "INSERT INTO iam_roles \
               (name, folded_name, role_id, trust, description, session_seconds_max, created_at) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let values = params![
        &role.name,
        role.name.to_ascii_lowercase(),
        &role.role_id,
        &role.trust,
        role.description.clone(),
        role.session_seconds_max,
        role.created_at
    ];
    tx.execute(sql, &values)?;
    Ok(())
}

/// Writes what of a role can change.
pub(crate) fn update_role(tx: &mut Tx<'_>, role: &Role) -> Result<(), ApiError> {
    let sql = "UPDATE iam_roles SET trust = ?2, description = ?3, session_seconds_max = ?4 \
               WHERE role_id = ?1";
    let values = params![
        &role.role_id,
        &role.trust,
        role.description.clone(),
        role.session_seconds_max
    ];
    tx.execute(sql, &values)?;
    Ok(())
}

/// Deletes a role with its tags; its sessions end with it. Policies are gone before.
pub(crate) fn delete_role(tx: &mut Tx<'_>, role_id: &str) -> Result<(), ApiError> {
    let sql = "DELETE FROM sts_sessions WHERE role_id = ?1";
    tx.execute(sql, &params![role_id])?;
    delete_trusted(tx, role_id)?;
    delete_tags(tx, role_id)?;
    let sql = "DELETE FROM iam_roles WHERE role_id = ?1";
    tx.execute(sql, &params![role_id])?;
    Ok(())
}

pub(crate) fn trusted_by(tx: &mut Tx<'_>, role_id: &str) -> Result<Vec<Trusted>, ApiError> {
    let sql = "SELECT arn, trusted_id FROM iam_trusted WHERE role_id = ?1 ORDER BY arn";
    each(&tx.query(sql, &params![role_id])?, |row| {
        Ok(Trusted {
            arn: row.text(0)?,
            id: row.text(1)?,
        })
    })
}

pub(crate) fn replace_trusted(
    tx: &mut Tx<'_>,
    role_id: &str,
    trusted: &[Trusted],
) -> Result<(), ApiError> {
    delete_trusted(tx, role_id)?;
    let sql = "INSERT INTO iam_trusted (role_id, arn, trusted_id) VALUES (?1, ?2, ?3) \
               ON CONFLICT (role_id, arn) DO NOTHING";
    for Trusted { arn, id } in trusted {
        tx.execute(sql, &params![role_id, arn, id])?;
    }
    Ok(())
}

fn delete_trusted(tx: &mut Tx<'_>, role_id: &str) -> Result<(), ApiError> {
    let sql = "DELETE FROM iam_trusted WHERE role_id = ?1";
    tx.execute(sql, &params![role_id])?;
    Ok(())
}

// Inline policies.

pub(crate) fn put_policy(
    tx: &mut Tx<'_>,
    owner: &str,
    name: &str,
    document: &str,
) -> Result<(), ApiError> {
    let sql = "INSERT INTO iam_inline_policies (owner_id, name, document) VALUES (?1, ?2, ?3) \
               ON CONFLICT (owner_id, name) DO UPDATE SET document = ?3";
    tx.execute(sql, &params![owner, name, document])?;
    Ok(())
}

/// At most `rows` of an owner's inline policies after `after`.
pub(crate) fn policies_after(
    tx: &mut Tx<'_>,
    owner: &str,
    after: &str,
    rows: u32,
) -> Result<Vec<InlinePolicy>, ApiError> {
    let sql = "SELECT name, document FROM iam_inline_policies \
               WHERE owner_id = ?1 AND name > ?2 ORDER BY name LIMIT ?3";
    each(&tx.query(sql, &params![owner, after, rows])?, |row| {
        Ok(InlinePolicy {
            name: row.text(0)?,
            document: row.text(1)?,
        })
    })
}

pub(crate) fn policy(tx: &mut Tx<'_>, owner: &str, name: &str) -> Result<Option<String>, ApiError> {
    let sql = "SELECT document FROM iam_inline_policies WHERE owner_id = ?1 AND name = ?2";
    one(tx.query_one(sql, &params![owner, name])?, |row| row.text(0))
}

pub(crate) fn delete_policy(tx: &mut Tx<'_>, owner: &str, name: &str) -> Result<u64, ApiError> {
    let sql = "DELETE FROM iam_inline_policies WHERE owner_id = ?1 AND name = ?2";
    Ok(tx.execute(sql, &params![owner, name])?)
}

pub(crate) fn delete_policies_of(tx: &mut Tx<'_>, owner: &str) -> Result<(), ApiError> {
    let sql = "DELETE FROM iam_inline_policies WHERE owner_id = ?1";
    tx.execute(sql, &params![owner])?;
    Ok(())
}

// Tags.

/// At most `rows` tags of an owner, by key.
pub(crate) fn tags(tx: &mut Tx<'_>, owner: &str, rows: u32) -> Result<Vec<Tag>, ApiError> {
    let sql = "SELECT tag_key, tag_value FROM iam_tags \
               WHERE owner_id = ?1 ORDER BY tag_key LIMIT ?2";
    each(&tx.query(sql, &params![owner, rows])?, |row| {
        Ok(Tag {
            key: row.text(0)?,
            value: row.text(1)?,
        })
    })
}

pub(crate) fn put_tag(tx: &mut Tx<'_>, owner: &str, tag: &Tag) -> Result<(), ApiError> {
    let sql = "INSERT INTO iam_tags (owner_id, folded_key, tag_key, tag_value) \
               VALUES (?1, ?2, ?3, ?4) \
               ON CONFLICT (owner_id, folded_key) DO UPDATE SET tag_key = ?3, tag_value = ?4";
    let Tag { key, value } = tag;
    tx.execute(sql, &params![owner, tags::folded(key), key, value])?;
    Ok(())
}

pub(crate) fn delete_tag(tx: &mut Tx<'_>, owner: &str, key: &str) -> Result<(), ApiError> {
    let sql = "DELETE FROM iam_tags WHERE owner_id = ?1 AND folded_key = ?2";
    tx.execute(sql, &params![owner, tags::folded(key)])?;
    Ok(())
}

fn delete_tags(tx: &mut Tx<'_>, owner: &str) -> Result<(), ApiError> {
    let sql = "DELETE FROM iam_tags WHERE owner_id = ?1";
    tx.execute(sql, &params![owner])?;
    Ok(())
}

// Sessions.

pub(crate) fn session(tx: &mut Tx<'_>, key: &str) -> Result<Option<Session>, ApiError> {
    let sql = "SELECT access_key_id, role_id, session_name, secret, token, issued_at, expires_at \
               FROM sts_sessions WHERE access_key_id = ?1";
    one(tx.query_one(sql, &params![key])?, |row| {
        Ok(Session {
            access_key_id: row.text(0)?,
            role_id: row.text(1)?,
            name: row.text(2)?,
            secret: row.blob(3)?,
            token: row.blob(4)?,
            issued_at: row.time(5)?,
            expires_at: row.time(6)?,
        })
    })
}

/// How many sessions of a role go on at `now`.
pub(crate) fn count_sessions(
    tx: &mut Tx<'_>,
    role_id: &str,
    now: Timestamp,
) -> Result<i64, ApiError> {
    let sql = "SELECT count(*) FROM sts_sessions WHERE role_id = ?1 AND expires_at > ?2";
    count(tx.query_one(sql, &params![role_id, now])?)
}

pub(crate) fn insert_session(tx: &mut Tx<'_>, session: &Session) -> Result<(), ApiError> {
    let sql = "INSERT INTO sts_sessions \
               (access_key_id, role_id, session_name, secret, token, issued_at, expires_at) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let values = params![
        &session.access_key_id,
        &session.role_id,
        &session.name,
        &session.secret,
        &session.token,
        session.issued_at,
        session.expires_at
    ];
    tx.execute(sql, &values)?;
    Ok(())
}

/// Deletes sessions that ended by `now`; at most `rows` of them.
pub(crate) fn delete_expired(tx: &mut Tx<'_>, now: Timestamp, rows: u32) -> Result<u64, ApiError> {
    let sql = "DELETE FROM sts_sessions WHERE access_key_id IN \
               (SELECT access_key_id FROM sts_sessions WHERE expires_at <= ?1 \
                ORDER BY expires_at LIMIT ?2)";
    Ok(tx.execute(sql, &params![now, rows])?)
}
