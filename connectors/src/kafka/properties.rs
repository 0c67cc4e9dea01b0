//! The options `properties.*`: what goes to librdkafka as it is, and what a Flink user has
//! written for the Java client and means something else here.

use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use tidewheel_core::{ConnectorError, Options};

const PREFIX: &str = "properties.";

/// Properties of the Java client that have no meaning here and do no harm.
const IGNORED: [&str; 10] = [
    "auto.commit.interval.ms",
    "auto.offset.reset",
    "default.api.timeout.ms",
    "enable.auto.commit",
    "key.deserializer",
    "key.serializer",
    "max.poll.records",
    "partition.discovery.interval.ms",
    "value.deserializer",
    "value.serializer",
];

/// Properties of the Java client under librdkafka's names.
const RENAMED: [(&str, &str); 5] = [
    ("fetch.max.wait.ms", "fetch.wait.max.ms"),
    ("buffer.memory", "queue.buffering.max.kbytes"),
    ("receive.buffer.bytes", "socket.receive.buffer.bytes"),
    ("request.timeout.ms", "socket.timeout.ms"),
    ("send.buffer.bytes", "socket.send.buffer.bytes"),
];

/// Properties of the Java client that cannot be taken over, and what to write instead.
const REFUSED: [(&str, &str); 7] = [
    (
        "ssl.keystore.location",
        "properties.ssl.keystore.location takes PKCS#12 only",
    ),
    (
        "ssl.keystore.type",
        "give a PKCS#12 file as 'properties.ssl.keystore.location'",
    ),
    (
        "ssl.truststore.location",
        "give the certificates as PEM in 'properties.ssl.ca.location'",
    ),
    (
        "ssl.truststore.password",
        "give the certificates as PEM in 'properties.ssl.ca.location'",
    ),
    (
        "ssl.truststore.type",
        "give the certificates as PEM in 'properties.ssl.ca.location'",
    ),
    (
        "sasl.client.callback.handler.class",
        "Java classes cannot be loaded",
    ),
    (
        "sasl.login.callback.handler.class",
        "Java classes cannot be loaded",
    ),
];

/// The client's configuration out of a table's options.
///
/// # Errors
/// A property is not known, its value is wrong, or it cannot be taken over from Java.
pub(super) fn client_config(options: &Options) -> Result<ClientConfig, ConnectorError> {
    let mut config = ClientConfig::new();
    for (name, value) in options.with_prefix(PREFIX) {
        let wrong =
            |message: &str| ConnectorError::option(format!("{PREFIX}{name}"), message.to_owned());
        if name == "sasl.jaas.config" {
            let (user, password) = jaas_login(value).ok_or_else(|| {
                wrong(
                    "no username and password can be read from it; write \
                     'properties.sasl.username' and 'properties.sasl.password'",
                )
            })?;
            config
                .set("sasl.username", user)
                .set("sasl.password", password);
        } else if name == "buffer.memory" {
            let bytes: u64 = value
                .trim()
                .parse()
                .map_err(|_| wrong("write a number of bytes"))?;
            config.set(
                "queue.buffering.max.kbytes",
                (bytes / 1024).max(1).to_string(),
            );
        } else if name == "ssl.endpoint.identification.algorithm" {
            config.set(name, if value.is_empty() { "none" } else { value });
        } else if let Some((_, advice)) = REFUSED
            .iter()
            .find(|(java, _)| *java == name && *java != "ssl.keystore.location")
        {
            return Err(wrong(&format!(
                "it belongs to Kafka's Java client; {advice}"
            )));
        } else if let Some((_, renamed)) = RENAMED.iter().find(|(java, _)| *java == name) {
            config.set(*renamed, value);
        } else if !IGNORED.contains(&name) {
            config.set(name, value);
        }
    }
    if config
        .get("bootstrap.servers")
        .is_none_or(|servers| servers.trim().is_empty())
        && config.get("metadata.broker.list").is_none()
    {
        return Err(ConnectorError::new(
            "the option 'properties.bootstrap.servers' is missing; write host:port of the brokers",
        ));
    }
    config.create_native_config().map_err(config_error)?;
    Ok(config)
}

/// What is wrong with a configuration, at the option that holds it.
pub(super) fn config_error(error: KafkaError) -> ConnectorError {
    match error {
        KafkaError::ClientConfig(_, description, key, _) => ConnectorError::option(
            format!("{PREFIX}{key}"),
            format!(
                "{}; see librdkafka's CONFIGURATION.md for what it takes",
                lower(&description)
            ),
        ),
        other => ConnectorError::new(other.to_string()),
    }
}

fn lower(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |c| {
        c.to_lowercase().collect::<String>() + chars.as_str()
    })
}

/// User and password of a line such as `…LoginModule required username="a" password="b";`.
fn jaas_login(text: &str) -> Option<(String, String)> {
    let value = |name: &str| {
        let rest = text.split_once(&format!("{name}="))?.1;
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        Some(rest[1..].split_once(quote)?.0.to_owned())
    };
    Some((value("username")?, value("password")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Result<ClientConfig, ConnectorError> {
        let servers = ("properties.bootstrap.servers", "localhost:1");
        client_config(&pairs.iter().copied().chain([servers]).collect())
    }

    #[test]
    fn names_of_the_java_client_are_taken_over_or_refused_with_advice() {
        let taken = config(&[
            ("properties.max.poll.records", "500"),
            ("properties.request.timeout.ms", "30000"),
            ("properties.group.id", "g"),
            ("properties.ssl.endpoint.identification.algorithm", ""),
            (
                "properties.sasl.jaas.config",
                "org.apache.kafka.common.security.plain.PlainLoginModule required \
                 username=\"ann\" password=\"s=3\";",
            ),
        ])
        .expect("taken");
        assert_eq!(taken.get("socket.timeout.ms"), Some("30000"));
        assert_eq!(taken.get("sasl.username"), Some("ann"));
        assert_eq!(taken.get("sasl.password"), Some("s=3"));
        assert_eq!(
            taken.get("ssl.endpoint.identification.algorithm"),
            Some("none")
        );
        assert_eq!(taken.get("max.poll.records"), None);
        let refused = config(&[("properties.ssl.truststore.location", "a.jks")]).expect_err("no");
        assert!(
            refused.message.contains("properties.ssl.ca.location"),
            "{refused}"
        );
    }

    #[test]
    fn unknown_properties_are_named() {
        let error = config(&[("properties.group.identity", "g")]).expect_err("unknown");
        assert_eq!(error.option.as_deref(), Some("properties.group.identity"));
        let error = config(&[("properties.fetch.min.bytes", "many")]).expect_err("wrong");
        assert_eq!(error.option.as_deref(), Some("properties.fetch.min.bytes"));
        let error = client_config(&Options::default()).expect_err("missing");
        assert!(
            error.message.contains("properties.bootstrap.servers"),
            "{error}"
        );
    }
}
