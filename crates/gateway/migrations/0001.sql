CREATE TABLE denials (
    id TEXT NOT NULL PRIMARY KEY,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    repeats BIGINT NOT NULL,
    door TEXT NOT NULL,
    principal TEXT NOT NULL,
    client_id TEXT,
    source_ip TEXT,
    action TEXT NOT NULL,
    resource TEXT NOT NULL,
    verdict TEXT NOT NULL,
    explanation TEXT
);
CREATE INDEX denials_by_time ON denials (first_at, id);
CREATE INDEX denials_by_principal ON denials (principal, first_at, id);

CREATE TABLE trail_events (
    id TEXT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    event_name TEXT NOT NULL,
    event_source TEXT NOT NULL,
    user_arn TEXT NOT NULL,
    access_key_id TEXT,
    error_code TEXT,
    record TEXT NOT NULL
);
CREATE INDEX trail_events_by_time ON trail_events (at, id);
