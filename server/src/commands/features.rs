//! `tidewheel features`: what an embedded store holds, and how it changes.

use crate::cli::FeaturesArgs;
use crate::error::CliError;
use crate::progress::count;
use crate::signal::Stop;
use crossterm::style::Stylize;
use crossterm::{cursor, execute, terminal};
use std::collections::{BTreeMap, VecDeque};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tidewheel_connectors::store::{Entry, StoreReader, Value};

/// How often the store is looked at.
const REFRESH: Duration = Duration::from_millis(100);
/// How long to wait for a store that is not there yet.
const STORE_WAIT: Duration = Duration::from_secs(30);
/// Shoppers on the screen.
const SHOPPERS_SHOWN: usize = 4;

/// Prints, or watches.
pub(crate) fn features(args: &FeaturesArgs, json: bool) -> Result<(), CliError> {
    if args.watch {
        return watch(args, json);
    }
    let store = StoreReader::open(&args.store).map_err(|error| no_store(args, &error))?;
    let mut shown = 0;
    for (key, entry) in store.scan_prefix(&args.prefix, wall_ms()).take(args.limit) {
        print_entry(key, &entry.value, json);
        shown += 1;
    }
    if shown == 0 && !json {
        eprintln!("no key begins with '{}'", args.prefix);
    }
    Ok(())
}

fn no_store(args: &FeaturesArgs, error: &dyn std::fmt::Display) -> CliError {
    CliError::Other(format!(
        "{error}; {} is to be a store's folder: make one with tidewheel run --into store:DIR",
        args.store.display()
    ))
}

fn wall_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |passed| {
            i64::try_from(passed.as_millis()).unwrap_or(i64::MAX)
        })
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Hash(fields) => fields
            .iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect::<Vec<_>>()
            .join(", "),
        Value::Sorted(_) => value
            .by_score()
            .iter()
            .map(|(member, score)| format!("{member} {score}"))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// Prints a key and what it holds. A reader that went away (a pipe to `head`) ends the program.
fn print_entry(key: &str, value: &Value, json: bool) {
    let line = if json {
        let value = match value {
            Value::Text(text) => serde_json::json!(text),
            Value::Hash(fields) => serde_json::json!(fields),
            Value::Sorted(_) => serde_json::json!(value.by_score()),
        };
        serde_json::json!({ "key": key, "value": value }).to_string()
    } else {
        format!("{key} = {}", text(value))
    };
    if writeln!(std::io::stdout(), "{line}").is_err() {
        std::process::exit(0);
    }
}

/// What is on the screen.
struct Screen {
    known: BTreeMap<String, Value>,
    /// Shoppers by last change, newest first.
    recent: VecDeque<String>,
    /// When each key on the screen changed last.
    changed_at: BTreeMap<String, Instant>,
    changes: u64,
    rate: f64,
    since: (Instant, u64),
}

fn watch(args: &FeaturesArgs, json: bool) -> Result<(), CliError> {
    let stop = Stop::listen();
    let begin = Instant::now();
    let mut store = loop {
        match StoreReader::open(&args.store) {
            Ok(store) => break store,
            Err(error) if begin.elapsed() > STORE_WAIT || stop.count() > 0 => {
                return Err(no_store(args, &error));
            }
            Err(_) => std::thread::sleep(REFRESH),
        }
    };
    let live = std::io::stdout().is_terminal() && !json;
    let failed = || CliError::io("cannot draw on the terminal");
    if live {
        execute!(
            std::io::stdout(),
            terminal::EnterAlternateScreen,
            cursor::Hide
        )
        .map_err(failed())?;
    }
    let now = Instant::now();
    let mut screen = Screen {
        known: BTreeMap::new(),
        recent: VecDeque::new(),
        changed_at: BTreeMap::new(),
        changes: 0,
        rate: 0.0,
        since: (now, 0),
    };
    let mut result = Ok(());
    let mut first = true;
    while stop.count() == 0
        && args
            .seconds
            .is_none_or(|seconds| begin.elapsed() < Duration::from_secs(seconds))
    {
        match store.refresh() {
            Err(error) => {
                result = Err(CliError::Other(error.to_string()));
                break;
            }
            Ok(changed) => {
                if changed || first {
                    let entries = store.scan_prefix(&args.prefix, wall_ms());
                    screen.update(entries, |key, value| {
                        if !live {
                            print_entry(key, value, json);
                        }
                    });
                }
                first = false;
                if live && let Err(error) = screen.draw(&args.store.display().to_string()) {
                    result = Err(failed()(error));
                    break;
                }
            }
        }
        std::thread::sleep(REFRESH);
    }
    if live {
        execute!(
            std::io::stdout(),
            cursor::Show,
            terminal::LeaveAlternateScreen
        )
        .map_err(failed())?;
    }
    result
}

