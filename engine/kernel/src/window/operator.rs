//! All sets over one key of one input, on one shard.

use super::cells::passes;
use super::lane::{KeyedRow, Lane};
use super::table::KeyTable;
use crate::change::{Changes, OperatorStats};
use crate::input::Input;
use crate::keys::KeyEncoder;
use crate::spec::SetSpec;
use arrow::array::{AsArray, BooleanArray};
use tidewheel_core::EventTime;
use tidewheel_core::time::NO_TIME;

/// A set of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetId(pub u32);

/// Rows of a batch that were late for all their windows in one set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateRows {
    /// The set.
    pub set: SetId,
    /// Their places in the batch, ascending.
    pub rows: Vec<u32>,
}

pub(super) struct LaneSlot {
    pub(super) filter: Option<usize>,
    /// Its sets, in the order in which they came.
    pub(super) sets: Vec<SetId>,
    pub(super) lane: Box<dyn Lane>,
}

/// Which lane and view a set is.
#[derive(Debug, Clone, Copy)]
pub(super) struct SetPlace {
    pub(super) lane: usize,
    pub(super) view: usize,
}

/// One shard's share of one (input, key): keyed windows for all sets that group by that key.
///
/// The caller hands rows to [`process`](Self::process), then says how far time has come with
/// [`advance`](Self::advance), then reads what changed with
/// [`take_changes`](Self::take_changes) and [`take_freed`](Self::take_freed). Values are
/// computed when they are read, at the frontier and watermark of the last `advance`.
pub struct WindowOperator {
    pub(super) encoder: KeyEncoder,
    pub(super) keys: KeyTable,
    pub(super) lanes: Vec<Option<LaneSlot>>,
    pub(super) sets: Vec<Option<SetPlace>>,
    pub(super) frontier: EventTime,
    pub(super) watermark: EventTime,
    found: Vec<u32>,
    chosen: Vec<KeyedRow>,
}

