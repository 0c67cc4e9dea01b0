//! The cells of one set of aggregates: numbering, applying rows, merging, reading.

mod save;

use super::sightings::{Place, Sightings};
use super::slices::Slice;
use crate::aggregate::{Args, Cell, StoreGroup, new_stores};
use crate::input::Input;
use crate::spec::{AggregateKind, AggregateSpec};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::DataType;

/// Some of a set's stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    All,
    /// Those that can subtract, where the set keeps running values.
    Running,
    /// The others.
    Plain,
}

/// COUNT(DISTINCT x) of a set with current values: see [`super::sightings`].
struct SightedGroup {
    /// Which of the set's aggregates it serves, and their results' types.
    members: Vec<(usize, DataType)>,
    arg: usize,
    filter: Option<usize>,
    store: Sightings,
}

/// All aggregates of a set; they number their cells alike.
pub(crate) struct CellSet {
    groups: Vec<StoreGroup>,
    /// Aggregates that are apart from the groups.
    sighted: Vec<SightedGroup>,
    /// For each cell of a slice where it stands, if there is anything sighted.
    places: Vec<Place>,
    /// The first slice that is ahead of the clock.
    ahead: i64,
    /// For each group, whether it keeps running values.
    running: Vec<bool>,
    outputs: usize,
    next: Cell,
    free: Vec<Cell>,
    /// For each cell the rows added less those taken back; only kept for retracting input.
    rows: Option<Vec<i64>>,
    unknown_retractions: u64,
    thin: Thin,
}

/// Buffers for the rows that an aggregate's filter leaves.
#[derive(Default)]
struct Thin {
    rows: Vec<u32>,
    cells: Vec<Cell>,
}

impl Thin {
    /// The rows for which a filter is true, with their cells.
    fn of<'a>(
        &'a mut self,
        filter: Option<usize>,
        rows: &'a [u32],
        cells: &'a [Cell],
        input: &Input<'_>,
    ) -> (&'a [u32], &'a [Cell]) {
        let Some(filter) = filter else {
            return (rows, cells);
        };
        self.rows.clear();
        self.cells.clear();
        if let Some(chosen) = input.columns[filter].as_boolean_opt() {
            for (&row, &cell) in rows.iter().zip(cells) {
                if is_true(chosen, row) {
                    self.rows.push(row);
                    self.cells.push(cell);
                }
            }
        }
        (&self.rows, &self.cells)
    }
}

impl CellSet {
    pub(crate) fn new(specs: &[AggregateSpec], retracting: bool) -> Self {
        let groups = new_stores(specs, retracting);
        Self {
            running: vec![false; groups.len()],
            groups,
            sighted: Vec::new(),
            places: Vec::new(),
            ahead: i64::MIN,
            outputs: specs.len(),
            next: 0,
            free: Vec::new(),
            rows: retracting.then(Vec::new),
            unknown_retractions: 0,
            thin: Thin::default(),
        }
    }

    /// Counts distinct values by their newest sightings. For sets whose windows are open at the
    /// clock, without gaps between them, over rows that stay. To be called first.
    pub(crate) fn count_by_sight(&mut self, specs: &[AggregateSpec]) {
        let counts = |member: &usize| matches!(specs[*member].kind, AggregateKind::CountDistinct);
        let (sighted, groups): (Vec<StoreGroup>, Vec<StoreGroup>) =
            std::mem::take(&mut self.groups)
                .into_iter()
                .partition(|group| group.members.iter().all(counts) && group.args.len() == 1);
        self.running = vec![false; groups.len()];
        self.groups = groups;
        self.sighted = sighted
            .into_iter()
            .map(|group| SightedGroup {
                arg: group.args[0],
                filter: group.filter,
                store: Sightings::new(&specs[group.members[0]].arg_types[0]),
                members: group
                    .members
                    .into_iter()
                    .map(|member| (member, specs[member].result.clone()))
                    .collect(),
            })
            .collect();
    }

    /// How many values of a row are counted by sight.
    pub(crate) fn sighted(&self) -> usize {
        self.sighted.len()
    }

    /// The clock has moved: slices from this number on are ahead of it.
    pub(crate) fn set_ahead(&mut self, ahead: i64) {
        self.ahead = ahead;
    }

    /// Whether a slice is ahead of the clock, and is to be settled when the clock reaches it.
    pub(crate) fn waits(&self, index: i64) -> bool {
        !self.sighted.is_empty() && index >= self.ahead
    }

