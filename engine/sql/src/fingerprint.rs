//! Fingerprints: whether a query, or a table, is still the one that state was kept for.
//!
//! A fingerprint is xxh3 (64 bits) of a text: each part with its length, so that no two lists of
//! parts give one text. Statements count by their tokens: white space and comments do not.

use crate::catalog::{Catalog, Table};
use crate::parser::Insert;
use crate::parser::query::SelectText;
use crate::settings::Settings;
use sqlparser::ast::{self, ObjectName, TableFactor, Visit, Visitor};
use sqlparser::tokenizer::Token;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::ops::ControlFlow;
use tidewheel_core::{Options, Registry};
use xxhash_rust::xxh3::xxh3_64;

/// Options on which no result depends: how to go on after a fault, how long to wait, how much at a
/// time, how long partitions may keep one another waiting. Whoever changes one wants to keep the state.
const NOT_COUNTED: [&str; 15] = [
    "scan.on-reset",
    "scan.reset-check.interval",
    "scan.topic-partition-discovery.interval",
    "scan.topic-missing-timeout",
    "scan.watermark.idle-timeout",
    "scan.watermark.alignment.max-drift",
    "connect.timeout",
    "response.timeout",
    "batch.max-bytes",
    "tls.ca-file",
    "tls.insecure",
    "fsync",
    "segment.bytes",
    "retention.bytes",
    "retention.ms",
];

/// Whether an option counts. Of the properties of a Kafka client few do. Brokers come and go, and other
/// ones with a topic of the same name are told by the records before the saved places; but a table that is
/// written may be a new one there. A group counts where it says how far is read.
fn counts(name: &str, options: &Options, is_written: bool) -> bool {
    match name.strip_prefix("properties.") {
        Some("isolation.level") => true,
        Some("bootstrap.servers") => is_written,
        Some("group.id") => options.get("scan.bounded.mode") == Some("group-offsets"),
        Some(_) => false,
        None => !NOT_COUNTED.contains(&name),
    }
}

/// Changed when the same text comes to mean something else.
const VERSION: &str = "1";

/// The fingerprint of a query: its statement, every table and view that it uses directly or
/// through views with their effective options, and the settings in force.
pub(crate) fn of_query(
    insert: &Insert,
    settings: Settings,
    catalog: &Catalog,
    registry: &Registry,
) -> u64 {
    let mut text = Text::new("query");
    text.tokens(&insert.shape);
    let ttl = settings.state_ttl.map(|ttl| ttl.as_micros().to_string());
    text.part(&ttl.unwrap_or_default());
    let list_cap = settings.list_cap.map(|cap| cap.to_string());
    text.part(&list_cap.unwrap_or_default());
    for name in used(insert, catalog) {
        if let Some(table) = catalog.tables.get(&name) {
            text.table(table, registry, name == insert.table.value);
        } else if let Some(view) = catalog.views.get(&name) {
            text.part("view");
            text.tokens(&view.shape);
        }
    }
    text.hash()
}

/// The fingerprint of a table: its CREATE TABLE and its effective options.
pub(crate) fn of_table(table: &Table, registry: &Registry) -> u64 {
    let mut text = Text::new("source");
    text.table(table, registry, false);
    text.hash()
}

/// The tables and views that a query names, directly or through views. A WITH name that is also
/// a table's counts as the table: one too many only makes state unusable once more.
fn used(insert: &Insert, catalog: &Catalog) -> BTreeSet<String> {
    let mut found = BTreeSet::from([insert.table.value.clone()]);
    let mut open = relations(&insert.select);
    while let Some(name) = open.pop() {
        let known = catalog.tables.contains_key(&name) || catalog.views.contains_key(&name);
        if known && found.insert(name.clone()) {
            let view = catalog.views.get(&name);
            open.extend(view.into_iter().flat_map(|view| relations(&view.select)));
        }
    }
    found
}

/// The relations that a SELECT names, those of window functions included.
pub(crate) fn relations(select: &SelectText) -> Vec<String> {
    struct Names(Vec<String>);
    impl Visitor for Names {
        type Break = ();
        fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<()> {
            let last = name.0.last().and_then(|part| part.as_ident());
            self.0
                .extend(last.map(|ident: &ast::Ident| ident.value.clone()));
            ControlFlow::Continue(())
        }
    }
    let mut names = Names(Vec::new());
    let _ = select.query.visit(&mut names);
    for window in &select.windows {
        let input: &TableFactor = &window.input;
        let _ = input.visit(&mut names);
    }
    names.0
}

/// A text under construction.
struct Text(String);

impl Text {
    fn new(kind: &str) -> Self {
        let mut text = Self(String::new());
        text.part(VERSION);
        text.part(kind);
        text
    }

    fn part(&mut self, part: &str) {
        // Writing into a String never fails.
        let _ = write!(self.0, "{}:{part};", part.len());
    }

    fn tokens(&mut self, tokens: &[Token]) {
        self.part(&tokens.len().to_string());
        for token in tokens {
            match token {
                // `a` and a are the same name.
                Token::Word(word) => self.part(&word.value),
                other => self.part(&other.to_string()),
            }
        }
    }

    /// The options stand for the WITH clause: they are what became of it.
    fn table(&mut self, table: &Table, registry: &Registry, is_written: bool) {
        self.part("table");
        let tokens = &table.def.shape;
        self.tokens(tokens.get(..table.def.options_at).unwrap_or(tokens));
        self.options(&table.spec.options, registry, is_written);
    }

    /// A secret's value is left out: results do not depend on it, and passwords change. Of a URL
    /// only what is before the @ is secret; where it leads counts.
    fn options(&mut self, options: &Options, registry: &Registry, is_written: bool) {
        let secret = registry
            .for_table(options)
            .map(|connector| connector.secret_options())
            .unwrap_or_default();
        for (name, value) in options
            .iter()
            .filter(|(name, _)| counts(name, options, is_written))
        {
            self.part(name);
            match (secret.contains(&name), value.split_once("://")) {
                (false, _) => self.part(value),
                (true, Some((scheme, rest))) => {
                    self.part(scheme);
                    self.part(rest.rsplit_once('@').map_or(rest, |(_, place)| place));
                }
                (true, None) => {}
            }
        }
    }

    fn hash(&self) -> u64 {
        xxh3_64(self.0.as_bytes())
    }
}
