//! What the store holds, in memory.

use super::op::{NEVER, Op};
use std::collections::BTreeMap;
use std::ops::Bound;

/// A key's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A text.
    Text(String),
    /// Fields and their texts.
    Hash(BTreeMap<String, String>),
    /// Members and their scores.
    Sorted(BTreeMap<String, f64>),
}

impl Value {
    /// The members of a sorted set, highest score first, ties by the members' bytes, descending,
    /// as Redis answers `ZREVRANGE`. Empty for other values.
    #[must_use]
    pub fn by_score(&self) -> Vec<(&str, f64)> {
        let Self::Sorted(members) = self else {
            return Vec::new();
        };
        let mut all: Vec<(&str, f64)> = members.iter().map(|(m, s)| (m.as_str(), *s)).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| b.0.cmp(a.0)));
        all
    }
}

/// A key's value and its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The value.
    pub value: Value,
    /// Wall-clock time in ms since the Unix epoch from which it is gone, or [`NEVER`].
    pub expire_ms: i64,
}

/// All keys. Expired ones may still be in it until [`State::drop_expired`].
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct State(BTreeMap<String, Entry>);

impl State {
    pub(super) fn get(&self, key: &str, now_ms: i64) -> Option<&Entry> {
        self.0.get(key).filter(|entry| entry.expire_ms > now_ms)
    }

    /// The live keys that begin with `prefix`, in the order of their bytes.
    pub(super) fn scan<'a>(
        &'a self,
        prefix: &'a str,
        now_ms: i64,
    ) -> impl Iterator<Item = (&'a str, &'a Entry)> {
        self.0
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(move |(key, _)| key.starts_with(prefix))
            .filter(move |(_, entry)| entry.expire_ms > now_ms)
            .map(|(key, entry)| (key.as_str(), entry))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn drop_expired(&mut self, now_ms: i64) {
        self.0.retain(|_, entry| entry.expire_ms > now_ms);
    }

    /// Applies a write. The result depends on the state, the write and its time alone, so that
    /// it is the same when read back.
    pub(super) fn apply(&mut self, now_ms: i64, op: Op) {
        match op {
            Op::Set {
                key,
                text,
                expire_ms,
            } => {
                self.0.insert(
                    key,
                    Entry {
                        value: Value::Text(text),
                        expire_ms,
                    },
                );
            }
            Op::Delete { key } => {
                self.0.remove(&key);
            }
            Op::HashSet {
                key,
                fields,
                expire_ms,
            } => {
                let is_hash = |value: &Value| matches!(value, Value::Hash(_));
                let entry = self.shared(key, now_ms, expire_ms, is_hash, Value::Hash);
                if let Value::Hash(own) = &mut entry.value {
                    own.extend(fields);
                }
            }
            Op::HashDelete { key, fields } => {
                let Some(entry) = self.0.get_mut(&key) else {
                    return;
                };
                let Value::Hash(own) = &mut entry.value else {
                    return;
                };
                for field in &fields {
                    own.remove(field);
                }
                if own.is_empty() {
                    self.0.remove(&key);
                }
            }
            Op::SortedSet {
                key,
                member,
                score,
                expire_ms,
            } => {
                let is_sorted = |value: &Value| matches!(value, Value::Sorted(_));
                let entry = self.shared(key, now_ms, expire_ms, is_sorted, Value::Sorted);
                if let Value::Sorted(own) = &mut entry.value {
                    own.insert(member, score);
                }
            }
            Op::SortedDelete { key, member } => {
                let Some(entry) = self.0.get_mut(&key) else {
                    return;
                };
                let Value::Sorted(own) = &mut entry.value else {
                    return;
                };
                own.remove(&member);
                if own.is_empty() {
                    self.0.remove(&key);
                }
            }
        }
    }

    /// The entry of a key that tables may share: kept where it is live and of the right kind, its
    /// expiry only put off.
    fn shared<V: Default>(
        &mut self,
        key: String,
        now_ms: i64,
        expire_ms: i64,
        is_kind: impl Fn(&Value) -> bool,
        empty: impl Fn(V) -> Value,
    ) -> &mut Entry {
        let fresh = || Entry {
            value: empty(V::default()),
            expire_ms,
        };
        let entry = self.0.entry(key).or_insert_with(fresh);
        if entry.expire_ms <= now_ms || !is_kind(&entry.value) {
            *entry = fresh();
        }
        entry.expire_ms = entry.expire_ms.max(expire_ms);
        entry
    }

    /// The writes that make this state out of an empty one, without what has expired.
    pub(super) fn ops(&self, now_ms: i64) -> impl Iterator<Item = Op> {
        let live = self
            .0
            .iter()
            .filter(move |(_, entry)| entry.expire_ms > now_ms);
        live.flat_map(|(key, Entry { value, expire_ms })| {
            let (key, expire_ms) = (key.clone(), *expire_ms);
            match value {
                Value::Text(text) => vec![Op::Set {
                    key,
                    text: text.clone(),
                    expire_ms,
                }],
                Value::Hash(fields) => {
                    let fields = fields.iter().map(|(n, t)| (n.clone(), t.clone())).collect();
                    vec![Op::HashSet {
                        key,
                        fields,
                        expire_ms,
                    }]
                }
                Value::Sorted(members) => members
                    .iter()
                    .map(|(member, score)| Op::SortedSet {
                        key: key.clone(),
                        member: member.clone(),
                        score: *score,
                        expire_ms,
                    })
                    .collect(),
            }
        })
    }
}

/// When a value with so long to live expires.
pub(super) fn expire_at(now_ms: i64, live_ms: Option<i64>) -> i64 {
    live_ms.map_or(NEVER, |live| {
        now_ms.saturating_add(live.max(0)).min(NEVER - 1)
    })
}
