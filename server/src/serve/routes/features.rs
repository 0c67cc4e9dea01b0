//! `/api/v1/features`: what sinks hold, by key.

use super::super::body::{decoded, query_values, raw_values};
use super::super::problem::Problem;
use super::super::{App, blocking, wall_ms};
use super::replies::{Any, Named, Stored};
use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::Uri;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use tidewheel_connectors::lookup::{Held, Lookups};
use tidewheel_core::TableSpec;
use utoipa::ToSchema;

/// What a table holds for one key.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct FeatureBody {
    /// The table.
    #[schema(example = "product_features_5m")]
    pub table: String,
    /// The parts of the key, by column.
    #[schema(value_type = Object, example = json!({"user_key": "42"}))]
    pub key: BTreeMap<String, String>,
    /// False when nothing stands there: the key is not known, or its values have expired.
    pub found: bool,
    /// The value columns; NULL where nothing stands.
    #[schema(value_type = Object, example = json!({"product_view_count": 3}))]
    pub values: Map<String, Value>,
    /// The members of a sorted set, highest score first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<MemberBody>>,
    /// Milliseconds until the first of its values expires.
    pub ttl_ms: Option<i64>,
}

/// A member of a sorted set.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct MemberBody {
    /// Its text.
    pub member: String,
    /// Its score.
    pub score: f64,
}

/// What was found for several keys, or in several tables.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct FeatureList {
    /// Each, in the order asked for.
    pub features: Vec<FeatureBody>,
    /// Tables that could not be read, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = Object)]
    pub away: BTreeMap<String, String>,
}

fn feature(table: &TableSpec, columns: &[usize], key: &[String], held: Held) -> FeatureBody {
    let name = |column: &usize| table.schema.field(*column).name().clone();
    let members = held.members.map(|members| {
        let member = |(member, score)| MemberBody { member, score };
        members.into_iter().map(member).collect()
    });
    FeatureBody {
        table: table.name.clone(),
        key: columns.iter().map(name).zip(key.iter().cloned()).collect(),
        found: held.found,
        values: held.values,
        members,
        ttl_ms: held.ttl_ms,
    }
}

/// The sink of that name.
fn sink(app: &App, name: &str) -> Result<TableSpec, Problem> {
    let view = app.catalogue.view();
    let mut sinks = view.program.queries.iter().map(|query| &query.sink);
    sinks
        .find(|sink| sink.name == name)
        .cloned()
        .ok_or_else(|| {
            Problem::not_found(format!(
                "no query writes a table '{}'; GET /api/v1/tables lists all",
                name.escape_debug()
            ))
        })
}

/// A key out of its text in the address: where the table's key has several parts, they are
/// separated by commas (`%2C` is a comma in a part).
fn parts(raw: &str, count: usize) -> Vec<String> {
    if count <= 1 {
        return vec![decoded(raw); count];
    }
    raw.split(',').map(decoded).collect()
}

fn read(app: &App, table: &TableSpec, raw: &[String]) -> Result<Vec<FeatureBody>, Problem> {
    let columns = Lookups::key_columns(table)?;
    let keys: Vec<Vec<String>> = raw.iter().map(|raw| parts(raw, columns.len())).collect();
    let held = app.lookups.get(table, &keys, wall_ms())?;
    let all = keys.iter().zip(held);
    Ok(all
        .map(|(key, held)| feature(table, &columns, key, held))
        .collect())
}

fn check_count(app: &App, count: usize) -> Result<(), Problem> {
    if count > app.limits.keys {
        return Err(Problem::bad_request(format!(
            "{count} keys are more than one request reads, {} (limits.keys)",
            app.limits.keys
        )));
    }
    Ok(())
}

/// One key of one table
///
/// A key of several parts has them separated by commas, in the order of `feature_key` of the
/// table. A key that is not known answers with `found: false`.
#[utoipa::path(
    get, path = "/api/v1/features/{table}/{key}", tag = "features", operation_id = "readFeature",
    params(
        ("table" = String, Path, description = "The table that a query writes", example = "product_features_5m"),
        ("key" = String, Path, description = "The key", example = "42")
    ),
    responses((status = 200, body = FeatureBody, description = "What the sink holds"), Any, Named, Stored)
)]
pub(super) async fn one_key(
    State(app): State<Arc<App>>,
    Path(path): Path<(String, String)>,
    uri: Uri,
) -> Result<Json<FeatureBody>, Problem> {
    let raw = uri.path().rsplit('/').next().unwrap_or("").to_owned();
    blocking(move || {
        let table = sink(&app, &path.0)?;
        let found = read(&app, &table, &[raw])?.pop();
        found
            .map(Json)
            .ok_or_else(|| Problem::internal("a lookup gave no answer"))
    })
    .await?
}

