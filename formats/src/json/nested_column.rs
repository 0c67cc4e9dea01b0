//! ROW, ARRAY and MAP columns. Each `push` appends one row whatever happens, and returns whether
//! that row is valid and what was wrong with it first.

use super::column::{Column, Rules};
use super::nested::{items, members};
use super::text::unescape;
use super::value::{Fault, Kind, Slot, Value, Wrong};
use arrow::array::{ArrayRef, ListArray, MapArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, FieldRef, Fields};
use arrow::error::ArrowError;
use std::collections::HashMap;
use std::sync::Arc;

type Pushed = (bool, Result<(), Wrong>);

/// Keeps the first thing that was wrong; text that is no JSON counts before all else.
fn note(first: &mut Result<(), Wrong>, result: Result<(), Wrong>) {
    match (&first, &result) {
        (Ok(()), _) => *first = result,
        (Err(Wrong::Type | Wrong::Missing), Err(Wrong::Json(_))) => *first = result,
        _ => {}
    }
}

/// A ROW.
#[derive(Debug)]
pub(crate) struct StructColumn {
    fields: Fields,
    columns: Vec<Column>,
    found: Vec<Slot>,
    rows: usize,
}

impl StructColumn {
    pub(crate) fn new(fields: &Fields) -> Option<Self> {
        let columns: Option<Vec<_>> = fields.iter().map(|f| Column::new(f.data_type())).collect();
        let found = vec![Slot::default(); fields.len()];
        Some(Self {
            fields: fields.clone(),
            columns: columns?,
            found,
            rows: 0,
        })
    }

    pub(crate) fn push(&mut self, value: Value<'_>, rules: Rules) -> Pushed {
        if value.kind != Kind::Object {
            self.push_null();
            return (false, Err(Wrong::Type));
        }
        self.found.fill(Slot::default());
        let (fields, found) = (&self.fields, &mut self.found);
        let read = members(value.bytes, |key, slot| {
            let mut plain = Vec::new();
            let key = if value.escapes && key.contains(&b'\\') {
                unescape(key, &mut plain)?;
                plain.as_slice()
            } else {
                key
            };
            for (field, place) in fields.iter().zip(found.iter_mut()) {
                if field.name().as_bytes() == key {
                    *place = slot;
                }
            }
            Ok(())
        });
        if let Err(fault) = read {
            self.push_null();
            return (false, Err(fault.into()));
        }
        let mut valid = true;
        let mut first = Ok(());
        for ((column, slot), field) in self.columns.iter_mut().zip(&self.found).zip(&self.fields) {
            if rules.fail_on_missing && slot.kind == Kind::Absent {
                note(&mut first, Err(Wrong::Missing));
            }
            note(
                &mut first,
                column.push(slot.value(value.bytes, value.escapes), rules),
            );
            if !field.is_nullable() && column.last_is_null() {
                valid = false;
                note(&mut first, Err(Wrong::Type));
            }
        }
        self.rows += 1;
        (valid, first)
    }

    pub(crate) fn push_null(&mut self) {
        self.rows += 1;
        self.columns.iter_mut().for_each(Column::push_null);
    }

    pub(crate) fn truncate(&mut self, rows: usize) {
        self.rows = self.rows.min(rows);
        self.columns
            .iter_mut()
            .for_each(|column| column.truncate(rows));
    }

    pub(crate) fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
        let rows = std::mem::take(&mut self.rows);
        let columns: Result<Vec<_>, _> = self.columns.iter_mut().map(Column::finish).collect();
        let array = StructArray::try_new_with_length(self.fields.clone(), columns?, nulls, rows)?;
        Ok(Arc::new(array))
    }
}

/// An ARRAY.
#[derive(Debug)]
pub(crate) struct ListColumn {
    field: FieldRef,
    offsets: Vec<i32>,
    column: Column,
}

impl ListColumn {
    pub(crate) fn new(field: &FieldRef) -> Option<Self> {
        let column = Column::new(field.data_type())?;
        Some(Self {
            field: Arc::clone(field),
            offsets: vec![0],
            column,
        })
    }

    pub(crate) fn push(&mut self, value: Value<'_>, rules: Rules) -> Pushed {
        let start = self.column.len();
        if value.kind != Kind::Array {
            self.push_empty();
            return (false, Err(Wrong::Type));
        }
        let mut row = (true, Ok(()));
        let read = items(value.bytes, |slot| {
            self.item(slot.value(value.bytes, value.escapes), rules, &mut row);
        });
        if let Err(fault) = read {
            row.0 = false;
            note(&mut row.1, Err(fault.into()));
        }
        self.close(start, row)
    }

