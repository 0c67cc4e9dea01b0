//! What is evaluated on each row of a source table, for all queries at once.

use crate::error::EngineError;
use crate::expr::{Expr, can_fail, evaluate};
use crate::plan::{Chain, Step};
use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::DataType;
use std::sync::Arc;
use tidewheel_kernel::keys::{KeyEncoder, Keys};

/// The number of a result column of the program.
pub type ColumnId = usize;

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

/// All expressions over a source table's rows.
#[derive(Debug, Clone, Default)]
pub struct ScanProgram {
    exprs: Vec<Expr>,
    gates: Vec<Gate>,
    /// The grouping keys.
    pub groups: Vec<KeyGroup>,
    /// For each query of this source, in the order they were added.
    pub inputs: Vec<QueryInput>,
}

/// The results of the program for one batch.
#[derive(Debug)]
pub struct Evaluation {
    /// All result columns: expressions, then gates.
    pub columns: Vec<ArrayRef>,
    /// The keys of each group.
    pub keys: Vec<Keys>,
    /// The route of each group, where it differs from its key.
    pub routes: Vec<Option<Keys>>,
    /// Rows on which an expression failed, summed over gates.
    pub failed_rows: usize,
}

impl ScanProgram {
    /// Adds a query's head.
    ///
    /// # Errors
    /// A key has a type that cannot be a key.
    pub fn add(&mut self, chain: &Chain) -> Result<(), EngineError> {
        let filter = chain.head.filter.as_ref().map(|filter| self.expr(filter));
        let columns: Vec<usize> = chain
            .head
            .exprs
            .iter()
            .map(|expr| self.expr(expr))
            .collect();
        let mut fallible: Vec<usize> = columns
            .iter()
            .chain(&filter)
            .copied()
            .filter(|id| can_fail(&self.exprs[*id]))
            .collect();
        fallible.sort_unstable();
        fallible.dedup();
        let gate = (filter.is_some() || !fallible.is_empty()).then(|| {
            let gate = Gate { filter, fallible };
            self.gates
                .iter()
                .position(|known| *known == gate)
                .unwrap_or_else(|| {
                    self.gates.push(gate);
                    self.gates.len() - 1
                })
        });
        let group = match chain.steps.first() {
            None => None,
            Some(step) => Some(self.group(chain, step, &columns)?),
        };
        self.inputs.push(QueryInput {
            columns,
            gate,
            group,
        });
        Ok(())
    }

    /// The number of the key group of a query, which others may share.
    fn group(
        &mut self,
        chain: &Chain,
        step: &Step,
        columns: &[ColumnId],
    ) -> Result<usize, EngineError> {
        {
            let keys: Vec<usize> = step.keyed.keys().iter().map(|key| columns[*key]).collect();
            let route: Vec<usize> = chain.route.iter().map(|key| columns[*key]).collect();
            let required: Vec<usize> = chain.required.iter().map(|key| columns[*key]).collect();
            let known = self.groups.iter().position(|group| {
                group.keys == keys && group.route == route && group.required == required
            });
            if let Some(known) = known {
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
            };
            self.groups.push(group);
            Ok(self.groups.len() - 1)
        }
    }

    /// Fixes the numbers of the gates' columns: after the last `add`.
    pub fn finish(&mut self) {
        let first = self.exprs.len();
        for input in &mut self.inputs {
            if let Some(gate) = &mut input.gate {
                *gate += first;
            }
        }
    }

    fn expr(&mut self, expr: &Expr) -> usize {
        self.exprs
            .iter()
            .position(|known| known == expr)
            .unwrap_or_else(|| {
                self.exprs.push(Arc::clone(expr));
                self.exprs.len() - 1
            })
    }

    /// Evaluates everything over a batch of the scan.
    ///
    /// # Errors
    /// An expression cannot be evaluated at all.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<Evaluation, EngineError> {
        let mut columns = Vec::with_capacity(self.exprs.len() + self.gates.len());
        let mut failed: Vec<Option<BooleanArray>> = Vec::with_capacity(self.exprs.len());
        for expr in &self.exprs {
            let result = evaluate(expr, batch)?;
            columns.push(result.array);
            failed.push(result.failed);
        }
        let mut failed_rows = 0;
        for gate in &self.gates {
            let array = self.gate(gate, &columns, &failed, batch.num_rows(), &mut failed_rows);
            columns.push(array);
        }
        let mut keys = Vec::with_capacity(self.groups.len());
        let mut routes = Vec::with_capacity(self.groups.len());
        for group in &self.groups {
            let of = |ids: &[usize]| -> Vec<ArrayRef> {
                ids.iter().map(|id| Arc::clone(&columns[*id])).collect()
            };
            let encode = |encoder: &KeyEncoder, ids: &[usize]| {
                encoder
                    .encode(&of(ids), batch.num_rows())
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
