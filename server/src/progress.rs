//! The progress bar and the summary of a run.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};
use tidewheel_runtime::Summary;

/// Shows how far a run is.
pub(crate) struct Progress {
    bar: ProgressBar,
    start: Instant,
    before: (Instant, u64),
    rate: f64,
}

impl Progress {
    /// A bar on stderr; hidden where that is no terminal, or `hidden` says so.
    pub(crate) fn new(hidden: bool) -> Self {
        let bar = ProgressBar::new(0);
        if hidden || !std::io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let now = Instant::now();
        Self {
            bar,
            start: now,
            before: (now, 0),
            rate: 0.0,
        }
    }

    /// Shows the counters.
    pub(crate) fn show(&mut self, now_at: &Summary, bounded: bool) {
        let rows = now_at.rows_in;
        let now = Instant::now();
        let passed = now - self.before.0;
        if passed >= Duration::from_millis(250) {
            self.rate = (rows - self.before.1) as f64 / passed.as_secs_f64();
            self.before = (now, rows);
        }
        let (read, total) = now_at.size;
        let text = format!(
            "{} rows, {}/s, {} keys, {} writes",
            count(rows),
            count(self.rate as u64),
            count(now_at.keys),
            count(now_at.writes),
        );
        if bounded && total > 0 {
            self.bar.set_length(total);
            self.bar.set_position(read.min(total));
            let left = self.start.elapsed().as_secs_f64() * (total - read.min(total)) as f64
                / read.max(1) as f64;
            let style = ProgressStyle::with_template("{bar:24} {percent:>3} %  {msg}");
            if let Ok(style) = style {
                self.bar.set_style(style);
            }
            self.bar.set_message(format!("{text}, {left:.0} s left"));
        } else {
            if let Ok(style) = ProgressStyle::with_template("{elapsed_precise}  {msg}") {
                self.bar.set_style(style);
            }
            self.bar.set_message(text);
        }
        self.bar.tick();
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) -> Duration {
        self.bar.finish_and_clear();
        self.start.elapsed()
    }
}

/// A number with thousands set apart.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The summary for people.
pub(crate) fn summary_text(summary: &Summary, took: Duration) -> String {
    let seconds = took.as_secs_f64().max(1e-9);
    let mut lines = vec![format!(
        "{} rows in {seconds:.2} s ({} rows/s, {:.0} MB/s)",
        count(summary.rows_in),
        count((summary.rows_in as f64 / seconds) as u64),
        summary.bytes_in as f64 / 1e6 / seconds,
    )];
    lines.push(format!(
        "  late {}, bad {}, future {}, repeats {}, without a key {}",
        count(summary.late),
        count(summary.bad),
        count(summary.future),
        count(summary.repeats),
        count(summary.keyless),
    ));
    lines.push(format!(
        "  keys {}, changes {}, writes {}",
        count(summary.keys),
        count(summary.changes),
        count(summary.writes),
    ));
    for (value, text) in [
        (summary.tombstones, "tombstones"),
        (summary.unknown_schemas, "of unknown schemas"),
        (summary.failed_rows, "rows on which an expression failed"),
        (
            summary.failed_results,
            "results that are NULL since an expression failed",
        ),
        (
            summary.bounds_reached,
            "values left out since a bound was reached",
        ),
        (summary.sink_retries, "retries of sinks"),
    ] {
        if value > 0 {
            lines.push(format!("  {} {text}", count(value)));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(super::count(number), text);
        }
    }
}
