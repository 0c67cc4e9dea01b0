//! Windows that are saved, thrown away and restored at another number of shards go on exactly as
//! if nothing had happened: every row that is read afterwards is that of operators which were
//! never saved. Random programs over random sets, with saves that are whole and saves of changes.

#![allow(clippy::unwrap_used)]

mod save_support;
mod window_support;

use save_support::*;
use std::collections::BTreeMap;
use tidewheel_core::time::NO_TIME;
use tidewheel_kernel::spec::{Emit, SetSpec, WINDOW_TIME_GAP, WindowKind};
use tidewheel_kernel::window::{LateRows, SetId, WindowOperator};
use window_support::*;

struct Live {
    spec: SetSpec,
    /// Its id where nothing is saved, and where it is.
    plain: SetId,
    saved: SetId,
    keep: bool,
    /// What readers have, where a set has one row a key and saves are of changes.
    here: BTreeMap<u32, Shown>,
    there: BTreeMap<u32, Shown>,
    /// The watermark at the last restore.
    restored: i64,
}

/// Values, and when they run empty.
type Shown = (Vec<String>, Option<i64>);

impl Live {
    /// Whether each row is read exactly once, after a restore from changes too.
    fn is_exact(&self) -> bool {
        match self.spec.emit {
            Emit::Current => false,
            Emit::LastClosed => matches!(self.spec.window.kind, WindowKind::Session { .. }),
            _ => true,
        }
    }

    fn show(&self, shown: &mut BTreeMap<u32, Shown>, rows: Vec<Seen>) {
        for (key, _, state, empty_at, _, values) in rows {
            if state == "Empty" {
                shown.remove(&key);
            } else {
                let exact = self.spec.emit == Emit::Current && !self.keep;
                shown.insert(key, (values, exact.then_some(empty_at)));
            }
        }
    }
}

struct Program {
    random: fastrand::Rng,
    plain: WindowOperator,
    other: Shards,
    sets: Vec<Live>,
    feed: Feed,
    /// The time that the operators were told last.
    told: (i64, i64),
    changes: bool,
    what: String,
}

fn partners(operator: &WindowOperator, set: SetId) -> Vec<SetId> {
    let shared = operator.shared_sets();
    shared.into_iter().find(|sets| sets.contains(&set)).unwrap()
}

