//! Views whose readers may have rows that the lane knows nothing of.

use super::{MovingLane, bits_of};
use crate::window::lane::KeyedRow;
use crate::window::table::KeyTable;

impl MovingLane {
    pub(super) fn set_standing(&mut self, view: usize, on: bool) {
        let bit = 1_u16 << view;
        self.standing &= !bit;
        if !on {
            return;
        }
        self.standing |= bit;
        let slots: Vec<u32> = self.entries.slots().collect();
        for slot in slots {
            self.assume_live(slot, bit);
        }
    }

    /// Keys that get rows count as live, whether the rows count or come too late.
    pub(super) fn assume_keys_live(&mut self, rows: &[KeyedRow], keys: &mut KeyTable) {
        for row in rows {
            let slot = self.entries.find_or_insert(row.key, keys);
            self.assume_live(slot, self.standing);
        }
    }

    fn assume_live(&mut self, slot: u32, bits: u16) {
        let entry = self.entries.get_mut(slot);
        // What is read next may be that there are no rows.
        let new = bits & !entry.live;
        entry.live |= bits;
        for view in bits_of(new) {
            let entry = self.entries.get_mut(slot);
            Self::mark(&mut self.views, entry, slot, 1 << view, false);
        }
    }
}
