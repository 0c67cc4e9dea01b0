//! A simulated world: a clock that only the test moves, a source and a sink in memory.

use super::sink::{Late, MemorySink, Put};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tidewheel_core::raw::{Framing, RecordMeta};
use tidewheel_core::{
    Connector, ConnectorError, Env, Progress, RawChunk, Registry, Sink, SinkRequest, Source,
    SourceError, SourceEvent, SourceRequest, TableSpec,
};

/// 2024-03-01T00:00:00Z, in milliseconds: the wall clock at the start.
pub const BEGIN: i64 = 1_709_251_200_000;

/// A record that a partition gets.
#[derive(Debug, Clone)]
pub struct Record {
    /// When the partition has it, since the start.
    pub at: Duration,
    pub text: String,
}

/// What stands under a key and column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub value: String,
    /// Wall clock, milliseconds.
    pub expires: Option<i64>,
}

/// Primary key as JSON, then the column's name.
pub type Place = (String, String);

/// Columns that only grow, key by key, as long as no reader sees a value of fewer rows, or of an
/// earlier frontier, than one that it could have seen before.
const GROWING: [(&str, &str); 4] = [
    ("lifetime", "c"),
    ("clock", "e"),
    ("all_rows", "c"),
    ("now_and_then", "c"),
];

/// One in so many polls of a source gets no answer for a while.
const STALLS_ONE_IN: u64 = 60;

/// Decides at which instant the process dies: from then on nothing outside changes any more.
#[derive(Default)]
pub struct Death {
    /// Per mille of the steps outside at which it dies.
    pub chance: AtomicU64,
    /// It is dead.
    pub dead: AtomicBool,
    random: Mutex<Option<fastrand::Rng>>,
}

impl Death {
    /// Whether the process is dead by now. Asked before and after each step that is seen outside.
    pub fn strikes(&self) -> bool {
        let chance = self.chance.load(Relaxed);
        if chance > 0 && !self.dead.load(Relaxed) {
            let mut random = self.random.lock().unwrap();
            let strikes = random.as_mut().unwrap().u64(0..1_000) < chance;
            self.dead.store(strikes, Relaxed);
        }
        self.dead.load(Relaxed)
    }
}

#[derive(Default)]
pub struct Shared {
    micros: AtomicU64,
    /// The records of each partition.
    pub partitions: Mutex<Vec<VecDeque<Record>>>,
    /// How far the wall clock is beside the true time, milliseconds.
    pub clock_error_ms: AtomicI64,
    /// What sinks remember of their progress, by query.
    pub progress: Mutex<BTreeMap<String, Progress>>,
    /// Keys that sinks were told to note, by query, with the number that each has.
    pub notes: Mutex<BTreeMap<String, BTreeMap<Vec<u8>, u64>>>,
    /// Per mille of the sink's writes that fail; 0: none.
    pub faults: AtomicU64,
    /// Most records that the source gives at once, less one.
    pub chunk: AtomicU64,
    /// Until when the sink of one table is away.
    pub down: Mutex<Option<(String, Duration)>>,
    /// The source is away.
    pub away: AtomicBool,
    /// Bytes that the process is said to use.
    pub memory: AtomicU64,
    /// One in so many polls of a history fails for good, and each second one after it has seen all
    /// ends; 0: none.
    pub history_fails: AtomicU64,
    /// Sources that begin do not learn yet which partitions there are.
    pub hidden: AtomicBool,
    /// Keyed tables.
    pub tables: Mutex<BTreeMap<String, BTreeMap<Place, Stored>>>,
    /// Append-only tables: rows as JSON objects.
    pub appended: Mutex<BTreeMap<String, Vec<String>>>,
    /// Writes that timed out at the client, and that the server still carries out.
    pub late: Mutex<Vec<Late>>,
    /// How many of them were carried out.
    pub late_done: AtomicU64,
    /// When the process dies.
    pub death: Arc<Death>,
    /// By table and key, the highest value that a reader may have seen in a column that only grows.
    highest: Mutex<BTreeMap<(String, String), String>>,
    random: Mutex<Option<fastrand::Rng>>,
}

impl Shared {
    pub fn new(seed: u64, partitions: Vec<VecDeque<Record>>) -> Arc<Self> {
        Arc::new(Self {
            partitions: Mutex::new(partitions),
            random: Mutex::new(Some(fastrand::Rng::with_seed(seed))),
            chunk: AtomicU64::new(12),
            death: Arc::new(Death {
                random: Mutex::new(Some(fastrand::Rng::with_seed(!seed))),
                ..Death::default()
            }),
            ..Self::default()
        })
    }

    pub fn now(&self) -> Duration {
        Duration::from_micros(self.micros.load(Relaxed))
    }

