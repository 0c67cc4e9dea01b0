//! The calls of OVER: what each keeps, and how it gets its values.

use super::state::KeyState;
use super::{Frame, OverCall, OverFunction};
use crate::aggregate::{Args, Cell, CellStore, check, new_store};
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, UInt32Array, new_empty_array};
use arrow::compute::{cast, concat, take};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// The most rows that are handed to an aggregate over a bounded frame at once.
const FOLD_ROWS: usize = 1 << 16;

/// The most LAG calls with IGNORE NULLS in one operator.
const MAX_LAGS_IGNORING_NULLS: usize = u64::BITS as usize;

/// The cell with a key's final rows.
pub(super) fn base_cell(slot: u32) -> Cell {
    2 * slot
}

/// The cell with all of a key's rows.
pub(super) fn head_cell(slot: u32) -> Cell {
    2 * slot + 1
}

/// A call, its columns given as places among the columns that calls read.
pub(super) struct Call {
    pub(super) kind: CallKind,
    /// The type of its column.
    pub(super) result: DataType,
}

pub(super) enum CallKind {
    RowNumber,
    Lag {
        arg: usize,
        offset: usize,
        /// Its bit in [`super::state::Entry::nulls`], where NULLs are skipped.
        null_bit: Option<u32>,
        /// Its place in [`KeyState::lags`].
        history: usize,
    },
    Running {
        aggregate: Aggregate,
        peers: bool,
    },
    Framed {
        aggregate: Aggregate,
        frame: Frame,
    },
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("result", &self.result)
            .finish_non_exhaustive()
    }
}

/// A store and the columns it reads.
pub(super) struct Aggregate {
    pub(super) store: Box<dyn CellStore>,
    args: Vec<usize>,
    filter: Option<usize>,
}

/// The rows of a batch whose values are to be computed, and all that are needed for it.
pub(super) struct Work {
    /// The keys, each with its rows.
    pub(super) keys: Vec<KeyWork>,
    /// The columns that calls read, of all rows that are needed.
    pub(super) columns: Vec<ArrayRef>,
    /// Event times of the rows that are needed.
    pub(super) time: Vec<i64>,
    /// Second parts of their orders.
    pub(super) seq: Vec<u64>,
    /// Places of final rows' values that a LAG looks at: by key, LAG and number in its history.
    pub(super) lagged: HashMap<(u32, usize, usize), u32>,
}

/// The rows of one key whose values are to be computed: those from `from` on.
pub(super) struct KeyWork {
    pub(super) slot: u32,
    /// The first row whose value is computed.
    pub(super) from: usize,
    /// How many rows the key has.
    pub(super) len: usize,
    /// The first row that is needed for it.
    pub(super) needed_from: usize,
    /// Its place among the rows that are needed; the others follow it.
    pub(super) place: usize,
    /// Whether the running cells hold all rows before `from`, and no other.
    pub(super) in_order: bool,
}

impl KeyWork {
    fn place_of(&self, row: usize) -> u32 {
        (self.place + row - self.needed_from) as u32
    }
}

/// What a list of calls needs of the rows that are final.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Needs {
    /// How many of the newest.
    pub(super) rows: u64,
    /// Those at most this many microseconds old.
    pub(super) range: Option<i64>,
    /// Whether a key is remembered for ever, though no row of it is held.
    pub(super) key: bool,
    /// Whether rows of the same time see each other.
    pub(super) peers: bool,
}

/// Calls, ready to be computed.
#[derive(Debug)]
pub(super) struct Calls {
    pub(super) calls: Vec<Call>,
    /// The input columns that they read.
    pub(super) columns: Vec<usize>,
    /// For each LAG that skips NULLs, the place of its column among `columns`.
    pub(super) null_columns: Vec<usize>,
    /// Offsets of the LAG calls.
    pub(super) lag_offsets: Vec<usize>,
    pub(super) needs: Needs,
}

impl Calls {
    pub(super) fn new(calls: &[OverCall], types: &[DataType]) -> Result<Self, ArrowError> {
        let mut built = Self {
            calls: Vec::new(),
            columns: Vec::new(),
            null_columns: Vec::new(),
            lag_offsets: Vec::new(),
            needs: Needs::default(),
        };
        for call in calls {
            let call = built.call(call, types)?;
            built.calls.push(call);
        }
        Ok(built)
    }

