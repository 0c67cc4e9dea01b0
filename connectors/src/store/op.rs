//! What is written into the store, in memory and on disk.
//!
//! ```text
//! frame   length u32 · check u32 (low half of XXH3-64 over the body, seeded with the frame's
//!         number in its file) · body
//! body    time i64 (wall clock, ms) · operations
//! text    length u32 · UTF-8
//! ```
//! Integers are little-endian. A frame is one write: it is there as a whole or not at all.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// `expire_ms` of what never expires.
pub const NEVER: i64 = i64::MAX;
/// Bytes before a frame's body.
const HEADER_BYTES: usize = 8;
/// Longest body of a frame.
pub(super) const BODY_BYTES_MAX: usize = 1 << 30;

/// One write to one key. `expire_ms` is wall-clock time in milliseconds since the Unix epoch, or
/// [`NEVER`].
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// The key is this text, whatever it was.
    Set {
        /// The key.
        key: String,
        /// Its text.
        text: String,
        /// When it expires.
        expire_ms: i64,
    },
    /// The key is gone.
    Delete {
        /// The key.
        key: String,
    },
    /// Fields of a hash; the others stay, and its expiry is only ever put off.
    HashSet {
        /// The key.
        key: String,
        /// Names and texts.
        fields: Vec<(String, String)>,
        /// When it expires, at the earliest.
        expire_ms: i64,
    },
    /// Fields of a hash are gone; with the last one the key is.
    HashDelete {
        /// The key.
        key: String,
        /// Names.
        fields: Vec<String>,
    },
    /// A member of a sorted set; its expiry is only ever put off.
    SortedSet {
        /// The key.
        key: String,
        /// The member.
        member: String,
        /// Its score.
        score: f64,
        /// When the set expires, at the earliest.
        expire_ms: i64,
    },
    /// A member of a sorted set is gone; with the last one the key is.
    SortedDelete {
        /// The key.
        key: String,
        /// The member.
        member: String,
    },
}

const SET: u8 = 1;
const DELETE: u8 = 2;
const HASH_SET: u8 = 3;
const HASH_DELETE: u8 = 4;
const SORTED_SET: u8 = 5;
const SORTED_DELETE: u8 = 6;

/// A frame that was read.
#[derive(Debug, PartialEq)]
pub(super) enum Frame {
    /// A whole one: the time it was written, its operations, and the first byte after it.
    Whole(i64, Vec<Op>, usize),
    /// The beginning of one, or nothing.
    Short,
    /// None.
    Bad,
}

/// Appends a frame: the `number`-th of its file.
pub(super) fn encode(out: &mut Vec<u8>, number: u64, now_ms: i64, ops: &[Op]) {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_BYTES]);
    out.extend_from_slice(&now_ms.to_le_bytes());
    for op in ops {
        encode_op(out, op);
    }
    let body = start + HEADER_BYTES;
    let length = (out.len() - body) as u32;
    let check = xxh3_64_with_seed(&out[body..], number) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..body].copy_from_slice(&check.to_le_bytes());
}

