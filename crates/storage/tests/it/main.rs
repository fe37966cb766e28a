//! The storage through its door, on both engines.

mod transactions;
