//! Connectors and formats that are only names and options, and a compile in one line.

use std::sync::Arc;
use tidewheel_core::{
    Connector, ConnectorError, DecodeRequest, Decoder, Diagnostics, Format, Registry, Sink,
    SinkRequest, Source, SourceRequest, SourceText, TableSpec,
};
use tidewheel_sql::plan::Program;
use tidewheel_sql::{CompileContext, compile};

struct Named {
    name: &'static str,
    source: &'static [&'static str],
    sink: &'static [&'static str],
    format: bool,
}

impl Connector for Named {
    fn name(&self) -> &'static str {
        self.name
    }

    fn source_options(&self) -> &'static [&'static str] {
        self.source
    }

    fn sink_options(&self) -> &'static [&'static str] {
        self.sink
    }

    fn check(&self, table: &TableSpec, _: bool) -> Result<(), ConnectorError> {
        match table.options.get("layout") {
            Some("string" | "hash" | "json" | "sorted-set") | None => Ok(()),
            Some(other) => Err(ConnectorError::option(
                "layout",
                format!("no layout '{other}'"),
            )),
        }
    }

    fn needs_format(&self) -> bool {
        self.format
    }

    fn secret_options(&self) -> &'static [&'static str] {
        match self.name {
            "redis" => &["url", "password"],
            _ => &[],
        }
    }

    fn source(&self, _: &SourceRequest) -> Result<Box<dyn Source>, ConnectorError> {
        Err(ConnectorError::new("not in this test"))
    }

    fn sink(&self, _: &SinkRequest) -> Result<Box<dyn Sink>, ConnectorError> {
        Err(ConnectorError::new("not in this test"))
    }
}

struct Json;

impl Format for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn options(&self) -> &'static [&'static str] {
        &["json.ignore-parse-errors", "json.timestamp-format.standard"]
    }

    fn decoder(&self, _: &DecodeRequest) -> Result<Box<dyn Decoder>, ConnectorError> {
        Err(ConnectorError::new("not in this test"))
    }
}

/// The connectors that the tests' tables name.
pub(crate) fn registry() -> Registry {
    let mut registry = Registry::default();
    let kafka: &[&str] = &[
        "topic",
        "properties.",
        "scan.startup.mode",
        "scan.bounded.mode",
    ];
    let redis: &[&str] = &["url", "layout", "key", "field", "member", "score", "limit"];
    let file: &[&str] = &["path"];
    for connector in [
        Named {
            name: "kafka",
            source: kafka,
            sink: &["topic", "properties."],
            format: true,
        },
        Named {
            name: "redis",
            source: &[],
            sink: redis,
            format: false,
        },
        Named {
            name: "file",
            source: file,
            sink: file,
            format: true,
        },
        Named {
            name: "log",
            source: file,
            sink: file,
            format: true,
        },
        Named {
            name: "store",
            source: &[],
            sink: file,
            format: false,
        },
        Named {
            name: "print",
            source: &[],
            sink: &[],
            format: false,
        },
        Named {
            name: "blackhole",
            source: &[],
            sink: &[],
            format: false,
        },
    ] {
        registry.add_connector(Arc::new(connector));
    }
    registry.add_format(Arc::new(Json));
    registry
}

/// Compiles files given as name and text.
pub(crate) fn compiled(files: &[(&str, &str)]) -> Result<Program, Diagnostics> {
    let files: Vec<Arc<SourceText>> = files
        .iter()
        .map(|(name, text)| {
            Arc::new(SourceText {
                name: (*name).to_owned(),
                text: (*text).to_owned(),
            })
        })
        .collect();
    let registry = registry();
    compile(&files, &CompileContext::new(&registry))
}
