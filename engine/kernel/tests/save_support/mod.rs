//! What the tests of saved windows share: random sets over all aggregates, rows as text, and
//! operators that are saved and restored.

#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

use crate::window_support::*;
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use tidewheel_core::time::NO_TIME;
use tidewheel_kernel::change::Changes;
use tidewheel_kernel::keys::shard_of;
use tidewheel_kernel::share::Share;
use tidewheel_kernel::spec::{AggregateKind, AggregateSpec, Emit, SetSpec, WindowKind, WindowSpec};
use tidewheel_kernel::window::{SetId, WindowOperator};

/// A row that was read: key, window, state, when it runs empty, whether an event made it, values.
pub type Seen = (u32, (i64, i64), String, i64, bool, Vec<String>);

pub fn spec(
    kind: AggregateKind,
    args: Vec<usize>,
    filter: Option<usize>,
    result: DataType,
) -> AggregateSpec {
    AggregateSpec {
        kind,
        arg_types: vec![DataType::Int64; args.len()],
        args,
        filter,
        result,
    }
}

/// Some of all aggregates.
pub fn random_aggregates(random: &mut fastrand::Rng) -> Vec<AggregateSpec> {
    use AggregateKind::*;
    let int = DataType::Int64;
    let list = DataType::new_list(DataType::Int64, true);
    let mut all = vec![
        spec(Count, vec![], None, int.clone()),
        spec(Sum, vec![0], None, int.clone()),
        spec(Count, vec![], Some(3), int.clone()),
        spec(Min, vec![0], None, int.clone()),
        spec(Max, vec![0], Some(2), int.clone()),
        spec(Avg, vec![0], None, DataType::Float64),
        spec(CountDistinct, vec![0], None, int.clone()),
        spec(Mode, vec![0], None, int.clone()),
        spec(
            First {
                ignore_nulls: false,
            },
            vec![0],
            None,
            int.clone(),
        ),
        spec(
            Last {
                ignore_nulls: false,
            },
            vec![0],
            None,
            int.clone(),
        ),
        spec(CountChanges, vec![0], None, int),
        spec(ListDistinct { cap: 5 }, vec![0], None, list.clone()),
        spec(ArrayAgg { cap: 50 }, vec![0], None, list),
    ];
    random.shuffle(&mut all);
    all.truncate(random.usize(1..6));
    all
}

pub fn random_set(
    random: &mut fastrand::Rng,
    retracting: bool,
    aggregates: &[AggregateSpec],
    windows: &[WindowSpec],
) -> SetSpec {
    let allowed_lateness = [0, random.i64(1..30)][random.usize(0..2)] * UNIT;
    let window = if random.u32(0..4) == 0 && !retracting {
        WindowSpec {
            kind: WindowKind::Session {
                gap: random.i64(1..15) * UNIT,
            },
            offset: 0,
        }
    } else {
        windows[random.usize(0..windows.len())]
    };
    let emit = match random.u32(0..9) {
        0 | 1 => Emit::LastClosed,
        2 => Emit::Final { allowed_lateness },
        3 => Emit::EveryChange { allowed_lateness },
        4 => Emit::Closed { allowed_lateness },
        _ => Emit::Current,
    };
    SetSpec {
        filter: [None, None, Some(1)][random.usize(0..3)],
        window,
        emit,
        aggregates: aggregates.to_vec(),
        retracting,
    }
}

pub fn rows_of(changes: &Changes) -> Vec<Seen> {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<ArrayFormatter<'_>> = changes
        .aggregates
        .iter()
        .map(|array| ArrayFormatter::try_new(array, &options).unwrap())
        .collect();
    (0..changes.slots.len())
        .map(|row| {
            let values = columns.iter().map(|column| column.value(row).to_string());
            (
                key_of(changes, row),
                (changes.window_start[row], changes.window_end[row]),
                format!("{:?}", changes.states[row]),
                changes.empty_at[row],
                changes.urgent[row],
                values.collect(),
            )
        })
        .collect()
}

pub fn take(operator: &mut WindowOperator, set: SetId, max: usize, expiry: bool) -> Vec<Seen> {
    let mut seen = Vec::new();
    while let Some(changes) = operator.take_changes(set, max, expiry) {
        seen.extend(rows_of(&changes));
        operator.take_freed(set);
    }
    seen
}

