//! When written bytes reach the disk: the option `fsync` of the embedded log and store.

use parking_lot::Mutex;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tidewheel_core::{OptionError, Options};

/// How often what was written becomes durable under [`Fsync::Interval`].
pub const FSYNC_INTERVAL: Duration = Duration::from_millis(200);

/// When a write counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fsync {
    /// When it is on the disk.
    Always,
    /// When the operating system has it; the disk follows within [`FSYNC_INTERVAL`].
    Interval,
    /// When the operating system has it.
    Never,
}

impl Fsync {
    /// The value of the option `fsync`: `always`, `interval` (default) or `never`.
    pub(crate) fn parse(options: &Options) -> Result<Self, OptionError> {
        Ok(
            match options.word("fsync", &["always", "interval", "never"], "interval")? {
                "always" => Self::Always,
                "never" => Self::Never,
                _ => Self::Interval,
            },
        )
    }
}

/// Brings written files to the disk as an [`Fsync`] says.
pub(crate) struct Syncer {
    fsync: Fsync,
    unsynced: Unsynced,
}

type Unsynced = Arc<Mutex<Vec<Arc<File>>>>;

impl Syncer {
    pub(crate) fn new(fsync: Fsync) -> Self {
        let unsynced = Unsynced::default();
        if fsync == Fsync::Interval {
            sync_now_and_then(&unsynced);
        }
        Self { fsync, unsynced }
    }

    /// To be called after each write and before it is acknowledged.
    pub(crate) fn written(&self, file: &Arc<File>) -> io::Result<()> {
        match self.fsync {
            Fsync::Always => file.sync_data()?,
            Fsync::Interval => {
                let mut unsynced = self.unsynced.lock();
                if !unsynced.iter().any(|known| Arc::ptr_eq(known, file)) {
                    unsynced.push(file.clone());
                }
            }
            Fsync::Never => {}
        }
        Ok(())
    }
}

/// Syncs each [`FSYNC_INTERVAL`], until the writer is gone.
fn sync_now_and_then(unsynced: &Unsynced) {
    let unsynced = Arc::downgrade(unsynced);
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(FSYNC_INTERVAL);
            let Some(unsynced) = unsynced.upgrade() else {
                return;
            };
            let files = std::mem::take(&mut *unsynced.lock());
            for file in files {
                if let Err(error) = file.sync_data() {
                    tracing::error!(%error, "written records may not be on the disk");
                }
            }
        }
    });
}
