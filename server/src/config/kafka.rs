//! `[kafka]`: the cluster that is read, how it is reached, and what is published to it or to another.

pub(crate) mod publish;
mod reach;

use super::{Sources, host_name, raw, source_type};
use anyhow::{Context as _, anyhow, bail};
use custos_ingest::{
    ConsumerConfig,
    decode::Mappings,
    kafka::{ByTopic, Security, Start},
};
use publish::Publish;
use reach::{Reach, Written};
use std::{collections::BTreeMap, path::PathBuf};

/// The consumer of a real Kafka cluster; its secrets are read when the server starts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kafka {
    pub(crate) reach: Reach,
    pub(crate) group: String,
    /// This machine's fixed name in the group, so that a restart is no rebalance.
    pub(crate) instance: String,
    pub(crate) topics: Vec<String>,
    /// Where partitions are begun that were never read.
    start: Start,
    starts: ByTopic<Start>,
    /// Passed on to librdkafka as they are.
    properties: BTreeMap<String, String>,
    pub(crate) sources: Sources,
}

/// What is read, and what is published.
pub(super) fn check(
    mut raw: raw::Kafka,
    mappings: &Mappings,
    below: &impl Fn(PathBuf) -> PathBuf,
) -> anyhow::Result<(Option<Kafka>, Option<Publish>)> {
    let publish = raw.publish.take();
    let written = Written::of_kafka(&mut raw);
    let named = written != Written::default();
    let reach = named.then(|| reach::check(written, below)).transpose()?;
    let reads = !raw.topics.is_empty() || !raw.sources.is_empty() || raw.start.is_some();
    let kafka = if reads || publish.is_none() {
        let reach = reach.clone().context("brokers is missing: name them as HOST:PORT")?;
        Some(check_consumer(raw, reach, mappings)?)
    } else {
        None
    };
    let publish = publish
        .map(|publish| publish::check(publish, reach, kafka.as_ref(), below))
        .transpose()
        .context("publish")?;
    Ok((kafka, publish))
}

fn check_consumer(raw: raw::Kafka, reach: Reach, mappings: &Mappings) -> anyhow::Result<Kafka> {
    if raw.topics.is_empty() {
        bail!("topics is empty: name the topics to read, or patterns that begin with '^'");
    }
    let (mut starts, mut sources) = (ByTopic::default(), ByTopic::default());
    for one in &raw.sources {
        let place = || format!("topic '{}'", one.topic);
        let kind = source_type(&one.topic, &one.kind, mappings)?;
        if !sources.add(&one.topic, kind).with_context(place)? {
            bail!("{} stands twice in [[kafka.sources]]", place());
        }
        if let Some(start) = &one.start {
            let start = topics_start(&one.topic, start).with_context(place)?;
            starts.add(&one.topic, start).with_context(place)?;
        }
    }
    let usual = match &raw.start {
        None => Start::default(),
        Some(raw::KafkaStart::Text(text)) => start_of_text(text)?,
        Some(_) => bail!("start: an offset is of one topic; set it in its [[kafka.sources]]"),
    };
    let kafka = Kafka {
        reach,
        group: raw.group,
        instance: raw.instance.unwrap_or_else(host_name),
        topics: raw.topics,
        start: usual,
        starts,
        properties: raw.properties,
        sources: Sources(sources),
    };
    kafka.with(Security::default()).check_properties()?;
    Ok(kafka)
}

fn start_of_text(text: &str) -> anyhow::Result<Start> {
    text.parse().map_err(|error| anyhow!("start: {error}"))
}

fn topics_start(topic: &str, raw: &raw::KafkaStart) -> anyhow::Result<Start> {
    let offset = |offset: i64| {
        if offset < 0 {
            bail!("start: {offset} is no offset; the first one is 0");
        }
        Ok(offset)
    };
    let start = match raw {
        raw::KafkaStart::Text(text) => return start_of_text(text),
        raw::KafkaStart::Offset(one) => Start::Offset(offset(*one)?),
        raw::KafkaStart::Offsets(all) => {
            let one = |(partition, one): (&String, &i64)| {
                let partition = partition.parse::<u16>().map_err(|_| {
                    anyhow!("start: '{partition}' is no partition; write {{0 = 1200, 1 = 340}}")
                })?;
                Ok((i32::from(partition), offset(*one)?))
            };
            Start::Offsets(all.iter().map(one).collect::<anyhow::Result<_>>()?)
        }
    };
    if topic.starts_with('^') {
        bail!("start: an offset is of one topic; name it in [[kafka.sources]] of its own");
    }
    Ok(start)
}

impl Kafka {
    /// What the consumer needs, with the files that are named here read.
    pub(crate) fn consumer(&self) -> anyhow::Result<ConsumerConfig> {
        let security = self.reach.security().context("section [kafka]")?;
        Ok(self.with(security))
    }

