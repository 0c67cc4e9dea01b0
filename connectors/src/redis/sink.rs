//! The sink: progress first, then values, in pipelines of a bounded size.

use super::config::{Config, Layout};
use super::failure::{Failure, Failures};
use super::fence::Fence;
use super::layout::{RowPlan, Scratch};
use super::link::{Found, Link};
use super::resp::Commands;
use crate::progress;
use redis::{Value, cmd};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tidewheel_core::{
    ChangeBatch, ConnectorError, Env, Progress, Sink, SinkError, SinkRequest, TableSpec,
};

/// Shortest time between two attempts to connect.
const RECONNECT_PAUSE_MIN: Duration = Duration::from_millis(20);
/// Longest time between two attempts to connect; it doubles up to here.
const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Writes a table to Redis.
pub(super) struct RedisSink {
    table: TableSpec,
    config: Config,
    env: Arc<dyn Env>,
    link: Link,
    commands: Commands,
    scratch: Scratch,
    progress_key: String,
    /// The progress that the server holds, as far as is known.
    progress: Option<Progress>,
    /// Monotonic time before which no new attempt to connect is made.
    connect_after: Duration,
    pause: Duration,
    writes: u64,
}

impl RedisSink {
    /// Opens the sink; it connects when it first writes.
    ///
    /// # Errors
    /// An option is wrong, or the file of certificates cannot be read.
    pub(super) fn open(request: &SinkRequest) -> Result<Self, ConnectorError> {
        let config = Config::parse(&request.table)?;
        let shared = matches!(config.layout, Layout::Hash | Layout::SortedSet { .. });
        let needs_script = shared && config.ttl_ms.is_some();
        Ok(Self {
            link: Link::new(
                &config,
                &request.table.name,
                request.owner.as_ref().map(Fence::new),
                needs_script,
            )?,
            progress_key: progress::key(request),
            table: request.table.clone(),
            config,
            env: Arc::clone(&request.env),
            commands: Commands::default(),
            scratch: Scratch::default(),
            progress: None,
            connect_after: Duration::ZERO,
            pause: Duration::ZERO,
            writes: 0,
        })
    }

    /// Connects where there is no connection, with a pause that grows while it fails.
    fn connect(&mut self) -> Result<(), SinkError> {
        if self.link.is_connected() {
            return Ok(());
        }
        let wait = self.connect_after.saturating_sub(self.env.monotonic());
        if !wait.is_zero() {
            self.env.sleep(wait);
        }
        let marker = self
            .progress
            .is_some()
            .then_some(self.progress_key.as_str());
        match self.link.connect(&self.config, marker) {
            Ok(found) => {
                self.pause = Duration::ZERO;
                self.connect_after = Duration::ZERO;
                if found == Found::Lost {
                    return Err(self.lost("the Redis server was restarted or replaced"));
                }
                Ok(())
            }
            Err(failure) => {
                self.pause = (self.pause * 2).clamp(RECONNECT_PAUSE_MIN, RECONNECT_PAUSE_MAX);
                self.connect_after = self.env.monotonic() + self.pause;
                Err(failure.into_sink_error())
            }
        }
    }

    fn lost(&mut self, reason: &str) -> SinkError {
        self.progress = None;
        if self.link.fence().is_some() {
            self.link.begin_anew();
        }
        SinkError::Rewrite(format!(
            "{reason}; all values of the table '{}' are written again",
            self.table.name
        ))
    }

    /// Writes how far the input was read, where that went on, and waits for the acknowledgement.
    fn write_progress(&mut self, progress: &Progress) -> Result<(), SinkError> {
        let raised = progress::raised(self.progress.as_ref(), progress);
        let fields: Vec<(String, String)> = progress::fields(&raised).collect();
        if fields.is_empty() {
            return Ok(());
        }
        let key = self.progress_key.as_bytes();
        self.commands.clear();
        match self.link.fence() {
            None => {
                self.commands.begin(2 + 2 * fields.len(), 0);
                self.commands.arg(b"HSET");
                self.commands.arg(key);
            }
            Some(fence) => {
                self.commands.begin(6 + 2 * fields.len(), 0);
                self.commands.arg(b"EVALSHA");
                self.commands.arg(self.link.raise_script.as_bytes());
                self.commands.arg(b"2");
                self.commands.arg(key);
                self.commands.arg(fence.key.as_bytes());
                self.commands.arg(fence.owner.epoch.to_string().as_bytes());
            }
        }
        for (name, text) in &fields {
            self.commands.arg(name.as_bytes());
            self.commands.arg(text.as_bytes());
        }
        let mut failures = Failures::default();
        let mut added = 0;
        self.link
            .run(&self.commands, &mut failures, |_, number| added = number)
            .map_err(|broken| broken.into_sink_error())?;
        self.finish(failures)?;
        self.stop_behind(added)?;
        // The reply says how many fields were new. More than this sink adds: the key was gone,
        // and the values with it (FLUSHALL, or an eviction).
        let expected = self
            .progress
            .as_ref()
            .map(|before| progress::new_fields(before, &raised));
        if expected.is_some_and(|expected| usize::try_from(added).unwrap_or(0) > expected) {
            return Err(self.lost("the Redis server has lost the table's progress key"));
        }
        progress::raise(self.progress.get_or_insert_default(), raised);
        Ok(())
    }

