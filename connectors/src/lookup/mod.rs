//! Reading back what a sink holds for one key: Redis and the embedded store.
//!
//! A table's key template and layout say which keys hold a row; the values are read as the texts
//! that stand there and turned into the types of the table's columns.
//!
//! It is not: part of the flow. Nothing here is used while queries run.

mod redis;
mod row;
mod store;

pub use row::{Held, LookupError};

use crate::redis::config::{Config, Layout};
use crate::redis::template::{Piece, Template};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tidewheel_core::TableSpec;

/// Members of a sorted set that one lookup reads at most, highest scores first.
pub const MEMBERS_MAX: usize = 1_000;

/// Looks keys up. Connections and open stores are kept and shared between tables.
#[derive(Default)]
pub struct Lookups {
    servers: Mutex<HashMap<String, Arc<redis::Pool>>>,
    stores: Mutex<HashMap<PathBuf, Arc<store::Followed>>>,
}

/// What a table's options say about where rows are.
struct Place {
    layout: Layout,
    template: Template,
    values: Vec<usize>,
}

impl Lookups {
    /// True when tables of this connector can be read by key.
    #[must_use]
    pub fn can_read(table: &TableSpec) -> bool {
        matches!(table.options.get("connector"), Some("redis" | "store")) && !table.is_append_only()
    }

    /// The columns that a key consists of: those of the PRIMARY KEY, in its order, without the
    /// member of a sorted set and those that the key template leaves out.
    ///
    /// # Errors
    /// The table cannot be read by key.
    pub fn key_columns(table: &TableSpec) -> Result<Vec<usize>, LookupError> {
        Ok(place(table)?.1.key_columns(table))
    }

    /// Reads what was written into an embedded store since it was looked at last, so that the
    /// next lookup need not. Other tables need nothing of the kind.
    ///
    /// # Errors
    /// The store is away.
    pub fn follow(&self, table: &TableSpec) -> Result<(), LookupError> {
        if !Self::can_read(table) || table.options.get("connector") != Some("store") {
            return Ok(());
        }
        self.store(table).follow()
    }

    fn store(&self, table: &TableSpec) -> Arc<store::Followed> {
        let path = Path::new(table.options.get("path").unwrap_or_default());
        let mut stores = self.stores.lock();
        let new = || Arc::new(store::Followed::new(path));
        Arc::clone(stores.entry(path.to_owned()).or_insert_with(new))
    }

    /// What stands under each of the keys; a key is one text for each of
    /// [`Lookups::key_columns`].
    ///
    /// # Errors
    /// The table cannot be read by key, a key has too few or too many texts, or the store or
    /// server is away.
    pub fn get(
        &self,
        table: &TableSpec,
        keys: &[Vec<String>],
        now_ms: i64,
    ) -> Result<Vec<Held>, LookupError> {
        let (config, place) = place(table)?;
        let columns = place.key_columns(table);
        for key in keys {
            if key.len() != columns.len() {
                let names: Vec<&str> = columns
                    .iter()
                    .map(|column| table.schema.field(*column).name().as_str())
                    .collect();
                return Err(LookupError::Key(format!(
                    "a key of '{}' has {} parts, not {}: {}",
                    table.name,
                    columns.len(),
                    key.len(),
                    names.join(", ")
                )));
            }
        }
        if table.options.get("connector") == Some("store") {
            return self.store(table).get(table, &place, keys, now_ms);
        }
        let pool = {
            let mut servers = self.servers.lock();
            let id = server_id(table);
            match servers.get(&id) {
                Some(pool) => Arc::clone(pool),
                None => {
                    let pool = Arc::new(redis::Pool::new(&config)?);
                    servers.insert(id, Arc::clone(&pool));
                    pool
                }
            }
        };
        pool.get(table, &place, keys)
    }
}

/// What tells one server and login from another.
fn server_id(table: &TableSpec) -> String {
    ["url", "username", "password", "tls.ca-file", "tls.insecure"]
        .map(|name| table.options.get(name).unwrap_or_default())
        .join("\n")
}

fn place(table: &TableSpec) -> Result<(Config, Place), LookupError> {
    if !Lookups::can_read(table) {
        return Err(LookupError::Table(format!(
            "the table '{}' cannot be read by key; only keyed tables of the connectors redis and \
             store can",
            table.name
        )));
    }
    let config = if table.options.get("connector") == Some("store") {
        crate::store::config(table)
    } else {
        Config::parse(table)
    };
    let config = config.map_err(|error| LookupError::Table(error.message))?;
    let member = match config.layout {
        Layout::SortedSet { member, .. } => Some(member),
        _ => None,
    };
    let is_value = |column: &usize| !table.primary_key.contains(column) && Some(*column) != member;
    let place = Place {
        layout: config.layout,
        template: config.template.clone(),
        values: (0..table.schema.fields().len()).filter(is_value).collect(),
    };
    Ok((config, place))
}

impl Place {
    fn key_columns(&self, table: &TableSpec) -> Vec<usize> {
        let of_key = table.primary_key.iter();
        of_key
            .filter(|column| self.template.has_key(**column))
            .copied()
            .collect()
    }

    /// The key under which a row's value column (or the whole row) stands.
    fn key(&self, parts: &BTreeMap<usize, &str>, column: &str) -> String {
        let mut key = String::new();
        for piece in &self.template.pieces {
            key.push_str(match piece {
                Piece::Text(text) => text,
                Piece::Column => column,
                Piece::Key(index) => parts.get(index).copied().unwrap_or_default(),
            });
        }
        key
    }

    /// All keys of a row, each with the column it holds; `None` for the whole row.
    fn keys(&self, table: &TableSpec, key: &[String]) -> Vec<(String, Option<usize>)> {
        let columns = self.key_columns(table);
        let parts = columns.into_iter().zip(key.iter().map(String::as_str));
        let parts: BTreeMap<usize, &str> = parts.collect();
        match self.layout {
            Layout::String => self
                .values
                .iter()
                .map(|column| {
                    let name = table.schema.field(*column).name();
                    (self.key(&parts, name), Some(*column))
                })
                .collect(),
            _ => vec![(self.key(&parts, ""), None)],
        }
    }
}
