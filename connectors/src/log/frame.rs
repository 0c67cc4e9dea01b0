//! One record on disk.
//!
//! ```text
//! length  u32   bytes of the body
//! check   u32   low half of XXH3-64 over the body, seeded with the record's offset
//! body:   time i64 (ms since the epoch) · flags u8 · [key length u32 · key] · value
//! ```
//! Integers are little-endian. The seed makes a record that stands in the wrong place, left over
//! from before a cut, fail its check. The body is never empty, so a run of zeros, which a file
//! system may leave behind after a power cut, is no record either.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Bytes before the body.
pub(super) const HEADER_BYTES: usize = 8;
/// Shortest body: time and flags.
const BODY_BYTES_MIN: usize = 9;
/// Largest key and value of one record together, in bytes.
pub const RECORD_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest body: what a record may hold, and what stands before it.
const BODY_BYTES_MAX: usize = RECORD_BYTES_MAX + BODY_BYTES_MIN + 4;

const HAS_KEY: u8 = 1;
const HAS_VALUE: u8 = 2;

/// A record to be appended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Record<'a> {
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// The key, where it has one.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
}

/// A record that was read: ranges into the bytes it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// Its offset in the partition.
    pub offset: u64,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// Where the key stands, if there is one.
    pub key: Option<(usize, usize)>,
    /// Where the value stands; `None` is a tombstone.
    pub value: Option<(usize, usize)>,
    /// First byte after the record.
    pub end: usize,
}

/// What stands at a place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A whole record.
    Whole(Parsed),
    /// The beginning of one; so many bytes from its first are needed to know more.
    Short(usize),
    /// No record.
    Bad,
}

/// Appends a record's bytes.
pub(super) fn encode(out: &mut Vec<u8>, offset: u64, record: &Record<'_>) {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_BYTES]);
    out.extend_from_slice(&record.timestamp_ms.to_le_bytes());
    let flags =
        u8::from(record.key.is_some()) * HAS_KEY + u8::from(record.value.is_some()) * HAS_VALUE;
    out.push(flags);
    if let Some(key) = record.key {
        out.extend_from_slice(&(key.len() as u32).to_le_bytes());
        out.extend_from_slice(key);
    }
    out.extend_from_slice(record.value.unwrap_or_default());
    let body = start + HEADER_BYTES;
    let length = (out.len() - body) as u32;
    let check = xxh3_64_with_seed(&out[body..], offset) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..body].copy_from_slice(&check.to_le_bytes());
}

/// Reads the record that begins at `start` and should have `offset`.
pub(super) fn parse(data: &[u8], start: usize, offset: u64) -> Frame {
    let rest = data.get(start..).unwrap_or_default();
    let (Some(length), Some(check)) = (u32_at(rest, 0), u32_at(rest, 4)) else {
        return Frame::Short(HEADER_BYTES);
    };
    let length = length as usize;
    if !(BODY_BYTES_MIN..=BODY_BYTES_MAX).contains(&length) {
        return Frame::Bad;
    }
    let Some(body) = rest.get(HEADER_BYTES..HEADER_BYTES + length) else {
        return Frame::Short(HEADER_BYTES + length);
    };
    if xxh3_64_with_seed(body, offset) as u32 != check {
        return Frame::Bad;
    }
    parse_body(body, start + HEADER_BYTES, offset).map_or(Frame::Bad, Frame::Whole)
}

fn parse_body(body: &[u8], at: usize, offset: u64) -> Option<Parsed> {
    let timestamp_ms = i64::from_le_bytes(body.get(..8)?.try_into().ok()?);
    let flags = *body.get(8)?;
    let mut value_start = BODY_BYTES_MIN;
    let mut key = None;
    if flags & HAS_KEY != 0 {
        let key_start = BODY_BYTES_MIN + 4;
        value_start = key_start.checked_add(u32_at(body, BODY_BYTES_MIN)? as usize)?;
        if value_start > body.len() {
            return None;
        }
        key = Some((at + key_start, at + value_start));
    }
    let end = at + body.len();
    let value = (flags & HAS_VALUE != 0).then_some((at + value_start, end));
    Some(Parsed {
        offset,
        timestamp_ms,
        key,
        value,
        end,
    })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_record_reads_back_and_every_cut_or_changed_byte_is_noticed(
            offset in any::<u64>(),
            timestamp_ms in any::<i64>(),
            key in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20)),
            value in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..60)),
        ) {
            let record = Record { timestamp_ms, key: key.as_deref(), value: value.as_deref() };
            let mut data = vec![7, 7];
            encode(&mut data, offset, &record);
            let Frame::Whole(read) = parse(&data, 2, offset) else { panic!("not whole") };
            prop_assert_eq!(read.timestamp_ms, timestamp_ms);
            prop_assert_eq!(read.key.map(|(a, b)| data[a..b].to_vec()), key);
            prop_assert_eq!(read.value.map(|(a, b)| data[a..b].to_vec()), value);
            prop_assert_eq!(read.end, data.len());
            for cut in 2..data.len() {
                prop_assert!(matches!(parse(&data[..cut], 2, offset), Frame::Short(_)));
            }
            prop_assert_eq!(parse(&data, 2, offset.wrapping_add(1)), Frame::Bad);
            for at in 2..data.len() {
                let mut changed = data.clone();
                changed[at] ^= 0x10;
                prop_assert!(!matches!(parse(&changed, 2, offset), Frame::Whole(_)), "byte {}", at);
            }
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            for start in 0..bytes.len() + 2 {
                let _ = parse(&bytes, start, 3);
            }
        }
    }

    #[test]
    fn zeros_are_no_record() {
        assert_eq!(parse(&[0; 64], 0, 0), Frame::Bad);
    }
}
