//! The catalogue: a folder of `*.sql` files and the program that runs.
//!
//! A query that arrives over the API becomes a file; a file that is edited, added or removed is
//! taken over. Both ways end in the same state, also after a restart. One mistake stops nothing:
//! [`resolve`](self::resolve) says which texts run.

mod change;
pub(crate) mod folder;
pub(crate) mod names;
pub(crate) mod policy;
mod reload;
pub(crate) mod resolve;
mod state;
pub(crate) mod watch;

pub(crate) use change::ChangeError;

use crate::serve::engine::Engine;
use parking_lot::{Mutex, RwLock};
use policy::{Places, Policy};
use resolve::{Compiler, Texts};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tidewheel_core::{Diagnostic, Diagnostics, SourceText, TableSpec};
use tidewheel_runtime::EngineError;
use tidewheel_sql::plan::{BadRows, NodeKind, PlanNode, Program};

/// A file of the folder and what has become of it.
#[derive(Debug, Clone)]
pub(crate) struct FileView {
    /// The query's name: the file's without `.sql`.
    pub name: String,
    /// The text on the disk; `None` when the file is gone or cannot be read.
    pub text: Option<Arc<str>>,
    /// The text that runs.
    pub running: Option<Arc<SourceText>>,
    /// Why the text on the disk does not run.
    pub errors: Vec<Diagnostic>,
    /// When the file was changed last, milliseconds since 1970.
    pub modified_ms: i64,
    /// True when nothing is to be written.
    pub paused: bool,
    /// The engine's names of its INSERTs.
    pub queries: Vec<String>,
}

/// The catalogue at one moment.
#[derive(Debug, Clone)]
pub(crate) struct View {
    /// All files, by name.
    pub files: BTreeMap<String, FileView>,
    /// The program that runs.
    pub program: Arc<Program>,
    /// The texts of that program.
    pub texts: Texts,
    /// Counts the changes.
    pub revision: u64,
}

/// How a catalogue is kept.
pub(crate) struct Rules {
    /// The folder.
    pub folder: PathBuf,
    /// The API writes no file.
    pub read_only: bool,
    /// The most files.
    pub queries_max: usize,
    /// What SQL from the API may reach.
    pub policy: Policy,
}

/// The catalogue.
pub(crate) struct Catalogue {
    rules: Rules,
    compiler: Compiler,
    engine: Arc<Engine>,
    /// One change at a time. Not needed to pause or to read.
    changing: Mutex<()>,
    /// Names of the paused files. Locked before `view`.
    paused: Mutex<BTreeSet<String>>,
    view: RwLock<Arc<View>>,
}

impl Catalogue {
    /// An empty catalogue; [`Catalogue::reload`] fills it.
    pub(crate) fn new(rules: Rules, compiler: Compiler, engine: Arc<Engine>) -> Self {
        let view = View {
            files: BTreeMap::new(),
            program: Arc::new(Program {
                sources: Vec::new(),
                queries: Vec::new(),
                tables: Vec::new(),
                warnings: Diagnostics::default(),
            }),
            texts: Texts::new(),
            revision: 0,
        };
        let paused = state::load(&rules.folder).paused;
        Self {
            rules,
            compiler,
            engine,
            changing: Mutex::new(()),
            paused: Mutex::new(paused),
            view: RwLock::new(Arc::new(view)),
        }
    }

    /// The catalogue now.
    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read())
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.rules.folder
    }

    /// True when the folder cannot be found any more: unmounted, or renamed.
    pub(crate) fn is_gone(&self) -> bool {
        !self.folder().is_dir()
    }

    /// What texts are compiled with.
    pub(crate) fn compiler(&self) -> &Compiler {
        &self.compiler
    }

    /// Hands a program to the engine. What belongs to paused files begins paused.
    fn run(&self, program: &Program) -> Result<(), EngineError> {
        {
            // Statements that are going must not write at the last moment.
            let paused = self.paused.lock();
            let mut names = self.view().paused_queries(&paused);
            let new = program.queries.iter().map(|query| &query.name);
            names.extend(new.filter(|name| paused.contains(file_of(name))).cloned());
            self.engine.set_paused(names);
        }
        self.engine.apply(program).map(drop)
    }

    fn publish(&self, mut view: View) {
        let mut paused = self.paused.lock();
        let before = paused.len();
        paused.retain(|name| view.files.contains_key(name));
        for file in view.files.values_mut() {
            file.paused = paused.contains(&file.name);
        }
        let mut now = self.view.write();
        view.revision = now.revision + 1;
        self.engine.set_paused(view.paused_queries(&paused));
        *now = Arc::new(view);
        drop(now);
        if paused.len() != before {
            self.remember(&paused);
        }
    }
}

impl View {
    /// The engine's names of what the paused files hold.
    fn paused_queries(&self, paused: &BTreeSet<String>) -> BTreeSet<String> {
        let files = self
            .files
            .values()
            .filter(|file| paused.contains(&file.name));
        files
            .flat_map(|file| file.queries.iter().cloned())
            .collect()
    }
}

/// The engine's queries of a file.
fn queries_of(program: &Program, name: &str) -> Vec<String> {
    let names = program.queries.iter().map(|query| &query.name);
    names
        .filter(|query| file_of(query) == name)
        .cloned()
        .collect()
}

/// The file of one of the engine's queries.
pub(crate) fn file_of(query: &str) -> &str {
    query.split_once('#').map_or(query, |(file, _)| file)
}

/// The sources that a plan reads, as indices into the program's.
pub(crate) fn sources_of(node: &PlanNode, sources: &mut Vec<usize>) {
    match &node.kind {
        NodeKind::Scan { source } => {
            if !sources.contains(source) {
                sources.push(*source);
            }
        }
        NodeKind::Filter { input, .. }
        | NodeKind::Project { input, .. }
        | NodeKind::Window { input, .. }
        | NodeKind::Group { input, .. }
        | NodeKind::Latest { input, .. }
        | NodeKind::TopN { input, .. }
        | NodeKind::Over { input, .. } => sources_of(input, sources),
    }
}

/// The tables that a file's queries read and write, those of bad and late rows included.
pub(crate) fn tables_of<'a>(program: &'a Program, name: &str) -> Vec<&'a TableSpec> {
    let mut tables = Vec::new();
    let mut sources = Vec::new();
    for query in program
        .queries
        .iter()
        .filter(|query| file_of(&query.name) == name)
    {
        tables.push(&query.sink);
        sources_of(&query.root, &mut sources);
    }
    for source in sources
        .into_iter()
        .filter_map(|source| program.sources.get(source))
    {
        tables.push(&source.spec);
        if let BadRows::DeadLetter(table) = &source.bad_rows {
            tables.push(table);
        }
        tables.extend(&source.late_rows_table);
    }
    tables
}

/// What all tables of a program reach.
fn places_of_all(program: &Program) -> Places {
    let mut places = Places::default();
    for name in program.queries.iter().map(|query| file_of(&query.name)) {
        for table in tables_of(program, name) {
            places.add(table);
        }
    }
    places
}

/// The tag of a text: changes with every change of it.
pub(crate) fn etag(text: &str) -> String {
    // FNV-1a of 64 bits (Fowler, Noll, Vo): no secret, only a difference.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    }
    format!("\"{hash:016x}-{}\"", text.len())
}
