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
