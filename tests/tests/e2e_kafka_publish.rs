//! Alerts and facts in topics of a real Kafka: as the API tells them, each at least once and in order, whoever is
//! killed; and what keeps them from it is told with its mend.

use anyhow::{Context as _, Result, ensure};
use custos_tests::{
    api::Api,
    custos::Node,
    kafka::{Kafka, Stored},
    kafka_secured::{PASSWORD, Secured},
    process::free_port,
    snippets::Places,
    wait,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, path::Path, time::Duration};

/// A broker that comes back, a client that is made anew: seconds, on a busy machine more.
const LIMIT: Duration = Duration::from_mins(2);

const ALERTS: &str = "custos.alerts";
const FACTS: &str = "custos.facts";

/// Fires for each door.
const RULE: &str = "title: A door was opened\nid: 6a0f4c1e-57b2-4d0a-9c57-2f1f4b0de011\nstatus: test\n\
    tags: [attack.t1200]\nlogsource: {product: custos, category: physical_access}\n\
    detection:\n    door:\n        custos.door.name: 'd*'\n    condition: door\nlevel: low\n";

fn doors(range: std::ops::Range<u64>) -> String {
    let line = |nth: u64| {
        let (minute, second) = (nth / 60 % 60, nth % 60);
        format!(
            r#"{{"time":"2026-11-24T08:{minute:02}:{second:02}Z","door":"d{nth}","forced":false}}"#
        ) + "\n"
    };
    range.map(line).collect()
}

struct Running {
    node: Node,
    api: Api,
    _folder: tempfile::TempDir,
}

impl Running {
    fn start(config: &str) -> Result<Self> {
        let (folder, http) = (tempfile::tempdir()?, free_port()?);
        let rules = folder.path().join("rules");
        fs::create_dir(&rules)?;
        let rule = format!("{RULE}description: {}\n", "Long. ".repeat(1_000));
        fs::write(rules.join("door.yml"), rule)?;
        let config = format!("{config}\n[rules]\nfolders = [\"{}\"]\n", rules.display());
        let node = Node::start(folder.path(), http, &config)?;
        let api = Api::new(&node, http)?;
        Ok(Self { node, api, _folder: folder })
    }

    fn alerts(&self) -> Result<BTreeMap<String, Value>> {
        let (mut all, mut after) = (BTreeMap::new(), String::new());
        loop {
            let page = self.api.get(&format!("/alerts?status=all&limit=1000{after}"))?;
            for alert in page["alerts"].as_array().context("no alerts")? {
                all.insert(text(&alert["id"])?, alert.clone());
            }
            let Some(next) = page["next"].as_u64() else { return Ok(all) };
            after = format!("&after={next}");
        }
    }

    /// Waits until there are so many alerts, whatever Kafka does.
    fn detected(&self, count: u64) -> Result<()> {
        wait::until(&format!("{count} alerts"), LIMIT, || {
            let total = self.api.get("/alerts?status=all&limit=1")?["total"].as_u64();
            Ok((total == Some(count)).then_some(()))
        })
    }

    fn published(&self, topic: &str) -> Result<()> {
        wait::until(&format!("everything in {topic}"), LIMIT, || {
            let connector = self.connector(topic)?;
            let is_well = connector["behind"] == 0 && connector["trouble"].is_null();
            let gauge =
                self.node.metric(&format!("custos_kafka_publish_behind{{topic=\"{topic}\"}}"))?;
            Ok((is_well && gauge == 0.0).then_some(()))
        })
        .with_context(|| self.node.shown())
    }

    fn connector(&self, topic: &str) -> Result<Value> {
        let answer = self.api.get("/sources")?;
        let all = answer["connectors"].as_array().context("no connectors")?;
        let one = all.iter().find(|one| one["source"] == format!("kafka.publish:{topic}"));
        one.cloned().with_context(|| answer.to_string())
    }

