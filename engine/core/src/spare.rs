//! Room for chunks of records, used again: room that is new has to be cleared by the system, which
//! costs about as much as reading into it.

use std::sync::{Mutex, PoisonError};

/// Buffers that wait at most.
const SPARE_MAX: usize = 16;
/// Longest buffer that is kept.
const KEPT_BYTES_MAX: usize = 4 * 1024 * 1024;

struct Spare {
    rooms: Vec<Vec<u8>>,
    /// How many were taken and not given back: what nobody takes is not kept.
    taken: usize,
}

static SPARE: Mutex<Spare> = Mutex::new(Spare {
    rooms: Vec::new(),
    taken: 0,
});

/// An empty buffer with room for at least so many bytes.
#[must_use]
pub fn take(bytes: usize) -> Vec<u8> {
    let known = {
        let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        spare.taken += 1;
        spare.rooms.pop()
    };
    match known {
        Some(room) if room.capacity() >= bytes => room,
        _ => Vec::with_capacity(bytes),
    }
}

/// Gives a buffer back whose bytes are not needed any more.
pub fn give(mut room: Vec<u8>) {
    room.clear();
    let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
    if spare.taken > 0 && spare.rooms.len() < SPARE_MAX && room.capacity() <= KEPT_BYTES_MAX {
        spare.taken -= 1;
        spare.rooms.push(room);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_empty_and_long_enough_and_little_is_kept() {
        let rooms: Vec<Vec<u8>> = (0..40).map(|_| take(100)).collect();
        for mut room in rooms {
            room.push(1);
            give(room);
        }
        for bytes in [10, 100, 1_000, KEPT_BYTES_MAX + 1] {
            let room = take(bytes);
            assert!(room.is_empty() && room.capacity() >= bytes);
            give(room);
        }
        let spare = SPARE.lock().unwrap();
        assert!(spare.rooms.len() <= SPARE_MAX);
        assert!(
            spare
                .rooms
                .iter()
                .all(|room| room.capacity() <= KEPT_BYTES_MAX)
        );
    }
}
