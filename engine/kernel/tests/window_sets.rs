//! Sets that come and go while rows come: a set that is added sees the rows that its state has
//! seen, the others notice nothing, what is removed is freed, and a reader that lost all gets
//! everything again that is held. Against the oracle, at random moments.

#![allow(clippy::unwrap_used)]

mod window_support;

use std::collections::BTreeSet;
use tidewheel_core::time::NO_TIME;
use tidewheel_kernel::change::RowState;
use tidewheel_kernel::spec::{Emit, SetSpec, WINDOW_TIME_GAP, WindowKind, WindowSpec};
use tidewheel_kernel::window::{SetId, WindowOperator};
use window_support::oracle::{Oracle, Place, Shown, current_values, lateness};
use window_support::*;

/// A set, who reads it, and what it should show.
struct Live {
    id: SetId,
    spec: SetSpec,
    /// The first of all rows that its state has seen.
    since: usize,
    oracle: Oracle,
    shown: Shown,
    slots: SlotCheck,
    late: BTreeSet<u64>,
    /// When all that was shown was lost last, and what that was.
    lost: Option<(i64, BTreeSet<Place>)>,
}

fn is_moving(spec: &SetSpec) -> bool {
    spec.emit == Emit::Current && !matches!(spec.window.kind, WindowKind::Session { .. })
}

impl Live {
    fn new(id: SetId, spec: SetSpec, since: usize, seen: &[Row]) -> Self {
        let mut oracle = Oracle::new(spec.clone());
        if !is_moving(&spec) {
            seen.iter().for_each(|row| oracle.add(row));
        }
        Self {
            id,
            since,
            oracle,
            spec,
            shown: Shown::new(),
            slots: SlotCheck::default(),
            late: BTreeSet::new(),
            lost: None,
        }
    }

    fn take(&mut self, operator: &mut WindowOperator, max: usize) -> bool {
        let Some(changes) = operator.take_changes(self.id, max, true) else {
            return false;
        };
        let one_a_key = matches!(self.spec.emit, Emit::Current | Emit::LastClosed);
        for row in 0..changes.slots.len() {
            let key = key_of(&changes, row);
            self.slots.seen(changes.slots[row], key);
            let place = if one_a_key {
                (key, 0, 0)
            } else {
                (key, changes.window_start[row], changes.window_end[row])
            };
            match changes.states[row] {
                RowState::Live => {
                    self.shown.insert(place, values_of(&changes, row));
                }
                RowState::Empty => {
                    let known = self.shown.remove(&place).is_some();
                    assert!(
                        known || self.lost.is_some(),
                        "empty without having been live"
                    );
                }
            }
        }
        self.slots.freed(&operator.take_freed(self.id));
        true
    }

    /// Whether a row that was shown when all was lost may be held no more.
    fn may_be_gone(&self, place: &Place) -> bool {
        let Some((watermark, before)) = &self.lost else {
            return false;
        };
        let gap = match self.spec.window.kind {
            WindowKind::Session { gap } => gap,
            _ => 0,
        };
        let end = match self.spec.emit {
            Emit::Final { .. } => return before.contains(place),
            Emit::LastClosed if gap > 0 => {
                let mut closed = self.oracle.closed.keys().filter(|of| of.0 == place.0);
                let Some(newest) = closed.next_back() else {
                    return false;
                };
                let sessions = self.oracle.sessions(place.0);
                if !sessions
                    .iter()
                    .any(|rows| self.oracle.place(rows) == *newest)
                {
                    // It has become part of a longer one, which is open.
                    return before.contains(place);
                }
                newest.2
            }
            Emit::Closed { .. } | Emit::EveryChange { .. } => place.2,
            Emit::Current | Emit::LastClosed => return false,
        };
        let held_until = end + gap + lateness(self.spec.emit) - WINDOW_TIME_GAP;
        before.contains(place) && held_until <= *watermark
    }

