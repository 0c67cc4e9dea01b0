//! Counts, as Prometheus reads them.

use crate::bad::Reason;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What is counted once for each time it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Count {
    /// A request was answered with success.
    Accepted,
    /// No such path or method.
    NotFound,
    /// The body was larger than allowed.
    TooLarge,
    /// The body did not come in time, or broke off.
    Incomplete,
    /// The sink is away, or the memory for requests is used up.
    Unavailable,
    /// A connection was taken.
    Connection,
    /// A connection had to wait, since as many as allowed were open.
    ConnectionWaited,
    /// A connection broke the protocol, or idled for too long.
    ConnectionBroken,
    /// A write to a sink failed.
    SinkFailure,
    /// Records were written.
    Records,
    /// Bytes were written.
    Bytes,
}

const COUNTS: [(&str, &str); 11] = [
    ("requests_total{outcome=\"accepted\"}", ""),
    ("requests_total{outcome=\"not_found\"}", ""),
    ("requests_total{outcome=\"too_large\"}", ""),
    ("requests_total{outcome=\"incomplete\"}", ""),
    (
        "requests_total{outcome=\"unavailable\"}",
        "Requests by how they ended.",
    ),
    ("connections_total", "Connections taken."),
    (
        "connections_waited_total",
        "Connections that waited, as many as allowed being open.",
    ),
    (
        "connections_broken_total",
        "Connections that broke the protocol or idled.",
    ),
    ("sink_failures_total", "Writes that failed."),
    ("records_total", "Records written."),
    ("bytes_total", "Bytes of records written."),
];

/// The counts of one collector.
#[derive(Debug, Default)]
pub struct Metrics {
    counts: [AtomicU64; COUNTS.len()],
    good: AtomicU64,
    bad: [AtomicU64; Reason::ALL.len()],
}

impl Metrics {
    /// Counts something once.
    pub fn count(&self, what: Count) {
        self.add(what, 1);
    }

    /// Counts something several times.
    pub fn add(&self, what: Count, times: u64) {
        self.counts[what as usize].fetch_add(times, Relaxed);
    }

    /// Counts a good event.
    pub fn good(&self) {
        self.good.fetch_add(1, Relaxed);
    }

    /// Counts a bad row.
    pub fn bad(&self, reason: Reason) {
        self.bad[reason as usize].fetch_add(1, Relaxed);
    }

    /// All counts in Prometheus' text format.
    #[must_use]
    pub fn text(&self, sink_away: bool) -> String {
        let mut text = String::new();
        let mut family = String::new();
        let mut line = |name: &str, help: &str, kind: &str, value: u64| {
            let bare = name.split('{').next().unwrap_or(name);
            if family != bare {
                bare.clone_into(&mut family);
                let _ = writeln!(text, "# HELP tidewheel_collector_{bare} {help}");
                let _ = writeln!(text, "# TYPE tidewheel_collector_{bare} {kind}");
            }
            let _ = writeln!(text, "tidewheel_collector_{name} {value}");
        };
        let good = self.good.load(Relaxed);
        line(
            "events_total{kind=\"good\"}",
            "Events by whether they are good.",
            "counter",
            good,
        );
        let bad: u64 = self.bad.iter().map(|count| count.load(Relaxed)).sum();
        line("events_total{kind=\"bad\"}", "", "counter", bad);
        for (reason, count) in Reason::ALL.iter().zip(&self.bad) {
            let name = format!("bad_rows_total{{reason=\"{}\"}}", reason.name());
            line(&name, "Bad rows by reason.", "counter", count.load(Relaxed));
        }
        for ((name, help), count) in COUNTS.iter().zip(&self.counts) {
            let help = if help.is_empty() {
                "Requests by how they ended."
            } else {
                help
            };
            line(name, help, "counter", count.load(Relaxed));
        }
        line(
            "sink_away",
            "1 while the sink does not take records.",
            "gauge",
            u64::from(sink_away),
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_has_its_line() {
        let metrics = Metrics::default();
        metrics.count(Count::TooLarge);
        metrics.add(Count::Bytes, 7);
        metrics.good();
        metrics.bad(Reason::Payload);
        let text = metrics.text(true);
        for line in [
            "tidewheel_collector_requests_total{outcome=\"too_large\"} 1",
            "tidewheel_collector_bytes_total 7",
            "tidewheel_collector_events_total{kind=\"good\"} 1",
            "tidewheel_collector_events_total{kind=\"bad\"} 1",
            "tidewheel_collector_bad_rows_total{reason=\"malformed_payload\"} 1",
            "tidewheel_collector_sink_away 1",
        ] {
            assert!(text.lines().any(|have| have == line), "{line}\n{text}");
        }
        let types = text
            .lines()
            .filter(|line| line.starts_with("# TYPE"))
            .count();
        let mut families: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split(['{', ' ']).next())
            .collect();
        families.dedup();
        assert_eq!(types, families.len(), "{text}");
    }
}
