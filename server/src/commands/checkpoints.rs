//! `tidewheel checkpoints`: what is kept, what is in it, and removing it.

use crate::cli::{CheckpointsCommand, CheckpointsPlace};
use crate::config::Config;
use crate::error::CliError;
use crate::out;
use arrow::temporal_conversions::timestamp_ms_to_datetime;
use comfy_table::{Table, presets};
use serde_json::{Value, json};
use std::sync::Arc;
use tidewheel_checkpoint::{
    CheckpointStore, FormatError, Found, Manifest, Name, ObjectStorage, SourceEntry, StorageError,
};

/// The settings that flags of the command stand for.
pub(crate) fn flags(
    command: &CheckpointsCommand,
) -> impl Iterator<Item = (&'static str, &'static str, String)> {
    let (CheckpointsCommand::List { place }
    | CheckpointsCommand::Inspect { place, .. }
    | CheckpointsCommand::Rm { place, .. }) = command;
    let CheckpointsPlace { location, pipeline } = place;
    let location = ("checkpoints.location", "--checkpoints", location.clone());
    let pipeline = ("checkpoints.pipeline", "--pipeline", pipeline.clone());
    let given = [location, pipeline].into_iter();
    given.filter_map(|(setting, flag, value)| Some((setting, flag, value?)))
}

/// Does what the command says.
pub(crate) fn checkpoints(
    command: &CheckpointsCommand,
    config: &Config,
    json: bool,
) -> Result<(), CliError> {
    let store = || Store::open(config);
    match command {
        CheckpointsCommand::List { .. } => list(&store()?, json),
        CheckpointsCommand::Inspect { name, .. } => inspect(&store()?, name_of(name)?, json),
        CheckpointsCommand::Rm { names, .. } => {
            let names: Result<Vec<Name>, CliError> = names.iter().map(|n| name_of(n)).collect();
            remove(&store()?, &names?, json)
        }
    }
}

/// The checkpoints of one pipeline, and where they are.
struct Store {
    store: CheckpointStore,
    place: String,
}

impl Store {
    fn open(config: &Config) -> Result<Self, CliError> {
        let location = config.text("checkpoints.location");
        if location.is_empty() {
            return Err(CliError::Usage(
                "say where the checkpoints are: --checkpoints WHERE, or location below [checkpoints] \
                 in tidewheel.toml"
                    .to_owned(),
            ));
        }
        let is_folder = !location.contains("://");
        // Looking must not make a folder.
        if is_folder && !std::path::Path::new(location).is_dir() {
            return Err(CliError::Other(format!(
                "there is no folder '{location}'; name the place that --checkpoints of run or \
                 serve names"
            )));
        }
        let storage = ObjectStorage::open(location)
            .map_err(|error| CliError::Other(format!("checkpoints in {location}: {error}")))?;
        Ok(Self {
            store: CheckpointStore::new(Arc::new(storage), config.text("checkpoints.pipeline")),
            place: location.to_owned(),
        })
    }

    fn failed(&self) -> impl Fn(StorageError) -> CliError {
        |error| CliError::Other(format!("checkpoints in {}: {error}", self.place))
    }

    /// The error for a name that is not there.
    fn missing(&self, name: Name) -> CliError {
        CliError::Other(format!(
            "the pipeline '{}' has no checkpoint {name} in {}; `tidewheel checkpoints list` \
             shows which there are",
            self.store.pipeline(),
            self.place
        ))
    }
}

fn name_of(text: &str) -> Result<Name, CliError> {
    text.parse().map_err(CliError::Usage)
}

fn list(store: &Store, json: bool) -> Result<(), CliError> {
    let found = store.store.list().map_err(store.failed())?;
    if json {
        let all: Vec<Value> = found.iter().map(line_json).collect();
        out::line(&Value::from(all).to_string());
        return Ok(());
    }
    if found.is_empty() {
        out::line(&format!(
            "no checkpoints of the pipeline '{}' in {}",
            store.store.pipeline(),
            store.place
        ));
        return Ok(());
    }
    let mut table = table(&[
        "NAME",
        "TAKEN (UTC)",
        "STATE",
        "SOURCES",
        "QUERIES",
        "VERSION",
    ]);
    for one in &found {
        match &one.manifest {
            Ok(manifest) => table.add_row([
                one.name.to_string(),
                time(manifest.at_ms),
                bytes(manifest.state_bytes()),
                manifest.sources.len().to_string(),
                queries(manifest).to_string(),
                manifest.version.clone(),
            ]),
            Err(error) => table.add_row([one.name.to_string(), format!("unusable: {error}")]),
        };
    }
    out::line(&table.trim_fmt());
    Ok(())
}

