//! An aggregate of others than the kernel's goes through the same factory and contract.

#![allow(clippy::unwrap_used)]

mod aggregate;

use aggregate::{Kind, Row, V, apply, read_one};
use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Int64Type};
use std::sync::Arc;
use tidewheel_kernel::aggregate::{
    Args, Cell, CellStore, CustomAggregate, StateError, check, new_stores,
};
use tidewheel_kernel::spec::{AggregateKind, AggregateSpec};

/// The bits that occur in any value.
#[derive(Debug)]
struct BitOr;

#[derive(Debug, Default)]
struct BitOrStore(Vec<i64>);

impl CustomAggregate for BitOr {
    fn name(&self) -> &str {
        "bit_or"
    }
    fn store(&self, _: bool) -> Box<dyn CellStore> {
        Box::new(BitOrStore::default())
    }
}

impl CellStore for BitOrStore {
    fn grow(&mut self, count: usize) {
        self.0.resize(count.max(self.0.len()), 0);
    }
    fn clear(&mut self, cell: Cell) {
        self.0[cell as usize] = 0;
    }
    fn update(&mut self, cells: &[Cell], rows: &[u32], args: &Args<'_>) {
        let values = args.columns[0].as_primitive::<Int64Type>();
        for (cell, row) in cells.iter().zip(rows) {
            if values.is_valid(*row as usize) {
                self.0[*cell as usize] |= values.value(*row as usize);
            }
        }
    }
    fn retract(&mut self, _: &[Cell], _: &[u32], _: &Args<'_>) {}
    fn merge(&mut self, into: Cell, from: Cell) {
        self.0[into as usize] |= self.0[from as usize];
    }
    fn read(&mut self, cells: &[Cell]) -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(
            cells.iter().map(|cell| self.0[*cell as usize]),
        ))
    }
    fn save(&mut self, cell: Cell, out: &mut Vec<u8>) {
        out.extend(self.0[cell as usize].to_le_bytes());
    }
    fn load(&mut self, cell: Cell, bytes: &[u8]) -> Result<usize, StateError> {
        let bytes = bytes
            .first_chunk()
            .ok_or_else(|| StateError("too short".into()))?;
        self.0[cell as usize] = i64::from_le_bytes(*bytes);
        Ok(8)
    }
    fn state_bytes(&self) -> usize {
        self.0.capacity() * 8
    }
}

#[test]
fn a_custom_aggregate_stands_beside_the_kernels_own() {
    let spec = |kind| AggregateSpec {
        kind,
        args: vec![0],
        arg_types: vec![DataType::Int64],
        filter: None,
        result: DataType::Int64,
    };
    let specs = [
        spec(AggregateKind::Custom(Arc::new(BitOr))),
        spec(AggregateKind::Sum),
    ];
    specs.iter().for_each(|spec| check(spec).unwrap());
    let mut groups = new_stores(&specs, false);
    assert_eq!(groups.len(), 2);
    let mut rng = fastrand::Rng::with_seed(3);
    let row = |x| Row {
        time: 0,
        seq: 0,
        args: [V::Int(x), V::Null],
    };
    let rows = [(0, row(1)), (1, row(4)), (0, row(1)), (1, row(8))];
    for group in &mut groups {
        group.store.grow(2);
        apply(&mut *group.store, [Kind::Int; 2], &rows, false, &mut rng);
        group.store.merge(0, 1);
    }
    assert_eq!(read_one(&mut groups[0], 0), [V::Int(13)]);
    assert_eq!(read_one(&mut groups[1], 0), [V::Int(14)]);
}