    pub fn pass(&self, time: Duration) {
        self.micros.fetch_add(time.as_micros() as u64, Relaxed);
        let now = self.now();
        let mut late = self.late.lock().unwrap();
        while let Some(at) = late.iter().position(|late| late.due <= now) {
            let late = late.remove(at);
            self.late_done.fetch_add(1, Relaxed);
            self.apply(&late.table, &late.put);
        }
    }

    /// The server carries a write out.
    pub fn apply(&self, table: &str, put: &Put) {
        let mut tables = self.tables.lock().unwrap();
        let stored = tables.entry(table.to_owned()).or_default();
        for (column, value) in &put.values {
            let place = (put.key.clone(), column.clone());
            let is_there = |stored: &Stored| stored.expires.is_none_or(|at| at > self.wall_ms());
            if GROWING.contains(&(table, column.as_str()))
                && (value.is_some() || stored.get(&place).is_some_and(is_there))
            {
                self.check_grows(table, &put.key, value.as_deref());
            }
            match value {
                None => stored.remove(&place),
                Some(value) => {
                    let expires = put.live_ms.map(|live| self.wall_ms() + live);
                    let value = value.clone();
                    stored.insert(place, Stored { value, expires })
                }
            };
        }
    }

    fn check_grows(&self, table: &str, key: &str, value: Option<&str>) {
        let Some(value) = value else {
            assert!(
                table == "clock",
                "{table}: {key} is deleted, which never loses its rows"
            );
            return;
        };
        let mut highest = self.highest.lock().unwrap();
        let highest = highest
            .entry((table.to_owned(), key.to_owned()))
            .or_default();
        // Numbers of the same length, and times, are in the order of their texts.
        let order = |text: &str| (text.len(), text.to_owned());
        assert!(
            order(value) >= order(&*highest),
            "{table}: {key} went from {highest} back to {value}"
        );
        value.clone_into(highest);
    }

    pub fn wall_ms(&self) -> i64 {
        BEGIN + self.now().as_millis() as i64
    }

    /// What a process takes for the time.
    pub fn clock_ms(&self) -> i64 {
        self.wall_ms() + self.clock_error_ms.load(Relaxed)
    }

    pub fn random(&self, below: u64) -> u64 {
        let mut random = self.random.lock().unwrap();
        random.as_mut().unwrap().u64(0..below)
    }

    /// What a reader of a keyed table sees now.
    pub fn visible(&self, table: &str) -> BTreeMap<String, BTreeMap<String, String>> {
        let now = self.wall_ms();
        let tables = self.tables.lock().unwrap();
        let mut visible: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for ((key, column), stored) in tables.get(table).into_iter().flatten() {
            if stored.expires.is_none_or(|expires| expires > now) {
                let row = visible.entry(key.clone()).or_default();
                row.insert(column.clone(), stored.value.clone());
            }
        }
        visible
    }
}

pub struct SimulatedEnv {
    pub shared: Arc<Shared>,
    registry: Registry,
}

impl SimulatedEnv {
    pub fn new(shared: &Arc<Shared>, registry: Registry) -> Self {
        Self {
            shared: Arc::clone(shared),
            registry,
        }
    }
}

impl Env for SimulatedEnv {
    fn wall_ms(&self) -> i64 {
        self.shared.clock_ms()
    }

    fn monotonic(&self) -> Duration {
        self.shared.now()
    }

    fn random(&self) -> u64 {
        self.shared.random(u64::MAX)
    }

    fn registry(&self) -> &Registry {
        &self.registry
    }

    fn sleep(&self, duration: Duration) {
        self.shared.pass(duration);
    }
}

/// The connector `memory`: every source table reads the same partitions.
pub struct Memory(pub Arc<Shared>);

impl Connector for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn source_options(&self) -> &'static [&'static str] {
        &["bounded"]
    }

    fn sink_options(&self) -> &'static [&'static str] {
        &["lossy", "ttl"]
    }

    fn check(&self, _: &TableSpec, _: bool) -> Result<(), ConnectorError> {
        Ok(())
    }

    fn source(&self, request: &SourceRequest) -> Result<Box<dyn Source>, ConnectorError> {
        let partitions = self.0.partitions.lock().unwrap();
        let count = partitions.len();
        // Where a time is given, the first record that came then.
        let from = |records: &VecDeque<Record>| {
            let is_before = |record: &&Record| {
                let at = BEGIN + record.at.as_millis() as i64;
                request.from_ms.is_some_and(|from| at < from)
            };
            records.iter().take_while(is_before).count() as u64
        };
        let offsets = (0_u32..).zip(partitions.iter()).map(|(number, records)| {
            let start = request.start.get(&number).copied();
            start.unwrap_or_else(|| from(records))
        });
        Ok(Box::new(MemorySource {
            shared: Arc::clone(&self.0),
            bounded: request.table.options.boolean("bounded")? == Some(true),
            offsets: offsets.collect(),
            paused: vec![false; count],
            finished: vec![false; count],
            told: vec![None; count],
            away: false,
            known: if self.0.hidden.load(Relaxed) {
                0
            } else {
                count
            },
            stalls_until: Duration::ZERO,
            is_history: request.from_ms.is_some(),
            ends_seen: vec![false; count],
        }))
    }

    fn sink(&self, request: &SinkRequest) -> Result<Box<dyn Sink>, ConnectorError> {
        if request.resume.is_none() && !request.keep {
            // As a file that is written anew.
            self.0.appended.lock().unwrap().remove(&request.table.name);
        }
        if let Some(resume) = &request.resume {
            let mut length = [0; 8];
            length.copy_from_slice(resume);
            let mut appended = self.0.appended.lock().unwrap();
            let lines = appended.entry(request.table.name.clone()).or_default();
            assert!(lines.len() as u64 >= u64::from_le_bytes(length));
            lines.truncate(u64::from_le_bytes(length) as usize);
        }
        Ok(Box::new(MemorySink::new(&self.0, request)?))
    }
}

