//! Bodies of requests, within bounds of size, time and memory.

use super::App;
use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use std::io::Read;
use tokio::sync::SemaphorePermit;

/// Memory is counted in units of so many bytes.
pub(super) const UNIT: usize = 1_024;
/// Memory that a request may take besides its body: its records are handed over in parts.
const RECORDS: usize = 128 << 10;
/// How much memory an unpacked and parsed body takes, in sizes of the body.
const FACTOR: usize = 3;

/// Why a body could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    /// Larger than allowed.
    TooLarge,
    /// It did not come, or not in time.
    Incomplete,
    /// There is no memory for it now.
    Memory,
    /// It does not unpack.
    Packed,
}

/// Reads a body. The permit holds the memory until the request is answered. One that is packed
/// may become as large as any.
pub(super) async fn read(
    app: &App,
    body: Incoming,
    packed: bool,
) -> Result<(Bytes, SemaphorePermit<'_>), Problem> {
    let limits = &app.settings.limits;
    let most = limits.body_bytes;
    let told = body.size_hint().exact().map(usize::try_from);
    let size = match told {
        Some(Ok(told)) if told <= most && !packed => told,
        Some(Ok(told)) if told <= most => most,
        None => most,
        Some(_) => return Err(Problem::TooLarge),
    };
    let units = (size * FACTOR + RECORDS).div_ceil(UNIT);
    let memory = u32::try_from(units)
        .ok()
        .and_then(|units| app.memory.try_acquire_many(units).ok())
        .ok_or(Problem::Memory)?;
    let read = tokio::time::timeout(limits.request_time, collect(body, most)).await;
    let bytes = read.unwrap_or(Err(Problem::Incomplete))?;
    Ok((bytes, memory))
}

async fn collect(mut body: Incoming, most: usize) -> Result<Bytes, Problem> {
    let mut first = Bytes::new();
    let mut all: Option<BytesMut> = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::Incomplete)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let before = all.as_ref().map_or(first.len(), BytesMut::len);
        if before + data.len() > most {
            return Err(Problem::TooLarge);
        }
        // A small body comes in one piece and is not copied.
        if before == 0 {
            first = data;
        } else {
            let all = all.get_or_insert_with(|| BytesMut::from(&*first));
            all.extend_from_slice(&data);
        }
    }
    Ok(all.map_or(first, BytesMut::freeze))
}

/// Unpacks gzip, up to `most` bytes.
pub(super) fn unpack(packed: &[u8], most: usize) -> Result<Bytes, Problem> {
    let mut out = Vec::new();
    let mut reader = MultiGzDecoder::new(packed).take(most as u64 + 1);
    reader.read_to_end(&mut out).map_err(|_| Problem::Packed)?;
    if out.len() > most {
        return Err(Problem::TooLarge);
    }
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write as _;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).expect("packs");
        encoder.finish().expect("packs")
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        let bomb = packed(&vec![0; 8 << 20]);
        assert!(bomb.len() < 16_384);
        assert_eq!(unpack(&bomb, 1 << 20), Err(Problem::TooLarge));
        assert_eq!(unpack(&packed(b"abc"), 3).expect("unpacks"), "abc");
        assert_eq!(unpack(&packed(b"abcd"), 3), Err(Problem::TooLarge));
    }

    #[test]
    fn what_is_not_packed_says_so() {
        let good = packed(b"abcabc");
        for wrong in [&b""[..], b"abc", &good[..good.len() - 3], &good[..5]] {
            assert_eq!(unpack(wrong, 100), Err(Problem::Packed), "{wrong:?}");
        }
    }
}