    /// Appends one row of items that stand in different places.
    pub(crate) fn push_items<'a>(
        &mut self,
        items: impl Iterator<Item = Value<'a>>,
        rules: Rules,
    ) -> Pushed {
        let start = self.column.len();
        let mut row = (true, Ok(()));
        for value in items {
            self.item(value, rules, &mut row);
        }
        self.close(start, row)
    }

    fn item(&mut self, value: Value<'_>, rules: Rules, row: &mut Pushed) {
        note(&mut row.1, self.column.push(value, rules));
        if !self.field.is_nullable() && self.column.last_is_null() {
            row.0 = false;
            note(&mut row.1, Err(Wrong::Type));
        }
    }

    /// Ends a row whose items begin at `start`.
    fn close(&mut self, start: usize, row: Pushed) -> Pushed {
        if !row.0 {
            self.column.truncate(start);
        }
        self.push_empty();
        row
    }

    pub(crate) fn push_empty(&mut self) {
        self.offsets.push(self.column.len() as i32);
    }

    pub(crate) fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        self.column
            .truncate(self.offsets.last().map_or(0, |end| *end as usize));
    }

    pub(crate) fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
        let offsets = take_offsets(&mut self.offsets);
        let values = self.column.finish()?;
        Ok(Arc::new(ListArray::try_new(
            Arc::clone(&self.field),
            offsets,
            values,
            nulls,
        )?))
    }
}

/// A MAP with string keys. Of a key that comes twice the last value counts, at the first's place.
#[derive(Debug)]
pub(crate) struct MapColumn {
    entries: FieldRef,
    fields: Fields,
    offsets: Vec<i32>,
    keys: Column,
    values: Column,
}

impl MapColumn {
    pub(crate) fn new(entries: &FieldRef) -> Option<Self> {
        let DataType::Struct(fields) = entries.data_type() else {
            return None;
        };
        let [key, value] = fields.as_ref() else {
            return None;
        };
        if !matches!(
            key.data_type(),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
        ) {
            return None;
        }
        Some(Self {
            entries: Arc::clone(entries),
            fields: fields.clone(),
            offsets: vec![0],
            keys: Column::new(key.data_type())?,
            values: Column::new(value.data_type())?,
        })
    }

    pub(crate) fn push(&mut self, value: Value<'_>, rules: Rules) -> Pushed {
        let start = self.keys.len();
        let pushed = self.push_entries(value, rules);
        if !pushed.0 {
            self.keys.truncate(start);
            self.values.truncate(start);
        }
        self.push_empty();
        pushed
    }

    fn push_entries(&mut self, value: Value<'_>, rules: Rules) -> Pushed {
        if value.kind != Kind::Object {
            return (false, Err(Wrong::Type));
        }
        let entries = match distinct_members(value) {
            Ok(entries) => entries,
            Err(fault) => return (false, Err(fault.into())),
        };
        let nullable = self.fields.get(1).is_some_and(|field| field.is_nullable());
        let mut valid = true;
        let mut first = Ok(());
        for (key, slot) in &entries {
            let key = Value {
                kind: Kind::Text,
                bytes: key,
                escapes: false,
            };
            note(&mut first, self.keys.push(key, rules));
            note(
                &mut first,
                self.values
                    .push(slot.value(value.bytes, value.escapes), rules),
            );
            if !nullable && self.values.last_is_null() {
                valid = false;
                note(&mut first, Err(Wrong::Type));
            }
        }
        (valid, first)
    }

    pub(crate) fn push_empty(&mut self) {
        self.offsets.push(self.keys.len() as i32);
    }

    pub(crate) fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        let entries = self.offsets.last().map_or(0, |end| *end as usize);
        self.keys.truncate(entries);
        self.values.truncate(entries);
    }

    pub(crate) fn finish(
        &mut self,
        data_type: &DataType,
        nulls: Option<NullBuffer>,
    ) -> Result<ArrayRef, ArrowError> {
        let offsets = take_offsets(&mut self.offsets);
        let columns = vec![self.keys.finish()?, self.values.finish()?];
        let entries = StructArray::try_new(self.fields.clone(), columns, None)?;
        let sorted = matches!(data_type, DataType::Map(_, true));
        Ok(Arc::new(MapArray::try_new(
            Arc::clone(&self.entries),
            offsets,
            entries,
            nulls,
            sorted,
        )?))
    }
}

/// The members of an object, keys unescaped, each once.
fn distinct_members(value: Value<'_>) -> Result<Vec<(Vec<u8>, Slot)>, Fault> {
    let mut entries: Vec<(Vec<u8>, Slot)> = Vec::new();
    let mut places: HashMap<Vec<u8>, usize> = HashMap::new();
    members(value.bytes, |key, slot| {
        let mut plain = Vec::with_capacity(key.len());
        unescape(key, &mut plain)?;
        if let Some(entry) = places.get(&plain).and_then(|place| entries.get_mut(*place)) {
            entry.1 = slot;
        } else {
            places.insert(plain.clone(), entries.len());
            entries.push((plain, slot));
        }
        Ok(())
    })?;
    Ok(entries)
}

fn take_offsets(offsets: &mut Vec<i32>) -> OffsetBuffer<i32> {
    OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(offsets, vec![0])))
}
