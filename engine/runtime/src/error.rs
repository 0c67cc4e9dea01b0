//! What can go wrong when the engine is started or runs.

/// The engine cannot start, or has stopped.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// A table's connector or format refused it.
    #[error("table '{table}': {message}")]
    Table {
        /// The table.
        table: String,
        /// What to do.
        message: String,
    },
    /// A plan has a shape that the runtime does not execute.
    #[error("query '{query}': {message}")]
    Plan {
        /// The query.
        query: String,
        /// What is not executed.
        message: String,
    },
    /// An expression cannot be prepared.
    #[error("an expression cannot be prepared: {0}")]
    Expression(String),
    /// A source cannot go on.
    #[error("source '{table}' stopped: {message}")]
    Source {
        /// The table.
        table: String,
        /// Why.
        message: String,
    },
    /// A sink refused for good.
    #[error("sink '{table}' stopped: {message}")]
    Sink {
        /// The table.
        table: String,
        /// Why.
        message: String,
    },
    /// A bad row, where the table says `'bad-rows' = 'fail'`.
    #[error("table '{table}', partition {partition}, offset {offset}: bad row: {reason}")]
    BadRow {
        /// The table.
        table: String,
        /// The partition.
        partition: u32,
        /// The offset.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A checkpoint cannot be gone on from.
    #[error("checkpoint: {0}")]
    Checkpoint(String),
    /// Another process writes now.
    #[error(
        "another process has taken over this pipeline (epoch {epoch}); give each its own \
         --pipeline name if both are to run"
    )]
    Superseded {
        /// Its epoch.
        epoch: u64,
    },
    /// A thread of the engine ended by a defect.
    #[error("a part of the engine ended unexpectedly; this is a defect, please report it")]
    Defect,
}

impl From<datafusion::error::DataFusionError> for EngineError {
    fn from(error: datafusion::error::DataFusionError) -> Self {
        Self::Expression(error.strip_backtrace())
    }
}
