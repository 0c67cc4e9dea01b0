//! Starts the service and ends it.

use super::engine::Engine;
use super::idempotency::Answers;
use super::metrics::Http;
use super::observed::{Taps, observed};
use super::security::Access;
use super::standby::Answering;
use super::{App, Limits, routes, wall_ms};
use crate::catalogue::policy::{Allowed, Policy};
use crate::catalogue::resolve::Compiler;
use crate::catalogue::{Catalogue, Rules, watch};
use crate::checkpoints::{self, Held};
use crate::config::Config;
use crate::config::settings::{READ_TOKEN, WRITE_TOKEN};
use crate::error::CliError;
use crate::memory;
use parking_lot::Mutex;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tidewheel_connectors::lookup::Lookups;
use tidewheel_core::Env;
use tidewheel_core::env::SystemEnv;
use tidewheel_runtime::checkpoint::checkpointer::CheckpointOptions;
use tidewheel_runtime::{EngineError, RunOptions};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch as channel};

/// How often it is looked whether another process has taken over.
const SUPERSEDED_LOOK: Duration = Duration::from_millis(200);
/// How long open requests may take to end once the service stops.
const LAST_REQUESTS: Duration = Duration::from_secs(5);
/// How often embedded stores are read on.
const FOLLOW_STORES_EVERY: Duration = Duration::from_millis(100);
/// Threads that answer requests.
const ANSWERING_THREADS: usize = 2;
/// Changes of the catalogue that may wait for one another: half of the threads below.
const CHANGES_MAX: usize = 32;
/// Threads that compile and look things up for requests.
const BLOCKING_THREADS: usize = 64;

/// Runs the service until Ctrl-C or SIGTERM.
///
/// # Errors
/// The address or folder cannot be used, or the settings do not go together.
pub(crate) fn run(
    config: &Config,
    sets: Vec<(String, String, String)>,
    json: bool,
) -> Result<(), CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(ANSWERING_THREADS)
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("api")
        .enable_all()
        .build()
        .map_err(CliError::io("cannot start threads"))?;
    runtime.block_on(serve(config, sets, json))
}

/// Who may do what; refuses an address that others reach without a token.
fn access(config: &Config, address: SocketAddr) -> Result<Access, CliError> {
    let access = Access {
        read_token: config.token(READ_TOKEN, "auth.read-token-file")?,
        write_token: config.token(WRITE_TOKEN, "auth.write-token-file")?,
        hosts: hosts(config, address),
        origins: config.list("cors.origins"),
    };
    let open = access.read_token.is_none() && access.write_token.is_none();
    if open && !address.ip().is_loopback() {
        if !config.flag("serve.insecure") {
            return Err(CliError::Usage(format!(
                "{address} is reached from other machines, and there is no token: set \
                 {WRITE_TOKEN} and {READ_TOKEN} (or the files auth.write-token-file and \
                 auth.read-token-file), listen on 127.0.0.1, or say --insecure"
            )));
        }
        tracing::warn!(%address, "anybody who reaches this address may change queries (--insecure)");
    }
    Ok(access)
}

/// The names to be called by. On loopback only they keep pages out that reach the server through a
/// name of their own; elsewhere it is known by names that only the operator knows.
fn hosts(config: &Config, address: SocketAddr) -> Vec<String> {
    let mut hosts = config.list("serve.hosts");
    if address.ip().is_loopback() || !hosts.is_empty() {
        hosts.push("localhost".to_owned());
    }
    hosts
}

/// What the page links to.
fn links(config: &Config) -> Result<Vec<(String, String)>, CliError> {
    let link = |text: String| {
        let (name, url) = text.split_once('=').unwrap_or(("", &text));
        let web = url.starts_with("http://") || url.starts_with("https://");
        if name.is_empty() || !web {
            return Err(CliError::Usage(format!(
                "page.links: '{text}' is no link; write NAME=URL, such as \
                 Grafana=http://localhost:3001"
            )));
        }
        Ok((name.to_owned(), url.to_owned()))
    };
    config.list("page.links").into_iter().map(link).collect()
}

fn address(config: &Config) -> Result<SocketAddr, CliError> {
    let text = config.text("serve.listen");
    let wrong = |why: String| {
        CliError::Usage(format!(
            "cannot listen on '{text}': {why}; write an address and port such as 127.0.0.1:8080"
        ))
    };
    let mut found = text
        .to_socket_addrs()
        .map_err(|error| wrong(error.to_string()))?;
    found.next().ok_or_else(|| wrong("no such host".to_owned()))
}