fn encode_op(out: &mut Vec<u8>, op: &Op) {
    match op {
        Op::Set {
            key,
            text,
            expire_ms,
        } => {
            out.push(SET);
            push_text(out, key);
            out.extend_from_slice(&expire_ms.to_le_bytes());
            push_text(out, text);
        }
        Op::Delete { key } => {
            out.push(DELETE);
            push_text(out, key);
        }
        Op::HashSet {
            key,
            fields,
            expire_ms,
        } => {
            out.push(HASH_SET);
            push_text(out, key);
            out.extend_from_slice(&expire_ms.to_le_bytes());
            out.extend_from_slice(&(fields.len() as u32).to_le_bytes());
            for (name, text) in fields {
                push_text(out, name);
                push_text(out, text);
            }
        }
        Op::HashDelete { key, fields } => {
            out.push(HASH_DELETE);
            push_text(out, key);
            out.extend_from_slice(&(fields.len() as u32).to_le_bytes());
            for name in fields {
                push_text(out, name);
            }
        }
        Op::SortedSet {
            key,
            member,
            score,
            expire_ms,
        } => {
            out.push(SORTED_SET);
            push_text(out, key);
            out.extend_from_slice(&expire_ms.to_le_bytes());
            push_text(out, member);
            out.extend_from_slice(&score.to_le_bytes());
        }
        Op::SortedDelete { key, member } => {
            out.push(SORTED_DELETE);
            push_text(out, key);
            push_text(out, member);
        }
    }
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Reads the frame at `start`, which should be the `number`-th of its file.
pub(super) fn decode(data: &[u8], start: usize, number: u64) -> Frame {
    let mut header = Bytes(data.get(start..).unwrap_or_default());
    let (Some(length), Some(check)) = (header.u32(), header.u32()) else {
        return Frame::Short;
    };
    let length = length as usize;
    if !(8..=BODY_BYTES_MAX).contains(&length) {
        return Frame::Bad;
    }
    let Some(body) = header.0.get(..length) else {
        return Frame::Short;
    };
    if xxh3_64_with_seed(body, number) as u32 != check {
        return Frame::Bad;
    }
    let mut body = Bytes(body);
    let mut ops = Vec::new();
    let Some(now_ms) = body.i64() else {
        return Frame::Bad;
    };
    while !body.0.is_empty() {
        let Some(op) = body.op() else {
            return Frame::Bad;
        };
        ops.push(op);
    }
    Frame::Whole(now_ms, ops, start + HEADER_BYTES + length)
}

/// Bytes that are read from the front.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    fn text(&mut self) -> Option<String> {
        let length = self.u32()? as usize;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).ok()
    }

    fn op(&mut self) -> Option<Op> {
        let [tag] = self.array()?;
        let key = self.text()?;
        Some(match tag {
            SET => {
                let expire_ms = self.i64()?;
                Op::Set {
                    key,
                    text: self.text()?,
                    expire_ms,
                }
            }
            DELETE => Op::Delete { key },
            HASH_SET => {
                let expire_ms = self.i64()?;
                let count = self.u32()?;
                let fields = (0..count).map(|_| Some((self.text()?, self.text()?)));
                Op::HashSet {
                    key,
                    fields: fields.collect::<Option<_>>()?,
                    expire_ms,
                }
            }
            HASH_DELETE => {
                let count = self.u32()?;
                let fields = (0..count).map(|_| self.text()).collect::<Option<_>>()?;
                Op::HashDelete { key, fields }
            }
            SORTED_SET => {
                let expire_ms = self.i64()?;
                let member = self.text()?;
                let score = f64::from_le_bytes(self.array()?);
                Op::SortedSet {
                    key,
                    member,
                    score,
                    expire_ms,
                }
            }
            SORTED_DELETE => Op::SortedDelete {
                key,
                member: self.text()?,
            },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_read_back_and_every_cut_or_changed_byte_is_noticed() {
        let key = || "shop:now".to_owned();
        let ops = vec![
            Op::Set {
                key: key(),
                text: "ü".into(),
                expire_ms: NEVER,
            },
            Op::Delete { key: key() },
            Op::HashSet {
                key: key(),
                fields: vec![("a".into(), "1".into()), ("b".into(), String::new())],
                expire_ms: 5,
            },
            Op::HashDelete {
                key: key(),
                fields: vec!["a".into(), "b".into()],
            },
            Op::SortedSet {
                key: key(),
                member: "m".into(),
                score: -0.5,
                expire_ms: 9,
            },
            Op::SortedDelete {
                key: key(),
                member: "m".into(),
            },
        ];
        let mut data = vec![1];
        encode(&mut data, 3, -7, &ops);
        assert_eq!(decode(&data, 1, 3), Frame::Whole(-7, ops, data.len()));
        assert_eq!(decode(&data, 1, 4), Frame::Bad);
        for cut in 1..data.len() {
            assert_eq!(decode(&data[..cut], 1, 3), Frame::Short);
        }
        for at in 1..data.len() {
            let mut changed = data.clone();
            changed[at] ^= 0x10;
            assert!(
                !matches!(decode(&changed, 1, 3), Frame::Whole(..)),
                "byte {at}"
            );
        }
    }
}