impl Program {
    fn new(seed: u64, changes: bool) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let retracting = random.u32(0..4) == 0;
        let feed = Feed::new(&mut random, retracting);
        let shards = random.u32(1..4);
        let empty = || WindowOperator::new(encoder(), Vec::new());
        Self {
            random,
            plain: empty(),
            other: Shards {
                operators: (0..shards).map(|_| empty()).collect(),
                saves: vec![Vec::new(); shards as usize],
                single: shards == 1,
            },
            sets: Vec::new(),
            feed,
            told: (NO_TIME, NO_TIME),
            changes,
            what: String::new(),
        }
    }

    /// Adds a set; not if it joins other sets where operators were restored.
    fn add(&mut self, spec: SetSpec) {
        let plain = self.plain.add_set(&spec);
        let others = self.other.operators.iter_mut();
        let saved = others.map(|o| o.add_set(&spec)).max().unwrap();
        let with = |operator: &WindowOperator, id: SetId, of: &dyn Fn(&Live) -> SetId| {
            let with = partners(operator, id);
            let sets = self.sets.iter().filter(|set| with.contains(&of(set)));
            let mut names: Vec<SetId> = sets.map(|set| set.plain).collect();
            names.sort();
            names
        };
        let here = with(&self.plain, plain, &|set| set.plain);
        let others = self.other.operators.iter();
        // A set that keeps is alone: sets that share slices see rows that are too late for them.
        // What it keeps of rows that are taken back depends on when timers ran.
        let keep = self.sets.is_empty() && !self.feed.retracting && self.random.bool();
        let same = others
            .map(|o| with(o, saved, &|set| set.saved))
            .all(|there| there == here);
        let set = Live {
            spec,
            plain,
            saved,
            keep,
            here: BTreeMap::new(),
            there: BTreeMap::new(),
            restored: NO_TIME,
        };
        if !same {
            return self.end(&set, true);
        }
        self.plain.set_keep(plain, keep);
        for operator in &mut self.other.operators {
            operator.set_keep(saved, keep);
        }
        self.sets.push(set);
        // A set that knows nothing of a row cannot tell that it is taken back.
        self.feed.rows.clear();
    }

    fn end(&mut self, set: &Live, there: bool) {
        self.plain.remove_set(set.plain);
        if there {
            for operator in &mut self.other.operators {
                operator.remove_set(set.saved);
            }
        }
    }

    fn save(&mut self) {
        if self.random.u32(0..3) > 0 {
            self.other.save(!self.changes || self.random.u32(0..6) == 0);
        }
        if self.random.u32(0..4) > 0 {
            return;
        }
        self.other.save(!self.changes);
        if self.sets.len() > 1 && self.random.u32(0..4) == 0 {
            let gone = self.random.usize(0..self.sets.len());
            let gone = self.sets.swap_remove(gone);
            self.end(&gone, false);
        }
        self.random.shuffle(&mut self.sets);
        let sets = self.sets.iter();
        let list: Vec<(SetId, SetSpec)> = sets.map(|set| (set.saved, set.spec.clone())).collect();
        self.other.restore(&list, self.random.u32(1..4));
        for (id, set) in (0..).zip(&mut self.sets) {
            set.saved = SetId(id);
        }
        if !self.changes {
            return;
        }
        let (frontier, watermark) = self.told;
        self.sets
            .iter_mut()
            .for_each(|set| set.restored = watermark);
        for operator in &mut self.other.operators {
            while operator.advance(frontier, watermark, 100) {}
            for set in self.sets.iter().filter(|set| !set.is_exact()) {
                operator.assume_standing(set.saved, true);
                if set.spec.emit == Emit::Current {
                    operator.refresh(set.saved);
                }
            }
        }
    }

    fn process(&mut self) {
        let batch = self.feed.batch(&mut self.random);
        let retracting = self.feed.retracting;
        let sets = &self.sets;
        let of = |late: Vec<LateRows>, id: &dyn Fn(&Live) -> SetId| -> Vec<(SetId, u32)> {
            let named = late.into_iter().flat_map(|late| {
                let set = sets.iter().find(|set| id(set) == late.set).unwrap();
                late.rows.into_iter().map(|row| (set.plain, row))
            });
            named.collect()
        };
        let prepared = Batch::new(&batch, 1);
        let mut here = of(self.plain.process(&prepared.input(0, retracting)), &|set| {
            set.plain
        });
        let prepared = Batch::new(&batch, self.other.operators.len() as u32);
        let mut there = Vec::new();
        for (shard, operator) in self.other.operators.iter_mut().enumerate() {
            let late = operator.process(&prepared.input(shard, retracting));
            there.extend(of(late, &|set| set.saved));
        }
        here.sort();
        there.sort();
        assert_eq!(here, there, "late rows, {}", self.what);
    }

    fn advance(&mut self, budget: usize, all: bool) {
        let (frontier, watermark) = (self.feed.frontier, self.feed.watermark);
        self.told = (frontier, watermark);
        let operators = std::iter::once(&mut self.plain).chain(&mut self.other.operators);
        for operator in operators {
            while operator.advance(frontier, watermark, budget) && all {}
        }
    }

    fn read(&mut self, at: usize) {
        let set = &mut self.sets[at];
        let operators = &mut self.other.operators;
        if !self.changes && self.random.u32(0..10) == 0 {
            self.plain.refresh(set.plain);
            operators.iter_mut().for_each(|o| o.refresh(set.saved));
        }
        let all = self.changes || self.random.bool();
        let max = self.random.usize(1..9);
        let mut here = take(&mut self.plain, set.plain, max, all);
        let mut there = Vec::new();
        for operator in operators.iter_mut() {
            there.extend(take(operator, set.saved, max, all));
            operator.assume_standing(set.saved, false);
        }
        if self.other.single && !self.changes {
            // What events did comes first and in its order; timers of one moment have none.
            let split = |rows: &[Seen]| rows.iter().position(|row| !row.4).unwrap_or(rows.len());
            let (left, right) = (split(&here), split(&there));
            here[left..].sort();
            there[right..].sort();
        } else {
            here.sort();
            there.sort();
        }
        let what = format!(
            "{} {:?} keep {} at {:?}",
            self.what, set.spec, set.keep, self.told
        );
        if !self.changes || set.is_exact() {
            assert!(here == there, "{what}\nhere  {here:?}\nthere {there:?}");
            return;
        }
        let mut shown = (
            std::mem::take(&mut set.here),
            std::mem::take(&mut set.there),
        );
        set.show(&mut shown.0, here);
        set.show(&mut shown.1, there);
        // A reader that may have anything is told the last closed window with the rows that came
        // late for it, until the next closes.
        let closed = |watermark: i64| {
            (watermark != NO_TIME)
                .then(|| current_window(&set.spec.window, watermark + WINDOW_TIME_GAP - 1).1)
        };
        let inexact =
            set.spec.emit == Emit::LastClosed && closed(set.restored) == closed(self.told.1);
        let same = shown.0 == shown.1 || inexact;
        assert!(same, "{what}\nhere  {:?}\nthere {:?}", shown.0, shown.1);
        (set.here, set.there) = shown;
    }

    /// Once all windows are over and read, nothing is left.
    fn finish(mut self) {
        for _ in 0..3 {
            self.feed.head += 100_000 * UNIT;
            self.feed.frontier = self.feed.head;
            self.feed.watermark = self.feed.head;
            self.advance(100, true);
            (0..self.sets.len()).for_each(|set| self.read(set));
            for set in &self.sets {
                take(&mut self.plain, set.plain, 9, true);
                for operator in &mut self.other.operators {
                    take(operator, set.saved, 9, true);
                }
            }
        }
        for operator in self.other.operators.iter().chain([&self.plain]) {
            let stats = operator.stats();
            assert_eq!((stats.keys, stats.slices), (0, 0), "{}", self.what);
        }
    }
}

