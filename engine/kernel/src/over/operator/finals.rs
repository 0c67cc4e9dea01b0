//! Rows that are emitted once, when the watermark has passed them, for readers that cannot take
//! rows back.

use super::{OverBatch, OverOperator};
use crate::over::state::Open;
use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use std::sync::Arc;
use tidewheel_core::time::NO_TIME;
use tidewheel_core::{EventTime, Order};

/// Rows that nothing changes any more.
#[derive(Debug)]
pub(super) struct Finals {
    rows: Vec<Final>,
    /// Rows up to this time were emitted before a restart.
    from: EventTime,
}

#[derive(Debug)]
struct Final {
    order: Order,
    row: Box<[u8]>,
    values: Box<[u8]>,
}

impl Finals {
    pub(super) fn add(&mut self, order: Order, open: Option<Open>) {
        // A save of changes does not tell what only time did, so that may be done again.
        if order.time > self.from
            && let Some(Open {
                row,
                values: Some(values),
            }) = open
        {
            self.rows.push(Final { order, row, values });
        }
    }

    /// All rows up to then were emitted.
    pub(super) fn restored(&mut self, watermark: EventTime) {
        self.from = watermark;
    }
}

impl OverOperator {
    /// Emits each row once, with its final values, when the watermark has passed it, instead of
    /// at once with what later rows change. To be called before the first row.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.finals = Some(Finals {
            rows: Vec::new(),
            from: NO_TIME,
        });
        self
    }

    /// The rows that became final since the last call, by time; `None` where there are none. To
    /// be called after [`advance`](Self::advance), before the operator is saved.
    ///
    /// # Errors
    /// Rows that were kept cannot be read; not to be expected.
    pub fn take_final(&mut self) -> Result<Option<OverBatch>, ArrowError> {
        let mut finals = match &mut self.finals {
            Some(finals) if !finals.rows.is_empty() => std::mem::take(&mut finals.rows),
            _ => return Ok(None),
        };
        finals.sort_by_key(|row| row.order);
        let mut columns = self
            .row_codec
            .decode(finals.iter().map(|row| row.row.as_ref()))?;
        let values = finals.iter().map(|row| row.values.as_ref());
        columns.extend(self.values_codec.decode(values)?);
        Ok(Some(OverBatch {
            rows: RecordBatch::try_new(Arc::clone(&self.schema), columns)?,
            retract: vec![false; finals.len()],
            time: finals.iter().map(|row| row.order.time).collect(),
            seq: finals.iter().map(|row| row.order.seq).collect(),
            late: Vec::new(),
        }))
    }
}
