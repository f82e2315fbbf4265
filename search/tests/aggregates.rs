//! Pages, histograms, values and coverage say what reading every event says, for random events.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{World, at};
use custos_event::{Header, ParsedEvent, Position, Shape, Timestamp, ValueRef};
use custos_search::{Ask, Buckets, Mark, Query, SearchRequest};
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const ALL: SearchRequest = SearchRequest { from: None, to: None, limit: 0 };

const VALUES: &[&str] =
    &["alice", "Alice", "ALBERT", "bob", "10.0.0.5", "::ffff:10.0.0.5", "443", "", "强行", "x"];
/// Of the dictionary, of none, an address outside it, and text.
const FIELDS: &[&str] = &["user.name", "source.ip", "source.port", "custom", "my_ip", "message"];
/// What the dictionary answers, what it does not, and what it answers in part.
const QUERIES: &[&str] = &[
    "*",
    "user.name:al*",
    "custom:*",
    "not custom:alice",
    "alice",
    "source.ip:10.0.0.0/8 or custom:x",
    "source.port >= 443",
    "message:强行 or not user.name:*",
    "custos.source:even",
    "absent:*",
];

#[derive(Clone, Debug)]
struct Sketch {
    time: i64,
    values: Vec<(&'static str, Value)>,
}

fn sketch() -> impl Strategy<Value = Sketch> {
    let value = prop_oneof![
        8 => select(VALUES).prop_map(|text| json!(text)),
        1 => (441_i64..445).prop_map(|number| json!(number)),
        1 => (select(VALUES), select(VALUES)).prop_map(|(a, b)| json!([a, b])),
        1 => Just(json!(null)),
        1 => (0..2_usize).prop_map(|n| json!("a".repeat(600 + n))),
    ];
    let values = prop::collection::vec((select(FIELDS), value), 0..4);
    (-30..90_i64, values).prop_map(|(time, values)| Sketch { time, values })
}

fn add(world: &mut World, seq: u64, sketch: &Sketch) {
    let source = if seq.is_multiple_of(2) { "even" } else { "odd" };
    let mut header = Header::new(source.into(), Timestamp(0), Shape::Ecs, "t".into());
    header.time = Timestamp::from_secs(sketch.time);
    let object: serde_json::Map<_, _> =
        sketch.values.iter().map(|(field, value)| ((*field).to_owned(), value.clone())).collect();
    let raw = Value::Object(object).to_string();
    let event = ParsedEvent::parse(header, raw.into(), &mut world.parser).unwrap();
    world.add(at(seq), event);
}

/// An event every `commit_every` is searchable with all before it; the last ones always are.
fn world(dir: &std::path::Path, sketches: &[Sketch], commit_every: usize) -> World {
    let mut world = World::new(dir);
    for (n, sketch) in sketches.iter().enumerate() {
        add(&mut world, n as u64, sketch);
        if n % commit_every == 0 {
            world.commit(n as u64 + 1);
        }
    }
    world.commit(1_000_000);
    world
}

fn found<'w>(world: &'w World, text: &str, request: &SearchRequest) -> Vec<&'w ParsedEvent> {
    let query = Query::parse(text).unwrap();
    let by_place: BTreeMap<_, _> = world.events.iter().map(|(at, event)| (*at, event)).collect();
    world.scan(&query, request).iter().map(|at| by_place[at]).collect()
}

/// What a value is told apart by: letters alike in both cases, addresses by what they mean.
fn same(field: &str, value: ValueRef<'_>) -> String {
    let text = value.to_string();
    let is_address = field.ends_with("ip");
    let text = if is_address { text.replace("::ffff:10.", "10.") } else { text };
    text.to_lowercase()
}

fn counted(world: &World, events: &[&ParsedEvent], field: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for event in events {
        let mut values: BTreeSet<String> = world
            .table
            .get(field)
            .into_iter()
            .flat_map(|id| event.all(id))
            .filter(|value| *value != ValueRef::Null)
            .map(|value| same(field, value))
            .collect();
        if field == "custos.source" {
            values.insert(event.header.source.to_string());
        }
        for value in values {
            *counts.entry(value).or_insert(0) += 1;
        }
    }
    counts
}

