//! Standard input, pipes and devices: read once, as the bytes come, by a thread of its own, so
//! that a writer that pauses does not hold the engine up.

use super::lines::{LineChunk, LineReader, Reading, Step};
use super::paths::{Compression, Input};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tidewheel_core::{
    ConnectorError, Env, Framing, RawChunk, RecordMeta, Source, SourceError, SourceEvent,
};

/// Chunks that wait for the engine; then the thread waits, and the writer with it.
const CHUNKS_WAITING_MAX: usize = 4;
/// Bytes of a chunk, at most.
const CHUNK_BYTES: usize = 256 * 1024;

enum Message {
    Chunk(LineChunk),
    Failed(String),
}

/// Reads a stream. It has one partition, and offsets count the bytes since the stream's start;
/// to begin at an offset, so many bytes are skipped.
pub(super) struct StreamSource {
    name: String,
    messages: Receiver<Message>,
    env: Arc<dyn Env>,
    paused: bool,
    finished: bool,
}

impl StreamSource {
    /// Starts to read.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(super) fn start(
        name: &str,
        input: Input,
        compression: Compression,
        reading: Reading,
        start: u64,
        env: Arc<dyn Env>,
    ) -> Result<Self, ConnectorError> {
        let (sender, messages) = bounded(CHUNKS_WAITING_MAX);
        std::thread::Builder::new()
            .name("file-stream".to_owned())
            .spawn(move || {
                if let Err(error) = read(input, compression, reading, start, &sender) {
                    let _ = sender.send(Message::Failed(error.to_string()));
                }
            })
            .map_err(|error| ConnectorError::new(format!("cannot start a thread: {error}")))?;
        let name = name.to_owned();
        Ok(Self {
            name,
            messages,
            env,
            paused: false,
            finished: false,
        })
    }
}

/// Sends chunks until the stream ends or nobody listens.
fn read(
    input: Input,
    compression: Compression,
    reading: Reading,
    start: u64,
    sender: &Sender<Message>,
) -> io::Result<()> {
    let mut text = compression.unpack(input)?;
    let skipped = io::copy(&mut io::Read::take(&mut text, start), &mut io::sink())?;
    if skipped < start {
        return Err(io::Error::other(format!(
            "it ends at byte {skipped}, before byte {start} where reading was to go on"
        )));
    }
    let mut lines = LineReader::new(text, start, reading);
    loop {
        match lines.next(CHUNK_BYTES)? {
            Step::Chunk(chunk) => {
                if sender.send(Message::Chunk(chunk)).is_err() {
                    return Ok(());
                }
            }
            Step::Busy => {}
            Step::End => return Ok(()),
        }
    }
}

impl Source for StreamSource {
    fn partitions(&self) -> Vec<u32> {
        vec![0]
    }

    fn poll(&mut self, _max_bytes: usize, timeout: Duration) -> Result<SourceEvent, SourceError> {
        if self.paused || self.finished {
            self.env.sleep(timeout);
            return Ok(SourceEvent::Nothing);
        }
        match self.messages.recv_timeout(timeout) {
            Ok(Message::Chunk(chunk)) => Ok(SourceEvent::Records(raw_chunk(0, chunk, &self.name))),
            Ok(Message::Failed(error)) => {
                Err(SourceError(format!("cannot read '{}': {error}", self.name)))
            }
            Err(RecvTimeoutError::Timeout) => Ok(SourceEvent::Nothing),
            Err(RecvTimeoutError::Disconnected) => {
                self.finished = true;
                Ok(SourceEvent::Finished { partition: 0 })
            }
        }
    }

    fn pause(&mut self, _partition: u32, paused: bool) {
        self.paused = paused;
    }

    fn is_bounded(&self) -> bool {
        true
    }
}

/// A chunk as the engine wants it.
pub(super) fn raw_chunk(partition: u32, chunk: LineChunk, name: &str) -> RawChunk {
    if chunk.cut {
        tracing::warn!(
            file = name,
            offset = chunk.first_offset,
            "a line is longer than 'line.max-bytes' and was cut"
        );
    }
    RawChunk {
        partition,
        next_offset: chunk.next_offset,
        data: chunk.data,
        framing: Framing::Lines {
            first_offset: chunk.first_offset,
        },
        meta: RecordMeta::default(),
    }
}