fn run_case(seed: u64, changes: bool) {
    let mut program = Program::new(seed, changes);
    let aggregates = random_aggregates(&mut program.random);
    let windows = random_windows(&mut program.random);
    for step in 0..program.random.usize(2..50) {
        program.what = format!("seed {seed} step {step}");
        let often = if changes { 25 } else { 6 };
        let more = program.random.u32(0..often) == 0 && !program.sets.iter().any(|set| set.keep);
        if program.sets.is_empty() || more {
            let retracting = program.feed.retracting;
            let spec = random_set(&mut program.random, retracting, &aggregates, &windows);
            program.add(spec);
        }
        if program.sets.len() > 1 && program.random.u32(0..2 * often) == 0 {
            let gone = program.random.usize(0..program.sets.len());
            let gone = program.sets.swap_remove(gone);
            program.end(&gone, true);
        }
        // Any moment between two calls is one at which a save may come.
        let moment = program.random.u32(0..4);
        let save = |program: &mut Program, now: u32| {
            if now == moment {
                program.save();
            }
        };
        save(&mut program, 0);
        program.process();
        save(&mut program, 1);
        let random = &mut program.random;
        program.feed.tick(random);
        for _ in 0..random.usize(0..3) {
            let budget = program.random.usize(1..4);
            program.advance(budget, false);
        }
        save(&mut program, 2);
        program.advance(100, true);
        save(&mut program, 3);
        for set in 0..program.sets.len() {
            if program.random.u32(0..3) == 0 {
                program.read(set);
            }
        }
    }
    program.finish();
}

/// `WINDOW_SEED` chooses one case.
fn cases() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok()?.parse().ok();
    match number("WINDOW_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("WINDOW_CASES").unwrap_or(400),
    }
}

#[test]
fn whole_saves_go_on_as_if_nothing_had_happened() {
    for seed in cases() {
        run_case(seed, false);
    }
}

#[test]
fn saves_of_changes_on_top_of_a_whole_one_do_too() {
    for seed in cases() {
        run_case(seed, true);
    }
}
