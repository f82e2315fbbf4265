//! How fast the log takes events in and gives them back, beside the least that any log must do.
//!
//! Events are about 740 bytes, as those of the recorded mix are on average.

#![allow(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a bench fails by panicking")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use custos_event::{
    Append, Cursor, Entry, LogId, Partition, Position, Seq, Timestamp,
    time::{Clock, ManualClock},
};
use custos_store::{Options, Store};
use std::{io::Write, sync::Arc, time::Duration};

mod events;

const EVENTS: u64 = 100_000;
/// As a Kafka poll or a request brings them.
const BATCH: usize = 500;

fn options() -> Options {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
    Options::new(clock)
}

fn append_all(store: &Store, events: &[Entry]) {
    let mut tickets = Vec::new();
    for batch in events.chunks(BATCH) {
        let append = Append::new(LogId::TELEMETRY, batch.to_vec());
        tickets.push(store.submit_blocking(append).unwrap());
    }
    for ticket in tickets {
        ticket.wait().unwrap();
    }
}

/// zstd, write, fdatasync of the same bytes in groups of 1,000.
fn plain(file: &mut std::fs::File, events: &[Entry]) {
    for group in events.chunks(1_000) {
        let raw: Vec<u8> = group.iter().flat_map(|entry| entry.bytes.iter().copied()).collect();
        file.write_all(&zstd::bulk::compress(&raw, 1).unwrap()).unwrap();
        file.sync_data().unwrap();
    }
}

fn replay(store: &Store) -> usize {
    let (mut follower, mut bytes) = (store.follow(&Cursor::default()), 0);
    while follower.cursor().commit() < store.last_commit() {
        for commit in follower.next(100, 1 << 20, Duration::ZERO).unwrap() {
            bytes += commit.entries.iter().map(|entry| entry.bytes.len()).sum::<usize>();
        }
    }
    bytes
}

fn log(criterion: &mut Criterion) {
    let events = events::made(EVENTS);
    let bytes: usize = events.iter().map(|entry| entry.bytes.len()).sum();
    let mut group = criterion.benchmark_group("append");
    group.sample_size(10).throughput(Throughput::Elements(EVENTS));
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut file = std::fs::File::create(dir.path().join("plain")).unwrap();
    group.bench_function("plain", |b| b.iter(|| plain(&mut file, &events)));
    let mut wanted = options();
    wanted.seal = false;
    let (store, _) = Store::open(&dir.path().join("log"), wanted).unwrap();
    group.bench_function("log", |b| b.iter(|| append_all(&store, &events)));
    group.finish();
    store.close().unwrap();

    let (store, _) = Store::open(&dir.path().join("sealed"), options()).unwrap();
    append_all(&store, &events);
    store.close().unwrap();
    let (store, _) = Store::open(&dir.path().join("sealed"), options()).unwrap();
    store.wait_sealed();
    let folder = dir.path().join("sealed/telemetry");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let stored: u64 = files.map(|entry| entry.metadata().unwrap().len()).sum();
    eprintln!(
        "mean event {} bytes, sealed {:.3} of raw",
        bytes as u64 / EVENTS,
        stored as f64 / bytes as f64
    );
    let mut group = criterion.benchmark_group("read");
    group.sample_size(10).throughput(Throughput::Bytes(bytes as u64));
    group.bench_function("replay", |b| b.iter(|| assert_eq!(replay(&store), bytes)));
    group.finish();
    let mut group = criterion.benchmark_group("point");
    let mut n = 0_u64;
    group.bench_function("one event", |b| {
        b.iter(|| {
            n = (n + 7_919) % EVENTS;
            let at = Position { log: LogId::TELEMETRY, partition: Partition(0), seq: Seq(n) };
            store.read(at).unwrap().unwrap()
        });
    });
    group.finish();
}

criterion_group!(benches, log);
criterion_main!(benches);
