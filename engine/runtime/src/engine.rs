//! Builds the tasks of a program, connects them, and watches over them.

use crate::error::EngineError;
use crate::plan::{Chain, chain};
use crate::scan::bad::SideRow;
use crate::scan::dedup::Dedup;
use crate::scan::partition::TableTime;
use crate::scan::program::ScanProgram;
use crate::scan::reader::{Reader, ReaderMessage};
use crate::scan::sequencer::{BadRowPolicy, Sequencer};
use crate::scan::worker::{TableReading, Work, Worker};
use crate::shard::message::{Feedback, ShardMessage};
use crate::shard::query::QueryShard;
use crate::shard::step::{StepState, micros};
use crate::shard::{Shard, SourceShard};
use crate::sink::SinkTask;
use crate::sink::message::SinkMessage;
use crate::sink::side::SideTask;
use crate::stats::{Stats, Summary};
use crate::task::{Executor, Threads, channel};
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tidewheel_core::{
    DecodeRequest, Env, SinkRequest, Source, SourceRequest, TableSpec, time::NO_TIME,
};
use tidewheel_kernel::keys::KeyEncoder;
use tidewheel_kernel::window::{SetId, WindowOperator};
use tidewheel_sql::plan::{BadRows, MetadataKind, Program, SourceTable};

/// Waiting chunks between the reader and the workers, for each worker.
const CHUNKS_WAITING: usize = 2;
/// Waiting batches in front of a shard.
const BATCHES_WAITING: usize = 8;
/// Waiting messages in front of a sink.
const CHANGES_WAITING: usize = 8;
/// Waiting groups of bad rows in front of their table.
const SIDE_WAITING: usize = 64;
/// Bytes of one chunk, about.
const CHUNK_BYTES: usize = 1024 * 1024;

/// How to run.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Shards: threads that hold state.
    pub shards: usize,
    /// Threads that decode, for each source table.
    pub decoders: usize,
    /// Bytes of one chunk, about.
    pub chunk_bytes: usize,
}

impl Default for RunOptions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            shards: cores,
            decoders: cores,
            chunk_bytes: CHUNK_BYTES,
        }
    }
}

/// The tasks of a program, under an executor.
pub struct Engine {
    stats: Arc<Stats>,
    errors: Arc<parking_lot::Mutex<Vec<EngineError>>>,
    readers: Vec<Sender<ReaderMessage>>,
    give_up: Arc<AtomicBool>,
    bounded: bool,
}

/// The tables for bad and late rows that are in use.
type SideTables = BTreeMap<String, Sender<Vec<SideRow>>>;

impl Engine {
    /// Builds and starts everything.
    ///
    /// # Errors
    /// A connector or format refuses its table, or a query has a shape that is not executed.
    pub fn start(
        program: &Program,
        env: &Arc<dyn Env>,
        executor: &dyn Executor,
        options: &RunOptions,
    ) -> Result<Self, EngineError> {
        let chains: Vec<Arc<Chain>> = program
            .queries
            .iter()
            .map(|query| chain(query).map(Arc::new))
            .collect::<Result<_, _>>()?;
        let mut builder = Builder {
            env: Arc::clone(env),
            executor,
            options,
            stats: Arc::default(),
            errors: Arc::default(),
            give_up: Arc::default(),
            sides: SideTables::new(),
            tasks: Vec::new(),
        };
        let mut programs = Vec::new();
        for source in 0..program.sources.len() {
            let mut scan = ScanProgram::default();
            for chain in chains.iter().filter(|chain| chain.source == source) {
                scan.add(chain)?;
            }
            scan.finish();
            programs.push(Arc::new(scan));
        }
        let mut shard_ends = Vec::new();
        for _ in 0..options.shards.max(1) {
            shard_ends.push((
                channel::<ShardMessage>(executor, BATCHES_WAITING),
                unbounded::<Feedback>(),
            ));
        }
        let to_shards: Vec<_> = shard_ends
            .iter()
            .map(|((sender, _), _)| sender.clone())
            .collect();
        let feedback: Vec<_> = shard_ends
            .iter()
            .map(|(_, (sender, _))| sender.clone())
            .collect();
        let mut sinks = Vec::new();
        for (number, chain) in chains.iter().enumerate() {
            sinks.push(builder.sink(number, chain, &feedback)?);
        }
        let mut readers = Vec::new();
        let mut bounded = true;
        let mut lates = Vec::new();
        for (number, table) in program.sources.iter().enumerate() {
            let (reader, ends) =
                builder.source(number, table, &programs[number], to_shards.clone())?;
            readers.push(reader);
            bounded &= ends;
            lates.push(match &table.late_rows_table {
                None => None,
                Some(late) => Some((builder.side(late)?, topic(&table.spec))),
            });
        }
        for (number, ((_, inbox), (_, from_sinks))) in shard_ends.into_iter().enumerate() {
            builder.shard(
                number, inbox, from_sinks, &chains, &programs, &sinks, &lates,
            )?;
        }
        drop(lates);
        let Builder {
            stats,
            errors,
            give_up,
            tasks,
            ..
        } = builder;
        for task in tasks {
            executor.spawn(task);
        }
        Ok(Self {
            stats,
            errors,
            readers,
            give_up,
            bounded,
        })
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    /// The counters now.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.stats.summary()
    }

