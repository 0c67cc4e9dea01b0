//! Files of statements, input lines and what the sinks hold after: `slt/*.slt`, in the format of
//! sqllogictest. A record that is none of SQL is one of
//!
//! - `INPUT name`, then lines: they are added to the file `${DIR}/name.jsonl`;
//! - `ROWS name`: what the file `${DIR}/name.jsonl` holds after a run, as sorted lines. Of a keyed
//!   table it is the last row of each key, changes applied in their order;
//! - `CHANGES name`: the lines of that file as they were written.
//!
//! Every SQL record is a file of its own, so places in errors count from its first line. All are
//! run once with one shard and large chunks and once with three and small ones, and `ROWS` must
//! not differ. With `TIDEWHEEL_BLESS=1` in the environment the expectations are written anew.

#![allow(clippy::unwrap_used, clippy::result_large_err, reason = "a test")]

use serde_json::Value;
use sqllogictest::{DB, DBOutput, DefaultColumnType, Runner};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tidewheel_core::env::SystemEnv;
use tidewheel_core::{Diagnostics, Env, Registry, SourceText};
use tidewheel_runtime::{EngineError, RunOptions, Running};
use tidewheel_sql::plan::Program;
use tidewheel_sql::{CompileContext, compile};

#[derive(Debug)]
enum Failure {
    Sql(Diagnostics),
    Run(EngineError),
    Record(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sql(errors) => errors.fmt(f),
            Self::Run(error) => error.fmt(f),
            Self::Record(message) => message.fmt(f),
        }
    }
}

impl std::error::Error for Failure {}

fn registry() -> Registry {
    let mut registry = tidewheel_connectors::registry();
    tidewheel_formats::register(&mut registry);
    registry
}

#[derive(Default)]
struct Engine {
    statements: Vec<Arc<SourceText>>,
    inputs: BTreeMap<String, String>,
    /// What each way of running wrote, by file; empty before the first question.
    written: Vec<BTreeMap<String, String>>,
    /// Tables with a PRIMARY KEY: the names of its columns.
    keys: BTreeMap<String, Vec<String>>,
}

impl Engine {
    fn compiled(&self, texts: &[Arc<SourceText>], folder: &Path) -> Result<Program, Failure> {
        let registry = registry();
        let mut context = CompileContext::new(&registry);
        let folder = folder.display().to_string();
        context.environment.insert("DIR".to_owned(), folder);
        compile(texts, &context).map_err(Failure::Sql)
    }

    fn statement(&mut self, text: &str) -> Result<(), Failure> {
        let mut texts = self.statements.clone();
        texts.push(Arc::new(SourceText {
            name: "query.sql".to_owned(),
            text: text.to_owned(),
        }));
        let folder = tempfile::tempdir().unwrap();
        self.compiled(&texts, folder.path())?;
        self.statements = texts;
        self.written.clear();
        Ok(())
    }

