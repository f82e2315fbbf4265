//! Topics of a real Kafka in people's hands. One that is deleted and made anew while it is read holds other records at the
//! offsets already stored: all of them are stored, under a new epoch, and none of the old ones twice. One that is paused
//! waits, over a kill too, and is read on from where it stopped. One is begun at the offset that was asked for.

use anyhow::{Result, ensure};
use custos_tests::{
    api::Api, clients::kcat_produce, custos::Node, kafka::Kafka, process::free_port, wait,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

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

#[test]
fn a_topic_made_anew_while_it_is_read_is_read_whole() -> Result<()> {
    let Some(libs) = Kafka::locate() else { return Ok(()) };
    let kafka = Kafka::start(libs)?;
    kafka.create_topic("doors", 1)?;
    kcat_produce(&kafka.brokers(), "doors", &lines("old", 200))?;
    let folder = tempfile::tempdir()?;
    let config = format!(
        "[kafka]\nbrokers = \"{}\"\ntopics = [\"doors\"]\n\
         properties = {{ \"topic.metadata.refresh.interval.ms\" = \"1000\" }}\n\
         sources = [{{ topic = \"doors\", type = \"door\" }}]\n",
        kafka.brokers(),
    );
    let mut node = Node::start(folder.path(), free_port()?, &config)?;
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

/// What the page of Sources says of a topic.
fn shown(api: &Api, source: &str) -> Result<Value> {
    let answer = api.get("/sources")?;
    let mut rows = answer["sources"].as_array().into_iter().flatten();
    Ok(rows.find(|row| row["name"] == source).cloned().unwrap_or_default())
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
        Ok((shown(&api, "kafka:doors")?["lag"] == 300).then_some(()))
    })?;
    let row = shown(&api, "kafka:doors")?;
    ensure!(row["received"] == 100 && shown(&api, "kafka:gates")?["received"] == 400, "{row}");
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
