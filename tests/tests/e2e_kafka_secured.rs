//! A Kafka cluster with TLS and passwords is read as docs/sources/kafka.md says, and what keeps us from it is
//! told with its mend.

use anyhow::{Context as _, Result, ensure};
use custos_tests::{
    api::Api,
    certificates::Authority,
    clients::kcat_produce,
    custos::{Node, run},
    kafka::Kafka,
    kafka_secured::{PASSWORD, Secured},
    process::free_port,
    snippets::Places,
    wait,
};
use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use serde_json::Value;
use std::{fs, path::Path, time::Duration};

/// A membership in the group takes seconds; a busy machine more.
const LIMIT: Duration = Duration::from_mins(2);

const LOGON: &str = r#"{"Event":{"System":{"EventID":4624,"Channel":"Security","Computer":"dc1","TimeCreated":{"SystemTime":"2026-11-24T08:00:00Z"}},"EventData":{"TargetUserName":"lin"}}}"#;
const DNS: &str = r#"{"timestamp":"2026-11-24T08:00:00.000000+0000","event_type":"dns","src_ip":"192.0.2.7","src_port":53,"dest_ip":"192.0.2.9","dest_port":53,"proto":"UDP"}"#;

/// A server that reads by `config`; what it says of itself, and of its cluster.
struct Reader {
    node: Node,
    api: Api,
    _folder: tempfile::TempDir,
}

impl Reader {
    fn start(config: &str) -> Result<Self> {
        let (folder, port) = (tempfile::tempdir()?, free_port()?);
        let node = Node::start(folder.path(), port, config)?;
        let api = Api::new(&node, port)?;
        Ok(Self { node, api, _folder: folder })
    }

    fn trouble(&self) -> Result<Value> {
        let answer = self.api.get("/sources")?;
        let all = answer["connectors"].as_array().context("no connectors")?;
        let kafka = all.iter().find(|one| one["system"] == "kafka");
        Ok(kafka.with_context(|| answer.to_string())?["trouble"].clone())
    }

    /// Waits for a trouble of this kind, in these words, on the page of Sources and in the log.
    fn is_told(&self, kind: &str, words: &[&str]) -> Result<()> {
        wait::until(&format!("{kind}: {words:?}"), LIMIT, || {
            let (trouble, shown) = (self.trouble()?, self.node.shown());
            let text = trouble["text"].as_str().unwrap_or_default();
            let told = words.iter().all(|word| text.contains(word) && shown.contains(word));
            Ok((trouble["kind"] == kind && told).then_some(()))
        })
        .with_context(|| format!("{:?}\n{}", self.trouble(), self.node.shown()))?;
        ensure!(!self.node.shown().contains(PASSWORD), "the password is told");
        Ok(())
    }
}

fn config(brokers: &str, more: &str) -> String {
    format!("[kafka]\nbrokers = \"{brokers}\"\ntopics = [\"suricata\"]\n{more}")
}

fn account(folder: &Path, mechanism: &str) -> String {
    let (ca, secret) = (folder.join("ca.pem"), folder.join("kafka.secret"));
    format!(
        "ca = \"{}\"\nuser = \"custos\"\npassword_file = \"{}\"\nmechanism = \"{mechanism}\"\n",
        ca.display(),
        secret.display(),
    )
}

/// A record of each of the first `days` days of November 2026.
fn fill_november(kafka: &Kafka, topic: &str, days: i64) -> Result<()> {
    const DAY_MS: i64 = 86_400_000;
    const NOVEMBER_MS: i64 = 1_793_491_200_000;
    let mut client = ClientConfig::new();
    let producer: BaseProducer = client.set("bootstrap.servers", kafka.brokers()).create()?;
    for day in 0..days {
        let record =
            BaseRecord::<str, str>::to(topic).payload(LOGON).timestamp(NOVEMBER_MS + day * DAY_MS);
        producer.send(record).map_err(|(error, _)| error)?;
    }
    Ok(producer.flush(LIMIT)?)
}