struct MemorySource {
    shared: Arc<Shared>,
    bounded: bool,
    offsets: Vec<u64>,
    paused: Vec<bool>,
    finished: Vec<bool>,
    /// When each partition was said to be at its end last.
    told: Vec<Option<Duration>>,
    away: bool,
    /// So many partitions have been told of.
    known: usize,
    /// Until when it has no answer.
    stalls_until: Duration,
    is_history: bool,
    ends_seen: Vec<bool>,
}

impl Source for MemorySource {
    fn partitions(&self) -> Vec<u32> {
        (0..self.known as u32).collect()
    }

    fn poll(&mut self, _: usize, _: Duration) -> Result<SourceEvent, SourceError> {
        let away = self.shared.away.load(Relaxed);
        if away != self.away {
            self.away = away;
            self.told.fill(None);
            if away {
                let reason = "simulated".to_owned();
                return Ok(SourceEvent::Away { reason });
            }
        }
        let fails = self.shared.history_fails.load(Relaxed);
        let all_seen = self.ends_seen.iter().all(|seen| *seen);
        let one_in = if all_seen { fails.min(2) } else { fails };
        if self.is_history && one_in > 0 && self.shared.random(one_in) == 0 {
            return Err(SourceError("simulated".to_owned()));
        }
        let now = self.shared.now();
        let hidden = self.known < self.offsets.len() && self.shared.hidden.load(Relaxed);
        if away || hidden || now < self.stalls_until {
            return Ok(SourceEvent::Nothing);
        }
        if self.known < self.offsets.len() {
            self.known += 1;
            let partition = self.known as u32 - 1;
            return Ok(SourceEvent::Added { partition });
        }
        if self.shared.random(STALLS_ONE_IN) == 0 {
            self.stalls_until = now + Duration::from_millis(self.shared.random(1_500));
            return Ok(SourceEvent::Nothing);
        }
        let partitions = self.shared.partitions.lock().unwrap();
        let next = |partition: usize, offset: u64| {
            let record = partitions[partition].get(offset as usize);
            record.filter(|record| record.at <= now)
        };
        let ready: Vec<usize> = (0..partitions.len())
            .filter(|p| !self.paused[*p] && next(*p, self.offsets[*p]).is_some())
            .collect();
        if !ready.is_empty() {
            let partition = ready[self.shared.random(ready.len() as u64) as usize];
            self.told[partition] = None;
            let (mut data, mut ranges, mut offsets) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..=self.shared.random(self.shared.chunk.load(Relaxed)) {
                let Some(record) = next(partition, self.offsets[partition]) else {
                    break;
                };
                let start = data.len() as u32;
                data.extend_from_slice(record.text.as_bytes());
                ranges.push((start, data.len() as u32));
                offsets.push(self.offsets[partition]);
                self.offsets[partition] += 1;
            }
            return Ok(SourceEvent::Records(RawChunk {
                partition: partition as u32,
                next_offset: self.offsets[partition],
                data,
                framing: Framing::Records { ranges, offsets },
                meta: RecordMeta::default(),
            }));
        }
        for (partition, records) in partitions.iter().enumerate() {
            let number = partition as u32;
            if self.bounded {
                let all = self.offsets[partition] as usize >= records.len();
                if all && !self.finished[partition] {
                    self.finished[partition] = true;
                    return Ok(SourceEvent::Finished { partition: number });
                }
                continue;
            }
            let second_ago =
                self.told[partition].is_none_or(|told| told + Duration::from_secs(1) <= now);
            if next(partition, self.offsets[partition]).is_none() && second_ago {
                self.told[partition] = Some(now);
                self.ends_seen[partition] = true;
                return Ok(SourceEvent::AtEnd {
                    partition: number,
                    next_offset: self.offsets[partition],
                });
            }
        }
        Ok(SourceEvent::Nothing)
    }

    fn pause(&mut self, partition: u32, paused: bool) {
        self.paused[partition as usize] = paused;
    }

    fn is_bounded(&self) -> bool {
        self.bounded
    }
}
