//! Where windows and slices lie: arithmetic on event time, no state.

use crate::aggregate::StateError;
use crate::spec::{WINDOW_TIME_GAP, WindowKind, WindowSpec};
use tidewheel_core::EventTime;

/// Rows further than this from the epoch (some 36,000 years) are in no window.
pub(crate) const ROW_TIME_LIMIT: i64 = 1 << 60;
/// Frontiers and watermarks are clamped to this, so that no sum below overflows.
const CLOCK_LIMIT: i64 = 1 << 61;

/// The largest of the edges `phase + k * period` that is at or before `time`.
fn edge_at(time: EventTime, period: i64, phase: i64) -> EventTime {
    let time = time.clamp(-CLOCK_LIMIT, CLOCK_LIMIT);
    (time - phase).div_euclid(period) * period + phase
}

/// The first edge after `time`.
fn edge_after(time: EventTime, period: i64, phase: i64) -> EventTime {
    edge_at(time, period, phase) + period
}

/// Windows that slice time for all keys alike: TUMBLE, HOP and CUMULATE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Windows {
    /// `[k * slide + offset, … + size)`.
    Hop { slide: i64, size: i64, offset: i64 },
    /// `[k * size + offset, … + j * step)`; `size` is a multiple of `step`.
    Cumulate { step: i64, size: i64, offset: i64 },
}

impl Windows {
    /// `None` for sessions.
    pub(crate) fn new(spec: &WindowSpec) -> Option<Self> {
        match spec.kind {
            WindowKind::Tumble { size } => {
                let size = size.max(1);
                Some(Self::Hop {
                    slide: size,
                    size,
                    offset: spec.offset.rem_euclid(size),
                })
            }
            WindowKind::Hop { slide, size } => {
                let slide = slide.max(1);
                Some(Self::Hop {
                    slide,
                    size: size.max(1),
                    offset: spec.offset.rem_euclid(slide),
                })
            }
            WindowKind::Cumulate { step, size } => {
                let size = size.max(1);
                Some(Self::Cumulate {
                    step: step.max(1),
                    size,
                    offset: spec.offset.rem_euclid(size),
                })
            }
            WindowKind::Session { .. } => None,
        }
    }

    /// The first window end after `time`. Its window holds `time`, unless `time` is in no window.
    pub(crate) fn first_end_after(&self, time: EventTime) -> EventTime {
        match *self {
            Self::Hop {
                slide,
                size,
                offset,
            } => edge_after(time, slide, offset + size),
            Self::Cumulate { step, offset, .. } => edge_after(time, step, offset),
        }
    }

    /// The last window end at or before `time`.
    pub(crate) fn last_end_at(&self, time: EventTime) -> EventTime {
        self.first_end_after(time) - self.pace()
    }

    /// Distance between two window ends.
    fn pace(&self) -> i64 {
        match *self {
            Self::Hop { slide, .. } => slide,
            Self::Cumulate { step, .. } => step,
        }
    }

    /// The end of the last window that starts at or before `time`; it holds `time` unless it
    /// is at or before it.
    pub(crate) fn last_end_holding(&self, time: EventTime) -> EventTime {
        match *self {
            Self::Hop {
                slide,
                size,
                offset,
            } => edge_at(time, slide, offset) + size,
            Self::Cumulate { size, offset, .. } => edge_after(time, size, offset),
        }
    }

    /// Checks that a window can end at `end`.
    pub(crate) fn check_end(&self, end: EventTime) -> Result<(), StateError> {
        if (-CLOCK_LIMIT..=CLOCK_LIMIT).contains(&end) && self.last_end_at(end) == end {
            return Ok(());
        }
        Err(StateError("a window that the set has not".to_owned()))
    }

    /// Whether any window holds `time` (a slide longer than the size leaves gaps).
    pub(crate) fn hold(&self, time: EventTime) -> bool {
        self.last_end_holding(time) > time
    }

    /// The start of the window that ends at `end`.
    pub(crate) fn start_of(&self, end: EventTime) -> EventTime {
        match *self {
            Self::Hop { size, .. } => end - size,
            Self::Cumulate { size, offset, .. } => edge_at(end - 1, size, offset),
        }
    }

    /// Whether there is time in no window.
    pub(crate) fn gaps(&self) -> bool {
        matches!(*self, Self::Hop { slide, size, .. } if slide > size)
    }

    /// Length of the longest window.
    pub(crate) fn size(&self) -> i64 {
        match *self {
            Self::Hop { size, .. } | Self::Cumulate { size, .. } => size,
        }
    }
}

/// Which window a view shows, and by which clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pick {
    /// The current window at the frontier.
    Current,
    /// The last window that the watermark closed.
    LastClosed,
}