    fn check(&mut self, rows: &[Row], frontier: i64, watermark: i64, what: &str) {
        let what = format!("{what} {:?} at {frontier}, {watermark}", self.spec);
        let wanted: Shown = if is_moving(&self.spec) {
            current_values(&rows[self.since..], &self.spec, frontier)
                .into_iter()
                .map(|(key, (values, _))| ((key, 0, 0), values))
                .collect()
        } else {
            assert_eq!(self.late, self.oracle.late, "late rows, {what}");
            self.oracle.shown(frontier, watermark)
        };
        let session = matches!(self.spec.window.kind, WindowKind::Session { .. });
        // A row that is late for the last closed window is in its slices by the time that the
        // window is read again.
        let inexact = self.lost.is_some() && self.spec.emit == Emit::LastClosed && !session;
        for (place, values) in &self.shown {
            if inexact && wanted.contains_key(place) {
                continue;
            }
            assert_eq!(wanted.get(place), Some(values), "{place:?}, {what}");
        }
        for place in wanted
            .keys()
            .filter(|place| !self.shown.contains_key(place))
        {
            assert!(self.may_be_gone(place), "{place:?} is missing, {what}");
        }
    }
}

fn random_set(random: &mut fastrand::Rng, windows: &[WindowSpec]) -> SetSpec {
    let allowed_lateness = [0, random.i64(1..30)][random.usize(0..2)] * UNIT;
    let session = random.u32(0..4) == 0;
    let window = if session {
        WindowSpec {
            kind: WindowKind::Session {
                gap: random.i64(1..15) * UNIT,
            },
            offset: 0,
        }
    } else {
        // Of a few, so that sets share slices.
        windows[random.usize(0..windows.len())]
    };
    let emit = match random.u32(0..8) {
        0 => Emit::LastClosed,
        1 => Emit::Final { allowed_lateness },
        2 => Emit::EveryChange { allowed_lateness },
        3 => Emit::Closed { allowed_lateness },
        _ => Emit::Current,
    };
    SetSpec {
        filter: [None, None, Some(1)][random.usize(0..3)],
        window,
        emit,
        aggregates: aggregates(false),
        retracting: false,
    }
}

