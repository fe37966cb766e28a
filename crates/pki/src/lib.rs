//! Certificates: read identities from X.509, issue, validate
