//! A hierarchical timer wheel over event time.
//!
//! Varghese and Lauck, "Hashed and hierarchical timing wheels" (SOSP 1987): level `l` has 64
//! slots, each 64^l ticks wide. A timer goes to the level of the highest 6-bit digit in which its
//! tick differs from the wheel's own, and falls to lower levels as that digit is reached, so
//! setting one is O(1) and each is moved at most once a level. Occupied slots are bits of a word:
//! time that holds no timers is skipped.

use tidewheel_core::EventTime;

/// Microseconds a tick, as a power of two (1.024 ms). Deadlines are kept exactly; the tick only
/// sets how finely they are sorted.
const TICK_BITS: u32 = 10;
const DIGIT_BITS: u32 = 6;
const SLOTS: usize = 1 << DIGIT_BITS;
/// Enough digits for every tick of an `EventTime`.
const LEVELS: usize = 9;

/// A timer: for whom, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timer {
    /// When it is due, at the earliest.
    pub(crate) deadline: EventTime,
    /// For whom.
    pub(crate) id: u32,
}

/// Timers by deadline. It drains nearly in order of deadlines (to a tick).
#[derive(Debug)]
pub(crate) struct TimerWheel {
    /// The tick up to which slots were emptied, counted from the earliest event time.
    now: u64,
    /// `LEVELS * SLOTS` lists, made when first used.
    slots: Vec<Vec<Timer>>,
    occupied: [u64; LEVELS],
    /// Timers of tick `now` and before.
    near: Vec<Timer>,
    len: usize,
}

fn tick_of(time: EventTime) -> u64 {
    // Flipping the sign bit maps i64 to u64 and keeps the order.
    ((time as u64) ^ (1 << 63)) >> TICK_BITS
}

impl TimerWheel {
    pub(crate) fn new() -> Self {
        Self {
            now: 0,
            slots: Vec::new(),
            occupied: [0; LEVELS],
            near: Vec::new(),
            len: 0,
        }
    }

    /// Timers that wait.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Allocated bytes, estimated.
    pub(crate) fn state_bytes(&self) -> usize {
        let lists: usize = self.slots.iter().map(Vec::capacity).sum();
        (lists + self.near.capacity()) * size_of::<Timer>()
            + self.slots.capacity() * size_of::<Vec<Timer>>()
    }

    /// Sets a timer. One whose deadline has passed is due at once.
    pub(crate) fn set(&mut self, deadline: EventTime, id: u32) {
        self.len += 1;
        self.place(Timer { deadline, id });
    }

    fn place(&mut self, timer: Timer) {
        let tick = tick_of(timer.deadline);
        if tick <= self.now {
            self.near.push(timer);
            return;
        }
        let level = ((63 - (tick ^ self.now).leading_zeros()) / DIGIT_BITS) as usize;
        let slot = (tick >> (level as u32 * DIGIT_BITS)) as usize % SLOTS;
        if self.slots.is_empty() {
            self.slots.resize_with(LEVELS * SLOTS, Vec::new);
        }
        self.occupied[level] |= 1 << slot;
        self.slots[level * SLOTS + slot].push(timer);
    }

    /// Takes a timer whose deadline is at or before `time`, if there is one.
    pub(crate) fn pop(&mut self, time: EventTime) -> Option<Timer> {
        loop {
            // All of `near` is due but for timers of the very tick that `time` is in.
            if let Some(at) = self.near.iter().rposition(|timer| timer.deadline <= time) {
                self.len -= 1;
                return Some(self.near.swap_remove(at));
            }
            if !self.turn(tick_of(time)) {
                return None;
            }
        }
    }

    /// Goes on to the next tick that holds timers, if that is not after `until`.
    fn turn(&mut self, until: u64) -> bool {
        if self.len == 0 {
            self.now = self.now.max(until);
            return false;
        }
        for level in 0..LEVELS {
            let shift = level as u32 * DIGIT_BITS;
            let digit = (self.now >> shift) % SLOTS as u64;
            // Slots of this level after the wheel's own digit; those before it are empty.
            let ahead = self.occupied[level] & (u64::MAX << digit) & !(1 << digit);
            if ahead == 0 {
                continue;
            }
            let slot = u64::from(ahead.trailing_zeros());
            let above = shift + DIGIT_BITS;
            let high = if above >= 64 {
                0
            } else {
                (self.now >> above) << above
            };
            let start = high | (slot << shift);
            if start > until {
                break;
            }
            self.now = start;
            self.occupied[level] &= !(1 << slot);
            let timers = std::mem::take(&mut self.slots[level * SLOTS + slot as usize]);
            for timer in timers {
                self.place(timer);
            }
            return true;
        }
        self.now = self.now.max(until);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fires_each_timer_once_and_never_early() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..300 {
            let mut wheel = TimerWheel::new();
            let mut waiting: Vec<Timer> = Vec::new();
            let spread = 1_i64 << random.u32(1..62);
            let mut now = random.i64(-spread..spread);
            for id in 0..random.u32(1..400) {
                let deadline = match random.u32(0..20) {
                    0 => i64::MAX,
                    1 => i64::MIN,
                    _ => now.saturating_add(random.i64(-spread..spread)),
                };
                wheel.set(deadline, id);
                waiting.push(Timer { deadline, id });
                if random.u32(0..3) == 0 {
                    now = now.saturating_add(random.i64(0..spread));
                    let mut budget = random.usize(0..50);
                    let mut fired = Vec::new();
                    while budget > 0 {
                        budget -= 1;
                        let Some(timer) = wheel.pop(now) else { break };
                        assert!(timer.deadline <= now);
                        fired.push(timer);
                    }
                    for timer in fired {
                        let at = waiting.iter().position(|other| *other == timer);
                        waiting.swap_remove(at.expect("fired twice or never set"));
                    }
                    if budget > 0 {
                        assert!(waiting.iter().all(|timer| timer.deadline > now));
                    }
                }
            }
            while wheel.pop(i64::MAX).is_some() {}
            assert_eq!(wheel.len(), 0);
        }
    }
}
