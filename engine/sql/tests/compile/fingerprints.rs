//! A query's fingerprint changes with what its results depend on, and with nothing else.

use crate::common;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidewheel_core::SourceText;
use tidewheel_sql::plan::Program;
use tidewheel_sql::{CompileContext, compile};

const EVENTS: &str = "CREATE TABLE e (k STRING, v BIGINT, w STRING, ts TIMESTAMP(3), \
     big AS v > 10, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) \
     WITH ('connector' = 'kafka', 'topic' = '${TOPIC:-a}', 'format' = 'json', \
     'properties.bootstrap.servers' = 'h:1');\n";
const VIEWS: &str = "CREATE VIEW inner_view AS SELECT * FROM e WHERE v > 1;\n\
     CREATE VIEW used AS SELECT k, v, ts FROM inner_view;\n\
     CREATE VIEW unused AS SELECT k FROM e;\n";
const QUERY: &str = "CREATE TABLE o (k STRING, n BIGINT, PRIMARY KEY (k) NOT ENFORCED) \
     WITH ('connector' = 'redis', 'url' = 'redis://me:old@host:6379/0', 'layout' = 'hash', \
     'key' = 'x:{k}');\n\
     INSERT INTO o SELECT k, COUNT(*) FROM TABLE(TUMBLE(TABLE used, DESCRIPTOR(ts), \
     INTERVAL '1' MINUTE)) GROUP BY k, window_start, window_end;\n";
const OTHER: &str = "CREATE TABLE p (w STRING, n BIGINT, PRIMARY KEY (w) NOT ENFORCED) \
     WITH ('connector' = 'blackhole');\n\
     INSERT INTO p SELECT w, COUNT(*) FROM e GROUP BY w;\n\
     SET 'table.exec.state.ttl' = '1 h';\n";

struct Case {
    files: Vec<(&'static str, String)>,
    environment: BTreeMap<String, String>,
    sets: Vec<(String, String, String)>,
}

fn base() -> Case {
    Case {
        files: vec![
            ("a/events.sql", EVENTS.into()),
            ("a/views.sql", VIEWS.into()),
            ("a/query.sql", QUERY.into()),
        ],
        environment: BTreeMap::new(),
        sets: Vec::new(),
    }
}

impl Case {
    fn edit(mut self, from: &str, to: &str) -> Self {
        let mut edits = 0;
        for (_, text) in &mut self.files {
            edits += text.matches(from).count();
            *text = text.replace(from, to);
        }
        assert!(edits > 0, "nothing to edit: {from}");
        self
    }

    fn with(mut self, name: &'static str, text: &str) -> Self {
        self.files.push((name, text.to_owned()));
        self
    }

    fn program(&self) -> Program {
        let files: Vec<Arc<SourceText>> = self
            .files
            .iter()
            .map(|(name, text)| {
                Arc::new(SourceText {
                    name: (*name).to_owned(),
                    text: text.clone(),
                })
            })
            .collect();
        let registry = common::registry();
        let mut context = CompileContext::new(&registry);
        context.environment = self.environment.clone();
        context.sets = self.sets.clone();
        compile(&files, &context).unwrap_or_else(|found| panic!("{found}"))
    }

    /// Of the query, and of its source.
    fn prints(&self) -> (u64, u64) {
        let program = self.program();
        let query = program.queries.iter().find(|q| q.name == "query");
        let source = program.sources.iter().find(|s| s.spec.name == "e");
        (
            query.expect("the query").fingerprint,
            source.expect("the source").fingerprint,
        )
    }
}

#[test]
fn what_does_not_matter_leaves_fingerprints_alone() {
    let expected = base().prints();
    let same = [
        ("another query", base().with("b.sql", OTHER)),
        ("another query before", {
            let mut case = base().with("b.sql", OTHER);
            case.files.rotate_right(1);
            case
        }),
        (
            "white space and comments",
            base().edit(
                "SELECT k, COUNT(*)",
                "SELECT -- the key\n  k,\n  COUNT( * )",
            ),
        ),
        (
            "a view that is not used",
            base().edit("SELECT k FROM e", "SELECT w FROM e"),
        ),
        ("another broker", base().edit("'h:1'", "'h:1,i:1'")),
        (
            "a property of the client",
            base().edit("'h:1'", "'h:1', 'properties.fetch.min.bytes' = '2'"),
        ),
        (
            "how long a quiet partition counts",
            base().edit("'h:1'", "'h:1', 'scan.watermark.idle-timeout' = '9 s'"),
        ),
        ("a password", base().edit("me:old@", "me:new@")),
        ("quotes of a name", base().edit("INTO o", "INTO `o`")),
    ];
    for (what, case) in same {
        assert_eq!(case.prints(), expected, "{what}");
    }
}

#[test]
fn what_matters_changes_the_query() {
    let (query, source) = base().prints();
    let mut topic = base();
    topic.environment = BTreeMap::from([("TOPIC".to_owned(), "b".to_owned())]);
    let mut moved = base();
    moved.sets = vec![("o".into(), "connector".into(), "print".into())];
    // What, the case, whether the source changes with it.
    let cases = [
        ("the statement", base().edit("COUNT(*)", "SUM(v)"), false),
        (
            "EMIT",
            base().edit("window_end;", "window_end EMIT ON WINDOW CLOSE;"),
            false,
        ),
        ("a view of a view", base().edit("v > 1;", "v > 2;"), false),
        ("the environment", topic, true),
        ("a redirect", moved, false),
        ("a computed column", base().edit("v > 10", "v > 11"), true),
        (
            "what is read of transactions",
            base().edit(
                "'h:1'",
                "'h:1', 'properties.isolation.level' = 'read_uncommitted'",
            ),
            true,
        ),
        ("another server", base().edit("@host", "@other"), false),
        (
            "the watermark",
            base().edit("'5' SECOND", "'6' SECOND"),
            true,
        ),
        (
            "a setting of its file",
            base().edit(
                "INSERT INTO o",
                "SET 'table.exec.state.ttl' = '2 h'; INSERT INTO o",
            ),
            false,
        ),
        (
            "a setting for all files",
            base().with("settings.sql", "SET 'table.exec.state.ttl' = '2 h';"),
            false,
        ),
    ];
    for (what, case, with_source) in cases {
        let (other_query, other_source) = case.prints();
        assert_ne!(other_query, query, "{what}");
        assert_eq!(other_source != source, with_source, "{what}");
    }
}

#[test]
fn a_source_does_not_depend_on_the_columns_that_are_read() {
    let one = base().program();
    let two = base().with("b.sql", OTHER).program();
    assert_ne!(one.sources[0].read, two.sources[0].read);
    assert_eq!(one.sources[0].fingerprint, two.sources[0].fingerprint);
}

#[test]
fn a_query_knows_its_file_and_its_statement() {
    let program = base().program();
    let query = &program.queries[0];
    assert_eq!(query.file, "a/query.sql");
    assert!(
        query.sql.starts_with("INSERT INTO o SELECT"),
        "{}",
        query.sql
    );
    assert!(
        query.sql.ends_with("window_start, window_end"),
        "{}",
        query.sql
    );
}
