//! A start after an unclean stop, measured: `quick_start fill DIR EVENTS` appends and dies in the middle of it;
//! `quick_start open DIR` opens, appends once, and says how long each took.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement, by the real clock"
)]

#[path = "../benches/events/mod.rs"]
mod events;

use custos_event::{
    Append, LogId, Partition, Timestamp,
    time::{Clock, ManualClock},
};
use custos_store::{Options, Store};
use std::{path::Path, sync::Arc, time::Instant};

const BATCH: usize = 1_000;
/// The made events are used over again.
const MADE: u64 = 100_000;

fn open(dir: &Path) -> Store {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
    Store::open(dir, Options::new(clock)).unwrap().0
}

fn fill(dir: &Path, events: usize) {
    let store = open(dir);
    let made = events::made(MADE);
    let mut last = None;
    for batch in made.chunks(BATCH).cycle().take(events / BATCH) {
        let ticket = store.submit_blocking(Append::new(LogId::TELEMETRY, batch.to_vec())).unwrap();
        last = Some(ticket);
    }
    last.unwrap().wait().unwrap();
    println!("{events} events are durable; dying in the middle of the next append");
    for batch in made.chunks(BATCH) {
        drop(store.submit_blocking(Append::new(LogId::TELEMETRY, batch.to_vec())).unwrap());
    }
    std::process::abort();
}

fn main() {
    let words: Vec<_> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["fill", dir, events] => fill(Path::new(dir), events.parse().unwrap()),
        ["open", dir] => {
            let start = Instant::now();
            let store = open(Path::new(dir));
            let opened = start.elapsed();
            let entry = events::made(1);
            store.append_blocking(Append::new(LogId::JOURNAL, entry)).unwrap();
            println!(
                "opened {} events in {:.3} s, first append durable after {:.3} s",
                store.next_seq(LogId::TELEMETRY, Partition(0)),
                opened.as_secs_f64(),
                start.elapsed().as_secs_f64()
            );
            store.close().unwrap();
        }
        _ => println!("quick_start fill DIR EVENTS | quick_start open DIR"),
    }
}
