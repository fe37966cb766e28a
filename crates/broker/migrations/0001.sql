-- Sessions that outlive their connection. Times are milliseconds since 1970, in UTC.
CREATE TABLE sessions (
    client_id TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    principal TEXT NOT NULL,
    thing TEXT,
    expiry_s BIGINT NOT NULL,
    version BIGINT NOT NULL,
    keep_alive_s BIGINT NOT NULL,
    presence BIGINT NOT NULL,
    connected_at BIGINT NOT NULL,
    -- Absent while connected; after a crash the restart counts as the disconnect.
    disconnected_at BIGINT,
    disconnect_reason TEXT,
    -- The will, as a sealed PUBLISH packet of version 5, and its delay in seconds.
    will BLOB,
    will_delay_s BIGINT NOT NULL
);

CREATE TABLE session_subscriptions (
    client_id TEXT NOT NULL,
    filter TEXT NOT NULL,
    qos BIGINT NOT NULL,
    no_local BIGINT NOT NULL,
    retain_as_published BIGINT NOT NULL,
    identifier BIGINT,
    PRIMARY KEY (client_id, filter)
);

-- Packet ids of QoS 2 messages received and not yet released by the client.
CREATE TABLE session_inbound (
    client_id TEXT NOT NULL,
    packet_id BIGINT NOT NULL,
    PRIMARY KEY (client_id, packet_id)
);

-- A message that somebody waits for: once, however many wait. The body is a sealed PUBLISH packet
-- of version 5.
CREATE TABLE messages (
    id BIGINT NOT NULL PRIMARY KEY,
    body BLOB NOT NULL,
    expires_at BIGINT
);

-- Who waits for which message. Entries only grow, so the table is written at its end.
-- The holder is a client id, or a shared subscription: `$share/{name}/{filter}`.
CREATE TABLE session_messages (
    entry BIGINT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    message BIGINT NOT NULL,
    qos BIGINT NOT NULL,
    retain BIGINT NOT NULL,
    identifier BIGINT,
    -- Set once the message was sent: it is repeated under this id.
    packet_id BIGINT,
    -- QoS 2: the client has the message, only the release is left.
    released BIGINT NOT NULL
);

-- One retained message per topic. The body is a sealed PUBLISH packet of version 5.
CREATE TABLE retained (
    topic TEXT NOT NULL PRIMARY KEY,
    body BLOB NOT NULL,
    modified_at BIGINT NOT NULL,
    expires_at BIGINT
);

-- Every connection of the last 31 days, refused ones included.
CREATE TABLE connection_history (
    id TEXT NOT NULL PRIMARY KEY,
    principal TEXT NOT NULL,
    client_id TEXT,
    thing TEXT,
    address TEXT NOT NULL,
    tls_version TEXT NOT NULL,
    tls_group TEXT NOT NULL,
    connected_at BIGINT NOT NULL,
    disconnected_at BIGINT,
    reason TEXT
);
CREATE INDEX connection_history_time ON connection_history (connected_at, id);
-- Those that a crash left open are closed at the next start.
CREATE INDEX connection_history_open ON connection_history (id) WHERE disconnected_at IS NULL;
