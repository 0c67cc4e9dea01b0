//! Rows that are late for the last closed window, and count in the next.

use super::MovingLane;
use crate::aggregate::Cell;
use crate::window::cells::Part;
use tidewheel_core::EventTime;

impl MovingLane {
    /// Keeps the value of the last closed window, if it waits to be read, as it was before a row
    /// that is late for it.
    pub(super) fn freeze(&mut self, slot: u32, watermark: EventTime) {
        // What is marked from here on is to be read at this time, not at an earlier one.
        if watermark > self.clock {
            self.move_views(watermark);
        }
        if self.entries.get(slot).armed <= watermark {
            self.bring_up(slot, watermark);
        }
        let entry = self.entries.get_mut(slot);
        if entry.event | entry.expiry == 0 {
            return;
        }
        let (start, end) = self.views[0].window.range(watermark);
        if let Some(&(frozen_end, cell)) = self.frozen.get(&slot) {
            if frozen_end == end {
                return;
            }
            if let Some(cell) = cell {
                self.cells.give_back(cell);
            }
        }
        let range = (self.grid.index(start), self.grid.index(end));
        let (first, last) = (
            entry.slices.position(range.0),
            entry.slices.position(range.1),
        );
        if first == last {
            self.frozen.insert(slot, (end, None));
            return;
        }
        self.parts.clear();
        self.forest.cover(
            &mut entry.slices,
            range,
            (first, last),
            &mut self.cells,
            &mut self.parts,
        );
        let cell = self.cells.take();
        let merges: Vec<(Cell, Cell)> = self.parts.iter().map(|&part| (cell, part)).collect();
        self.cells.merge_spans(&merges, Part::All);
        self.frozen.insert(slot, (end, Some(cell)));
    }
}
