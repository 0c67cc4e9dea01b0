//! `--set`, `--from` and `--into`: tables read and written elsewhere.

use crate::cli::QueryArgs;
use crate::error::CliError;

/// The name that stands for every table that a query reads.
pub(crate) const ALL_SOURCES: &str = tidewheel_sql::ALL_SOURCES;
/// The name that stands for every table that a query writes.
pub(crate) const ALL_SINKS: &str = tidewheel_sql::ALL_SINKS;

/// The options to set, as table, option, value; later ones win.
pub(crate) fn redirects(args: &QueryArgs) -> Result<Vec<Set>, CliError> {
    sets_of(args.from.as_deref(), args.into.as_deref(), &args.sets)
}

/// Table, option, value.
pub(crate) type Set = (String, String, String);

/// As [`redirects`], for `--from`, `--into` and `--set`.
pub(crate) fn sets_of(
    from: Option<&str>,
    into: Option<&str>,
    texts: &[String],
) -> Result<Vec<Set>, CliError> {
    let mut sets = Vec::new();
    if let Some(from) = from {
        let (connector, place) = split(from, "--from")?;
        set(&mut sets, ALL_SOURCES, "connector", connector);
        match connector {
            "file" | "log" => set(&mut sets, ALL_SOURCES, "path", place),
            "kafka" => set(
                &mut sets,
                ALL_SOURCES,
                "properties.bootstrap.servers",
                place,
            ),
            other => {
                return Err(unknown(
                    "--from",
                    other,
                    "file:PATH, log:DIR, kafka:BROKERS",
                ));
            }
        }
    }
    if let Some(into) = into {
        let (connector, place) = split(into, "--into")?;
        set(&mut sets, ALL_SINKS, "connector", connector);
        match connector {
            "file" => set(
                &mut sets,
                ALL_SINKS,
                "path",
                &format!("{place}/{{table}}.jsonl"),
            ),
            "store" => set(&mut sets, ALL_SINKS, "path", place),
            "redis" => set(&mut sets, ALL_SINKS, "url", place),
            "print" | "blackhole" => {}
            other => {
                let known = "file:DIR, store:DIR, redis:URL, print:, blackhole:";
                return Err(unknown("--into", other, known));
            }
        }
    }
    for text in texts {
        let wrong = || {
            CliError::Usage(format!(
                "--set '{text}' cannot be read; write TABLE.OPTION=VALUE, for example \
                 shopper_events.path=events.jsonl"
            ))
        };
        let (name, value) = text.split_once('=').ok_or_else(wrong)?;
        let (table, option) = name.split_once('.').ok_or_else(wrong)?;
        if table.is_empty() || option.is_empty() {
            return Err(wrong());
        }
        set(&mut sets, table, option, value);
    }
    Ok(sets)
}

fn set(sets: &mut Vec<(String, String, String)>, table: &str, option: &str, value: &str) {
    sets.push((table.to_owned(), option.to_owned(), value.to_owned()));
}

fn split<'a>(text: &'a str, flag: &str) -> Result<(&'a str, &'a str), CliError> {
    text.split_once(':').ok_or_else(|| {
        CliError::Usage(format!(
            "{flag} '{text}' cannot be read; write CONNECTOR:WHERE"
        ))
    })
}

fn unknown(flag: &str, connector: &str, known: &str) -> CliError {
    CliError::Usage(format!(
        "{flag} does not know '{connector}'; write one of {known}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(from: Option<&str>, into: Option<&str>, sets: &[&str]) -> QueryArgs {
        QueryArgs {
            paths: Vec::new(),
            sets: sets.iter().map(|s| (*s).to_owned()).collect(),
            from: from.map(str::to_owned),
            into: into.map(str::to_owned),
        }
    }

    #[test]
    fn a_set_with_dots_and_equals_signs_splits_at_the_first_of_each() {
        let sets = redirects(&args(None, None, &["t.properties.x=a=b.c"])).expect("fine");
        assert_eq!(sets, [("t".into(), "properties.x".into(), "a=b.c".into())]);
    }

    #[test]
    fn what_cannot_be_read_says_what_to_write() {
        for (from, into, sets) in [
            (Some("file"), None, vec![]),
            (Some("tape:x"), None, vec![]),
            (None, Some("paper:x"), vec![]),
            (None, None, vec!["table=x"]),
            (None, None, vec!["table.option"]),
        ] {
            let error = redirects(&args(from, into, &sets)).expect_err("must fail");
            assert!(error.to_string().contains("write"), "{error}");
        }
    }
}
