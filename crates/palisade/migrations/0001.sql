-- One row: what was fixed at first start. Keys are sealed.
CREATE TABLE installation (
    id BIGINT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL,
    region TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    device_ca TEXT NOT NULL,
    device_ca_key BLOB NOT NULL,
    server_ca TEXT NOT NULL,
    server_ca_key BLOB NOT NULL
);