    /// Errors that stopped something.
    #[must_use]
    pub fn errors(&self) -> Vec<EngineError> {
        self.errors.lock().clone()
    }

    /// True when every source ends.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        self.bounded
    }

    /// Stops reading. What was read is computed and written, windows stay open.
    pub fn stop(&self) {
        for reader in &self.readers {
            let _ = reader.send(ReaderMessage::Stop);
        }
    }

    /// Sinks that are away are not waited for any more.
    pub fn give_up(&self) {
        self.give_up.store(true, Relaxed);
        self.stop();
    }
}

/// A program on threads, from start to end.
pub struct Running {
    /// The engine.
    pub engine: Engine,
    threads: Arc<Threads>,
}

impl Running {
    /// Starts a program on threads.
    ///
    /// # Errors
    /// As [`Engine::start`].
    pub fn start(
        program: &Program,
        env: &Arc<dyn Env>,
        options: &RunOptions,
    ) -> Result<Self, EngineError> {
        let threads = Arc::new(Threads::default());
        let engine = Engine::start(program, env, threads.as_ref(), options)?;
        Ok(Self { engine, threads })
    }

    /// True once everything has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.threads.is_finished()
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// The first error that stopped something.
    pub fn wait(&self) -> Result<Summary, EngineError> {
        let fine = self.threads.join();
        if let Some(error) = self.engine.errors().into_iter().next() {
            return Err(error);
        }
        if fine {
            Ok(self.engine.summary())
        } else {
            Err(EngineError::Defect)
        }
    }
}

fn topic(table: &TableSpec) -> String {
    let options = &table.options;
    options
        .get("topic")
        .or_else(|| options.get("path"))
        .unwrap_or(&table.name)
        .to_owned()
}

struct Builder<'a> {
    env: Arc<dyn Env>,
    executor: &'a dyn Executor,
    options: &'a RunOptions,
    stats: Arc<Stats>,
    errors: Arc<parking_lot::Mutex<Vec<EngineError>>>,
    give_up: Arc<AtomicBool>,
    sides: SideTables,
    tasks: Vec<Box<dyn crate::task::Task>>,
}

fn refused(table: &TableSpec) -> impl Fn(tidewheel_core::ConnectorError) -> EngineError + '_ {
    |error| EngineError::Table {
        table: table.name.clone(),
        message: error.message,
    }
}

