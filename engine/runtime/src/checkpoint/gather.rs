//! Gathers what tasks save at one barrier, until it is a checkpoint.

use super::barrier::{Part, QueryPart, Saved};
use crate::scan::program::QueryId;
use crossbeam_channel::{Receiver, TryRecvError};
use std::collections::BTreeMap;
use tidewheel_checkpoint::{
    Data, GroupEntry, Manifest, Name, Piece, QueryEntry, RecordMark, SourceEntry,
};
use tidewheel_core::time::NO_TIME;
use tidewheel_core::{EventTime, Mark};

/// A name and the fingerprint of its definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// The name.
    pub name: String,
    /// The fingerprint.
    pub fingerprint: u64,
}

/// A source that a barrier was sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceDefinition {
    /// Its table.
    pub table: Definition,
    /// It has an end.
    pub bounded: bool,
}

/// Who a barrier was sent to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SentTo {
    /// The sources.
    pub sources: BTreeMap<usize, SourceDefinition>,
    /// The queries that ran then.
    pub queries: BTreeMap<QueryId, Definition>,
}

/// A source's place and time.
#[derive(Debug)]
struct ScanPart {
    offsets: BTreeMap<u32, u64>,
    marks: BTreeMap<u32, RecordMark>,
    frontier: EventTime,
    lead_ms: Option<i64>,
    saved: Saved,
}

/// A shard's state of one source.
#[derive(Debug)]
struct ShardPart {
    groups: BTreeMap<usize, Saved>,
    queries: Vec<QueryPart>,
}

/// How far the gathering is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gathered {
    /// Some parts are still to come.
    Waiting,
    /// All parts are there.
    All,
    /// Some part will never come: a task has ended.
    Broken,
}

/// A checkpoint in the making.
pub struct Gather {
    /// Its number.
    pub number: u64,
    /// It does not build on an earlier one.
    pub full: bool,
    parts: Receiver<Part>,
    sources: BTreeMap<usize, SourceDefinition>,
    queries: BTreeMap<QueryId, Definition>,
    shards: usize,
    scans: BTreeMap<usize, ScanPart>,
    states: BTreeMap<(usize, usize), ShardPart>,
    sinks: BTreeMap<QueryId, Vec<u8>>,
}

fn marked((partition, mark): (u32, Mark)) -> (u32, RecordMark) {
    let Mark { offset, check } = mark;
    (partition, RecordMark { offset, check })
}

impl Gather {
    /// Of a barrier's answers.
    #[must_use]
    pub fn new(
        (number, full): (u64, bool),
        parts: Receiver<Part>,
        sent_to: SentTo,
        shards: usize,
    ) -> Self {
        let SentTo { sources, queries } = sent_to;
        Self {
            number,
            full,
            parts,
            sources,
            queries,
            shards,
            scans: BTreeMap::new(),
            states: BTreeMap::new(),
            sinks: BTreeMap::new(),
        }
    }

    /// Where its parts come.
    #[must_use]
    pub fn inbox(&self) -> &Receiver<Part> {
        &self.parts
    }

    /// Takes the parts that are there.
    pub fn take(&mut self) -> Gathered {
        loop {
            match self.parts.try_recv() {
                Ok(part) => self.part(part),
                Err(_) if self.is_whole() => return Gathered::All,
                Err(TryRecvError::Empty) => return Gathered::Waiting,
                Err(TryRecvError::Disconnected) => return Gathered::Broken,
            }
        }
    }

    fn part(&mut self, part: Part) {
        match part {
            Part::Scan {
                source,
                offsets,
                marks,
                frontier,
                lead_ms,
                saved,
            } => {
                let scan = ScanPart {
                    offsets,
                    marks: marks.into_iter().map(marked).collect(),
                    frontier,
                    lead_ms,
                    saved,
                };
                self.scans.insert(source, scan);
            }
            Part::Shard {
                source,
                shard,
                groups,
                queries,
            } => {
                let state = ShardPart { groups, queries };
                self.states.insert((source, shard), state);
            }
            Part::Sink { query, bytes } => {
                self.sinks.insert(query, bytes);
            }
        }
    }

    fn is_whole(&self) -> bool {
        let states = self.sources.keys().all(|source| {
            self.scans.contains_key(source)
                && (0..self.shards).all(|shard| self.states.contains_key(&(*source, shard)))
        });
        let mut queries = self.states.values().flat_map(|state| &state.queries);
        states && queries.all(|query| self.sinks.contains_key(&query.query))
    }

