//! A real Apache Kafka node (`KRaft`, broker and controller in one) on free loopback ports, in a folder of
//! its own, ended by its own process id.

use crate::{
    data::skipped,
    process::{Running, free_port},
    root, wait,
};
use anyhow::{Context, Result, bail};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    config::FromClientConfig,
    consumer::{BaseConsumer, Consumer},
    message::{BorrowedMessage, Headers as _},
    metadata::MetadataTopic,
};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tempfile::TempDir;

/// A cold JVM on two busy cores needs up to half a minute.
const START_LIMIT: Duration = Duration::from_mins(2);

/// Kafka flushes and leaves its quorum when asked to end; seconds, not minutes.
const STOP_LIMIT: Duration = Duration::from_mins(1);

/// One request to a broker that is up.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// The jars of Apache Kafka, as tests/run.sh fetches them.
#[derive(Clone, Debug)]
pub struct Libs(PathBuf);

impl Libs {
    /// A PATH on which Kafka's `kafka-console-producer.sh` stands first, made in `folder`.
    pub fn console_producer(&self, folder: &Path) -> Result<OsString> {
        use std::os::unix::fs::PermissionsExt as _;
        let script = folder.join("kafka-console-producer.sh");
        let jars = self.0.display();
        fs::write(
            &script,
            format!(
                "#!/bin/sh\nexec java -cp '{jars}/*' org.apache.kafka.tools.ConsoleProducer \"$@\"\n"
            ),
        )?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
        let mut path = folder.as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        Ok(path)
    }
}

/// What a node has besides the listener that asks nobody.
#[derive(Debug, Default)]
pub struct More {
    /// Name, port, protocol.
    pub listeners: Vec<(&'static str, u16, &'static str)>,
    /// Lines of server.properties.
    pub properties: String,
    /// As `--add-scram` takes them.
    pub users: Vec<String>,
}

/// One record as it lies in a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub partition: i32,
    pub offset: i64,
    pub key: Vec<u8>,
    pub value: Vec<u8>,
    pub headers: BTreeMap<String, String>,
}

/// A Kafka node. It ends with this value.
#[derive(Debug)]
pub struct Kafka {
    libs: Libs,
    folder: TempDir,
    port: u16,
    running: Running,
}

impl Kafka {
    /// Where the jars are: `$CUSTOS_TEST_KAFKA`, else `.cache/kafka`. `None`, said aloud, where they are
    /// absent; tests/run.sh always has them.
    pub fn locate() -> Option<Libs> {
        let folder = std::env::var_os("CUSTOS_TEST_KAFKA")
            .map_or_else(|| root().join(".cache/kafka"), PathBuf::from);
        let found = fs::read_dir(&folder).is_ok_and(|entries| {
            entries.flatten().any(|file| file.file_name().to_string_lossy().starts_with("kafka_2."))
        });
        if !found {
            skipped("Apache Kafka not present; `bash tests/run.sh` fetches it");
        }
        found.then_some(Libs(folder))
    }

    /// Formats a storage folder, starts the node and waits until it answers.
    pub fn start(libs: Libs) -> Result<Self> {
        Self::start_with(libs, &More::default())
    }

