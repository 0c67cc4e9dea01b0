//! What is evaluated on each row of a source table, for all queries at once.

use super::worker::TableReading;
use crate::error::EngineError;
use crate::expr::{Expr, can_fail, evaluate};
use crate::plan::{Chain, Step};
use arrow::array::{Array, ArrayRef, BooleanArray, NullArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_expr::expressions::Column;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidewheel_kernel::keys::{KeyEncoder, Keys};

/// The number of a result column of the program.
pub type ColumnId = usize;

/// The number of a running query; never used again.
pub type QueryId = usize;

/// A grouping key that several queries may share.
#[derive(Debug, Clone)]
pub struct KeyGroup {
    /// The key's columns.
    pub keys: Vec<ColumnId>,
    /// The columns that choose the shard; the same as `keys`, or fewer.
    pub route: Vec<ColumnId>,
    /// Encodes the key.
    pub encoder: Arc<KeyEncoder>,
    /// Encodes the route, where it differs from the key.
    pub route_encoder: Option<Arc<KeyEncoder>>,
    /// Columns in which a NULL makes a row keyless for all queries of this group.
    pub required: Vec<ColumnId>,
    /// One query's own: it brought its state from its own reading of history.
    pub alone: bool,
}

/// What one query takes from the program.
#[derive(Debug, Clone)]
pub struct QueryInput {
    /// Result columns, one for each output column of the query's head.
    pub columns: Vec<ColumnId>,
    /// Boolean result column that says which rows are the query's; `None`: all.
    pub gate: Option<ColumnId>,
    /// Index into [`ScanProgram::groups`]; `None` for a query without keyed operator.
    pub group: Option<usize>,
}

/// Which rows belong to a query: its filter, less the rows on which one of its expressions
/// failed.
#[derive(Debug, Clone, PartialEq)]
struct Gate {
    filter: Option<usize>,
    fallible: Vec<usize>,
}

/// What a result column holds.
#[derive(Debug, Clone)]
enum Slot {
    /// Nothing: nobody reads it, or not in this part of the program.
    Free,
    /// An expression's values.
    Expr(Expr),
    /// A gate.
    Gate(Gate),
}

/// All expressions over a source table's rows.
///
/// Queries come and go while the numbers of columns and key groups that the others use stay.
#[derive(Clone)]
pub struct ScanProgram {
    /// How the table is read.
    pub reading: Arc<TableReading>,
    slots: Vec<Slot>,
    /// The grouping keys; `None` for a number that is not in use.
    pub groups: Vec<Option<KeyGroup>>,
    /// What each query takes.
    pub inputs: BTreeMap<QueryId, QueryInput>,
}

impl std::fmt::Debug for ScanProgram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScanProgram")
            .field("slots", &self.slots)
            .field("groups", &self.groups.len())
            .field("inputs", &self.inputs.keys())
            .finish_non_exhaustive()
    }
}

/// The results of the program for one batch.
#[derive(Debug)]
pub struct Evaluation {
    /// All result columns; those that nobody reads are NULL.
    pub columns: Vec<ArrayRef>,
    /// The keys of each group; empty for a number that is not in use.
    pub keys: Vec<Keys>,
    /// The route of each group, where it differs from its key.
    pub routes: Vec<Option<Keys>>,
    /// Rows on which an expression failed, summed over gates.
    pub failed_rows: usize,
}

/// A query that a program is to evaluate.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// Its number.
    pub id: QueryId,
    /// What it is.
    pub chain: &'a Chain,
    /// It must not share its key group: its state comes from elsewhere.
    pub alone: bool,
}

/// The same expression over a schema in which column `at` stands at `places[at]`.
fn move_columns(expr: &Expr, places: &[usize]) -> Result<Expr, EngineError> {
    let moved = Arc::clone(expr).transform_up(|node| {
        let column = node.downcast_ref::<Column>();
        Ok(
            match column.map(|column| (column, places.get(column.index()))) {
                Some((column, Some(place))) => {
                    let moved: Expr = Arc::new(Column::new(column.name(), *place));
                    Transformed::yes(moved)
                }
                _ => Transformed::no(node),
            },
        )
    })?;
    Ok(moved.data)
}

impl ScanProgram {
    /// A program without queries.
    #[must_use]
    pub fn new(reading: Arc<TableReading>) -> Self {
        Self {
            reading,
            slots: Vec::new(),
            groups: Vec::new(),
            inputs: BTreeMap::new(),
        }
    }

    /// The program without some queries. What the others use keeps its numbers.
    #[must_use]
    pub fn without(&self, gone: &BTreeSet<QueryId>) -> Self {
        let ids = self.inputs.keys().copied();
        let kept = ids.filter(|id| !gone.contains(id)).collect();
        Self {
            reading: Arc::clone(&self.reading),
            ..self.only(&kept)
        }
    }