#[test]
fn a_cluster_with_tls_and_passwords_is_read_and_what_is_wrong_is_told_with_its_mend() -> Result<()>
{
    let Some(libs) = Kafka::locate() else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let files = folder.path();
    let secured = Secured::start(libs, files)?;
    fs::write(files.join("kafka.secret"), format!("{PASSWORD}\n"))?;
    secured.kafka.create_topic("suricata", 1)?;
    secured.kafka.create_topic("windows-dc", 2)?;
    kcat_produce(&secured.kafka.brokers(), "suricata", &vec![DNS.into(); 20])?;
    fill_november(&secured.kafka, "windows-dc", 20)?;
    the_page_is_right(&secured, files)?;
    each_way_in_is_open(&secured, files)?;
    each_trouble_is_told(&secured, files)
}

/// As written: SCRAM over TLS, topics by pattern, all of one topic and of the other what came since a time.
fn the_page_is_right(secured: &Secured, files: &Path) -> Result<()> {
    let places = Places::default()
        .with("kafka-1.bank.example:9093", &secured.login)
        .with("2026-11-01", "2026-11-13")
        .with("/etc/custos", files.display());
    let mut reader = Reader::start(&places.snippet("kafka.md", "From a cluster")?)?;
    reader.api.found("custos.source:\"kafka:suricata\" event.dataset:suricata.*", 20)?;
    reader.api.found("custos.source:\"kafka:windows-dc\" user.name:lin", 8)?;
    ensure!(reader.trouble()?.is_null(), "{}", reader.trouble()?);
    reader.node.stop()?;
    ensure!(reader.node.stored()? == 28);
    let file = reader.node.config().to_string_lossy().into_owned();
    run(["check-config", &file])?.done()?;
    Ok(())
}

fn each_way_in_is_open(secured: &Secured, files: &Path) -> Result<()> {
    let own = format!(
        "ca = \"{0}/ca.pem\"\ncertificate = \"{0}/client.pem\"\nkey = \"{0}/client.key\"\n",
        files.display()
    );
    for config in [
        config(&secured.login, &account(files, "SCRAM-SHA-256")),
        config(&secured.login, &account(files, "PLAIN")),
        config(&secured.mutual, &own),
    ] {
        let mut reader = Reader::start(&config)?;
        reader.node.wait_for_stored(20, LIMIT).with_context(|| reader.node.shown())?;
        reader.node.stop()?;
    }
    Ok(())
}

fn each_trouble_is_told(secured: &Secured, files: &Path) -> Result<()> {
    let other = tempfile::tempdir()?;
    Authority::make(other.path(), &[])?;
    fs::write(other.path().join("kafka.secret"), "another password")?;
    let ca = |folder: &Path| format!("ca = \"{}/ca.pem\"\n", folder.display());
    let wrong = account(files, "SCRAM-SHA-512").replace(
        &files.join("kafka.secret").display().to_string(),
        &other.path().join("kafka.secret").display().to_string(),
    );
    let troubles = [
        (&secured.login, wrong, "refused", &["invalid credentials", "password_file"][..]),
        (&secured.login, account(other.path(), "PLAIN"), "refused", &["verif", "[kafka] ca"]),
        (&secured.expired, ca(files), "refused", &["verif", "its time is not over"]),
        (&secured.mutual, ca(files), "refused", &["alert", "certificate and key"]),
        (&secured.mutual, String::new(), "unreachable", &["tls = true"]),
        (&secured.kafka.brokers(), ca(files), "unreachable", &["while TLS began"]),
    ];
    let readers = troubles.into_iter().map(|(brokers, more, kind, words)| {
        Ok((Reader::start(&config(brokers, &more))?, kind, words))
    });
    for (mut reader, kind, words) in readers.collect::<Result<Vec<_>>>()? {
        reader.is_told(kind, words)?;
        reader.node.stop()?;
    }
    Ok(())
}
