//! Which keys of saved state a shard takes.

use crate::aggregate::StateError;
use crate::keys::{KeyEncoder, hash_of};
use arrow::array::ArrayRef;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Keys that are decoded at once, so that a big state needs no second copy of all its keys.
const CHUNK: usize = 8192;

/// The share of one shard: the keys by whose hash, or that of some of their columns, rows come to
/// it.
pub struct Share<'a> {
    belongs: &'a dyn Fn(u64) -> bool,
    route: Option<(&'a KeyEncoder, &'a [usize])>,
}

impl std::fmt::Debug for Share<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Share")
            .field("route", &self.route)
            .finish_non_exhaustive()
    }
}

impl<'a> Share<'a> {
    /// All keys.
    #[must_use]
    pub fn all() -> Self {
        Self::by_key(&|_| true)
    }

    /// The keys whose own hash belongs to the shard.
    #[must_use]
    pub fn by_key(belongs: &'a dyn Fn(u64) -> bool) -> Self {
        Self {
            belongs,
            route: None,
        }
    }

    /// Where rows go to shards by some of a key's columns: those keys for which the hash of these
    /// columns belongs to the shard. `columns` are their places among the operator's key columns,
    /// in the order in which `encoder` takes them.
    #[must_use]
    pub fn by_columns(
        encoder: &'a KeyEncoder,
        columns: &'a [usize],
        belongs: &'a dyn Fn(u64) -> bool,
    ) -> Self {
        Self {
            belongs,
            route: Some((encoder, columns)),
        }
    }

    /// For each saved key of this encoder whether it is the shard's.
    ///
    /// # Errors
    /// The bytes are not keys of the encoder's types, or have not the columns of the route.
    pub fn choose(&self, encoder: &KeyEncoder, keys: &[&[u8]]) -> Result<Vec<bool>, StateError> {
        let mut chosen = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(CHUNK) {
            if self.route.is_none() && encoder.is_text() {
                for key in chunk {
                    encoder.check_text(key)?;
                    chosen.push((self.belongs)(hash_of(key)));
                }
                continue;
            }
            let columns = guarded(|| encoder.decode(chunk.iter().copied()))?;
            match self.route {
                None => chosen.extend(chunk.iter().map(|key| (self.belongs)(hash_of(key)))),
                Some(_) => chosen.extend(self.choose_columns(&columns, chunk.len())?),
            }
        }
        Ok(chosen)
    }

    /// For each row of key columns whether it is the shard's.
    pub(crate) fn choose_columns(
        &self,
        columns: &[ArrayRef],
        rows: usize,
    ) -> Result<Vec<bool>, StateError> {
        let broken = |error: arrow::error::ArrowError| StateError(error.to_string());
        let keys = match self.route {
            None => {
                let types: Vec<_> = columns.iter().map(|c| c.data_type().clone()).collect();
                let encoder = KeyEncoder::new(&types).map_err(broken)?;
                encoder.encode(columns, rows).map_err(broken)?
            }
            Some((encoder, places)) => {
                let picked: Option<Vec<ArrayRef>> = places
                    .iter()
                    .map(|&place| columns.get(place).cloned())
                    .collect();
                let picked =
                    picked.ok_or_else(|| StateError("a key lacks a column of its route".into()))?;
                encoder.encode(&picked, rows).map_err(broken)?
            }
        };
        Ok((0..rows)
            .map(|row| (self.belongs)(keys.hash(row)))
            .collect())
    }
}

/// Reads columns from bytes that may be broken: arrow's row format takes bytes that it did not
/// write for a defect of the program, and panics.
pub(crate) fn guarded<T>(
    read: impl FnOnce() -> Result<T, arrow::error::ArrowError>,
) -> Result<T, StateError> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(columns)) => Ok(columns),
        Ok(Err(error)) => Err(StateError(error.to_string())),
        Err(_) => Err(StateError("its rows are not of the columns' types".into())),
    }
}
