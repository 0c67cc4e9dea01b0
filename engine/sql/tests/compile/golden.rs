//! Files of SQL beside what comes of them: `errors/*.sql` with the errors, `plans/*.sql` with the
//! plan. Each begins with the tables of `../tables.sql`. With `TIDEWHEEL_BLESS=1` in the
//! environment the expectations are written anew.

use crate::common;
use std::path::Path;

const TABLES: &str = include_str!("../tables.sql");

fn check(folder: &str, render: impl Fn(&str, &str) -> String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(folder);
    let bless = std::env::var("TIDEWHEEL_BLESS").is_ok();
    let mut cases = 0;
    let mut wrong = String::new();
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "sql"))
        .collect();
    paths.sort();
    for path in paths {
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let text = std::fs::read_to_string(&path).expect("readable");
        let shown = render(&name, &text);
        let expected_at = path.with_extension("expected");
        if bless {
            std::fs::write(&expected_at, &shown).expect("writable");
        }
        let expected = std::fs::read_to_string(&expected_at).unwrap_or_default();
        cases += 1;
        if shown != expected {
            wrong.push_str(&format!(
                "--- {name}: expected\n{expected}--- got\n{shown}\n"
            ));
        }
    }
    assert!(cases > 0, "no cases");
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn errors_say_where_and_what_to_write() {
    check("errors", |name, text| {
        match common::compiled(&[("tables.sql", TABLES), (name, text)]) {
            Ok(_) => "compiled\n".to_owned(),
            Err(errors) => errors.to_string(),
        }
    });
}

#[test]
fn plans_are_as_expected() {
    check("plans", |name, text| {
        match common::compiled(&[("tables.sql", TABLES), (name, text)]) {
            Ok(program) => tidewheel_sql::explain(&program),
            Err(errors) => format!("REFUSED\n{errors}"),
        }
    });
}
