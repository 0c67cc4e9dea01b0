//! A table's time: frontier, watermarks by partition, idleness, alignment.

use crate::status::PartitionStatus;
use std::collections::BTreeMap;
use std::time::Duration;
use tidewheel_core::time::{EventTime, NO_TIME};
use tidewheel_kernel::aggregate::StateError;
use tidewheel_kernel::aggregate::codec::{Reader, put_count, put_i64, put_u32};

/// A partition whose end was seen within this time is not behind.
const BEHIND_AFTER: Duration = Duration::from_secs(1);

/// What is known of one partition.
#[derive(Debug, Clone)]
struct Partition {
    /// Highest value of the WATERMARK expression.
    watermark: EventTime,
    /// The store said that it is at its end, and when the last row came (monotonic).
    at_end: bool,
    /// When the store said so last (monotonic).
    end_seen: Option<Duration>,
    last_row: Duration,
    idle: bool,
    finished: bool,
    paused: bool,
}

/// The time of one source table.
#[derive(Debug)]
pub struct TableTime {
    partitions: BTreeMap<u32, Partition>,
    /// Highest event time seen.
    frontier: EventTime,
    /// The table's watermark; never goes back.
    watermark: EventTime,
    idle_timeout: Duration,
    max_drift: i64,
    last_row: Duration,
    /// Lowest watermark over partitions that count, and whose it is: so that a row of another
    /// partition costs nothing.
    lowest: (EventTime, Option<u32>),
}

/// The reader is to stop or go on with a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// The partition.
    pub partition: u32,
    /// Stop or go on.
    pub paused: bool,
}

impl TableTime {
    /// A table before its first row.
    #[must_use]
    pub fn new(idle_timeout: Duration, max_drift: Duration) -> Self {
        Self {
            partitions: BTreeMap::new(),
            frontier: NO_TIME,
            watermark: NO_TIME,
            idle_timeout,
            max_drift: i64::try_from(max_drift.as_micros()).unwrap_or(i64::MAX),
            last_row: Duration::ZERO,
            lowest: (NO_TIME, None),
        }
    }

    /// Highest event time seen, ticks included.
    #[must_use]
    pub fn frontier(&self) -> EventTime {
        self.frontier
    }

    /// The table's watermark.
    #[must_use]
    pub fn watermark(&self) -> EventTime {
        self.watermark
    }

    /// A partition is there. One that appears later starts without a watermark and holds the
    /// table's back until it has rows, is idle or ends.
    pub fn add(&mut self, partition: u32, now: Duration) {
        self.partitions.entry(partition).or_insert(Partition {
            watermark: NO_TIME,
            at_end: false,
            end_seen: None,
            last_row: now,
            idle: false,
            finished: false,
            paused: false,
        });
        self.find_lowest();
    }

    /// A decoded row: moves the frontier and the partition's watermark.
    #[inline]
    pub fn row(&mut self, partition: u32, time: EventTime, watermark: EventTime) {
        if time > self.frontier {
            self.frontier = time;
        }
        // Only the partition that holds the table's watermark can move it on.
        let Some(state) = self.partitions.get_mut(&partition) else {
            return;
        };
        if watermark > state.watermark {
            state.watermark = watermark;
            if self.lowest.1 == Some(partition) || self.lowest.1.is_none() {
                self.find_lowest();
                self.raise();
            }
        }
    }

    /// Rows of a partition came at `now`.
    pub fn rows_came(&mut self, partition: u32, now: Duration) {
        self.last_row = now;
        if let Some(state) = self.partitions.get_mut(&partition) {
            state.last_row = now;
            state.at_end = false;
            if state.idle {
                state.idle = false;
                self.find_lowest();
            }
        }
    }

    /// The store said that the partition is at its end.
    pub fn at_end(&mut self, partition: u32, now: Duration) {
        if let Some(state) = self.partitions.get_mut(&partition) {
            state.at_end = true;
            state.end_seen = Some(now);
        }
    }

    /// The bounded partition has ended. True when all have.
    pub fn finished(&mut self, partition: u32) -> bool {
        if let Some(state) = self.partitions.get_mut(&partition) {
            state.finished = true;
        }
        self.find_lowest();
        self.raise();
        self.all_finished()
    }

    /// True when every partition was read to its last record. Of a table whose partitions were not
    /// known yet, nothing was read.
    #[must_use]
    pub fn all_finished(&self) -> bool {
        !self.partitions.is_empty() && self.partitions.values().all(|state| state.finished)
    }

