//! Views that come and go while rows come, and what a view still needs of a key's slices.

use super::{MovingLane, UNARMED, VIEWS_MAX, View};
use crate::spec::{AggregateSpec, Emit, SetSpec, WINDOW_TIME_GAP};
use crate::window::entries::DirtyLists;
use crate::window::grid::{Grid, MovingWindow, Pick, Windows};
use crate::window::table::KeyTable;
use hashbrown::HashMap;
use tidewheel_core::EventTime;
use tidewheel_core::time::NO_TIME;

/// The last window of a key that held rows.
pub(super) struct LastWindow {
    /// Its start and end.
    pub(super) range: (EventTime, EventTime),
    /// Where its slices lie in the key's list.
    pub(super) slices: (usize, usize),
    /// When it was no longer the view's window.
    pub(super) left_at: EventTime,
}

impl MovingLane {
    /// A view's window at clock `now`, as slice numbers.
    pub(super) fn slices_at(&self, view: &View, now: EventTime) -> (i64, i64) {
        if now == self.clock {
            return view.slices;
        }
        let (lo, hi) = view.window.range(now);
        (self.grid.index(lo), self.grid.index(hi))
    }

    /// Whether any view has a window that holds `time`.
    pub(super) fn holds(&self, time: EventTime) -> bool {
        let mut views = self.views.iter().filter(|view| !view.removed);
        views.any(|view| view.window.windows.hold(time))
    }

    /// The clock at which the end of the input has closed every window with rows: that of the
    /// last one that holds the frontier (or a row beyond it, which an inner window's end can be).
    pub(super) fn close_all(&mut self, frontier: EventTime) -> EventTime {
        if let Some(ended) = self.ended {
            return ended;
        }
        let newest = self
            .entries
            .slots()
            .filter_map(|slot| self.entries.get(slot).slices.live().last())
            .map(|slice| self.grid.start(slice.index()))
            .fold(frontier, EventTime::max);
        if newest == NO_TIME {
            return self.clock;
        }
        let last = self.views[0].window.windows.last_end_holding(newest);
        let ended = last.saturating_sub(WINDOW_TIME_GAP).max(self.clock);
        self.ended = Some(ended);
        ended
    }

    /// The last window with rows of a key whose window in this view holds none at `now`.
    pub(super) fn last_window(&self, slot: u32, view: usize, now: EventTime) -> Option<LastWindow> {
        let view = &self.views[view];
        let slices = &self.entries.get(slot).slices;
        let (lo, hi) = self.slices_at(view, now);
        let before = slices.position(lo);
        if before != slices.position(hi) {
            return None;
        }
        let windows = &view.window.windows;
        let newest = slices.live()[..before]
            .iter()
            .rev()
            .map(|slice| self.grid.start(slice.index()))
            .find(|&start| windows.hold(start))?;
        let end = windows.last_end_holding(newest);
        let start = windows.start_of(end);
        let place = |time| slices.position(self.grid.index(time));
        Some(LastWindow {
            range: (start, end),
            slices: (place(start), place(end)),
            left_at: view.window.leave(newest),
        })
    }

    /// Drops the slices of an entry that no view needs any more at `now`. A view that keeps the
    /// last value needs the last window with rows until that was read.
    pub(super) fn trim(&mut self, slot: u32, now: EventTime) {
        let mut needed = i64::MAX;
        for (number, view) in self.views.iter().enumerate() {
            if view.removed {
                continue;
            }
            let entry = self.entries.get(slot);
            let unread = (entry.event | entry.expiry) & (1 << number) != 0;
            let kept = if view.keep && unread {
                self.last_window(slot, number, now)
            } else {
                None
            };
            needed = needed.min(match kept {
                Some(window) => self.grid.index(window.range.0),
                None => self.slices_at(view, now).0,
            });
        }
        let entry = self.entries.get_mut(slot);
        entry.slices.trim(needed, |cell| self.cells.give_back(cell));
        self.forest.trim(&mut entry.slices, needed, &mut self.cells);
    }