    /// The same with more listeners.
    pub fn start_with(libs: Libs, more: &More) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("custos-kafka-").tempdir()?;
        let (port, controller) = (free_port()?, free_port()?);
        write_config(folder.path(), port, controller, more)?;
        let mut words = vec!["kafka.tools.StorageTool", "format", "--standalone"];
        words.extend(more.users.iter().flat_map(|user| ["--add-scram", user]));
        libs.run(&words, folder.path())?;
        let running = libs.start(folder.path())?;
        let mut node = Self { libs, folder, port, running };
        node.wait_until_it_answers()?;
        Ok(node)
    }

    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `kill -9`.
    pub fn kill(&mut self) -> Result<()> {
        self.running.kill()
    }

    /// Asks it to end and waits.
    pub fn stop(&mut self) -> Result<()> {
        self.running.terminate(STOP_LIMIT).map(drop)
    }

    /// Starts it again, on the same ports and folder, after [`Self::kill`] or [`Self::stop`].
    pub fn restart(&mut self) -> Result<()> {
        self.running = self.libs.start(self.folder.path())?;
        self.wait_until_it_answers()
    }

    fn wait_until_it_answers(&mut self) -> Result<()> {
        let consumer: BaseConsumer = self.client().create()?;
        let running = &mut self.running;
        let log = self.folder.path().join("kafka.log");
        wait::until("Kafka to answer", START_LIMIT, || {
            if let Some(status) = running.ended()? {
                let log = fs::read_to_string(&log).unwrap_or_default();
                bail!("Kafka ended with {status}:\n{log}\n{}", running.shown());
            }
            // The client itself waits, up to this limit, for the broker to come up.
            Ok(consumer.fetch_metadata(None, Duration::from_secs(2)).ok())
        })?;
        Ok(())
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.brokers())
            .set("reconnect.backoff.max.ms", "200")
            .set("log_level", "0")
            .set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg);
        config
    }

    /// Makes a topic and waits until its partitions have a leader.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<()> {
        self.create_topic_with(name, partitions, &[])
    }

    /// The same with settings of the topic's own.
    pub fn create_topic_with(
        &self,
        name: &str,
        partitions: i32,
        settings: &[(&str, &str)],
    ) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = AdminClient::from_config(&self.client())?;
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let topic = settings.iter().fold(topic, |topic, (name, value)| topic.set(name, value));
        let options = AdminOptions::new().operation_timeout(Some(REQUEST_LIMIT));
        let done = tokio::runtime::Builder::new_current_thread()
            .build()?
            .block_on(admin.create_topics([&topic], &options))?;
        for result in done {
            result.map_err(|(name, code)| anyhow::anyhow!("cannot create topic {name}: {code}"))?;
        }
        let consumer: BaseConsumer = self.client().create()?;
        wait::until("the new topic's leaders", REQUEST_LIMIT, || {
            let metadata = consumer.fetch_metadata(Some(name), REQUEST_LIMIT)?;
            let led = metadata.topics().iter().flat_map(MetadataTopic::partitions);
            let led = led.filter(|partition| partition.leader() >= 0).count();
            Ok((i32::try_from(led)? == partitions).then_some(()))
        })
    }

    /// Deletes a topic and waits until the broker no longer knows it.
    pub fn delete_topic(&self, name: &str) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = AdminClient::from_config(&self.client())?;
        let options = AdminOptions::new().operation_timeout(Some(REQUEST_LIMIT));
        let done = tokio::runtime::Builder::new_current_thread()
            .build()?
            .block_on(admin.delete_topics(&[name], &options))?;
        for result in done {
            result.map_err(|(name, code)| anyhow::anyhow!("cannot delete topic {name}: {code}"))?;
        }
        let consumer: BaseConsumer = self.client().create()?;
        wait::until("the topic to be gone", REQUEST_LIMIT, || {
            let metadata = consumer.fetch_metadata(None, REQUEST_LIMIT)?;
            let known = metadata.topics().iter().any(|topic| topic.name() == name);
            Ok((!known).then_some(()))
        })
    }

    /// Lets go of the records of partition 0 before `offset`, as retention does.
    pub fn delete_before(&self, topic: &str, offset: i64) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = AdminClient::from_config(&self.client())?;
        let options = AdminOptions::new().operation_timeout(Some(REQUEST_LIMIT));
        let mut before = TopicPartitionList::new();
        before.add_partition_offset(topic, 0, Offset::Offset(offset))?;
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let done = runtime.block_on(admin.delete_records(&before, &options))?;
        done.elements().iter().try_for_each(|one| Ok(one.error()?))
    }

    /// How many records each partition of `topic` has had so far.
    pub fn ends(&self, topic: &str) -> Result<Vec<i64>> {
        let consumer: BaseConsumer = self.client().create()?;
        let metadata = consumer.fetch_metadata(Some(topic), REQUEST_LIMIT)?;
        let partitions = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
        (0..i32::try_from(partitions)?)
            .map(|id| Ok(consumer.fetch_watermarks(topic, id, REQUEST_LIMIT)?.1))
            .collect()
    }

    /// How often `group` has come to an assignment, by the broker's own log.
    pub fn generation(&self, group: &str) -> Result<u64> {
        let log = fs::read_to_string(self.folder.path().join("kafka.log"))?;
        let stabilized = format!("Stabilized group {group} generation ");
        let last = log.lines().rev().find_map(|line| line.split_once(&stabilized));
        let Some((_, rest)) = last else { return Ok(0) };
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Ok(digits.parse()?)
    }

    /// How far `group` has told Kafka that it is in `topic`, over all partitions.
    pub fn committed(&self, group: &str, topic: &str) -> Result<i64> {
        let mut config = self.client();
        let consumer: BaseConsumer = config.set("group.id", group).create()?;
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(topic, 0, i32::try_from(self.ends(topic)?.len())? - 1);
        let told = consumer.committed_offsets(asked, REQUEST_LIMIT)?;
        Ok(told.elements().iter().filter_map(|one| one.offset().to_raw()).map(|at| at.max(0)).sum())
    }

    /// Everything in `topic`, read from the start.
    pub fn read_all(&self, topic: &str) -> Result<Vec<Stored>> {
        let mut found = Vec::new();
        self.each(topic, |record| found.push(record))?;
        Ok(found)
    }

    /// The same, one by one; says how many.
    pub fn each(&self, topic: &str, mut take: impl FnMut(Stored)) -> Result<usize> {
        let ends = self.ends(topic)?;
        let mut config = self.client();
        config.set("group.id", "custos-tests").set("enable.auto.commit", "false");
        let consumer: BaseConsumer = config.create()?;
        let mut from = TopicPartitionList::new();
        for id in 0..i32::try_from(ends.len())? {
            from.add_partition_offset(topic, id, Offset::Beginning)?;
        }
        consumer.assign(&from)?;
        let wanted = usize::try_from(ends.iter().sum::<i64>())?;
        for _ in 0..wanted {
            let message = consumer.poll(REQUEST_LIMIT).context("Kafka gave no more records")??;
            take(Stored {
                partition: message.partition(),
                offset: message.offset(),
                key: message.key().unwrap_or_default().to_vec(),
                value: message.payload().unwrap_or_default().to_vec(),
                headers: headers(&message),
            });
        }
        Ok(wanted)
    }
}