/// Many keys of one table
///
/// `keys` may be given several times; keys of one part may also be separated by commas.
#[utoipa::path(
    get, path = "/api/v1/features/{table}", tag = "features", operation_id = "readFeatures",
    params(
        ("table" = String, Path, description = "The table that a query writes"),
        ("keys" = String, Query, description = "The keys", example = "42,43")
    ),
    responses((status = 200, body = FeatureList, description = "What the sink holds, key by key"), Any, Named, Stored)
)]
pub(super) async fn many_keys(
    State(app): State<Arc<App>>,
    Path(table): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<FeatureList>, Problem> {
    let query = query.unwrap_or_default().replace('+', "%20");
    blocking(move || {
        let table = sink(&app, &table)?;
        let one_part = Lookups::key_columns(&table)?.len() == 1;
        let given = raw_values(&query, "keys").filter(|keys| !keys.is_empty());
        let keys: Vec<String> = if one_part {
            given
                .flat_map(|keys| keys.split(','))
                .map(str::to_owned)
                .collect()
        } else {
            given.map(str::to_owned).collect()
        };
        if keys.is_empty() {
            return Err(Problem::bad_request("no key is given; write ?keys=42,43"));
        }
        check_count(&app, keys.len())?;
        Ok(Json(FeatureList {
            features: read(&app, &table, &keys)?,
            away: BTreeMap::new(),
        }))
    })
    .await?
}

/// All tables of one key
///
/// Looks the key up in every table whose key has one part (of that name, with `column`), and
/// answers with those that hold something.
#[utoipa::path(
    get, path = "/api/v1/features", tag = "features", operation_id = "readFeaturesOfKey",
    params(
        ("key" = String, Query, description = "The key", example = "42"),
        ("column" = Option<String>, Query, description = "Only tables with this key column", example = "user_key")
    ),
    responses((status = 200, body = FeatureList, description = "What was found, table by table"), Any)
)]
pub(super) async fn all_tables(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Json<FeatureList>, Problem> {
    let query = query.unwrap_or_default();
    blocking(move || {
        let Some(key) = query_values(&query, "key")
            .pop()
            .filter(|key| !key.is_empty())
        else {
            return Err(Problem::bad_request("no key is given; write ?key=42"));
        };
        let wanted = query_values(&query, "column").pop();
        let view = app.catalogue.view();
        let sinks = view.program.queries.iter().map(|query| &query.sink);
        let sinks: BTreeMap<&str, &TableSpec> =
            sinks.map(|sink| (sink.name.as_str(), sink)).collect();
        let mut list = FeatureList {
            features: Vec::new(),
            away: BTreeMap::new(),
        };
        for (name, table) in sinks {
            let Ok(columns) = Lookups::key_columns(table) else {
                continue;
            };
            let [column] = columns.as_slice() else {
                continue;
            };
            let is_wanted = |wanted: &String| wanted == table.schema.field(*column).name();
            if !wanted.as_ref().is_none_or(is_wanted) {
                continue;
            }
            let keys = [vec![key.clone()]];
            match app.lookups.get(table, &keys, wall_ms()) {
                Ok(held) => {
                    let found = held.into_iter().filter(|held| held.found);
                    let body = found.map(|held| feature(table, &columns, &keys[0], held));
                    list.features.extend(body);
                }
                Err(error) => {
                    let why = crate::tables::masked_text(&error.to_string());
                    list.away.insert(name.to_owned(), why);
                }
            }
        }
        Ok(Json(list))
    })
    .await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_several_parts_are_split_at_commas() {
        assert_eq!(parts("a%2Cb,c", 2), ["a,b", "c"]);
        assert_eq!(parts("a,b", 1), ["a,b"]);
        assert_eq!(parts("%C3%BC%2F", 1), ["ü/"]);
        assert!(parts("x", 0).is_empty());
    }
}
