//! The shopper features by brute force: for each key, filter all rows by the window that is
//! current at the end of the input, and count.
//!
//! It shares nothing with the engine: no code, no SQL, no clever data structure. It has no
//! country database, so a location is the browser's time zone.
//!
//! Arrival matters in three places only, and there the order of the lines given is the order of
//! arrival: of repeats the first stays; rows that are late for a session, a minute of the shop or
//! an inferred order are left out and counted. A test that changes the order should see to it
//! that [`Counts::late`] is 0.

mod row;
mod session;
#[cfg(test)]
mod tests;
mod text;
mod user;

use row::Row;
use session::{newest_session, session};
use std::collections::{BTreeMap, BTreeSet};
use user::{cart, categories, first_revenues, inferred_orders, orders, products, shopper};

/// Milliseconds since 1970 of a time as events carry it, such as `2025-03-26T10:57:56.7Z`.
#[must_use]
pub fn time_ms(text: &str) -> Option<i64> {
    row::time(text)
}

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

const WATERMARK_DELAY: i64 = 5 * SECOND;
const SESSION_GAP: i64 = 30 * MINUTE;
const LAST_SEEN: i64 = 30 * DAY;
const TRENDING: usize = 10;

/// Slide and size of the windows by name.
const WINDOWS: [(&str, i64, i64); 3] = [
    ("5m", 30 * SECOND, 5 * MINUTE),
    ("1h", MINUTE, HOUR),
    ("24h", MINUTE, 24 * HOUR),
];

/// A record: partition, offset, bytes.
pub type Line<'a> = (u32, u64, &'a [u8]);

/// Where orders come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Orders {
    /// From `transaction` events.
    #[default]
    Transactions,
    /// By inference from carts and checkout steps.
    Checkout,
}

/// What the sources' options say.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Rows later than this (ms since the epoch) are future rows: the wall clock when they were
    /// read, plus what it may be exceeded by. `None` accepts every time.
    pub latest: Option<i64>,
    /// `dedup.window`, ms; `None` keeps repeats.
    pub dedup_window: Option<i64>,
    /// Longer lines are bad rows.
    pub line_bytes_max: usize,
    /// Where orders come from.
    pub orders: Orders,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            latest: None,
            dedup_window: Some(10 * MINUTE),
            line_bytes_max: usize::MAX,
            orders: Orders::Transactions,
        }
    }
}

/// What a Redis key holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A string.
    String(String),
    /// A hash.
    Hash(BTreeMap<String, String>),
    /// A sorted set: member and score, the highest first, equal ones by the members' bytes.
    SortedSet(Vec<(String, f64)>),
}

/// What became of the lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines that are not blank.
    pub lines: usize,
    /// Lines that are no row, future rows included.
    pub bad: usize,
    /// Of them, those ahead of [`Settings::latest`].
    pub future: usize,
    /// Rows whose id came before.
    pub repeats: usize,
    /// Rows without a user.
    pub without_user: usize,
    /// Rows late for a session, for a minute of the shop or for an inferred order, each counted
    /// once for each of the three.
    pub late: usize,
}

/// What must stand at the end of the input.
#[derive(Debug, Clone, Default)]
pub struct Features {
    /// By Redis key.
    pub values: BTreeMap<String, Value>,
    /// What became of the lines.
    pub counts: Counts,
    /// The highest event time; `None` without a row.
    pub frontier: Option<i64>,
}

