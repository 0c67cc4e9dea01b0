#![allow(clippy::unwrap_used, clippy::result_large_err, reason = "a test")]

use super::*;
use arrow::array::{Array, Float64Array, Int64Array};
use arrow::util::display::array_value_to_string;
use datafusion::execution::SessionStateDefaults;
use proptest::prelude::*;

fn call(name: &str, arguments: Vec<UdafArgument>, is_distinct: bool) -> UdafAggregate {
    let functions = SessionStateDefaults::default_aggregate_functions();
    let function = functions
        .into_iter()
        .find(|function| function.name() == name)
        .unwrap();
    UdafAggregate::new(function, arguments, is_distinct, false).unwrap()
}

/// Calls whose values do not depend on the order of rows.
fn calls() -> Vec<UdafAggregate> {
    let integer = || UdafArgument::Column(DataType::Int64);
    let double = || UdafArgument::Column(DataType::Float64);
    let share = UdafArgument::Literal(ScalarValue::Float64(Some(0.5)));
    vec![
        call("sum", vec![integer()], false),
        call("count", vec![integer()], true),
        call("bit_xor", vec![integer()], false),
        call("median", vec![double()], false),
        call("percentile_cont", vec![double(), share], false),
        call("approx_distinct", vec![integer()], false),
    ]
}

struct Rows {
    integers: ArrayRef,
    doubles: ArrayRef,
    time: Vec<i64>,
    seq: Vec<u64>,
}

impl Rows {
    fn new(values: &[Option<i64>]) -> Self {
        let doubles: Vec<Option<f64>> = values.iter().map(|x| x.map(|x| x as f64)).collect();
        Self {
            integers: Arc::new(Int64Array::from(values.to_vec())),
            doubles: Arc::new(Float64Array::from(doubles)),
            time: (0..values.len() as i64).collect(),
            seq: vec![0; values.len()],
        }
    }

    fn columns(&self, call: &UdafAggregate) -> Vec<ArrayRef> {
        let pick = |data_type: &DataType| match data_type {
            DataType::Int64 => Arc::clone(&self.integers),
            _ => Arc::clone(&self.doubles),
        };
        call.column_types().iter().map(pick).collect()
    }

    /// The function's own value over some rows in one go.
    fn value(&self, call: &UdafAggregate, rows: &[u32]) -> String {
        let picked = UInt32Array::from(rows.to_vec());
        let columns: Vec<ArrayRef> = self
            .columns(call)
            .iter()
            .map(|c| take(c, &picked, None).unwrap())
            .collect();
        let mut accumulator = call.accumulator().unwrap();
        if !rows.is_empty() {
            accumulator
                .update_batch(&call.values(&columns, rows.len()).unwrap())
                .unwrap();
        }
        let value = accumulator.evaluate().unwrap().to_array().unwrap();
        array_value_to_string(&value, 0).unwrap()
    }
}

#[derive(Debug, Clone)]
enum Step {
    Update(u32, Vec<u32>),
    Retract(u32, usize),
    Merge(u32, u32),
    Clear(u32),
    SaveAndLoad(u32),
    Read,
}

const CELLS: u32 = 3;

fn step() -> impl Strategy<Value = Step> {
    let cell = 0..CELLS;
    prop_oneof![
        4 => (cell.clone(), prop::collection::vec(0..20_u32, 1..6))
            .prop_map(|(cell, rows)| Step::Update(cell, rows)),
        2 => (cell.clone(), any::<usize>()).prop_map(|(cell, at)| Step::Retract(cell, at)),
        2 => (cell.clone(), cell.clone()).prop_map(|(into, from)| Step::Merge(into, from)),
        1 => cell.clone().prop_map(Step::Clear),
        1 => cell.prop_map(Step::SaveAndLoad),
        2 => Just(Step::Read),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn cells_agree_with_the_function_over_their_rows(
        values in prop::collection::vec(prop::option::weighted(0.8, -50..50_i64), 20),
        steps in prop::collection::vec(step(), 0..30),
        retracting: bool,
    ) {
        let rows = Rows::new(&values);
        for call in calls() {
            let columns = rows.columns(&call);
            let args = Args { columns: &columns, time: &rows.time, seq: &rows.seq };
            let mut store = call.store(retracting);
            store.grow(CELLS as usize);
            let mut model: Vec<Vec<u32>> = vec![Vec::new(); CELLS as usize];
            for step in steps.iter().cloned().chain([Step::Read]) {
                match step {
                    Step::Update(cell, picked) => {
                        store.update(&vec![cell; picked.len()], &picked, &args);
                        model[cell as usize].extend(picked);
                    }
                    Step::Retract(cell, at) => {
                        let held = &mut model[cell as usize];
                        if retracting && !held.is_empty() {
                            let row = held.swap_remove(at % held.len());
                            store.retract(&[cell], &[row], &args);
                        }
                    }
                    Step::Merge(into, from) if into != from => {
                        store.merge(into, from);
                        let more = model[from as usize].clone();
                        model[into as usize].extend(more);
                    }
                    Step::Merge(..) => {}
                    Step::Clear(cell) => {
                        store.clear(cell);
                        model[cell as usize].clear();
                    }
                    Step::SaveAndLoad(cell) => {
                        let mut bytes = Vec::new();
                        store.save(cell, &mut bytes);
                        let len = bytes.len();
                        bytes.extend_from_slice(b"rest");
                        store.clear(cell);
                        prop_assert_eq!(store.load(cell, &bytes), Ok(len));
                        prop_assert!(store.load(cell, &bytes[..len - 1]).is_err());
                        let at = len / 2;
                        bytes[at] ^= 1;
                        prop_assert!(store.load(cell, &bytes).is_err());
                        bytes[at] ^= 1;
                        prop_assert_eq!(store.load(cell, &bytes), Ok(len));
                    }
                    Step::Read => {
                        let cells: Vec<Cell> = (0..CELLS).collect();
                        let got = store.read(&cells);
                        prop_assert_eq!(got.data_type(), call.result_type());
                        for (cell, held) in model.iter().enumerate() {
                            let got = array_value_to_string(&got, cell).unwrap();
                            prop_assert_eq!(got, rows.value(&call, held), "{:?}", call);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn arguments_that_do_not_fit_are_refused() {
    let functions = SessionStateDefaults::default_aggregate_functions();
    let function = functions
        .into_iter()
        .find(|f| f.name() == "percentile_cont")
        .unwrap();
    let too_much = UdafArgument::Literal(ScalarValue::Float64(Some(2.0)));
    let column = UdafArgument::Column(DataType::Float64);
    assert!(UdafAggregate::new(function, vec![column, too_much], false, false).is_err());
}
