//! `tidewheel sql`: one SELECT, its results as a table, or live.

use crate::catalogue::resolve::{Compiler, Texts};
use crate::cli::{QueryArgs, SqlArgs};
use crate::error::CliError;
use crate::load::{registry, texts};
use crate::out;
use crate::redirect::sets_of;
use crate::select::{Begin, Selected, Selecting, compile, names};
use crate::signal::Stop;
use arrow::array::RecordBatch;
use comfy_table::{ContentArrangement, Table, presets};
use crossbeam_channel::RecvTimeoutError;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tidewheel_core::text::{write_json, write_json_string, write_value};
use tidewheel_core::{ChangeBatch, Op};
use tidewheel_runtime::RunOptions;

/// How often the end and signals are looked at.
const LOOK: Duration = Duration::from_millis(50);
/// The folder that is read where none is named.
const DEFAULT_FOLDER: &str = "queries";

/// Runs the SELECT until its inputs end, or Ctrl-C.
pub(crate) fn sql(args: &SqlArgs, json: bool) -> Result<(), CliError> {
    let registry = Arc::new(registry());
    let sets = sets_of(args.from.as_deref(), None, &args.sets)?;
    let begin = if args.follow {
        Begin::Table
    } else {
        // What has no end is read to its present end.
        Begin::ToEnd
    };
    let compiler = Compiler {
        registry: Arc::clone(&registry),
        environment: std::env::vars().collect(),
        sets,
    };
    let selected = compile(&compiler, &declared(args)?, &args.select, begin);
    let selected = selected.map_err(CliError::Sql)?;
    let selecting = Selecting::start(&selected, &registry, &RunOptions::default())?;
    let stop = Stop::listen();
    let mut results = Results::new(args.limit);
    let finished = loop {
        if stop.count() > 0 || (args.follow && results.is_full()) {
            break false;
        }
        match selecting.results.recv_timeout(LOOK) {
            Ok(batch) if args.follow => {
                let rows = batch.len().min(args.limit - results.count);
                results.count += rows;
                print_changes(&selected, &batch, rows, json);
            }
            Ok(batch) => results.add(&selected, &batch),
            Err(RecvTimeoutError::Timeout) => {
                if selecting.running.is_finished() && selecting.results.is_empty() {
                    break true;
                }
            }
            Err(RecvTimeoutError::Disconnected) => break true,
        }
    };
    let ended = selecting.end();
    if finished {
        ended?;
    }
    if !args.follow {
        results.print(&selected, json);
    }
    Ok(())
}

/// The texts that declare the tables.
fn declared(args: &SqlArgs) -> Result<Texts, CliError> {
    let paths = if !args.paths.is_empty() {
        args.paths.clone()
    } else if Path::new(DEFAULT_FOLDER).is_dir() {
        vec![PathBuf::from(DEFAULT_FOLDER)]
    } else {
        return Ok(Texts::new());
    };
    let files = texts(&QueryArgs {
        paths,
        sets: Vec::new(),
        from: None,
        into: None,
    })?;
    Ok(files
        .into_iter()
        .map(|file| (file.name.clone(), file))
        .collect())
}

fn row_json(rows: &RecordBatch, names: &[String], row: usize) -> String {
    let mut out = String::from("{");
    for (at, name) in names.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_json_string(&mut out, name);
        out.push(':');
        write_json(&mut out, rows.column(at).as_ref(), row);
    }
    out.push('}');
    out
}

fn texts_of(rows: &RecordBatch, row: usize) -> Vec<String> {
    let cell = |column: &arrow::array::ArrayRef| {
        let mut text = String::new();
        if !write_value(&mut text, column.as_ref(), row) {
            "NULL".clone_into(&mut text);
        }
        // Control characters must not reach a terminal.
        text.replace(char::is_control, " ")
    };
    rows.columns().iter().map(cell).collect()
}

fn print_changes(selected: &Selected, batch: &ChangeBatch, rows: usize, json: bool) {
    let names = names(&selected.table, batch);
    let mut text = String::new();
    for (row, op) in batch.ops.iter().enumerate().take(rows) {
        let deleted = *op == Op::Delete;
        if json {
            let op = if deleted { "delete" } else { "upsert" };
            let row = row_json(&batch.rows, &names, row);
            text.push_str(&format!("{{\"op\":\"{op}\",\"row\":{row}}}\n"));
        } else {
            let cells = texts_of(&batch.rows, row);
            let cells = names
                .iter()
                .zip(cells)
                .map(|(name, cell)| format!("{name}={cell}"));
            let sign = if deleted { "-" } else { "+" };
            let cells: Vec<String> = cells.collect();
            text.push_str(&format!("{sign} {}\n", cells.join(" ")));
        }
    }
    out::print(&text);
}

/// Rows as they stand in the end.
struct Results {
    limit: usize,
    count: usize,
    /// By the text of the key; by number where there is none.
    rows: BTreeMap<Vec<String>, (Vec<String>, String)>,
    names: Vec<String>,
    left_out: usize,
}

impl Results {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            count: 0,
            rows: BTreeMap::new(),
            names: Vec::new(),
            left_out: 0,
        }
    }

    fn is_full(&self) -> bool {
        self.count >= self.limit
    }

    fn add(&mut self, selected: &Selected, batch: &ChangeBatch) {
        self.names = names(&selected.table, batch);
        for (row, op) in batch.ops.iter().enumerate() {
            let cells = texts_of(&batch.rows, row);
            let key: Vec<String> = if selected.table.is_append_only() {
                self.count += 1;
                vec![format!("{:020}", self.count)]
            } else {
                let of_key = batch.columns.iter().zip(&cells);
                let of_key = of_key.filter(|(c, _)| selected.table.primary_key.contains(c));
                of_key.map(|(_, cell)| cell.clone()).collect()
            };
            if *op == Op::Delete {
                self.rows.remove(&key);
            } else if self.rows.len() < self.limit || self.rows.contains_key(&key) {
                let json = row_json(&batch.rows, &self.names, row);
                self.rows.insert(key, (cells, json));
            } else {
                self.left_out += 1;
            }
        }
    }

    fn print(&self, selected: &Selected, json: bool) {
        if json {
            let lines: Vec<&str> = self.rows.values().map(|(_, json)| json.as_str()).collect();
            if !lines.is_empty() {
                out::line(&lines.join("\n"));
            }
        } else {
            let mut table = Table::new();
            table.load_preset(presets::UTF8_FULL_CONDENSED);
            table.set_content_arrangement(ContentArrangement::Dynamic);
            let fields = selected.table.schema.fields().iter();
            if self.names.is_empty() {
                table.set_header(fields.map(|field| field.name().as_str()));
            } else {
                table.set_header(&self.names);
            }
            for (cells, _) in self.rows.values() {
                table.add_row(cells);
            }
            let rows = self.rows.len();
            out::line(&format!(
                "{table}\n{rows} {}",
                if rows == 1 { "row" } else { "rows" }
            ));
        }
        if self.left_out > 0 {
            eprintln!(
                "more than {} rows: {} changes of others are not shown; raise --limit",
                self.limit, self.left_out
            );
        }
    }
}