    /// The store is away: nothing counts as read to its end, so time stops.
    pub fn away(&mut self) {
        for state in self.partitions.values_mut() {
            (state.at_end, state.end_seen) = (false, None);
            state.idle = false;
        }
        self.find_lowest();
    }

    /// What is known of each partition, with the offsets that it has been read to.
    #[must_use]
    pub fn partitions(&self, positions: &BTreeMap<u32, u64>) -> Vec<PartitionStatus> {
        self.partitions
            .iter()
            .map(|(partition, state)| PartitionStatus {
                partition: *partition,
                next_offset: positions.get(partition).copied(),
                watermark: (state.watermark != NO_TIME).then_some(state.watermark),
                at_end: state.at_end || state.finished,
                idle: state.idle,
                lag: None,
                lag_ms: None,
            })
            .collect()
    }

    /// True while some partition is being replayed: its end was not seen within
    /// [`BEHIND_AFTER`]. In a live flow, the end is seen between any two rows or so. True too before
    /// it is known which partitions there are.
    #[must_use]
    pub fn is_behind(&self, now: Duration) -> bool {
        let mut partitions = self.partitions.values();
        partitions.len() == 0
            || partitions.any(|state| {
                !state.at_end
                    && !state.finished
                    && state
                        .end_seen
                        .is_none_or(|seen| now.saturating_sub(seen) > BEHIND_AFTER)
            })
    }

    /// The clock went on: partitions become idle; when all are, time goes on by itself. True when
    /// frontier or watermark moved.
    pub fn tick(&mut self, now: Duration) -> bool {
        let before = (self.frontier, self.watermark);
        let mut changed = false;
        for state in self.partitions.values_mut() {
            let quiet = now.saturating_sub(state.last_row) >= self.idle_timeout;
            if state.at_end && quiet && !state.idle {
                state.idle = true;
                changed = true;
            }
        }
        if changed {
            self.find_lowest();
            self.raise();
        }
        let all = self
            .partitions
            .values()
            .all(|state| state.idle && state.at_end || state.finished);
        if all && self.frontier != NO_TIME && !self.partitions.is_empty() {
            // The last row's time passed while it lay at the end; time went on all the while.
            let passed = now.saturating_sub(self.last_row);
            self.last_row = now;
            let passed = i64::try_from(passed.as_micros()).unwrap_or(0);
            let highest = self
                .partitions
                .values()
                .map(|s| s.watermark)
                .max()
                .unwrap_or(NO_TIME);
            self.frontier = self.frontier.saturating_add(passed);
            if highest != NO_TIME {
                self.watermark = self.watermark.max(highest).saturating_add(passed);
            }
            for state in self.partitions.values_mut() {
                if state.idle {
                    state.last_row = state.last_row.min(now);
                }
            }
        }
        (self.frontier, self.watermark) != before
    }

    /// Which partitions to stop or let go on, so that none runs ahead of the lowest by more than
    /// the allowed drift while some are behind.
    pub fn align(&mut self) -> Vec<Pause> {
        let counted = self
            .partitions
            .values()
            .filter(|s| !s.finished && !s.idle && !s.at_end);
        let lowest = counted.map(|state| state.watermark).min();
        let mut pauses = Vec::new();
        for (partition, state) in &mut self.partitions {
            let ahead = lowest.is_some_and(|lowest| {
                state.watermark != NO_TIME
                    && state.watermark.saturating_sub(self.max_drift) > lowest
            });
            if ahead != state.paused {
                state.paused = ahead;
                pauses.push(Pause {
                    partition: *partition,
                    paused: ahead,
                });
            }
        }
        pauses
    }

    /// The frontier is at least there: a reader of values may have seen it so. True if that is new.
    pub fn raise_frontier(&mut self, floor: EventTime) -> bool {
        let raised = floor > self.frontier;
        self.frontier = self.frontier.max(floor);
        raised
    }

    /// Appends what is to be known after a restart.
    pub fn save(&self, out: &mut Vec<u8>) {
        put_i64(out, self.frontier);
        put_i64(out, self.watermark);
        put_count(out, self.partitions.len());
        for (partition, state) in &self.partitions {
            put_u32(out, *partition);
            put_i64(out, state.watermark);
            out.push(u8::from(state.idle));
        }
    }

    /// Takes what [`Self::save`] wrote. Partitions that are there already get their state;
    /// others are added.
    ///
    /// # Errors
    /// The bytes are something else.
    pub fn load(&mut self, saved: &mut Reader<'_>, now: Duration) -> Result<(), StateError> {
        self.frontier = saved.i64()?;
        self.watermark = saved.i64()?;
        // From here on time goes on, where it goes on by itself.
        self.last_row = now;
        for _ in 0..saved.count(13)? {
            let partition = saved.u32()?;
            self.add(partition, now);
            let (watermark, idle) = (saved.i64()?, saved.bool()?);
            if let Some(state) = self.partitions.get_mut(&partition) {
                (state.watermark, state.idle) = (watermark, idle);
            }
        }
        self.find_lowest();
        Ok(())
    }

