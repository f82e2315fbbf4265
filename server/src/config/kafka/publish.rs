//! `[kafka.publish]`: which topics are told of what, in the cluster that is read or in another.

use super::{
    Kafka,
    reach::{self, Reach, Written},
};
use crate::config::raw;
use anyhow::{Context as _, bail};
use custos_event::Publication;
use custos_ingest::kafka::{ByTopic, ProducerConfig, Security};
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

/// Where a topic begins to which nothing was ever published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Start {
    /// With what happens from now on.
    #[default]
    End,
    /// With the first fact that the journal holds.
    First,
}

/// What is published; its secrets are read when the server starts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Publish {
    pub(crate) reach: Reach,
    /// Where the cluster is named.
    section: &'static str,
    /// Passed on to librdkafka as they are.
    properties: BTreeMap<String, String>,
    /// One topic or two.
    pub(crate) topics: Vec<(Publication, String)>,
    pub(crate) start: Start,
}

pub(super) fn check(
    mut raw: raw::Publish,
    of_kafka: Option<Reach>,
    reads: Option<&Kafka>,
    below: &impl Fn(PathBuf) -> PathBuf,
) -> anyhow::Result<Publish> {
    let topics = check_topics(&raw)?;
    let written = Written::of_publish(&mut raw);
    let is_own = written.brokers.is_some();
    if !is_own && written != Written::default() {
        bail!(
            "user, TLS and the like are those of [kafka] where brokers is not set; set brokers, or drop them"
        );
    }
    let (section, reach) = if is_own {
        ("[kafka.publish]", reach::check(written, below)?)
    } else {
        let reach = of_kafka.context("brokers is missing: set it here or in [kafka]")?;
        ("[kafka]", reach)
    };
    if let Some(kafka) = reads.filter(|kafka| kafka.reach.brokers == reach.brokers) {
        refuse_circle(&topics, kafka)?;
    }
    let start = match raw.start.as_deref() {
        None | Some("end") => Start::End,
        Some("first") => Start::First,
        Some(other) => bail!("start = \"{other}\" is unknown; end and first are possible"),
    };
    let publish = Publish { reach, section, properties: raw.properties, topics, start };
    for (_, topic) in &publish.topics {
        publish.with(topic, Security::default()).check_properties()?;
    }
    Ok(publish)
}

fn check_topics(raw: &raw::Publish) -> anyhow::Result<Vec<(Publication, String)>> {
    let named = [(Publication::Alerts, &raw.alerts), (Publication::Facts, &raw.facts)];
    let topics: Vec<_> =
        named.into_iter().filter_map(|(what, topic)| Some((what, topic.clone()?))).collect();
    if topics.is_empty() {
        bail!("no topic is named: set alerts, facts or both");
    }
    for (_, topic) in &topics {
        // As brokers have it.
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if !(1..=249).contains(&topic.len())
            || !topic.chars().all(is_name)
            || topic.starts_with('.')
        {
            bail!("'{topic}' is no name of a topic: letters, digits, '.', '_' and '-', up to 249");
        }
    }
    if let [(_, one), (_, other)] = topics.as_slice()
        && one == other
    {
        bail!("alerts and facts are both '{one}': name two topics");
    }
    Ok(topics)
}

/// What is published and read again would be published again, without end.
fn refuse_circle(topics: &[(Publication, String)], kafka: &Kafka) -> anyhow::Result<()> {
    let mut read = ByTopic::default();
    for topic in &kafka.topics {
        // A pattern of librdkafka's that is none here is judged by its broker.
        read.add(topic, ()).ok();
    }
    match topics.iter().find(|(_, topic)| read.of(topic).is_some()) {
        Some((_, topic)) => bail!(
            "Custos would read what it publishes: [kafka] topics takes '{topic}' too; name another topic, or let the \
             pattern leave it out"
        ),
        None => Ok(()),
    }
}

impl Publish {
    /// Refuses Custos' own listener: what is published there would be read, and published again.
    pub(crate) fn refuse_listener(
        &self,
        listen: SocketAddr,
        advertised: Option<&(String, u16)>,
    ) -> anyhow::Result<()> {
        let advertised = advertised.map(|(host, port)| format!("{host}:{port}"));
        let own = [Some(listen.to_string()), advertised];
        let mut brokers = self.reach.brokers.split(',').map(str::trim);
        match brokers.find(|broker| own.iter().flatten().any(|own| own == broker)) {
            Some(broker) => bail!(
                "{broker} is Custos' own [listener], which would take in what is published; name the brokers of a \
                 cluster"
            ),
            None => Ok(()),
        }
    }