    fn call(&mut self, call: &OverCall, types: &[DataType]) -> Result<Call, ArrowError> {
        match &call.function {
            OverFunction::RowNumber => {
                self.needs.key = true;
                Ok(Call {
                    kind: CallKind::RowNumber,
                    result: DataType::Int64,
                })
            }
            OverFunction::Lag {
                column,
                offset,
                ignore_nulls,
            } => {
                let arg = self.column(*column, types)?;
                let mut null_bit = None;
                if *ignore_nulls {
                    if self.null_columns.len() == MAX_LAGS_IGNORING_NULLS {
                        return Err(ArrowError::InvalidArgumentError(format!(
                            "more than {MAX_LAGS_IGNORING_NULLS} LAG calls with IGNORE NULLS"
                        )));
                    }
                    null_bit = Some(self.null_columns.len() as u32);
                    self.null_columns.push(arg);
                }
                self.needs.key = true;
                let history = self.lag_offsets.len();
                self.lag_offsets.push(*offset);
                let kind = CallKind::Lag {
                    arg,
                    offset: *offset,
                    null_bit,
                    history,
                };
                Ok(Call {
                    kind,
                    result: types[*column].clone(),
                })
            }
            OverFunction::Aggregate(spec) => {
                check(spec).map_err(ArrowError::InvalidArgumentError)?;
                let aggregate = Aggregate {
                    store: new_store(spec, false),
                    args: spec
                        .args
                        .iter()
                        .map(|&column| self.column(column, types))
                        .collect::<Result<_, _>>()?,
                    filter: spec
                        .filter
                        .map(|column| self.column(column, types))
                        .transpose()?,
                };
                let kind = match call.frame {
                    Frame::Unbounded { peers } => {
                        self.needs.peers |= peers;
                        self.needs.key = true;
                        CallKind::Running { aggregate, peers }
                    }
                    frame @ Frame::Rows { preceding } => {
                        self.needs.rows = self.needs.rows.max(preceding);
                        CallKind::Framed { aggregate, frame }
                    }
                    frame @ Frame::Range { preceding } => {
                        self.needs.peers = true;
                        self.needs.range = self.needs.range.max(Some(preceding));
                        CallKind::Framed { aggregate, frame }
                    }
                };
                Ok(Call {
                    kind,
                    result: spec.result.clone(),
                })
            }
        }
    }

    /// The place of an input column among those that calls read.
    fn column(&mut self, column: usize, types: &[DataType]) -> Result<usize, ArrowError> {
        if column >= types.len() {
            let text = format!("there is no input column {column}");
            return Err(ArrowError::InvalidArgumentError(text));
        }
        if let Some(place) = self.columns.iter().position(|&known| known == column) {
            return Ok(place);
        }
        self.columns.push(column);
        Ok(self.columns.len() - 1)
    }

    /// The first row that is needed to compute the rows from `from` on.
    pub(super) fn needed_from(&self, state: &KeyState, from: usize, in_order: bool) -> usize {
        let mut first = from;
        for call in &self.calls {
            let wanted = match &call.kind {
                CallKind::RowNumber => from,
                CallKind::Lag {
                    offset,
                    null_bit: None,
                    ..
                } => from.saturating_sub(*offset).max(state.done),
                CallKind::Lag {
                    null_bit: Some(_), ..
                } => state.done,
                CallKind::Running { .. } if in_order => from,
                CallKind::Running { .. } => state.done,
                CallKind::Framed { frame, .. } => frame_start(state, from, *frame),
            };
            first = first.min(wanted);
        }
        first
    }

    /// Adds final rows to the cells of final rows: row `i` to key `slots[i]`.
    pub(super) fn add_final(
        &mut self,
        slots: &[u32],
        columns: &[ArrayRef],
        time: &[i64],
        seq: &[u64],
    ) {
        let cells: Vec<Cell> = slots.iter().map(|&slot| base_cell(slot)).collect();
        let rows: Vec<u32> = (0..slots.len() as u32).collect();
        for call in &mut self.calls {
            if let CallKind::Running { aggregate, .. } = &mut call.kind {
                aggregate.update(&cells, &rows, columns, time, seq);
            }
        }
    }

    /// The stores that keep cells for each key.
    pub(super) fn running_stores(&mut self) -> impl Iterator<Item = &mut Box<dyn CellStore>> {
        self.calls
            .iter_mut()
            .filter_map(|call| match &mut call.kind {
                CallKind::Running { aggregate, .. } => Some(&mut aggregate.store),
                _ => None,
            })
    }

    /// Makes cells for keys `0..count`.
    pub(super) fn grow(&mut self, count: usize) {
        self.running(|store| store.grow(2 * count));
    }