    /// Waits until the page of Sources and the log tell of a trouble with this topic, in these words.
    fn is_told(&self, topic: &str, kind: &str, words: &[&str]) -> Result<()> {
        wait::until(&format!("{kind}: {words:?}"), LIMIT, || {
            let (trouble, shown) = (self.connector(topic)?["trouble"].clone(), self.node.shown());
            let text = trouble["text"].as_str().unwrap_or_default();
            let told = words.iter().all(|word| text.contains(word) && shown.contains(word));
            Ok((trouble["kind"] == kind && told).then_some(()))
        })
        .with_context(|| format!("{:?}\n{}", self.connector(topic), self.node.shown()))
    }
}

fn text(value: &Value) -> Result<String> {
    Ok(value.as_str().with_context(|| format!("{value} is no text"))?.to_owned())
}

fn config(kafka: &Kafka, publish: &str) -> String {
    format!("[kafka]\nbrokers = \"{}\"\n[kafka.publish]\n{publish}", kafka.brokers())
}

/// The messages of a topic of one partition as a consumer has them that leaves out repeats.
fn once(messages: Vec<Stored>) -> Result<Vec<(u64, Stored)>> {
    let mut kept: Vec<(u64, Stored)> = Vec::new();
    for message in messages {
        let position = message.headers.get("custos-position").context("no position")?.parse()?;
        if kept.last().is_none_or(|(last, _)| position > *last) {
            kept.push((position, message));
        }
    }
    Ok(kept)
}

fn has_no_gap(topic: &str, first: u64, told: &[(u64, Stored)]) -> Result<()> {
    let gap = (first..).zip(told).find(|(due, (position, _))| due != position);
    ensure!(gap.is_none(), "{topic}: {:?} is missing", gap.map(|(due, _)| due));
    Ok(())
}

fn json_of(message: &Stored) -> Result<Value> {
    Ok(serde_json::from_slice(&message.value)?)
}

/// Every fact from the first to the last is there, in order; and every alert.
fn is_whole(kafka: &Kafka, running: &Running, (alerts, facts): (&str, &str)) -> Result<()> {
    let told = once(kafka.read_all(facts)?)?;
    has_no_gap(facts, 0, &told)?;
    let raised =
        told.iter().filter(|(_, message)| message.headers["custos-kind"] == "alert_raised");
    let raised: Vec<u64> = raised.map(|(position, _)| *position).collect();
    let told = once(kafka.read_all(alerts)?)?;
    ensure!(raised == told.iter().map(|(position, _)| *position).collect::<Vec<_>>(), "{alerts}");
    let known = running.alerts()?;
    ensure!(told.len() == known.len(), "{} alerts of {}", told.len(), known.len());
    for (position, message) in &told {
        let alert = json_of(message)?;
        let known = known.get(&text(&alert["id"])?).with_context(|| alert.to_string())?;
        ensure!(alert == *known, "the topic has {alert}, the API {known}");
        ensure!(alert["seq"] == *position && message.key == text(&alert["id"])?.into_bytes());
    }
    Ok(())
}

#[test]
fn every_fact_is_published_in_order_whoever_is_killed() -> Result<()> {
    let Some(libs) = Kafka::locate() else { return Ok(()) };
    let mut kafka = Kafka::start(libs)?;
    what_fires_is_in_the_topic_as_the_api_tells_it(&kafka)?;
    a_topic_that_is_not_there_or_takes_no_long_message_is_told(&kafka)?;
    kills_lose_nothing(&mut kafka)
}

