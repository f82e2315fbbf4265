//! A topic that is deleted and made anew while it is read holds other records at the offsets already stored:
//! all of them are stored, under a new epoch, and none of the old ones twice.

use anyhow::{Result, ensure};
use custos_tests::{clients::kcat_produce, custos::Node, kafka::Kafka, process::free_port};
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