fn limits(config: &Config) -> Limits {
    Limits {
        request_bytes: config.bytes("limits.request-bytes"),
        request_time: config.duration("limits.request-time"),
        requests: config.count("limits.requests"),
        listeners: config.count("limits.listeners"),
        previews: config.count("limits.previews"),
        preview_time: config.duration("limits.preview-time"),
        preview_rows: config.count("limits.preview-rows"),
        preview_memory: config.bytes("limits.preview-memory"),
        keys: config.count("limits.keys"),
    }
}

fn shown_features(config: &Config) -> Vec<(String, String)> {
    let pair = |text: String| {
        let (table, key) = text.split_once('/')?;
        Some((table.to_owned(), key.to_owned()))
    };
    config
        .list("metrics.features")
        .into_iter()
        .filter_map(pair)
        .collect()
}

fn catalogue(
    config: &Config,
    sets: Vec<(String, String, String)>,
    loopback: bool,
    engine: &Arc<Engine>,
    registry: &Arc<tidewheel_core::Registry>,
) -> Result<Catalogue, CliError> {
    let folder = PathBuf::from(config.text("serve.folder"));
    if !folder.is_dir() {
        return Err(CliError::Usage(format!(
            "there is no folder {}; make it, or name the folder of your *.sql files",
            folder.display()
        )));
    }
    let allowed = |key: &str| Allowed::new(config.given_list(key), loopback);
    let rules = Rules {
        folder,
        read_only: config.flag("serve.read-only"),
        queries_max: config.count("limits.queries"),
        policy: Policy {
            hosts: allowed("allow.hosts"),
            paths: allowed("allow.paths"),
            environment: allowed("allow.environment"),
        },
    };
    let compiler = Compiler {
        registry: Arc::clone(registry),
        environment: config.environment().clone(),
        sets,
    };
    Ok(Catalogue::new(rules, compiler, Arc::clone(engine)))
}

async fn serve(
    config: &Config,
    sets: Vec<(String, String, String)>,
    json: bool,
) -> Result<(), CliError> {
    let address = address(config)?;
    let access = access(config, address)?;
    let links = links(config)?;
    let taps = Arc::new(Taps::default());
    let registry = Arc::new(observed(&crate::load::registry(), &taps));
    let mut options = RunOptions::default();
    options.shards = config.number("engine.shards").unwrap_or(options.shards);
    options.decoders = config.number("engine.decoders").unwrap_or(options.decoders);
    options.memory = memory::limit(config);
    // First the address: a second service on the same port must not touch a store.
    let listener = TcpListener::bind(address)
        .await
        .map_err(CliError::io(format!("cannot listen on {address}")))?;
    let bound = listener
        .local_addr()
        .map_err(CliError::io("cannot listen"))?;
    let listener = match begin_checkpoints(config, listener, &access, json).await? {
        Some((listener, begun)) => {
            options.checkpoints = begun;
            listener
        }
        None => return Ok(()),
    };
    let env: Arc<dyn Env> = Arc::new(SystemEnv::new(registry.as_ref().clone()));
    let engine = Arc::new(Engine::start(&env, &options, Arc::clone(&taps)));
    let loopback = address.ip().is_loopback();
    let catalogue = Arc::new(catalogue(config, sets, loopback, &engine, &registry)?);
    let (stop, stopping) = channel::channel(false);
    let limits = limits(config);
    let app = Arc::new(App {
        catalogue: Arc::clone(&catalogue),
        engine: Arc::clone(&engine),
        taps,
        registry,
        lookups: Lookups::default(),
        access,
        listeners: Arc::new(Semaphore::new(limits.listeners)),
        previews: Arc::new(Semaphore::new(limits.previews)),
        requests: Arc::new(Semaphore::new(limits.requests)),
        limits,
        changes: Arc::new(Semaphore::new(CHANGES_MAX)),
        answers: Answers::load(catalogue.folder()),
        http: Http::default(),
        shown_features: shown_features(config),
        links,
        openapi: routes::openapi(),
        stopping: stopping.clone(),
        started: wall_ms() as f64 / 1_000.0,
        recovered: OnceLock::new(),
    });
    let followed = Arc::clone(&app);
    let router = routes::router(&app);
    let serving = tokio::spawn(async move {
        let mut stopping = stopping;
        axum::serve(listener, router)
            .with_graceful_shutdown(async move {
                let _ = stopping.wait_for(|stop| *stop).await;
            })
            .await
    });
    // The health page answers while the first files are compiled.
    let first = Arc::clone(&catalogue);
    let loaded = tokio::task::spawn_blocking(move || first.reload()).await;
    if loaded.is_err() {
        return Err(CliError::Other(
            "the folder could not be read; the log says more".to_owned(),
        ));
    }
    announce(bound, &catalogue, json);
    let ended = Arc::new(AtomicBool::new(false));
    follow_stores(&followed, &ended);
    watch::start(&catalogue, config.duration("serve.poll"), &ended);
    let lost = tokio::select! {
        () = signal() => None,
        lost = superseded(&engine) => Some(lost),
    };
    ended.store(true, Relaxed);
    let _ = stop.send(true);
    if tokio::time::timeout(LAST_REQUESTS, serving).await.is_err() {
        tracing::warn!("requests were still open and are cut off");
    }
    let stopped = tokio::task::spawn_blocking(move || engine.stop()).await;
    stopped.map_err(|_| CliError::Other("the engine did not stop cleanly".to_owned()))?;
    lost.map_or(Ok(()), |error| Err(error.into()))
}

