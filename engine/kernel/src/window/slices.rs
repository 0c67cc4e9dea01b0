//! The slices of one key: numbered stretches of time with a cell each, only those with rows.

use crate::aggregate::Cell;
use smallvec::SmallVec;

/// No tree.
pub(crate) const NO_TREE: u32 = u32::MAX;

/// A slice: its number on the grid (in two halves, so that it takes 12 bytes) and its cell.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slice {
    high: i32,
    low: u32,
    pub(crate) cell: Cell,
}

impl Slice {
    pub(crate) fn new(index: i64, cell: Cell) -> Self {
        Self {
            high: (index >> 32) as i32,
            low: index as u32,
            cell,
        }
    }

    /// The slice's number on the grid.
    pub(crate) fn index(&self) -> i64 {
        (i64::from(self.high) << 32) | i64::from(self.low)
    }
}

/// A key's slices in the order of time.
#[derive(Debug)]
pub(crate) struct SliceList {
    list: SmallVec<[Slice; 2]>,
    /// How many at the front are gone; they are cut off in bulk, so that a slice that expires
    /// costs O(1).
    gone: u32,
    /// The key's tree in the lane's forest, [`NO_TREE`] if it has none.
    pub(crate) tree: u32,
}

impl Default for SliceList {
    fn default() -> Self {
        Self {
            list: SmallVec::new(),
            gone: 0,
            tree: NO_TREE,
        }
    }
}

impl SliceList {
    /// The slices.
    pub(crate) fn live(&self) -> &[Slice] {
        &self.list[self.gone as usize..]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.len() == self.gone as usize
    }

    /// How many slices come before `index`. Most questions are about the ends, so the search
    /// gallops from the nearer one.
    pub(crate) fn position(&self, index: i64) -> usize {
        let live = self.live();
        let (Some(first), Some(last)) = (live.first(), live.last()) else {
            return 0;
        };
        if last.index() < index {
            return live.len();
        }
        if first.index() >= index {
            return 0;
        }
        let from_front = index - first.index() < last.index() - index;
        let mut step = 1;
        let (mut low, mut high) = (0, live.len());
        while step < live.len() {
            let at = if from_front { step } else { live.len() - step };
            let before = live[at].index() < index;
            if before {
                low = at + 1;
            } else {
                high = at;
            }
            // Past it: it lies between the last two steps.
            if before != from_front {
                break;
            }
            step *= 2;
        }
        low + live[low..high].partition_point(|slice| slice.index() < index)
    }

    /// The cell of slice `index`, if it has rows.
    pub(crate) fn get(&self, index: i64) -> Option<Cell> {
        let slice = self.live().get(self.position(index))?;
        (slice.index() == index).then_some(slice.cell)
    }

    /// The cell of slice `index` and whether the slice is new, with a cell from `take`.
    pub(crate) fn get_or_insert(
        &mut self,
        index: i64,
        take: impl FnOnce() -> Cell,
    ) -> (Cell, bool) {
        if let Some(last) = self.live().last()
            && last.index() == index
        {
            return (last.cell, false);
        }
        let position = self.position(index);
        if let Some(slice) = self.live().get(position)
            && slice.index() == index
        {
            return (slice.cell, false);
        }
        let cell = take();
        self.list
            .insert(self.gone as usize + position, Slice::new(index, cell));
        (cell, true)
    }

    /// Makes room for so many slices.
    pub(crate) fn reserve(&mut self, slices: usize) {
        self.list.reserve(slices);
    }

    /// Appends a slice that comes after all others.
    pub(crate) fn push(&mut self, index: i64, cell: Cell) {
        self.list.push(Slice::new(index, cell));
    }

    /// Removes slice `index` and hands back its cell.
    pub(crate) fn remove(&mut self, index: i64) -> Option<Cell> {
        let position = self.position(index);
        let slice = *self.live().get(position)?;
        if slice.index() != index {
            return None;
        }
        self.list.remove(self.gone as usize + position);
        Some(slice.cell)
    }

    /// Removes the slices before `index`; their cells go to `give_back`.
    pub(crate) fn trim(&mut self, index: i64, mut give_back: impl FnMut(Cell)) {
        let count = self
            .live()
            .iter()
            .take_while(|slice| slice.index() < index)
            .count();
        for slice in &self.live()[..count] {
            give_back(slice.cell);
        }
        self.gone += count as u32;
        let gone = self.gone as usize;
        if gone == self.list.len() {
            self.list = SmallVec::new();
            self.gone = 0;
        } else if gone * 2 >= self.list.len() {
            self.list.drain(..gone);
            self.gone = 0;
            if self.list.len() * 4 < self.list.capacity() {
                self.list.shrink_to_fit();
            }
        }
    }

    /// Allocated bytes outside of the value itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        if self.list.spilled() {
            self.list.capacity() * size_of::<Slice>()
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_positions_and_keeps_order() {
        let mut random = fastrand::Rng::with_seed(5);
        for _ in 0..200 {
            let mut list = SliceList::default();
            let mut model = std::collections::BTreeMap::new();
            let spread = random.i64(1..300);
            for cell in 0..random.u32(0..200) {
                let index = random.i64(-spread..spread) + (1 << 40);
                let (found, new) = list.get_or_insert(index, || cell);
                assert_eq!(found, *model.entry(index).or_insert(cell));
                assert_eq!(new, found == cell);
                if random.u32(0..20) == 0 {
                    let before = random.i64(-spread..spread) + (1 << 40);
                    list.trim(before, |_| ());
                    model = model.split_off(&before);
                }
                let asked = random.i64(-spread - 2..spread + 2) + (1 << 40);
                assert_eq!(list.position(asked), model.range(..asked).count());
            }
            assert!(list.live().iter().map(Slice::index).eq(model.into_keys()));
        }
    }
}
