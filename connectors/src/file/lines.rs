//! Cuts a text into chunks that end at line ends.
//!
//! A chunk is read straight into the buffer that is handed on. Only what stands after its last
//! line end is copied, to the front of the next chunk. A line that does not end within
//! `line_max` bytes is handed on cut to that length, as a chunk of its own without a line end,
//! and the rest of it is skipped: memory stays bounded, and the cut line shows as a bad row.

use super::paths::Input;
use std::io::{self, Read};
use tidewheel_core::spare;

/// Bytes read at once while the rest of an overlong line is skipped.
const SKIP_READ_BYTES: usize = 64 * 1024;
/// Bytes skipped at most before the caller gets a word in.
const SKIP_STEP_BYTES: usize = 64 * 1024 * 1024;
/// The mark that some editors put at a text's start.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Whole lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LineChunk {
    /// Byte position of the first byte in the text.
    pub(super) first_offset: u64,
    /// Byte position after the last line, its end included.
    pub(super) next_offset: u64,
    /// The lines.
    pub(super) data: Vec<u8>,
    /// True when this is the head of an overlong line.
    pub(super) cut: bool,
}

/// What came of a read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Lines.
    Chunk(LineChunk),
    /// Nothing yet: an overlong line is being skipped.
    Busy,
    /// The text's present end.
    End,
}

/// How a text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    /// Longest line, its end included.
    pub(super) line_max: usize,
    /// True when the text's end ends its last line too; false when more may be appended.
    pub(super) ends: bool,
    /// True to fill a chunk before it is handed on, false to hand on what there is.
    pub(super) fill: bool,
}

/// Reads lines from a text.
pub(super) struct LineReader {
    input: Input,
    reading: Reading,
    /// Bytes of the text taken so far, those skipped at its start included.
    position: u64,
    /// Bytes taken but not handed on.
    carry: Vec<u8>,
    /// True when line ends may stand in `carry`.
    carry_has_lines: bool,
    /// The head of an overlong line whose rest is being skipped, and its offset.
    long: Option<(u64, Vec<u8>)>,
}

impl LineReader {
    /// Reads a text whose next byte stands at `position`.
    pub(super) fn new(input: Input, position: u64, reading: Reading) -> Self {
        Self {
            input,
            reading,
            position,
            carry: Vec::new(),
            carry_has_lines: false,
            long: None,
        }
    }

    /// Where the next chunk begins.
    pub(super) fn offset(&self) -> u64 {
        match &self.long {
            Some((offset, _)) => *offset,
            None => self.position - self.carry.len() as u64,
        }
    }

    /// Bytes of the text taken so far.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Reads about `max_bytes` of whole lines.
    ///
    /// # Errors
    /// The input cannot be read.
    pub(super) fn next(&mut self, max_bytes: usize) -> io::Result<Step> {
        if self.long.is_some() {
            return self.skip();
        }
        if std::mem::take(&mut self.carry_has_lines)
            && let Some(last) = memchr::memrchr(b'\n', &self.carry)
        {
            let rest = self.carry.split_off(last + 1);
            let data = std::mem::replace(&mut self.carry, rest);
            return Ok(self.chunk(data));
        }
        let max_bytes = max_bytes.clamp(1, self.reading.line_max);
        let mut searched = self.carry.len();
        let mut target = self.target(searched, max_bytes);
        let mut data = spare::take(target);
        data.extend_from_slice(&self.carry);
        self.carry.clear();
        loop {
            let want = target - data.len();
            let got = match self.read(&mut data, want) {
                Ok(got) => got,
                Err(error) => {
                    // What was taken is handed on later, should the caller try again.
                    self.carry = data;
                    self.carry_has_lines = true;
                    return Err(error);
                }
            };
            if got == 0 {
                if data.is_empty() {
                    spare::give(data);
                    return Ok(Step::End);
                }
                if !self.reading.ends {
                    self.carry = data;
                    return Ok(Step::End);
                }
                return Ok(self.chunk(data));
            }
            if let Some(last) = memchr::memrchr(b'\n', &data[searched..]) {
                let cut = searched + last + 1;
                self.carry.extend_from_slice(&data[cut..]);
                data.truncate(cut);
                return Ok(self.chunk(data));
            }
            if data.len() >= self.reading.line_max {
                self.long = Some((self.position - data.len() as u64, data));
                return self.skip();
            }
            searched = data.len();
            target = self.target(searched, max_bytes);
        }
    }

    /// How long a chunk may get that begins with `len` bytes without a line end.
    fn target(&self, len: usize, max_bytes: usize) -> usize {
        if len < max_bytes {
            return max_bytes;
        }
        (len * 2).min(self.reading.line_max).max(len + 1)
    }

    /// A chunk of the bytes before those in `carry`.
    fn chunk(&self, mut data: Vec<u8>) -> Step {
        let next_offset = self.position - self.carry.len() as u64;
        let mut first_offset = next_offset - data.len() as u64;
        if first_offset == 0 && data.starts_with(BYTE_ORDER_MARK) {
            data.drain(..BYTE_ORDER_MARK.len());
            first_offset += BYTE_ORDER_MARK.len() as u64;
        }
        Step::Chunk(LineChunk {
            first_offset,
            next_offset,
            data,
            cut: false,
        })
    }

    /// Goes on to the end of an overlong line.
    fn skip(&mut self) -> io::Result<Step> {
        // No more than a line's bound, so that what is carried over keeps to it too.
        let step = SKIP_READ_BYTES.min(self.reading.line_max);
        let mut scratch = Vec::with_capacity(step);
        let mut skipped = 0;
        while skipped < SKIP_STEP_BYTES {
            scratch.clear();
            let got = self.read(&mut scratch, step)?;
            skipped += got;
            if let Some(end) = memchr::memchr(b'\n', &scratch) {
                self.carry.extend_from_slice(&scratch[end + 1..]);
                self.carry_has_lines = true;
                return Ok(self.long_line());
            }
            if got == 0 {
                return Ok(if self.reading.ends {
                    self.long_line()
                } else {
                    Step::End
                });
            }
        }
        Ok(Step::Busy)
    }

    fn long_line(&mut self) -> Step {
        let Some((first_offset, data)) = self.long.take() else {
            return Step::Busy;
        };
        let next_offset = self.position - self.carry.len() as u64;
        Step::Chunk(LineChunk {
            first_offset,
            next_offset,
            data,
            cut: true,
        })
    }

    /// Appends up to `want` bytes; 0 at the end.
    fn read(&mut self, data: &mut Vec<u8>, want: usize) -> io::Result<usize> {
        let before = data.len();
        let result = if self.reading.fill {
            // Reads into spare capacity, without filling it with zeros first.
            (&mut self.input)
                .take(want as u64)
                .read_to_end(data)
                .map(|_| ())
        } else {
            self.read_once(data, want.min(SKIP_READ_BYTES))
        };
        let got = data.len() - before;
        self.position += got as u64;
        result.map(|()| got)
    }

    fn read_once(&mut self, data: &mut Vec<u8>, want: usize) -> io::Result<()> {
        let before = data.len();
        data.resize(before + want, 0);
        loop {
            match self.input.read(&mut data[before..]) {
                Ok(got) => {
                    data.truncate(before + got);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    data.truncate(before);
                    return Err(error);
                }
            }
        }
    }
}
