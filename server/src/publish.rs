//! Alerts and facts go to topics of a Kafka cluster, for systems that are no Custos: each at least once, in the order
//! of the journal.
//!
//! Each topic has a thread and a producer of its own, so that one that cannot be written to holds back no other. The
//! thread reads the journal from its [`place`] on, makes [`message`]s, hands a window of them to the cluster, and
//! moves on when the cluster has them all. What was published is remembered in the catalog; that it was begun, and
//! where, is a fact: without the catalog it is published once more from there, and nothing is left out.

mod message;
mod place;
mod publisher;

use crate::{
    clock::SystemClock, config::kafka::publish::Publish, exit::Failure, folder::Opened,
    tasks::Tasks,
};
use custos_event::Publication;
use custos_ingest::{
    health::Health,
    kafka::{Producer, Shown},
};
use message::Author;
use place::Place;
use publisher::Publisher;
use std::sync::Arc;
use tracing::info;

/// Begins to publish, if that is configured, and says where to; `health` is told how it goes.
pub(crate) fn start(
    config: Option<&Publish>,
    opened: &Opened,
    health: &Arc<Health>,
    tasks: &mut Tasks,
) -> Result<Option<String>, Failure> {
    let Some(config) = config else { return Ok(None) };
    let journal = opened.journal()?;
    for (what, topic) in &config.topics {
        let what = *what;
        let shown = Shown::publishing(topic, Arc::clone(health));
        let producer = config.producer(topic).map_err(Failure::usage)?;
        let producer = Producer::new(producer, Arc::new(SystemClock), shown.clone())
            .map_err(Failure::usage)?;
        let place = Place::find(&journal, &opened.store, (what, topic), config.start)?;
        info!(topic, from = %place.next(), "publishing");
        let author = Author { what, node: node(&opened.store.public_keys()) };
        let mut publisher =
            Publisher::new(opened.store.clone(), place, author, topic, (producer, shown));
        let (name, stop) = (task(what), tasks.stop());
        tasks.spawn_thread(name, move || publisher.run(&stop));
    }
    Ok(Some(format!("publishes to kafka {}", config.reach.brokers)))
}

fn task(what: Publication) -> &'static str {
    match what {
        Publication::Alerts => "publish alerts",
        Publication::Facts => "publish facts",
    }
}

/// This node's name, as its checkpoints have it: `custos-1f2e3d4c`.
fn node(public_keys: &str) -> String {
    public_keys.split_once('/').map_or("custos", |(node, _)| node).to_owned()
}
