//! Lets a query read history, beside the live reading of its source.

use super::apply::{Beginning, History};
use super::build::ScanRequest;
use super::carry::Ready;
use super::open::Opened;
use super::state::{HistoryRun, SourceId, SourceRun, State};
use crate::plan::{Chain, Keyed};
use crate::scan::meeting::Guest;
use crate::shard::message::ShardMessage;
use crate::status::QueryState;
use crate::task::Task;
use std::collections::BTreeSet;
use std::sync::Arc;
use tidewheel_core::EventTime;
use tidewheel_core::time::{MICROS_PER_MILLI, MICROS_PER_SECOND};
use tidewheel_kernel::spec::WindowKind;
use tidewheel_sql::plan::SourceTable;

/// Records may be this much older than their place says: a history begins so much before its
/// first window.
const HISTORY_MARGIN: i64 = 60 * MICROS_PER_SECOND;

/// The instant before which a history lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Past {
    /// The frontier then; `None`: no row had come.
    pub(super) frontier: Option<EventTime>,
    /// How far event times lay beyond their records' timestamps at most, milliseconds.
    pub(super) lead_ms: Option<i64>,
}

impl Past {
    /// Now, as a running source knows it.
    pub(super) fn now(source: &SourceRun) -> Self {
        Self {
            frontier: source.handle.frontier(),
            lead_ms: source.handle.lead_ms(),
        }
    }
}

impl History {
    /// Where a query that needs `length` microseconds before `past` begins to read. `now` is the
    /// wall clock where the source began at its end: before its first row, that is all that is
    /// known. (Where it began elsewhere, the history then begins there too.)
    pub(super) fn of(past: Past, length: i64, now: Option<i64>) -> Self {
        let frontier = past.frontier.or(now);
        let from = frontier.map(|frontier| frontier.saturating_sub(length) - HISTORY_MARGIN);
        let from_ms = from.map(|from| from.div_euclid(MICROS_PER_MILLI));
        // Where records bear older times than their events, a record's time does not say where
        // to begin.
        let margin_ms = HISTORY_MARGIN / MICROS_PER_MILLI;
        let begin_ms = if past.lead_ms.is_some_and(|lead| lead > margin_ms) {
            Some(0)
        } else {
            from_ms
        };
        Self {
            length,
            frontier: past.frontier,
            from_ms,
            begin_ms,
        }
    }
}

impl State {
    /// Starts a query's own reading of history, beside the live one.
    pub(super) fn begin_history(
        &mut self,
        id: SourceId,
        table: &SourceTable,
        new: Beginning,
        ready: Ready,
        tasks: &mut Vec<Box<dyn Task>>,
    ) {
        let Ready { sink, history } = ready;
        let (Some(live), Some(wanted), Some(source)) =
            (self.sources.get(&id), new.history, history)
        else {
            return;
        };
        let own = BTreeSet::from([new.id]);
        let program = Arc::new(live.full.only(&own));
        let live = Arc::clone(&live.handle);
        let Some(input) = program.inputs.get(&new.id).cloned() else {
            return;
        };
        let mut shards = Vec::new();
        let mut states = Vec::new();
        for number in 0..self.shards.len() {
            let (task, inbox, state) = self.history_shard(number);
            tasks.push(task);
            shards.push(inbox);
            states.push(state);
        }
        let request = ScanRequest {
            id,
            table,
            source,
            shards: shards.clone(),
            program: Arc::clone(&program),
            decoders: self.shared.options.decoders,
            history: Some((new.id, live)),
            saved: None,
        };
        let scan = match self.scan(request, &mut Opened::default()) {
            Ok(scan) => scan,
            Err(error) => {
                new.handle.set_state(QueryState::Failed {
                    message: format!("its history cannot be read: {error}"),
                });
                return self.register(id, new, sink, None, tasks);
            }
        };
        for (number, shard) in shards.iter().enumerate() {
            let _ = shard.send(ShardMessage::SourceBegins {
                source: id,
                late: None,
            });
            let _ = shard.send(ShardMessage::Queries {
                source: id,
                program: Arc::clone(&program),
                remove: Vec::new(),
                add: vec![new.query(input.clone(), &sink, number, true)],
            });
        }
        let skip_until = wanted.frontier.filter(|_| !new.chain.current);
        let history = HistoryRun {
            guest: Guest {
                reader: scan.reader,
                has_joined: false,
            },
            states,
            repeats: scan.repeats,
            replaces: new.replaces,
            handle: scan.handle,
            from_ms: wanted.from_ms,
            length: wanted.length,
            begins_late: scan.begins_late,
            skip_until,
        };
        tasks.extend(scan.tasks);
        self.register(id, new, sink, Some(history), tasks);
    }
}

/// How far before the frontier rows still matter to a query, microseconds; `None`: no row before
/// the first one it sees does.
pub(super) fn length(chain: &Chain, without_end: i64) -> Option<i64> {
    let all = chain.steps.iter().chain(&chain.tail);
    let mut total: Option<i64> = None;
    for step in all {
        let own = match &step.keyed {
            Keyed::Window { window, .. } => match window.kind {
                WindowKind::Tumble { size }
                | WindowKind::Hop { size, .. }
                | WindowKind::Cumulate { size, .. } => size,
                WindowKind::Session { .. } => without_end,
            },
            Keyed::Group {
                window_end: Some(_),
                ..
            }
            | Keyed::TopN { .. } => 0,
            Keyed::Group { .. } if total.is_some() => 0,
            Keyed::Group { .. } | Keyed::Latest { .. } | Keyed::Over { .. } => without_end,
        };
        total = Some(total.unwrap_or(0).saturating_add(own));
    }
    total
}