/// Operators of several shards, and the saves since the last whole one of each.
pub struct Shards {
    pub operators: Vec<WindowOperator>,
    pub saves: Vec<Vec<Vec<u8>>>,
    /// Every save so far was of one shard: rows even come in the same order.
    pub single: bool,
}

impl Shards {
    pub fn save(&mut self, whole: bool) {
        for (operator, saves) in self.operators.iter_mut().zip(&mut self.saves) {
            let mut out = Vec::new();
            if whole {
                operator.save(&mut out);
                if out[0] == 1 && saves.len() > 2 {
                    saves.clear();
                }
            } else if operator.save_changed(&mut out) {
                saves.clear();
            }
            saves.push(out);
        }
    }

    pub fn restore(&mut self, sets: &[(SetId, SetSpec)], shards: u32) {
        let saves: Vec<Vec<&[u8]>> = self
            .saves
            .iter()
            .map(|chain| chain.iter().map(Vec::as_slice).collect())
            .collect();
        self.operators = (0..shards)
            .map(|shard| {
                let belongs = move |hash: u64| shard_of(hash, shards) == shard;
                let (operator, ids) =
                    WindowOperator::restore(encoder(), sets, &saves, &Share::by_key(&belongs))
                        .unwrap();
                let wanted: Vec<SetId> = (0..sets.len() as u32).map(SetId).collect();
                assert_eq!(ids, wanted);
                operator
            })
            .collect();
        self.single &= shards == 1;
        self.saves = vec![Vec::new(); shards as usize];
    }
}

pub fn random_windows(random: &mut fastrand::Rng) -> Vec<WindowSpec> {
    let step = random.i64(1..6) * UNIT;
    let mut windows: Vec<WindowSpec> = (0..2).map(|_| random_window(random)).collect();
    for _ in 0..5 {
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
    windows
}

pub struct Feed {
    pub rows: Vec<Row>,
    pub keys: u32,
    pub disorder: i64,
    pub bound: i64,
    pub pace: i64,
    pub head: i64,
    pub watermark: i64,
    pub frontier: i64,
    pub retracting: bool,
}

impl Feed {
    pub fn new(random: &mut fastrand::Rng, retracting: bool) -> Self {
        Self {
            rows: Vec::new(),
            keys: random.u32(1..9),
            disorder: [0, 3, 40][random.usize(0..3)],
            bound: random.i64(0..10) * UNIT,
            pace: [1, 3, 20][random.usize(0..3)],
            head: random.i64(-500..500) * UNIT,
            watermark: NO_TIME,
            frontier: NO_TIME,
            retracting,
        }
    }

    pub fn batch(&mut self, random: &mut fastrand::Rng) -> Vec<Row> {
        let mut batch: Vec<Row> = Vec::new();
        for _ in 0..random.usize(0..20) {
            self.head += random.i64(0..self.pace + 1) * UNIT;
            let known = if self.retracting && random.u32(0..3) == 0 && !self.rows.is_empty() {
                Some(self.rows.swap_remove(random.usize(0..self.rows.len())))
            } else {
                None
            };
            batch.push(match known {
                Some(row) => Row {
                    retract: true,
                    watermark: self.watermark,
                    ..row
                },
                None => Row {
                    time: self.head - random.i64(0..self.disorder + 1) * UNIT,
                    seq: random.u64(0..1 << 40),
                    key: random.u32(0..self.keys),
                    value: random.i64(-20..20),
                    flags: [random.bool(), random.bool(), random.bool()],
                    watermark: self.watermark,
                    retract: false,
                },
            });
            self.watermark = self.watermark.max(self.head - self.bound);
        }
        if self.retracting {
            self.rows
                .extend(batch.iter().filter(|row| !row.retract).cloned());
        }
        if !batch.is_empty() {
            self.frontier = self.frontier.max(self.head);
        }
        batch
    }

    pub fn tick(&mut self, random: &mut fastrand::Rng) {
        if self.frontier != NO_TIME && random.u32(0..5) == 0 {
            let longest = [5, 100, 1000][random.usize(0..3)];
            self.head += random.i64(0..longest) * UNIT;
            self.frontier = self.head;
            self.watermark = self.watermark.max(self.head - self.bound);
        }
    }
}
