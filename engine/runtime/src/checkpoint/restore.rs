//! From a checkpoint back to running state.

use crate::error::EngineError;
use crate::plan::Chain;
use crate::scan::program::{QueryId, ScanProgram};
use crate::shard::message::SourceTime;
use crate::shard::query::{NewQuery, QueryShard};
use crate::shard::step::types;
use crate::sink::checkpoint::SavedSink;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use tidewheel_checkpoint::{Loaded, Piece, QueryEntry, SourceEntry};
use tidewheel_kernel::aggregate::StateError;
use tidewheel_kernel::keys::{KeyEncoder, shard_of};
use tidewheel_kernel::share::Share;
use tidewheel_kernel::spec::SetSpec;
use tidewheel_kernel::window::{SetId, WindowOperator};
use tidewheel_sql::plan::Program;
use xxhash_rust::xxh3::xxh3_64;

/// A checkpoint to go on from.
pub struct Restore {
    loaded: Loaded,
}

/// The state that a source's queries had in what is one shard now.
pub struct RestoredShard {
    /// The source.
    pub source: usize,
    /// What is evaluated on its rows.
    pub program: Arc<ScanProgram>,
    /// The window operator of each key group that needs one.
    pub groups: Vec<Option<WindowOperator>>,
    /// Its queries.
    pub queries: Vec<QueryShard>,
    /// By partition, the offset up to which rows have come.
    pub positions: BTreeMap<u32, u64>,
    /// The source's time.
    pub time: SourceTime,
}

impl fmt::Debug for RestoredShard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RestoredShard").field(&self.source).finish()
    }
}

fn bad(error: impl fmt::Display) -> EngineError {
    EngineError::Checkpoint(error.to_string())
}

impl Restore {
    /// A checkpoint that was read whole.
    #[must_use]
    pub fn new(loaded: Loaded) -> Self {
        Self { loaded }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> String {
        let manifest = &self.loaded.manifest;
        format!("{}-{}", manifest.epoch, manifest.number)
    }

    /// When its barrier was sent, wall clock, milliseconds.
    #[must_use]
    pub fn at_ms(&self) -> i64 {
        self.loaded.manifest.at_ms
    }

    /// What it has of a source.
    #[must_use]
    pub fn source(&self, name: &str, fingerprint: u64) -> Option<&SourceEntry> {
        let mut sources = self.loaded.manifest.sources.iter();
        sources.find(|source| source.name == name && source.fingerprint == fingerprint)
    }

    /// What it has of a query.
    #[must_use]
    pub fn query(&self, source: &SourceEntry, name: &str, fingerprint: u64) -> Option<QueryEntry> {
        let mut queries = source.queries.iter();
        let found = queries.find(|query| query.name == name && query.fingerprint == fingerprint)?;
        Some(found.clone())
    }

    /// The part of a program that it holds state of, and the names of the queries that it holds
    /// another version of, over tables that are the same.
    #[must_use]
    pub fn share_of(&self, program: &Program) -> (Program, Vec<String>) {
        let mut share = program.clone();
        let mut changed = Vec::new();
        let same = |source: &&SourceEntry| {
            let mut tables = program.sources.iter();
            tables.any(|t| t.spec.name == source.name && t.fingerprint == source.fingerprint)
        };
        let unchanged = || self.loaded.manifest.sources.iter().filter(same);
        share.queries.retain(|query| {
            let table = crate::plan::source_of(query).and_then(|at| program.sources.get(at));
            let source = table.and_then(|t| self.source(&t.spec.name, t.fingerprint));
            let found = source
                .is_some_and(|source| self.query(source, &query.name, query.fingerprint).is_some());
            let mut known = unchanged().flat_map(|source| &source.queries);
            if !found && known.any(|known| known.name == query.name) {
                changed.push(query.name.clone());
            }
            found
        });
        (share, changed)
    }

    /// The source tables of a program that it holds another definition of.
    #[must_use]
    pub fn changed_tables(&self, program: &Program) -> Vec<String> {
        let known = |name: &str| {
            let mut sources = self.loaded.manifest.sources.iter();
            sources.any(|source| source.name == name)
        };
        let tables = program.sources.iter().filter(|table| {
            let name = &table.spec.name;
            self.source(name, table.fingerprint).is_none() && known(name)
        });
        tables.map(|table| table.spec.name.clone()).collect()
    }

    fn piece(&self, piece: &Piece) -> Result<&[u8], EngineError> {
        self.loaded.piece(piece).map_err(bad)
    }

    fn pieces<'a>(
        &self,
        pieces: impl Iterator<Item = &'a Piece>,
    ) -> Result<Vec<&[u8]>, EngineError> {
        pieces.map(|piece| self.piece(piece)).collect()
    }

    /// A source's time and repeats: a full save, and those of what came after it.
    ///
    /// # Errors
    /// They do not lie in the checkpoint.
    pub fn scan(&self, source: &SourceEntry) -> Result<Vec<&[u8]>, EngineError> {
        self.pieces(source.scans())
    }

    /// What a query's sink had.
    ///
    /// # Errors
    /// The checkpoint holds something else.
    pub fn sink(&self, query: &QueryEntry) -> Result<SavedSink, EngineError> {
        SavedSink::load(self.piece(&query.sink)?).map_err(bad)
    }

