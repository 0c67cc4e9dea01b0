//! `tidewheel replay`: dead letters go back to where they came from.
//!
//! A table of bad or late rows holds, for each, the topic, partition and offset it stood at, the
//! reason, and the record's bytes. Replaying reads such a table to its present end and sends the
//! records on. What was sent is noted in a file, so that running it again sends nothing twice.

mod letters;
mod notes;
mod target;

use crate::cli::ReplayArgs;
use crate::error::CliError;
use crate::out;
use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use comfy_table::{Table, presets};
use letters::{Letter, Letters};
use notes::Notes;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use target::Target;

/// Records that are sent, acknowledged and noted together.
const BATCH: usize = 500;
/// Where what was sent is noted, unless `--notes` says.
const NOTES: &str = ".tidewheel/replay";

/// What became of the rows.
#[derive(Debug, Default)]
struct Counts {
    /// By topic and reason, how many are sent.
    sent: BTreeMap<(String, String), u64>,
    total: u64,
    /// Left out by a filter.
    filtered: u64,
    /// Sent before, or twice in the table.
    before: u64,
    /// Without a place, or without the record's exact bytes.
    unusable: u64,
}

/// Reads, filters, sends and notes.
pub(crate) fn replay(args: &ReplayArgs, json: bool) -> Result<(), CliError> {
    let filter = Filter::parse(args)?;
    let mut letters = Letters::open(&args.from)?;
    let target = Target::parse(&args.into)?;
    let path = args.notes.clone().unwrap_or_else(|| PathBuf::from(NOTES));
    let mut notes = Notes::read(&path)?;
    let mut sender = if args.dry_run {
        None
    } else {
        Some(target.open()?)
    };
    let mut counts = Counts::default();
    let mut batch: Vec<(u128, Letter)> = Vec::new();
    let mut first_unusable = None;
    while let Some(letter) = letters.next()? {
        let letter = match letter {
            Ok(letter) => letter,
            Err(why) => {
                counts.unusable += 1;
                first_unusable.get_or_insert(why);
                continue;
            }
        };
        if !filter.takes(&letter) {
            counts.filtered += 1;
            continue;
        }
        let id = letter.id(&args.into);
        let known = if args.again {
            notes.is_new_here(id)
        } else {
            notes.is_new(id)
        };
        if !known {
            counts.before += 1;
            continue;
        }
        let kind = (letter.topic.clone(), letter.reason.clone());
        *counts.sent.entry(kind).or_default() += 1;
        counts.total += 1;
        if sender.is_some() {
            batch.push((id, letter));
        }
        let full = args.limit.is_some_and(|limit| counts.total >= limit);
        if let Some(sender) = &mut sender
            && (batch.len() >= BATCH || full)
        {
            send(sender, &mut notes, &mut batch)?;
        }
        if full {
            break;
        }
    }
    if let Some(sender) = &mut sender {
        send(sender, &mut notes, &mut batch)?;
    }
    show(args, &counts, &notes, first_unusable.as_deref(), json);
    Ok(())
}

/// Sends a batch: it is noted as begun before, and as sent once all is acknowledged. What was only
/// begun may have arrived or not, so it is not sent again unless asked for.
fn send(
    sender: &mut target::Sender,
    notes: &mut Notes,
    batch: &mut Vec<(u128, Letter)>,
) -> Result<(), CliError> {
    if batch.is_empty() {
        return Ok(());
    }
    // What cannot be reached is known before anything counts as begun.
    for (_, letter) in batch.iter() {
        sender.reach(letter)?;
    }
    notes.begin(batch.iter().map(|(id, _)| *id))?;
    for (_, letter) in batch.iter() {
        sender.send(letter)?;
    }
    sender.flush()?;
    notes.end(batch.iter().map(|(id, _)| *id))?;
    batch.clear();
    Ok(())
}

/// Which rows are meant.
struct Filter {
    reasons: Vec<String>,
    topics: Vec<String>,
    since_ns: Option<i64>,
}

impl Filter {
    fn parse(args: &ReplayArgs) -> Result<Self, CliError> {
        let since = args.since.as_deref().map(|text| {
            string_to_timestamp_nanos(text).map_err(|_| {
                CliError::Usage(format!(
                    "--since '{text}' is no time; write it like '2026-01-31 12:00:00' (UTC)"
                ))
            })
        });
        Ok(Self {
            reasons: args.reason.clone(),
            topics: args.topic.clone(),
            since_ns: since.transpose()?,
        })
    }

    fn takes(&self, letter: &Letter) -> bool {
        let time = || letter.event_time.as_deref().map(string_to_timestamp_nanos);
        let reason = |text: &String| letter.reason.contains(text.as_str());
        (self.reasons.is_empty() || self.reasons.iter().any(reason))
            && (self.topics.is_empty() || self.topics.contains(&letter.topic))
            && self
                .since_ns
                .is_none_or(|since| matches!(time(), Some(Ok(time)) if time >= since))
    }
}

fn show(args: &ReplayArgs, counts: &Counts, notes: &Notes, unusable: Option<&str>, json: bool) {
    let uncertain = notes.uncertain();
    if json {
        let kinds: Vec<_> = counts
            .sent
            .iter()
            .map(|((topic, reason), count)| {
                json!({ "topic": topic, "reason": reason, "records": count })
            })
            .collect();
        let all = json!({
            "dry_run": args.dry_run,
            "sent": counts.total,
            "sent_before": counts.before,
            "filtered": counts.filtered,
            "unusable": counts.unusable,
            "uncertain": uncertain,
            "kinds": kinds,
        });
        return out::line(&all.to_string());
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["RECORDS", "TOPIC", "REASON"]);
    for ((topic, reason), count) in &counts.sent {
        table.add_row([&count.to_string(), topic, reason]);
    }
    if counts.total > 0 {
        out::line(&format!("{}\n", table.trim_fmt()));
    }
    let verb = if args.dry_run {
        "would be sent"
    } else {
        "sent"
    };
    let mut text = format!("{} {verb} to {}", counts.total, args.into);
    for (count, what) in [
        (counts.before, "sent before"),
        (counts.filtered, "left out by filters"),
        (counts.unusable, "without place or exact bytes"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    out::line(&text);
    if let Some(why) = unusable {
        out::line(&format!(
            "of those without place or exact bytes the first: {why}"
        ));
    }
    if uncertain > 0 {
        out::line(&format!(
            "{uncertain} were being sent when an earlier run ended, and may have arrived or not; \
             --again sends them"
        ));
    }
}