fn what_fires_is_in_the_topic_as_the_api_tells_it(kafka: &Kafka) -> Result<()> {
    kafka.create_topic(ALERTS, 1)?;
    kafka.create_topic(FACTS, 1)?;
    let mut running =
        Running::start(&config(kafka, &format!("alerts = \"{ALERTS}\"\nfacts = \"{FACTS}\"\n")))?;
    running.api.ship("door", &doors(0..10))?;
    running.detected(10)?;
    running.published(ALERTS)?;
    running.published(FACTS)?;
    let known = running.alerts()?;
    let told = once(kafka.read_all(ALERTS)?)?;
    ensure!(told.len() == 10, "{} alerts", told.len());
    for (_, message) in &told {
        let alert = json_of(message)?;
        ensure!(Some(&alert) == known.get(&text(&alert["id"])?), "{alert} is not among {known:?}");
        // The page of one alert says the same, but for what it adds.
        let one = running.api.get(&format!("/alerts/{}", text(&alert["id"])?))?;
        for (name, value) in alert.as_object().context("no object")? {
            let same = one[name] == *value || ["rule", "events"].contains(&name.as_str());
            ensure!(same, "{name}: {value} in the topic, {} in the API", one[name]);
        }
    }
    ensure!(
        running.node.metric(&format!("custos_kafka_published_total{{topic=\"{ALERTS}\"}}"))?
            >= 10.0
    );
    // It began at its end: with its own beginning, and without a gap from there.
    let told = once(kafka.read_all(FACTS)?)?;
    let first = told.first().context("no fact")?.0;
    ensure!(first > 0, "it began with the first fact");
    has_no_gap(FACTS, first, &told)?;
    let begun =
        told.iter().filter(|(_, message)| message.headers["custos-kind"] == "publishing_begun");
    ensure!(begun.count() >= 1, "its own beginning is missing");
    let node = &told[0].1.headers["custos-node"];
    ensure!(node.starts_with("custos-") && node.len() == 15, "{node}");
    running.node.stop()?;
    what_happens_until_a_stop_is_published(kafka, &mut running)
}

/// An alert that was judged the moment before, and a start without the catalog: repeats, and no gap.
fn what_happens_until_a_stop_is_published(kafka: &Kafka, running: &mut Running) -> Result<()> {
    let before = kafka.ends(FACTS)?[0];
    fs::remove_dir_all(running.node.data().join("catalog"))?;
    running.node.restart()?;
    running.published(FACTS)?;
    running.published(ALERTS)?;
    ensure!(kafka.ends(FACTS)?[0] > before * 2 - 1, "what was published is not published again");
    let id = running.alerts()?.into_keys().next().context("no alert")?;
    let verdict = json!({"alerts": [id], "verdict": "benign", "reason": "the postman"});
    running.api.post("/alerts/verdict", &verdict)?;
    running.node.stop()?;
    let told = once(kafka.read_all(FACTS)?)?;
    let judged = told.iter().find(|(_, message)| message.headers["custos-kind"] == "alert_judged");
    let (_, judged) = judged.context("a stop left a fact behind")?;
    ensure!(judged.key == id.as_bytes() && json_of(judged)?["fact"]["reason"] == "the postman");
    has_no_gap(FACTS, told[0].0, &told)?;
    ensure!(once(kafka.read_all(ALERTS)?)?.len() == 10 && kafka.ends(ALERTS)?[0] == 20);
    Ok(())
}

fn a_topic_that_is_not_there_or_takes_no_long_message_is_told(kafka: &Kafka) -> Result<()> {
    let publish =
        "facts = \"small\"\nstart = \"first\"\nproperties = { \"compression.codec\" = \"none\" }\n";
    let mut running = Running::start(&config(kafka, publish))?;
    running.is_told("small", "odd", &["make the topic", "[kafka.publish]"])?;
    // Less than the rules that were read at the start, more than any other fact.
    kafka.create_topic_with("small", 1, &[("max.message.bytes", "3000")])?;
    running.published("small")?;
    running.api.ship("door", &doors(0..200))?;
    running.detected(200)?;
    running.published("small")?;
    let told = once(kafka.read_all("small")?)?;
    has_no_gap("small", 0, &told)?;
    let stand_ins: Vec<_> = told
        .iter()
        .filter(|(_, message)| message.headers.contains_key("custos-left-out"))
        .collect();
    let (_, rules) = stand_ins.first().context("nothing was left out")?;
    let rules = json_of(rules)?;
    ensure!((&rules["kind"], &rules["left_out"]) == (&json!("rules_read"), &json!("too_large")));
    let counted = running.node.metric("custos_kafka_publish_left_out_total{topic=\"small\"}")?;
    ensure!(counted >= 1.0 && stand_ins.len() < told.len(), "{counted}, {}", stand_ins.len());
    running.node.stop()
}

