//! Ctrl-C and SIGTERM.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// How often a stop was asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<AtomicU8>);

impl Stop {
    /// Listens from now on.
    pub(crate) fn listen() -> Self {
        let stop = Self::default();
        let count = Arc::clone(&stop.0);
        std::thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
            else {
                return;
            };
            runtime.block_on(async {
                let Ok(mut terminate) =
                    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
                else {
                    return;
                };
                loop {
                    tokio::select! {
                        result = tokio::signal::ctrl_c() => if result.is_err() { return },
                        _ = terminate.recv() => {}
                    }
                    count.fetch_add(1, Relaxed);
                }
            });
        });
        stop
    }

    /// How often: 0 go on, 1 stop cleanly, 2 wait for nothing.
    pub(crate) fn count(&self) -> u8 {
        self.0.load(Relaxed)
    }
}
