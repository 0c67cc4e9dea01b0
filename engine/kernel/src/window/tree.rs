//! Merged cells over groups of slices, for windows of many slices.
//!
//! A radix tree over slice numbers with a fan-out of 16: node (l, g) holds the rows of slices
//! `g * 16^l .. (g + 1) * 16^l`. Only groups that end before the key's newest slice are kept, so
//! an event that belongs to the newest slice touches no node; one that comes late drops the
//! nodes above its slice. A window of n slices is then the merge of at most 30 nodes a level,
//! and there are log16(n) levels (as in the B-tree aggregators of Tangwongsan, Hirzel and
//! Schneider, "Optimal and general out-of-order sliding-window aggregation", VLDB 2019, with the
//! shape fixed by the slice numbers instead of by balancing).

use super::cells::{CellSet, Part};
use super::slices::{NO_TREE, Slice, SliceList};
use crate::aggregate::Cell;

/// Windows of at most this many slices are merged one slice after the other.
pub(crate) const LINEAR_MERGE_MAX: usize = 32;
const FAN_BITS: u32 = 4;
const LEVELS_MAX: usize = 12;

#[derive(Debug, Default)]
struct Tree {
    /// `levels[l - 1]` holds the nodes of level l by number.
    levels: Vec<Vec<(i64, Cell)>>,
    /// Slices from here on are in no node.
    high: i64,
}

/// The trees of a lane's keys.
#[derive(Debug, Default)]
pub(crate) struct Forest {
    trees: Vec<Tree>,
    free: Vec<u32>,
}

impl Forest {
    /// Appends to `out` cells that together hold the rows of the slices `from..to` by number,
    /// which are at the positions `first..last` of the list.
    pub(crate) fn cover(
        &mut self,
        slices: &mut SliceList,
        (from, to): (i64, i64),
        (first, last): (usize, usize),
        cells: &mut CellSet,
        out: &mut Vec<Cell>,
    ) {
        if last - first <= LINEAR_MERGE_MAX {
            out.extend(slices.live()[first..last].iter().map(|slice| slice.cell));
            return;
        }
        if slices.tree == NO_TREE {
            slices.tree = self.free.pop().unwrap_or_else(|| {
                self.trees.push(Tree::default());
                (self.trees.len() - 1) as u32
            });
            self.trees[slices.tree as usize] = Tree {
                levels: Vec::new(),
                high: i64::MIN,
            };
        }
        let tree = &mut self.trees[slices.tree as usize];
        let live = slices.live();
        let newest = live.last().map_or(to, Slice::index);
        let limit = to.min(newest);
        let mut position = first;
        while position < last {
            let index = live[position].index();
            let mut level = 0;
            while level < LEVELS_MAX {
                let shift = FAN_BITS * (level as u32 + 1);
                let group = index >> shift;
                if (group << shift) < from || ((group + 1) << shift) > limit {
                    break;
                }
                level += 1;
            }
            let shift = FAN_BITS * level as u32;
            let end = ((index >> shift) + 1) << shift;
            let count = live[position..last].partition_point(|slice| slice.index() < end);
            let group = &live[position..position + count];
            out.push(tree.node(level, group, cells));
            position += count;
        }
    }

    /// Slice `index` of a key got or lost rows.
    pub(crate) fn touch(&mut self, slices: &SliceList, index: i64, cells: &mut CellSet) {
        if slices.tree == NO_TREE {
            return;
        }
        let tree = &mut self.trees[slices.tree as usize];
        if index >= tree.high {
            return;
        }
        for (below, nodes) in tree.levels.iter_mut().enumerate() {
            let group = index >> (FAN_BITS * (below as u32 + 1));
            if let Ok(at) = nodes.binary_search_by_key(&group, |node| node.0) {
                cells.give_back(nodes.remove(at).1);
            }
        }
    }

    /// Slices before `index` of a key are gone.
    pub(crate) fn trim(&mut self, slices: &mut SliceList, index: i64, cells: &mut CellSet) {
        if slices.tree == NO_TREE {
            return;
        }
        let empty = slices.is_empty();
        let tree = &mut self.trees[slices.tree as usize];
        for (below, nodes) in tree.levels.iter_mut().enumerate() {
            let shift = FAN_BITS * (below as u32 + 1);
            let gone = if empty {
                nodes.len()
            } else {
                nodes.partition_point(|n| n.0 << shift < index)
            };
            for (_, cell) in nodes.drain(..gone) {
                cells.give_back(cell);
            }
        }
        if empty {
            *tree = Tree::default();
            self.free.push(slices.tree);
            slices.tree = NO_TREE;
        }
    }

    /// Allocated bytes, estimated.
    pub(crate) fn state_bytes(&self) -> usize {
        let nodes: usize = self
            .trees
            .iter()
            .flat_map(|tree| &tree.levels)
            .map(Vec::capacity)
            .sum();
        nodes * size_of::<(i64, Cell)>() + self.trees.capacity() * size_of::<Tree>()
    }
}

impl Tree {
    /// A cell with the rows of `slices`, which are all the slices of one group of a level.
    fn node(&mut self, level: usize, slices: &[Slice], cells: &mut CellSet) -> Cell {
        // A group of one slice needs no cell of its own.
        if level == 0 || slices.len() == 1 {
            return slices[0].cell;
        }
        let shift = FAN_BITS * level as u32;
        let group = slices[0].index() >> shift;
        while self.levels.len() < level {
            self.levels.push(Vec::new());
        }
        let known = self.levels[level - 1].binary_search_by_key(&group, |node| node.0);
        if let Ok(at) = known {
            return self.levels[level - 1][at].1;
        }
        let cell = cells.take();
        let mut merges = Vec::with_capacity(1 << FAN_BITS);
        let mut rest = slices;
        while let Some(slice) = rest.first() {
            let child = slice.index() >> (shift - FAN_BITS);
            let end = (child + 1) << (shift - FAN_BITS);
            let (inside, after) = rest.split_at(rest.partition_point(|s| s.index() < end));
            merges.push((cell, self.node(level - 1, inside, cells)));
            rest = after;
        }
        cells.merge_spans(&merges, Part::Plain);
        let nodes = &mut self.levels[level - 1];
        let at = nodes.partition_point(|node| node.0 < group);
        nodes.insert(at, (group, cell));
        self.high = self.high.max((group + 1) << shift);
        cell
    }
}
