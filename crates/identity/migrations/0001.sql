CREATE TABLE iam_users (
    name TEXT NOT NULL PRIMARY KEY,
    -- The name in lower case: two names differ in more than the case of letters.
    folded_name TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);
CREATE TABLE iam_access_keys (
    access_key_id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    secret BLOB NOT NULL,
    active BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    -- Both absent until the key is used.
    used_at BIGINT,
    used_service TEXT
);
CREATE INDEX iam_access_keys_by_user ON iam_access_keys (user_id, access_key_id);
CREATE TABLE iam_roles (
    name TEXT NOT NULL PRIMARY KEY,
    folded_name TEXT NOT NULL UNIQUE,
    role_id TEXT NOT NULL UNIQUE,
    trust TEXT NOT NULL,
    description TEXT,
    session_seconds_max BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
-- Whom of this account a trust policy names: the ARN, and the unique id of the user or role that
-- had it when the policy was written. Kept when that one is deleted, so that nobody else becomes
-- trusted by taking the name.
CREATE TABLE iam_trusted (
    role_id TEXT NOT NULL,
    arn TEXT NOT NULL,
    trusted_id TEXT NOT NULL,
    PRIMARY KEY (role_id, arn)
);
-- Inline policies of users and roles: the owner is a user id or a role id.
CREATE TABLE iam_inline_policies (
    owner_id TEXT NOT NULL,
    name TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (owner_id, name)
);
CREATE TABLE iam_tags (
    owner_id TEXT NOT NULL,
    -- The key in lower case: keys are compared without regard to case, which they keep.
    folded_key TEXT NOT NULL,
    tag_key TEXT NOT NULL,
    tag_value TEXT NOT NULL,
    PRIMARY KEY (owner_id, folded_key)
);
-- Temporary credentials; secret and token are sealed.
CREATE TABLE sts_sessions (
    access_key_id TEXT NOT NULL PRIMARY KEY,
    role_id TEXT NOT NULL,
    session_name TEXT NOT NULL,
    secret BLOB NOT NULL,
    token BLOB NOT NULL,
    issued_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sts_sessions_by_expiry ON sts_sessions (expires_at);
CREATE INDEX sts_sessions_by_role ON sts_sessions (role_id, expires_at);
