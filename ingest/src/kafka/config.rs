//! What an operator decides about reading Kafka, and the client properties that are not theirs to set.

use super::{
    anew,
    security::{Security, refuse_own},
    start::Start,
    topics::ByTopic,
};
use rdkafka::{ClientConfig, config::RDKafkaLogLevel, error::KafkaError};
use std::{collections::BTreeMap, time::Duration};

/// A client that cannot be configured so.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("topics is empty: name at least one topic, or a pattern that begins with ^")]
    NoTopics,
    #[error("properties.{0} is set by Custos itself; remove it")]
    ReservedProperty(String),
    #[error("properties.{property} has a setting of its own; remove it, and set {setting}")]
    OwnSetting { property: String, setting: &'static str },
    #[error(
        "properties.{0} would put a secret into the configuration; remove it, and set user and password_file, or \
         certificate and key"
    )]
    SecretProperty(String),
    #[error("the Kafka client refuses its configuration; correct properties")]
    Client(#[source] KafkaError),
}

#[derive(Clone, Debug)]
pub struct ConsumerConfig {
    /// `host:port`, several with commas.
    pub brokers: String,
    pub group: String,
    /// This reader's fixed name in the group (`group.instance.id`), so that a restart is no rebalance. Two
    /// with one name throw each other out.
    pub instance: Option<String>,
    /// Topic names, or patterns that begin with `^`.
    pub topics: Vec<String>,
    pub start: Start,
    /// Of topics that begin elsewhere.
    pub starts: ByTopic<Start>,
    pub security: Security,
    /// Further properties of librdkafka: timeouts, sizes.
    pub properties: BTreeMap<String, String>,
    pub batch_events_max: usize,
    pub batch_bytes_max: usize,
    pub batch_wait: Duration,
    /// Batches on their way to the store at most; beyond it the partitions are paused.
    pub batches_max: usize,
}

impl ConsumerConfig {
    pub fn new(brokers: impl Into<String>, group: impl Into<String>, topics: Vec<String>) -> Self {
        Self {
            brokers: brokers.into(),
            group: group.into(),
            instance: None,
            topics,
            start: Start::default(),
            starts: ByTopic::default(),
            security: Security::default(),
            properties: BTreeMap::new(),
            // A group commit (RELIABILITY §1): 5 ms, 1,000 events or 1 MiB, whichever comes first.
            batch_events_max: 1_000,
            batch_bytes_max: 1 << 20,
            batch_wait: Duration::from_millis(5),
            // 8 MiB: the store takes a group commit of this in some 60 ms.
            batches_max: 8,
        }
    }
}

/// What exactly-once reading rests on (RELIABILITY §2).
const FIXED: [(&str, &str); 8] = [
    // Offsets live in our log. Kafka gets them only to show lag.
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    // An offset that is not there is looked into, never jumped over.
    ("auto.offset.reset", "error"),
    ("check.crcs", "true"),
    // Eager: everything is given back at a rebalance, so that "all in flight is stored" is one wait.
    ("partition.assignment.strategy", "range"),
    ("group.protocol", "classic"),
    ("allow.auto.create.topics", "false"),
    ("enable.partition.eof", "false"),
];

/// What may be overridden.
const DEFAULTS: [(&str, &str); 3] = [
    // 16 MiB of prefetch; librdkafka's own 64 would be a sixteenth of all we may use.
    ("queued.max.messages.kbytes", "16384"),
    // Feeds the lag metric.
    ("statistics.interval.ms", "5000"),
    // A new topic of a pattern is seen within half a minute.
    ("topic.metadata.refresh.interval.ms", "30000"),
];

impl ConsumerConfig {
    /// Whether librdkafka takes the properties; reads no file and connects to nothing.
    pub fn check_properties(&self) -> Result<(), ConfigError> {
        self.client()?.create_native_config().map(drop).map_err(ConfigError::Client)
    }

    pub(crate) fn client(&self) -> Result<ClientConfig, ConfigError> {
        if self.topics.is_empty() {
            return Err(ConfigError::NoTopics);
        }
        let mut client = with_properties(&DEFAULTS, &self.properties, &FIXED)?;
        let debug = client.get("debug").map(|own| format!("{own},{}", anew::DEBUG));
        client.set("debug", debug.as_deref().unwrap_or(anew::DEBUG));
        client.set_log_level(RDKafkaLogLevel::Debug);
        self.security.apply(&mut client);
        client.set("bootstrap.servers", &self.brokers).set("group.id", &self.group);
        if let Some(instance) = &self.instance {
            client.set("group.instance.id", instance);
        }
        Ok(client)
    }
}

/// What is given, over what holds without it; nothing of what is fixed.
pub(crate) fn with_properties(
    defaults: &[(&str, &str)],
    given: &BTreeMap<String, String>,
    fixed: &[(&str, &str)],
) -> Result<ClientConfig, ConfigError> {
    let mut client = ClientConfig::new();
    for (name, value) in defaults {
        client.set(*name, *value);
    }
    for (name, value) in given {
        refuse_own(name)?;
        if fixed.iter().any(|(fixed, _)| fixed == name) {
            return Err(ConfigError::ReservedProperty(name.clone()));
        }
        client.set(name, value);
    }
    for (name, value) in fixed {
        client.set(*name, *value);
    }
    Ok(client)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_that_exactly_once_rests_on_cannot_be_set() {
        for name in ["enable.auto.commit", "auto.offset.reset", "group.id", "sasl.password"] {
            let mut config = ConsumerConfig::new("localhost:9092", "custos", vec!["doors".into()]);
            config.properties.insert(name.into(), "true".into());
            let error = config.client().unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("remove"), "{error}");
        }
    }

    #[test]
    fn other_properties_reach_the_client() {
        let mut config = ConsumerConfig::new("localhost:9092", "custos", vec!["doors".into()]);
        config.properties.insert("queued.max.messages.kbytes".into(), "1024".into());
        config.instance = Some("node-1".into());
        let client = config.client().unwrap();
        assert_eq!(client.get("queued.max.messages.kbytes"), Some("1024"));
        assert_eq!(client.get("group.instance.id"), Some("node-1"));
        assert_eq!(client.get("auto.offset.reset"), Some("error"));
    }
}
