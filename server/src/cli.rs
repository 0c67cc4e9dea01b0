//! The command line.

use crate::checkpoints::CheckpointArgs;
use crate::memory::MemoryArgs;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Live features from SQL: reads event streams, keeps features current in Redis.
#[derive(Debug, Parser)]
#[command(name = "tidewheel", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    /// Print results, errors and logs as JSON, for scripts.
    #[arg(long, global = true)]
    pub json: bool,
    /// No progress bar, no summary, no logs but errors.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// The file of settings; default: tidewheel.toml in the working folder, where it is.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the queries of SQL files or folders, until their inputs end or Ctrl-C.
    Run(RunArgs),
    /// Check SQL files or folders and print every error; touches no table.
    Check(QueryArgs),
    /// Print the streaming plan: what is read, what is shared, what is emitted when.
    Explain(QueryArgs),
    /// Write the events of simulated shoppers, the same for the same seed.
    Simulate(SimulateArgs),
    /// Show the features of an embedded store: one key, or all as they change.
    Features(FeaturesArgs),
    /// Serve a folder of queries: run them, and manage them over REST.
    Serve(ServeArgs),
    /// Collect events from Snowplow trackers over HTTP into a log or Kafka.
    Collect(CollectArgs),
    /// Manage the queries of a server.
    #[command(subcommand)]
    Queries(QueriesCommand),
    /// Read features by key from a server.
    Get(GetArgs),
    /// Run one SELECT over the tables of files or a folder and print its results.
    Sql(SqlArgs),
    /// Print the settings in force and where each comes from.
    Config(ConfigArgs),
    /// Show or remove the checkpoints of a pipeline.
    #[command(subcommand)]
    Checkpoints(CheckpointsCommand),
    /// Send bad or late rows back to where they came from, or elsewhere.
    Replay(ReplayArgs),
}

/// Which queries, and changes to their tables.
#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    /// SQL files, or folders of which every `*.sql` is read (subfolders are not).
    #[arg(default_value = "queries", value_name = "FILE|DIR")]
    pub paths: Vec<PathBuf>,
    /// Set an option of a table, for example `--set shopper_events.connector=file`. Options
    /// that only the old connector knows are then ignored.
    #[arg(long = "set", value_name = "TABLE.OPTION=VALUE")]
    pub sets: Vec<String>,
    /// Read every source table from here instead: `file:PATH`, `log:DIR`, or `kafka:BROKERS`.
    #[arg(long, value_name = "CONNECTOR:WHERE")]
    pub from: Option<String>,
    /// Write every sink table here instead: `file:DIR` (a file a table), `store:DIR`,
    /// `redis:URL`, `print:` or `blackhole:`.
    #[arg(long, value_name = "CONNECTOR:WHERE")]
    pub into: Option<String>,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Which queries.
    #[command(flatten)]
    pub queries: QueryArgs,
    /// Threads that hold state; default: one a core.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub shards: Option<u16>,
    /// Threads that decode; default: one a core.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub decoders: Option<u16>,
    /// How much memory may be used.
    #[command(flatten)]
    pub memory: MemoryArgs,
    /// Where checkpoints go.
    #[command(flatten)]
    pub checkpoints: CheckpointArgs,
}

/// The form of simulated lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ShapeArg {
    /// As the topic is written today.
    Today,
    /// As an older transformer wrote it: transactions carry no amounts.
    Older,
}

/// How simulated lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LineFormatArg {
    /// A JSON object each, as behind a transformer.
    Json,
    /// Snowplow's enriched TSV.
    Tsv,
}