impl Builder<'_> {
    fn open_sink(&self, table: &TableSpec) -> Result<Box<dyn tidewheel_core::Sink>, EngineError> {
        let connector = self
            .env
            .registry()
            .for_table(&table.options)
            .map_err(refused(table))?;
        let request = SinkRequest {
            table: table.clone(),
            env: Arc::clone(&self.env),
        };
        connector.sink(&request).map_err(refused(table))
    }

    fn sink(
        &mut self,
        number: usize,
        chain: &Arc<Chain>,
        feedback: &[Sender<Feedback>],
    ) -> Result<Sender<SinkMessage>, EngineError> {
        let (sender, inbox) = channel(self.executor, CHANGES_WAITING + 2 * feedback.len());
        let mut tail = Vec::new();
        for (at, step) in chain.tail.iter().enumerate() {
            let asked = chain.tail.get(at + 1).is_some_and(StepState::asks_identity);
            tail.push(StepState::new(&chain.name, step, false, asked)?.with_ttl(chain.ttl()));
        }
        let task = SinkTask::new(
            number,
            Arc::clone(chain),
            self.open_sink(&chain.sink)?,
            inbox,
            feedback.to_vec(),
            tail,
            Arc::clone(&self.env),
            Arc::clone(&self.stats),
            Arc::clone(&self.errors),
            Arc::clone(&self.give_up),
        );
        self.tasks.push(Box::new(task));
        Ok(sender)
    }

    /// The task that writes a table of bad or late rows; one for all that name it.
    fn side(&mut self, table: &TableSpec) -> Result<Sender<Vec<SideRow>>, EngineError> {
        if let Some(known) = self.sides.get(&table.name) {
            return Ok(known.clone());
        }
        let (sender, inbox) = channel(self.executor, SIDE_WAITING);
        self.tasks.push(Box::new(SideTask {
            sink: self.open_sink(table)?,
            table: table.clone(),
            inbox,
            env: Arc::clone(&self.env),
            errors: Arc::clone(&self.errors),
            give_up: Arc::clone(&self.give_up),
            waiting: None,
        }));
        self.sides.insert(table.name.clone(), sender.clone());
        Ok(sender)
    }

    fn source(
        &mut self,
        number: usize,
        table: &SourceTable,
        program: &Arc<ScanProgram>,
        shards: Vec<Sender<ShardMessage>>,
    ) -> Result<(Sender<ReaderMessage>, bool), EngineError> {
        let spec = &table.spec;
        let registry = self.env.registry();
        let connector = registry.for_table(&spec.options).map_err(refused(spec))?;
        let format_name = spec.options.get_or("format", "json");
        let format = registry
            .format(format_name)
            .ok_or_else(|| EngineError::Table {
                table: spec.name.clone(),
                message: format!(
                    "there is no format '{format_name}'; known are {}",
                    registry.format_names().join(", ")
                ),
            })?;
        let metadata = table
            .metadata
            .iter()
            .filter_map(|column| match column.kind {
                MetadataKind::Timestamp => Some("timestamp".to_owned()),
                MetadataKind::Key => Some("key".to_owned()),
                MetadataKind::Headers => Some("headers".to_owned()),
                MetadataKind::Partition | MetadataKind::Offset | MetadataKind::Topic => None,
            })
            .collect();
        let source: Box<dyn Source> = connector
            .source(&SourceRequest {
                table: spec.clone(),
                start: BTreeMap::new(),
                metadata,
                env: Arc::clone(&self.env),
            })
            .map_err(refused(spec))?;
        let (to_workers, work) =
            channel::<Work>(self.executor, CHUNKS_WAITING * self.options.decoders);
        let (to_sequencer, results) =
            channel(self.executor, CHUNKS_WAITING * self.options.decoders + 4);
        let (to_reader, reader_inbox) = unbounded();
        let request = DecodeRequest {
            columns: table.read.clone(),
            options: spec.options.clone(),
        };
        let reading = TableReading {
            topic: topic(spec),
            metadata: table.metadata.clone(),
            schema: Arc::clone(&table.scan_schema),
            event_time: table.event_time.clone(),
            watermark: table.watermark.clone(),
            dedup: table.dedup.as_ref().map(|(keys, _)| keys.clone()),
            order_by: table.order_by.clone(),
            max_ahead: micros(table.max_ahead),
        };
        for number in 0..self.options.decoders.max(1) {
            self.tasks.push(Box::new(Worker {
                number,
                reading: reading.clone(),
                decoder: format.decoder(&request).map_err(refused(spec))?,
                inbox: work.clone(),
                outbox: to_sequencer.clone(),
            }));
        }
        let partitions = source.partitions();
        let mut time = TableTime::new(table.idle_timeout, table.max_drift);
        for partition in &partitions {
            time.add(*partition, self.env.monotonic());
        }
        let bounded = source.is_bounded();
        self.tasks.push(Box::new(Reader {
            table: spec.name.clone(),
            source,
            inbox: reader_inbox,
            workers: to_workers,
            sequencer: to_sequencer,
            program: Arc::clone(program),
            chunk_bytes: self.options.chunk_bytes,
            env: Arc::clone(&self.env),
            stats: Arc::clone(&self.stats),
            ticket: 0,
            open: partitions,
        }));
        let bad_rows = match &table.bad_rows {
            BadRows::Drop => BadRowPolicy::Drop,
            BadRows::Fail => BadRowPolicy::Fail,
            BadRows::DeadLetter(table) => BadRowPolicy::Send(self.side(table)?),
        };
        let dedup_window = table
            .dedup
            .as_ref()
            .map_or(0, |(_, window)| micros(*window));
        self.tasks.push(Box::new(Sequencer {
            table: spec.name.clone(),
            source: number,
            inbox: results,
            reader: to_reader.clone(),
            shards,
            program: Arc::clone(program),
            time,
            dedup: table.dedup.as_ref().map(|_| Dedup::new(dedup_window)),
            dedup_window,
            bad_rows,
            env: Arc::clone(&self.env),
            stats: Arc::clone(&self.stats),
            errors: Arc::clone(&self.errors),
            waiting: BTreeMap::new(),
            next: 0,
            dedup_expired: NO_TIME,
            last_tick: Duration::ZERO,
        }));
        Ok((to_reader, bounded))
    }

    #[allow(clippy::too_many_arguments)]
    fn shard(
        &mut self,
        number: usize,
        inbox: Receiver<ShardMessage>,
        feedback: Receiver<Feedback>,
        chains: &[Arc<Chain>],
        programs: &[Arc<ScanProgram>],
        sinks: &[Sender<SinkMessage>],
        lates: &[Option<(Sender<Vec<SideRow>>, String)>],
    ) -> Result<(), EngineError> {
        let mut sources = Vec::new();
        for (source, program) in programs.iter().enumerate() {
            let of_source = chains.iter().filter(|chain| chain.source == source);
            let of_source: Vec<_> = of_source.zip(&program.inputs).collect();
            let mut groups = Vec::new();
            for (number, group) in program.groups.iter().enumerate() {
                // All sets at once, so that the operator sees which of them can share slices.
                let mut specs = Vec::new();
                let mut keeps = Vec::new();
                for (chain, input) in &of_source {
                    if input.group == Some(number)
                        && let Some(spec) = QueryShard::set_spec(chain, input)
                    {
                        specs.push(spec);
                        keeps.push(QueryShard::keeps(chain));
                    }
                }
                if specs.is_empty() {
                    groups.push(None);
                    continue;
                }
                let encoder = KeyEncoder::new(group.encoder.types())
                    .map_err(|error| EngineError::Expression(error.to_string()))?;
                let mut operator = WindowOperator::new(encoder, specs);
                for (set, keep) in (0..).zip(keeps) {
                    operator.set_keep(SetId(set), keep);
                }
                groups.push(Some(operator));
            }
            sources.push(SourceShard::new(
                Arc::clone(program),
                groups,
                lates[source].clone(),
            ));
        }
        let mut next_input = vec![0; programs.len()];
        // Sets are numbered as the queries come, within each key group.
        let mut next_set: BTreeMap<(usize, usize), u32> = BTreeMap::new();
        let mut queries = Vec::new();
        for (chain, sink) in chains.iter().zip(sinks) {
            let input = programs[chain.source].inputs[next_input[chain.source]].clone();
            next_input[chain.source] += 1;
            let set = match (input.group, QueryShard::set_spec(chain, &input)) {
                (Some(group), Some(_)) => {
                    let next = next_set.entry((chain.source, group)).or_insert(0);
                    *next += 1;
                    Some(SetId(*next - 1))
                }
                _ => None,
            };
            queries.push(QueryShard::new(
                Arc::clone(chain),
                input,
                set,
                sink.clone(),
            )?);
        }
        self.tasks.push(Box::new(Shard {
            number,
            inbox,
            feedback,
            sources,
            queries,
            env: Arc::clone(&self.env),
            stats: Arc::clone(&self.stats),
            errors: Arc::clone(&self.errors),
            give_up: Arc::clone(&self.give_up),
            timers_left: false,
            unserved: 0,
            expiry_served: Duration::ZERO,
            reported: (Duration::ZERO, [0; 4]),
        }));
        Ok(())
    }
}