/// Computes all features over lines in the order of their arrival.
#[must_use]
pub fn features(lines: &[Line<'_>], settings: &Settings) -> Features {
    let mut out = Features::default();
    let rows = accept(lines, settings, &mut out);
    let Some(frontier) = out.frontier else {
        return out;
    };

    let mut by_user = BTreeMap::<String, Vec<&Row>>::new();
    let mut by_session = BTreeMap::<String, Vec<&Row>>::new();
    for row in &rows {
        match &row.user {
            Some(user) => by_user.entry(user.clone()).or_default().push(row),
            None => out.counts.without_user += 1,
        }
        let makes_session = row.is(&[
            "page_view",
            "product_view",
            "add_to_cart",
            "remove_from_cart",
        ]);
        if let (Some(session), true) = (&row.session, makes_session) {
            by_session.entry(session.clone()).or_default().push(row);
        }
    }
    for (user, rows) in &by_user {
        let mut put = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                out.values
                    .insert(format!("user:{user}:{name}"), Value::String(value));
            }
        };
        for (w, slide, size) in WINDOWS {
            let rows = in_order(current(rows, frontier, slide, size));
            if w != "24h" {
                products(&rows, w, &mut put);
                cart(&rows, w, &mut put);
            }
            categories(&rows, w, &mut put);
            shopper(&rows, w, &mut put);
            if w == "24h" && settings.orders == Orders::Transactions {
                orders(&first_revenues(&rows), &mut put);
            }
        }
        if let Some(newest) = rows.iter().map(|row| row.time).max()
            && frontier - newest < LAST_SEEN
        {
            put("last_seen", Some(text::time(newest)));
        }
    }
    if settings.orders == Orders::Checkout {
        for (user, rows) in &by_user {
            let (_, slide, size) = WINDOWS[2];
            let (low, high) = current_window(frontier, slide, size);
            let mut amounts = inferred_orders(rows, &mut out.counts);
            amounts.retain(|(time, _)| (low..high).contains(time));
            let amounts: Vec<f64> = amounts.into_iter().map(|(_, amount)| amount).collect();
            orders(&amounts, |name, value| {
                if let Some(value) = value {
                    out.values
                        .insert(format!("user:{user}:{name}"), Value::String(value));
                }
            });
        }
    }
    for (id, rows) in &by_session {
        session(id, &newest_session(rows, &mut out.counts), &mut out.values);
    }
    shop(&rows, frontier, &mut out);
    out
}

/// Drops what means the same as an absent key: zeros, empty maps and lists. What a session holds
/// stays as it is, for a session keeps its values.
#[must_use]
pub fn normalise(values: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let zero = |text: &str| matches!(text, "0" | "0.0" | "{}" | "[]" | "0.0-0.0");
    values
        .into_iter()
        .filter_map(|(key, value)| {
            if key.starts_with("session:") {
                return Some((key, value));
            }
            let kept = match value {
                Value::String(text) if zero(&text) => None,
                Value::Hash(mut fields) => {
                    fields.retain(|_, text| !zero(text));
                    (!fields.is_empty()).then_some(Value::Hash(fields))
                }
                Value::SortedSet(members) if members.is_empty() => None,
                other => Some(other),
            };
            Some((key, kept?))
        })
        .collect()
}