    /// Gives back the cell with all rows of a key.
    pub(super) fn clear_head(&mut self, slot: u32) {
        self.running(|store| store.clear(head_cell(slot)));
    }

    /// Gives back the cells of a key.
    pub(super) fn clear(&mut self, slot: u32) {
        self.running(|store| {
            store.clear(base_cell(slot));
            store.clear(head_cell(slot));
        });
    }

    pub(super) fn state_bytes(&self) -> usize {
        let stores = self.calls.iter().map(|call| match &call.kind {
            CallKind::Running { aggregate, .. } | CallKind::Framed { aggregate, .. } => {
                aggregate.store.state_bytes()
            }
            _ => 0,
        });
        stores.sum()
    }

    pub(super) fn bound_reached(&self) -> u64 {
        let stores = self.calls.iter().map(|call| match &call.kind {
            CallKind::Running { aggregate, .. } | CallKind::Framed { aggregate, .. } => {
                aggregate.store.bound_reached()
            }
            _ => 0,
        });
        stores.sum()
    }

    fn running(&mut self, action: impl FnMut(&mut Box<dyn CellStore>)) {
        self.running_stores().for_each(action);
    }
}

/// The first row of the frame of row `index`, among those that are held.
pub(super) fn frame_start(state: &KeyState, index: usize, frame: Frame) -> usize {
    match frame {
        Frame::Unbounded { .. } => 0,
        Frame::Rows { preceding } => {
            index.saturating_sub(usize::try_from(preceding).unwrap_or(usize::MAX))
        }
        Frame::Range { preceding } => state.range_start(index, preceding),
    }
}

impl Aggregate {
    /// Adds rows to cells, where the filter is true.
    fn update(
        &mut self,
        cells: &[Cell],
        rows: &[u32],
        columns: &[ArrayRef],
        time: &[i64],
        seq: &[u64],
    ) {
        let args: Vec<ArrayRef> = self
            .args
            .iter()
            .map(|&at| Arc::clone(&columns[at]))
            .collect();
        let args = Args {
            columns: &args,
            time,
            seq,
        };
        let Some(filter) = self.filter else {
            return self.store.update(cells, rows, &args);
        };
        let filter = columns[filter].as_boolean();
        let (cells, rows): (Vec<Cell>, Vec<u32>) = cells
            .iter()
            .zip(rows)
            .filter(|&(_, &row)| filter.is_valid(row as usize) && filter.value(row as usize))
            .unzip();
        self.store.update(&cells, &rows, &args);
    }
}

impl Call {
    /// The values of the work's rows, in their order.
    pub(super) fn values(
        &mut self,
        work: &Work,
        states: &[KeyState],
    ) -> Result<ArrayRef, ArrowError> {
        match &mut self.kind {
            CallKind::RowNumber => {
                let numbers = work.keys.iter().flat_map(|key| {
                    let state = &states[key.slot as usize];
                    (key.from..key.len)
                        .map(|row| state.count as i64 + (row - state.done) as i64 + 1)
                });
                Ok(Arc::new(Int64Array::from_iter_values(numbers)))
            }
            CallKind::Lag {
                arg,
                offset,
                null_bit,
                history,
            } => {
                let mut places = Vec::new();
                for key in &work.keys {
                    let state = &states[key.slot as usize];
                    for row in key.from..key.len {
                        places.push(match lagged(state, row, *offset, *null_bit, *history) {
                            Lagged::Row(row) => Some(key.place_of(row)),
                            Lagged::Final(at) => {
                                work.lagged.get(&(key.slot, *history, at)).copied()
                            }
                            Lagged::None => None,
                        });
                    }
                }
                take(&work.columns[*arg], &UInt32Array::from(places), None)
            }
            CallKind::Running { aggregate, peers } => {
                running_values(aggregate, *peers, &self.result, work, states)
            }
            CallKind::Framed { aggregate, frame } => {
                framed_values(aggregate, *frame, &self.result, work, states)
            }
        }
    }
}

/// Where a LAG finds its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lagged {
    /// At a row that is held.
    Row(usize),
    /// At this number of its history.
    Final(usize),
    /// Nowhere.
    None,
}