fn run_case(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut operator = WindowOperator::new(encoder(), Vec::new());
    assert!(operator.is_empty());
    let mut sets: Vec<Live> = Vec::new();
    let step = random.i64(1..6) * UNIT;
    let mut windows: Vec<WindowSpec> = (0..3).map(|_| random_window(&mut random)).collect();
    for _ in 0..4 {
        let slide = step * random.i64(1..4);
        let kind = match random.u32(0..3) {
            0 => WindowKind::Cumulate {
                step: slide,
                size: slide * random.i64(1..8),
            },
            _ => WindowKind::Hop {
                slide,
                size: step * random.i64(1..30),
            },
        };
        windows.push(WindowSpec { kind, offset: 0 });
    }
    let mut rows: Vec<Row> = Vec::new();
    let keys = random.u32(1..5);
    let disorder = [0, 3, 40][random.usize(0..3)];
    let bound = random.i64(0..10) * UNIT;
    let pace = [1, 3, 20][random.usize(0..3)];
    let (mut head, mut watermark) = (random.i64(-500..500) * UNIT, NO_TIME);
    let mut frontier = NO_TIME;
    for step in 0..random.usize(2..40) {
        let what = format!("seed {seed} step {step}");
        for _ in 0..random.usize(0..3) {
            let spec = random_set(&mut random, &windows);
            let id = operator.add_set(&spec);
            let with: Vec<SetId> = operator
                .shared_sets()
                .into_iter()
                .find(|sets| sets.contains(&id))
                .unwrap();
            let other = sets.iter().find(|set| with.contains(&set.id));
            let since = other.map_or(rows.len(), |set| set.since);
            sets.push(Live::new(id, spec, since, &[]));
        }
        if random.u32(0..8) == 0 && frontier != NO_TIME {
            // Sets that caught up by themselves.
            let specs: Vec<SetSpec> = (0..random.usize(1..4))
                .map(|_| random_set(&mut random, &windows))
                .collect();
            let mut other = WindowOperator::new(encoder(), specs.clone());
            let mut joined: Vec<Live> = (0..)
                .zip(&specs)
                .map(|(id, spec)| Live::new(SetId(id), spec.clone(), 0, &rows))
                .collect();
            for batch in rows.chunks(random.usize(1..50)) {
                for late in other.process(&Batch::new(batch, 1).input(0, false)) {
                    let seqs = late.rows.iter().map(|&row| batch[row as usize].seq);
                    joined[late.set.0 as usize].late.extend(seqs);
                }
                // As far as its rows say, or not at all.
                if random.bool() {
                    let newest = batch.iter().map(|row| row.time).max().unwrap();
                    while other.advance(newest, batch[batch.len() - 1].watermark, 7) {}
                }
                for set in &mut joined {
                    if random.u32(0..3) == 0 {
                        set.take(&mut other, random.usize(1..9));
                    }
                }
            }
            if random.bool() {
                let gone = joined.remove(random.usize(0..joined.len()));
                other.remove_set(gone.id);
            }
            let ids = operator.absorb(other);
            assert_eq!(ids.len(), specs.len());
            for mut set in joined {
                set.id = ids[set.id.0 as usize];
                sets.push(set);
            }
        }
        let mut batch: Vec<Row> = Vec::new();
        for _ in 0..random.usize(0..20) {
            head += random.i64(0..pace + 1) * UNIT;
            batch.push(Row {
                time: head - random.i64(0..disorder + 1) * UNIT,
                seq: (rows.len() + batch.len()) as u64,
                key: random.u32(0..keys),
                value: random.i64(-100..100),
                flags: [random.bool(), random.bool(), random.bool()],
                watermark,
                retract: false,
            });
            watermark = watermark.max(head - bound);
        }
        for late in operator.process(&Batch::new(&batch, 1).input(0, false)) {
            let seqs = late.rows.iter().map(|&row| batch[row as usize].seq);
            let set = sets.iter_mut().find(|set| set.id == late.set).unwrap();
            set.late.extend(seqs);
        }
        for set in sets.iter_mut().filter(|set| !is_moving(&set.spec)) {
            batch.iter().for_each(|row| set.oracle.add(row));
        }
        if !batch.is_empty() {
            frontier = head;
        }
        rows.extend(batch);
        if random.u32(0..6) == 0 && frontier != NO_TIME {
            let longest = [5, 100, 1000][random.usize(0..3)];
            head += random.i64(0..longest) * UNIT;
            frontier = head;
            watermark = watermark.max(head - bound);
        }
        let full = random.u32(0..3) > 0;
        loop {
            for set in &mut sets {
                if random.u32(0..5) == 0 {
                    set.take(&mut operator, random.usize(1..4));
                }
            }
            if !sets.is_empty() && random.u32(0..10) == 0 {
                let gone = sets.swap_remove(random.usize(0..sets.len()));
                operator.remove_set(gone.id);
                operator.remove_set(gone.id);
                operator.refresh(gone.id);
                assert!(operator.take_changes(gone.id, 9, true).is_none());
            }
            if !operator.advance(frontier, watermark, random.usize(1..50)) {
                break;
            }
        }
        for set in &mut sets {
            if random.u32(0..30) == 0 {
                let shown: BTreeSet<Place> = std::mem::take(&mut set.shown).into_keys().collect();
                let before = set.lost.take().map(|lost| lost.1).unwrap_or_default();
                set.lost = Some((watermark, shown.union(&before).copied().collect()));
                operator.refresh(set.id);
            }
        }
        if full && frontier != NO_TIME {
            for set in &mut sets {
                while set.take(&mut operator, 8) {}
                set.check(&rows, frontier, watermark, &what);
            }
        }
    }
    random.shuffle(&mut sets);
    for set in sets {
        operator.remove_set(set.id);
    }
    assert!(operator.is_empty());
    let stats = operator.stats();
    assert_eq!(
        (stats.keys, stats.slices, stats.state_bytes),
        (0, 0, 0),
        "seed {seed}"
    );
}

#[test]
fn sets_come_and_go() {
    let cases: u64 = std::env::var("WINDOW_CASES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(400);
    for seed in 0..cases {
        run_case(seed);
    }
}
