//! The Palisade server and command line.
fn main() {}
