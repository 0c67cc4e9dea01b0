//! The folder `queries/` compiles as one catalogue.

mod common;

#[test]
fn the_shipped_queries_compile() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../queries");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("queries/") {
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
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(n, t)| (n.as_str(), t.as_str()))
        .collect();
    match common::compiled(&files) {
        Ok(program) => assert!(program.queries.len() > 10, "{}", program.queries.len()),
        Err(errors) => panic!("{errors}"),
    }
}
