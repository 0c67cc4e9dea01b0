//! Connections: how many, how long, and their end.

use super::{App, request};
use crate::metrics::Count;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// How long a connection may live: one that does not read its answers must not stay for ever.
const LIFETIME: Duration = Duration::from_secs(300);
/// How long requests that are under way may take when a connection, or the server, ends.
const LAST_REQUESTS: Duration = Duration::from_secs(5);
/// The pause after the system refused a connection, for want of file descriptors most likely.
const REFUSED: Duration = Duration::from_millis(50);
/// The smallest head that the HTTP library can be told.
const HEAD_BYTES_MIN: usize = 8_192;

/// Takes connections until the end, and waits for the last ones.
pub(super) async fn serve(listener: TcpListener, app: &Arc<App>, stopping: watch::Receiver<bool>) {
    let most = app
        .settings
        .limits
        .connections
        .clamp(1, Semaphore::MAX_PERMITS);
    let places = Arc::new(Semaphore::new(most));
    let mut end = stopping.clone();
    let taking = async {
        loop {
            if places.available_permits() == 0 {
                app.metrics.count(Count::ConnectionWaited);
            }
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((stream, peer)) => {
                    app.metrics.count(Count::Connection);
                    tokio::spawn(connection(
                        Arc::clone(app),
                        stream,
                        peer,
                        stopping.clone(),
                        place,
                    ));
                }
                Err(error) => {
                    tracing::debug!(%error, "no connection");
                    tokio::time::sleep(REFUSED).await;
                }
            }
        }
    };
    tokio::select! {
        () = taking => {}
        // Also when nobody is left who could ask for the end.
        _ = end.wait_for(|stop| *stop) => {}
    }
    drop(listener);
    let all = places.acquire_many(u32::try_from(most).unwrap_or(u32::MAX));
    if tokio::time::timeout(LAST_REQUESTS * 2, all).await.is_err() {
        tracing::warn!("requests were still open and are cut off");
    }
}

async fn connection(
    app: Arc<App>,
    stream: TcpStream,
    peer: SocketAddr,
    mut stopping: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
) {
    // Answers are small: they must not wait for more.
    let _ = stream.set_nodelay(true);
    let limits = &app.settings.limits;
    let service = service_fn(|request| {
        let app = Arc::clone(&app);
        async move { Ok::<_, Infallible>(request::answer(&app, request, peer).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle_time)
        .max_buf_size(limits.head_bytes.max(HEAD_BYTES_MIN))
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = async {
            tokio::select! {
                () = tokio::time::sleep(LIFETIME) => {}
                _ = stopping.wait_for(|stop| *stop) => {}
            }
        } => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(LAST_REQUESTS, connection).await {
                Ok(ended) => ended,
                Err(_) => Ok(()),
            }
        }
    };
    if let Err(error) = ended {
        app.metrics.count(Count::ConnectionBroken);
        tracing::debug!(%error, "a connection ended early");
    }
}
