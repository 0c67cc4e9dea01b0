//! Takes chunks from a source and numbers them.

use super::program::ScanProgram;
use super::worker::{Output, Work};
use crate::error::EngineError;
use crate::stats::Stats;
use crate::task::{Poll, Task};
use crossbeam_channel::{Receiver, Sender};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tidewheel_core::{Env, Source, SourceEvent};

/// How long a source may wait for records before the reader looks at its own inbox.
const POLL_TIMEOUT: Duration = Duration::from_millis(20);

/// What a reader is told.
#[derive(Debug)]
pub enum ReaderMessage {
    /// Stop or go on with a partition.
    Pause {
        /// The partition.
        partition: u32,
        /// Stop or go on.
        paused: bool,
    },
    /// Read no more.
    Stop,
}

/// Reads one source table.
pub struct Reader {
    /// The table's name.
    pub table: String,
    /// The source.
    pub source: Box<dyn Source>,
    /// What the reader is told.
    pub inbox: Receiver<ReaderMessage>,
    /// To the workers.
    pub workers: Sender<Work>,
    /// To the sequencer, for what needs no decoding.
    pub sequencer: Sender<(u64, Output)>,
    /// The program that chunks are evaluated by.
    pub program: Arc<ScanProgram>,
    /// Bytes of a chunk.
    pub chunk_bytes: usize,
    /// The world.
    pub env: Arc<dyn Env>,
    /// Counters.
    pub stats: Arc<Stats>,
    /// The number of the next chunk or event.
    pub ticket: u64,
    /// A bounded source's partitions that are still open.
    pub open: Vec<u32>,
}

impl Reader {
    fn send(&mut self, output: Output) -> bool {
        self.ticket += 1;
        self.sequencer.send((self.ticket - 1, output)).is_ok()
    }

    fn stop(&mut self) -> Poll {
        self.send(Output::Stopped);
        Poll::Done
    }
}

impl Task for Reader {
    fn poll(&mut self) -> Poll {
        while let Ok(message) = self.inbox.try_recv() {
            match message {
                ReaderMessage::Pause { partition, paused } => self.source.pause(partition, paused),
                ReaderMessage::Stop => return self.stop(),
            }
        }
        let event = match self.source.poll(self.chunk_bytes, POLL_TIMEOUT) {
            Ok(event) => event,
            Err(error) => {
                let table = self.table.clone();
                self.send(Output::Failed(EngineError::Source {
                    table,
                    message: error.0,
                }));
                return Poll::Done;
            }
        };
        if let Some((total, read)) = self.source.size() {
            self.stats.size.0.store(read, Relaxed);
            self.stats.size.1.store(total, Relaxed);
        }
        let sent = match event {
            SourceEvent::Nothing => return Poll::Idle(Some(Duration::from_micros(200))),
            SourceEvent::Records(chunk) => {
                let work = Work {
                    ticket: self.ticket,
                    read_at_ms: self.env.wall_ms(),
                    program: Arc::clone(&self.program),
                    chunk,
                };
                self.ticket += 1;
                self.workers.send(work).is_ok()
            }
            SourceEvent::Finished { partition } => {
                self.open.retain(|open| *open != partition);
                let last = self.open.is_empty() && self.source.is_bounded();
                if !self.send(Output::Event(SourceEvent::Finished { partition })) {
                    return Poll::Done;
                }
                if last {
                    return self.stop();
                }
                true
            }
            SourceEvent::Added { partition } => {
                self.open.push(partition);
                self.send(Output::Event(SourceEvent::Added { partition }))
            }
            event => self.send(Output::Event(event)),
        };
        if sent { Poll::Ready } else { Poll::Done }
    }

    fn wait(&self, timeout: Option<Duration>) {
        crate::task::wait_for(&self.inbox, timeout);
    }

    fn name(&self) -> String {
        format!("read {}", self.table)
    }
}
