//! The options of a Redis table, read and checked.

use super::template::Template;
use arrow::datatypes::DataType;
use redis::{ConnectionInfo, IntoConnectionInfo};
use std::time::Duration;
use tidewheel_core::{ConnectorError, TableSpec};

/// The options that a Redis table knows.
pub(crate) const OPTIONS: &[&str] = &[
    "url",
    "username",
    "password",
    "layout",
    "key",
    "member",
    "score",
    "ttl",
    "on-empty",
    "batch.max-bytes",
    "connect.timeout",
    "response.timeout",
    "tls.ca-file",
    "tls.insecure",
];

/// Where the server is, unless `url` says.
const URL_DEFAULT: &str = "redis://localhost:6379";
/// Bytes of commands sent before their replies are read, unless `batch.max-bytes` says.
pub(crate) const BATCH_BYTES_DEFAULT: u64 = 4 * 1024 * 1024;
/// Least value of `batch.max-bytes`.
const BATCH_BYTES_MIN: u64 = 1024;
/// Most bytes of `batch.max-bytes`: Redis closes a connection whose commands wait with more than
/// 1 GiB (`client-query-buffer-limit`).
const BATCH_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Time to connect and log in, unless `connect.timeout` says.
const CONNECT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
/// Time to wait for a reply, unless `response.timeout` says.
const RESPONSE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// Most value columns of a hash: a script's arguments are spread over the Lua stack, which holds
/// about 8,000.
pub(crate) const HASH_COLUMNS_MAX: usize = 2_000;

/// How rows stand in Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One key a value column.
    String,
    /// One hash a row, a field a value column.
    Hash,
    /// One key a row with a JSON object of the value columns.
    Json,
    /// One member a row; indices of the member's and the score's columns in the schema.
    SortedSet {
        /// The column whose text is the member.
        member: usize,
        /// The column whose number is the score.
        score: usize,
    },
}

/// A Redis table's options.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Where and as whom to connect.
    pub(crate) connection: ConnectionInfo,
    /// How rows stand in Redis.
    pub(crate) layout: Layout,
    /// The template of keys, over the schema's columns.
    pub(crate) template: Template,
    /// Milliseconds that a value outlives its window; `None` never expires.
    pub(crate) ttl_ms: Option<i64>,
    /// Bytes of commands sent before their replies are read.
    pub(crate) batch_bytes: usize,
    /// Time to connect and log in.
    pub(crate) connect_timeout: Duration,
    /// Time to wait for a reply.
    pub(crate) response_timeout: Duration,
    /// A file of certificates to trust in place of the system's.
    pub(crate) ca_file: Option<String>,
}

impl Config {
    /// Reads a table's options.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub(crate) fn parse(table: &TableSpec) -> Result<Self, ConnectorError> {
        let options = &table.options;
        if table.is_append_only() {
            return Err(ConnectorError::new(format!(
                "the table '{}' has no PRIMARY KEY, so its rows have no keys in Redis; \
                 add PRIMARY KEY (…) NOT ENFORCED",
                table.name
            )));
        }
        options.word("on-empty", &["delete", "zero", "keep"], "delete")?;
        let layout = layout(table)?;
        let template = template(table, layout)?;
        let batch_bytes = options
            .bytes("batch.max-bytes")?
            .unwrap_or(BATCH_BYTES_DEFAULT);
        if !(BATCH_BYTES_MIN..=BATCH_BYTES_MAX).contains(&batch_bytes) {
            return Err(ConnectorError::option(
                "batch.max-bytes",
                "the value is out of range; write '1 kb' to '512 mb'",
            ));
        }
        Ok(Self {
            connection: connection(table)?,
            layout,
            template,
            ttl_ms: ttl_ms(table)?,
            batch_bytes: batch_bytes as usize,
            connect_timeout: timeout(table, "connect.timeout", CONNECT_TIMEOUT_DEFAULT)?,
            response_timeout: timeout(table, "response.timeout", RESPONSE_TIMEOUT_DEFAULT)?,
            ca_file: options.get("tls.ca-file").map(str::to_owned),
        })
    }
}

fn timeout(table: &TableSpec, name: &str, default: Duration) -> Result<Duration, ConnectorError> {
    match table.options.duration(name)? {
        Some(Duration::ZERO) => Err(ConnectorError::option(
            name,
            "the value is zero; write a duration such as '10 s'",
        )),
        value => Ok(value.unwrap_or(default)),
    }
}

fn ttl_ms(table: &TableSpec) -> Result<Option<i64>, ConnectorError> {
    let Some(ttl) = table.options.duration("ttl")? else {
        return Ok(None);
    };
    let ms = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
    if ms == 0 {
        return Err(ConnectorError::option(
            "ttl",
            "the value is below a millisecond; leave the option out for values that stay",
        ));
    }
    Ok(Some(ms))
}

fn connection(table: &TableSpec) -> Result<ConnectionInfo, ConnectorError> {
    let options = &table.options;
    // The message must not show the value: it may hold a password.
    let mut info = options
        .get_or("url", URL_DEFAULT)
        .into_connection_info()
        .map_err(|error| {
            ConnectorError::option(
                "url",
                format!(
                    "the value cannot be read ({}); write redis://user:password@host:6379/0, \
                 rediss://… for TLS, or unix:///path/to/socket",
                    error.detail().unwrap_or(error.category())
                ),
            )
        })?;
    let mut login = info.redis_settings().clone();
    if let Some(user) = options.get("username") {
        login = login.set_username(user);
    }
    if let Some(password) = options.get("password") {
        login = login.set_password(password);
    }
    if login.username().is_some() && login.password().is_none() {
        return Err(ConnectorError::option(
            "password",
            "a user name is given without a password; set the option 'password'",
        ));
    }
    // The last, partly filled packet of a batch must not wait for an acknowledgement.
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    let insecure = options.boolean("tls.insecure")?.unwrap_or(false);
    if let redis::ConnectionAddr::TcpTls { host, port, .. } = info.addr()
        && insecure
    {
        let (host, port) = (host.clone(), *port);
        info = info.set_addr(redis::ConnectionAddr::TcpTls {
            host,
            port,
            insecure: true,
            tls_params: None,
        });
    } else if !matches!(info.addr(), redis::ConnectionAddr::TcpTls { .. }) {
        for option in ["tls.ca-file", "tls.insecure"] {
            if options.get(option).is_some() {
                return Err(ConnectorError::option(
                    option,
                    "the option needs TLS; let 'url' begin with rediss://",
                ));
            }
        }
    }
    Ok(info.set_tcp_settings(tcp).set_redis_settings(login))
}