/// Arguments of `simulate`.
#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// Where to: `-` (stdout), a file's path, `log:DIR`, or `kafka:BROKERS/TOPIC`.
    #[arg(long, short, default_value = "-", value_name = "WHERE")]
    pub out: String,
    /// How many lines; without it, for ever.
    #[arg(long, short = 'n', value_name = "N")]
    pub events: Option<u64>,
    /// Lines for each second of wall time; 0: as fast as it goes. With a rate, event time is
    /// the wall clock.
    #[arg(long, default_value_t = 0.0, value_name = "N")]
    pub rate: f64,
    /// Chooses among all possible runs.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// How many shoppers.
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    pub shoppers: u32,
    /// How many products.
    #[arg(long, default_value_t = 500, value_name = "N")]
    pub products: u32,
    /// Events for each second of event time; with --rate, that rate.
    #[arg(long, value_name = "N")]
    pub per_second: Option<f64>,
    /// Event time of the first event, milliseconds since 1970; with --rate, now.
    #[arg(long, value_name = "MS")]
    pub start: Option<i64>,
    /// The most milliseconds that events arrive after their time.
    #[arg(long, default_value_t = 0, value_name = "MS")]
    pub disorder: u32,
    /// Fraction of lines that repeat an earlier event.
    #[arg(long, default_value_t = 0.0, value_name = "0..1")]
    pub repeats: f64,
    /// Fraction of lines that come late.
    #[arg(long, default_value_t = 0.0, value_name = "0..1")]
    pub late: f64,
    /// Fraction of lines whose time lies far ahead.
    #[arg(long, default_value_t = 0.0, value_name = "0..1")]
    pub future: f64,
    /// Fraction of lines that are broken.
    #[arg(long, default_value_t = 0.0, value_name = "0..1")]
    pub broken: f64,
    /// Fraction of lines with a harmless inconsistency.
    #[arg(long, default_value_t = 0.01, value_name = "0..1")]
    pub untidy: f64,
    /// The form of the lines.
    #[arg(long, value_enum, default_value_t = ShapeArg::Today)]
    pub shape: ShapeArg,
    /// How lines are written.
    #[arg(long, value_enum, default_value_t = LineFormatArg::Json)]
    pub format: LineFormatArg,
    /// TSV without the entities that a tracker adds only on request: lines of about 1.5 KB.
    #[arg(long)]
    pub lean: bool,
}

/// Arguments of `features`.
#[derive(Debug, Args)]
pub(crate) struct FeaturesArgs {
    /// The embedded store's folder.
    #[arg(value_name = "DIR")]
    pub store: PathBuf,
    /// Only keys that begin so, for example `user:42:`.
    #[arg(default_value = "", value_name = "PREFIX")]
    pub prefix: String,
    /// Go on showing the features that change, until Ctrl-C.
    #[arg(long, short)]
    pub watch: bool,
    /// With --watch: stop after that many seconds.
    #[arg(long, value_name = "SECONDS")]
    pub seconds: Option<u64>,
    /// The most keys to show.
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    pub limit: usize,
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The folder of *.sql files; default: queries.
    #[arg(value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// Where the API listens; port 0 takes a free one. Default: 127.0.0.1:8080.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// The API changes no file: for folders under version control.
    #[arg(long)]
    pub read_only: bool,
    /// Allow an address that other machines reach without any token.
    #[arg(long)]
    pub insecure: bool,
    /// As for `run`.
    #[arg(long = "set", value_name = "TABLE.OPTION=VALUE")]
    pub sets: Vec<String>,
    /// As for `run`.
    #[arg(long, value_name = "CONNECTOR:WHERE")]
    pub from: Option<String>,
    /// As for `run`.
    #[arg(long, value_name = "CONNECTOR:WHERE")]
    pub into: Option<String>,
    /// Threads that hold state; default: one a core.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub shards: Option<u16>,
    /// Threads that decode; default: one a core.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub decoders: Option<u16>,
    /// How much memory may be used.
    #[command(flatten)]
    pub memory: MemoryArgs,
    /// Where checkpoints go.
    #[command(flatten)]
    pub checkpoints: CheckpointArgs,
}

