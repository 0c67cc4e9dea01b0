//! The connector's face.

use super::options;
use super::properties::client_config;
use super::sink::{self, KafkaSink};
use super::source::KafkaSource;
use tidewheel_core::{
    Connector, ConnectorError, Sink, SinkRequest, Source, SourceRequest, TableSpec,
};

/// `'connector' = 'kafka'`, source and sink.
#[derive(Debug, Clone, Copy, Default)]
pub struct KafkaConnector;

impl Connector for KafkaConnector {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn source_options(&self) -> &'static [&'static str] {
        &[
            "topic",
            "topic-pattern",
            "properties.",
            "scan.startup.mode",
            "scan.startup.timestamp-millis",
            "scan.startup.specific-offsets",
            "scan.bounded.mode",
            "scan.bounded.timestamp-millis",
            "scan.bounded.specific-offsets",
            "scan.topic-partition-discovery.interval",
            "scan.topic-missing-timeout",
            "scan.on-reset",
            "scan.reset-check.interval",
        ]
    }

    fn sink_options(&self) -> &'static [&'static str] {
        &["topic", "properties.", "sink.delivery-guarantee"]
    }

    fn secret_options(&self) -> &'static [&'static str] {
        &[
            "properties.sasl.password",
            "properties.sasl.jaas.config",
            "properties.sasl.oauthbearer.client.secret",
            "properties.ssl.key.password",
            "properties.ssl.key.pem",
            "properties.ssl.keystore.password",
        ]
    }

    fn check(&self, table: &TableSpec, as_sink: bool) -> Result<(), ConnectorError> {
        if !as_sink {
            return options::source_config(table).map(|_| ());
        }
        options::topic(&table.options)?;
        client_config(&table.options)?;
        sink::check(table)
    }

    fn source(&self, request: &SourceRequest) -> Result<Box<dyn Source>, ConnectorError> {
        Ok(Box::new(KafkaSource::open(request)?))
    }

    fn sink(&self, request: &SinkRequest) -> Result<Box<dyn Sink>, ConnectorError> {
        Ok(Box::new(KafkaSink::open(request)?))
    }
}
