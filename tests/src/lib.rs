//! Tests of the whole way, and what they share.

pub mod reference;