    fn run_all(&mut self) -> Result<(), Failure> {
        if !self.written.is_empty() {
            return Ok(());
        }
        for (shards, decoders, chunk_bytes) in [(1, 1, 1 << 20), (3, 2, 64)] {
            let folder = tempfile::tempdir().unwrap();
            for (name, lines) in &self.inputs {
                std::fs::write(folder.path().join(format!("{name}.jsonl")), lines).unwrap();
            }
            let program = self.compiled(&self.statements, folder.path())?;
            for query in &program.queries {
                let table = &query.sink;
                let key = table.primary_key.iter();
                let key = key
                    .map(|at| table.schema.field(*at).name().clone())
                    .collect();
                self.keys.insert(table.name.clone(), key);
            }
            let env: Arc<dyn Env> = Arc::new(SystemEnv::new(registry()));
            let options = RunOptions {
                shards,
                decoders,
                chunk_bytes,
                ..RunOptions::default()
            };
            let running = Running::start(&program, &env, &options).map_err(Failure::Run)?;
            running.wait().map_err(Failure::Run)?;
            let mut written = BTreeMap::new();
            for entry in std::fs::read_dir(folder.path()).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_stem().unwrap().to_string_lossy().into_owned();
                written.insert(name, std::fs::read_to_string(path).unwrap());
            }
            self.written.push(written);
        }
        Ok(())
    }

    fn rows(&self, name: &str, written: &BTreeMap<String, String>) -> Result<Vec<String>, Failure> {
        let lines = written
            .get(name)
            .ok_or_else(|| Failure::Record(format!("there is no file of the table '{name}'")))?;
        let key = self.keys.get(name).filter(|key| !key.is_empty());
        let Some(key) = key else {
            let mut lines: Vec<String> = lines.lines().map(str::to_owned).collect();
            lines.sort();
            return Ok(lines);
        };
        let mut rows: BTreeMap<String, BTreeMap<Vec<String>, String>> = BTreeMap::new();
        for line in lines.lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            let row = row.as_object().unwrap();
            let own: Vec<&Value> = key.iter().map(|column| &row[column]).collect();
            let identity = serde_json::to_string(&own).unwrap();
            if row["op"] == "delete" {
                rows.remove(&identity);
                continue;
            }
            // Queries that own some of a table's columns write a line each.
            let columns: Vec<String> = row.keys().cloned().collect();
            let shown = line.replace(",\"op\":\"upsert\"", "");
            rows.entry(identity).or_default().insert(columns, shown);
        }
        let mut rows: Vec<String> = rows.into_values().flat_map(BTreeMap::into_values).collect();
        rows.sort();
        Ok(rows)
    }
}

impl DB for Engine {
    type Error = Failure;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, text: &str) -> Result<DBOutput<DefaultColumnType>, Failure> {
        let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
        let lines = match first.trim().split_once(' ') {
            Some(("INPUT", name)) => {
                let lines = self.inputs.entry(name.to_owned()).or_default();
                for line in rest.lines() {
                    lines.push_str(line);
                    lines.push('\n');
                }
                self.written.clear();
                return Ok(DBOutput::StatementComplete(0));
            }
            Some(("ROWS", name)) => {
                self.run_all()?;
                let rows = self.rows(name, &self.written[0])?;
                let others = self.rows(name, &self.written[1])?;
                if rows != others {
                    return Err(Failure::Record(format!(
                        "the rows differ; one shard:\n{}\nthree shards:\n{}",
                        rows.join("\n"),
                        others.join("\n")
                    )));
                }
                rows
            }
            Some(("CHANGES", name)) => {
                self.run_all()?;
                let written = self.written[0].get(name).cloned().unwrap_or_default();
                written.lines().map(str::to_owned).collect()
            }
            _ => {
                self.statement(text)?;
                return Ok(DBOutput::StatementComplete(0));
            }
        };
        Ok(DBOutput::Rows {
            types: vec![DefaultColumnType::Text],
            rows: lines.into_iter().map(|line| vec![line]).collect(),
        })
    }
}

fn check(file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/slt")
        .join(file);
    let mut runner = Runner::new(|| async { Ok(Engine::default()) });
    if std::env::var("TIDEWHEEL_BLESS").is_ok() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let update = runner.update_test_file(
            &path,
            " ",
            sqllogictest::default_validator,
            sqllogictest::default_normalizer,
            sqllogictest::default_column_validator,
        );
        runtime.block_on(update).unwrap();
        return;
    }
    if let Err(error) = runner.run_file(&path) {
        panic!("{}", error.display(false));
    }
}

macro_rules! files {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            check(concat!(stringify!($name), ".slt"));
        })*

        #[test]
        fn no_file_is_left_out() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slt");
            let mut names: Vec<String> = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
                .collect();
            names.sort();
            assert_eq!(names, [$(concat!(stringify!($name), ".slt")),*]);
        }
    };
}

files! {
    cascades
    current
    events_in
    functions
    newest
    over
    per_window
    refusals
    several
    top
}
