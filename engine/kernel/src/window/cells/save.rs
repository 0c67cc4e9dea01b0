//! Saving and loading single cells.

use super::CellSet;
use crate::aggregate::codec::{Reader, put_i64};
use crate::aggregate::{Cell, StateError, touch};

impl CellSet {
    /// Makes room for so many more cells.
    pub(crate) fn reserve(&mut self, cells: usize) {
        let cells = self.next as usize + cells;
        for group in &mut self.groups {
            group.store.grow(cells);
        }
        for group in &mut self.sighted {
            group.store.grow(cells);
        }
        if let Some(rows) = &mut self.rows {
            rows.reserve(cells - rows.len());
        }
    }

    /// Reads from memory what [`CellSet::save`] of these cells will read, many at a time.
    pub(crate) fn prefetch(&self, cells: &[Cell]) {
        let groups = self.groups.iter().map(|group| group.store.prefetch(cells));
        let sighted = self.sighted.iter().map(|group| group.store.prefetch(cells));
        let read = groups.chain(sighted).fold(0, |read, more| read ^ more);
        let rows = self
            .rows
            .iter()
            .map(|rows| touch(rows, cells, |rows| *rows as u64));
        std::hint::black_box(rows.fold(read, |read, more| read ^ more));
    }

    /// Appends a cell's state. Cells taken before the last [`CellSet::reserve`] can be saved.
    pub(crate) fn save(&mut self, cell: Cell, out: &mut Vec<u8>) {
        for group in &mut self.groups {
            group.store.save(cell, out);
        }
        if let Some(rows) = &self.rows {
            put_i64(out, rows[cell as usize]);
        }
        for group in &self.sighted {
            group.store.save(cell, out);
        }
    }

    /// A cell with saved state, of a set that counts nothing by sight.
    pub(crate) fn load(&mut self, reader: &mut Reader<'_>) -> Result<Cell, StateError> {
        let cell = self.take();
        self.load_groups(cell, reader)?;
        Ok(cell)
    }

    /// A cell with the saved state of a key's slice.
    pub(crate) fn load_slice(
        &mut self,
        slot: u32,
        index: i64,
        reader: &mut Reader<'_>,
    ) -> Result<Cell, StateError> {
        let cell = self.take_slice(slot, index);
        self.load_groups(cell, reader)?;
        self.load_sighted(cell, reader)?;
        Ok(cell)
    }

    /// Adds the saved state of a slice to that of another: they are one slice now.
    pub(crate) fn load_more(
        &mut self,
        into: Cell,
        reader: &mut Reader<'_>,
    ) -> Result<(), StateError> {
        let cell = self.load(reader)?;
        self.merge(into, cell);
        self.give_back(cell);
        self.load_sighted(into, reader)
    }

    fn load_groups(&mut self, cell: Cell, reader: &mut Reader<'_>) -> Result<(), StateError> {
        for group in &mut self.groups {
            group.store.grow(cell as usize + 1);
            let used = group.store.load(cell, reader.rest())?;
            reader.take(used)?;
        }
        if let Some(rows) = &mut self.rows {
            rows[cell as usize] = reader.i64()?;
        }
        Ok(())
    }

    fn load_sighted(&mut self, cell: Cell, reader: &mut Reader<'_>) -> Result<(), StateError> {
        for group in &mut self.sighted {
            group.store.grow(cell as usize + 1);
            let used = group.store.load(cell, reader.rest(), &self.places)?;
            reader.take(used)?;
        }
        Ok(())
    }
}
