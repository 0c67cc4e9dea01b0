//! `/api/v1/tables`: what queries read and write.

use super::super::App;
use super::super::engine::{SourceStatus, source_word};
use super::super::problem::Problem;
use super::super::time_text;
use super::replies::{Any, Named};
use crate::catalogue::{View, file_of, sources_of};
use crate::tables::{masked_text, options, sql_type};
use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidewheel_connectors::lookup::Lookups;
use tidewheel_core::{Registry, TableSpec};
use tidewheel_sql::plan::BadRows;
use utoipa::ToSchema;

/// A table.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct TableBody {
    /// Its name.
    #[schema(example = "shopper_events")]
    pub name: String,
    /// `source`, `sink` or `side` (takes bad or late rows).
    pub role: String,
    /// Its connector.
    #[schema(example = "kafka")]
    pub connector: String,
    /// Its physical columns.
    pub columns: Vec<ColumnBody>,
    /// Its PRIMARY KEY; empty for one that only grows.
    pub primary_key: Vec<String>,
    /// The parts of a key under `/api/v1/features/{table}/`; empty where it cannot be read by key.
    pub feature_key: Vec<String>,
    /// Its options; secrets are masked.
    pub options: BTreeMap<String, String>,
    /// The queries that read it.
    pub read_by: Vec<String>,
    /// The queries that write it.
    pub written_by: Vec<String>,
    /// How far a source is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceBody>,
}

/// A column.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ColumnBody {
    /// Its name.
    pub name: String,
    /// Its type, as SQL writes it.
    #[serde(rename = "type")]
    #[schema(example = "BIGINT")]
    pub data_type: String,
}

/// How far a source is, and what it has read since the start.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct SourceBody {
    /// `reading`, `away`, `ended` or `failed`.
    pub state: String,
    /// Why it is away or has failed.
    pub reason: Option<String>,
    /// True while it is read back to its end.
    pub behind: bool,
    /// The highest event time.
    pub frontier: Option<String>,
    /// The watermark.
    pub watermark: Option<String>,
    /// Records read.
    pub rows: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Bad rows.
    pub bad: u64,
    /// Rows too far ahead of the clock.
    pub future: u64,
    /// Repeats that were left out.
    pub repeats: u64,
    /// Its partitions.
    pub partitions: Vec<PartitionBody>,
}

/// A partition of a source.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct PartitionBody {
    /// Its number.
    pub partition: u32,
    /// The next offset to be read.
    pub next_offset: Option<u64>,
    /// Its watermark.
    pub watermark: Option<String>,
    /// It is read to its end.
    pub at_end: bool,
    /// It does not hold the table's time back.
    pub idle: bool,
}

/// All tables.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct TableList {
    /// Each table that some query reads or writes.
    pub tables: Vec<TableBody>,
}

fn source_body(status: &SourceStatus) -> SourceBody {
    let partitions = status.partitions.iter();
    let (state, reason) = source_word(&status.state);
    SourceBody {
        state: state.to_owned(),
        reason: reason.map(masked_text),
        behind: status.behind,
        frontier: status.frontier_ms.map(time_text),
        watermark: status.watermark_ms.map(time_text),
        rows: status.counters.rows_in,
        bytes: status.counters.bytes_in,
        bad: status.counters.bad,
        future: status.counters.future,
        repeats: status.counters.repeats,
        partitions: partitions
            .map(|partition| PartitionBody {
                partition: partition.partition,
                next_offset: partition.next_offset,
                watermark: partition
                    .watermark
                    .map(|time| time_text(time.div_euclid(1_000))),
                at_end: partition.at_end,
                idle: partition.idle,
            })
            .collect(),
    }
}

fn body(registry: &Registry, table: &TableSpec, role: &str) -> TableBody {
    let name = |column: &usize| table.schema.field(*column).name().clone();
    let feature_key = Lookups::key_columns(table).unwrap_or_default();
    let columns = table.schema.fields().iter();
    TableBody {
        name: table.name.clone(),
        role: role.to_owned(),
        connector: table.options.get_or("connector", "").to_owned(),
        columns: columns
            .map(|field| ColumnBody {
                name: field.name().clone(),
                data_type: sql_type(field.data_type()),
            })
            .collect(),
        primary_key: table.primary_key.iter().map(name).collect(),
        feature_key: feature_key.iter().map(name).collect(),
        options: options(registry, table).into_iter().collect(),
        read_by: Vec::new(),
        written_by: Vec::new(),
        source: None,
    }
}

/// All tables that the program knows, by name.
fn all(registry: &Registry, view: &View, statuses: &[SourceStatus]) -> BTreeMap<String, TableBody> {
    let program = &view.program;
    let mut tables: BTreeMap<String, TableBody> = BTreeMap::new();
    let mut read_by: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
    for query in &program.queries {
        let file = file_of(&query.name);
        let mut sources = Vec::new();
        sources_of(&query.root, &mut sources);
        for source in sources {
            read_by.entry(source).or_default().insert(file);
        }
        let table = tables
            .entry(query.sink.name.clone())
            .or_insert_with(|| body(registry, &query.sink, "sink"));
        if !table.written_by.iter().any(|known| known == file) {
            table.written_by.push(file.to_owned());
        }
    }
    for (number, source) in program.sources.iter().enumerate() {
        let table = tables
            .entry(source.spec.name.clone())
            .or_insert_with(|| body(registry, &source.spec, "source"));
        let readers = read_by.remove(&number).unwrap_or_default();
        table.read_by = readers.into_iter().map(str::to_owned).collect();
        let status = statuses
            .iter()
            .find(|status| status.table == source.spec.name);
        table.source = status.map(source_body);
        let bad = match &source.bad_rows {
            BadRows::DeadLetter(table) => Some(table),
            BadRows::Drop | BadRows::Fail => None,
        };
        for side in bad.into_iter().chain(&source.late_rows_table) {
            tables
                .entry(side.name.clone())
                .or_insert_with(|| body(registry, side, "side"));
        }
    }
    tables
}

/// All tables
#[utoipa::path(
    get, path = "/api/v1/tables", tag = "tables", operation_id = "listTables",
    responses((status = 200, body = TableList, description = "Each table that some query uses"), Any)
)]
pub(super) async fn list(State(app): State<Arc<App>>) -> Json<TableList> {
    let tables = all(&app.registry, &app.catalogue.view(), &app.engine.sources());
    Json(TableList {
        tables: tables.into_values().collect(),
    })
}

/// One table
#[utoipa::path(
    get, path = "/api/v1/tables/{name}", tag = "tables", operation_id = "readTable",
    params(("name" = String, Path, description = "The table", example = "shopper_events")),
    responses((status = 200, body = TableBody, description = "The table"), Any, Named)
)]
pub(super) async fn read(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Json<TableBody>, Problem> {
    let mut tables = all(&app.registry, &app.catalogue.view(), &app.engine.sources());
    tables.remove(&name).map(Json).ok_or_else(|| {
        Problem::not_found(format!(
            "no query uses a table '{}'; GET /api/v1/tables lists all",
            name.escape_debug()
        ))
    })
}
