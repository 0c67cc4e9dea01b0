//! The thread that writes. Requests that wait at the same time are written together, so that one
//! append, or one wait for the broker, serves all of them.

use super::Place;
use super::target::{SinkError, Target};
use crate::batch::Batch;
use crate::metrics::{Count, Metrics};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tidewheel_connectors::log::{Fsync, LogConfig};
use tokio::sync::oneshot;

/// Requests that may wait to be written; more are told to come back.
const WAITING_MAX: usize = 8_192;
/// Bytes that are written together.
const TOGETHER_BYTES: usize = 8 << 20;
/// How often a place is asked whether it is there, while nothing is written.
const PROBE_IDLE: Duration = Duration::from_secs(5);
/// The same while it is away.
const PROBE_AWAY: Duration = Duration::from_millis(500);

/// Where records go.
#[derive(Debug, Clone)]
pub struct Targets {
    /// Topic JSON.
    pub json: Option<Place>,
    /// Enriched TSV.
    pub tsv: Option<Place>,
    /// Bad rows; without a place they are counted only.
    pub bad: Option<Place>,
    /// When an append to a log counts as done.
    pub fsync: Fsync,
    /// Properties of the Kafka client.
    pub properties: Vec<(String, String)>,
}

impl Default for Targets {
    fn default() -> Self {
        Self {
            json: None,
            tsv: None,
            bad: None,
            fsync: LogConfig::default().fsync,
            properties: Vec::new(),
        }
    }
}

/// The sink did not take a batch; it may do so later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sink is away")]
pub struct Away;

struct Job {
    batch: Batch,
    done: oneshot::Sender<Result<(), Away>>,
}

/// Writes batches and says when they are held.
#[derive(Debug)]
pub struct Sink {
    jobs: Mutex<Option<SyncSender<Job>>>,
    away: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Sink {
    /// Opens the places and starts the thread.
    ///
    /// # Errors
    /// A place cannot be opened, or there are no threads.
    pub fn start(targets: &Targets, metrics: Arc<Metrics>) -> Result<Self, SinkError> {
        let open = |place: &Option<Place>| {
            let open = |place| Target::open(place, targets.fsync, &targets.properties);
            place.as_ref().map(open).transpose()
        };
        let away = Arc::new(AtomicBool::new(false));
        let writer = Writer {
            json: open(&targets.json)?,
            tsv: open(&targets.tsv)?,
            bad: open(&targets.bad)?,
            away: Arc::clone(&away),
            metrics,
        };
        let (jobs, waiting) = sync_channel(WAITING_MAX);
        let thread = std::thread::Builder::new()
            .name("collector-sink".to_owned())
            .spawn(move || writer.run(&waiting))
            .map_err(|error| SinkError(format!("cannot start a thread: {error}")))?;
        Ok(Self {
            jobs: Mutex::new(Some(jobs)),
            away,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// True while the last try to write, or to reach a place, failed.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.away.load(Relaxed)
    }

    /// Writes a batch, and returns when all its records are held.
    ///
    /// # Errors
    /// They are not. Some may be: who sends the events again makes repeats, with the same ids.
    pub async fn write(&self, batch: Batch) -> Result<(), Away> {
        if self.is_away() {
            return Err(Away);
        }
        let (done, held) = oneshot::channel();
        match &*self.jobs.lock() {
            Some(jobs) => jobs.try_send(Job { batch, done }).map_err(|_| Away)?,
            None => return Err(Away),
        }
        held.await.unwrap_or(Err(Away))
    }

    /// Writes what waits and ends the thread.
    pub fn stop(&self) {
        drop(self.jobs.lock().take());
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the sink's thread ended with a defect");
        }
    }
}

struct Writer {
    json: Option<Target>,
    tsv: Option<Target>,
    bad: Option<Target>,
    away: Arc<AtomicBool>,
    metrics: Arc<Metrics>,
}

impl Writer {
    fn run(mut self, waiting: &Receiver<Job>) {
        let mut jobs = Vec::new();
        loop {
            let away = self.away.load(Relaxed);
            match waiting.recv_timeout(if away { PROBE_AWAY } else { PROBE_IDLE }) {
                Ok(job) => jobs.push(job),
                Err(RecvTimeoutError::Timeout) => {
                    let probed = self.each(|target| target.probe());
                    self.note(&probed);
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let mut bytes = 0;
            while bytes < TOGETHER_BYTES
                && let Ok(job) = waiting.try_recv()
            {
                bytes += job.batch.bytes();
                jobs.push(job);
            }
            let written = self.write(&jobs);
            self.note(&written);
            let result = written.map_err(|_| Away);
            for job in jobs.drain(..) {
                // Nobody may be waiting any more.
                let _ = job.done.send(result);
            }
        }
    }

    fn write(&mut self, jobs: &[Job]) -> Result<(), SinkError> {
        let batches = || jobs.iter().map(|job| &job.batch);
        if let Some(json) = &mut self.json {
            json.write(batches().map(|batch| (&batch.json, batch.collector_ms)))?;
        }
        if let Some(tsv) = &mut self.tsv {
            tsv.write(batches().map(|batch| (&batch.tsv, batch.collector_ms)))?;
        }
        if let Some(bad) = &mut self.bad {
            bad.write(batches().map(|batch| (&batch.bad, batch.collector_ms)))?;
        }
        self.each(|target| target.settle())?;
        let (mut records, mut bytes) = (0, 0);
        for batch in batches() {
            records += batch.json.len() + batch.tsv.len() + batch.bad.len();
            bytes += batch.bytes();
        }
        self.metrics.add(Count::Records, records as u64);
        self.metrics.add(Count::Bytes, bytes as u64);
        Ok(())
    }

    fn each(
        &mut self,
        act: impl FnMut(&mut Target) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        let targets = [&mut self.json, &mut self.tsv, &mut self.bad];
        targets.into_iter().flatten().try_for_each(act)
    }

    /// Notes whether the sink is there, and says so when that changes.
    fn note(&mut self, result: &Result<(), SinkError>) {
        let was_away = self.away.swap(result.is_err(), Relaxed);
        match result {
            Ok(()) if was_away => tracing::info!("the sink takes records again"),
            Ok(()) => {}
            Err(error) => {
                self.metrics.count(Count::SinkFailure);
                let _ = self.each(|target| {
                    target.give_up();
                    Ok(())
                });
                if !was_away {
                    tracing::warn!(%error, "the sink does not take records");
                }
            }
        }
    }
}
