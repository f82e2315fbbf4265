//! What an operator decides about reading Kafka, and the client properties that are not theirs to set.

use super::{ConsumerError, anew};
use rdkafka::{ClientConfig, config::RDKafkaLogLevel};
use std::{collections::BTreeMap, time::Duration};

/// Where a partition is begun that was never read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    #[default]
    Earliest,
    Latest,
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
    /// Further properties of librdkafka: TLS, SASL, timeouts.
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
    pub(crate) fn client(&self) -> Result<ClientConfig, ConsumerError> {
        if self.topics.is_empty() {
            return Err(ConsumerError::NoTopics);
        }
        let mut client = ClientConfig::new();
        for (name, value) in DEFAULTS {
            client.set(name, value);
        }
        for (name, value) in &self.properties {
            let fixed = FIXED.iter().any(|(fixed, _)| fixed == name);
            let own = ["bootstrap.servers", "group.id"];
            if fixed || own.contains(&name.as_str()) {
                return Err(ConsumerError::ReservedProperty(name.clone()));
            }
            client.set(name, value);
        }
        for (name, value) in FIXED {
            client.set(name, value);
        }
        let debug = client.get("debug").map(|own| format!("{own},{}", anew::DEBUG));
        client.set("debug", debug.as_deref().unwrap_or(anew::DEBUG));
        client.set_log_level(RDKafkaLogLevel::Debug);
        client.set("bootstrap.servers", &self.brokers).set("group.id", &self.group);
        if let Some(instance) = &self.instance {
            client.set("group.instance.id", instance);
        }
        Ok(client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_that_exactly_once_rests_on_cannot_be_set() {
        for name in ["enable.auto.commit", "auto.offset.reset", "group.id"] {
            let mut config = ConsumerConfig::new("localhost:9092", "custos", vec!["doors".into()]);
            config.properties.insert(name.into(), "true".into());
            let error = config.client().unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("remove it"), "{error}");
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