    /// The clock has reached a slice that was ahead of it.
    pub(crate) fn settle(&mut self, cell: Cell) {
        self.grow();
        for group in &mut self.sighted {
            group.store.settle(cell, &self.places);
        }
    }

    /// Appends what is counted by sight in the window of these slices of a key.
    pub(crate) fn count_sighted(
        &mut self,
        slot: u32,
        live: &[Slice],
        window: (usize, usize),
        out: &mut Vec<i64>,
    ) {
        if self.sighted.is_empty() {
            return;
        }
        self.grow();
        for group in &self.sighted {
            out.push(
                group
                    .store
                    .count(slot, live, window, &self.places, self.ahead),
            );
        }
    }

    /// A cell for the slice of a key, by the key's slot and the slice's number.
    pub(crate) fn take_slice(&mut self, slot: u32, index: i64) -> Cell {
        let cell = self.take();
        if !self.sighted.is_empty() {
            let cells = self.next as usize;
            self.places
                .resize(cells.max(self.places.len()), Place::default());
            self.places[cell as usize] = Place::new(slot, index);
        }
        cell
    }

    /// Keeps running values where the stores can.
    pub(crate) fn keep_running(&mut self) {
        for (running, group) in self.running.iter_mut().zip(&self.groups) {
            *running = group.store.subtractable();
        }
    }

    /// Whether any store is in a part.
    pub(crate) fn has(&self, part: Part) -> bool {
        match part {
            Part::All => !self.groups.is_empty(),
            Part::Running => self.running.contains(&true),
            Part::Plain => self.running.contains(&false),
        }
    }

    /// The stores of a part.
    fn part(&mut self, part: Part) -> impl Iterator<Item = &mut StoreGroup> {
        let chosen = self.running.iter().map(move |&running| match part {
            Part::All => true,
            Part::Running => running,
            Part::Plain => !running,
        });
        let groups = self.groups.iter_mut().zip(chosen);
        groups.filter_map(|(group, chosen)| chosen.then_some(group))
    }

    /// Adds the rows of a slice to a running value.
    pub(crate) fn run_in(&mut self, into: Cell, from: Cell) {
        self.grow();
        for group in self.part(Part::Running) {
            group.store.merge(into, from);
        }
    }

    /// Takes the rows of a slice, its earliest, out of a running value.
    pub(crate) fn run_out(&mut self, into: Cell, from: Cell) {
        self.grow();
        for group in self.part(Part::Running) {
            group.store.subtract(into, from);
        }
    }

    /// Makes a running value that of no rows.
    pub(crate) fn run_clear(&mut self, cell: Cell) {
        self.grow();
        for group in self.part(Part::Running) {
            group.store.clear(cell);
        }
    }

    /// A cell that stands for no rows.
    pub(crate) fn take(&mut self) -> Cell {
        if let Some(cell) = self.free.pop() {
            return cell;
        }
        let cell = self.next;
        self.next += 1;
        if let Some(rows) = &mut self.rows {
            rows.push(0);
        }
        cell
    }

    /// Clears a cell and gives it back.
    pub(crate) fn give_back(&mut self, cell: Cell) {
        // A cell taken since the stores last grew holds nothing yet.
        self.grow();
        for group in &mut self.groups {
            group.store.clear(cell);
        }
        for group in &mut self.sighted {
            group.store.clear(cell);
        }
        if let Some(rows) = &mut self.rows {
            rows[cell as usize] = 0;
        }
        self.free.push(cell);
    }

    fn grow(&mut self) {
        for group in &mut self.groups {
            group.store.grow(self.next as usize);
        }
        for group in &mut self.sighted {
            group.store.grow(self.next as usize);
        }
    }