fn layout(table: &TableSpec) -> Result<Layout, ConnectorError> {
    let words = ["string", "hash", "json", "sorted-set"];
    let layout = match table.options.word("layout", &words, "string")? {
        "hash" => Layout::Hash,
        "json" => Layout::Json,
        "sorted-set" => sorted_set(table)?,
        _ => Layout::String,
    };
    if !matches!(layout, Layout::SortedSet { .. }) {
        for option in ["member", "score"] {
            if table.options.get(option).is_some() {
                return Err(ConnectorError::option(
                    option,
                    "the option belongs to 'layout' = 'sorted-set'; remove it or set the layout",
                ));
            }
        }
        let values = table.schema.fields().len() - table.primary_key.len();
        if values == 0 {
            return Err(ConnectorError::new(format!(
                "the table '{}' has only PRIMARY KEY columns; add a value column, \
                 or use 'layout' = 'sorted-set'",
                table.name
            )));
        }
        if layout == Layout::Hash && values > HASH_COLUMNS_MAX {
            return Err(ConnectorError::new(format!(
                "the table '{}' has {values} value columns, a hash takes {HASH_COLUMNS_MAX}; \
                 use 'layout' = 'json'",
                table.name
            )));
        }
    }
    Ok(layout)
}

fn sorted_set(table: &TableSpec) -> Result<Layout, ConnectorError> {
    let column = |option: &str| {
        let name = table.options.get(option).ok_or_else(|| {
            ConnectorError::new(format!(
                "'layout' = 'sorted-set' needs the option '{option}': the name of a column"
            ))
        })?;
        table.schema.index_of(name).map_err(|_| {
            let known: Vec<&str> = table
                .schema
                .fields()
                .iter()
                .map(|field| field.name().as_str())
                .collect();
            ConnectorError::option(
                option,
                format!(
                    "there is no column '{name}'; write one of {}",
                    known.join(", ")
                ),
            )
        })
    };
    let (member, score) = (column("member")?, column("score")?);
    if !table.primary_key.contains(&member) {
        return Err(ConnectorError::option(
            "member",
            format!(
                "the column '{}' must be in the PRIMARY KEY: a member stands once in its set",
                table.schema.field(member).name()
            ),
        ));
    }
    let score_type = table.schema.field(score).data_type();
    if !score_type.is_numeric() || table.primary_key.contains(&score) {
        return Err(ConnectorError::option(
            "score",
            format!(
                "the column '{}' ({score_type}) cannot be a score; \
                 name a number that is not in the PRIMARY KEY",
                table.schema.field(score).name()
            ),
        ));
    }
    if table.schema.fields().len() > table.primary_key.len() + 1 {
        return Err(ConnectorError::new(format!(
            "a sorted set holds a member and a score only; remove the other value columns of '{}'",
            table.name
        )));
    }
    Ok(Layout::SortedSet { member, score })
}

fn template(table: &TableSpec, layout: Layout) -> Result<Template, ConnectorError> {
    let member = match layout {
        Layout::SortedSet { member, .. } => Some(member),
        _ => None,
    };
    let keys: Vec<(&str, usize)> = table
        .primary_key
        .iter()
        .filter(|index| Some(**index) != member)
        .map(|index| (table.schema.field(*index).name().as_str(), *index))
        .collect();
    for (name, index) in &keys {
        if matches!(
            table.schema.field(*index).data_type(),
            DataType::List(_) | DataType::Map(..) | DataType::Struct(_)
        ) {
            return Err(ConnectorError::new(format!(
                "the PRIMARY KEY column '{name}' is no plain value; use a text, number or time"
            )));
        }
    }
    let text = table.options.get("key").ok_or_else(|| {
        ConnectorError::new(format!(
            "the option 'key' is missing; write a template such as '{}:{{{}}}'",
            table.name,
            keys.first().map_or("column", |(name, _)| name)
        ))
    })?;
    let wrong = |message: String| Err(ConnectorError::option("key", message));
    let template = match Template::parse(text, &keys) {
        Ok(template) => template,
        Err(message) => return wrong(message),
    };
    let missing = keys.iter().find(|(_, index)| !template.has_key(*index));
    if let Some((name, _)) = missing
        && !template.is_constant()
    {
        return wrong(format!(
            "the PRIMARY KEY column '{name}' is not in '{text}', so rows would overwrite one \
             another; add {{{name}}}"
        ));
    }
    let values = table.schema.fields().len() - table.primary_key.len();
    if layout == Layout::String && values > 1 && !template.has_column() {
        return wrong(format!(
            "'{text}' gives all {values} value columns the same key; add {{column}}, \
             or use 'layout' = 'hash'"
        ));
    }
    if layout != Layout::String && template.has_column() {
        return wrong(format!(
            "{{column}} in '{text}' belongs to 'layout' = 'string'; remove it, \
             or write '{{{{column}}}}' for the text"
        ));
    }
    Ok(template)
}
