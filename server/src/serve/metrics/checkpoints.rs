//! Metrics of checkpoints.

use super::super::App;
use super::super::routes::checkpoints::checkpoints;
use super::out::{Out, label};
use std::fmt::Error;

/// The metric of who writes, and its meaning.
pub(super) const OWNER: (&str, &str) = (
    "tidewheel_checkpoint_owner",
    "1 for the process that writes, 0 for one that stands by",
);

/// Writes how checkpoints go. Where none are taken the metrics are described and have no sample.
pub(super) fn write(out: &mut Out<'_, '_>, app: &App) -> Result<(), Error> {
    let now = checkpoints(app);
    let last_at = app.engine.checkpoints().and_then(|now| now.last_at_ms);
    let gauges: [(&str, &str, Option<f64>); 9] = [
        (OWNER.0, OWNER.1, now.as_ref().map(|_| 1.0)),
        (
            "tidewheel_checkpoint_epoch",
            "The epoch that the process has claimed",
            now.as_ref().map(|now| now.epoch as f64),
        ),
        (
            "tidewheel_checkpoint_age_seconds",
            "How old the newest good checkpoint is; since the start where there is none",
            now.as_ref().map(|now| now.age_seconds),
        ),
        (
            "tidewheel_checkpoint_last_timestamp_seconds",
            "The moment that the newest good checkpoint holds the state of",
            last_at.map(|at| at as f64 / 1e3),
        ),
        (
            "tidewheel_checkpoint_written_bytes",
            "Bytes that the last checkpoint wrote",
            now.as_ref().map(|now| now.written_bytes as f64),
        ),
        (
            "tidewheel_checkpoint_state_bytes",
            "Bytes of state that the last checkpoint stands for",
            now.as_ref().map(|now| now.state_bytes as f64),
        ),
        (
            "tidewheel_checkpoint_failing",
            "1 while the last try to write one has failed",
            now.as_ref()
                .map(|now| f64::from(u8::from(now.error.is_some()))),
        ),
        (
            "tidewheel_checkpoint_restore_seconds",
            "How long reading the checkpoint and building its state took at the start",
            now.as_ref().and_then(|now| now.restore_seconds),
        ),
        (
            "tidewheel_checkpoint_recovery_seconds",
            "From the start to the first acknowledged value, after a restore",
            now.as_ref().and_then(|now| now.recovery_seconds),
        ),
    ];
    for (name, help, value) in gauges {
        out.gauge_if(name, help, value)?;
    }
    out.gauges(
        "tidewheel_checkpoint_duration_seconds",
        "How long the last checkpoint took, by phase",
        now.iter().flat_map(|now| {
            [
                (label("phase", "gather"), now.gather_seconds),
                (label("phase", "write"), now.write_seconds),
            ]
        }),
    )?;
    out.counter_if(
        "tidewheel_checkpoint_writes",
        "Checkpoints written",
        now.as_ref().map(|now| now.written),
    )?;
    out.counter_if(
        "tidewheel_checkpoint_failures",
        "Checkpoints that could not be written",
        now.as_ref().map(|now| now.failed),
    )?;
    out.gauges(
        "tidewheel_checkpoint_restored_info",
        "The checkpoint that the process went on from",
        now.iter().filter_map(|now| {
            let restored = now.restored.clone()?;
            Some((label("checkpoint", restored), 1.0))
        }),
    )
}
