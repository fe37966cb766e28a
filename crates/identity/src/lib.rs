//! Users, roles, access keys, temporary credentials: the iam and sts APIs
