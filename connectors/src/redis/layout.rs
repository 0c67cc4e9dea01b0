//! Rows to Redis commands.

use super::config::{Config, Layout};
use super::resp::{Commands, push_arg};
use super::template::Template;
use tidewheel_core::change::NO_EXPIRY;
use tidewheel_core::text::{write_json, write_json_string, write_value};
use tidewheel_core::{ChangeBatch, Op, TableSpec};

/// One value column of a batch.
struct ValueColumn<'a> {
    /// Its index in the batch.
    at: usize,
    /// Its name in the table.
    name: &'a str,
}

/// Buffers that are reused from row to row.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    key: String,
    value: String,
    /// Encoded arguments: fields and values to set.
    set: Vec<u8>,
    /// Encoded arguments: fields or keys to remove.
    gone: Vec<u8>,
}

/// How the rows of one batch become commands.
pub(super) struct RowPlan<'a> {
    layout: Layout,
    ttl_ms: Option<i64>,
    template: Template,
    values: Vec<ValueColumn<'a>>,
    script: &'a str,
    batch: &'a ChangeBatch,
}

impl<'a> RowPlan<'a> {
    /// A plan for a batch.
    ///
    /// # Errors
    /// The batch lacks a column that the table's key needs.
    pub(super) fn new(
        config: &Config,
        table: &'a TableSpec,
        script: &'a str,
        batch: &'a ChangeBatch,
    ) -> Result<Self, String> {
        let lacking = || {
            format!(
                "a key column of the table '{}' is not in the rows",
                table.name
            )
        };
        let position = |index: usize| batch.columns.iter().position(|c| *c == index);
        let template = config
            .template
            .resolve(&batch.columns)
            .ok_or_else(lacking)?;
        let layout = match config.layout {
            Layout::SortedSet { member, score } => Layout::SortedSet {
                member: position(member).ok_or_else(lacking)?,
                score: position(score).ok_or_else(lacking)?,
            },
            other => other,
        };
        let values = batch
            .columns
            .iter()
            .enumerate()
            .filter(|(_, index)| !table.primary_key.contains(index))
            .filter_map(|(at, index)| {
                let field = table.schema.fields().get(*index)?;
                Some(ValueColumn {
                    at,
                    name: field.name(),
                })
            })
            .collect();
        Ok(Self {
            layout,
            ttl_ms: config.ttl_ms,
            template,
            values,
            script,
            batch,
        })
    }

    /// Appends the commands of one row. A row with NULL in its key has none.
    pub(super) fn append(&self, row: usize, scratch: &mut Scratch, commands: &mut Commands) {
        match self.layout {
            Layout::String => self.append_strings(row, scratch, commands),
            Layout::Hash => self.append_hash(row, scratch, commands),
            Layout::Json => self.append_json(row, scratch, commands),
            Layout::SortedSet { member, score } => {
                self.append_member(row, member, score, scratch, commands);
            }
        }
    }

    fn is_upsert(&self, row: usize) -> bool {
        self.batch.ops.get(row) == Some(&Op::Upsert)
    }

    /// Milliseconds until the row's keys expire; `None` when they never do.
    fn expire_ms(&self, row: usize) -> Option<i64> {
        let live_ms = self.batch.live_ms.get(row).copied().unwrap_or(0);
        if live_ms == NO_EXPIRY {
            return None;
        }
        // Redis refuses times that overflow once the present is added.
        Some(
            live_ms
                .max(0)
                .saturating_add(self.ttl_ms?)
                .min(i64::MAX / 4),
        )
    }

    fn key(&self, row: usize, column: &str, key: &mut String) -> bool {
        key.clear();
        self.template.render(key, &self.batch.rows, row, column)
    }

    fn value(&self, row: usize, column: usize, value: &mut String) -> bool {
        value.clear();
        write_value(value, self.batch.rows.column(column).as_ref(), row)
    }

    fn append_strings(&self, row: usize, scratch: &mut Scratch, commands: &mut Commands) {
        let Scratch {
            key, value, gone, ..
        } = scratch;
        gone.clear();
        let mut gone_count = 0;
        let upsert = self.is_upsert(row);
        let expire = self.expire_ms(row);
        for column in &self.values {
            if upsert && !self.batch.is_changed(row, column.at) {
                continue;
            }
            if !self.key(row, column.name, key) {
                return;
            }
            if !upsert || !self.value(row, column.at, value) {
                push_arg(gone, key.as_bytes());
                gone_count += 1;
                continue;
            }
            append_set(commands, key, value, expire);
        }
        append_removal(commands, b"DEL", None, gone, gone_count);
    }

