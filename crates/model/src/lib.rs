//! The words of Palisade: names, identifiers, ARNs, time, error kinds, profile.
//!
//! Everything above this crate speaks these types. Text from outside becomes one of them at a
//! door or is refused there; inside, functions take the type and never check again.
//!
//! Invariants: no I/O, no `async`, no randomness but [`random`], and the only clock that is ever
//! read is [`SystemClock`] in [`time`].

mod arn;
mod error;
mod name;
mod profile;
mod quota;
mod random;
mod scope;
mod time;

pub use arn::{Arn, ArnError};
pub use error::{ApiError, ErrorKind};
pub use name::{
    AccountId, BillingGroupName, CertificateId, ClientId, NameError, PolicyName, Region,
    ThingGroupName, ThingName, ThingTypeName,
};
pub use profile::{Profile, UnknownProfile};
pub use quota::{OutOfRange, Quota, QuotaRule};
pub use random::{random_bytes, random_hex, random_uuid};
pub use scope::Scope;
pub use time::{Clock, ManualClock, SystemClock, Timestamp};
