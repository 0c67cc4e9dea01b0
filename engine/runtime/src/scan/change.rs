//! A change of the queries that read a source table, on its way through the tasks: it travels
//! with the rows, so that every task changes at the same row.

use super::dedup::Dedup;
use super::program::{QueryId, ScanProgram};
use crate::shard::query::NewQuery;
use crossbeam_channel::Receiver;
use std::sync::Arc;

/// From here on, other queries read the table.
#[derive(Debug)]
pub struct Change {
    /// What is evaluated from here on.
    pub program: Arc<ScanProgram>,
    /// Queries that end here.
    pub remove: Vec<QueryId>,
    /// For each shard, queries that begin here.
    pub add: Vec<Vec<NewQuery>>,
    /// What the reading of history that joins here has seen, once it has come here too.
    pub repeats: Option<Receiver<Dedup>>,
}