    /// A new view, in the place of one that has ended if there is one.
    pub(super) fn add_view(&mut self, windows: Windows) -> usize {
        let window = MovingWindow {
            windows,
            pick: self.pick,
        };
        let view = View {
            window,
            range: (0, 0),
            slices: (0, 0),
            dirty: DirtyLists::default(),
            removed: false,
            keep: false,
            spans: HashMap::default(),
        };
        let number = match self.views.iter().position(|view| view.removed) {
            Some(number) => {
                self.views[number] = view;
                number
            }
            None => {
                self.views.push(view);
                self.views.len() - 1
            }
        };
        self.entries.set_reader(number);
        let mut live = self.views.iter().filter(|view| !view.removed);
        self.gaps = live.any(|view| view.window.windows.gaps());
        self.move_views(self.clock);
        number
    }

    /// Shares the slices with a set, if they hold all that it needs of the past.
    pub(super) fn join(&mut self, spec: &SetSpec) -> Option<usize> {
        let windows = Windows::new(&spec.window)?;
        let live = self.views.iter().filter(|view| !view.removed).count();
        let window = MovingWindow {
            windows,
            pick: self.pick,
        };
        let joins = self.pick == Pick::Current
            && spec.emit == Emit::Current
            && live < VIEWS_MAX
            && spec.filter == self.filter
            && spec.retracting == self.retracting
            && same_aggregates(&spec.aggregates, &self.aggregates)
            && self.grid.has_edges_of(&Grid::of(&windows))
            // Slices before the first that some view needs are gone already.
            && (self.untouched
                || self.grid.index(window.range(self.clock).0) >= self.first_needed())
            && self.gaps == windows.gaps();
        if !joins {
            return None;
        }
        let view = self.add_view(windows);
        let slots: Vec<u32> = self.entries.slots().collect();
        for slot in slots {
            let entry = self.entries.get_mut(slot);
            Self::mark(&mut self.views, entry, slot, 1 << view, false);
            let next = self.next_change(&self.entries.get(slot).slices, self.clock);
            self.arm(slot, next);
        }
        Some(view)
    }

    /// Ends a view and frees what it alone needed. True if none is left.
    pub(super) fn end_view(&mut self, view: usize, keys: &mut KeyTable) -> bool {
        self.views[view].removed = true;
        self.standing &= !(1 << view);
        self.views[view].dirty = DirtyLists::default();
        self.entries.remove_reader(view);
        if self.views.iter().all(|view| view.removed) {
            return true;
        }
        let slots: Vec<u32> = self.entries.slots().collect();
        for slot in slots {
            let entry = self.entries.get_mut(slot);
            let flags = [
                &mut entry.event,
                &mut entry.expiry,
                &mut entry.live,
                &mut entry.running,
            ];
            for flags in flags {
                *flags &= !(1 << view);
            }
            if let Some(span) = self.views[view].spans.remove(&slot) {
                self.cells.give_back(span.cell);
            }
            // Where a timer is due, it trims.
            if self.entries.get(slot).armed > self.clock {
                self.trim(slot, self.clock);
                let next = self.next_change(&self.entries.get(slot).slices, self.clock);
                if next != UNARMED {
                    self.arm(slot, next);
                }
            }
            self.forget_if_unused(slot, keys);
        }
        self.views[view].spans = HashMap::default();
        false
    }

    /// Lets go of what an entry kept until it was read.
    pub(super) fn settle(&mut self, slot: u32, keys: &mut KeyTable) {
        let keeps = self.views.iter().any(|view| view.keep);
        if keeps && self.entries.key(slot).is_some() && self.entries.get(slot).armed > self.clock {
            self.trim(slot, self.clock);
        }
        self.forget_if_unused(slot, keys);
    }
}

/// Whether two lists of aggregates compute the same over the same rows.
fn same_aggregates(left: &[AggregateSpec], right: &[AggregateSpec]) -> bool {
    let same = |(a, b): (&AggregateSpec, &AggregateSpec)| {
        a.args == b.args
            && a.arg_types == b.arg_types
            && a.filter == b.filter
            && a.result == b.result
            && same_kind(a, b)
    };
    left.len() == right.len() && left.iter().zip(right).all(same)
}

fn same_kind(left: &AggregateSpec, right: &AggregateSpec) -> bool {
    use crate::spec::AggregateKind::Custom;
    match (&left.kind, &right.kind) {
        (Custom(a), Custom(b)) => std::sync::Arc::ptr_eq(a, b),
        (Custom(_), _) | (_, Custom(_)) => false,
        // The kinds are plain data: the text shows all of it.
        (a, b) => format!("{a:?}") == format!("{b:?}"),
    }
}
