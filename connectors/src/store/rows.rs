//! Rows to operations: the same keys, names and texts that the connector `redis` writes.

use super::op::Op;
use super::state::expire_at;
use crate::progress;
use crate::redis::config::{Config, Layout};
use crate::redis::template::Template;
use tidewheel_core::change::NO_EXPIRY;
use tidewheel_core::text::{write_json, write_json_string, write_value};
use tidewheel_core::{ChangeBatch, Op as RowOp, Progress, TableSpec};

/// How far the input was read, under the key and with the fields that Redis gets.
pub(super) fn progress(key: &str, raised: &Progress) -> Option<Op> {
    let fields: Vec<(String, String)> = progress::fields(raised).collect();
    (!fields.is_empty()).then(|| Op::HashSet {
        key: key.to_owned(),
        fields,
        expire_ms: super::NEVER,
    })
}

/// One batch and how its rows become operations.
pub(super) struct Rows<'a> {
    config: &'a Config,
    template: Template,
    /// Of each value column: its index in the batch, and its name.
    values: Vec<(usize, &'a str)>,
    batch: &'a ChangeBatch,
    now_ms: i64,
}

impl<'a> Rows<'a> {
    /// # Errors
    /// The batch lacks a column of the key.
    pub(super) fn new(
        config: &'a Config,
        table: &'a TableSpec,
        batch: &'a ChangeBatch,
        now_ms: i64,
    ) -> Result<Self, String> {
        let template = config.template.resolve(&batch.columns).ok_or_else(|| {
            format!(
                "a key column of the table '{}' is not in the rows",
                table.name
            )
        })?;
        let values = batch
            .columns
            .iter()
            .enumerate()
            .filter(|(_, index)| !table.primary_key.contains(index))
            .filter_map(|(at, index)| {
                Some((at, table.schema.fields().get(*index)?.name().as_str()))
            })
            .collect();
        Ok(Self {
            config,
            template,
            values,
            batch,
            now_ms,
        })
    }

    /// Appends the operations of one row. A row with NULL in its key has none.
    pub(super) fn append(&self, row: usize, ops: &mut Vec<Op>) {
        let upsert = self.batch.ops.get(row) == Some(&RowOp::Upsert);
        match self.config.layout {
            Layout::String => self.append_texts(row, upsert, ops),
            Layout::Hash => self.append_hash(row, upsert, ops),
            Layout::Json => self.append_json(row, upsert, ops),
            Layout::SortedSet { member, score } => {
                self.append_member(row, upsert, member, score, ops);
            }
        }
    }

    fn append_texts(&self, row: usize, upsert: bool, ops: &mut Vec<Op>) {
        for (at, name) in &self.values {
            if upsert && !self.batch.is_changed(row, *at) {
                continue;
            }
            let Some(key) = self.key(row, name) else {
                return;
            };
            ops.push(match self.text(row, *at).filter(|_| upsert) {
                Some(text) => Op::Set {
                    key,
                    text,
                    expire_ms: self.expire_ms(row),
                },
                None => Op::Delete { key },
            });
        }
    }

    fn append_hash(&self, row: usize, upsert: bool, ops: &mut Vec<Op>) {
        let Some(key) = self.key(row, "") else { return };
        let (mut set, mut gone) = (Vec::new(), Vec::new());
        for (at, name) in &self.values {
            if upsert && !self.batch.is_changed(row, *at) {
                continue;
            }
            match self.text(row, *at).filter(|_| upsert) {
                Some(text) => set.push(((*name).to_owned(), text)),
                None => gone.push((*name).to_owned()),
            }
        }
        if !set.is_empty() {
            let (key, expire_ms) = (key.clone(), self.expire_ms(row));
            ops.push(Op::HashSet {
                key,
                fields: set,
                expire_ms,
            });
        }
        if !gone.is_empty() {
            ops.push(Op::HashDelete { key, fields: gone });
        }
    }

    fn append_json(&self, row: usize, upsert: bool, ops: &mut Vec<Op>) {
        let Some(key) = self.key(row, "") else { return };
        if !upsert {
            ops.push(Op::Delete { key });
            return;
        }
        let mut text = "{".to_owned();
        for (at, name) in &self.values {
            let before = text.len();
            if before > 1 {
                text.push(',');
            }
            write_json_string(&mut text, name);
            text.push(':');
            let value = text.len();
            write_json(&mut text, self.batch.rows.column(*at).as_ref(), row);
            if &text[value..] == "null" {
                text.truncate(before);
            }
        }
        text.push('}');
        ops.push(Op::Set {
            key,
            text,
            expire_ms: self.expire_ms(row),
        });
    }

    fn append_member(
        &self,
        row: usize,
        upsert: bool,
        member: usize,
        score: usize,
        ops: &mut Vec<Op>,
    ) {
        let position = |index| {
            self.batch
                .columns
                .iter()
                .position(|column| *column == index)
        };
        let Some(member) = position(member).and_then(|at| self.text(row, at)) else {
            return;
        };
        let Some(key) = self.key(row, "") else { return };
        let score = position(score).and_then(|at| self.text(row, at)?.parse::<f64>().ok());
        ops.push(match score.filter(|_| upsert) {
            Some(score) => {
                let expire_ms = self.expire_ms(row);
                Op::SortedSet {
                    key,
                    member,
                    score,
                    expire_ms,
                }
            }
            None => Op::SortedDelete { key, member },
        });
    }

    fn key(&self, row: usize, column: &str) -> Option<String> {
        let mut key = String::new();
        self.template
            .render(&mut key, &self.batch.rows, row, column)
            .then_some(key)
    }

    fn text(&self, row: usize, at: usize) -> Option<String> {
        let mut text = String::new();
        write_value(&mut text, self.batch.rows.column(at).as_ref(), row).then_some(text)
    }

    fn expire_ms(&self, row: usize) -> i64 {
        let live_ms = self.batch.live_ms.get(row).copied().unwrap_or(0);
        let ttl_ms = self.config.ttl_ms.filter(|_| live_ms != NO_EXPIRY);
        expire_at(
            self.now_ms,
            ttl_ms.map(|ttl| live_ms.max(0).saturating_add(ttl)),
        )
    }
}
