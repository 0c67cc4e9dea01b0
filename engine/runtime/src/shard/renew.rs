//! When the times to live of values are renewed though no row changes the values.
//!
//! A value's time to live is counted from the moment at which its window runs empty, and that
//! moment moves. Two things can make it too short: rows that move the moment on and leave the
//! value as it was ([`Renewals`]), and event time that falls behind the clock by which the sink
//! counts ([`Drift`]).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;
use tidewheel_core::time::{EventTime, NO_TIME};

/// How far event time has fallen behind the clock since all values were last written.
///
/// A value that was written when event time was F, and runs empty at E, expires (E - F) + ttl
/// later by the clock. So it outlives E as long as event time falls behind by less than a ttl.
/// At half of that, all are written again.
#[derive(Debug)]
pub struct Drift {
    /// Half the ttl, microseconds.
    half: i64,
    /// The lowest difference between clock and event time since then.
    lowest: Option<i64>,
}

impl Drift {
    /// For values with this ttl.
    #[must_use]
    pub fn new(ttl: Duration) -> Self {
        let half = i64::try_from(ttl.as_micros() / 2).unwrap_or(i64::MAX);
        Self {
            half: half.max(1),
            lowest: None,
        }
    }

    /// True when all live values are to be written again: `now` is the monotonic time.
    pub fn is_due(&mut self, now: Duration, frontier: EventTime) -> bool {
        if frontier == NO_TIME {
            return false;
        }
        let now = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
        let behind = now.saturating_sub(frontier);
        let lowest = self.lowest.map_or(behind, |lowest| lowest.min(behind));
        let due = behind.saturating_sub(lowest) > self.half;
        self.lowest = Some(if due { behind } else { lowest });
        due
    }

    /// How often it is to be asked while nothing else happens.
    #[must_use]
    pub fn look_every(&self) -> Duration {
        Duration::from_micros(self.half.unsigned_abs() / 4).max(Duration::from_millis(1))
    }
}

/// Keys that stand in the sink for a shorter time than they are to: rows have moved the moment
/// at which they run empty, and no write came of it. Each is looked at again at the moment that
/// its time to live was counted from.
#[derive(Debug, Default)]
pub struct Renewals {
    due: BinaryHeap<Reverse<(EventTime, u32)>>,
}

impl Renewals {
    /// Has a key looked at again.
    pub fn add(&mut self, at: EventTime, slot: u32) {
        self.due.push(Reverse((at, slot)));
    }

    /// A key whose moment has come, if there is one.
    pub fn pop(&mut self, frontier: EventTime) -> Option<(EventTime, u32)> {
        let Reverse((at, _)) = self.due.peek()?;
        if *at > frontier {
            return None;
        }
        self.due.pop().map(|Reverse(key)| key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn no_value_outlives_its_expiry_however_time_runs() {
        let ttl = 600;
        let mut random = fastrand::Rng::with_seed(5);
        for _ in 0..200 {
            let mut drift = Drift::new(secs(ttl));
            let (mut now, mut frontier) = (0_u64, random.i64(0..1_000_000) * SECOND);
            // Expiries by the clock, and when each value runs empty.
            let mut values: Vec<(u64, EventTime)> = Vec::new();
            for _ in 0..500 {
                let pass = random.u64(0..60);
                now += pass;
                frontier += match random.u8(0..4) {
                    0 => 0,
                    1 => random.i64(0..100_000) * SECOND,
                    _ => random.i64(0..=pass as i64) * SECOND,
                };
                if drift.is_due(secs(now), frontier) {
                    for (expiry, empty_at) in &mut values {
                        *expiry = now + ((*empty_at - frontier).max(0) / SECOND) as u64 + ttl;
                    }
                }
                values.retain(|(_, empty_at)| *empty_at > frontier);
                for (expiry, _) in &values {
                    assert!(*expiry > now, "a live value expired");
                }
                let left = random.u64(0..90_000);
                values.push((now + left + ttl, frontier + left as i64 * SECOND));
            }
        }
    }

    #[test]
    fn nothing_is_renewed_while_time_runs() {
        let mut drift = Drift::new(secs(600));
        assert!(!drift.is_due(secs(0), NO_TIME));
        for second in 0..10_000_u64 {
            assert!(!drift.is_due(secs(second), second as i64 * SECOND));
        }
        assert!(!drift.is_due(secs(10_299), 9_999 * SECOND));
        assert!(drift.is_due(secs(10_300), 9_999 * SECOND));
        assert!(!drift.is_due(secs(10_301), 9_999 * SECOND));
    }

    #[test]
    fn keys_come_in_their_order() {
        let mut renewals = Renewals::default();
        renewals.add(5, 1);
        renewals.add(3, 2);
        assert_eq!(renewals.pop(2), None);
        assert_eq!(renewals.pop(9), Some((3, 2)));
        assert_eq!(renewals.pop(9), Some((5, 1)));
        assert_eq!(renewals.pop(9), None);
    }
}
