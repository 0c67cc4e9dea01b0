//! The HTTP server.

mod answer;
mod body;
mod connections;
mod request;
mod route;

use crate::collect::Collector;
use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::sink::Sink;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

/// All that requests share.
#[derive(Debug)]
pub(crate) struct App {
    settings: Settings,
    collector: Collector,
    sink: Sink,
    metrics: Arc<Metrics>,
    /// Free memory, in units of [`body::UNIT`].
    memory: Semaphore,
}

/// A collector's address, bound.
#[derive(Debug)]
pub struct Server {
    settings: Settings,
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Binds the address.
    ///
    /// # Errors
    /// The address cannot be used.
    pub async fn bind(settings: Settings) -> std::io::Result<Self> {
        let listener = TcpListener::bind(settings.listen).await?;
        let address = listener.local_addr()?;
        Ok(Self {
            settings,
            listener,
            address,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `stopping` holds true, then those that are under way, then writes
    /// what waits.
    pub async fn run(
        self,
        collector: Collector,
        sink: Sink,
        metrics: Arc<Metrics>,
        stopping: watch::Receiver<bool>,
    ) {
        let memory = self.settings.limits.memory_bytes.div_ceil(body::UNIT);
        let app = Arc::new(App {
            memory: Semaphore::new(memory.min(Semaphore::MAX_PERMITS)),
            settings: self.settings,
            collector,
            sink,
            metrics,
        });
        connections::serve(self.listener, &app, stopping).await;
        // The writer's thread is joined: not on a thread that answers.
        let _ = tokio::task::spawn_blocking(move || app.sink.stop()).await;
    }
}
