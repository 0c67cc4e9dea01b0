//! What a shard counts, told to whoever shows it.

use super::query::First;
use super::{STATS_EVERY, Shard};
use crate::stats::Stats;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use tidewheel_kernel::change::OperatorStats;

impl Shard {
    pub(super) fn report(&mut self, now_or_never: bool) {
        let now = self.env.monotonic();
        if !now_or_never && now.saturating_sub(self.reported.0) < STATS_EVERY {
            return;
        }
        let mut totals = [0_u64; 4];
        let mut by_group: BTreeMap<(usize, usize), [u64; 4]> = BTreeMap::new();
        for (source, known) in &self.sources {
            for (group, operator) in known.groups.iter().enumerate() {
                if let Some(operator) = operator {
                    let figures = figures(&operator.stats());
                    sum(&mut totals, &figures);
                    by_group.insert((*source, group), figures);
                }
            }
        }
        for query in self.queries.values_mut() {
            let mut own = [0_u64; 4];
            for stats in query.stats() {
                sum(&mut own, &figures(&stats));
            }
            sum(&mut totals, &own);
            if let First::Set { group, .. } = &query.first
                && let Some(shared) = by_group.get(&(query.chain.source, *group))
            {
                sum(&mut own, shared);
            }
            shift(&query.handle.stats, &query.reported, &own);
            query.reported = own;
        }
        shift(&self.stats, &self.reported.1, &totals);
        self.reported = (now, totals);
    }
}

/// Keys, slices, bytes of state, bounds reached.
fn figures(stats: &OperatorStats) -> [u64; 4] {
    [
        stats.keys,
        stats.slices,
        stats.state_bytes,
        stats.bound_reached,
    ]
}

fn sum(total: &mut [u64; 4], part: &[u64; 4]) {
    for (total, part) in total.iter_mut().zip(part) {
        *total += part;
    }
}

/// Moves gauges on from what a shard added to them before.
pub(super) fn shift(stats: &Stats, before: &[u64; 4], now: &[u64; 4]) {
    let counters = [&stats.keys, &stats.slices, &stats.state_bytes];
    // What was left out stays counted when its state goes.
    let bounds = now[3].saturating_sub(before[3]);
    stats.bounds_reached.fetch_add(bounds, Relaxed);
    for (counter, (before, now)) in counters.into_iter().zip(before.iter().zip(now)) {
        if now >= before {
            counter.fetch_add(now - before, Relaxed);
        } else {
            counter.fetch_sub(before - now, Relaxed);
        }
    }
}