    /// A source's state for one of `shards` shards. `queries` are those that go on, with what the
    /// checkpoint has of each.
    ///
    /// # Errors
    /// The checkpoint holds something else.
    pub fn shard(
        &self,
        (number, shards): (usize, usize),
        entry: &SourceEntry,
        (source, program): (usize, &Arc<ScanProgram>),
        queries: Vec<(NewQuery, QueryEntry)>,
        time: SourceTime,
    ) -> Result<RestoredShard, EngineError> {
        let old = self.loaded.manifest.shards as usize;
        // The same number of shards: each has its own keys again. Else each takes its keys from
        // all of them.
        let from: Vec<usize> = if old == shards {
            vec![number]
        } else {
            (0..old).collect()
        };
        let mut groups: Vec<Option<WindowOperator>> = Vec::new();
        groups.resize_with(program.groups.len(), || None);
        let mut sets: BTreeMap<QueryId, SetId> = BTreeMap::new();
        for (number_of_group, place) in groups.iter_mut().enumerate() {
            let Some(group) = &program.groups[number_of_group] else {
                continue;
            };
            let of_group = queries
                .iter()
                .filter(|(query, _)| query.input.group == Some(number_of_group));
            let mut by_old: BTreeMap<u32, Vec<(QueryId, SetId, SetSpec)>> = BTreeMap::new();
            for (query, known) in of_group.clone() {
                let spec = QueryShard::set_spec(&query.chain, &query.input);
                if let (Some(group), Some(set), Some(spec)) = (known.group, same(&known.sets), spec)
                {
                    let set = (query.id, SetId(set), spec);
                    by_old.entry(group).or_default().push(set);
                }
            }
            let Some((first, _)) = of_group.clone().next() else {
                continue;
            };
            // All queries of a group go to shards by the same columns.
            let chain = &*first.chain;
            let division = Division::of(chain, number, (old, shards))?;
            for (old_group, members) in by_old {
                let encoder = KeyEncoder::new(group.encoder.types()).map_err(bad)?;
                let found = entry.groups.iter().find(|known| known.group == old_group);
                let mut saved: Vec<Vec<&[u8]>> = Vec::new();
                for shard in &from {
                    let pieces = found.and_then(|known| known.shards.get(*shard));
                    saved.push(self.pieces(pieces.into_iter().flatten())?);
                }
                let specs: Vec<(SetId, SetSpec)> = members
                    .iter()
                    .map(|(_, set, spec)| (*set, spec.clone()))
                    .collect();
                let share = division.share(places_of(chain));
                let (operator, ids) =
                    WindowOperator::restore(encoder, &specs, &saved, &share).map_err(bad)?;
                let ids = match place {
                    None => {
                        *place = Some(operator);
                        ids
                    }
                    Some(first) => {
                        let moved = first.absorb(operator);
                        ids.into_iter()
                            .map(|id| moved.get(id.0 as usize).copied().unwrap_or(id))
                            .collect()
                    }
                };
                sets.extend(members.iter().map(|(id, ..)| *id).zip(ids));
            }
        }
        let mut restored = Vec::new();
        for (new, known) in queries {
            let set = sets.get(&new.id).copied();
            let chain = Arc::clone(&new.chain);
            let keeps = QueryShard::keeps(&chain);
            let mut query = QueryShard::new(new, set)?;
            let saved: Vec<Vec<&[u8]>> = from
                .iter()
                .map(|shard| self.pieces(known.shard(*shard)))
                .collect::<Result<_, _>>()?;
            let division = Division::of(&chain, number, (old, shards))?;
            query.load(&saved, &division).map_err(bad)?;
            query.keep(&mut groups, keeps);
            query.close_gate(&mut groups);
            restored.push(query);
        }
        Ok(RestoredShard {
            source,
            program: Arc::clone(program),
            groups,
            queries: restored,
            positions: entry.offsets.clone(),
            time,
        })
    }
}

/// The places of the route's columns among a query's first key's.
fn places_of(chain: &Chain) -> &[usize] {
    chain.route_in_keys.first().map_or(&[], Vec::as_slice)
}

/// The one number that a list holds.
fn same(sets: &[u32]) -> Option<u32> {
    let first = sets.first()?;
    sets.iter().all(|set| set == first).then_some(*first)
}

/// Which keys are those of one shard.
pub struct Division {
    belongs: Box<dyn Fn(u64) -> bool>,
    /// Encodes the columns by which rows go to shards; `None`: all keys are treated alike.
    route: Option<KeyEncoder>,
}

impl Division {
    /// All keys.
    #[must_use]
    pub fn all() -> Self {
        Self {
            belongs: Box::new(|_| true),
            route: None,
        }
    }

    /// Those of shard `number`, where there were `old` shards and are `shards` now.
    ///
    /// # Errors
    /// A column's type cannot be a key.
    fn of(
        chain: &Chain,
        number: usize,
        (old, shards): (usize, usize),
    ) -> Result<Self, EngineError> {
        if old == shards {
            // Each has its own again.
            return Ok(Self::all());
        }
        if chain.route.is_empty() {
            // One shard has them all.
            let own = shard_of(xxh3_64(&[]), shards as u32) as usize == number;
            return Ok(Self {
                belongs: Box::new(move |_| own),
                route: None,
            });
        }
        let route = types(&chain.head.schema, &chain.route);
        Ok(Self {
            belongs: Box::new(move |hash| shard_of(hash, shards as u32) as usize == number),
            route: Some(KeyEncoder::new(&route).map_err(bad)?),
        })
    }

    /// The shard's share of an operator's keys; `places` are those of the route's columns among
    /// the key's.
    #[must_use]
    pub fn share<'a>(&'a self, places: &'a [usize]) -> Share<'a> {
        match &self.route {
            Some(encoder) => Share::by_columns(encoder, places, &*self.belongs),
            None => Share::by_key(&*self.belongs),
        }
    }
}

impl From<StateError> for EngineError {
    fn from(error: StateError) -> Self {
        bad(error)
    }
}
