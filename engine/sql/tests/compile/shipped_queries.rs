//! The folder `queries/` compiles as one catalogue, and so do its alternatives beside the events.

use crate::common;
use std::path::Path;

fn sql_files(folder: &Path) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|e| e == "sql") {
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            files.push((name, std::fs::read_to_string(&path).expect("readable")));
        }
    }
    files.sort();
    files
}

fn plan_of(files: &[(String, String)]) -> String {
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(n, t)| (n.as_str(), t.as_str()))
        .collect();
    match common::compiled(&files) {
        Ok(program) => tidewheel_sql::explain(&program),
        Err(errors) => panic!("{errors}"),
    }
}

#[test]
fn the_shipped_queries_compile() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../queries");
    let plan = plan_of(&sql_files(&folder));
    println!("{plan}");
    assert_eq!(plan.matches("source ").count(), 1, "one scan serves all");
    assert!(!plan.contains("read payload STRUCT") && !plan.contains("read payload ROW"));
}

#[test]
fn the_alternatives_compile_beside_the_events() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../queries");
    let mut files = sql_files(&folder);
    files.retain(|(name, _)| name == "events.sql");
    // Another shape of the events stands in their place, and needs a format that is not here.
    let beside = sql_files(&folder.join("alternatives"));
    files.extend(
        beside
            .into_iter()
            .filter(|(name, _)| !name.starts_with("events_")),
    );
    let plan = plan_of(&files);
    println!("{plan}");
    assert!(plan.contains(": LAG("), "{plan}");
}
