//! `tidewheel collect`.

use crate::cli::CollectArgs;
use crate::config::Config;
use crate::error::CliError;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tidewheel_collector::collect::{Collector, Rules};
use tidewheel_collector::enrich::address::Places;
use tidewheel_collector::metrics::Metrics;
use tidewheel_collector::server::Server;
use tidewheel_collector::settings::{Limits, Settings, custom_path};
use tidewheel_collector::sink::{Place, Sink, Targets};
use tidewheel_connectors::log::Fsync;
use tokio::sync::watch;

/// The most threads that answer, where nobody says how many.
const THREADS_MAX: usize = 4;

/// The settings that flags give: setting, flag, value.
pub(super) fn flags(args: &CollectArgs) -> Vec<(&'static str, &'static str, String)> {
    let list = |items: &[String]| (!items.is_empty()).then(|| items.join(","));
    let threads = args.threads.map(|number| number.to_string());
    [
        ("collect.listen", "--listen", args.listen.clone()),
        ("collect.out", "--out", args.out.clone()),
        ("collect.format", "--format", args.format.clone()),
        ("collect.tsv-out", "--tsv-out", args.tsv_out.clone()),
        ("collect.bad", "--bad", args.bad.clone()),
        ("collect.geo", "--geo", args.geo.clone()),
        ("collect.paths", "--path", list(&args.paths)),
        ("collect.cors-origins", "--cors-origin", list(&args.origins)),
        (
            "collect.internal-domains",
            "--internal-domain",
            list(&args.internal_domains),
        ),
        (
            "collect.trust-proxy",
            "--trust-proxy",
            args.trust_proxy.then(|| "true".to_owned()),
        ),
        (
            "collect.cookie",
            "--no-cookie",
            args.no_cookie.then(|| "false".to_owned()),
        ),
        (
            "collect.cookie-domain",
            "--cookie-domain",
            args.cookie_domain.clone(),
        ),
        ("collect.fsync", "--fsync", args.fsync.clone()),
        (
            "collect.kafka-properties",
            "--kafka-property",
            list(&args.kafka_properties),
        ),
        ("collect.threads", "--threads", threads),
    ]
    .into_iter()
    .filter_map(|(key, flag, value)| Some((key, flag, value?)))
    .collect()
}

/// Collects until Ctrl-C or SIGTERM.
pub(crate) fn collect(config: &Config, json: bool) -> Result<(), CliError> {
    let settings = settings(config)?;
    let targets = targets(config)?;
    let metrics = Arc::new(Metrics::default());
    let geo = config.text("collect.geo");
    let places = match geo {
        "" => None,
        path => Some(
            Places::open(Path::new(path)).map_err(|error| CliError::Usage(error.to_string()))?,
        ),
    };
    let rules = Rules {
        json: targets.json.is_some(),
        tsv: targets.tsv.is_some(),
        record_bytes: settings.limits.record_bytes,
        payload_bytes: settings.limits.payload_bytes,
        internal_domains: config.list("collect.internal-domains"),
        places,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(settings.threads)
        .thread_name("collector")
        .enable_all()
        .build()
        .map_err(CliError::io("cannot start threads"))?;
    runtime.block_on(async {
        // First the address: a second collector on the same port must not touch a log.
        let listen = settings.listen;
        let bound = Server::bind(settings)
            .await
            .map_err(CliError::io(format!("cannot listen on {listen}")))?;
        let sink = Sink::start(&targets, Arc::clone(&metrics))
            .map_err(|error| CliError::Other(error.to_string()))?;
        if targets.bad.is_none() {
            tracing::warn!("bad rows are counted and not kept; --bad names a place for them");
        }
        announce(bound.address(), &targets, json);
        let (stop, stopping) = watch::channel(false);
        let collector = Collector::new(rules, Arc::clone(&metrics));
        let serving = tokio::spawn(bound.run(collector, sink, metrics, stopping));
        signal().await;
        let _ = stop.send(true);
        serving
            .await
            .map_err(|_| CliError::Other("the collector did not stop cleanly".to_owned()))
    })
}

fn address(config: &Config) -> Result<SocketAddr, CliError> {
    let text = config.text("collect.listen");
    let wrong = |why: String| {
        CliError::Usage(format!(
            "cannot listen on '{text}': {why}; write an address and port such as 127.0.0.1:9090"
        ))
    };
    let mut found = text
        .to_socket_addrs()
        .map_err(|error| wrong(error.to_string()))?;
    found.next().ok_or_else(|| wrong("no such host".to_owned()))
}

fn settings(config: &Config) -> Result<Settings, CliError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let paths = config.list("collect.paths");
    let paths: Result<Vec<String>, String> = paths.iter().map(|path| custom_path(path)).collect();
    let domain = config.text("collect.cookie-domain");
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
    if !domain.bytes().all(sound) {
        return Err(CliError::Usage(format!(
            "'{domain}' is no domain for a cookie; write one such as shop.example"
        )));
    }
    let cookie = config.flag("collect.cookie");
    Ok(Settings {
        listen: address(config)?,
        threads: config
            .number("collect.threads")
            .unwrap_or(cores.min(THREADS_MAX)),
        origins: config.list("collect.cors-origins"),
        paths: paths.map_err(CliError::Usage)?,
        trust_proxy: config.flag("collect.trust-proxy"),
        cookie_age: if cookie {
            config.duration("collect.cookie-age")
        } else {
            Duration::ZERO
        },
        cookie_domain: Some(domain.to_owned()).filter(|domain| !domain.is_empty()),
        limits: Limits {
            body_bytes: config.bytes("collect.body-bytes"),
            payload_bytes: config.bytes("collect.payload-bytes"),
            record_bytes: config.bytes("collect.record-bytes"),
            head_bytes: config.bytes("collect.head-bytes"),
            connections: config.count("collect.connections"),
            request_time: config.duration("collect.request-time"),
            idle_time: config.duration("collect.idle-time"),
            memory_bytes: config.bytes("collect.memory"),
        },
    })
}