fn line_json(found: &Found) -> Value {
    let name = found.name.to_string();
    match &found.manifest {
        Ok(manifest) => json!({
            "name": name,
            "at_ms": manifest.at_ms,
            "state_bytes": manifest.state_bytes(),
            "sources": manifest.sources.len(),
            "queries": queries(manifest),
            "version": manifest.version,
        }),
        Err(error) => json!({ "name": name, "error": error.to_string() }),
    }
}

/// Shows one, once all of it was read: exit code 1 where it cannot be used.
fn inspect(store: &Store, name: Name, json: bool) -> Result<(), CliError> {
    if !store.store.names().map_err(store.failed())?.contains(&name) {
        return Err(store.missing(name));
    }
    let manifest = store.store.manifest(name).map_err(store.failed())?;
    let loaded = store.store.load(name).map_err(store.failed())?;
    let damage: Option<FormatError> = loaded.err();
    if let Ok(manifest) = &manifest {
        if json {
            let mut value = serde_json::to_value(manifest).unwrap_or_default();
            value["name"] = name.to_string().into();
            value["state_bytes"] = manifest.state_bytes().into();
            value["error"] = damage.as_ref().map(ToString::to_string).into();
            out::line(&value.to_string());
        } else {
            out::line(&text(name, manifest));
        }
    }
    match damage {
        None => Ok(()),
        Some(error) => Err(CliError::Other(format!(
            "the checkpoint {name} cannot be used: {error}; a start takes the newest one before it \
             that can"
        ))),
    }
}

fn text(name: Name, manifest: &Manifest) -> String {
    let mut head = table(&["CHECKPOINT", &name.to_string()]);
    head.add_row(["pipeline", &manifest.pipeline]);
    head.add_row(["taken (UTC)", &time(manifest.at_ms)]);
    head.add_row(["gathered in", &format!("{} ms", manifest.gather_ms)]);
    head.add_row(["state", &bytes(manifest.state_bytes())]);
    head.add_row(["shards", &manifest.shards.to_string()]);
    head.add_row(["written by", &manifest.version]);
    let mut sources = table(&["SOURCE", "PARTITION", "NEXT OFFSET", "FRONTIER (UTC)"]);
    let mut all = table(&["QUERY", "READS", "STATE OF ITS OWN", "FINGERPRINT"]);
    for source in &manifest.sources {
        let frontier = source
            .frontier
            .map_or_else(|| "-".to_owned(), |t| time(t / 1_000));
        for (partition, offset) in &source.offsets {
            let cells = [
                &source.name,
                &partition.to_string(),
                &offset.to_string(),
                &frontier,
            ];
            sources.add_row(cells);
        }
        if source.offsets.is_empty() {
            sources.add_row([&source.name, "-", "-", &frontier]);
        }
        queries_of(source, &mut all);
    }
    let parts = [head, sources, all].map(|table| table.trim_fmt());
    parts.join("\n\n")
}

fn queries_of(source: &SourceEntry, table: &mut Table) {
    for query in &source.queries {
        let own: u64 = query.pieces().map(|piece| piece.length).sum();
        table.add_row([
            &query.name,
            &source.name,
            &bytes(own),
            &format!("{:016x}", query.fingerprint),
        ]);
    }
}

fn remove(store: &Store, names: &[Name], json: bool) -> Result<(), CliError> {
    let there = store.store.names().map_err(store.failed())?;
    if let Some(name) = names.iter().find(|name| !there.contains(name)) {
        return Err(store.missing(*name));
    }
    for name in names {
        store.store.remove(*name).map_err(store.failed())?;
    }
    let removed: Vec<String> = names.iter().map(Name::to_string).collect();
    out::line(&if json {
        json!({ "removed": removed }).to_string()
    } else {
        format!("removed {}", removed.join(", "))
    });
    Ok(())
}

fn queries(manifest: &Manifest) -> usize {
    manifest
        .sources
        .iter()
        .map(|source| source.queries.len())
        .sum()
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(header.iter().copied());
    table
}

/// A time in milliseconds since the epoch.
fn time(ms: i64) -> String {
    timestamp_ms_to_datetime(ms).map_or_else(|| ms.to_string(), |time| time.to_string())
}

/// A size as people read it.
fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if count < 1_000 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1e3;
    let mut unit = 0;
    while value >= 1e3 && unit + 1 < UNITS.len() {
        value /= 1e3;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_read_well() {
        for (count, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (123_456_789, "123.5 MB"),
            (u64::MAX, "18446744.1 TB"),
        ] {
            assert_eq!(bytes(count), text);
        }
        assert_eq!(time(0), "1970-01-01 00:00:00");
        assert_eq!(time(i64::MAX), i64::MAX.to_string());
    }
}
