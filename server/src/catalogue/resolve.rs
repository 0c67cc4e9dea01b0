//! Which texts run: the newest that compile together.
//!
//! A file whose new text is wrong keeps the text that ran before, or is left out. A change that is
//! fine in itself but breaks a file that did not change (a table that others read is gone) is held
//! back as well. So one mistake never stops another query.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidewheel_core::{Diagnostic, Diagnostics, Registry, SourceText};
use tidewheel_sql::CompileContext;
use tidewheel_sql::plan::Program;

/// Texts by the names of their queries.
pub(crate) type Texts = BTreeMap<String, Arc<SourceText>>;

/// Compiles sets of texts.
pub(crate) struct Compiler {
    /// Connectors and formats.
    pub registry: Arc<Registry>,
    /// What `${NAME}` is replaced from.
    pub environment: BTreeMap<String, String>,
    /// `--set`, `--from` and `--into`.
    pub sets: Vec<(String, String, String)>,
}

impl Compiler {
    /// What texts are compiled with.
    pub(crate) fn context(&self) -> CompileContext<'_> {
        let mut context = CompileContext::new(&self.registry);
        context.environment = self.environment.clone();
        context.sets.clone_from(&self.sets);
        context
    }

    /// Compiles the texts as one catalogue.
    ///
    /// # Errors
    /// All that is wrong.
    pub(crate) fn compile(&self, texts: &Texts) -> Result<Program, Diagnostics> {
        let files: Vec<_> = texts.values().cloned().collect();
        tidewheel_sql::compile(&files, &self.context())
    }
}

/// A text under the name that errors show.
pub(crate) fn source(name: &str, text: &str) -> Arc<SourceText> {
    Arc::new(SourceText {
        name: format!("{name}.sql"),
        text: text.to_owned(),
    })
}

/// The query that a diagnostic's place is in.
pub(crate) fn query_of(diagnostic: &Diagnostic) -> Option<&str> {
    let name = diagnostic.span.as_ref()?.source.name.as_str();
    Some(name.strip_suffix(".sql").unwrap_or(name))
}

/// What runs, and what was held back.
pub(crate) struct Resolution {
    /// The program of [`Resolution::texts`].
    pub program: Program,
    /// The texts that run.
    pub texts: Texts,
    /// Why a file's text, or its removal, was held back.
    pub errors: BTreeMap<String, Vec<Diagnostic>>,
}

/// Finds what to run: `wanted` as far as it compiles, `running` for the rest.
pub(crate) fn resolve(
    compile: &dyn Fn(&Texts) -> Result<Program, Diagnostics>,
    running: &Texts,
    wanted: &Texts,
) -> Resolution {
    let mut errors = BTreeMap::new();
    let mut texts = wanted.clone();
    loop {
        let found = match compile(&texts) {
            Ok(program) => {
                let mut resolution = Resolution {
                    program,
                    texts,
                    errors,
                };
                if resolution
                    .errors
                    .keys()
                    .any(|name| running.contains_key(name))
                {
                    // What fell back may have taken others with it that are fine beside it.
                    let held: Vec<String> = resolution.errors.keys().cloned().collect();
                    take_one_by_one(compile, &mut resolution, wanted, held);
                }
                return resolution;
            }
            Err(found) => found,
        };
        let mut fell_back = false;
        for (name, found) in by_query(&found) {
            let now = texts.get(&name);
            if now.is_some() && now != running.get(&name) {
                match running.get(&name) {
                    Some(text) => texts.insert(name.clone(), Arc::clone(text)),
                    None => texts.remove(&name),
                };
                errors.insert(name, found);
                fell_back = true;
            }
        }
        if !fell_back {
            return step_by_step(compile, running, wanted, errors, &found);
        }
    }
}

/// The errors of each query.
fn by_query(found: &Diagnostics) -> BTreeMap<String, Vec<Diagnostic>> {
    let mut map: BTreeMap<String, Vec<Diagnostic>> = BTreeMap::new();
    for diagnostic in &found.0 {
        if diagnostic.severity == tidewheel_core::diagnostic::Severity::Error
            && let Some(name) = query_of(diagnostic)
        {
            map.entry(name.to_owned())
                .or_default()
                .push(diagnostic.clone());
        }
    }
    map
}

/// From what runs, takes over one change after the other, as far as each compiles.
fn step_by_step(
    compile: &dyn Fn(&Texts) -> Result<Program, Diagnostics>,
    running: &Texts,
    wanted: &Texts,
    errors: BTreeMap<String, Vec<Diagnostic>>,
    found: &Diagnostics,
) -> Resolution {
    let start = compile(running)
        .ok()
        .map(|program| (program, running.clone()));
    let (program, texts) = start.unwrap_or_else(|| (empty(), Texts::new()));
    let mut resolution = Resolution {
        program,
        texts,
        errors,
    };
    let names: BTreeSet<&String> = running.keys().chain(wanted.keys()).collect();
    let changed: Vec<String> = names
        .into_iter()
        .filter(|name| resolution.texts.get(*name) != wanted.get(*name))
        .cloned()
        .collect();
    for name in &changed {
        // So that nothing is held back without a reason, whatever the compiler says of it below.
        let reason = found.0.clone();
        resolution.errors.entry(name.clone()).or_insert(reason);
    }
    take_one_by_one(compile, &mut resolution, wanted, changed);
    resolution
}