/// Reads the lines, leaves out bad rows and repeats, and notes the watermark before each row.
fn accept(lines: &[Line<'_>], settings: &Settings, out: &mut Features) -> Vec<Row> {
    let mut newest: BTreeMap<u32, Option<i64>> = lines
        .iter()
        .map(|(partition, _, _)| (*partition, None))
        .collect();
    let mut remembered = BTreeMap::<String, i64>::new();
    let mut rows = Vec::new();
    for (partition, offset, line) in lines {
        if line.trim_ascii().is_empty() {
            continue;
        }
        out.counts.lines += 1;
        let read = if line.len() > settings.line_bytes_max {
            None
        } else {
            Row::read(*partition, *offset, line)
        };
        let Some(mut row) = read else {
            out.counts.bad += 1;
            continue;
        };
        if settings.latest.is_some_and(|latest| row.time > latest) {
            out.counts.bad += 1;
            out.counts.future += 1;
            continue;
        }
        // The lowest over all partitions; none before each of them had a row.
        let lowest = newest.values().copied().collect::<Option<Vec<i64>>>();
        row.watermark = lowest
            .and_then(|times| times.into_iter().min())
            .map(|time| time - WATERMARK_DELAY);
        newest.insert(
            *partition,
            newest.get(partition).copied().flatten().max(Some(row.time)),
        );
        out.frontier = out.frontier.max(Some(row.time));

        if let (Some(window), Some(id)) = (settings.dedup_window, &row.id) {
            let known = remembered.get(id).is_some_and(|time| {
                row.watermark
                    .is_none_or(|watermark| watermark <= time + window)
            });
            if known {
                out.counts.repeats += 1;
                continue;
            }
            remembered.insert(id.clone(), row.time);
        }
        rows.push(row);
    }
    rows
}

/// Of the windows that hold the frontier, the one that ends first: its start and end.
fn current_window(frontier: i64, slide: i64, size: i64) -> (i64, i64) {
    let mut end = (frontier - size).div_euclid(slide) * slide + size;
    while end <= frontier {
        end += slide;
    }
    (end - size, end)
}

fn current<'a>(rows: &[&'a Row], frontier: i64, slide: i64, size: i64) -> Vec<&'a Row> {
    let (low, high) = current_window(frontier, slide, size);
    rows.iter()
        .copied()
        .filter(|row| (low..high).contains(&row.time))
        .collect()
}

fn in_order(mut rows: Vec<&Row>) -> Vec<&Row> {
    rows.sort_by_key(|row| row.place());
    rows
}

fn of_types<'a>(rows: &[&'a Row], types: &[&str]) -> Vec<&'a Row> {
    rows.iter().copied().filter(|row| row.is(types)).collect()
}

fn shop(rows: &[Row], frontier: i64, out: &mut Features) {
    let mut minutes = BTreeMap::<i64, Vec<&Row>>::new();
    for row in rows {
        let start = row.time.div_euclid(MINUTE) * MINUTE;
        if row
            .watermark
            .is_some_and(|watermark| watermark >= start + MINUTE - 1)
        {
            out.counts.late += 1;
        } else {
            minutes.entry(start).or_default().push(row);
        }
    }
    for (start, rows) in minutes {
        out.values
            .insert(format!("shop:{}", text::time(start)), activity(rows));
    }
    let rows: Vec<&Row> = rows.iter().collect();
    let now = current(&rows, frontier, MINUTE, MINUTE);
    out.values.insert("shop:now".to_owned(), activity(now));

    let (_, slide, size) = WINDOWS[0];
    let views = of_types(&current(&rows, frontier, slide, size), &["product_view"]);
    let mut counts = BTreeMap::<String, usize>::new();
    for product in views.iter().filter_map(|row| row.product.clone()) {
        *counts.entry(product).or_default() += 1;
    }
    let mut ranked: Vec<(String, f64)> = counts
        .into_iter()
        .map(|(product, count)| (product, count as f64))
        .collect();
    // The map was in the order of bytes, and this sort keeps it among equals.
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked.truncate(TRENDING);
    out.values
        .insert("shop:trending".to_owned(), Value::SortedSet(ranked));
}

fn activity(rows: Vec<&Row>) -> Value {
    let rows = in_order(rows);
    let visitors: BTreeSet<&String> = rows.iter().filter_map(|row| row.user.as_ref()).collect();
    let revenues = first_revenues(&rows);
    let fields = [
        ("events", rows.len().to_string()),
        ("visitors", visitors.len().to_string()),
        (
            "views",
            of_types(&rows, &["product_view"]).len().to_string(),
        ),
        ("adds", of_types(&rows, &["add_to_cart"]).len().to_string()),
        ("orders", revenues.len().to_string()),
        ("revenue", text::double(text::sum(&revenues))),
    ];
    Value::Hash(
        fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}

fn distinct_list(values: &[&String]) -> String {
    let mut list: Vec<&String> = Vec::new();
    for value in values {
        if !list.contains(value) {
            list.push(value);
        }
    }
    json(&list)
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