fn check_histogram(world: &World, text: &str, request: &SearchRequest, most: usize) {
    let query = Query::parse(text).unwrap();
    let (first, last) = world.index.times().unwrap().unwrap_or_default();
    let (from, to) = (request.from.unwrap_or(first), request.to.unwrap_or(Timestamp(last.0 + 1)));
    let buckets = Buckets::covering(from, to, most);
    let histogram =
        world.index.histogram(&query, request, &buckets, &|| false, &world.log).unwrap();
    let mut naive = vec![0; buckets.count];
    for event in found(world, text, request) {
        let nth = (event.header.time.0 - buckets.from.0) / buckets.width_nanos;
        naive[usize::try_from(nth).unwrap()] += 1;
    }
    assert_eq!((histogram.counts, histogram.exact), (naive, true), "{text} {request:?}");
}

fn check_values(world: &World, text: &str, request: &SearchRequest, field: &str, prefix: &str) {
    let query = Query::parse(text).unwrap();
    let ask = Ask { field: field.into(), prefix: prefix.into(), limit: 1_000, events_max: 0 };
    let values = world.index.values(&query, request, &ask, &|| false, &world.log).unwrap();
    let naive: BTreeMap<String, u64> = counted(world, &found(world, text, request), field)
        .into_iter()
        .filter(|(value, _)| value.starts_with(&prefix.to_lowercase()))
        .map(|(value, count)| (value.chars().take(256).collect(), count))
        .fold(BTreeMap::new(), |mut all, (value, count)| {
            *all.entry(value).or_insert(0) += count;
            all
        });
    let mut told: BTreeMap<String, u64> = BTreeMap::new();
    for value in &values.values {
        *told.entry(same(field, ValueRef::Str(&value.value))).or_insert(0) += value.count;
    }
    assert_eq!((told, values.exact), (naive, true), "{field} of {text} {request:?}");
    assert!(values.values.is_sorted_by(|a, b| a.count >= b.count), "{:?}", values.values);
}

fn check_coverage(world: &World, text: &str, request: &SearchRequest) {
    let query = Query::parse(text).unwrap();
    let coverage = world.index.coverage(&query, request, 3, &|| false, &world.log).unwrap();
    let all = found(world, text, request);
    let limit = if request.limit == 0 { all.len() } else { request.limit.min(all.len()) };
    assert_eq!((coverage.sampled, coverage.exact), (limit as u64, limit == all.len()), "{text}");
    for field in FIELDS.iter().chain(&["custos.source"]) {
        let counts = counted(world, &all[..limit], field);
        let id = world.table.get(field);
        let has = |event: &&&ParsedEvent| {
            *field == "custos.source"
                || id.is_some_and(|id| event.all(id).any(|value| value != ValueRef::Null))
        };
        let events = all[..limit].iter().filter(has).count() as u64;
        let mine = coverage.fields.iter().find(|mine| mine.name == *field);
        assert_eq!(mine.map_or(0, |mine| mine.count), events, "{field} of {text}");
        assert_eq!(mine.map_or(0, |mine| mine.distinct), counts.len(), "{field} of {text}");
        for top in mine.iter().flat_map(|mine| &mine.top).filter(|top| top.value.len() < 256) {
            assert_eq!(counts.get(&same(field, ValueRef::Str(&top.value))), Some(&top.count));
        }
    }
}