fn headers(message: &BorrowedMessage<'_>) -> BTreeMap<String, String> {
    let all = message.headers().into_iter().flat_map(|headers| headers.iter());
    let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into();
    all.map(|header| (header.key.to_owned(), text(header.value))).collect()
}

impl Libs {
    fn java(&self, folder: &Path) -> Command {
        let mut java = Command::new("java");
        java.current_dir(folder)
            // The C1 compiler alone starts faster, and a test never runs long enough to miss the other.
            .args(["-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"])
            .arg("-Dlog4j2.configurationFile=log4j2.properties")
            .arg("-cp")
            .arg(self.0.join("*"));
        java
    }

    fn start(&self, folder: &Path) -> Result<Running> {
        let mut java = self.java(folder);
        java.args(["kafka.Kafka", "server.properties"]).stdout(std::process::Stdio::null());
        Running::start("Kafka", &mut java)
    }

    fn run(&self, words: &[&str], folder: &Path) -> Result<()> {
        // A cluster id is 16 bytes in URL-safe base64; each test node is a cluster of its own.
        let id = format!("custos-tests-{:09}", std::process::id());
        let output = self
            .java(folder)
            .args(words)
            .args(["-t", &id, "-c", "server.properties"])
            .output()
            .context("cannot run java; `bash tests/run.sh` installs it")?;
        if !output.status.success() {
            bail!("{words:?} failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }
}

fn write_config(folder: &Path, port: u16, controller: u16, more: &More) -> Result<()> {
    let (mut listeners, mut protocols) = (String::new(), String::new());
    for (name, port, protocol) in &more.listeners {
        write!(listeners, ",{name}://127.0.0.1:{port}")?;
        write!(protocols, ",{name}:{protocol}")?;
    }
    let server = format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{listeners}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}{listeners}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT{protocols}
log.dirs={}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
",
        folder.join("log").display()
    );
    let server = server + &more.properties;
    let logging = "rootLogger.level=INFO
rootLogger.appenderRef.file.ref=file
appender.file.type=File
appender.file.name=file
appender.file.fileName=kafka.log
appender.file.layout.type=PatternLayout
appender.file.layout.pattern=%d %p %c %m%n%ex
";
    fs::write(folder.join("server.properties"), server)?;
    fs::write(folder.join("log4j2.properties"), logging)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients;

    #[test]
    fn a_real_kafka_keeps_its_records_through_kill_and_restart() -> Result<()> {
        let Some(libs) = Kafka::locate() else { return Ok(()) };
        let mut kafka = Kafka::start(libs)?;
        kafka.create_topic("lines", 2)?;
        let lines: Vec<Vec<u8>> = (0..1000).map(|n| format!("line {n}").into_bytes()).collect();
        clients::kcat_produce(&kafka.brokers(), "lines", &lines)?;
        kafka.kill()?;
        kafka.restart()?;
        assert_eq!(kafka.ends("lines")?.iter().sum::<i64>(), 1000);
        let mut read: Vec<_> = kafka.read_all("lines")?.into_iter().map(|r| r.value).collect();
        read.sort();
        let mut lines = lines;
        lines.sort();
        assert_eq!(read, lines);
        kafka.stop()
    }
}