    /// Adds queries, whose expressions are over the schema of `reading`: columns that it has and
    /// this program has not yet are added behind the others.
    ///
    /// # Errors
    /// A key has a type that cannot be a key.
    pub fn extend(
        &mut self,
        reading: &TableReading,
        members: &[Member<'_>],
    ) -> Result<(), EngineError> {
        let (grown, places) = self.reading.grow(reading);
        self.reading = Arc::new(grown);
        for member in members {
            let head = &member.chain.head;
            let moved = |expr: &Expr| move_columns(expr, &places);
            let filter = head.filter.as_ref().map(moved).transpose()?;
            let exprs: Vec<Expr> = head.exprs.iter().map(moved).collect::<Result<_, _>>()?;
            self.add(member, filter.as_ref(), &exprs)?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        member: &Member<'_>,
        filter: Option<&Expr>,
        exprs: &[Expr],
    ) -> Result<(), EngineError> {
        let chain = member.chain;
        let filter = filter.map(|filter| self.expr(filter));
        let columns: Vec<usize> = exprs.iter().map(|expr| self.expr(expr)).collect();
        let mut fallible: Vec<usize> = columns
            .iter()
            .chain(&filter)
            .copied()
            .filter(|id| matches!(&self.slots[*id], Slot::Expr(expr) if can_fail(expr)))
            .collect();
        fallible.sort_unstable();
        fallible.dedup();
        let gate = (filter.is_some() || !fallible.is_empty())
            .then(|| self.gate_slot(&Gate { filter, fallible }));
        let group = match chain.steps.first() {
            None => None,
            Some(step) => Some(self.group(member, step, &columns)?),
        };
        self.inputs.insert(
            member.id,
            QueryInput {
                columns,
                gate,
                group,
            },
        );
        Ok(())
    }

    /// The number of the key group of a query, which others may share.
    fn group(
        &mut self,
        member: &Member<'_>,
        step: &Step,
        columns: &[ColumnId],
    ) -> Result<usize, EngineError> {
        let chain = member.chain;
        let of =
            |keys: &[usize]| -> Vec<ColumnId> { keys.iter().map(|key| columns[*key]).collect() };
        let (keys, route) = (of(step.keyed.keys()), of(&chain.route));
        let required = of(&chain.required);
        let known = self.groups.iter().position(|group| {
            group.as_ref().is_some_and(|group| {
                !group.alone
                    && group.keys == keys
                    && group.route == route
                    && group.required == required
            })
        });
        if let Some(known) = known
            && !member.alone
        {
            return Ok(known);
        }
        let encoder = |ids: &[usize]| {
            // A head's column number is that of its schema's field.
            let types: Vec<DataType> = ids
                .iter()
                .map(|id| {
                    let at = columns.iter().position(|column| column == id).unwrap_or(0);
                    chain.head.schema.field(at).data_type().clone()
                })
                .collect();
            KeyEncoder::new(&types)
                .map(Arc::new)
                .map_err(|error| EngineError::Plan {
                    query: chain.name.clone(),
                    message: error.to_string(),
                })
        };
        let group = KeyGroup {
            encoder: encoder(&keys)?,
            route_encoder: if route == keys {
                None
            } else {
                Some(encoder(&route)?)
            },
            keys,
            route,
            required,
            alone: member.alone,
        };
        let free = self.groups.iter().position(Option::is_none);
        let number = free.unwrap_or(self.groups.len());
        if number == self.groups.len() {
            self.groups.push(None);
        }
        self.groups[number] = Some(group);
        Ok(number)
    }

    /// Lets a query whose state has come from its own reading of history share its key group: it
    /// joins one with the same key, or others may join its own from now on.
    pub fn share(&mut self, query: QueryId) {
        let Some(own) = self.inputs.get(&query).and_then(|input| input.group) else {
            return;
        };
        let Some(group) = self.groups.get_mut(own).and_then(Option::take) else {
            return;
        };
        let same = self.groups.iter().position(|other| {
            other.as_ref().is_some_and(|other| {
                !other.alone
                    && other.keys == group.keys
                    && other.route == group.route
                    && other.required == group.required
            })
        });
        match (same, self.inputs.get_mut(&query)) {
            (Some(same), Some(input)) => input.group = Some(same),
            _ => {
                self.groups[own] = Some(KeyGroup {
                    alone: false,
                    ..group
                });
            }
        }
    }

    /// How many different keys some of the queries group by.
    #[must_use]
    pub fn key_groups(&self, queries: &BTreeSet<QueryId>) -> usize {
        let of = |id: &QueryId| self.inputs.get(id)?.group;
        queries.iter().filter_map(of).collect::<BTreeSet<_>>().len()
    }

    fn expr(&mut self, expr: &Expr) -> ColumnId {
        let same = |slot: &Slot| matches!(slot, Slot::Expr(known) if known == expr);
        match self.slots.iter().position(same) {
            Some(known) => known,
            None => self.fill(Slot::Expr(Arc::clone(expr))),
        }
    }

    fn gate_slot(&mut self, gate: &Gate) -> ColumnId {
        let same = |slot: &Slot| matches!(slot, Slot::Gate(known) if known == gate);
        match self.slots.iter().position(same) {
            Some(known) => known,
            None => self.fill(Slot::Gate(gate.clone())),
        }
    }

    fn fill(&mut self, slot: Slot) -> ColumnId {
        let free = |slot: &Slot| matches!(slot, Slot::Free);
        let id = self.slots.iter().position(free).unwrap_or(self.slots.len());
        if id == self.slots.len() {
            self.slots.push(Slot::Free);
        }
        self.slots[id] = slot;
        id
    }

    /// The part of the program that some of its queries need, with the same numbers: what the
    /// others alone need is neither decoded nor evaluated.
    #[must_use]
    pub fn only(&self, queries: &BTreeSet<QueryId>) -> Self {
        let inputs: BTreeMap<QueryId, QueryInput> = self
            .inputs
            .iter()
            .filter(|(id, _)| queries.contains(id))
            .map(|(id, input)| (*id, input.clone()))
            .collect();
        let mut used = vec![false; self.slots.len()];
        let mut groups = vec![None; self.groups.len()];
        for input in inputs.values() {
            for id in input.columns.iter().chain(&input.gate) {
                used[*id] = true;
            }
            if let Some(Slot::Gate(gate)) = input.gate.map(|id| &self.slots[id]) {
                for id in gate.filter.iter().chain(&gate.fallible) {
                    used[*id] = true;
                }
            }
            if let Some(group) = input.group {
                groups[group].clone_from(&self.groups[group]);
            }
        }
        let slots: Vec<Slot> = self
            .slots
            .iter()
            .zip(used)
            .map(|(slot, used)| if used { slot.clone() } else { Slot::Free })
            .collect();
        let exprs = slots.iter().filter_map(|slot| match slot {
            Slot::Expr(expr) => Some(expr),
            Slot::Free | Slot::Gate(_) => None,
        });
        Self {
            reading: Arc::new(self.reading.only(exprs)),
            slots,
            groups,
            inputs,
        }
    }

    /// Evaluates everything over a batch of the scan.
    ///
    /// # Errors
    /// An expression cannot be evaluated at all.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<Evaluation, EngineError> {
        let rows = batch.num_rows();
        let nothing: ArrayRef = Arc::new(NullArray::new(rows));
        let mut columns = vec![nothing; self.slots.len()];
        let mut failed: Vec<Option<BooleanArray>> = vec![None; self.slots.len()];
        for (id, slot) in self.slots.iter().enumerate() {
            if let Slot::Expr(expr) = slot {
                let result = evaluate(expr, batch)?;
                columns[id] = result.array;
                failed[id] = result.failed;
            }
        }
        let mut failed_rows = 0;
        for (id, slot) in self.slots.iter().enumerate() {
            if let Slot::Gate(gate) = slot {
                columns[id] = self.gate(gate, &columns, &failed, rows, &mut failed_rows);
            }
        }
        let mut keys = Vec::with_capacity(self.groups.len());
        let mut routes = Vec::with_capacity(self.groups.len());
        for group in &self.groups {
            let Some(group) = group else {
                keys.push(Keys::default());
                routes.push(None);
                continue;
            };
            let of = |ids: &[usize]| -> Vec<ArrayRef> {
                ids.iter().map(|id| Arc::clone(&columns[*id])).collect()
            };
            let encode = |encoder: &KeyEncoder, ids: &[usize]| {
                encoder
                    .encode(&of(ids), rows)
                    .map_err(|error| EngineError::Expression(error.to_string()))
            };
            keys.push(encode(&group.encoder, &group.keys)?);
            routes.push(match &group.route_encoder {
                None => None,
                Some(encoder) => Some(encode(encoder, &group.route)?),
            });
        }
        Ok(Evaluation {
            columns,
            keys,
            routes,
            failed_rows,
        })
    }

    fn gate(
        &self,
        gate: &Gate,
        columns: &[ArrayRef],
        failed: &[Option<BooleanArray>],
        rows: usize,
        failed_rows: &mut usize,
    ) -> ArrayRef {
        // NULL is not true, so it becomes false here, once for all.
        let filter = gate.filter.and_then(|id| {
            let array = columns[id].as_any().downcast_ref::<BooleanArray>()?;
            Some(match array.nulls() {
                Some(nulls) => array.values() & nulls.inner(),
                None => array.values().clone(),
            })
        });
        let filter_failed = gate.filter.and_then(|id| failed[id].as_ref());
        let mut passes = filter.unwrap_or_else(|| BooleanBuffer::new_set(rows));
        if let Some(filter_failed) = filter_failed {
            *failed_rows += filter_failed.true_count();
        }
        for id in &gate.fallible {
            if Some(*id) == gate.filter {
                continue;
            }
            if let Some(failed) = &failed[*id] {
                let lost = &passes & failed.values();
                *failed_rows += lost.count_set_bits();
                passes = &passes & &!failed.values();
            }
        }
        Arc::new(BooleanArray::new(passes, None))
    }
}
