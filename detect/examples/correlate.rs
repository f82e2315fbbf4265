//! `correlate [KEYS [EVENTS]]`: memory and speed of one correlation with so many live groups; one JSON line.
//! Matching is not timed: each event given is one that matches.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for figures")]
#![allow(clippy::disallowed_methods, reason = "it measures time")]

use bytes::Bytes;
use custos_detect::{Correlator, Hit, RuleIndex, Ruleset, correlate::hit::hits, parse};
use custos_event::{
    FieldTable, Header, LogId, ParsedEvent, Parser, Partition, Position, Seq, Shape, Timestamp,
};
use std::{sync::Arc, time::Instant};

const RULES: &str = "
title: Denied
id: d
name: denied
logsource: {product: custos}
detection: {s: {custos.access.result: denied}, condition: s}
---
title: C
id: c
correlation:
  type: event_count
  rules: [denied]
  group-by: [user.name]
  timespan: 1h
  condition: {gte: 5}
";

fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<u64>().unwrap());
    let keys = args.next().unwrap_or(1_000_000);
    let events = args.next().unwrap_or(1_000_000);
    let table = Arc::new(FieldTable::new());
    let parsed = parse(RULES, "bench.yml");
    let ruleset = Arc::new(Ruleset::compile(&parsed.rules, &table));
    let mut parser = Parser::new(Arc::clone(&table));
    let detections = (0..).zip(ruleset.rules()).filter(|(_, rule)| rule.is_detection());
    let matched: Vec<RuleIndex> = detections.map(|(place, _)| RuleIndex(place)).collect();
    let mut correlator = Correlator::new(Arc::clone(&ruleset));
    let mut hit = |number: u64| -> Hit {
        let json = format!(
            r#"{{"door":{{"name":"a"}},"result":"denied","person":{{"name":"user-{:08}"}}}}"#,
            number % keys
        );
        let received = Timestamp::from_secs(1_800_000_000 + i64::try_from(number / 1_000).unwrap());
        let header = Header::new("bench".into(), received, Shape::Door, "bench".into());
        let event = ParsedEvent::parse(header, Bytes::from(json), &mut parser).unwrap();
        let mut found = Vec::new();
        hits(&ruleset, &event, &matched, &mut found);
        found.remove(0)
    };
    let mut take = |number: u64, hit: &Hit, fired: &mut usize| {
        let position =
            Position { log: LogId::TELEMETRY, partition: Partition(0), seq: Seq(number) };
        let clock = Timestamp::from_secs(1_800_000_000 + i64::try_from(number / 1_000).unwrap());
        let mut all = Vec::new();
        correlator.take(hit, position, clock, &mut all);
        *fired += all.len();
    };
    let before = resident();
    let mut fired = 0;
    for number in 0..keys {
        take(number, &hit(number), &mut fired);
    }
    let bytes = resident().saturating_sub(before);
    let mut secs = 0.0;
    for block in 0..events.div_ceil(10_000) {
        let first = keys + block * 10_000;
        let ready: Vec<Hit> = (first..first + 10_000).map(&mut hit).collect();
        let started = Instant::now();
        for (number, hit) in (first..).zip(&ready) {
            take(number, hit, &mut fired);
        }
        secs += started.elapsed().as_secs_f64();
    }
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let (rate, each) = (events as f64 / secs, bytes as f64 / keys as f64);
    println!(
        r#"{{"keys":{keys},"mib":{},"bytes_each":{each:.0},"events_per_second":{rate:.0},"fired":{fired}}}"#,
        bytes >> 20
    );
}

/// Memory of this process, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}
