//! What a proof costs on a log of millions: `CUSTOS_PROOF_RECORDS` of about 700 bytes, two million unless said.

#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use criterion::{Criterion, criterion_group, criterion_main};
use custos_event::{
    Append, Entry, LogId, Partition, Timestamp,
    time::{Clock, ManualClock},
};
use custos_store::{Options, Prover, Store};
use std::{path::Path, sync::Arc, time::Duration};

const BATCH: u64 = 1_000;

fn open(dir: &Path) -> Store {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
    Store::open(dir, Options::new(clock)).unwrap().0
}

fn record(n: u64) -> Entry {
    let roll = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let text = format!(
        r#"{{"@timestamp":"2026-11-24T08:00:00.{n:09}Z","user":{{"name":"user{}"}},"source":{{"ip":"10.{}.{}.{}"}},"session":"{roll:016x}","message":"{}"}}"#,
        roll % 500,
        roll >> 8 & 3,
        roll >> 16 & 255,
        roll >> 24 & 255,
        "accepted a key for the user from the address, and opened a session ".repeat(8),
    );
    Entry { bytes: text.into(), parsed: None }
}

fn of(store: &Store) -> Prover<'_> {
    store.prover(LogId::TELEMETRY, Partition(0)).unwrap().unwrap()
}

fn proofs(criterion: &mut Criterion) {
    let records = std::env::var("CUSTOS_PROOF_RECORDS").map_or(2_000_000, |n| n.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut tickets = std::collections::VecDeque::new();
    for from in (0..records).step_by(1_000) {
        let entries = (from..from + BATCH).map(record).collect();
        tickets.push_back(store.submit_blocking(Append::new(LogId::TELEMETRY, entries)).unwrap());
        if tickets.len() > 16 {
            tickets.pop_front().unwrap().wait().unwrap();
        }
    }
    store.wait_sealed();
    store.close().unwrap();
    let store = open(dir.path());
    #[expect(clippy::disallowed_methods, reason = "measures")]
    let began = std::time::Instant::now();
    let (size, _) = of(&store).head();
    of(&store).inclusion(size / 3, size).unwrap();
    eprintln!("the first proof after a start, {size} records: {:?}", began.elapsed());
    let mut state = 1_u64;
    let mut roll = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 20) % size
    };
    let mut group = criterion.benchmark_group("proof");
    group.sample_size(50).measurement_time(Duration::from_secs(5));
    group.bench_function("inclusion of a random record in the whole log", |bench| {
        bench.iter(|| of(&store).inclusion(roll(), size).unwrap());
    });
    group.bench_function("consistency of a random size with the whole log", |bench| {
        bench.iter(|| of(&store).consistency(roll(), size).unwrap());
    });
    group.bench_function("inclusion in the tree of a random size", |bench| {
        bench.iter(|| {
            let size = roll().max(2);
            of(&store).inclusion(size / 2, size).unwrap()
        });
    });
    group.finish();
}

criterion_group!(benches, proofs);
criterion_main!(benches);