/// Tries each of the changes that are held back, until none more can be taken over.
fn take_one_by_one(
    compile: &dyn Fn(&Texts) -> Result<Program, Diagnostics>,
    resolution: &mut Resolution,
    wanted: &Texts,
    mut held: Vec<String>,
) {
    loop {
        let before = held.len();
        held.retain(|name| {
            let mut texts = resolution.texts.clone();
            match wanted.get(name) {
                Some(text) => texts.insert(name.clone(), Arc::clone(text)),
                None => texts.remove(name),
            };
            match compile(&texts) {
                Ok(program) => {
                    resolution.program = program;
                    resolution.texts = texts;
                    resolution.errors.remove(name);
                    false
                }
                Err(found) => {
                    let found = held_back(name, wanted.contains_key(name), found);
                    resolution.errors.insert(name.clone(), found);
                    true
                }
            }
        });
        if held.len() == before || held.is_empty() {
            return;
        }
    }
}

/// The queries, other than `name`, that an attempt broke.
pub(crate) fn others(name: &str, found: &Diagnostics) -> Vec<String> {
    by_query(found)
        .into_keys()
        .filter(|other| other != name)
        .collect()
}

fn held_back(name: &str, is_there: bool, found: Diagnostics) -> Vec<Diagnostic> {
    let others = others(name, &found);
    if others.is_empty() {
        return found.0;
    }
    let what = if is_there {
        "this change"
    } else {
        "the file is gone, but that"
    };
    let first = Diagnostic::error(
        format!(
            "{what} would break {}; the version before runs on",
            others.join(", ")
        ),
        None,
    )
    .with_advice("change those too, or take this back");
    // One error says enough of each query: all of it may hang on one table.
    let one_each = by_query(&found)
        .into_values()
        .filter_map(|all| all.into_iter().next());
    std::iter::once(first).chain(one_each).collect()
}

fn empty() -> Program {
    Program {
        sources: Vec::new(),
        queries: Vec::new(),
        tables: Vec::new(),
        warnings: Diagnostics::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewheel_core::Span;

    /// A language as small as it gets: `def x`, `use x`, `bad`, one a line.
    fn compile(texts: &Texts) -> Result<Program, Diagnostics> {
        let lines = |text: &Arc<SourceText>| -> Vec<String> {
            text.text.lines().map(str::to_owned).collect()
        };
        let defined: BTreeSet<String> = texts
            .values()
            .flat_map(lines)
            .filter_map(|line| Some(line.strip_prefix("def ")?.to_owned()))
            .collect();
        let mut found = Diagnostics::default();
        for text in texts.values() {
            for line in lines(text) {
                let lacks = line
                    .strip_prefix("use ")
                    .is_some_and(|name| !defined.contains(name));
                if line == "bad" || lacks {
                    let source = Arc::clone(text);
                    let span = Span {
                        source,
                        start: 0,
                        end: 0,
                    };
                    found.push(Diagnostic::error(line, Some(span)));
                }
            }
        }
        if found.has_errors() {
            Err(found)
        } else {
            Ok(empty())
        }
    }

    fn texts(files: &[(&str, &str)]) -> Texts {
        let entry = |(name, text): &(&str, &str)| ((*name).to_owned(), source(name, text));
        files.iter().map(entry).collect()
    }

    fn run(running: &[(&str, &str)], wanted: &[(&str, &str)]) -> (Texts, Vec<String>) {
        let resolution = resolve(&compile, &texts(running), &texts(wanted));
        assert!(compile(&resolution.texts).is_ok(), "what runs compiles");
        (resolution.texts, resolution.errors.into_keys().collect())
    }

    #[test]
    fn a_broken_file_keeps_its_last_good_text_and_others_are_taken_over() {
        let (runs, errors) = run(
            &[("a", "def t"), ("b", "use t")],
            &[("a", "def t\nbad"), ("b", "use t\nuse t"), ("c", "use t")],
        );
        assert_eq!(
            runs,
            texts(&[("a", "def t"), ("b", "use t\nuse t"), ("c", "use t")])
        );
        assert_eq!(errors, ["a"]);
    }

    #[test]
    fn what_needs_a_broken_change_waits_for_it() {
        let (runs, errors) = run(
            &[("a", "def t")],
            &[("a", "def t\ndef u\nbad"), ("b", "use u"), ("c", "use t")],
        );
        assert_eq!(runs, texts(&[("a", "def t"), ("c", "use t")]));
        assert_eq!(errors, ["a", "b"]);
    }

    #[test]
    fn a_change_that_breaks_others_is_held_back() {
        let (runs, errors) = run(
            &[("a", "def t"), ("b", "use t")],
            &[("a", "def u"), ("b", "use t"), ("c", "def v")],
        );
        assert_eq!(
            runs,
            texts(&[("a", "def t"), ("b", "use t"), ("c", "def v")])
        );
        assert_eq!(errors, ["a"]);
        let (runs, errors) = run(&[("a", "def t"), ("b", "use t")], &[("b", "use t")]);
        assert_eq!(runs, texts(&[("a", "def t"), ("b", "use t")]));
        assert_eq!(errors, ["a"]);
    }

    #[test]
    fn at_the_start_broken_files_are_left_out() {
        let (runs, errors) = run(&[], &[("a", "bad"), ("b", "def t"), ("c", "use t")]);
        assert_eq!(runs, texts(&[("b", "def t"), ("c", "use t")]));
        assert_eq!(errors, ["a"]);
        let (runs, errors) = run(&[], &[("a", "def t\nbad"), ("c", "use t")]);
        assert!(runs.is_empty());
        assert_eq!(errors, ["a", "c"]);
    }

    #[test]
    fn a_table_moves_from_one_file_to_another() {
        let (runs, errors) = run(
            &[("a", "def t"), ("b", "use t")],
            &[("b", "use t"), ("z", "def t")],
        );
        assert_eq!(runs, texts(&[("b", "use t"), ("z", "def t")]));
        assert!(errors.is_empty());
    }
}
