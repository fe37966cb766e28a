//! The crate by its public surface, as tables of cases.

mod certificates;
mod conditions;
mod corpus;
mod documents;
mod explanations;
mod fixture;
mod identity;
mod properties;
mod trust;
mod truth_table;
mod variables;