/// Arguments of `collect`. Bounds are settings: see `config --example`.
#[derive(Debug, Args)]
pub(crate) struct CollectArgs {
    /// Where it listens; port 0 takes a free one. Default: 127.0.0.1:9090.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// Where events go: `log:DIR`, `kafka:BROKERS/TOPIC`, a file's path, or `-` (stdout).
    #[arg(long, short, value_name = "WHERE")]
    pub out: Option<String>,
    /// What is written: json (the topic's shape, default), tsv (as Snowplow's own topic), or both.
    #[arg(long, value_name = "json|tsv|both")]
    pub format: Option<String>,
    /// Where TSV goes with --format both; written as for --out.
    #[arg(long, value_name = "WHERE")]
    pub tsv_out: Option<String>,
    /// Where bad rows go; written as for --out. Without it they are counted and not kept.
    #[arg(long, value_name = "WHERE")]
    pub bad: Option<String>,
    /// A MaxMind database: where addresses are.
    #[arg(long, value_name = "FILE")]
    pub geo: Option<String>,
    /// A further path that trackers may post to, such as `com.shop/events`; can be repeated.
    #[arg(long = "path", value_name = "VENDOR/VERSION")]
    pub paths: Vec<String>,
    /// An origin whose pages may send events; can be repeated. Default: all.
    #[arg(long = "cors-origin", value_name = "ORIGIN")]
    pub origins: Vec<String>,
    /// A domain of one's own: referrers from it are internal; can be repeated.
    #[arg(long = "internal-domain", value_name = "DOMAIN")]
    pub internal_domains: Vec<String>,
    /// Believe what a proxy says of the visitor's address and scheme: only behind one.
    #[arg(long)]
    pub trust_proxy: bool,
    /// Set no cookie.
    #[arg(long)]
    pub no_cookie: bool,
    /// The cookie's domain; default: the collector's host alone.
    #[arg(long, value_name = "DOMAIN")]
    pub cookie_domain: Option<String>,
    /// When a log counts an event as held; default: interval.
    #[arg(long, value_name = "always|interval|never")]
    pub fsync: Option<String>,
    /// A property of the Kafka client, such as `security.protocol=sasl_ssl`; can be repeated.
    /// Secrets belong into TIDEWHEEL_COLLECT_KAFKA_PROPERTIES.
    #[arg(long = "kafka-property", value_name = "NAME=VALUE")]
    pub kafka_properties: Vec<String>,
    /// Threads that answer; default: one a core, at most 4.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
}

/// Which server.
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// The server; default: TIDEWHEEL_SERVER, or http://127.0.0.1:8080. Its token: TIDEWHEEL_TOKEN.
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
}