    /// Adds row `rows[i]` of the input to cell `cells[i]`, for each `i`; or takes it back.
    pub(crate) fn apply(
        &mut self,
        rows: &[u32],
        cells: &[Cell],
        input: &Input<'_>,
        retract: bool,
        part: Part,
    ) {
        if rows.is_empty() {
            return;
        }
        self.grow();
        if part != Part::Running
            && let Some(counts) = &mut self.rows
        {
            for &cell in cells {
                counts[cell as usize] += if retract { -1 } else { 1 };
            }
        }
        for (group, &running) in self.groups.iter_mut().zip(&self.running) {
            if part == Part::Running && !running {
                continue;
            }
            let (rows, cells) = self.thin.of(group.filter, rows, cells, input);
            if rows.is_empty() {
                continue;
            }
            let columns: smallvec::SmallVec<[ArrayRef; 2]> = group
                .args
                .iter()
                .map(|&arg| input.columns[arg].clone())
                .collect();
            let args = Args {
                columns: &columns,
                time: input.time,
                seq: input.seq,
            };
            if retract {
                group.store.retract(cells, rows, &args);
            } else {
                group.store.update(cells, rows, &args);
            }
        }
        if part == Part::Running {
            return;
        }
        for group in &mut self.sighted {
            let (rows, cells) = self.thin.of(group.filter, rows, cells, input);
            let column = &input.columns[group.arg];
            let store = &mut group.store;
            store.update(cells, rows, column, &self.places, self.ahead);
        }
    }

    /// Rows added less rows taken back; `None` where the input does not retract.
    pub(crate) fn row_count(&self, cell: Cell) -> Option<i64> {
        self.rows.as_ref().map(|rows| rows[cell as usize])
    }

    /// Counts a row taken back that was not there.
    pub(crate) fn count_unknown_retraction(&mut self) {
        self.unknown_retractions += 1;
    }

    pub(crate) fn unknown_retractions(&self) -> u64 {
        self.unknown_retractions
    }

    /// Adds the rows of `from`, a slice beside those that `into` holds, to a cell made to be read.
    pub(crate) fn merge_spans(&mut self, merges: &[(Cell, Cell)], part: Part) {
        if merges.is_empty() {
            return;
        }
        self.grow();
        for group in self.part(part) {
            for &(into, from) in merges {
                group.store.merge_span(into, from);
            }
        }
    }

    /// Adds the rows of `from` to `into`, which more rows may be added to.
    pub(crate) fn merge(&mut self, into: Cell, from: Cell) {
        self.grow();
        for group in &mut self.groups {
            group.store.merge(into, from);
        }
        if let Some(rows) = &mut self.rows {
            rows[into as usize] += rows[from as usize];
        }
    }

    /// The values of cells: one array an aggregate, in the order of the set's list. Stores that
    /// keep running values read `running` instead; `sighted` is what [`Self::count_sighted`]
    /// gave for each.
    pub(crate) fn read(
        &mut self,
        cells: &[Cell],
        running: &[Cell],
        sighted: &[i64],
    ) -> Vec<ArrayRef> {
        self.grow();
        let mut columns: Vec<Option<ArrayRef>> = vec![None; self.outputs];
        for (group, &runs) in self.groups.iter_mut().zip(&self.running) {
            let arrays = group.store.read_all(if runs { running } else { cells });
            for (&member, array) in group.members.iter().zip(arrays) {
                columns[member] = Some(array);
            }
        }
        for (number, group) in self.sighted.iter().enumerate() {
            let counts = sighted.iter().skip(number).step_by(self.sighted.len());
            let counts = Int64Array::from_iter_values(counts.copied());
            for (member, result) in &group.members {
                let array = cast(&counts, result);
                columns[*member] =
                    Some(array.unwrap_or_else(|_| new_null_array(result, cells.len())));
            }
        }
        columns.into_iter().flatten().collect()
    }

    /// Allocated bytes, estimated.
    pub(crate) fn state_bytes(&self) -> usize {
        let stores: usize = self
            .groups
            .iter()
            .map(|group| group.store.state_bytes())
            .sum();
        let rows = self
            .rows
            .as_ref()
            .map_or(0, |rows| rows.capacity() * size_of::<i64>());
        let sighted: usize = self
            .sighted
            .iter()
            .map(|group| group.store.state_bytes())
            .sum();
        stores
            + sighted
            + rows
            + self.free.capacity() * size_of::<Cell>()
            + self.places.capacity() * size_of::<Place>()
    }

    pub(crate) fn bound_reached(&self) -> u64 {
        let groups = self.groups.iter().map(|group| group.store.bound_reached());
        let sighted = self.sighted.iter().map(|group| group.store.bound_reached());
        groups.chain(sighted).sum()
    }
}

/// Whether a Boolean is true; NULL is not.
pub(crate) fn is_true(column: &BooleanArray, row: u32) -> bool {
    let row = row as usize;
    column.values().value(row) && column.is_valid(row)
}

/// Keeps those rows where a set's filter is true.
pub(crate) fn passes(filter: Option<&BooleanArray>, row: u32) -> bool {
    filter.is_none_or(|column| is_true(column, row))
}