/// Killed in the midst of many alerts, and with a Kafka that is down; and Kafka itself is killed.
fn kills_lose_nothing(kafka: &mut Kafka) -> Result<()> {
    const BATCH: u64 = 1_000;
    let topics = ("all.alerts", "all.facts");
    kafka.create_topic(topics.0, 1)?;
    kafka.create_topic(topics.1, 1)?;
    let publish =
        format!("alerts = \"{}\"\nfacts = \"{}\"\nstart = \"first\"\n", topics.0, topics.1);
    let mut running = Running::start(&config(kafka, &publish))?;
    let mut shipped = 0;
    for _ in 0..5 {
        let due = kafka.ends(topics.0)?[0] + i64::try_from(BATCH / 10)?;
        running.api.ship("door", &doors(shipped..shipped + BATCH))?;
        shipped += BATCH;
        wait::until("some of the alerts", LIMIT, || {
            Ok((kafka.ends(topics.0)?[0] >= due).then_some(()))
        })?;
        running.node.kill()?;
        running.node.restart()?;
    }
    running.detected(shipped)?;
    kafka.stop()?;
    running.is_told(topics.0, "unreachable", &["check [kafka] brokers"])?;
    running.api.ship("door", &doors(shipped..shipped + BATCH))?;
    shipped += BATCH;
    // Rules see everything while Kafka is down.
    running.detected(shipped)?;
    // What waits for Kafka now is not published, whatever becomes of who waits.
    running.node.kill()?;
    running.node.restart()?;
    kafka.restart()?;
    running.published(topics.0)?;
    kafka.kill()?;
    running.api.ship("door", &doors(shipped..shipped + BATCH))?;
    shipped += BATCH;
    running.detected(shipped)?;
    kafka.restart()?;
    running.published(topics.0)?;
    running.published(topics.1)?;
    is_whole(kafka, &running, topics)?;
    running.node.stop()
}

#[test]
fn a_cluster_with_tls_and_passwords_is_published_to_as_the_page_says() -> Result<()> {
    let Some(libs) = Kafka::locate() else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let files = folder.path();
    let secured = Secured::start(libs, files)?;
    fs::write(files.join("kafka.secret"), format!("{PASSWORD}\n"))?;
    secured.kafka.create_topic(ALERTS, 3)?;
    secured.kafka.create_topic(FACTS, 1)?;
    let places = Places::default()
        .with("kafka-1.bank.example:9093", &secured.login)
        .with("/etc/custos", files.display());
    let mut running = Running::start(&places.snippet("../kafka-publish.md", "Custos")?)?;
    running.api.ship("door", &doors(0..50))?;
    running.detected(50)?;
    running.published(ALERTS)?;
    running.published(FACTS)?;
    ensure!(secured.kafka.ends(ALERTS)?.iter().sum::<i64>() == 50);
    running.node.stop()?;
    a_wrong_password_is_told(&secured, files)
}

fn a_wrong_password_is_told(secured: &Secured, files: &Path) -> Result<()> {
    fs::write(files.join("other.secret"), "another password")?;
    let mut running = Running::start(&format!(
        "[kafka.publish]\nalerts = \"{ALERTS}\"\nbrokers = \"{}\"\nca = \"{1}/ca.pem\"\nuser = \"custos\"\n\
         password_file = \"{1}/other.secret\"\n",
        secured.login,
        files.display(),
    ))?;
    running.is_told(ALERTS, "refused", &["invalid credentials", "check [kafka.publish] user"])?;
    running.node.stop()
}
