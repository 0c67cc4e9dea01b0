//! All settings: their names, environment variables, defaults and meanings.

/// What a setting's text must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number from 1 on.
    Number,
    /// A duration such as `30 s`.
    Duration,
    /// A size such as `1 mb`.
    Bytes,
    /// Texts; in the environment and on the command line separated by commas.
    List,
    /// One of a few words.
    Word(&'static [&'static str]),
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    /// Section and name in `tidewheel.toml`, joined by a dot.
    pub key: &'static str,
    /// The environment variable.
    pub env: &'static str,
    /// The default as text; empty for none.
    pub default: &'static str,
    /// What its text must be.
    pub kind: Kind,
    /// What it does, for people.
    pub help: &'static str,
}

const fn setting(
    key: &'static str,
    env: &'static str,
    kind: Kind,
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting {
        key,
        env,
        default,
        kind,
        help,
    }
}

/// All settings, by section.
#[rustfmt::skip]
pub(crate) const SETTINGS: &[Setting] = &[
    setting("serve.folder", "TIDEWHEEL_FOLDER", Kind::Text, "queries",
        "The catalogue: the folder of *.sql files that is served."),
    setting("serve.listen", "TIDEWHEEL_LISTEN", Kind::Text, "127.0.0.1:8080",
        "Address and port of the API; port 0 takes a free one."),
    setting("serve.read-only", "TIDEWHEEL_READ_ONLY", Kind::Flag, "false",
        "The API changes no file: for folders under version control."),
    setting("serve.insecure", "TIDEWHEEL_INSECURE", Kind::Flag, "false",
        "Allow an address that other machines reach without any token."),
    setting("serve.hosts", "TIDEWHEEL_HOSTS", Kind::List, "",
        "Names by which browsers may call the server, besides localhost. Unset, any name will do where it does not listen on loopback."),
    setting("serve.poll", "TIDEWHEEL_POLL", Kind::Duration, "1 s",
        "How often the folder is looked at, besides the file system's own events."),
    setting("serve.from", "TIDEWHEEL_FROM", Kind::Text, "",
        "Read every source table from here instead, as --from."),
    setting("serve.into", "TIDEWHEEL_INTO", Kind::Text, "",
        "Write every sink table here instead, as --into."),
    setting("engine.shards", "TIDEWHEEL_SHARDS", Kind::Number, "",
        "Threads that hold state; default: one a core."),
    setting("engine.decoders", "TIDEWHEEL_DECODERS", Kind::Number, "",
        "Threads that decode, for each source table; default: one a core."),
    setting("engine.memory-limit", "TIDEWHEEL_MEMORY_LIMIT", Kind::Bytes, "",
        "Memory that the process may use: reading pauses before it is reached. Default: what its container may use, else none."),
    setting("checkpoints.location", "TIDEWHEEL_CHECKPOINTS", Kind::Text, "",
        "Where checkpoints are kept: a folder, s3://, gs:// or az://; empty: none are."),
    setting("checkpoints.pipeline", "TIDEWHEEL_PIPELINE", Kind::Text, "tidewheel",
        "The pipeline's name: of the processes with one name, one writes."),
    setting("checkpoints.interval", "TIDEWHEEL_CHECKPOINT_INTERVAL", Kind::Duration, "10 s",
        "From one checkpoint to the next."),
    setting("checkpoints.keep", "TIDEWHEEL_CHECKPOINTS_KEPT", Kind::Number, "3",
        "How many checkpoints are kept."),
    setting("auth.read-token-file", "TIDEWHEEL_READ_TOKEN_FILE", Kind::Text, "",
        "File with the token that may read. The token itself: TIDEWHEEL_READ_TOKEN."),
    setting("auth.write-token-file", "TIDEWHEEL_WRITE_TOKEN_FILE", Kind::Text, "",
        "File with the token that may change queries too. The token itself: TIDEWHEEL_WRITE_TOKEN."),
    setting("cors.origins", "TIDEWHEEL_CORS_ORIGINS", Kind::List, "",
        "Origins whose pages may call the API, such as https://shop.example; none by default."),
    setting("allow.hosts", "TIDEWHEEL_ALLOW_HOSTS", Kind::List, "",
        "Hosts that SQL from the API may reach; * for all. Default: all on loopback, elsewhere those of the folder's files."),
    setting("allow.paths", "TIDEWHEEL_ALLOW_PATHS", Kind::List, "",
        "Files and folders that SQL from the API may reach; * for all. Default as for hosts."),
    setting("allow.environment", "TIDEWHEEL_ALLOW_ENVIRONMENT", Kind::List, "",
        "Variables that ${NAME} in SQL from the API may name; * for all. Default as for hosts."),
    setting("limits.request-bytes", "TIDEWHEEL_REQUEST_BYTES", Kind::Bytes, "1 mb",
        "The largest body of a request."),
    setting("limits.request-time", "TIDEWHEEL_REQUEST_TIME", Kind::Duration, "30 s",
        "The longest a request may take; streams are not counted."),
    setting("limits.requests", "TIDEWHEEL_REQUESTS", Kind::Number, "256",
        "Requests answered at the same time; more are told to come back."),
    setting("limits.listeners", "TIDEWHEEL_LISTENERS", Kind::Number, "64",
        "Streams of changes and previews at the same time."),
    setting("limits.previews", "TIDEWHEEL_PREVIEWS", Kind::Number, "4",
        "Previews at the same time."),
    setting("limits.preview-time", "TIDEWHEEL_PREVIEW_TIME", Kind::Duration, "5 min",
        "The longest a preview runs."),
    setting("limits.preview-rows", "TIDEWHEEL_PREVIEW_ROWS", Kind::Number, "10000",
        "The most rows a preview sends."),
    setting("limits.preview-memory", "TIDEWHEEL_PREVIEW_MEMORY", Kind::Bytes, "512 mb",
        "State at which a preview is ended."),
    setting("limits.keys", "TIDEWHEEL_KEYS", Kind::Number, "1000",
        "The most keys whose features one request reads."),
    setting("limits.queries", "TIDEWHEEL_QUERIES", Kind::Number, "1000",
        "The most files of a catalogue."),
    setting("metrics.features", "TIDEWHEEL_METRICS_FEATURES", Kind::List, "shop_now/now",
        "Features shown as metrics: TABLE/KEY, those columns that are numbers."),
    setting("collect.listen", "TIDEWHEEL_COLLECT_LISTEN", Kind::Text, "127.0.0.1:9090",
        "Address and port of the collector; port 0 takes a free one."),
    setting("collect.out", "TIDEWHEEL_COLLECT_OUT", Kind::Text, "",
        "Where events go: log:DIR, kafka:BROKERS/TOPIC, a file's path, or -."),
    setting("collect.format", "TIDEWHEEL_COLLECT_FORMAT", Kind::Word(&["json", "tsv", "both"]), "json",
        "What is written: topic JSON, enriched TSV, or both (TSV then goes to collect.tsv-out)."),
    setting("collect.tsv-out", "TIDEWHEEL_COLLECT_TSV_OUT", Kind::Text, "",
        "Where enriched TSV goes, with the format both."),
    setting("collect.bad", "TIDEWHEEL_COLLECT_BAD", Kind::Text, "",
        "Where bad rows go; without it they are counted and not kept."),
    setting("collect.geo", "TIDEWHEEL_COLLECT_GEO", Kind::Text, "",
        "A MaxMind database of cities or countries; without it addresses have no place."),
    setting("collect.paths", "TIDEWHEEL_COLLECT_PATHS", Kind::List, "",
        "Further paths VENDOR/VERSION that trackers may post to."),
    setting("collect.cors-origins", "TIDEWHEEL_COLLECT_CORS_ORIGINS", Kind::List, "",
        "Origins whose pages may send events; all by default."),
    setting("collect.internal-domains", "TIDEWHEEL_COLLECT_INTERNAL_DOMAINS", Kind::List, "",
        "Domains that are one's own: referrers from them are internal."),
    setting("collect.trust-proxy", "TIDEWHEEL_COLLECT_TRUST_PROXY", Kind::Flag, "false",
        "Believe X-Forwarded-For, X-Real-IP, Forwarded and X-Forwarded-Proto; only behind a proxy that sets them."),
    setting("collect.cookie", "TIDEWHEEL_COLLECT_COOKIE", Kind::Flag, "true",
        "Know a browser again by the cookie sp."),
    setting("collect.cookie-age", "TIDEWHEEL_COLLECT_COOKIE_AGE", Kind::Duration, "365 d",
        "How long the cookie is kept."),
    setting("collect.cookie-domain", "TIDEWHEEL_COLLECT_COOKIE_DOMAIN", Kind::Text, "",
        "The cookie's domain; default: the collector's host alone."),
    setting("collect.fsync", "TIDEWHEEL_COLLECT_FSYNC", Kind::Word(&["always", "interval", "never"]), "interval",
        "When a log counts an event as held: on the disk, or with the operating system."),
    setting("collect.kafka-properties", "TIDEWHEEL_COLLECT_KAFKA_PROPERTIES", Kind::List, "",
        "Properties of the Kafka client, such as security.protocol=sasl_ssl."),
    setting("collect.threads", "TIDEWHEEL_COLLECT_THREADS", Kind::Number, "",
        "Threads that answer; default: one a core, at most 4."),
    setting("collect.body-bytes", "TIDEWHEEL_COLLECT_BODY_BYTES", Kind::Bytes, "2 mb",
        "The largest body, packed or not; more is answered with 413."),
    setting("collect.payload-bytes", "TIDEWHEEL_COLLECT_PAYLOAD_BYTES", Kind::Bytes, "1 mb",
        "The largest payload that is read; more is a bad row."),
    setting("collect.record-bytes", "TIDEWHEEL_COLLECT_RECORD_BYTES", Kind::Bytes, "990000",
        "The largest record that is written; more is a bad row."),
    setting("collect.head-bytes", "TIDEWHEEL_COLLECT_HEAD_BYTES", Kind::Bytes, "64 kb",
        "The largest head of a request, query included; at least 8 kb."),
    setting("collect.connections", "TIDEWHEEL_COLLECT_CONNECTIONS", Kind::Number, "900",
        "Connections at the same time; more wait."),
    setting("collect.request-time", "TIDEWHEEL_COLLECT_REQUEST_TIME", Kind::Duration, "10 s",
        "The longest a body may take to come."),
    setting("collect.idle-time", "TIDEWHEEL_COLLECT_IDLE_TIME", Kind::Duration, "20 s",
        "The longest a connection may wait for its next request."),
    setting("collect.memory", "TIDEWHEEL_COLLECT_MEMORY", Kind::Bytes, "256 mb",
        "Memory for requests under way; where it is used up they are told to come back."),
    setting("page.links", "TIDEWHEEL_LINKS", Kind::List, "",
        "What the page at / links to: NAME=URL, such as Grafana=http://localhost:3001."),
    setting("log.format", "TIDEWHEEL_LOG_FORMAT", Kind::Word(&["auto", "human", "json"]), "auto",
        "auto: for people on a terminal, else JSON."),
    setting("log.level", "TIDEWHEEL_LOG", Kind::Text, "info",
        "error, warn, info, debug or trace; or directives by target, such as info,tower_http=debug."),
    setting("client.server", "TIDEWHEEL_SERVER", Kind::Text, "http://127.0.0.1:8080",
        "The server that queries, get and config of the client talk to. Its token: TIDEWHEEL_TOKEN."),
];

/// The section of `--set`: every name in it is `TABLE.OPTION`.
pub(crate) const SET_SECTION: &str = "set";

/// The variable with the read token.
pub(crate) const READ_TOKEN: &str = "TIDEWHEEL_READ_TOKEN";
/// The variable with the write token.
pub(crate) const WRITE_TOKEN: &str = "TIDEWHEEL_WRITE_TOKEN";
/// The variable with the token that the client sends.
pub(crate) const CLIENT_TOKEN: &str = "TIDEWHEEL_TOKEN";
/// The variable that names the file of settings.
pub(crate) const CONFIG_FILE: &str = "TIDEWHEEL_CONFIG";
/// The file of settings that is read where it stands in the working folder.
pub(crate) const CONFIG_DEFAULT: &str = "tidewheel.toml";

/// The setting of that name.
pub(crate) fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}
