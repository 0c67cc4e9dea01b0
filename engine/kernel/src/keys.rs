//! Grouping keys as bytes.
