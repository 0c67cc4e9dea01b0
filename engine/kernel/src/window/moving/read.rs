//! Reading what changed: the values of moving windows.

use super::{MovingLane, Span, View};
use crate::aggregate::Cell;
use crate::change::{Changes, RowState};
use crate::keys::KeyEncoder;
use crate::window::cells::{CellSet, Part};
use crate::window::lane::ChangeRows;
use crate::window::slices::SliceList;
use crate::window::table::KeyTable;

/// A window of more slices than this keeps a running value, where the aggregates can.
const RUNNING_MIN: usize = 4;

impl MovingLane {
    pub(super) fn read(
        &mut self,
        view: usize,
        max: usize,
        include_expiry: bool,
        keys: &mut KeyTable,
        encoder: &KeyEncoder,
    ) -> Option<Changes> {
        let mut out = ChangeRows::default();
        let mut looked_at = Vec::new();
        let bit = 1_u16 << view;
        let mut nothing: Option<Cell> = None;
        while out.len() < max {
            let Some(slot) = self.views[view].dirty.pop(include_expiry) else {
                break;
            };
            let Some(key) = self.entries.key(slot) else {
                continue;
            };
            let entry = self.entries.get_mut(slot);
            if (entry.event | entry.expiry) & bit == 0 {
                continue;
            }
            let urgent = entry.event & bit != 0;
            entry.event &= !bit;
            entry.expiry &= !bit;
            looked_at.push(slot);
            if urgent {
                // Time alone will not take it again.
                keys.touch(key);
            }
            let View {
                window,
                mut range,
                slices: numbers,
                keep,
                ..
            } = self.views[view];
            let frozen = match self.frozen.remove(&slot) {
                Some((end, cell)) if end == range.1 => Some(cell),
                Some((_, cell)) => {
                    out.scratch.extend(cell);
                    None
                }
                None => None,
            };
            let mut running = None;
            let sighted = out.sighted.len();
            let first = entry.slices.position(numbers.0);
            let last = entry.slices.position(numbers.1);
            let (cell, state, empty_at) = if frozen.map_or(first == last, |cell| cell.is_none()) {
                let was_live = entry.live & bit != 0;
                entry.live &= !bit;
                if keep {
                    // Its slices stayed until now.
                    let Some(last) = self.last_window(slot, view, self.clock) else {
                        continue;
                    };
                    let slices = self.entries.get(slot).slices.live();
                    self.cells
                        .count_sighted(slot, slices, last.slices, &mut out.sighted);
                    self.parts.clear();
                    let slices = &slices[last.slices.0..last.slices.1];
                    self.parts.extend(slices.iter().map(|slice| slice.cell));
                    range = last.range;
                    let cell = out.merged(&self.parts, Part::All, &mut self.cells);
                    (cell, RowState::Live, last.left_at)
                } else if !was_live {
                    continue;
                } else {
                    let cell = *nothing.get_or_insert_with(|| self.cells.take());
                    (cell, RowState::Empty, self.clock)
                }
            } else {
                entry.live |= bit;
                let mut empty_at = self.clock;
                for slice in &entry.slices.live()[last.saturating_sub(1)..] {
                    let start = self.grid.start(slice.index());
                    if slice.index() >= numbers.1 && window.enter(start) > empty_at {
                        break;
                    }
                    empty_at = window.leave(start);
                }
                let cell = match frozen.flatten() {
                    Some(cell) => {
                        out.scratch.push(cell);
                        cell
                    }
                    None => {
                        let slices = self.entries.get(slot).slices.live();
                        self.cells
                            .count_sighted(slot, slices, (first, last), &mut out.sighted);
                        let (plain, runs) = self.value(slot, view, (first, last), &mut out);
                        running = runs;
                        plain
                    }
                };
                (cell, RowState::Live, empty_at)
            };
            // Over no rows there is nothing.
            out.sighted.resize(sighted + self.cells.sighted(), 0);
            out.slots.push(slot);
            out.keys.push(key);
            out.window_start.push(range.0);
            out.window_end.push(range.1);
            out.states.push(state);
            out.empty_at.push(empty_at);
            out.urgent.push(urgent);
            out.cells.push(cell);
            out.running.push(running.unwrap_or(cell));
        }
        out.scratch.extend(nothing);
        let changes = out.finish(&mut self.cells, keys, encoder);
        for slot in looked_at {
            self.settle(slot, keys);
        }
        changes
    }

    /// Cells with the rows of a view's window, which are the slices at these positions: one to
    /// read, and one for aggregates that keep running values, where it is another.
    fn value(
        &mut self,
        slot: u32,
        view: usize,
        (first, last): (usize, usize),
        out: &mut ChangeRows,
    ) -> (Cell, Option<Cell>) {
        let numbers = self.views[view].slices;
        let bit = 1_u16 << view;
        let entry = self.entries.get_mut(slot);
        let mut part = Part::All;
        let mut running = None;
        let count = last - first;
        if !self.cells.has(Part::All)
            && let Some(slice) = entry.slices.live().get(first)
        {
            // All is counted by sight.
            return (slice.cell, None);
        }
        if self.cells.has(Part::Running) {
            if entry.running & bit == 0 && count > RUNNING_MIN {
                entry.running |= bit;
                let cell = self.cells.take();
                let span = Span {
                    cell,
                    from: numbers.0,
                    to: numbers.0,
                };
                self.views[view].spans.insert(slot, span);
            } else if entry.running & bit != 0 && count <= RUNNING_MIN / 2 {
                entry.running &= !bit;
                if let Some(span) = self.views[view].spans.remove(&slot) {
                    self.cells.give_back(span.cell);
                }
            }
            if entry.running & bit != 0
                && let Some(span) = self.views[view].spans.get_mut(&slot)
            {
                span.slide(numbers.0, &entry.slices, &mut self.cells);
                let from = entry.slices.position(span.to);
                for slice in entry.slices.live().get(from..last).unwrap_or_default() {
                    self.cells.run_in(span.cell, slice.cell);
                }
                span.to = numbers.1;
                if !self.cells.has(Part::Plain) {
                    return (span.cell, Some(span.cell));
                }
                part = Part::Plain;
                running = Some(span.cell);
            }
        }
        self.parts.clear();
        self.forest.cover(
            &mut entry.slices,
            numbers,
            (first, last),
            &mut self.cells,
            &mut self.parts,
        );
        (out.merged(&self.parts, part, &mut self.cells), running)
    }
}

impl Span {
    /// Takes out the slices before number `lo`, which are still there.
    pub(super) fn slide(&mut self, lo: i64, slices: &SliceList, cells: &mut CellSet) {
        if self.from >= lo {
            return;
        }
        let first = slices.position(self.from);
        let middle = slices.position(lo.min(self.to));
        let last = slices.position(self.to);
        if middle - first > last - middle {
            // It is less work to add up the rest again.
            cells.run_clear(self.cell);
            self.to = lo;
        } else {
            for slice in &slices.live()[first..middle] {
                cells.run_out(self.cell, slice.cell);
            }
        }
        self.from = lo;
        self.to = self.to.max(lo);
    }
}
