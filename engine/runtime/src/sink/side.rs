//! The task that writes bad and late rows to their table.

use crate::checkpoint::Part;
use crate::error::EngineError;
use crate::scan::bad::{SideRow, side_batch};
use crate::task::{Poll, Task, wait_for};
use crossbeam_channel::{Receiver, Sender, TryRecvError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tidewheel_core::{Env, Progress, Sink, SinkError, TableSpec};

const RETRY: Duration = Duration::from_millis(200);

/// What tasks tell a table for bad or late rows.
#[derive(Debug)]
pub enum SideMessage {
    /// Rows to write.
    Rows(Vec<SideRow>),
    /// A task's answer to a barrier, to be handed in once the rows before it are written: after
    /// that nobody reads them again.
    HandIn(Part, Sender<Part>),
}

/// Hands an answer to a barrier in, behind the rows that its task has sent to `side`.
pub fn hand_in(part: Part, parts: &Sender<Part>, side: Option<&Sender<SideMessage>>) {
    // Without its table's task the run has failed, and nothing is handed in any more.
    let _ = match side {
        None => parts.send(part).is_ok(),
        Some(side) => side.send(SideMessage::HandIn(part, parts.clone())).is_ok(),
    };
}

/// Writes bad or late rows.
pub struct SideTask {
    /// The table.
    pub table: TableSpec,
    /// The sink.
    pub sink: Box<dyn Sink>,
    /// What it is told; bounded, so that a table that is away holds the source up.
    pub inbox: Receiver<SideMessage>,
    /// The world.
    pub env: Arc<dyn Env>,
    /// Errors that stop the run.
    pub errors: Arc<parking_lot::Mutex<Vec<EngineError>>>,
    /// Told to stop although not everything could be written.
    pub give_up: Arc<AtomicBool>,
    /// What could not be done yet.
    pub waiting: Option<SideMessage>,
}

impl SideTask {
    fn carry_out(&mut self, message: &SideMessage) -> Result<(), SinkError> {
        match message {
            SideMessage::Rows(rows) => match side_batch(&self.table, rows) {
                Some(batch) => self.sink.write(&batch, &Progress::default()),
                None => Ok(()),
            },
            // Where a sink is says it once all before is durable.
            SideMessage::HandIn(..) => self.sink.position().map(drop),
        }
    }
}

impl Task for SideTask {
    fn poll(&mut self) -> Poll {
        let message = match self.waiting.take() {
            Some(message) => message,
            None => match self.inbox.try_recv() {
                Ok(message) => message,
                Err(TryRecvError::Empty) => return Poll::Idle(None),
                Err(TryRecvError::Disconnected) => {
                    if let Err(error) = self.sink.close() {
                        tracing::error!(table = self.table.name, %error, "closing failed");
                    }
                    return Poll::Done;
                }
            },
        };
        match self.carry_out(&message) {
            Ok(()) => {
                if let SideMessage::HandIn(part, parts) = message {
                    // Nobody gathers any more where the checkpoint was given up.
                    let _ = parts.send(part);
                }
                Poll::Ready
            }
            Err(SinkError::Fatal(message)) => {
                let table = self.table.name.clone();
                self.errors
                    .lock()
                    .push(EngineError::Sink { table, message });
                Poll::Done
            }
            Err(SinkError::Retry(reason) | SinkError::Rewrite(reason)) => {
                if self.give_up.load(Relaxed) {
                    return Poll::Done;
                }
                tracing::warn!(table = self.table.name, reason, "the table is away");
                self.waiting = Some(message);
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
