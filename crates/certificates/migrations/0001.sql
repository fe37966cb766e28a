-- Device certificates and certificate authorities. Times are milliseconds since the epoch.

-- A device's certificate. It outlives the authority that signed it, so `ca_certificate_id` refers
-- to nothing that must exist.
--
-- Three digests tell what else is the same device, whatever its id. `signed_sha256`: of the part
-- that is signed. `issue_sha256`: of the authority's name and key and of the serial number; none
-- when no registered authority is known to have signed it. `key_sha256`: of the public key.
CREATE TABLE certificates (
    certificate_id TEXT NOT NULL PRIMARY KEY,
    ca_certificate_id TEXT,
    status TEXT NOT NULL,
    mode TEXT NOT NULL,
    pem TEXT NOT NULL,
    signed_sha256 BLOB NOT NULL,
    issue_sha256 BLOB,
    key_sha256 BLOB NOT NULL,
    generation_id TEXT NOT NULL,
    customer_version BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    modified_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX certificates_by_signed_part ON certificates (signed_sha256);

CREATE UNIQUE INDEX certificates_by_issue ON certificates (issue_sha256);

CREATE INDEX certificates_by_key ON certificates (key_sha256, status);

CREATE INDEX certificates_by_creation ON certificates (created_at, certificate_id);

CREATE INDEX certificates_by_ca ON certificates (ca_certificate_id, created_at, certificate_id);

CREATE INDEX certificates_by_ca_status ON certificates (ca_certificate_id, status);

-- A registered authority. `subject_sha256` is the digest of the subject's DER: a subject may be
-- longer than an index entry may be.
CREATE TABLE ca_certificates (
    certificate_id TEXT NOT NULL PRIMARY KEY,
    subject_sha256 BLOB NOT NULL,
    status TEXT NOT NULL,
    auto_registration TEXT NOT NULL,
    mode TEXT NOT NULL,
    pem TEXT NOT NULL,
    generation_id TEXT NOT NULL,
    customer_version BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    modified_at BIGINT NOT NULL
);

CREATE INDEX ca_certificates_by_subject ON ca_certificates (subject_sha256, certificate_id);

CREATE INDEX ca_certificates_by_creation ON ca_certificates (created_at, certificate_id);

-- The account's registration code: at most one row.
CREATE TABLE registration_code (
    singleton BIGINT NOT NULL PRIMARY KEY CHECK (singleton = 1),
    code TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