    fn find_lowest(&mut self) {
        self.lowest = self
            .partitions
            .iter()
            .filter(|(_, state)| !state.idle && !state.finished)
            .map(|(partition, state)| (state.watermark, Some(*partition)))
            .min()
            .unwrap_or((NO_TIME, None));
        if self.lowest.1.is_none() {
            // All are idle or ended: the highest counts.
            let highest = self.partitions.values().map(|s| s.watermark).max();
            self.lowest.0 = highest.unwrap_or(NO_TIME);
        }
    }

    fn raise(&mut self) {
        self.watermark = self.watermark.max(self.lowest.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time() -> TableTime {
        let mut time = TableTime::new(Duration::from_secs(3), Duration::from_micros(30));
        time.add(0, Duration::ZERO);
        time.add(1, Duration::ZERO);
        time
    }

    #[test]
    fn after_a_restore_time_goes_on_by_itself_from_then_on() {
        let mut before = time();
        (0..2).for_each(|partition| before.row(partition, 1_000, 900));
        for now in [Duration::from_secs(1), Duration::from_secs(9)] {
            (0..2).for_each(|partition| before.at_end(partition, now));
            before.tick(now);
        }
        let mut bytes = Vec::new();
        before.save(&mut bytes);
        let (mut after, day) = (time(), Duration::from_secs(86_400));
        after.load(&mut Reader::new(&bytes), day).expect("loads");
        (0..2).for_each(|partition| after.at_end(partition, day));
        after.tick(day + Duration::from_micros(5));
        assert_eq!(after.frontier(), before.frontier() + 5);
    }

    #[test]
    fn before_its_partitions_are_known_a_table_is_behind_and_not_finished() {
        let mut time = TableTime::new(Duration::from_secs(3), Duration::from_micros(30));
        assert!(time.is_behind(Duration::ZERO) && !time.all_finished());
        time.add(0, Duration::ZERO);
        assert!(time.is_behind(Duration::ZERO) && !time.all_finished());
        time.at_end(0, Duration::ZERO);
        assert!(!time.is_behind(Duration::ZERO) && time.finished(0));
    }

    #[test]
    fn the_watermark_is_the_lowest_over_partitions_and_never_goes_back() {
        let mut time = time();
        time.row(0, 100, 95);
        assert_eq!((time.frontier(), time.watermark()), (100, NO_TIME));
        time.row(1, 50, 45);
        assert_eq!((time.frontier(), time.watermark()), (100, 45));
        time.row(1, 20, 15);
        assert_eq!(time.watermark(), 45);
        time.row(1, 200, 195);
        assert_eq!((time.frontier(), time.watermark()), (200, 95));
    }

    #[test]
    fn an_idle_partition_does_not_hold_time_back_and_one_that_is_away_does() {
        let mut time = time();
        time.row(0, 100, 95);
        time.rows_came(0, Duration::from_secs(1));
        time.at_end(1, Duration::ZERO);
        time.tick(Duration::from_secs(2));
        assert_eq!(time.watermark(), NO_TIME);
        time.tick(Duration::from_secs(3));
        assert_eq!((time.frontier(), time.watermark()), (100, 95));
        // Partition 0 has not been read to its end: time does not go on by itself.
        time.tick(Duration::from_secs(60));
        assert_eq!(time.frontier(), 100);
        time.at_end(0, Duration::ZERO);
        time.at_end(1, Duration::ZERO);
        assert!(time.tick(Duration::from_secs(61)));
        let (frontier, watermark) = (time.frontier(), time.watermark());
        assert_eq!((frontier, watermark), (100 + 60_000_000, 95 + 60_000_000));
        time.away();
        time.tick(Duration::from_secs(90));
        assert_eq!(time.frontier(), frontier);
    }

    #[test]
    fn a_partition_too_far_ahead_is_paused_while_another_is_behind() {
        let mut time = time();
        time.row(0, 100, 100);
        time.row(1, 60, 60);
        assert_eq!(
            time.align(),
            [Pause {
                partition: 0,
                paused: true
            }]
        );
        assert_eq!(time.align(), []);
        time.row(1, 80, 80);
        assert_eq!(
            time.align(),
            [Pause {
                partition: 0,
                paused: false
            }]
        );
    }
}