impl Screen {
    fn update<'a>(
        &mut self,
        entries: impl Iterator<Item = (&'a str, &'a Entry)>,
        mut on_change: impl FnMut(&str, &Value),
    ) {
        let now = Instant::now();
        let mut seen = BTreeMap::new();
        for (key, entry) in entries {
            let before = self.known.remove(key);
            if before.as_ref() != Some(&entry.value) {
                self.changes += 1;
                on_change(key, &entry.value);
                self.changed_at.insert(key.to_owned(), now);
                if let Some(shopper) = shopper_of(key) {
                    if let Some(at) = self.recent.iter().position(|known| known == shopper) {
                        self.recent.remove(at);
                    }
                    self.recent.push_front(shopper.to_owned());
                    self.recent.truncate(SHOPPERS_SHOWN * 4);
                }
            }
            seen.insert(key.to_owned(), entry.value.clone());
        }
        self.known = seen;
        let passed = now - self.since.0;
        if passed >= Duration::from_secs(1) {
            self.rate = (self.changes - self.since.1) as f64 / passed.as_secs_f64();
            self.since = (now, self.changes);
            self.changed_at
                .retain(|_, at| now - *at < Duration::from_secs(10));
        }
    }

    fn draw(&self, store: &str) -> std::io::Result<()> {
        let (width, height) = terminal::size()?;
        let (width, height) = (usize::from(width), usize::from(height));
        let mut lines = vec![
            format!(
                "{}   {} keys, {} changes/s   {store}   Ctrl-C stops",
                "Tidewheel".bold(),
                count(self.known.len() as u64),
                count(self.rate as u64)
            ),
            String::new(),
        ];
        for (key, title) in [("shop:now", "This minute"), ("shop:trending", "Trending")] {
            if let Some(value) = self.known.get(key) {
                lines.push(format!(
                    "{}  {}",
                    title.bold(),
                    cut(&text(value), width, 14)
                ));
            }
        }
        for shopper in self.recent.iter().take(SHOPPERS_SHOWN) {
            lines.push(String::new());
            lines.push(format!("{}", format!("Shopper {shopper}").bold()));
            let prefix = format!("user:{shopper}:");
            for (key, value) in self
                .known
                .range(prefix.clone()..)
                .take_while(|(key, _)| key.starts_with(&prefix))
            {
                let value = text(value);
                if value == "0" || value == "0.0" || value == "{}" || value == "0.0-0.0" {
                    continue;
                }
                let line = format!("  {:<28} {}", &key[prefix.len()..], cut(&value, width, 32));
                let fresh = self
                    .changed_at
                    .get(key)
                    .is_some_and(|at| at.elapsed() < Duration::from_millis(1_500));
                lines.push(if fresh {
                    format!("{}", line.green())
                } else {
                    line
                });
            }
        }
        let mut out = std::io::stdout().lock();
        execute!(out, cursor::MoveTo(0, 0))?;
        for line in lines.iter().take(height.saturating_sub(1)) {
            execute!(out, terminal::Clear(terminal::ClearType::CurrentLine))?;
            write!(out, "{line}\r\n")?;
        }
        execute!(out, terminal::Clear(terminal::ClearType::FromCursorDown))?;
        out.flush()
    }
}

fn shopper_of(key: &str) -> Option<&str> {
    key.strip_prefix("user:")?
        .rsplit_once(':')
        .map(|(shopper, _)| shopper)
}

/// The text, cut so that a line of `used` columns before it fits the width.
fn cut(text: &str, width: usize, used: usize) -> String {
    let room = width.saturating_sub(used).max(8);
    if text.chars().count() <= room {
        return text.to_owned();
    }
    text.chars()
        .take(room - 1)
        .chain(std::iter::once('…'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shopper_is_what_stands_between_user_and_the_feature() {
        assert_eq!(shopper_of("user:a:b@c.d:last_seen"), Some("a:b@c.d"));
        assert_eq!(shopper_of("session:1:session_duration"), None);
    }

    #[test]
    fn long_values_are_cut_at_the_edge() {
        assert_eq!(cut("abcdefghijkl", 20, 10), "abcdefghi…");
        assert_eq!(cut("abc", 20, 10), "abc");
    }
}