/// Walks an answer page by page while events arrive, stopping every other search at its first chance.
fn walk(world: &mut World, text: &str, limit: usize, arriving: &[Sketch]) -> Vec<Position> {
    let query = Query::parse(text).unwrap();
    let (mut all, mut after, mut turn) = (Vec::new(), None::<Mark>, 0);
    let mut arriving = arriving.iter();
    loop {
        turn += 1;
        let stop = || turn % 2 == 0;
        let request = SearchRequest { limit, ..ALL };
        let page = world.index.page(&query, &request, after, &stop, &world.log).unwrap();
        assert!(
            page.hits.len() <= limit
                && (page.stopped || page.hits.len() == limit || page.next.is_none())
        );
        all.extend(page.hits.iter().map(|hit| hit.position));
        let Some(next) = page.next else { return all };
        after = Some(next.to_string().parse().unwrap());
        if let Some(sketch) = arriving.next() {
            let seq = world.events.len() as u64;
            add(world, seq, sketch);
            world.commit(1_000_001 + seq);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_answers_add_up_to_is_what_reading_everything_adds_up_to(
        sketches in prop::collection::vec(sketch(), 0..700),
        commit_every in 30..400_usize,
        times in (prop::option::of(-40..100_i64), prop::option::of(-40..100_i64)),
        most in 1..70_usize,
        sample in 0..50_usize,
        prefix in select(&["", "al", "AL", "1", "强", "zz"][..]),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let world = world(dir.path(), &sketches, commit_every);
        let request = SearchRequest {
            from: times.0.map(Timestamp::from_secs),
            to: times.1.map(Timestamp::from_secs),
            limit: 0,
        };
        for text in QUERIES {
            check_histogram(&world, text, &request, most);
            check_coverage(&world, text, &SearchRequest { limit: sample, ..request });
            for field in FIELDS.iter().chain(&["custos.source", "absent"]) {
                check_values(&world, text, &request, field, prefix);
            }
        }
    }

    #[test]
    fn pages_neither_skip_nor_repeat_while_events_arrive(
        sketches in prop::collection::vec(sketch(), 1..1_500),
        arriving in prop::collection::vec(sketch(), 0..12),
        commit_every in 30..900_usize,
        limit in 1..400_usize,
        text in select(QUERIES),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut world = world(dir.path(), &sketches, commit_every);
        let query = Query::parse(text).unwrap();
        let before = world.scan(&query, &ALL);
        let walked = walk(&mut world, text, limit, &arriving);
        let now = world.scan(&query, &ALL);
        let seen: BTreeSet<_> = walked.iter().copied().collect();
        prop_assert_eq!(seen.len(), walked.len(), "something came twice");
        prop_assert!(before.iter().all(|position| seen.contains(position)), "something was skipped");
        let in_order: Vec<_> = now.into_iter().filter(|position| seen.contains(position)).collect();
        prop_assert_eq!(in_order, walked);
    }
}

#[test]
fn a_search_that_is_stopped_says_so_and_costs_little() {
    let dir = tempfile::tempdir().unwrap();
    let sketch = Sketch { time: 0, values: vec![("custom", json!("alice"))] };
    let world = world(dir.path(), &vec![sketch; 3_000], 10_000);
    let query = Query::parse("custom:alice").unwrap();
    let buckets = Buckets::covering(Timestamp(0), Timestamp::from_secs(10), 10);
    let histogram = world.index.histogram(&query, &ALL, &buckets, &|| true, &world.log).unwrap();
    assert!(!histogram.exact && histogram.stats.events_read == 0, "{histogram:?}");
    let page = world.index.page(&query, &ALL, None, &|| true, &world.log).unwrap();
    assert!(page.stopped && page.next.is_some(), "{:?}", page.stats);
    assert!(page.stats.events_read <= 256, "{:?}", page.stats);
    let ask = Ask { field: "custom".into(), limit: 5, ..Ask::default() };
    let values = world.index.values(&query, &ALL, &ask, &|| true, &world.log).unwrap();
    assert!(!values.exact && values.values[0].count <= 256, "{values:?}");
}

#[test]
fn what_the_dictionary_answers_is_counted_without_reading_events() {
    let dir = tempfile::tempdir().unwrap();
    let sketch = |n: i64| Sketch { time: n, values: vec![("user.name", json!("Alice"))] };
    let sketches: Vec<_> = (0..2_000).map(sketch).collect();
    let world = world(dir.path(), &sketches, 700);
    let query = Query::parse("user.name:*").unwrap();
    let buckets = Buckets::covering(Timestamp(0), Timestamp::from_secs(2_000), 20);
    let histogram = world.index.histogram(&query, &ALL, &buckets, &|| true, &world.log).unwrap();
    assert_eq!((histogram.total(), histogram.exact), (2_000, true));
    assert_eq!(histogram.stats.events_read, 0);
    let ask = Ask { field: "user.name".into(), limit: 5, ..Ask::default() };
    let values = world.index.values(&query, &ALL, &ask, &|| false, &world.log).unwrap();
    assert_eq!((values.values[0].value.as_str(), values.values[0].count), ("Alice", 2_000));
    assert_eq!(values.stats.events_read, 1, "only to learn how it is written");
}
