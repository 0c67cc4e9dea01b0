//! What a tally remembers of when it saw a value.

use super::StateError;
use super::codec::{Reader, put_count, put_i64, put_order};
use std::collections::BTreeMap;
use std::fmt::Debug;
use tidewheel_core::time::Order;

/// The order of no row, for sights that keep none.
const NO_ORDER: Order = Order { time: 0, seq: 0 };

/// When a value was seen.
pub(crate) trait Sight: Debug + Clone + Send {
    /// Whether `subtract` of earlier rows keeps it exact.
    const SUBTRACTABLE: bool;
    /// The fewest bytes that `save` writes.
    const LEAST_SAVED: usize;
    /// Of one row.
    fn one(order: Order) -> Self;
    fn add(&mut self, order: Order);
    fn merge(&mut self, other: &Self);
    /// Takes one row out; only where rows can be taken back.
    fn remove(&mut self, _: Order) {}
    /// Takes earlier rows out.
    fn subtract(&mut self, _: &Self) {}
    /// Whether nothing needs to be remembered of a value that counts zero. Not so where one row
    /// was added and another taken back before it is added.
    fn is_empty(&self) -> bool {
        true
    }
    /// The earliest row, or the latest, whichever is kept.
    fn order(&self, latest: bool) -> Order;
    fn save(&self, out: &mut Vec<u8>);
    fn load(reader: &mut Reader<'_>) -> Result<Self, StateError>;
    /// Allocated bytes outside the value itself, estimated.
    fn heap(&self) -> usize {
        0
    }
}

/// Nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unseen;

impl Sight for Unseen {
    const SUBTRACTABLE: bool = true;
    const LEAST_SAVED: usize = 0;
    fn one(_: Order) -> Self {
        Self
    }
    fn add(&mut self, _: Order) {}
    fn merge(&mut self, _: &Self) {}
    fn order(&self, _: bool) -> Order {
        NO_ORDER
    }
    fn save(&self, _: &mut Vec<u8>) {}
    fn load(_: &mut Reader<'_>) -> Result<Self, StateError> {
        Ok(Self)
    }
}

/// The latest row. What is subtracted is earlier, so what stays is still the latest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Newest(Order);

impl Sight for Newest {
    const SUBTRACTABLE: bool = true;
    const LEAST_SAVED: usize = 16;
    fn one(order: Order) -> Self {
        Self(order)
    }
    fn add(&mut self, order: Order) {
        self.0 = self.0.max(order);
    }
    fn merge(&mut self, other: &Self) {
        self.add(other.0);
    }
    fn order(&self, _: bool) -> Order {
        self.0
    }
    fn save(&self, out: &mut Vec<u8>) {
        put_order(out, self.0);
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, StateError> {
        Ok(Self(reader.order()?))
    }
}

/// The earliest row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Oldest(Order);

impl Sight for Oldest {
    const SUBTRACTABLE: bool = false;
    const LEAST_SAVED: usize = 16;
    fn one(order: Order) -> Self {
        Self(order)
    }
    fn add(&mut self, order: Order) {
        self.0 = self.0.min(order);
    }
    fn merge(&mut self, other: &Self) {
        self.add(other.0);
    }
    fn order(&self, _: bool) -> Order {
        self.0
    }
    fn save(&self, out: &mut Vec<u8>) {
        put_order(out, self.0);
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, StateError> {
        Ok(Self(reader.order()?))
    }
}

/// All rows, for input that takes rows back. A count is below zero where a row was taken back
/// before it was added.
#[derive(Debug, Clone, Default)]
pub(crate) struct History(BTreeMap<Order, i64>);

impl History {
    fn count(&mut self, order: Order, by: i64) {
        let count = self.0.entry(order).or_default();
        *count += by;
        if *count == 0 {
            self.0.remove(&order);
        }
    }
}

impl Sight for History {
    const SUBTRACTABLE: bool = true;
    const LEAST_SAVED: usize = 4;
    fn one(order: Order) -> Self {
        Self(BTreeMap::from([(order, 1)]))
    }
    fn add(&mut self, order: Order) {
        self.count(order, 1);
    }
    fn merge(&mut self, other: &Self) {
        other
            .0
            .iter()
            .for_each(|(order, count)| self.count(*order, *count));
    }
    fn remove(&mut self, order: Order) {
        self.count(order, -1);
    }
    fn subtract(&mut self, other: &Self) {
        other
            .0
            .iter()
            .for_each(|(order, count)| self.count(*order, -count));
    }
    fn order(&self, latest: bool) -> Order {
        let mut rows = self
            .0
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(order, _)| *order);
        let found = if latest {
            rows.next_back()
        } else {
            rows.next()
        };
        found.unwrap_or(NO_ORDER)
    }
    fn save(&self, out: &mut Vec<u8>) {
        put_count(out, self.0.len());
        for (order, count) in &self.0 {
            put_order(out, *order);
            put_i64(out, *count);
        }
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, StateError> {
        let mut history = Self::default();
        for _ in 0..reader.count(24)? {
            let order = reader.order()?;
            let count = reader.i64()?;
            history.0.insert(order, count);
        }
        Ok(history)
    }
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    fn heap(&self) -> usize {
        self.0.len() * (size_of::<Order>() + 2 * size_of::<i64>())
    }
}