/// Where the LAG of row `index` finds its value.
pub(super) fn lagged(
    state: &KeyState,
    index: usize,
    offset: usize,
    null_bit: Option<u32>,
    history: usize,
) -> Lagged {
    if offset == 0 {
        return Lagged::Row(index);
    }
    let mut left = offset;
    if let Some(bit) = null_bit {
        for row in (state.done..index).rev() {
            if state.rows[row].nulls >> bit & 1 == 0 {
                left -= 1;
                if left == 0 {
                    return Lagged::Row(row);
                }
            }
        }
    } else if index - state.done >= offset {
        return Lagged::Row(index - offset);
    } else {
        left -= index - state.done;
    }
    state.lags[history]
        .len()
        .checked_sub(left)
        .map_or(Lagged::None, Lagged::Final)
}

fn running_values(
    aggregate: &mut Aggregate,
    peers: bool,
    result: &DataType,
    work: &Work,
    states: &[KeyState],
) -> Result<ArrayRef, ArrowError> {
    let (mut cells, mut rows) = (Vec::new(), Vec::new());
    for key in work.keys.iter().filter(|key| !key.in_order) {
        let head = head_cell(key.slot);
        aggregate.store.clear(head);
        aggregate.store.merge(head, base_cell(key.slot));
        for row in states[key.slot as usize].done..key.from {
            cells.push(head);
            rows.push(key.place_of(row));
        }
    }
    aggregate.update(&cells, &rows, &work.columns, &work.time, &work.seq);

    // In waves: the first row of each key, then the second of each …; so a batch of many keys
    // goes through the store in few calls.
    let starts = work_starts(&work.keys);
    let total = starts.last().copied().unwrap_or(0);
    let mut read_at = vec![0_u32; total];
    let mut reads: Vec<ArrayRef> = Vec::new();
    let mut read = 0_u32;
    let mut live: Vec<usize> = (0..work.keys.len()).collect();
    let mut wave = 0;
    while !live.is_empty() {
        cells.clear();
        rows.clear();
        let mut to_read = Vec::new();
        for &at in &live {
            let key = &work.keys[at];
            let row = key.from + wave;
            cells.push(head_cell(key.slot));
            rows.push(key.place_of(row));
            let state = &states[key.slot as usize];
            let group = if peers {
                state.first_peer(row)..state.peers_end(row)
            } else {
                row..row + 1
            };
            if group.end == row + 1 {
                to_read.push(head_cell(key.slot));
                for row in group.start.max(key.from)..group.end {
                    read_at[starts[at] + row - key.from] = read;
                }
                read += 1;
            }
        }
        aggregate.update(&cells, &rows, &work.columns, &work.time, &work.seq);
        if !to_read.is_empty() {
            reads.push(cast(&aggregate.store.read(&to_read), result)?);
        }
        wave += 1;
        live.retain(|&at| work.keys[at].from + wave < work.keys[at].len);
    }
    let reads: Vec<&dyn Array> = reads.iter().map(AsRef::as_ref).collect();
    if reads.is_empty() {
        return Ok(new_empty_array(result));
    }
    take(&concat(&reads)?, &UInt32Array::from(read_at), None)
}

/// The place of each key's first row among the work's rows, and how many rows that are.
fn work_starts(keys: &[KeyWork]) -> Vec<usize> {
    let mut starts = vec![0];
    let mut total = 0;
    for key in keys {
        total += key.len - key.from;
        starts.push(total);
    }
    starts
}

fn framed_values(
    aggregate: &mut Aggregate,
    frame: Frame,
    result: &DataType,
    work: &Work,
    states: &[KeyState],
) -> Result<ArrayRef, ArrowError> {
    let (mut cells, mut rows) = (Vec::new(), Vec::new());
    let total = work_starts(&work.keys).last().copied().unwrap_or(0);
    aggregate.store.grow(total);
    let mut cell: Cell = 0;
    for key in &work.keys {
        let state = &states[key.slot as usize];
        for row in key.from..key.len {
            let end = match frame {
                Frame::Range { .. } => state.peers_end(row),
                _ => row + 1,
            };
            for row in frame_start(state, row, frame)..end {
                cells.push(cell);
                rows.push(key.place_of(row));
            }
            if cells.len() >= FOLD_ROWS {
                aggregate.update(&cells, &rows, &work.columns, &work.time, &work.seq);
                cells.clear();
                rows.clear();
            }
            cell += 1;
        }
    }
    aggregate.update(&cells, &rows, &work.columns, &work.time, &work.seq);
    let all: Vec<Cell> = (0..cell).collect();
    let values = cast(&aggregate.store.read(&all), result)?;
    for cell in all {
        aggregate.store.clear(cell);
    }
    Ok(values)
}
