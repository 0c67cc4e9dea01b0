//! Packed records: several events in one, by zstd or gzip.
//!
//! Inside: a byte for the version (1), one for the payload's version, then for each event its length
//! in four bytes, highest first, and its bytes.

use flate2::read::MultiGzDecoder;
use std::io::Read;

/// The version of the frame that is known.
const VERSION: u8 = 1;

/// Largest window that a packed record may ask for, as a power of two: memory that one decoder takes.
const WINDOW_LOG_MAX: u32 = 26;

/// How a record is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    /// Zstandard, RFC 8878.
    Zstd,
    /// Gzip, RFC 1952.
    Gzip,
}

/// How a record is packed, by its first bytes; `None` for plain text.
#[inline]
pub(crate) fn packing(record: &[u8]) -> Option<Packing> {
    match record {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Packing::Zstd),
        [0x1f, 0x8b, ..] => Some(Packing::Gzip),
        _ => None,
    }
}

/// Appends what a record holds to `out`.
///
/// # Errors
/// It does not unpack, or holds more than `max` bytes. What was unpacked before stays in `out`.
pub(crate) fn unpack(
    packing: Packing,
    record: &[u8],
    max: usize,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    let start = out.len();
    let limit = max as u64 + 1;
    let (name, read) = match packing {
        Packing::Gzip => (
            "gzip",
            MultiGzDecoder::new(record).take(limit).read_to_end(out),
        ),
        Packing::Zstd => {
            let opened = zstd::stream::read::Decoder::with_buffer(record);
            let read = opened.and_then(|mut reader| {
                reader.window_log_max(WINDOW_LOG_MAX)?;
                reader.take(limit).read_to_end(out)
            });
            ("zstd", read)
        }
    };
    if out.len() - start > max {
        return Err(format!(
            "a packed record with more than {max} bytes inside; raise snowplow-tsv.max-batch-bytes"
        ));
    }
    match read {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("a packed record that is no sound {name}: {error}")),
    }
}

/// Calls `each` with every event of an unpacked record, until it returns false.
///
/// # Errors
/// Version or lengths are wrong; events before the fault were given.
pub(crate) fn each_event<'a>(
    unpacked: &'a [u8],
    mut each: impl FnMut(&'a [u8]) -> bool,
) -> Result<(), String> {
    let mut rest = match unpacked {
        [VERSION, _, rest @ ..] => rest,
        [version, _, ..] => {
            return Err(format!("a packed record of the unknown version {version}"));
        }
        _ => return Err("a packed record that ends before its events".to_owned()),
    };
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let Some((event, tail)) = tail.split_at_checked(length) else {
            return Err(format!(
                "a packed record that ends within an event: {length} bytes announced, {} there",
                tail.len()
            ));
        };
        if !each(event) {
            return Ok(());
        }
        rest = tail;
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err("a packed record that ends within a length".to_owned())
    }
}
