//! Tables whose format brings columns.

use crate::common::registry;
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use std::sync::Arc;
use tidewheel_core::{
    ConnectorError, DecodeRequest, Decoder, Diagnostics, Format, SourceText, TableSpec,
};
use tidewheel_sql::plan::Program;
use tidewheel_sql::{CompileContext, compile};

/// A format that brings columns, and is only read.
struct Wide;

impl Format for Wide {
    fn name(&self) -> &'static str {
        "wide"
    }

    fn options(&self) -> &'static [&'static str] {
        &[]
    }

    fn columns(&self) -> Vec<FieldRef> {
        let thing = vec![
            Field::new("id", DataType::Utf8View, true),
            Field::new("price", DataType::Float64, true),
        ];
        let things = DataType::new_list(DataType::Struct(thing.into()), true);
        [
            ("who", DataType::Utf8View),
            ("at", DataType::Timestamp(TimeUnit::Millisecond, None)),
            ("things", things),
        ]
        .map(|(name, data_type)| Arc::new(Field::new(name, data_type, true)))
        .into()
    }

    fn writes(&self) -> bool {
        false
    }

    fn check(&self, table: &TableSpec) -> Result<(), ConnectorError> {
        match table.schema.field_with_name("never") {
            Ok(_) => Err(ConnectorError::new("no record has 'never'")),
            Err(_) => Ok(()),
        }
    }

    fn decoder(&self, _: &DecodeRequest) -> Result<Box<dyn Decoder>, ConnectorError> {
        Err(ConnectorError::new("not in this test"))
    }
}

fn compiled(text: &str) -> Result<Program, Diagnostics> {
    let file = Arc::new(SourceText {
        name: "wide.sql".to_owned(),
        text: text.to_owned(),
    });
    let mut registry = registry();
    registry.add_format(Arc::new(Wide));
    compile(&[file], &CompileContext::new(&registry))
}

const WITH: &str = "WITH ('connector' = 'file', 'path' = 'e', 'format' = 'wide')";
const OUT: &str = "CREATE TABLE out (a STRING) WITH ('connector' = 'print');";

/// The columns that the one source reads.
fn reads(text: &str) -> Vec<String> {
    let program = compiled(text).unwrap_or_else(|found| panic!("{found}"));
    let read = program.sources[0].read.iter();
    read.map(|column| format!("{}: {}", column.path.join("."), column.data_type))
        .collect()
}

#[test]
fn a_table_without_columns_has_those_of_its_format() {
    for columns in ["", "(WATERMARK FOR at AS at - INTERVAL '5' SECOND)"] {
        let text =
            format!("CREATE TABLE e {columns} {WITH}; {OUT} INSERT INTO out SELECT who FROM e;");
        let program = compiled(&text).unwrap_or_else(|found| panic!("{found}"));
        let table = program
            .tables
            .iter()
            .find(|table| table.name == "e")
            .unwrap();
        let names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["who", "at", "things"]);
        let read: Vec<&str> = program.sources[0]
            .read
            .iter()
            .map(|r| r.path[0].as_str())
            .collect();
        assert!(
            read.contains(&"who") && !read.contains(&"things"),
            "{read:?}"
        );
    }
}

#[test]
fn declared_columns_stand_before_and_replace() {
    let text = format!(
        "CREATE TABLE e (own BIGINT, things ARRAY<ROW<id STRING>>, who AS CAST(own AS STRING)) {WITH};
         {OUT} INSERT INTO out SELECT who || things[1].id FROM e;"
    );
    let program = compiled(&text).unwrap_or_else(|found| panic!("{found}"));
    let table = program
        .tables
        .iter()
        .find(|table| table.name == "e")
        .unwrap();
    let names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["own", "things", "who", "at"]);
    let read = reads(&text);
    assert_eq!(read.len(), 2, "{read:?}");
    assert!(
        read.iter().all(|column| !column.contains("price")),
        "{read:?}"
    );
}

#[test]
fn of_a_struct_written_out_only_what_is_read_is_made() {
    let text = format!(
        "CREATE TABLE e (
           all_of AS NAMED_STRUCT('in', NAMED_STRUCT('who', who, 'first', things[1]), 'at', at)
         ) {WITH};
         {OUT} INSERT INTO out SELECT all_of.`in`.who FROM e;"
    );
    assert_eq!(reads(&text), ["who: Utf8View"]);
}

#[test]
fn a_format_may_refuse_a_table_and_being_written() {
    let refused = |text: &str| {
        compiled(text)
            .err()
            .map(|found| found.to_string())
            .unwrap_or_default()
    };
    let found = refused(&format!(
        "CREATE TABLE e (never STRING) {WITH}; {OUT} INSERT INTO out SELECT never FROM e;"
    ));
    assert!(found.contains("no record has 'never'"), "{found}");
    let found = refused(&format!(
        "CREATE TABLE e {WITH}; CREATE TABLE w (who STRING) {WITH}; INSERT INTO w (who) SELECT who FROM e;"
    ));
    assert!(found.contains("'wide' can only be read"), "{found}");
}