/// What to do with a server's queries.
#[derive(Debug, Subcommand)]
pub(crate) enum QueriesCommand {
    /// List all queries and how they run.
    List {
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Show one query: its state, errors and text.
    Show {
        /// Its name.
        name: String,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Add a query from a file, or replace the one of that name.
    Submit {
        /// The file; `-` for standard input.
        file: PathBuf,
        /// Its name; default: the file's without .sql.
        #[arg(long)]
        name: Option<String>,
        /// Replace a query that is there.
        #[arg(long)]
        replace: bool,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Check a file against the server's tables; changes nothing.
    Validate {
        /// The file; `-` for standard input.
        file: PathBuf,
        /// The name it would have; default: the file's without .sql.
        #[arg(long)]
        name: Option<String>,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Show the results of a SELECT as they come; writes nothing.
    Preview {
        /// The SELECT, or a file that holds it.
        select: String,
        /// How far back to begin, such as `10 min`; without it, now.
        #[arg(long, value_name = "DURATION")]
        last: Option<String>,
        /// Stop after that many seconds.
        #[arg(long, value_name = "SECONDS")]
        seconds: Option<u64>,
        /// Stop after that many rows.
        #[arg(long, value_name = "N")]
        rows: Option<u64>,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Stop writing a query's results; its state goes on.
    Pause {
        /// Its name.
        name: String,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Go on writing.
    Resume {
        /// Its name.
        name: String,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Remove a query and its file.
    Delete {
        /// Its name.
        name: String,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Show a query's changes as they are written, until Ctrl-C.
    Watch {
        /// Its name.
        name: String,
        /// Only rows with these values, such as `user_key=42`.
        #[arg(value_name = "COLUMN=VALUE")]
        only: Vec<String>,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// Arguments of `get`.
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// The table that a query writes; `-` for all tables with that key.
    pub table: String,
    /// The keys; the parts of a key are separated by commas.
    #[arg(required = true)]
    pub keys: Vec<String>,
    /// Which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Arguments of `sql`.
#[derive(Debug, Args)]
pub(crate) struct SqlArgs {
    /// The SELECT.
    pub select: String,
    /// SQL files or folders that declare the tables; default: queries, where it is.
    #[arg(long = "tables", value_name = "FILE|DIR")]
    pub paths: Vec<PathBuf>,
    /// As for `run`.
    #[arg(long = "set", value_name = "TABLE.OPTION=VALUE")]
    pub sets: Vec<String>,
    /// As for `run`; `file:-` reads standard input.
    #[arg(long, value_name = "CONNECTOR:WHERE")]
    pub from: Option<String>,
    /// Show changes as they come, until Ctrl-C. Without it the inputs must end, or are read to
    /// their present end.
    #[arg(long, short)]
    pub follow: bool,
    /// The most rows of the table; with --follow, stop after that many changes.
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    pub limit: usize,
}

/// Arguments of `config`.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// Print a file of settings with every default and what it means.
    #[arg(long)]
    pub example: bool,
}

/// Where checkpoints are.
#[derive(Debug, Args)]
pub(crate) struct CheckpointsPlace {
    /// A folder, `s3://bucket/prefix`, `gs://…` or `az://…`.
    /// Default: `checkpoints.location` of the settings.
    #[arg(long = "checkpoints", value_name = "WHERE")]
    pub location: Option<String>,
    /// The name of the pipeline; default: `checkpoints.pipeline` of the settings.
    #[arg(long, value_name = "NAME")]
    pub pipeline: Option<String>,
}

/// What to do with checkpoints.
#[derive(Debug, Subcommand)]
pub(crate) enum CheckpointsCommand {
    /// List them, oldest first.
    List {
        /// Where.
        #[command(flatten)]
        place: CheckpointsPlace,
    },
    /// Read one whole and show what is in it; exit code 1 where it cannot be used.
    Inspect {
        /// Its name, such as 3-17.
        name: String,
        /// Where.
        #[command(flatten)]
        place: CheckpointsPlace,
    },
    /// Remove some.
    Rm {
        /// Their names.
        #[arg(required = true)]
        names: Vec<String>,
        /// Where.
        #[command(flatten)]
        place: CheckpointsPlace,
    },
}

/// Arguments of `replay`.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The table of bad or late rows: a file of JSON lines, `log:DIR`, or `kafka:BROKERS/TOPIC`. It
    /// is read to its present end.
    #[arg(value_name = "FROM")]
    pub from: String,
    /// Where their records go: `log:DIR`, `kafka:BROKERS/TOPIC` or a file that is appended to.
    /// `log:` and `kafka:BROKERS` without a name send each to the topic it came from.
    #[arg(long, value_name = "WHERE")]
    pub into: String,
    /// Only rows whose reason holds this text; may be given several times.
    #[arg(long, value_name = "TEXT")]
    pub reason: Vec<String>,
    /// Only rows that came from this topic, log or file; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub topic: Vec<String>,
    /// Only rows with an event time from this one on, such as `2026-01-31 12:00:00` (UTC).
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// At most so many records.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Count what would be sent, by topic and reason; send nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Send also what was sent before.
    #[arg(long)]
    pub again: bool,
    /// The file that notes what was sent; default: `.tidewheel/replay` in the working folder.
    #[arg(long, value_name = "FILE")]
    pub notes: Option<PathBuf>,
}
