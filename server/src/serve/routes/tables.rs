//! `/api/v1/tables`: what queries read and write.

use super::super::App;
use super::super::engine::{SourceStatus, source_word};
use super::super::problem::Problem;
use super::super::time_text;
use super::replies::{Any, Named};
use crate::catalogue::{View, file_of, sources_of};
use crate::tables::{masked_option, masked_text};
use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidewheel_connectors::lookup::Lookups;
use tidewheel_sql::{TableInfo, TableKind};
use utoipa::ToSchema;

/// A table.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct TableBody {
    /// Its name.
    #[schema(example = "shopper_events")]
    pub name: String,
    /// `source` (or used by nothing), `sink` (bad and late rows too), or `view`.
    pub role: String,
    /// The file that declares it.
    #[schema(example = "events.sql")]
    pub file: String,
    /// Its connector.
    #[schema(example = "kafka")]
    pub connector: String,
    /// Its columns, computed ones included.
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
    /// Each table and view of the folder.
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

fn body(info: &TableInfo) -> TableBody {
    let columns = info.columns.iter();
    let options = info.options.iter();
    TableBody {
        name: info.name.clone(),
        role: match info.kind {
            TableKind::Source => "source",
            TableKind::Sink => "sink",
            TableKind::View => "view",
        }
        .to_owned(),
        file: info.file.clone(),
        connector: info.options.get("connector").cloned().unwrap_or_default(),
        columns: columns
            .map(|column| ColumnBody {
                name: column.name.clone(),
                data_type: column.data_type.clone(),
            })
            .collect(),
        primary_key: info.primary_key.clone(),
        feature_key: Vec::new(),
        // What the connector does not call a secret may hold one: a login in a URL.
        options: options
            .map(|(name, value)| (name.clone(), masked_option(name, value)))
            .collect(),
        read_by: Vec::new(),
        written_by: Vec::new(),
        source: None,
    }
}

/// All tables of the catalogue, by name.
fn all(view: &View, statuses: &[SourceStatus]) -> BTreeMap<String, TableBody> {
    let program = &view.program;
    let listed = program.tables.iter();
    let mut tables: BTreeMap<String, TableBody> =
        listed.map(|info| (info.name.clone(), body(info))).collect();
    for query in &program.queries {
        let file = file_of(&query.name);
        if let Some(table) = tables.get_mut(&query.sink.name) {
            let key = Lookups::key_columns(&query.sink).unwrap_or_default();
            let name = |column: &usize| query.sink.schema.field(*column).name().clone();
            table.feature_key = key.iter().map(name).collect();
            add(&mut table.written_by, file);
        }
        let mut sources = Vec::new();
        sources_of(&query.root, &mut sources);
        for source in sources
            .into_iter()
            .filter_map(|source| program.sources.get(source))
        {
            if let Some(table) = tables.get_mut(&source.spec.name) {
                add(&mut table.read_by, file);
            }
        }
    }
    for status in statuses {
        if let Some(table) = tables.get_mut(&status.table) {
            table.source = Some(source_body(status));
        }
    }
    tables
}

fn add(names: &mut Vec<String>, name: &str) {
    if !names.iter().any(|known| known == name) {
        names.push(name.to_owned());
    }
}

/// All tables
#[utoipa::path(
    get, path = "/api/v1/tables", tag = "tables", operation_id = "listTables",
    responses((status = 200, body = TableList, description = "Each table and view of the folder"), Any)
)]
pub(super) async fn list(State(app): State<Arc<App>>) -> Json<TableList> {
    let tables = all(&app.catalogue.view(), &app.engine.sources());
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
    let mut tables = all(&app.catalogue.view(), &app.engine.sources());
    tables.remove(&name).map(Json).ok_or_else(|| {
        Problem::not_found(format!(
            "there is no table '{}'; GET /api/v1/tables lists all",
            name.escape_debug()
        ))
    })
}