    fn append_hash(&self, row: usize, scratch: &mut Scratch, commands: &mut Commands) {
        let Scratch {
            key,
            value,
            set,
            gone,
        } = scratch;
        if !self.key(row, "", key) {
            return;
        }
        set.clear();
        gone.clear();
        let (mut set_count, mut gone_count) = (0, 0);
        let upsert = self.is_upsert(row);
        for column in &self.values {
            if upsert && !self.batch.is_changed(row, column.at) {
                continue;
            }
            if upsert && self.value(row, column.at, value) {
                push_arg(set, column.name.as_bytes());
                push_arg(set, value.as_bytes());
                set_count += 1;
            } else {
                push_arg(gone, column.name.as_bytes());
                gone_count += 1;
            }
        }
        self.append_shared(b"HSET", key, set, set_count, self.expire_ms(row), commands);
        append_removal(commands, b"HDEL", Some(key), gone, gone_count);
    }

    fn append_json(&self, row: usize, scratch: &mut Scratch, commands: &mut Commands) {
        let Scratch { key, value, .. } = scratch;
        if !self.key(row, "", key) {
            return;
        }
        if !self.is_upsert(row) {
            commands.command(&[b"DEL", key.as_bytes()], 1);
            return;
        }
        value.clear();
        value.push('{');
        for column in &self.values {
            let before = value.len();
            if before > 1 {
                value.push(',');
            }
            write_json_string(value, column.name);
            value.push(':');
            let text = value.len();
            write_json(value, self.batch.rows.column(column.at).as_ref(), row);
            if &value[text..] == "null" {
                value.truncate(before);
            }
        }
        value.push('}');
        append_set(commands, key, value, self.expire_ms(row));
    }

    fn append_member(
        &self,
        row: usize,
        member: usize,
        score: usize,
        scratch: &mut Scratch,
        commands: &mut Commands,
    ) {
        let Scratch {
            key,
            value,
            set,
            gone,
        } = scratch;
        if !self.key(row, "", key) || !self.value(row, member, value) {
            return;
        }
        gone.clear();
        push_arg(gone, value.as_bytes());
        if self.is_upsert(row) && self.value(row, score, value) {
            set.clear();
            push_arg(set, value.as_bytes());
            set.extend_from_slice(gone);
            self.append_shared(b"ZADD", key, set, 1, self.expire_ms(row), commands);
        } else {
            append_removal(commands, b"ZREM", Some(key), gone, 1);
        }
    }

    /// Sets `count` pairs of encoded arguments in a key that other tables may share: its expiry
    /// is only ever put off. Whoever sets no expiry takes it away for all.
    fn append_shared(
        &self,
        name: &[u8],
        key: &str,
        pairs: &[u8],
        count: usize,
        expire: Option<i64>,
        commands: &mut Commands,
    ) {
        if count == 0 {
            return;
        }
        if let Some(ms) = expire {
            commands.begin(6 + 2 * count, count);
            for arg in [
                b"EVALSHA",
                self.script.as_bytes(),
                b"1",
                key.as_bytes(),
                name,
            ] {
                commands.arg(arg);
            }
            commands.arg(number(ms, &mut [0; 20]));
            commands.encoded_args(pairs);
        } else {
            commands.begin(2 + 2 * count, count);
            commands.arg(name);
            commands.arg(key.as_bytes());
            commands.encoded_args(pairs);
            commands.command(&[b"PERSIST", key.as_bytes()], 0);
        }
    }
}

fn append_set(commands: &mut Commands, key: &str, value: &str, expire: Option<i64>) {
    let (key, value) = (key.as_bytes(), value.as_bytes());
    match expire {
        Some(ms) => {
            commands.command(&[b"SET", key, value, b"PX", number(ms, &mut [0; 20])], 1);
        }
        None => commands.command(&[b"SET", key, value], 1),
    }
}

fn append_removal(
    commands: &mut Commands,
    name: &[u8],
    key: Option<&str>,
    encoded: &[u8],
    count: usize,
) {
    if count == 0 {
        return;
    }
    commands.begin(1 + usize::from(key.is_some()) + count, count);
    commands.arg(name);
    if let Some(key) = key {
        commands.arg(key.as_bytes());
    }
    commands.encoded_args(encoded);
}

/// The digits of a number that is not negative, without an allocation.
fn number(value: i64, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break &digits[at..];
        }
    }
}
