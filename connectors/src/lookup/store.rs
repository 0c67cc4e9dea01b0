//! Keys of an embedded store.

use super::{Held, LookupError, MEMBERS_MAX, Place};
use crate::store::{NEVER, StoreReader, Value};
use parking_lot::Mutex;
use std::path::Path;
use std::sync::Arc;
use tidewheel_core::TableSpec;

/// A store that is open, or will be.
pub(super) type Shared = Arc<Mutex<Option<StoreReader>>>;

pub(super) fn get(
    shared: &Shared,
    path: &Path,
    table: &TableSpec,
    place: &Place,
    keys: &[Vec<String>],
    now_ms: i64,
) -> Result<Vec<Held>, LookupError> {
    let mut guard = shared.lock();
    let away = |error: &dyn std::fmt::Display| LookupError::Away(error.to_string());
    if guard.is_none() {
        *guard = Some(StoreReader::open(path).map_err(|error| away(&error))?);
    }
    let Some(store) = guard.as_mut() else {
        return Err(LookupError::Away("the store is not open".to_owned()));
    };
    if let Err(error) = store.refresh() {
        *guard = None;
        return Err(away(&error));
    }
    let get = |key: &Vec<String>| {
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
    };
    Ok(keys.iter().map(get).collect())
}
