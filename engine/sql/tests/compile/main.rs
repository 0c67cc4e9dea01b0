//! Compiling folders of statements: one program for all of it, since each links DataFusion.

mod common;
mod differences;
mod explained;
mod fingerprints;
mod format_columns;
mod golden;
mod previews;
mod shipped_queries;
