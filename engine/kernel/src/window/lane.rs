//! What the operator asks of each kind of lane.

use super::cells::{CellSet, Part};
use super::closing::ClosingLane;
use super::grid::{Grid, Windows};
use super::moving::MovingLane;
use super::save::{SavedKeys, SavedLane};
use super::session::SessionLane;
use super::table::KeyTable;
use crate::aggregate::{Cell, StateError};
use crate::change::{Changes, RowState};
use crate::input::Input;
use crate::keys::KeyEncoder;
use crate::spec::SetSpec;
use arrow::array::{ArrayRef, new_null_array};
use tidewheel_core::EventTime;

/// A row that a set takes: its place in the batch and its key's number in the key table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyedRow {
    pub(crate) row: u32,
    pub(crate) key: u32,
}

/// Counters of a lane.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LaneStats {
    pub(crate) slices: u64,
    pub(crate) late_rows: u64,
    pub(crate) unknown_retractions: u64,
    pub(crate) bound_reached: u64,
    pub(crate) state_bytes: u64,
}

/// One or several sets that share their state: their filter and aggregates are the same.
pub(crate) trait Lane: Send {
    /// Takes rows. Those that are late for all their windows go to `late`.
    fn process(
        &mut self,
        rows: &[KeyedRow],
        keys: &mut KeyTable,
        input: &Input<'_>,
        late: &mut Vec<u32>,
    );
    /// Time has come this far.
    fn set_time(&mut self, frontier: EventTime, watermark: EventTime, keys: &mut KeyTable);
    /// Works off timers that are due, at most `budget`, which it lowers. True if more are due.
    fn drain(&mut self, budget: &mut usize, keys: &mut KeyTable) -> bool;
    /// At most `max` rows of a view that changed.
    fn take_changes(
        &mut self,
        view: usize,
        max: usize,
        include_expiry: bool,
        keys: &mut KeyTable,
        encoder: &KeyEncoder,
    ) -> Option<Changes>;
    /// The slots freed since the last call.
    fn take_freed(&mut self, view: usize) -> Vec<u32>;
    /// Reports every row of a view again that stands with the reader, as far as it is held.
    fn refresh(&mut self, view: usize);
    /// Reports these rows of a view again, by their slots, as far as they are live.
    fn mark(&mut self, view: usize, slots: &[u32]);
    /// Whether the reader keeps the last value of a key whose window runs empty.
    fn set_keep(&mut self, view: usize, keep: bool) {
        let _ = (view, keep);
    }
    /// Shares the lane's state with a set, if that costs no exactness, and gives its view.
    fn try_join(&mut self, spec: &SetSpec, keys: &mut KeyTable) -> Option<usize> {
        let _ = (spec, keys);
        None
    }
    /// Ends a view. True if the lane has none left.
    fn remove_view(&mut self, view: usize, keys: &mut KeyTable) -> bool;
    /// The keys have other numbers: `numbers` says which, by the old one.
    fn rekey(&mut self, numbers: &[u32], keys: &mut KeyTable);
    /// Every row of a view that is there or comes counts as one that its reader has.
    fn assume_standing(&mut self, view: usize, on: bool);
    /// Appends its state, of these keys; `views` are those of its sets, in the order in which the
    /// sets are saved.
    fn save(&mut self, views: &[usize], keys: &SavedKeys, out: &mut Vec<u8>);
    /// Takes in saved state; only called once, on a lane without keys.
    fn load(&mut self, saved: &mut [SavedLane<'_>], keys: &mut KeyTable) -> Result<(), StateError>;
    /// Lets go of all keys.
    fn close(&mut self, keys: &mut KeyTable);
    /// Counters.
    fn stats(&self) -> LaneStats;
}

/// A [`Changes`] under construction, with a cell to read for each row.
#[derive(Debug, Default)]
pub(crate) struct ChangeRows {
    pub(crate) slots: Vec<u32>,
    pub(crate) keys: Vec<u32>,
    pub(crate) window_start: Vec<EventTime>,
    pub(crate) window_end: Vec<EventTime>,
    pub(crate) states: Vec<RowState>,
    pub(crate) empty_at: Vec<EventTime>,
    pub(crate) urgent: Vec<bool>,
    pub(crate) cells: Vec<Cell>,
    /// The cells to read of stores that keep running values, where they are others.
    pub(crate) running: Vec<Cell>,
    /// What is counted by sight, for each row as many as the set has.
    pub(crate) sighted: Vec<i64>,
    /// Cells to give back once they are read.
    pub(crate) scratch: Vec<Cell>,
    /// Merges to do before reading.
    pub(crate) merges: Vec<(Cell, Cell)>,
    /// Merges of stores that keep no running values.
    pub(crate) plain_merges: Vec<(Cell, Cell)>,
}

impl ChangeRows {
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// A cell that holds the rows of all `parts`: the part itself if there is one only.
    pub(crate) fn merged(&mut self, parts: &[Cell], part: Part, cells: &mut CellSet) -> Cell {
        if let [cell] = parts {
            return *cell;
        }
        let cell = cells.take();
        self.scratch.push(cell);
        let merges = match part {
            Part::Plain => &mut self.plain_merges,
            _ => &mut self.merges,
        };
        merges.extend(parts.iter().map(|&part| (cell, part)));
        cell
    }

    /// Reads the cells, gives scratch cells back and decodes the keys.
    pub(crate) fn finish(
        mut self,
        cells: &mut CellSet,
        table: &KeyTable,
        encoder: &KeyEncoder,
    ) -> Option<Changes> {
        cells.merge_spans(&self.merges, Part::All);
        cells.merge_spans(&self.plain_merges, Part::Plain);
        let aggregates = if self.slots.is_empty() {
            Vec::new()
        } else {
            cells.read(
                &self.cells,
                if self.running.is_empty() {
                    &self.cells
                } else {
                    &self.running
                },
                &self.sighted,
            )
        };
        for cell in self.scratch.drain(..) {
            cells.give_back(cell);
        }
        if self.slots.is_empty() {
            return None;
        }
        let keys = decode_keys(encoder, self.keys.iter().map(|&key| table.key(key)));
        Some(Changes {
            slots: self.slots,
            keys,
            window_start: self.window_start,
            window_end: self.window_end,
            aggregates,
            states: self.states,
            empty_at: self.empty_at,
            urgent: self.urgent,
        })
    }
}

/// The key columns. Keys were made by this encoder; should the bytes be broken all the same, the
/// columns are NULL.
pub(crate) fn decode_keys<'a>(
    encoder: &KeyEncoder,
    keys: impl ExactSizeIterator<Item = &'a [u8]>,
) -> Vec<ArrayRef> {
    let rows = keys.len();
    encoder.decode(keys).unwrap_or_else(|_| {
        encoder
            .types()
            .iter()
            .map(|data_type| new_null_array(data_type, rows))
            .collect()
    })
}

/// How close together the slices of a set are cut, sessions last.
pub(crate) fn edge_distance(spec: &SetSpec) -> (i64, i64) {
    Windows::new(&spec.window).map_or((i64::MAX, 0), |windows| {
        let grid = Grid::of(&windows);
        (grid.start(1) - grid.start(0), -windows.size())
    })
}

/// A lane for a set.
pub(crate) fn new_lane(spec: &SetSpec) -> Box<dyn Lane> {
    if let Some(lane) = MovingLane::new(spec) {
        Box::new(lane)
    } else if let Some(lane) = ClosingLane::new(spec) {
        Box::new(lane)
    } else {
        Box::new(SessionLane::new(spec))
    }
}
