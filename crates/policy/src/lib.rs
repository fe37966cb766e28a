//! IoT and identity policy documents: parse, compile, decide, explain.
//!
//! This is the policy decision point. Every door (the broker for each message,
//! the HTTP gateway for each call, `TestAuthorization`, the audit checks, the
//! edge runtime) asks here, so that a rule is understood in one place and in
//! one way. The answer is deny unless a statement allows, and a matching Deny
//! always wins.
//!
//! The road of a decision: [`Document::parse`] turns text into statements whose
//! patterns are token lists with holes for variables, once per policy version.
//! [`Authorizer::new`] takes what the registry knows of a principal ([`Facts`])
//! and of its [`Connection`]; on the first request of an action the holes are
//! filled, conditions that cannot change during the session are settled, and
//! what the resource's ARN prefix already decides is cut away. What is left for
//! [`Authorizer::decide`] is a handful of pattern comparisons against a topic.
//!
//! Invariants:
//! - No I/O, no clock, no randomness: the time is part of the [`Request`].
//! - Nothing a policy, a certificate or a peer says can make it panic.
//! - Patterns never backtrack over more than one wildcard, and every document
//!   and pattern is bounded.
//! - A [`Permit`] is made by [`Authorizer::permit`] and nowhere else.
//!
//! It deliberately does not know where policies are stored, which certificate
//! is active, or when a decision must be taken again: the doors build a new
//! [`Authorizer`] when a fact changes.
//!
//! Source: docs/contract/core.md section 7 and, for identity policies, the IAM
//! User Guide, "IAM JSON policy elements".

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::panic,
        clippy::expect_used,
        clippy::arithmetic_side_effects
    )
)]

mod document;
mod grammar;
mod json;
mod pattern;

mod condition;
mod moment;
mod name;

mod authorizer;
mod evaluate;
mod facts;
mod request;
mod session;

mod explain;
mod suggest;

mod identity;
mod trust;

pub use authorizer::Authorizer;
pub use condition::Condition;
pub use document::{
    DOCUMENT_CHARS_MAX, Dialect, Document, Effect, PolicyError, Statement, Version, significant_len,
};
pub use explain::{Explanation, Failed, NearMiss, StatementRef, StatementSource};
pub use facts::{
    AlternativeName, CertificateFacts, Connection, Facts, GroupFacts, Hardening, NameAttribute,
    NamedPolicy, Scope, ThingFacts,
};
pub use identity::{IdentityDecision, IdentityRequest, decide_identity};
pub use name::Name;
pub use pattern::{Piece, Template, Variable};
pub use request::{Denied, DeviceAction, Permit, Request, Resource, Verdict};
pub use suggest::{SuggestedEdit, SuggestedStatement};
pub use trust::{TrustPrincipal, decide_trust};