    /// What is to be written. Increments go behind what `before`, the last checkpoint, has; `None`
    /// where it lacks what they build on.
    #[must_use]
    pub fn finish(
        mut self,
        name: Name,
        before: Option<&Manifest>,
        mut manifest: Manifest,
    ) -> Option<(Data, Manifest)> {
        let mut data = Data::new(name);
        for (id, source) in std::mem::take(&mut self.sources) {
            let SourceDefinition { table, bounded } = source;
            let scan = self.scans.remove(&id)?;
            let earlier = before.and_then(|before| {
                let mut sources = before.sources.iter();
                sources.find(|s| s.name == table.name && s.fingerprint == table.fingerprint)
            });
            let scan_before = match earlier {
                _ if scan.saved.whole => Vec::new(),
                earlier => earlier?.scans().cloned().collect(),
            };
            let entry = SourceEntry {
                fingerprint: table.fingerprint,
                name: table.name,
                bounded,
                lead_ms: scan.lead_ms,
                offsets: scan.offsets,
                marks: scan.marks,
                frontier: (scan.frontier != NO_TIME).then_some(scan.frontier),
                scan: data.add(scan.saved.bytes),
                scan_before,
                groups: self.groups(id, earlier, &mut data)?,
                queries: self.queries(id, earlier, &mut data)?,
            };
            manifest.sources.push(entry);
        }
        Some((data, manifest))
    }

    fn groups(
        &mut self,
        source: usize,
        earlier: Option<&SourceEntry>,
        data: &mut Data,
    ) -> Option<Vec<GroupEntry>> {
        let mut groups: BTreeMap<usize, Vec<Vec<Piece>>> = BTreeMap::new();
        for shard in 0..self.shards {
            let state = self.states.get_mut(&(source, shard))?;
            for (group, Saved { whole, bytes }) in std::mem::take(&mut state.groups) {
                let mut pieces = if whole {
                    Vec::new()
                } else {
                    let mut groups = earlier?.groups.iter();
                    let group = groups.find(|entry| entry.group as usize == group)?;
                    group.shards.get(shard)?.clone()
                };
                pieces.push(data.add(bytes));
                let shards = groups
                    .entry(group)
                    .or_insert_with(|| vec![Vec::new(); self.shards]);
                shards[shard] = pieces;
            }
        }
        let entry = |(group, shards): (usize, Vec<Vec<Piece>>)| GroupEntry {
            group: group as u32,
            shards,
        };
        Some(groups.into_iter().map(entry).collect())
    }

    fn queries(
        &mut self,
        source: usize,
        earlier: Option<&SourceEntry>,
        data: &mut Data,
    ) -> Option<Vec<QueryEntry>> {
        let mut by_query: BTreeMap<QueryId, Vec<QueryPart>> = BTreeMap::new();
        for shard in 0..self.shards {
            let state = self.states.get_mut(&(source, shard))?;
            for part in std::mem::take(&mut state.queries) {
                by_query.entry(part.query).or_default().push(part);
            }
        }
        let mut entries = Vec::new();
        for (query, parts) in by_query {
            // One that failed in some shard is not whole.
            let (Some(definition), true) = (self.queries.get(&query), parts.len() == self.shards)
            else {
                continue;
            };
            let mut before = vec![Vec::new(); self.shards];
            for (shard, (pieces, part)) in before.iter_mut().zip(&parts).enumerate() {
                if !part.saved.whole {
                    let mut queries = earlier?.queries.iter();
                    let Definition { name, fingerprint } = definition;
                    let known =
                        queries.find(|q| q.name == *name && q.fingerprint == *fingerprint)?;
                    pieces.extend(known.shard(shard).cloned());
                }
            }
            if before.iter().all(Vec::is_empty) {
                before.clear();
            }
            entries.push(QueryEntry {
                name: definition.name.clone(),
                fingerprint: definition.fingerprint,
                group: parts.first()?.set.map(|(group, _)| group as u32),
                sets: parts.iter().filter_map(|p| Some(p.set?.1)).collect(),
                shards: parts
                    .into_iter()
                    .map(|part| data.add(part.saved.bytes))
                    .collect(),
                before,
                sink: data.add(self.sinks.remove(&query)?),
            });
        }
        Some(entries)
    }
}
