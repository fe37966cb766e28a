-- Things, thing types, groups, billing groups, principals, policies and tags.
-- Account and region are those of the database and are not repeated in keys.
-- Columns named *_at hold milliseconds since 1970. Columns named *_json hold JSON text.

CREATE TABLE thing_types (
  thing_type_name TEXT PRIMARY KEY,
  thing_type_id TEXT NOT NULL,
  description TEXT,
  searchable_json TEXT NOT NULL,
  propagating_json TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  deprecated_at BIGINT
);

CREATE TABLE billing_groups (
  billing_group_name TEXT PRIMARY KEY,
  billing_group_id TEXT NOT NULL,
  description TEXT,
  version BIGINT NOT NULL,
  created_at BIGINT NOT NULL
);

CREATE TABLE things (
  thing_name TEXT PRIMARY KEY,
  thing_id TEXT NOT NULL,
  thing_type_name TEXT REFERENCES thing_types (thing_type_name),
  billing_group_name TEXT REFERENCES billing_groups (billing_group_name),
  attributes_json TEXT NOT NULL,
  version BIGINT NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE INDEX things_by_type ON things (thing_type_name, thing_name);
CREATE INDEX things_by_billing_group ON things (billing_group_name, thing_name);

-- The same attributes as in things.attributes_json, one row each, to search by.
CREATE TABLE thing_attributes (
  thing_name TEXT NOT NULL REFERENCES things (thing_name),
  attribute_name TEXT NOT NULL,
  attribute_value TEXT NOT NULL,
  PRIMARY KEY (thing_name, attribute_name)
);
CREATE INDEX thing_attributes_by_value
  ON thing_attributes (attribute_name, attribute_value, thing_name);

CREATE TABLE thing_groups (
  thing_group_name TEXT PRIMARY KEY,
  thing_group_id TEXT NOT NULL,
  parent_name TEXT REFERENCES thing_groups (thing_group_name),
  root_name TEXT NOT NULL,
  description TEXT,
  attributes_json TEXT NOT NULL,
  version BIGINT NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE INDEX thing_groups_by_parent ON thing_groups (parent_name, thing_group_name);

-- Each group with itself (distance 0) and with each of its ancestors. A parent never changes, so
-- rows are written when a group is created and go when it is deleted.
CREATE TABLE thing_group_ancestry (
  ancestor_name TEXT NOT NULL REFERENCES thing_groups (thing_group_name),
  thing_group_name TEXT NOT NULL REFERENCES thing_groups (thing_group_name),
  distance BIGINT NOT NULL,
  PRIMARY KEY (ancestor_name, thing_group_name)
);
CREATE INDEX thing_group_ancestry_by_group ON thing_group_ancestry (thing_group_name, distance);

CREATE TABLE thing_group_members (
  thing_group_name TEXT NOT NULL REFERENCES thing_groups (thing_group_name),
  thing_name TEXT NOT NULL REFERENCES things (thing_name),
  PRIMARY KEY (thing_group_name, thing_name)
);
CREATE INDEX thing_group_members_by_thing ON thing_group_members (thing_name, thing_group_name);

-- A principal is the ARN of a certificate or the id of a Cognito identity.
CREATE TABLE thing_principals (
  principal TEXT NOT NULL,
  thing_name TEXT NOT NULL REFERENCES things (thing_name),
  exclusive BIGINT NOT NULL,
  PRIMARY KEY (principal, thing_name)
);
CREATE INDEX thing_principals_by_thing ON thing_principals (thing_name, principal);

CREATE TABLE iot_policies (
  policy_name TEXT PRIMARY KEY,
  default_version BIGINT NOT NULL,
  last_version BIGINT NOT NULL,
  generation_id TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  modified_at BIGINT NOT NULL
);
CREATE INDEX iot_policies_by_creation ON iot_policies (created_at, policy_name);

CREATE TABLE iot_policy_versions (
  policy_name TEXT NOT NULL REFERENCES iot_policies (policy_name),
  version BIGINT NOT NULL,
  document TEXT NOT NULL,
  generation_id TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (policy_name, version)
);

-- A target is a principal or the ARN of a thing group.
CREATE TABLE iot_policy_attachments (
  target TEXT NOT NULL,
  policy_name TEXT NOT NULL REFERENCES iot_policies (policy_name),
  on_group BIGINT NOT NULL,
  attached_at BIGINT NOT NULL,
  PRIMARY KEY (target, policy_name)
);
CREATE INDEX iot_policy_attachments_by_policy
  ON iot_policy_attachments (policy_name, attached_at, target);

CREATE TABLE tags (
  resource_arn TEXT NOT NULL,
  tag_key TEXT NOT NULL,
  tag_value TEXT NOT NULL,
  PRIMARY KEY (resource_arn, tag_key)
);