impl WindowOperator {
    /// An operator for keys of this encoder. The sets are numbered in the order given.
    #[must_use]
    #[allow(
        clippy::needless_pass_by_value,
        reason = "the sets are the operator's from here on"
    )]
    pub fn new(encoder: KeyEncoder, sets: Vec<SetSpec>) -> Self {
        let mut operator = Self {
            encoder,
            keys: KeyTable::default(),
            lanes: Vec::new(),
            sets: Vec::new(),
            frontier: NO_TIME,
            watermark: NO_TIME,
            found: Vec::new(),
            chosen: Vec::new(),
        };
        operator.sets.resize(sets.len(), None);
        // Finest slices first: then sets with coarser ones can join them.
        let mut order: Vec<usize> = (0..sets.len()).collect();
        order.sort_by_key(|&number| super::lane::edge_distance(&sets[number]));
        for number in order {
            let place = operator.place(&sets[number]);
            operator.sets[number] = Some(place);
            operator.enter(place, SetId(number as u32));
        }
        operator
    }

    /// The encoder of its keys.
    #[must_use]
    pub fn encoder(&self) -> &KeyEncoder {
        &self.encoder
    }

    /// Adds a set. It joins the state of a running set where that holds all that the new one
    /// needs of the past and gets no new edge in its slices: then it reports the keys that are
    /// there already, from the rows that the running set has seen. Else it starts without rows.
    /// Costs a step for each key where it joins.
    pub fn add_set(&mut self, spec: &SetSpec) -> SetId {
        self.keys.note_changes(false);
        let place = self.place(spec);
        let set = SetId(self.sets.len() as u32);
        self.sets.push(Some(place));
        self.enter(place, set);
        set
    }

    pub(super) fn enter(&mut self, place: SetPlace, set: SetId) {
        if let Some(slot) = &mut self.lanes[place.lane] {
            slot.sets.push(set);
        }
    }

    fn place(&mut self, spec: &SetSpec) -> SetPlace {
        for (number, slot) in self.lanes.iter_mut().enumerate() {
            if let Some(slot) = slot
                && let Some(view) = slot.lane.try_join(spec, &mut self.keys)
            {
                return SetPlace { lane: number, view };
            }
        }
        let mut lane = super::lane::new_lane(spec);
        lane.set_time(self.frontier, self.watermark, &mut self.keys);
        let slot = LaneSlot {
            filter: spec.filter,
            sets: Vec::new(),
            lane,
        };
        let lane = self.add_lane(slot);
        SetPlace { lane, view: 0 }
    }

    /// The number of a new lane; that of one that has ended is used again.
    pub(super) fn add_lane(&mut self, slot: LaneSlot) -> usize {
        match self.lanes.iter().position(Option::is_none) {
            Some(lane) => {
                self.lanes[lane] = Some(slot);
                lane
            }
            None => {
                self.lanes.push(Some(slot));
                self.lanes.len() - 1
            }
        }
    }

    /// Takes in all sets of another operator with their state, as one whose sets have caught up
    /// on their own history joins the running one: from then on they share its keys. Gives the
    /// new id of each by its old one (of a set that had ended, an id that has ended too).
    ///
    /// Both must have the same encoding of keys and read the same input columns. Sets go on from
    /// the time that their own operator had reached, and wait where that is ahead of this one's.
    /// Costs a step for each key of `other`; slices are not shared with sets of this operator.
    pub fn absorb(&mut self, mut other: Self) -> Vec<SetId> {
        self.keys.note_changes(false);
        other.keys.sweep();
        let numbers = self.keys.adopt(&other.keys);
        let mut places = Vec::with_capacity(other.lanes.len());
        let first = self.sets.len() as u32;
        for slot in &mut other.lanes {
            let Some(mut slot) = slot.take() else {
                places.push(None);
                continue;
            };
            slot.lane.rekey(&numbers, &mut self.keys);
            slot.lane
                .set_time(self.frontier, self.watermark, &mut self.keys);
            for set in &mut slot.sets {
                set.0 += first;
            }
            places.push(Some(self.add_lane(slot)));
        }
        let ids = (first..first + other.sets.len() as u32)
            .map(SetId)
            .collect();
        self.sets.extend(other.sets.into_iter().map(|place| {
            let place = place?;
            let lane = places.get(place.lane).copied().flatten()?;
            Some(SetPlace { lane, ..place })
        }));
        self.keys.sweep();
        ids
    }

    /// Whether no set is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lanes.iter().all(Option::is_none)
    }

    /// Ends a set and frees its state. Does nothing for one that has ended.
    pub fn remove_set(&mut self, set: SetId) {
        let Some(place) = self.sets.get_mut(set.0 as usize).and_then(Option::take) else {
            return;
        };
        self.keys.note_changes(false);
        let Some(slot) = &mut self.lanes[place.lane] else {
            return;
        };
        slot.sets.retain(|&other| other != set);
        if slot.lane.remove_view(place.view, &mut self.keys) {
            slot.lane.close(&mut self.keys);
            self.lanes[place.lane] = None;
        }
        self.keys.sweep();
        if self.keys.len() == 0 {
            self.keys = KeyTable::default();
        }
    }

    /// Takes the rows of a batch. Returns those that were late for all their windows, for each
    /// set that has any.
    pub fn process(&mut self, input: &Input<'_>) -> Vec<LateRows> {
        let mut late_rows = Vec::new();
        let filters: Vec<Option<&BooleanArray>> = self
            .lanes
            .iter()
            .map(|slot| {
                let filter = slot.as_ref()?.filter?;
                input.columns[filter].as_boolean_opt()
            })
            .collect();
        let active: Vec<usize> = (0..self.lanes.len())
            .filter(|&number| self.lanes[number].is_some())
            .collect();
        self.found.clear();
        for &row in input.rows {
            let wanted = active.iter().any(|&number| passes(filters[number], row));
            self.found.push(if wanted {
                self.keys.find_or_insert(input.keys, row as usize)
            } else {
                super::entries::NONE
            });
        }
        for number in active {
            let Some(slot) = &mut self.lanes[number] else {
                continue;
            };
            self.chosen.clear();
            let rows = input.rows.iter().zip(&self.found);
            self.chosen.extend(
                rows.filter(|&(&row, _)| passes(filters[number], row))
                    .map(|(&row, &key)| KeyedRow { row, key }),
            );
            if self.chosen.is_empty() {
                continue;
            }
            let mut late = Vec::new();
            slot.lane
                .process(&self.chosen, &mut self.keys, input, &mut late);
            if !late.is_empty() {
                for &set in &slot.sets {
                    late_rows.push(LateRows {
                        set,
                        rows: late.clone(),
                    });
                }
            }
        }
        // Keys whose rows were all too late are in no lane.
        self.keys.sweep();
        late_rows
    }

    /// Time has come this far; neither goes back. At most `budget` timers are worked off; true
    /// if more are due, and `advance` is to be called again. Values read in between are of the
    /// new time; only some changes that time alone makes are not marked yet.
    pub fn advance(&mut self, frontier: EventTime, watermark: EventTime, budget: usize) -> bool {
        self.frontier = self.frontier.max(frontier);
        self.watermark = self.watermark.max(watermark);
        let mut budget = budget;
        let mut more = false;
        for slot in self.lanes.iter_mut().flatten() {
            slot.lane
                .set_time(self.frontier, self.watermark, &mut self.keys);
            more |= slot.lane.drain(&mut budget, &mut self.keys);
        }
        self.keys.sweep();
        more
    }

    /// At most `max` rows of a set that changed since they were last taken, with their values
    /// now: those that an event touched first, then, with `include_expiry`, those that only time
    /// did. `None` if there are none.
    pub fn take_changes(
        &mut self,
        set: SetId,
        max: usize,
        include_expiry: bool,
    ) -> Option<Changes> {
        let place = (*self.sets.get(set.0 as usize)?)?;
        let slot = self.lanes[place.lane].as_mut()?;
        let lane = &mut slot.lane;
        let changes = lane.take_changes(
            place.view,
            max,
            include_expiry,
            &mut self.keys,
            &self.encoder,
        );
        self.keys.sweep();
        changes
    }

    /// The slots of a set that were freed since the last call. A slot is not used again before
    /// every set that shares its state was asked.
    pub fn take_freed(&mut self, set: SetId) -> Vec<u32> {
        let place = self.sets.get(set.0 as usize).copied().flatten();
        let slot = place.and_then(|place| Some((place, self.lanes[place.lane].as_mut()?)));
        slot.map_or_else(Vec::new, |(place, slot)| slot.lane.take_freed(place.view))
    }

    /// Says whether the reader of a set keeps the value of a key's last window once it has run
    /// empty (`'on-empty' = 'keep'`). Then no row is ever reported as empty, and a session that
    /// came and ended between two reads is reported as live.
    pub fn set_keep(&mut self, set: SetId, keep: bool) {
        if let Some(place) = self.sets.get(set.0 as usize).copied().flatten()
            && let Some(slot) = &mut self.lanes[place.lane]
        {
            slot.lane.set_keep(place.view, keep);
        }
    }

    /// Marks every row of a set to be taken again that stands with its reader. Rows of windows
    /// are taken again as long as late rows may change them: of older ones nothing is held. The
    /// last closed window's value is taken with the rows that came late for it since. To be
    /// called between batches, after [`advance`](Self::advance).
    pub fn refresh(&mut self, set: SetId) {
        if let Some(place) = self.sets.get(set.0 as usize).copied().flatten()
            && let Some(slot) = &mut self.lanes[place.lane]
        {
            slot.lane.refresh(place.view);
        }
    }

    /// Has the next [`save_changed`](Self::save_changed) save all: marks were set at keys that did not
    /// change.
    pub fn save_whole_next(&mut self) {
        self.keys.note_changes(false);
    }

    /// While on, every row of a set that is there or comes is taken for one that its reader has,
    /// as after a restore the reader may have rows that the state lacks: one that comes and goes
    /// between two reads, or comes too late to count, is reported as empty instead of not at all.
    /// Rows of windows that retract nothing are not reported as empty in any case.
    pub fn assume_standing(&mut self, set: SetId, on: bool) {
        if let Some(place) = self.sets.get(set.0 as usize).copied().flatten()
            && let Some(slot) = &mut self.lanes[place.lane]
        {
            slot.lane.assume_standing(place.view, on);
        }
    }

    /// Marks some rows of a set with one row a key to be taken again, by their slots: those that
    /// are live, as ones that time changed.
    pub fn mark(&mut self, set: SetId, slots: &[u32]) {
        if let Some(place) = self.sets.get(set.0 as usize).copied().flatten()
            && let Some(slot) = &mut self.lanes[place.lane]
        {
            slot.lane.mark(place.view, slots);
        }
    }

    /// How many sets share each stretch of state: for EXPLAIN and tests.
    #[must_use]
    pub fn shared_sets(&self) -> Vec<Vec<SetId>> {
        self.lanes
            .iter()
            .flatten()
            .map(|slot| slot.sets.clone())
            .collect()
    }

    /// Counters. Goes over all keys: for a metrics page, not for every batch.
    #[must_use]
    pub fn stats(&self) -> OperatorStats {
        let mut stats = OperatorStats {
            keys: self.keys.len() as u64,
            state_bytes: self.keys.state_bytes() as u64,
            ..OperatorStats::default()
        };
        for slot in self.lanes.iter().flatten() {
            let lane = slot.lane.stats();
            stats.slices += lane.slices;
            stats.late_rows += lane.late_rows;
            stats.unknown_retractions += lane.unknown_retractions;
            stats.bound_reached += lane.bound_reached;
            stats.state_bytes += lane.state_bytes;
        }
        stats
    }
}