    /// What the producer of one topic needs, with the files that are named here read.
    pub(crate) fn producer(&self, topic: &str) -> anyhow::Result<ProducerConfig> {
        let security =
            self.reach.security().with_context(|| format!("section {}", self.section))?;
        Ok(self.with(topic, security))
    }

    fn with(&self, topic: &str, security: Security) -> ProducerConfig {
        ProducerConfig {
            brokers: self.reach.brokers.clone(),
            security,
            properties: self.properties.clone(),
            topic: topic.to_owned(),
            section: self.section,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::path::Path;

    fn parse(text: &str) -> anyhow::Result<Config> {
        Config::parse(text, Path::new("/etc/custos"))
    }

    #[test]
    fn the_cluster_that_is_read_is_published_to_unless_another_is_named() {
        let read = "[kafka]\nbrokers = \"k:9093\"\ntls = true\ntopics = [\"a\"]\n";
        let shared = parse(&format!("{read}[kafka.publish]\nalerts = \"x\"\n")).unwrap();
        let publish = shared.publish.unwrap();
        assert_eq!(publish.reach, shared.kafka.unwrap().reach);
        assert_eq!(publish.topics, [(Publication::Alerts, "x".into())]);
        assert_eq!((publish.start, publish.section), (Start::End, "[kafka]"));
        let own = "[kafka.publish]\nfacts = \"y\"\nstart = \"first\"\nbrokers = \"l:9092\"\nca = \"lake.pem\"\n\
                   properties = { \"compression.codec\" = \"zstd\" }\n";
        let other = parse(&format!("{read}{own}")).unwrap().publish.unwrap();
        assert_eq!((other.reach.brokers.as_str(), other.section), ("l:9092", "[kafka.publish]"));
        assert_eq!(other.reach.tls.clone().unwrap().ca, Some("/etc/custos/lake.pem".into()));
        let alone = parse(own).unwrap();
        assert_eq!((alone.kafka, alone.publish), (None, Some(other)));
        let unread =
            parse("[kafka]\nbrokers = \"k:1\"\n[kafka.publish]\nalerts = \"x\"\n").unwrap();
        assert!(unread.kafka.is_none() && unread.publish.is_some());
    }

    #[test]
    fn what_does_not_hold_is_refused_with_its_mend() {
        for (text, parts) in [
            (
                "[kafka]\nbrokers = \"k:1\"\n[kafka.publish]\n",
                &["[kafka]", "publish", "no topic"][..],
            ),
            ("[kafka.publish]\nalerts = \"x\"\n", &["brokers is missing", "[kafka]"]),
            ("[kafka.publish]\nalerts = \"a b\"\n", &["'a b'", "no name of a topic"]),
            ("[kafka.publish]\nalerts = \"x\"\nfacts = \"x\"\n", &["both 'x'"]),
            ("[kafka.publish]\nalerts = \"x\"\nca = \"c\"\n", &["set brokers, or drop"]),
            (
                "[kafka.publish]\nalerts = \"x\"\nbrokers = \"k:1\"\nstart = \"latest\"\n",
                &["'latest'", "end and first"],
            ),
            (
                "[kafka.publish]\nalerts = \"x\"\nbrokers = \"k:1\"\nproperties = { retries = \"1\" }\n",
                &["properties.retries", "remove"],
            ),
            (
                "[kafka.publish]\nalerts = \"x\"\nbrokers = \"k:1\"\nproperties = { \"no.such\" = \"1\" }\n",
                &["no.such"],
            ),
            (
                "[kafka.publish]\nalerts = \"x\"\nbrokers = \"bank.example:1\"\nuser = \"u\"\npassword_file = \"p\"\n",
                &["bank.example:1", "without TLS"],
            ),
            (
                "[kafka]\nbrokers = \"k:1\"\ntopics = [\"^custos.*\"]\n[kafka.publish]\nfacts = \"custos.facts\"\n",
                &["would read what it publishes", "'custos.facts'"],
            ),
            (
                "[listener]\nlisten = \"127.0.0.1:9092\"\nauto_create = true\n\
                 [kafka.publish]\nalerts = \"x\"\nbrokers = \"127.0.0.1:9092\"\n",
                &["127.0.0.1:9092", "own [listener]"],
            ),
        ] {
            let error = format!("{:#}", parse(text).unwrap_err()).replace('"', "'");
            assert!(parts.iter().all(|part| error.contains(part)), "{parts:?} in: {error}");
        }
    }
}
