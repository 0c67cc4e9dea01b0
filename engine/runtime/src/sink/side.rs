//! The task that writes bad and late rows to their table.

use crate::error::EngineError;
use crate::scan::bad::{SideRow, side_batch};
use crate::task::{Poll, Task, wait_for};
use crossbeam_channel::{Receiver, TryRecvError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tidewheel_core::{Env, Progress, Sink, SinkError, TableSpec};

const RETRY: Duration = Duration::from_millis(200);

/// Writes bad or late rows.
pub struct SideTask {
    /// The table.
    pub table: TableSpec,
    /// The sink.
    pub sink: Box<dyn Sink>,
    /// Rows to write; bounded, so that a table that is away holds the source up.
    pub inbox: Receiver<Vec<SideRow>>,
    /// The world.
    pub env: Arc<dyn Env>,
    /// Errors that stop the run.
    pub errors: Arc<parking_lot::Mutex<Vec<EngineError>>>,
    /// Told to stop although not everything could be written.
    pub give_up: Arc<AtomicBool>,
    /// Rows that could not be written yet.
    pub waiting: Option<Vec<SideRow>>,
}

impl Task for SideTask {
    fn poll(&mut self) -> Poll {
        let rows = match self.waiting.take() {
            Some(rows) => rows,
            None => match self.inbox.try_recv() {
                Ok(rows) => rows,
                Err(TryRecvError::Empty) => return Poll::Idle(None),
                Err(TryRecvError::Disconnected) => {
                    if let Err(error) = self.sink.close() {
                        tracing::error!(table = self.table.name, %error, "closing failed");
                    }
                    return Poll::Done;
                }
            },
        };
        let Some(batch) = side_batch(&self.table, &rows) else {
            return Poll::Ready;
        };
        match self.sink.write(&batch, &Progress::default()) {
            Ok(()) => Poll::Ready,
            Err(SinkError::Fatal(message)) => {
                let table = self.table.name.clone();
                self.errors
                    .lock()
                    .push(EngineError::Sink { table, message });
                Poll::Done
            }
            Err(SinkError::Retry(message) | SinkError::Rewrite(message)) => {
                if self.give_up.load(Relaxed) {
                    return Poll::Done;
                }
                tracing::warn!(table = self.table.name, message, "the table is away");
                self.waiting = Some(rows);
                Poll::Idle(Some(RETRY))
            }
        }
    }

    fn wait(&self, timeout: Option<Duration>) {
        if self.waiting.is_some() {
            self.env.sleep(timeout.unwrap_or(RETRY));
        } else {
            wait_for(&self.inbox, timeout);
        }
    }

    fn name(&self) -> String {
        format!("sink {}", self.table.name)
    }
}
