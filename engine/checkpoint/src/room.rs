//! Room for saved state, used again by the next checkpoint.
//!
//! Large room is new to the process each time, and the system has to clear every page of it: that took a
//! third of the processor time that a checkpoint costs. So what has been written is kept for
//! whoever saves next, and freed when two checkpoints have not needed it, or when memory is short.

use std::sync::{Mutex, PoisonError};

/// Shortest room that is kept; what is shorter, allocators keep themselves.
const LEAST: usize = 256 * 1024;
/// Kept room is taken where it is at most so many times as large as what is wanted.
const WASTE: usize = 4;
/// Checkpoints after which room that nobody has taken is freed.
const IDLE: u32 = 2;

struct Kept {
    room: Vec<u8>,
    /// Bytes of it that were written last: so much of it is in memory at least.
    written: usize,
    idle: u32,
}

static KEPT: Mutex<Vec<Kept>> = Mutex::new(Vec::new());

fn kept() -> std::sync::MutexGuard<'static, Vec<Kept>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Empty room for so many bytes, and where it is new for some more, so that it does for a state that
/// grows. Pages of it that nobody writes to cost nothing.
#[must_use]
pub fn take(bytes: usize) -> Vec<u8> {
    if bytes >= LEAST {
        let mut kept = kept();
        let sizes = kept.iter().map(|kept| kept.room.capacity()).enumerate();
        let fits = sizes.filter(|(_, size)| *size >= bytes && *size / WASTE <= bytes);
        if let Some((at, _)) = fits.min_by_key(|(_, size)| *size) {
            return kept.swap_remove(at).room;
        }
    }
    let mut room = Vec::new();
    // Where so much is not to be had at once, it grows.
    let _ = room.try_reserve_exact(bytes + bytes / 4);
    room
}

/// Takes back room whose bytes are not needed any more.
fn give(mut room: Vec<u8>) {
    if room.capacity() >= LEAST {
        let written = room.len();
        room.clear();
        kept().push(Kept {
            room,
            written,
            idle: 0,
        });
    }
}

/// A checkpoint is written: room that none has needed for a while is freed.
pub(crate) fn age() {
    let mut idle = Vec::new();
    kept().retain_mut(|kept| {
        kept.idle += 1;
        if kept.idle > IDLE {
            idle.push(std::mem::take(&mut kept.room));
        }
        kept.idle <= IDLE
    });
    // Freed here, where nobody waits for the lock.
    drop(idle);
}

/// Bytes of memory that [`release`] would free at least.
#[must_use]
pub fn bytes() -> u64 {
    kept().iter().map(|kept| kept.written as u64).sum()
}

/// Frees all room that is kept.
pub fn release() {
    let all = std::mem::take(&mut *kept());
    drop(all);
}

/// Bytes that are being written; their room is kept afterwards.
pub(crate) struct Written(Option<Vec<u8>>);

impl Written {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(Some(bytes))
    }
}

impl AsRef<[u8]> for Written {
    fn as_ref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        if let Some(room) = self.0.take() {
            give(room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test, since the room is the process's.
    #[test]
    fn room_is_used_again_and_not_kept_for_ever() {
        release();
        let mut room = take(LEAST);
        room.extend_from_slice(&[7; 100]);
        let place = room.as_ptr();
        drop(Written::new(room));
        assert_eq!(bytes(), 100);
        let again = take(LEAST);
        assert!(again.is_empty());
        assert_eq!(again.as_ptr(), place, "the same room");

        // Neither what is too short nor what is far too long.
        drop(Written::new(again));
        drop(Written::new(Vec::with_capacity(100 * LEAST)));
        let new = take(2 * LEAST);
        assert_ne!(new.as_ptr(), place);
        assert!(new.capacity() < 100 * LEAST);
        assert_eq!(kept().len(), 2);
        assert!(take(10).capacity() < LEAST);

        for left in [2, 2, 0] {
            age();
            assert_eq!(kept().len(), left);
        }
        drop(Written::new(Vec::with_capacity(LEAST)));
        release();
        assert_eq!(kept().len(), 0);
    }
}