fn targets(config: &Config) -> Result<Targets, CliError> {
    let place = |key: &str| -> Result<Option<Place>, CliError> {
        let text = config.text(key);
        let parse = |text: &str| text.parse().map_err(|error| wrong(key, &error));
        (!text.is_empty()).then(|| parse(text)).transpose()
    };
    let (out, tsv_out) = (place("collect.out")?, place("collect.tsv-out")?);
    if out.is_none() {
        return Err(CliError::Usage(
            "say where the events go: --out log:DIR or --out kafka:BROKERS/TOPIC".to_owned(),
        ));
    }
    let format = config.text("collect.format");
    if (format == "both") != tsv_out.is_some() {
        return Err(CliError::Usage(
            "--format both and --tsv-out WHERE go together: JSON goes to --out, TSV to --tsv-out"
                .to_owned(),
        ));
    }
    let (json, tsv) = match format {
        "tsv" => (None, out),
        _ => (out, tsv_out),
    };
    let properties = config.list("collect.kafka-properties");
    let pairs = properties.iter().map(|pair| {
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            CliError::Usage("a Kafka property has no '='; write NAME=VALUE".to_owned())
        })?;
        Ok((name.trim().to_owned(), value.trim().to_owned()))
    });
    Ok(Targets {
        json,
        tsv,
        bad: place("collect.bad")?,
        fsync: match config.text("collect.fsync") {
            "always" => Fsync::Always,
            "never" => Fsync::Never,
            _ => Fsync::Interval,
        },
        properties: pairs.collect::<Result<_, CliError>>()?,
    })
}

fn wrong(key: &str, error: &tidewheel_collector::sink::PlaceError) -> CliError {
    CliError::Usage(format!("{key}: {error}"))
}

/// The first line on standard output says where the collector is, unless events go there.
fn announce(bound: SocketAddr, targets: &Targets, json: bool) {
    let places = [&targets.json, &targets.tsv, &targets.bad];
    if places
        .into_iter()
        .flatten()
        .any(|place| *place == Place::Stdout)
    {
        return tracing::info!("listening on http://{bound}");
    }
    crate::out::line(&if json {
        serde_json::json!({ "listening": format!("http://{bound}") }).to_string()
    } else {
        format!("listening on http://{bound}")
    });
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
