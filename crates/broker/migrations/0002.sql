-- Wills, whether their session outlives its connection or not: a row from before CONNACK until the
-- will is published, or will not be.
CREATE TABLE wills (
    -- The session identifier of the connection, as in `connection_history`.
    id TEXT NOT NULL PRIMARY KEY,
    client_id TEXT NOT NULL,
    principal TEXT NOT NULL,
    -- What a policy may ask of the connection: the will is judged when it is due.
    source_ip TEXT NOT NULL,
    server_name TEXT,
    persistent BIGINT NOT NULL,
    -- A sealed PUBLISH packet of version 5, and its delay in seconds.
    body BLOB NOT NULL,
    delay_s BIGINT NOT NULL,
    -- Whether it is due, whatever has become of its session.
    due BIGINT NOT NULL
);

INSERT INTO wills
    (id, client_id, principal, source_ip, server_name, persistent, body, delay_s, due)
SELECT sessions.client_id, sessions.client_id, sessions.principal,
    COALESCE(
        (SELECT connection_history.address FROM connection_history
         WHERE connection_history.client_id = sessions.client_id
         ORDER BY connection_history.connected_at DESC LIMIT 1),
        '0.0.0.0'),
    NULL, 1, sessions.will, sessions.will_delay_s, 0
FROM sessions WHERE sessions.will IS NOT NULL;

ALTER TABLE sessions DROP COLUMN will;
ALTER TABLE sessions DROP COLUMN will_delay_s;
