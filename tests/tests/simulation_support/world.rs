//! A simulated world: a clock that only the test moves, a source and a sink in memory.

use arrow::array::Array;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tidewheel_core::change::NO_EXPIRY;
use tidewheel_core::raw::{Framing, RecordMeta};
use tidewheel_core::text::{write_json, write_value};
use tidewheel_core::{
    ChangeBatch, Connector, ConnectorError, Env, Op, Progress, RawChunk, Registry, Sink, SinkError,
    SinkRequest, Source, SourceError, SourceEvent, SourceRequest, TableSpec,
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

#[derive(Default)]
pub struct Shared {
    micros: AtomicU64,
    /// The records of each partition.
    pub partitions: Mutex<Vec<VecDeque<Record>>>,
    /// How far the wall clock is beside the true time, milliseconds.
    pub clock_error_ms: AtomicI64,
    /// What sinks remember of their progress, by query.
    pub progress: Mutex<BTreeMap<String, Progress>>,
    /// Per mille of the sink's writes that fail; 0: none.
    pub faults: AtomicU64,
    /// The source is away.
    pub away: std::sync::atomic::AtomicBool,
    /// Keyed tables.
    pub tables: Mutex<BTreeMap<String, BTreeMap<Place, Stored>>>,
    /// Append-only tables: rows as JSON objects.
    pub appended: Mutex<BTreeMap<String, Vec<String>>>,
    random: Mutex<Option<fastrand::Rng>>,
}

impl Shared {
    pub fn new(seed: u64, partitions: Vec<VecDeque<Record>>) -> Arc<Self> {
        Arc::new(Self {
            partitions: Mutex::new(partitions),
            random: Mutex::new(Some(fastrand::Rng::with_seed(seed))),
            ..Self::default()
        })
    }

    pub fn now(&self) -> Duration {
        Duration::from_micros(self.micros.load(Relaxed))
    }

    pub fn pass(&self, time: Duration) {
        self.micros.fetch_add(time.as_micros() as u64, Relaxed);
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
        let count = self.0.partitions.lock().unwrap().len();
        Ok(Box::new(MemorySource {
            shared: Arc::clone(&self.0),
            bounded: request.table.options.boolean("bounded")? == Some(true),
            offsets: (0..count as u32)
                .map(|partition| request.start.get(&partition).copied().unwrap_or(0))
                .collect(),
            paused: vec![false; count],
            finished: vec![false; count],
            told: vec![None; count],
            away: false,
        }))
    }

    fn sink(&self, request: &SinkRequest) -> Result<Box<dyn Sink>, ConnectorError> {
        if let Some(resume) = &request.resume {
            let mut length = [0; 8];
            length.copy_from_slice(resume);
            let mut appended = self.0.appended.lock().unwrap();
            let lines = appended.entry(request.table.name.clone()).or_default();
            assert!(lines.len() as u64 >= u64::from_le_bytes(length));
            lines.truncate(u64::from_le_bytes(length) as usize);
        }
        Ok(Box::new(MemorySink {
            shared: Arc::clone(&self.0),
            ttl: request.table.options.duration("ttl")?,
            lossy: request.table.options.boolean("lossy")? != Some(false),
            table: request.table.clone(),
            query: request.query.clone(),
            writes: 0,
            outage: Duration::ZERO,
        }))
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
}

impl Source for MemorySource {
    fn partitions(&self) -> Vec<u32> {
        (0..self.offsets.len() as u32).collect()
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
        if away {
            return Ok(SourceEvent::Nothing);
        }
        let now = self.shared.now();
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
            for _ in 0..=self.shared.random(12) {
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

struct MemorySink {
    shared: Arc<Shared>,
    table: TableSpec,
    query: String,
    ttl: Option<Duration>,
    /// It may lose everything.
    lossy: bool,
    writes: u64,
    /// Until when it is away.
    outage: Duration,
}

impl MemorySink {
    /// Progress never goes back.
    fn remember(&self, progress: &Progress) {
        let mut known = self.shared.progress.lock().unwrap();
        if let Some(before) = known.get(&self.query) {
            assert!(
                progress.frontier >= before.frontier,
                "{}: F went back",
                self.query
            );
            for (table, partition, offset) in &before.offsets {
                let mut offsets = progress.offsets.iter();
                let now = offsets.find(|(t, p, _)| t == table && p == partition);
                assert!(
                    now.is_some_and(|(.., now)| now >= offset),
                    "{}: progress went back",
                    self.query
                );
            }
        }
        known.insert(self.query.clone(), progress.clone());
    }

    fn write_row(&mut self, batch: &ChangeBatch, row: usize) {
        let schema = &self.table.schema;
        let names: Vec<&str> = batch
            .columns
            .iter()
            .map(|column| schema.field(*column).name().as_str())
            .collect();
        let text = |at: usize| {
            let mut text = String::new();
            write_value(&mut text, batch.rows.column(at).as_ref(), row);
            text
        };
        if self.table.is_append_only() {
            let mut line = String::from("{");
            for (at, name) in names.iter().enumerate() {
                let separator = if at == 0 { "" } else { "," };
                line.push_str(&format!("{separator}\"{name}\":"));
                write_json(&mut line, batch.rows.column(at).as_ref(), row);
            }
            line.push('}');
            let mut appended = self.shared.appended.lock().unwrap();
            appended
                .entry(self.table.name.clone())
                .or_default()
                .push(line);
            return;
        }
        let is_key = |at: usize| self.table.primary_key.contains(&batch.columns[at]);
        let key: Vec<String> = (0..names.len())
            .filter(|at| is_key(*at))
            .map(&text)
            .collect();
        let key = key.join("|");
        let live_ms = batch.live_ms[row];
        let expires = self.ttl.filter(|_| live_ms != NO_EXPIRY);
        let expires = expires.map(|ttl| self.shared.wall_ms() + live_ms + ttl.as_millis() as i64);
        let mut tables = self.shared.tables.lock().unwrap();
        let table = tables.entry(self.table.name.clone()).or_default();
        for at in (0..names.len()).filter(|at| !is_key(*at)) {
            let place = (key.clone(), names[at].to_owned());
            if self.table.name == "lifetime" && names[at] == "c" {
                // It only grows, as long as nothing is lost.
                let number = |value: &str| value.parse::<i64>().unwrap();
                let before = table.get(&place).map(|stored| number(&stored.value));
                let now = (batch.ops[row] == Op::Upsert).then(|| number(&text(at)));
                assert!(now >= before, "{key} went from {before:?} to {now:?}");
            }
            if batch.ops[row] == Op::Delete {
                table.remove(&place);
            } else if batch.is_changed(row, at) {
                if batch.rows.column(at).is_null(row) {
                    table.remove(&place);
                } else {
                    let value = text(at);
                    table.insert(place, Stored { value, expires });
                }
            }
        }
    }
}

impl Sink for MemorySink {
    fn write(&mut self, batch: &ChangeBatch, progress: &Progress) -> Result<(), SinkError> {
        assert_eq!(batch.rows.num_rows(), batch.len());
        let away = || SinkError::Retry("simulated".to_owned());
        if self.shared.now() < self.outage {
            return Err(away());
        }
        if !progress.offsets.is_empty() {
            self.remember(progress);
        }
        let fault = self.shared.random(1_000) < self.shared.faults.load(Relaxed);
        if fault && !self.table.is_append_only() {
            // Part of it arrives, and for a while nothing does.
            let some = self.shared.random(batch.len() as u64 + 1) as usize;
            (0..some).for_each(|row| self.write_row(batch, row));
            match self.shared.random(3) {
                0 => {
                    self.outage =
                        self.shared.now() + Duration::from_millis(self.shared.random(9_000))
                }
                1 if self.lossy => {
                    let mut tables = self.shared.tables.lock().unwrap();
                    tables.insert(self.table.name.clone(), BTreeMap::new());
                    return Err(SinkError::Rewrite("simulated".to_owned()));
                }
                _ => {}
            }
            return Err(away());
        }
        (0..batch.len()).for_each(|row| self.write_row(batch, row));
        self.writes += batch.len() as u64;
        Ok(())
    }

    fn writes(&self) -> u64 {
        self.writes
    }

    fn progress(&mut self) -> Result<Option<Progress>, SinkError> {
        if self.shared.now() < self.outage || self.shared.random(4) == 0 {
            self.outage = self.shared.now() + Duration::from_millis(self.shared.random(2_000));
            return Err(SinkError::Retry("simulated".to_owned()));
        }
        let progress = self.shared.progress.lock().unwrap();
        Ok(progress.get(&self.query).cloned())
    }

    fn position(&mut self) -> Result<Vec<u8>, SinkError> {
        if !self.table.is_append_only() {
            return Ok(Vec::new());
        }
        let appended = self.shared.appended.lock().unwrap();
        let lines = appended.get(&self.table.name).map_or(0, Vec::len);
        Ok((lines as u64).to_le_bytes().to_vec())
    }
}