/// Claims the right to write, and stands by on the address until it has it. `None`: the process
/// was told to end meanwhile.
async fn begin_checkpoints(
    config: &Config,
    listener: TcpListener,
    access: &Access,
    json: bool,
) -> Result<Option<(TcpListener, Option<CheckpointOptions>)>, CliError> {
    if config.text("checkpoints.location").is_empty() {
        return Ok(Some((listener, None)));
    }
    let cannot = || CliError::io("cannot listen");
    let bound = listener.local_addr().map_err(cannot())?;
    let listener = listener.into_std().map_err(cannot())?;
    let copy = TcpListener::from_std(listener.try_clone().map_err(cannot())?).map_err(cannot())?;
    let held: Arc<Mutex<Option<Held>>> = Arc::default();
    let answering = Answering::start(copy, access.clone(), &held);
    let (waits, ends) = (config.clone(), Arc::new(AtomicBool::new(false)));
    let ended = Arc::clone(&ends);
    let begun = tokio::task::spawn_blocking(move || {
        let told = |now: Held| {
            if held.lock().replace(now).is_none() {
                announce_standby(bound, json);
            }
        };
        checkpoints::begin(&waits, || ended.load(Relaxed), told)
    });
    let begun = tokio::select! {
        begun = begun => begun.map_err(|_| {
            CliError::Other("the checkpoint store could not be opened".to_owned())
        })??,
        () = signal() => {
            ends.store(true, Relaxed);
            return Ok(None);
        }
    };
    answering.end().await;
    let listener = TcpListener::from_std(listener).map_err(cannot())?;
    Ok(Some((listener, begun)))
}

/// The first line on standard output of a process that stands by.
fn announce_standby(bound: SocketAddr, json: bool) {
    let line = if json {
        serde_json::json!({"standing_by": format!("http://{bound}")}).to_string()
    } else {
        format!("standing by on http://{bound} (another process runs this pipeline)")
    };
    crate::out::line(&line);
}

/// Waits until another process has taken over.
async fn superseded(engine: &Engine) -> EngineError {
    loop {
        tokio::time::sleep(SUPERSEDED_LOOK).await;
        if let Some(error) = engine.superseded() {
            return error;
        }
    }
}

/// Keeps the embedded stores that features are read from read to their ends, so that no request
/// has to wait for that. The thread ends with the program.
fn follow_stores(app: &Arc<App>, stop: &Arc<AtomicBool>) {
    let (app, stop) = (Arc::clone(app), Arc::clone(stop));
    std::thread::spawn(move || {
        while !stop.load(Relaxed) {
            let view = app.catalogue.view();
            for query in &view.program.queries {
                // A store that is away is the matter of whoever reads it.
                let _ = app.lookups.follow(&query.sink);
            }
            std::thread::sleep(FOLLOW_STORES_EVERY);
        }
    });
}

/// The first line on standard output says where the service is.
fn announce(bound: SocketAddr, catalogue: &Catalogue, json: bool) {
    let view = catalogue.view();
    let broken = view
        .files
        .values()
        .filter(|file| !file.errors.is_empty())
        .count();
    let queries = view.program.queries.len();
    let line = if json {
        let line = serde_json::json!({
            "listening": format!("http://{bound}"),
            "files": view.files.len(),
            "statements": queries,
            "broken": broken,
        });
        line.to_string()
    } else {
        let errors = match broken {
            0 => String::new(),
            count => format!(", {count} with errors"),
        };
        format!(
            "listening on http://{bound} (try it: http://{bound}/docs)\n{} files{errors}, {queries} \
             statements run from {}",
            view.files.len(),
            catalogue.folder().display()
        )
    };
    crate::out::line(&line);
}

async fn signal() {
    let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    match terminate {
        Ok(mut terminate) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        },
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}
