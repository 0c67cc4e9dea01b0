//! A sink in memory: a server that fails, is away, loses what it had, and carries writes out long
//! after their client has given up.

use super::world::Shared;
use arrow::array::Array;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tidewheel_core::change::NO_EXPIRY;
use tidewheel_core::text::{write_json, write_value};
use tidewheel_core::{
    ChangeBatch, ConnectorError, Op, Progress, Sink, SinkError, SinkRequest, TableSpec,
};

/// What a write makes of a key's columns.
#[derive(Debug, Clone)]
pub struct Put {
    pub key: String,
    pub values: Vec<(String, Option<String>)>,
    /// How long it lives, milliseconds; `None`: for ever.
    pub live_ms: Option<i64>,
}

/// A write whose client has given up.
#[derive(Debug, Clone)]
pub struct Late {
    /// When the server comes to it.
    pub due: Duration,
    query: String,
    epoch: u64,
    pub table: String,
    pub put: Put,
}

pub struct MemorySink {
    shared: Arc<Shared>,
    table: TableSpec,
    query: String,
    epoch: u64,
    ttl: Option<Duration>,
    /// It may lose everything.
    lossy: bool,
    writes: u64,
    /// Until when it is away.
    outage: Duration,
    connected: bool,
}

/// `TIDEWHEEL_WITHOUT=notes` or `=fence` leaves out what the sink does for a restart, to see that
/// the test fails then.
fn without(what: &str) -> bool {
    std::env::var("TIDEWHEEL_WITHOUT").is_ok_and(|without| without == what)
}

fn away() -> SinkError {
    SinkError::Retry("simulated".to_owned())
}

impl MemorySink {
    pub fn new(shared: &Arc<Shared>, request: &SinkRequest) -> Result<Self, ConnectorError> {
        Ok(Self {
            shared: Arc::clone(shared),
            ttl: request.table.options.duration("ttl")?,
            lossy: request.table.options.boolean("lossy")? != Some(false),
            table: request.table.clone(),
            query: request.query.clone(),
            epoch: request.owner.as_ref().map_or(0, |owner| owner.epoch),
            writes: 0,
            outage: Duration::ZERO,
            connected: false,
        })
    }

    /// Ends this sink's connection before, and those of owners before, with what the server has not
    /// come to of their writes.
    fn connect(&mut self) -> Result<(), SinkError> {
        let now = self.shared.now();
        let down = self.shared.down.lock().unwrap();
        let down = down
            .as_ref()
            .is_some_and(|(table, until)| *table == self.table.name && now < *until);
        if down || now < self.outage || self.shared.death.strikes() {
            return Err(away());
        }
        if !self.connected && !without("fence") {
            self.connected = true;
            let mut late = self.shared.late.lock().unwrap();
            late.retain(|late| {
                late.epoch == self.epoch && late.query != self.query || late.epoch > self.epoch
            });
        }
        Ok(())
    }

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
                    "{} ({}): progress went back, from {before:?} to {progress:?}",
                    self.query,
                    self.table.name
                );
            }
        }
        known.insert(self.query.clone(), progress.clone());
    }

    fn put(&self, batch: &ChangeBatch, row: usize) -> Put {
        let schema = &self.table.schema;
        let text = |at: usize| {
            let mut text = String::new();
            write_value(&mut text, batch.rows.column(at).as_ref(), row);
            text
        };
        let is_key = |at: usize| self.table.primary_key.contains(&batch.columns[at]);
        let columns = 0..batch.columns.len();
        let key: Vec<String> = columns.clone().filter(|at| is_key(*at)).map(text).collect();
        let deleted = batch.ops[row] == Op::Delete;
        let changed = |at: &usize| !is_key(*at) && (deleted || batch.is_changed(row, *at));
        let value = |at: usize| {
            let stands = !deleted && batch.rows.column(at).is_valid(row);
            let name = schema.field(batch.columns[at]).name().clone();
            (name, stands.then(|| text(at)))
        };
        let live_ms = batch.live_ms[row];
        let ttl = self.ttl.filter(|_| live_ms != NO_EXPIRY);
        Put {
            key: key.join("|"),
            values: columns.filter(changed).map(value).collect(),
            live_ms: ttl.map(|ttl| live_ms + ttl.as_millis() as i64),
        }
    }

    fn append(&self, batch: &ChangeBatch, row: usize) {
        let mut line = String::from("{");
        for (at, column) in batch.columns.iter().enumerate() {
            let separator = if at == 0 { "" } else { "," };
            let name = self.table.schema.field(*column).name();
            line.push_str(&format!("{separator}\"{name}\":"));
            write_json(&mut line, batch.rows.column(at).as_ref(), row);
        }
        line.push('}');
        let mut appended = self.shared.appended.lock().unwrap();
        let lines = appended.entry(self.table.name.clone()).or_default();
        lines.push(line);
    }

    /// Writes rows in order. False where the process dies on the way.
    fn rows(&self, batch: &ChangeBatch, count: usize) -> bool {
        for row in 0..count {
            if self.shared.death.strikes() {
                return false;
            }
            if self.table.is_append_only() {
                self.append(batch, row);
            } else {
                self.shared.apply(&self.table.name, &self.put(batch, row));
            }
        }
        !self.shared.death.strikes()
    }

    /// The server comes back without the table.
    fn lose(&mut self) -> SinkError {
        let mut tables = self.shared.tables.lock().unwrap();
        tables.insert(self.table.name.clone(), BTreeMap::new());
        // With the values goes what stood beside them.
        self.shared.notes.lock().unwrap().remove(&self.query);
        self.connected = false;
        let mut late = self.shared.late.lock().unwrap();
        late.retain(|late| late.query != self.query);
        SinkError::Rewrite("simulated".to_owned())
    }

    /// Only a part of the batch arrives, or later, or what stood is lost.
    fn fail(&mut self, batch: &ChangeBatch) -> SinkError {
        let shared = Arc::clone(&self.shared);
        let some = shared.random(batch.len() as u64 + 1) as usize;
        if !self.rows(batch, some) {
            return away();
        }
        match shared.random(4) {
            0 => self.outage = shared.now() + Duration::from_millis(shared.random(9_000)),
            1 if self.lossy => return self.lose(),
            2 => {
                // The client gives up, and the server does the rest when it comes to it.
                self.connected = false;
                let mut due = shared.now();
                for row in some..batch.len() {
                    due += Duration::from_millis(shared.random(2_000));
                    shared.late.lock().unwrap().push(Late {
                        due,
                        query: self.query.clone(),
                        epoch: self.epoch,
                        table: self.table.name.clone(),
                        put: self.put(batch, row),
                    });
                }
                self.outage = shared.now() + Duration::from_millis(shared.random(4_000));
            }
            _ => {}
        }
        away()
    }
}

