//! What indexing costs and how large it gets: `taskset -c 0 cargo bench -p custos-search`.
//!
//! The figures that criterion prints are for [`EVENTS`] events with a commit every [`COMMIT_EVERY`], the
//! rate that DESIGN asks for; divide. Sizes are printed before.
#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    missing_docs,
    reason = "a bench may panic and prints"
)]

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use custos_event::{
    CommitNo, Cursor, FieldTable, Header, LogId, ParsedEvent, Parser, Partition, Position, Seq,
    Shape, Timestamp, ValueRef,
    commit::{LogReader, ReadError},
    ecs, record,
};
use custos_search::{Index, IndexOptions, Query, SearchRequest};
use flate2::read::GzDecoder;
use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    sync::Arc,
};

const EVENTS: usize = 30_000;
const COMMIT_EVERY: usize = 15_000;
/// So often all events are indexed for the figure of CPU time.
const PASSES: usize = 4;

/// Records by seq.
struct MemoryLog(Vec<Bytes>);

impl LogReader for MemoryLog {
    fn scan(
        &self,
        _: LogId,
        _: Partition,
        from: Seq,
        to: Seq,
        each: &mut dyn FnMut(Seq, Bytes) -> bool,
    ) -> Result<(), ReadError> {
        for seq in from.0..to.0.min(self.0.len() as u64) {
            if !each(Seq(seq), self.0[usize::try_from(seq).unwrap()].clone()) {
                break;
            }
        }
        Ok(())
    }
}

/// Windows events as NXLog sends them, with what a decoder would add.
fn nxlog(parser: &mut Parser) -> Vec<ParsedEvent> {
    let data = std::env::var_os("CUSTOS_SHARED_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let Ok(file) = File::open(data.join("events/windows-nxlog-flat.jsonl.gz")) else {
        println!("skipped: real data not present");
        return Vec::new();
    };
    let user = parser.table().intern("winlog.event_data.SubjectUserName");
    let image = parser.table().intern("winlog.event_data.Image");
    let lines = BufReader::new(GzDecoder::new(file)).lines().take(EVENTS);
    let event = |(n, line): (usize, std::io::Result<String>)| {
        let mut event = parse(n, Shape::NxlogFlat, line.unwrap(), parser);
        event.add(ecs::EVENT_DATASET, ValueRef::Str("windows.nxlog"));
        event.alias(ecs::EVENT_CODE, ecs::WINLOG_EVENT_ID);
        event.alias(ecs::HOST_NAME, ecs::WINLOG_COMPUTER_NAME);
        event.alias(ecs::USER_NAME, user);
        event.alias(ecs::PROCESS_EXECUTABLE, image);
        event
    };
    lines.enumerate().map(event).collect()
}

fn parse(n: usize, shape: Shape, raw: String, parser: &mut Parser) -> ParsedEvent {
    let received = Timestamp::from_millis(1_700_000_000_000 + i64::try_from(n).unwrap() / 15);
    let header = Header::new("kafka:bench".into(), received, shape, "bench".into());
    ParsedEvent::parse(header, raw.into(), parser).unwrap()
}

/// 737 bytes of ECS: a sign-in at a web service, with what varies varying.
fn generated(parser: &mut Parser) -> Vec<ParsedEvent> {
    let event = |n: usize| {
        let mix = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let (user, host, port) = (mix % 5_000, mix / 7 % 300, 1_024 + mix / 11 % 60_000);
        let (a, b) = (mix / 13 % 256, mix / 17 % 256);
        let outcome = if mix.is_multiple_of(9) { "failure" } else { "success" };
        let mut raw = format!(
            r#"{{"event":{{"dataset":"app.auth","category":"authentication","action":"login","outcome":"{outcome}","code":"A{}","id":"{mix:016x}"}},"host":{{"name":"web-{host:03}"}},"user":{{"name":"user{user:04}","domain":"corp"}},"source":{{"ip":"10.{}.{a}.{b}","port":{port}}},"destination":{{"ip":"192.168.0.{}","port":443}},"network":{{"protocol":"https","bytes":{}}},"http":{{"request":{{"method":"POST","referrer":"https://intra.example/start"}},"response":{{"status_code":{}}}}},"url":{{"path":"/session/{:08x}"}},"trace":{{"id":"{:032x}"}},"message":"login of user{user:04} from 10.{}.{a}.{b} ended in {outcome} after {} ms"#,
            mix % 40,
            mix % 4,
            mix % 20,
            mix % 100_000,
            if mix.is_multiple_of(9) { 401 } else { 200 },
            mix % 0xffff_ffff,
            u128::from(mix) * 0x1234_5678_9abc_def1_2345,
            mix % 4,
            mix % 900,
        );
        raw.push_str(", session renewed");
        while raw.len() < 735 {
            raw.push('.');
        }
        raw.push_str("\"}");
        parse(n, Shape::Ecs, raw, parser)
    };
    (0..EVENTS).map(event).collect()
}

