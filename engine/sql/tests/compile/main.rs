//! Compiling folders of statements: one program for all of it, since each links DataFusion.

mod common;
mod fingerprints;
mod golden;
mod shipped_queries;
