//! A cell that holds rows, for aggregates that cannot take a row back, and how cells of others'
//! aggregates are saved: as blocks with a length and a checksum, since arrow's row format must
//! not be given bytes that it did not write.

use super::custom::{UdafAggregate, converter};
use datafusion::common::{Result, ScalarValue};
use tidewheel_kernel::aggregate::StateError;

/// Bytes before a block: its length and its checksum.
const HEADER: usize = 4 + 8;

/// Event time, and the second part of a row's order.
type Order = (i64, u64);

/// Rows by event time and the second part of their order, each the bytes of its columns.
#[derive(Debug, Clone, Default)]
pub(super) struct RowCell {
    rows: Vec<(Order, Box<[u8]>)>,
    bytes: usize,
}

impl RowCell {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.rows.capacity() * size_of::<((i64, u64), Box<[u8]>)>() + size_of::<Self>()
    }

    fn place(&self, order: (i64, u64), row: &[u8]) -> std::result::Result<usize, usize> {
        self.rows
            .binary_search_by(|(at, bytes)| at.cmp(&order).then(bytes.as_ref().cmp(row)))
    }

    pub(super) fn add(&mut self, order: (i64, u64), row: &[u8]) {
        let (Ok(at) | Err(at)) = self.place(order, row);
        self.bytes += row.len();
        self.rows.insert(at, (order, row.into()));
    }

    pub(super) fn remove(&mut self, order: (i64, u64), row: &[u8]) {
        if let Ok(at) = self.place(order, row) {
            self.bytes -= row.len();
            self.rows.remove(at);
        }
    }

    /// Adds the rows of another, up to `most` in all; says how many were left out.
    pub(super) fn merge(&mut self, other: Self, most: usize) -> u64 {
        let room = most.saturating_sub(self.rows.len());
        let left_out = other.rows.len().saturating_sub(room);
        self.rows.extend(other.rows.into_iter().take(room));
        self.rows.sort();
        self.bytes = self.rows.iter().map(|(_, row)| row.len()).sum();
        left_out as u64
    }

    /// The function's value over the rows, in their order.
    pub(super) fn value(&self, call: &UdafAggregate) -> Result<ScalarValue> {
        let mut accumulator = call.accumulator()?;
        if !self.rows.is_empty() {
            let types = call.column_types();
            let converter = converter(&types)?;
            let columns = if types.is_empty() {
                Vec::new()
            } else {
                let parser = converter.parser();
                converter.convert_rows(self.rows.iter().map(|(_, row)| parser.parse(row)))?
            };
            accumulator.update_batch(&call.values(&columns, self.rows.len())?)?;
        }
        accumulator.evaluate()
    }

    pub(super) fn save(&self, out: &mut Vec<u8>) {
        let mut block = Vec::new();
        for ((time, seq), row) in &self.rows {
            block.extend_from_slice(&time.to_le_bytes());
            block.extend_from_slice(&seq.to_le_bytes());
            block.extend_from_slice(&(row.len() as u32).to_le_bytes());
            block.extend_from_slice(row);
        }
        write_block(&block, out);
    }

    pub(super) fn load(bytes: &[u8]) -> std::result::Result<(Self, usize), StateError> {
        let (mut block, read) = read_block(bytes)?;
        let mut cell = Self::default();
        while !block.is_empty() {
            let time = i64::from_le_bytes(take(&mut block)?);
            let seq = u64::from_le_bytes(take(&mut block)?);
            let len = u32::from_le_bytes(take(&mut block)?) as usize;
            let (row, rest) = block.split_at_checked(len).ok_or_else(truncated)?;
            cell.bytes += len;
            cell.rows.push(((time, seq), row.into()));
            block = rest;
        }
        Ok((cell, read))
    }
}

/// Appends a block: its length, its checksum, its bytes.
pub(super) fn write_block(block: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(block.len() as u32).to_le_bytes());
    out.extend_from_slice(&checksum(block).to_le_bytes());
    out.extend_from_slice(block);
}

/// The block at the start of some bytes, and how many bytes it took.
pub(super) fn read_block(mut bytes: &[u8]) -> std::result::Result<(&[u8], usize), StateError> {
    let len = u32::from_le_bytes(take(&mut bytes)?) as usize;
    let sum = u64::from_le_bytes(take(&mut bytes)?);
    let block = bytes.get(..len).ok_or_else(truncated)?;
    if checksum(block) != sum {
        return Err(StateError("the checksum of a cell is wrong".to_owned()));
    }
    Ok((block, HEADER + len))
}

fn take<const N: usize>(bytes: &mut &[u8]) -> std::result::Result<[u8; N], StateError> {
    let (first, rest) = bytes.split_first_chunk::<N>().ok_or_else(truncated)?;
    *bytes = rest;
    Ok(*first)
}

fn truncated() -> StateError {
    StateError("the bytes of a cell end early".to_owned())
}

/// FNV-1a with 64 bits (Fowler, Noll and Vo, 1991): against torn bytes, not against malice.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