fn at(seq: usize) -> Position {
    Position { log: LogId::TELEMETRY, partition: Partition(0), seq: Seq(seq as u64) }
}

fn index_all(index: &Index, events: &[ParsedEvent]) {
    let mut writer = index.writer().unwrap();
    for (seq, event) in events.iter().enumerate() {
        writer.add(at(seq), event).unwrap();
        if seq % COMMIT_EVERY == COMMIT_EVERY - 1 {
            writer.commit(&Cursor::after(CommitNo(seq as u64))).unwrap();
        }
    }
    writer.commit(&Cursor::after(CommitNo(u64::MAX))).unwrap();
    writer.close().unwrap();
}

/// CPU time of this process so far, all threads, from Linux's ticks of 10 ms: what other processes do on
/// the machine does not count.
fn cpu_micros() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit(')').next().unwrap();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.map(|ticks| ticks.parse::<f64>().unwrap() * 10_000.0).sum()
}

fn bytes_in(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let meta = entry.metadata().unwrap();
            if meta.is_dir() { bytes_in(&entry.path()) } else { meta.len() }
        })
        .sum()
}

fn bench_source(c: &mut Criterion, name: &str, events: &[ParsedEvent], table: &Arc<FieldTable>) {
    if events.is_empty() {
        return;
    }
    let fresh = || {
        let dir = tempfile::tempdir().unwrap();
        let index = Index::open(dir.path(), Arc::clone(table), IndexOptions::default()).unwrap();
        (dir, index)
    };
    let raw: usize = events.iter().map(|event| event.raw.len()).sum();
    let cpu_before = cpu_micros();
    for _ in 0..PASSES {
        let (_dir, index) = fresh();
        index_all(&index, events);
    }
    let cpu = (cpu_micros() - cpu_before) / (PASSES * events.len()) as f64;
    let (dir, index) = fresh();
    index_all(&index, events);
    let filters = std::fs::metadata(dir.path().join("filters")).unwrap().len();
    let share = |bytes: u64| bytes as f64 / raw as f64;
    println!(
        "{name}: {} events of {} bytes; {cpu:.1} µs of CPU an event; index {:.4} of raw, filters {:.4}",
        events.len(),
        raw / events.len(),
        share(bytes_in(&dir.path().join("splits"))),
        share(filters)
    );
    let mut group = c.benchmark_group(name);
    group.sample_size(10).throughput(Throughput::Elements(events.len() as u64));
    group.bench_function("index", |b| {
        b.iter_batched(fresh, |(_dir, index)| index_all(&index, events), BatchSize::PerIteration);
    });
    let (_dir, growing) = fresh();
    let (mut writer, mut seq) = (growing.writer().unwrap(), 0);
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("add 1,000 and commit", |b| {
        b.iter(|| {
            for event in &events[..1_000] {
                writer.add(at(seq), event).unwrap();
                seq += 1;
            }
            writer.commit(&Cursor::after(CommitNo(seq as u64))).unwrap();
        });
    });
    group.finish();

    let mut log = MemoryLog(Vec::new());
    for event in events {
        let mut bytes = Vec::new();
        record::encode(event, table, &mut bytes);
        log.0.push(bytes.into());
    }
    let mut group = c.benchmark_group(format!("{name}, search"));
    for text in QUERIES {
        let query = Query::parse(text).unwrap();
        let (count, stats) = index.count(&query, &SearchRequest::default(), &log).unwrap();
        println!("{text}: {count} of {} events; {stats:?}", events.len());
        let newest = SearchRequest { limit: 50, ..SearchRequest::default() };
        group.bench_function(format!("newest 50 of {text}"), |b| {
            b.iter(|| index.search(&query, &newest, &log).unwrap());
        });
    }
    group.finish();
}

const QUERIES: &[&str] = &[
    "*",
    "event.outcome:failure and source.ip:10.1.0.0/16",
    "message:\"login of user0042\"",
    "user0042",
    "mimikatz",
    "winlog.event_data.Image:*\\\\powershell.exe",
    "url.path:\"/session/00000000\"",
];

fn bench(c: &mut Criterion) {
    let table = Arc::new(FieldTable::new());
    let mut parser = Parser::new(Arc::clone(&table));
    bench_source(c, "generated", &generated(&mut parser), &table);
    bench_source(c, "nxlog", &nxlog(&mut parser), &table);
}

criterion_group!(benches, bench);
criterion_main!(benches);