    /// The outcome of a flush; gives the connection up where a failure asks for that.
    fn finish(&mut self, failures: Failures) -> Result<(), SinkError> {
        if failures.reconnect {
            self.link.drop_connection();
        }
        failures.into_result()
    }

    /// Runs the script that notes keys.
    fn write_notes(
        &mut self,
        keys: &[Vec<u8>],
        number: u64,
        drop_below: Option<u64>,
    ) -> Result<(), SinkError> {
        let Some(fence) = self.link.fence() else {
            return Ok(());
        };
        let notes = progress::notes_key(&self.progress_key);
        self.commands.clear();
        self.commands.begin(8 + keys.len(), 0);
        for arg in [
            "EVALSHA",
            &self.link.note_script,
            "2",
            &notes,
            &fence.key,
            &fence.owner.epoch.to_string(),
            &drop_below.unwrap_or(0).to_string(),
            &number.to_string(),
        ] {
            self.commands.arg(arg.as_bytes());
        }
        for key in keys {
            self.commands.arg(progress::member(key).as_bytes());
        }
        let mut failures = Failures::default();
        let mut epoch = 0;
        self.link
            .run(&self.commands, &mut failures, |_, number| epoch = number)
            .map_err(|broken| broken.into_sink_error())?;
        self.finish(failures)?;
        self.stop_behind(epoch)
    }

    /// Stops where a script answered with a later owner's epoch, below zero.
    fn stop_behind(&mut self, answer: i64) -> Result<(), SinkError> {
        match self.link.fence() {
            Some(fence) if answer < 0 => {
                let failure = fence.taken_over(answer.unsigned_abs());
                self.link.drop_connection();
                Err(failure.into_sink_error())
            }
            _ => Ok(()),
        }
    }

    fn write_rows(&mut self, batch: &ChangeBatch) -> Result<(), SinkError> {
        let script = self.link.script.clone();
        let plan =
            RowPlan::new(&self.config, &self.table, &script, batch).map_err(SinkError::Fatal)?;
        let mut failures = Failures::default();
        self.commands.clear();
        for row in 0..batch.len() {
            plan.append(row, &mut self.scratch, &mut self.commands);
            let full = self.commands.bytes().len() >= self.config.batch_bytes;
            if !full && row + 1 < batch.len() || self.commands.len() == 0 {
                continue;
            }
            let written = self.link.run(&self.commands, &mut failures, |_, _| {});
            self.commands.clear();
            match written {
                Ok(count) => self.writes += count,
                Err(broken) => {
                    // The answer of a server that is gone tells more than its last errors.
                    return Err(broken.into_sink_error());
                }
            }
        }
        self.finish(failures)
    }
}

impl Sink for RedisSink {
    fn write(&mut self, batch: &ChangeBatch, progress: &Progress) -> Result<(), SinkError> {
        if batch.is_empty() {
            return Ok(());
        }
        check_shape(batch).map_err(Failure::into_sink_error)?;
        self.connect()?;
        self.write_progress(progress)?;
        self.write_rows(batch)
    }

    fn writes(&self) -> u64 {
        self.writes
    }

    fn verify(&mut self) -> Result<(), SinkError> {
        if self.writes == 0 && self.progress.is_none() {
            return Ok(());
        }
        self.connect()?;
        // Without progress any answer will do: one that went away and came back is known when it is
        // connected.
        let command = match self.progress {
            Some(_) => cmd("EXISTS").arg(&self.progress_key).clone(),
            None => cmd("PING"),
        };
        match self.link.ask::<Value>(&command) {
            Ok(Value::Int(0)) => {
                Err(self.lost("the Redis server has lost the table's progress key"))
            }
            Err(failure) if !self.link.is_connected() => Err(failure.into_sink_error()),
            // A refusal is an answer too: accounts may have few rights.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn progress(&mut self) -> Result<Option<Progress>, SinkError> {
        self.connect()?;
        let mut command = cmd("HGETALL");
        command.arg(&self.progress_key);
        let fields: HashMap<String, String> =
            self.link.ask(&command).map_err(Failure::into_sink_error)?;
        self.progress = progress::parse(
            fields
                .iter()
                .map(|(name, text)| (name.as_str(), text.as_str())),
        );
        Ok(self.progress.clone())
    }

    fn note(
        &mut self,
        keys: &[Vec<u8>],
        number: u64,
        drop_below: Option<u64>,
    ) -> Result<(), SinkError> {
        self.connect()?;
        self.write_notes(keys, number, drop_below)
    }

    fn noted(&mut self) -> Result<Vec<Vec<u8>>, SinkError> {
        self.connect()?;
        let mut command = cmd("ZRANGE");
        command
            .arg(progress::notes_key(&self.progress_key))
            .arg(0)
            .arg(-1);
        let members: Vec<String> = self.link.ask(&command).map_err(Failure::into_sink_error)?;
        Ok(members
            .iter()
            .filter_map(|member| progress::note(member))
            .collect())
    }
}

/// A batch whose parts do not fit one another is an error of the engine's, not a panic.
fn check_shape(batch: &ChangeBatch) -> Result<(), Failure> {
    let rows = batch.len();
    let fits = batch.rows.num_rows() == rows
        && batch.rows.num_columns() == batch.columns.len()
        && batch.live_ms.len() == rows
        && batch.changed.len() == rows;
    if fits {
        return Ok(());
    }
    Err(Failure {
        message: "internal error: the parts of a batch of changes differ in length".to_owned(),
        fatal: true,
        reconnect: false,
    })
}