    /// The topics that are read. A pattern that only the cluster's client understands stands for all.
    pub(crate) fn read(&self) -> ByTopic<()> {
        let mut read = ByTopic::default();
        for topic in &self.topics {
            if read.add(topic, ()).is_err() {
                read.add("^", ()).ok();
            }
        }
        read
    }

    fn with(&self, security: Security) -> ConsumerConfig {
        ConsumerConfig {
            properties: self.properties.clone(),
            instance: Some(self.instance.clone()),
            start: self.start.clone(),
            starts: self.starts.clone(),
            security,
            ..ConsumerConfig::new(&*self.reach.brokers, &*self.group, self.topics.clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use custos_ingest::kafka::Mechanism;
    use std::path::Path;

    fn parse(more: &str) -> anyhow::Result<Kafka> {
        let text =
            format!("[kafka]\nbrokers = \"kafka.bank.example:9093\"\ntopics = [\"a\"]\n{more}");
        Ok(Config::parse(&text, Path::new("/etc/custos"))?.kafka.unwrap())
    }

    #[test]
    fn an_account_and_its_files_are_understood() {
        let kafka = parse(
            "user = \"custos\"\npassword_file = \"kafka.secret\"\nca = \"ca.pem\"\nstart = \"latest\"\n\
             [[kafka.sources]]\ntopic = \"^win-.*\"\ntype = \"windows-evtx\"\nstart = \"earliest\"\n\
             [[kafka.sources]]\ntopic = \"win-doors\"\ntype = \"door\"\nstart = {0 = 1200, 3 = 7}\n\
             [[kafka.sources]]\ntopic = \"b\"\nstart = 40\n",
        )
        .unwrap();
        let account = kafka.reach.account.clone().unwrap();
        assert_eq!(account.password_file, Path::new("/etc/custos/kafka.secret"));
        assert_eq!(account.mechanism, Mechanism::ScramSha512);
        assert_eq!(kafka.reach.tls.clone().unwrap().ca, Some("/etc/custos/ca.pem".into()));
        assert_eq!(kafka.start, Start::Latest);
        assert_eq!(kafka.starts.of("win-web"), Some(&Start::Earliest));
        let offsets = Start::Offsets([(0, 1_200), (3, 7)].into());
        assert_eq!(kafka.starts.of("win-doors"), Some(&offsets));
        assert_eq!(kafka.starts.of("b"), Some(&Start::Offset(40)));
        let types = ["win-web", "win-doors", "b"].map(|topic| kafka.sources.of(topic));
        let expected = ["windows-evtx", "door", "auto"];
        assert_eq!(types, expected.map(|name| Mappings::default().source_type(name).unwrap()));
        let error = format!("{:#}", kafka.consumer().unwrap_err());
        assert!(error.contains("[kafka]") && error.contains("kafka.secret"), "{error}");
    }

    #[test]
    fn what_does_not_hold_is_refused_with_its_mend() {
        let user = "user = \"custos\"\npassword_file = \"p\"\n";
        for (more, parts) in [
            (user.to_owned(), &["kafka.bank.example:9093", "without TLS", "tls = false"][..]),
            (format!("{user}mechanism = \"GSSAPI\"\nca = \"c\"\n"), &["GSSAPI", "SCRAM-SHA-512"]),
            ("user = \"custos\"\n".into(), &["password_file"]),
            ("certificate = \"c\"\n".into(), &["certificate and key"]),
            ("tls = false\nca = \"c\"\n".into(), &["drop one"]),
            (
                "properties = {\"sasl.password\" = \"x\"}\n".into(),
                &["sasl.password", "password_file"],
            ),
            ("properties = {\"no.such\" = \"x\"}\n".into(), &["no.such"]),
            ("start = \"noon\"\n".into(), &["[kafka]", "'noon'", "2026-11-01"]),
            ("start = 7\n".into(), &["start", "of one topic", "[[kafka.sources]]"]),
            ("start = true\n".into(), &["PARTITION = OFFSET"]),
            ("sources = [{topic=\"b\", start=-1}]\n".into(), &["'b'", "-1 is no offset"]),
            ("sources = [{topic=\"^b\", start=1}]\n".into(), &["'^b'", "of one topic"]),
            ("sources = [{topic=\"b\", start={x=1}}]\n".into(), &["'b'", "'x' is no partition"]),
            ("sources = [{topic=\"^(\", type=\"door\"}]\n".into(), &["topic '^('"]),
            ("sources = [{topic=\"b\"}, {topic=\"b\"}]\n".into(), &["'b'", "twice"]),
        ] {
            let error = format!("{:#}", parse(&more).unwrap_err());
            assert!(parts.iter().all(|part| error.contains(part)), "{parts:?} in: {error}");
        }
    }

    #[test]
    fn without_tls_a_password_goes_where_it_is_said_in_writing() {
        let user = "user = \"custos\"\npassword_file = \"p\"\n";
        assert!(parse(&format!("{user}tls = false\n")).unwrap().reach.tls.is_none());
    }
}
