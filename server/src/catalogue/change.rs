//! Changes that arrive over the API.

use super::folder::{self, Pending};
use super::policy::{Places, Policy};
use super::resolve::{self, Texts, source};
use super::state::{self, Remembered};
use super::{Catalogue, FileView, View, etag, names, places_of_all, queries_of, tables_of};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tidewheel_core::diagnostic::Severity;
use tidewheel_core::{Diagnostic, Diagnostics};
use tidewheel_runtime::EngineError;
use tidewheel_sql::plan::Program;

/// A change was refused.
#[derive(Debug)]
pub(crate) enum ChangeError {
    /// The name cannot be one.
    Name(String),
    /// There is a query of that name.
    Exists,
    /// There is none.
    NotFound,
    /// The folder is served read-only.
    ReadOnly,
    /// The catalogue is full.
    Full(usize),
    /// The SQL is wrong.
    Sql(Diagnostics),
    /// The SQL would be fine, but other queries would not any more.
    Breaks(Vec<String>, Diagnostics),
    /// The query is another one than the caller thinks; the tag it has.
    Changed(String),
    /// The SQL reaches what it may not.
    Forbidden(Vec<String>),
    /// The engine cannot run it.
    Engine(EngineError),
    /// The file cannot be written.
    Disk(std::io::Error),
}

