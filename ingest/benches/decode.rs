//! Decoding, parse included, over the recorded events of each format, beside what `serde_json::Value`
//! takes to parse the same bytes. `CUSTOS_SHARED_DATA` names the data; without it nothing is measured.
#![expect(clippy::print_stdout, reason = "says on the terminal what was not measured")]

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use custos_event::{FieldTable, Timestamp};
use custos_ingest::{
    decode::{DecodeOptions, Decoder, SourceType},
    file,
    protect::{Cards, Policy},
};
use std::{hint::black_box, path::PathBuf, sync::Arc};

/// Enough of each file to leave the caches, little enough for a run of a minute.
const EVENTS: usize = 10_000;

fn events(name: &str) -> Vec<Bytes> {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("CUSTOS_SHARED_DATA").map_or_else(default, PathBuf::from);
    let Ok(units) = file::open(&folder.join("events").join(name)) else {
        println!("skipped: real data not present ({name})");
        return Vec::new();
    };
    units.take(EVENTS).filter_map(Result::ok).map(|unit| unit.bytes).collect()
}

fn decoding(criterion: &mut Criterion) {
    for (name, source_type) in [
        ("windows-evtx-raw.jsonl.gz", SourceType::WindowsEvtx),
        ("windows-nxlog-flat.jsonl.gz", SourceType::WindowsNxlog),
        ("suricata-eve.jsonl.gz", SourceType::Suricata),
        ("zeek.jsonl.gz", SourceType::Zeek),
        ("cloudtrail.jsonl.gz", SourceType::CloudTrail),
        ("sshd-auth.log.gz", SourceType::Syslog),
        ("apache-access.log.gz", SourceType::Apache),
    ] {
        let events = events(name);
        if events.is_empty() {
            continue;
        }
        let received: Timestamp = Timestamp::from_secs(1_795_507_200);
        let mut group = criterion.benchmark_group(name.split('.').next().unwrap_or(name));
        group.throughput(Throughput::Elements(events.len() as u64)).sample_size(10);
        let off = Policy::off;
        let always = || Policy::new(Cards::Always, b"key");
        for (how, of, policy) in [
            ("named", source_type, off()),
            ("auto", SourceType::Auto, off()),
            ("auto, protected", SourceType::Auto, always()),
        ] {
            let options = DecodeOptions::new(of, "bench".into()).with_policy(policy);
            let mut decoder = Decoder::new(Arc::new(FieldTable::new()), options);
            group.bench_function(how, |bencher| {
                bencher.iter(|| {
                    for event in &events {
                        black_box(decoder.decode(event.clone(), received));
                    }
                });
            });
        }
        if events.first().is_some_and(|event| event.starts_with(b"{")) {
            group.bench_function("serde_json::Value", |bencher| {
                bencher.iter(|| {
                    for event in &events {
                        let value: Option<serde_json::Value> = serde_json::from_slice(event).ok();
                        black_box(value);
                    }
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, decoding);
criterion_main!(benches);
