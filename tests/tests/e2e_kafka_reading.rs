//! Reading a real Kafka beside exactly once: a topic made anew, membership by a fixed name, how far behind, a pause, a start.

use anyhow::{Context as _, Result, ensure};
use custos_tests::{
    api::Api,
    clients::kcat_produce,
    custos::Node,
    guest::{BRISK, BRISK_BROKER, Guest, wait_until_held},
    kafka::{Kafka, More},
    process::free_port,
    wait,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path, time::Duration};

/// Kafka's deletion, the client's refresh of its metadata and a new membership, each some seconds.
const LIMIT: Duration = Duration::from_mins(3);

/// Numbered so that each record of each generation is told from the others.
fn lines(generation: &str, count: usize) -> Vec<Vec<u8>> {
    let line = |n: usize| {
        let text = format!(r#"{{"time":"2026-11-24T08:00:00Z","door":"{generation}-{n}"}}"#);
        text.into_bytes()
    };
    (0..count).map(line).collect()
}

/// A reader of the topic `doors`.
fn config(kafka: &Kafka, more: &str) -> String {
    format!(
        "[kafka]\nbrokers = \"{}\"\ntopics = [\"doors\"]\n{more}\n\
         sources = [{{ topic = \"doors\", type = \"door\" }}]\n",
        kafka.brokers(),
    )
}

/// A server on a folder of its own, and its API.
fn start(folder: &Path, config: &str) -> Result<(Node, Api)> {
    let port = free_port()?;
    let node = Node::start(folder, port, config)?;
    let api = Api::new(&node, port)?;
    Ok((node, api))
}

/// The first of what the page of Sources has as `list` of which `name` is `value`.
fn shown(api: &Api, list: &str, name: &str, value: &str) -> Result<Value> {
    let answer = api.get("/sources")?;
    let all = answer[list].as_array().context("no such list")?;
    Ok(all.iter().find(|one| one[name] == value).cloned().unwrap_or_default())
}

/// A topic that is deleted and made anew holds other records at the offsets already stored: all of them are
/// stored, under a new epoch, and none of the old ones twice.
#[test]
fn a_topic_made_anew_while_it_is_read_is_read_whole() -> Result<()> {
    let Some(libs) = Kafka::locate() else { return Ok(()) };
    let kafka = Kafka::start(libs)?;
    kafka.create_topic("doors", 1)?;
    kcat_produce(&kafka.brokers(), "doors", &lines("old", 200))?;
    let folder = tempfile::tempdir()?;
    let often = "properties = { \"topic.metadata.refresh.interval.ms\" = \"1000\" }";
    let (mut node, _) = start(folder.path(), &config(&kafka, often))?;
    node.wait_for_stored(200, LIMIT)?;
    kafka.delete_topic("doors")?;
    kafka.create_topic("doors", 1)?;
    // More than before: no offset of the old topic tells that it is another one.
    kcat_produce(&kafka.brokers(), "doors", &lines("new", 500))?;
    node.wait_for_stored(700, LIMIT)?;
    node.stop()?;
    let found = node.run(&["search", "--json", "--limit", "0", "custos.door.name:*"])?.done()?;
    let mut doors = BTreeMap::<String, u32>::new();
    for line in found.json()? {
        let door = line["fields"]["custos.door.name"].as_str().unwrap_or_default();
        *doors.entry(door.to_owned()).or_default() += 1;
    }
    let of = |generation: &str| doors.keys().filter(|door| door.starts_with(generation)).count();
    ensure!((of("old"), of("new")) == (200, 500), "{} old, {} new", of("old"), of("new"));
    ensure!(doors.values().all(|times| *times == 1), "some were stored twice");
    Ok(())
}

#[test]
fn a_restart_is_no_rebalance_and_two_of_one_name_are_told_of_it() -> Result<()> {
    let Some(libs) = Kafka::locate() else { return Ok(()) };
    let kafka =
        Kafka::start_with(libs, &More { properties: BRISK_BROKER.into(), ..More::default() })?;
    kafka.create_topic("doors", 4)?;
    kcat_produce(&kafka.brokers(), "doors", &lines("first", 200))?;
    let (folder, other_folder) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let config = config(&kafka, &format!("instance = \"siem-1\"\nproperties = {{ {BRISK} }}"));
    let (mut node, api) = start(folder.path(), &config)?;
    node.wait_for_stored(200, LIMIT)?;
    let guest = Guest::join(&kafka, "custos", &["doors"])?;
    wait_until_held(&node, 2)?;
    let generation = kafka.generation("custos")?;
    ensure!(generation > 0, "the broker's log says nothing of generations");
    node.stop()?;
    node.restart()?;
    wait_until_held(&node, 2)?;
    node.kill()?;
    node.restart()?;
    wait_until_held(&node, 2)?;
    let now = kafka.generation("custos")?;
    ensure!(now == generation, "from {generation} to {now} by two restarts");
    guest.leave()?;
    wait_until_held(&node, 4)?;

    let (mut other, other_api) = start(other_folder.path(), &config)?;
    for (node, api) in [(&node, &api), (&other, &other_api)] {
        wait::until("to be told of the other one", LIMIT, || {
            let trouble = shown(api, "connectors", "system", "kafka")?["trouble"].clone();
            let (text, said) = (trouble["text"].as_str().unwrap_or_default(), node.shown());
            let told = [text, &said].iter().all(|text| text.contains("[kafka] instance"));
            Ok((trouble["kind"] == "refused" && told).then_some(()))
        })
        .with_context(|| node.shown())?;
    }
    other.stop()?;
    wait::until("it to be over", LIMIT, || {
        let kafka = shown(&api, "connectors", "system", "kafka")?;
        Ok((kafka["system"] == "kafka" && kafka["trouble"].is_null()).then_some(()))
    })?;
    kcat_produce(&kafka.brokers(), "doors", &lines("second", 200))?;
    node.wait_for_stored(400, LIMIT)?;
    node.stop()?;
    ensure!(node.stored()? == 400, "{}", node.stored()?);
    Ok(())
}

#[test]
fn how_far_behind_custos_is_is_shown_and_told_to_kafka() -> Result<()> {
    const BACKLOG: u64 = 60_000;
    let Some(libs) = Kafka::locate() else { return Ok(()) };
    let kafka = Kafka::start(libs)?;
    kafka.create_topic("doors", 2)?;
    kcat_produce(&kafka.brokers(), "doors", &lines("first", 100))?;
    let folder = tempfile::tempdir()?;
    let often = "properties = { \"statistics.interval.ms\" = \"100\" }";
    let (mut node, api) = start(folder.path(), &config(&kafka, often))?;
    let lag =
        || Ok::<_, anyhow::Error>(shown(&api, "sources", "name", "kafka:doors")?["lag"].as_u64());
    wait::until("no lag", LIMIT, || Ok((lag()? == Some(0)).then_some(())))?;
    node.wait_for_stored(100, LIMIT)?;
    node.stop()?;
    // Who is stopped shows nothing; Kafka's own tools do.
    ensure!(kafka.committed("custos", "doors")? == 100, "{}", kafka.committed("custos", "doors")?);
    kcat_produce(&kafka.brokers(), "doors", &lines("second", usize::try_from(BACKLOG)?))?;
    node.restart()?;
    let behind = wait::until("a lag", LIMIT, || Ok(lag()?.filter(|lag| *lag > 0)))?;
    ensure!(behind <= BACKLOG, "{behind} behind, of {BACKLOG}");
    wait::until("no lag", LIMIT, || Ok((lag()? == Some(0)).then_some(())))?;
    node.wait_for_stored(100 + BACKLOG, LIMIT)?;
    node.stop()?;
    ensure!(
        kafka.committed("custos", "doors")? == 60_100,
        "{}",
        kafka.committed("custos", "doors")?
    );
    Ok(())
}

#[test]
fn a_paused_topic_waits_over_a_kill_shows_its_lag_and_is_read_on() -> Result<()> {
    let Some(libs) = Kafka::locate() else { return Ok(()) };
    let kafka = Kafka::start(libs)?;
    for topic in ["doors", "gates"] {
        kafka.create_topic(topic, 2)?;
        kcat_produce(&kafka.brokers(), topic, &lines("first", 100))?;
    }
    let folder = tempfile::tempdir()?;
    let config = format!(
        "[kafka]\nbrokers = \"{}\"\ntopics = [\"doors\", \"^gat.*\"]\n\
         properties = {{ \"statistics.interval.ms\" = \"200\" }}\n",
        kafka.brokers(),
    );
    let http = free_port()?;
    let mut node = Node::start(folder.path(), http, &config)?;
    node.wait_for_stored(200, LIMIT)?;
    let api = Api::new(&node, http)?;
    let pause = |of: &str, reason: &str| {
        api.ask("POST", &format!("/sources/{of}/pause"), Some(&json!({"reason": reason})))
    };
    for (of, reason, status, part) in [
        ("kafka:windows", "x", 404, "no 'kafka:windows' is read"),
        ("kafka:doors", " ", 400, "a reason is needed"),
        ("kafka:doors", "the controllers flood", 200, "the controllers flood"),
        ("kafka:doors", "once more", 409, "paused already"),
    ] {
        let (answered, told) = pause(of, reason)?;
        ensure!(answered == status && told.to_string().contains(part), "{answered} {told}");
    }
    // A start has it from the log: from here on nothing of it can be under way.
    node.kill()?;
    node.restart()?;
    for topic in ["doors", "gates"] {
        kcat_produce(&kafka.brokers(), topic, &lines("second", 300))?;
    }
    node.wait_for_stored(500, LIMIT)?;
    wait::until("the lag of what is paused", LIMIT, || {
        Ok((shown(&api, "sources", "name", "kafka:doors")?["lag"] == 300).then_some(()))
    })?;
    let doors = shown(&api, "sources", "name", "kafka:doors")?;
    ensure!(
        doors["received"] == 100
            && shown(&api, "sources", "name", "kafka:gates")?["received"] == 400,
        "{doors}"
    );
    let sources = api.get("/sources")?;
    let (paused, by) = (&sources["paused"][0], &sources["paused"][0]["by"]);
    ensure!(paused["source"] == "kafka:doors" && by.is_string(), "{sources}");
    api.post("/sources/kafka:doors/resume", &json!({}))?;
    node.wait_for_stored(800, LIMIT)?;
    let (status, told) = api.ask("POST", "/sources/kafka:doors/resume", Some(&json!({})))?;
    ensure!(status == 409 && told.to_string().contains("is not paused"), "{status} {told}");
    node.stop()?;
    for topic in ["doors", "gates"] {
        let found =
            node.run(&["search", "--json", "--limit", "0", &format!("kafka.topic:{topic}")])?;
        ensure!(found.done()?.json()?.len() == 400, "{topic}");
    }
    Ok(())
}

#[test]
fn a_topic_is_begun_at_the_offset_that_was_asked_for_and_what_is_gone_is_told() -> Result<()> {
    let Some(libs) = Kafka::locate() else { return Ok(()) };
    let kafka = Kafka::start(libs)?;
    for topic in ["doors", "gates", "safes"] {
        kafka.create_topic(topic, 1)?;
        kcat_produce(&kafka.brokers(), topic, &lines(topic, 100))?;
    }
    kafka.delete_before("safes", 60)?;
    let folder = tempfile::tempdir()?;
    let config = format!(
        "[kafka]\nbrokers = \"{}\"\ntopics = [\"doors\", \"gates\", \"safes\"]\n\
         sources = [{{ topic = \"doors\", start = 90 }}, {{ topic = \"gates\", start = {{ 0 = 70 }} }}, \
                    {{ topic = \"safes\", start = 50 }}]\n",
        kafka.brokers(),
    );
    let http = free_port()?;
    let mut node = Node::start(folder.path(), http, &config)?;
    node.wait_for_stored(80, LIMIT)?;
    let metrics = node.get("/metrics")?;
    let gaps = metrics.lines().filter(|line| line.starts_with("custos_kafka_anomalies_total"));
    let gaps: Vec<_> = gaps.collect();
    ensure!(gaps.len() == 1 && gaps[0].contains("safes") && gaps[0].ends_with(" 1"), "{gaps:?}");
    node.stop()?;
    for (topic, count) in [("doors", 10), ("gates", 30), ("safes", 40)] {
        let found =
            node.run(&["search", "--json", "--limit", "0", &format!("kafka.topic:{topic}")])?;
        ensure!(found.done()?.json()?.len() == count, "{topic}");
    }
    Ok(())
}