impl Catalogue {
    /// Compiles a text in place of `name` (or beside all), changing nothing.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn validate(&self, name: &str, sql: &str) -> Result<Program, ChangeError> {
        let view = self.view();
        self.compile_with(&view, name, sql)
    }

    fn compile_with(&self, view: &View, name: &str, sql: &str) -> Result<Program, ChangeError> {
        Policy::check_text(sql).map_err(ChangeError::Forbidden)?;
        let mut texts = view.texts.clone();
        texts.insert(name.to_owned(), source(name, sql));
        let program = self.compile(name, &texts)?;
        self.check_policy(view, &program, name, sql)?;
        Ok(program)
    }

    fn compile(&self, name: &str, texts: &Texts) -> Result<Program, ChangeError> {
        self.compiler.compile(texts).map_err(|mut found| {
            // What others are warned of is not this text's matter.
            let own_or_error = |one: &Diagnostic| {
                one.severity == Severity::Error
                    || resolve::query_of(one).is_none_or(|query| query == name)
            };
            found.0.retain(own_or_error);
            let others = resolve::others(name, &found);
            let own = found
                .0
                .iter()
                .any(|one| resolve::query_of(one) == Some(name));
            if own || others.is_empty() {
                ChangeError::Sql(found)
            } else {
                ChangeError::Breaks(others, found)
            }
        })
    }

    fn check_policy(
        &self,
        view: &View,
        program: &Program,
        name: &str,
        sql: &str,
    ) -> Result<(), ChangeError> {
        let mut asked = Places::default();
        for table in tables_of(program, name) {
            asked.add(table);
        }
        self.check_places(view, &asked, sql)
    }

    /// Checks what a text reaches.
    ///
    /// # Errors
    /// [`ChangeError::Forbidden`].
    pub(crate) fn check_places(
        &self,
        view: &View,
        asked: &Places,
        sql: &str,
    ) -> Result<(), ChangeError> {
        let own = places_of_all(&view.program);
        let policy = &self.rules.policy;
        policy
            .check(sql, asked, &own, &view.texts)
            .map_err(ChangeError::Forbidden)
    }

    /// Adds a query: compiles, runs, and writes its file.
    ///
    /// # Errors
    /// Nothing has changed then.
    pub(crate) fn create(&self, name: &str, sql: &str) -> Result<(), ChangeError> {
        let _changing = self.changing.lock();
        names::check(name).map_err(ChangeError::Name)?;
        self.check_writable()?;
        let view = self.view();
        let path = folder::path(self.folder(), name);
        if view.files.contains_key(name) || path.exists() {
            return Err(ChangeError::Exists);
        }
        if view.files.len() >= self.rules.queries_max {
            return Err(ChangeError::Full(self.rules.queries_max));
        }
        self.write(&view, name, sql)
    }

    /// Replaces a query's text. `expected` says whether the tag is the one that the caller has
    /// seen.
    ///
    /// # Errors
    /// Nothing has changed then.
    pub(crate) fn replace(
        &self,
        name: &str,
        sql: &str,
        expected: impl Fn(&str) -> bool,
    ) -> Result<(), ChangeError> {
        let _changing = self.changing.lock();
        self.check_writable()?;
        self.look_at(name);
        let view = self.view();
        let file = view.files.get(name).ok_or(ChangeError::NotFound)?;
        let tag = etag(file.text.as_deref().unwrap_or(""));
        if !expected(&tag) {
            return Err(ChangeError::Changed(tag));
        }
        self.write(&view, name, sql)
    }

    fn write(&self, view: &View, name: &str, sql: &str) -> Result<(), ChangeError> {
        let program = Arc::new(self.compile_with(view, name, sql)?);
        let path = folder::path(self.folder(), name);
        // On the disk first, under its name last: what the engine refuses never becomes a file.
        let pending = Pending::write(&path, sql).map_err(ChangeError::Disk)?;
        if let Err(error) = self.run(&program) {
            pending.discard();
            return Err(ChangeError::Engine(error));
        }
        if let Err(error) = pending.commit() {
            self.apply_again(&view.program);
            return Err(ChangeError::Disk(error));
        }
        let mut view = view.clone();
        let text = source(name, sql);
        view.texts.insert(name.to_owned(), Arc::clone(&text));
        let file = FileView {
            name: name.to_owned(),
            text: Some(sql.into()),
            running: Some(text),
            errors: Vec::new(),
            modified_ms: now_ms(),
            paused: false,
            queries: queries_of(&program, name),
        };
        view.files.insert(name.to_owned(), file);
        view.program = program;
        self.settle(view);
        tracing::info!(query = name, "written and running");
        Ok(())
    }

    /// Removes a query and its file.
    ///
    /// # Errors
    /// Nothing has changed then.
    pub(crate) fn delete(
        &self,
        name: &str,
        expected: impl Fn(&str) -> bool,
    ) -> Result<(), ChangeError> {
        let _changing = self.changing.lock();
        self.check_writable()?;
        self.look_at(name);
        let mut view = View::clone(&self.view());
        let file = view.files.get(name).ok_or(ChangeError::NotFound)?;
        let tag = etag(file.text.as_deref().unwrap_or(""));
        if !expected(&tag) {
            return Err(ChangeError::Changed(tag));
        }
        let mut texts = view.texts.clone();
        texts.remove(name);
        let program = Arc::new(self.compile(name, &texts)?);
        self.run(&program).map_err(ChangeError::Engine)?;
        if let Err(error) = folder::remove(&folder::path(self.folder(), name)) {
            self.apply_again(&view.program);
            return Err(ChangeError::Disk(error));
        }
        view.texts = texts;
        view.program = program;
        view.files.remove(name);
        self.settle(view);
        tracing::info!(query = name, "removed");
        Ok(())
    }

    /// Stops or resumes writing a query's results; its state goes on. Waits for no other change.
    ///
    /// # Errors
    /// There is no such query.
    pub(crate) fn set_paused(&self, name: &str, paused: bool) -> Result<(), ChangeError> {
        let mut all = self.paused.lock();
        let mut now = self.view.write();
        let mut view = View::clone(&now);
        let file = view.files.get_mut(name).ok_or(ChangeError::NotFound)?;
        file.paused = paused;
        let changed = if paused {
            all.insert(name.to_owned())
        } else {
            all.remove(name)
        };
        if changed {
            view.revision += 1;
            self.engine.set_paused(view.paused_queries(&all));
            *now = Arc::new(view);
            drop(now);
            self.remember(&all);
            tracing::info!(query = name, paused, "pause changed");
        }
        Ok(())
    }

    pub(super) fn remember(&self, paused: &BTreeSet<String>) {
        let remembered = Remembered {
            paused: paused.clone(),
        };
        if let Err(error) = state::save(self.folder(), &remembered) {
            let folder = self.folder().display().to_string();
            tracing::warn!(folder, %error, "which queries are paused is lost at the next start");
        }
    }

    /// Takes over an edit of a query's file that was not seen yet, so that no caller replaces or
    /// removes a text that it does not know.
    fn look_at(&self, name: &str) {
        let view = self.view();
        let seen = view.files.get(name).and_then(|file| file.text.as_deref());
        let there = std::fs::read_to_string(folder::path(self.folder(), name)).ok();
        if seen.is_some() && there.as_deref() != seen {
            self.reload_locked(false);
        }
    }

    fn check_writable(&self) -> Result<(), ChangeError> {
        if self.rules.read_only {
            return Err(ChangeError::ReadOnly);
        }
        if self.is_gone() {
            let gone = "the folder of the queries is gone, what runs goes on";
            let gone = std::io::Error::new(std::io::ErrorKind::NotFound, gone);
            return Err(ChangeError::Disk(gone));
        }
        Ok(())
    }

    fn apply_again(&self, program: &Program) {
        if let Err(error) = self.run(program) {
            tracing::error!(%error, "the queries that ran before cannot be run again");
        }
    }

    /// Publishes, and takes over files that waited for this change.
    fn settle(&self, view: View) {
        let waiting = view.files.values().any(|file| !file.errors.is_empty());
        self.publish(view);
        if waiting {
            self.reload_locked(true);
        }
    }
}

pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |passed| {
        i64::try_from(passed.as_millis()).unwrap_or(i64::MAX)
    })
}