impl Sink for MemorySink {
    fn write(&mut self, batch: &ChangeBatch, progress: &Progress) -> Result<(), SinkError> {
        assert_eq!(batch.rows.num_rows(), batch.len());
        self.connect()?;
        if !progress.offsets.is_empty() {
            self.remember(progress);
        }
        let fault = self.shared.random(1_000) < self.shared.faults.load(Relaxed);
        if fault && self.table.is_append_only() {
            self.outage = self.shared.now() + Duration::from_millis(self.shared.random(9_000));
            return Err(away());
        }
        if fault {
            return Err(self.fail(batch));
        }
        if !self.rows(batch, batch.len()) {
            return Err(away());
        }
        self.writes += batch.len() as u64;
        Ok(())
    }

    fn verify(&mut self) -> Result<(), SinkError> {
        self.connect()?;
        let fault = self.shared.random(1_000) < self.shared.faults.load(Relaxed);
        if !fault {
            return Ok(());
        }
        if self.lossy && !self.table.is_append_only() && self.shared.random(2) == 0 {
            return Err(self.lose());
        }
        self.outage = self.shared.now() + Duration::from_millis(self.shared.random(9_000));
        Err(away())
    }

    fn writes(&self) -> u64 {
        self.writes
    }

    fn progress(&mut self) -> Result<Option<Progress>, SinkError> {
        self.connect()?;
        if self.shared.random(4) == 0 {
            self.outage = self.shared.now() + Duration::from_millis(self.shared.random(2_000));
            return Err(away());
        }
        let progress = self.shared.progress.lock().unwrap();
        Ok(progress.get(&self.query).cloned())
    }

    fn note(
        &mut self,
        keys: &[Vec<u8>],
        number: u64,
        drop_below: Option<u64>,
    ) -> Result<(), SinkError> {
        self.connect()?;
        if without("notes") {
            return Ok(());
        }
        let mut notes = self.shared.notes.lock().unwrap();
        let notes = notes.entry(self.query.clone()).or_default();
        notes.retain(|_, noted| drop_below.is_none_or(|below| *noted >= below));
        notes.extend(keys.iter().map(|key| (key.clone(), number)));
        if self.shared.death.strikes()
            || self.shared.random(1_000) < self.shared.faults.load(Relaxed)
        {
            return Err(away());
        }
        Ok(())
    }

    fn noted(&mut self) -> Result<Vec<Vec<u8>>, SinkError> {
        self.connect()?;
        let notes = self.shared.notes.lock().unwrap();
        let own = notes.get(&self.query);
        Ok(own.into_iter().flat_map(BTreeMap::keys).cloned().collect())
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