/// One window a key, that moves with a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MovingWindow {
    pub(crate) windows: Windows,
    pub(crate) pick: Pick,
}

impl MovingWindow {
    /// Start and end of the window at clock `now`.
    pub(crate) fn range(&self, now: EventTime) -> (EventTime, EventTime) {
        let end = match self.pick {
            Pick::Current => self.windows.first_end_after(now),
            Pick::LastClosed => self
                .windows
                .last_end_at(now.saturating_add(WINDOW_TIME_GAP)),
        };
        (self.windows.start_of(end), end)
    }

    /// The clock at which a slice that starts at `start` comes into the window.
    pub(crate) fn enter(&self, start: EventTime) -> EventTime {
        let end = self.windows.first_end_after(start);
        match self.pick {
            Pick::Current => end - self.windows.pace(),
            Pick::LastClosed => end - WINDOW_TIME_GAP,
        }
    }

    /// The clock at which a slice that starts at `start` leaves the window.
    pub(crate) fn leave(&self, start: EventTime) -> EventTime {
        let last = self.windows.last_end_holding(start);
        match self.pick {
            // The next window becomes current when the last one that holds the slice ends.
            Pick::Current => last,
            Pick::LastClosed => last + self.windows.pace() - WINDOW_TIME_GAP,
        }
    }
}

/// Where slices are cut: at the edges `phase + k * period`, and, if `cut` is not 0, at `cut`
/// after each (Krishnamurthy, Wu and Franklin, "On-the-fly sharing for streamed aggregation",
/// SIGMOD 2006: paired windows).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    period: i64,
    phase: i64,
    cut: i64,
}

impl Grid {
    /// The coarsest grid that has an edge at each window's start and end.
    pub(crate) fn of(windows: &Windows) -> Self {
        match *windows {
            Windows::Hop {
                slide,
                size,
                offset,
            } => Self {
                period: slide,
                phase: offset,
                cut: size.rem_euclid(slide),
            },
            Windows::Cumulate { step, offset, .. } => Self {
                period: step,
                phase: offset.rem_euclid(step),
                cut: 0,
            },
        }
    }

    /// Whether each edge of `other` is one of this grid's.
    pub(crate) fn has_edges_of(&self, other: &Self) -> bool {
        let is_edge = |phase: i64| {
            let into = (phase - self.phase).rem_euclid(self.period);
            into == 0 || (self.cut != 0 && into == self.cut)
        };
        other.period % self.period == 0
            && is_edge(other.phase)
            && (other.cut == 0 || is_edge(other.phase + other.cut))
    }

    /// The number of the slice that holds `time`.
    pub(crate) fn index(&self, time: EventTime) -> i64 {
        let time = time.clamp(-CLOCK_LIMIT, CLOCK_LIMIT) - self.phase;
        let turn = time.div_euclid(self.period);
        if self.cut == 0 {
            turn
        } else {
            2 * turn + i64::from(time - turn * self.period >= self.cut)
        }
    }

    /// The start of a slice.
    pub(crate) fn start(&self, index: i64) -> EventTime {
        if self.cut == 0 {
            index * self.period + self.phase
        } else {
            let into = if index & 1 == 0 { 0 } else { self.cut };
            (index >> 1) * self.period + self.phase + into
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_the_specification() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..20_000 {
            let step = random.i64(1..20);
            let kind = match random.u32(0..3) {
                0 => WindowKind::Tumble { size: step },
                1 => WindowKind::Hop {
                    slide: step,
                    size: random.i64(1..60),
                },
                _ => WindowKind::Cumulate {
                    step,
                    size: step * random.i64(1..6),
                },
            };
            let spec = WindowSpec {
                kind,
                offset: random.i64(-50..50),
            };
            let windows = Windows::new(&spec).expect("no session");
            let view = MovingWindow {
                windows,
                pick: Pick::Current,
            };
            let grid = Grid::of(&windows);
            let now = random.i64(-200..200);
            let (lo, hi) = view.range(now);
            assert_eq!(spec.current(now), Some((lo, hi)));
            for edge in [lo, hi] {
                assert_eq!(grid.start(grid.index(edge)), edge);
            }
            let time = random.i64(-200..200);
            let slice = grid.start(grid.index(time));
            assert!(slice <= time && time < grid.start(grid.index(time) + 1));
            if windows.hold(time) {
                let within = lo <= time && time < hi;
                assert_eq!(within, view.enter(slice) <= now && now < view.leave(slice));
                let closed = MovingWindow {
                    windows,
                    pick: Pick::LastClosed,
                };
                let (lo, hi) = closed.range(now);
                assert!(hi - WINDOW_TIME_GAP <= now);
                let within = lo <= time && time < hi;
                assert_eq!(
                    within,
                    closed.enter(slice) <= now && now < closed.leave(slice)
                );
            }
        }
    }
}
