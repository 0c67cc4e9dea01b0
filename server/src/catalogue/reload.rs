//! Changes that arrive as files.

use super::folder::{self, Found};
use super::resolve::{self, Resolution, Texts, source};
use super::{Catalogue, FileView, View, file_of, names, queries_of, tables_of};
use std::collections::BTreeMap;
use std::sync::Arc;
use tidewheel_core::Diagnostic;
use tidewheel_core::diagnostic::Severity;
use tidewheel_runtime::EngineError;

impl Catalogue {
    /// Reads the folder, and runs what has changed in it. True when something had.
    pub(crate) fn reload(&self) -> bool {
        let _changing = self.changing.lock();
        self.reload_locked(false)
    }

    /// True when the folder holds other texts than were read last.
    pub(crate) fn differs(&self, found: &BTreeMap<String, Found>) -> bool {
        let view = self.view();
        let same = |name: &String, found: &Found| {
            view.files
                .get(name)
                .is_some_and(|file| file.text.as_deref() == found.text.as_deref().ok())
        };
        let gone = view
            .files
            .values()
            .any(|file| !found.contains_key(&file.name) && file.text.is_some());
        gone || found.iter().any(|(name, found)| !same(name, found))
    }

    pub(super) fn reload_locked(&self, force: bool) -> bool {
        let found = match folder::read(self.folder()) {
            Ok(found) => found,
            Err(error) => {
                let folder = self.folder().display().to_string();
                tracing::error!(folder, %error, "the folder cannot be read; what runs goes on");
                return false;
            }
        };
        if !force && !self.differs(&found) {
            return false;
        }
        let before = self.view();
        let (wanted, unreadable) = wanted(&before, &found, self.rules.queries_max);
        let compile = |texts: &Texts| self.compiler.compile(texts);
        let mut resolution = resolve::resolve(&compile, &before.texts, &wanted);
        resolution.errors.extend(unreadable);
        let resolution = self.apply(&before, resolution);
        let view = self.view_of(&before, &found, resolution);
        log(&before, &view);
        self.publish(view);
        true
    }

    /// Hands the program to the engine; what it refuses is held back.
    fn apply(&self, before: &View, mut resolution: Resolution) -> Resolution {
        loop {
            let error = match self.run(&resolution.program) {
                Ok(()) => return resolution,
                Err(error) => error,
            };
            let changed: Vec<String> = resolution
                .texts
                .iter()
                .filter(|(name, text)| before.texts.get(*name) != Some(*text))
                .map(|(name, _)| name.clone())
                .collect();
            let guilty: Vec<String> = changed
                .iter()
                .filter(|name| at_fault(&resolution, name, &error))
                .cloned()
                .collect();
            let guilty = if guilty.is_empty() { changed } else { guilty };
            let mut texts = resolution.texts.clone();
            for name in &guilty {
                match before.texts.get(name) {
                    Some(text) => texts.insert(name.clone(), Arc::clone(text)),
                    None => texts.remove(name),
                };
                let found = vec![Diagnostic::error(error.to_string(), None)];
                resolution.errors.insert(name.clone(), found);
            }
            let compiled = self.compiler.compile(&texts);
            match compiled {
                Ok(program) if !guilty.is_empty() => {
                    resolution.program = program;
                    resolution.texts = texts;
                }
                _ => {
                    tracing::error!(%error, "the change cannot be run; what ran goes on");
                    resolution.program = before.program.as_ref().clone();
                    resolution.texts.clone_from(&before.texts);
                    return resolution;
                }
            }
        }
    }

    fn view_of(
        &self,
        before: &View,
        found: &BTreeMap<String, Found>,
        mut resolution: Resolution,
    ) -> View {
        let mut files = BTreeMap::new();
        for name in found.keys().chain(resolution.texts.keys()) {
            let on_disk = found.get(name);
            let file = FileView {
                name: name.clone(),
                text: on_disk.and_then(|found| Some(found.text.as_ref().ok()?.as_str().into())),
                running: resolution.texts.get(name).cloned(),
                errors: resolution.errors.remove(name).unwrap_or_default(),
                modified_ms: on_disk.map_or(0, |found| found.modified_ms),
                paused: false,
                queries: queries_of(&resolution.program, name),
            };
            files.entry(name.clone()).or_insert(file);
        }
        View {
            files,
            program: Arc::new(resolution.program),
            texts: resolution.texts,
            revision: before.revision,
        }
    }
}

/// The texts that should run, and what cannot be read at all.
fn wanted(
    before: &View,
    found: &BTreeMap<String, Found>,
    queries_max: usize,
) -> (Texts, BTreeMap<String, Vec<Diagnostic>>) {
    let mut texts = Texts::new();
    let mut errors = BTreeMap::new();
    for (number, (name, found)) in found.iter().enumerate() {
        let refused = match (&found.text, names::check_file(name)) {
            (Err(message), _) => Some(message.clone()),
            (_, Err(message)) => Some(message),
            // An editor that empties a file before it writes it must not cost the query its state.
            (Ok(text), _) if text.trim().is_empty() => {
                Some("the file is empty; remove it to remove the query".to_owned())
            }
            _ if number >= queries_max => Some(format!(
                "the folder holds more than {queries_max} files; raise limits.queries"
            )),
            _ => None,
        };
        match (refused, &found.text) {
            (None, Ok(text)) => drop(texts.insert(name.clone(), source(name, text))),
            (message, _) => {
                let message = message.unwrap_or_default();
                errors.insert(name.clone(), vec![Diagnostic::error(message, None)]);
                if let Some(text) = before.texts.get(name) {
                    texts.insert(name.clone(), Arc::clone(text));
                }
            }
        }
    }
    (texts, errors)
}

/// True when an error of the engine is about a table or a query of this file.
fn at_fault(resolution: &Resolution, name: &str, error: &EngineError) -> bool {
    match error {
        EngineError::Table { table, .. }
        | EngineError::Source { table, .. }
        | EngineError::Sink { table, .. } => tables_of(&resolution.program, name)
            .iter()
            .any(|spec| spec.name == *table),
        EngineError::Plan { query, .. } => file_of(query) == name,
        _ => false,
    }
}

/// One line for each file whose state has changed.
fn log(before: &View, after: &View) {
    for (name, file) in &after.files {
        let old = before.files.get(name);
        if old.map(|old| &old.errors) != Some(&file.errors) {
            let held_back = file
                .errors
                .first()
                .is_some_and(|first| first.span.is_none());
            let said = if held_back { 1 } else { file.errors.len() };
            // Warnings, of other files too, are beside the point.
            let errors = file.errors.iter();
            let errors = errors.filter(|error| error.severity == Severity::Error);
            for error in errors.take(said) {
                let place = error.span.as_ref().map(|span| {
                    let (line, column) = span.line_column();
                    format!("{}:{line}:{column}", span.source.name)
                });
                let advice = error.advice.as_deref().unwrap_or("");
                let runs = file.running.is_some();
                tracing::error!(
                    query = name.as_str(),
                    place = place.as_deref().unwrap_or(""),
                    advice,
                    version_before_runs = runs,
                    "{}",
                    error.message
                );
            }
        }
        let was = old.and_then(|old| old.running.as_ref());
        if file.running.as_ref() != was && file.running.is_some() {
            tracing::info!(query = name.as_str(), "running");
        }
    }
    for name in before
        .files
        .keys()
        .filter(|name| !after.files.contains_key(*name))
    {
        tracing::info!(query = name.as_str(), "removed");
    }
}
