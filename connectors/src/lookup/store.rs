//! Keys of an embedded store.

use super::{Held, LookupError, MEMBERS_MAX, Place};
use crate::store::{NEVER, StoreReader, Value};
use parking_lot::{Mutex, RwLock};
use std::path::{Path, PathBuf};
use tidewheel_core::TableSpec;

/// A store that is open, or will be. Many may look up at one time; whoever finds that something
/// was written reads that first.
pub(super) struct Followed {
    path: PathBuf,
    reader: RwLock<Option<StoreReader>>,
    /// Held while the store is opened, which takes as long as reading all of it.
    opening: Mutex<()>,
}

impl Followed {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            reader: RwLock::default(),
            opening: Mutex::default(),
        }
    }

    /// Reads what was written since, so that the next look-up finds little to read.
    pub(super) fn follow(&self) -> Result<(), LookupError> {
        let away = |error: &dyn std::fmt::Display| LookupError::Away(error.to_string());
        if self.reader.read().is_none() {
            let _one = self.opening.lock();
            if self.reader.read().is_none() {
                let opened = StoreReader::open(&self.path).map_err(|error| away(&error))?;
                *self.reader.write() = Some(opened);
            }
        }
        let is_current =
            |reader: &Option<StoreReader>| reader.as_ref().is_some_and(StoreReader::is_current);
        if is_current(&self.reader.read()) {
            return Ok(());
        }
        let mut guard = self.reader.write();
        // Another may have read it meanwhile.
        if is_current(&guard) {
            return Ok(());
        }
        let refreshed = guard.as_mut().map_or(Ok(false), StoreReader::refresh);
        if let Err(error) = refreshed {
            *guard = None;
            return Err(away(&error));
        }
        Ok(())
    }

    pub(super) fn get(
        &self,
        table: &TableSpec,
        place: &Place,
        keys: &[Vec<String>],
        now_ms: i64,
    ) -> Result<Vec<Held>, LookupError> {
        self.follow()?;
        let guard = self.reader.read();
        let Some(store) = guard.as_ref() else {
            return Err(LookupError::Away("the store is not open".to_owned()));
        };
        let get = |key: &Vec<String>| held(store, table, place, key, now_ms);
        Ok(keys.iter().map(get).collect())
    }
}

fn held(
    store: &StoreReader,
    table: &TableSpec,
    place: &Place,
    key: &[String],
    now_ms: i64,
) -> Held {
    let mut held = Held::empty(table, &place.values);
    for (name, column) in place.keys(table, key) {
        if let Some(entry) = store.get(&name, now_ms) {
            let live = (entry.expire_ms != NEVER).then(|| entry.expire_ms - now_ms);
            held.live(live);
            match (&entry.value, column) {
                (Value::Text(text), Some(column)) => held.set(table, column, text),
                (Value::Text(text), None) => held.set_json(text),
                (Value::Hash(fields), _) => {
                    for column in &place.values {
                        if let Some(text) = fields.get(table.schema.field(*column).name()) {
                            held.set(table, *column, text);
                        }
                    }
                }
                (value @ Value::Sorted(_), _) => {
                    held.found = true;
                    held.values.clear();
                    let members = value.by_score().into_iter().take(MEMBERS_MAX);
                    let owned = members.map(|(member, score)| (member.to_owned(), score));
                    held.members = Some(owned.collect());
                }
            }
        }
        held.keys.push(name);
    }
    held
}
