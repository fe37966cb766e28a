//! The topics under which changes are announced, in the transaction that makes them.
//!
//! Sessions and caches are indexed by the keys: a thing's name, a group's name, a policy's name,
//! a principal's ARN. What is announced here is heard by live sessions (`[G-5]`, `[PL-33]`).

/// Attributes, type, group membership or existence of the thing named by the key.
pub(crate) const THING: &str = "thing";
/// The properties, deprecation or existence of the thing type named by the key.
pub(crate) const THING_TYPE: &str = "thing-type";
/// The attached policies or the existence of the static group named by the key.
pub const THING_GROUP: &str = "thing-group";
/// The default version or the existence of the policy named by the key.
pub const POLICY: &str = "policy";
/// The policies or things attached to the principal that is the key.
pub(crate) const PRINCIPAL: &str = "principal";
