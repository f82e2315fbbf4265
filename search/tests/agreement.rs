//! The index finds what `Query::matches` finds, for random events and random queries.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::World;
use custos_event::{
    Flags, Header, LogId, ParsedEvent, Partition, Position, Seq, Shape, Timestamp, ValueRef, ecs,
};
use custos_search::SearchRequest;
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

/// Few values, so that queries hit; among them all that is easily got wrong.
const VALUES: &[&str] = &[
    "alice",
    "Alice",
    "svc_backup",
    "SVC-web",
    "bob smith",
    "",
    "-",
    "10.0.0.5",
    "10.0.7.9",
    "192.168.1.1",
    "fe80::1",
    "FE80:0::1",
    "::ffff:10.0.0.5",
    "443",
    "443.0",
    "-1",
    "1e3",
    "0",
    "-0.0",
    "强行",
    "门被强行打开",
    "door强a行",
    "İx",
    "straße",
    "ΣΑΣ",
    "a b c",
    "C:\\Windows\\x.exe",
    "2026-11-24T08:00:00Z",
    "true",
    "failed login from 10.0.0.5",
    "login",
    "x",
    "*",
    "a\"b",
];

const FIELDS: &[&str] = &[
    "user.name",
    "event.action",
    "message",
    "source.ip",
    "client.ip",
    "source.port",
    "http.response.status_code",
    "winlog.event_data.Image",
    "my_ip",
    "error.message",
    "event.kind",
    "custom",
    "process.name",
];

const QUERY_FIELDS: &[&str] = &["@timestamp", "event.ingested", "custos.source", "_raw", "absent"];

const NETS: &[&str] =
    &["10.0.0.0/8", "10.0.0.5/32", "::/0", "fe80::/10", "0.0.0.0/0", "::ffff:0:0/96"];

const SIGNS: &[&str] = &["<", "<=", ">", ">="];

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        8 => select(VALUES).prop_map(|text| json!(text)),
        2 => (-2_i64..500).prop_map(|number| json!(number)),
        1 => select(&[0.5, -0.0, 443.0, 1e300, 9_007_199_254_740_993.0][..]).prop_map(|n| json!(n)),
        1 => select(vec![json!(null), json!(true), json!([]), json!(u64::MAX)]),
        1 => (select(VALUES), select(VALUES)).prop_map(|(a, b)| json!([a, b])),
        1 => (500..600_usize, select(VALUES)).prop_map(|(n, v)| json!("a".repeat(n) + v)),
        1 => (60..70_usize, select(VALUES)).prop_map(|(n, v)| json!(format!("{v} {} {v}", "b".repeat(n)))),
    ]
}

#[derive(Clone, Debug)]
struct Sketch {
    time: i64,
    received: i64,
    source: &'static str,
    values: Vec<(&'static str, Value)>,
    as_text: bool,
    rejected: bool,
}

fn sketch() -> impl Strategy<Value = Sketch> {
    let values = prop::collection::vec((select(FIELDS), value()), 0..6);
    let source = select(&["kafka:doors", "file:a b"][..]);
    (0..40_i64, 0..40_i64, source, values, prop::bool::weighted(0.2), prop::bool::weighted(0.1))
        .prop_map(|(time, received, source, values, as_text, rejected)| Sketch {
            time,
            received,
            source,
            values,
            as_text,
            rejected,
        })
}

impl Sketch {
    fn event(&self, world: &mut World) -> ParsedEvent {
        let shape = if self.as_text { Shape::Text } else { Shape::Ecs };
        let received = Timestamp::from_secs(self.received);
        let mut header = Header::new(self.source.into(), received, shape, "t".into());
        header.time = Timestamp::from_secs(self.time);
        if self.rejected {
            header.flags = Flags::REJECTED;
            header.rejection = Some("because".into());
        }
        let object: serde_json::Map<_, _> =
            self.values.iter().map(|(field, value)| ((*field).to_owned(), value.clone())).collect();
        let raw = Value::Object(object).to_string();
        let mut event = ParsedEvent::parse(header, raw.into(), &mut world.parser).unwrap();
        if let Some((field, Value::String(text))) = self.values.first() {
            event.add(world.table.intern(field), ValueRef::Str(text));
            event.add(ecs::USER_TARGET_NAME, ValueRef::Str(text));
        }
        event
    }
}

fn bare(text: &str) -> String {
    let escape = |c: char| {
        let special = "\\():\"*?<>= ".contains(c);
        if special { format!("\\{c}") } else { c.to_string() }
    };
    text.chars().map(escape).collect()
}

/// A value, or a part of one with wildcards around and in it.
fn literal() -> impl Strategy<Value = String> {
    let part = (select(VALUES), any::<(bool, bool, bool)>(), 0..8_usize, 1..8_usize).prop_map(
        |(text, (front, back, one), from, len)| {
            let mut part: String =
                text.chars().skip(from).take(len).map(|c| bare(&c.to_string())).collect();
            if one {
                part.push('?');
            }
            format!("{}{part}{}", if front { "*" } else { "" }, if back { "*" } else { "" })
        },
    );
    prop_oneof![
        4 => select(VALUES).prop_map(custos_search::quoted),
        2 => select(VALUES).prop_map(bare),
        4 => part,
        1 => select(NETS).prop_map(str::to_owned),
        1 => Just("*".to_owned()),
        1 => (-2_i64..500).prop_map(|number| number.to_string()),
        1 => (490..610_usize).prop_map(|n| format!("{}*", "a".repeat(n))),
        1 => (505..520_usize).prop_map(|n| "a".repeat(n)),
        1 => (60..70_usize).prop_map(|n| "b".repeat(n)),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    let field = || prop_oneof![4 => select(FIELDS), 1 => select(QUERY_FIELDS)];
    let sign = select(SIGNS);
    let time = (0..45_i64).prop_map(|time| format!("\"{}\"", Timestamp::from_secs(time)));
    prop_oneof![
        6 => (field(), literal()).prop_map(|(field, value)| format!("{field}:{value}")),
        2 => (field(), sign.clone(), literal()).prop_map(|(f, s, v)| format!("{f} {s} {v}")),
        1 => (select(&QUERY_FIELDS[..2]), sign, time).prop_map(|(f, s, t)| format!("{f} {s} {t}")),
        3 => literal(),
        1 => (field(), literal(), literal()).prop_map(|(f, a, b)| format!("{f}:({a} or not {b})")),
    ]
}

fn query() -> impl Strategy<Value = String> {
    condition().prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} and {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} OR {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} {b}")),
            inner.prop_map(|a| format!("not {a}")),
        ]
    })
}

fn request() -> impl Strategy<Value = SearchRequest> {
    let time = || prop::option::weighted(0.3, (0..45_i64).prop_map(Timestamp::from_secs));
    (time(), time(), 0..7_usize).prop_map(|(from, to, limit)| SearchRequest { from, to, limit })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_index_finds_what_reading_everything_finds(
        sketches in prop::collection::vec(sketch(), 1..60),
        repeat in 1..30_usize,
        commit_every in 30..400_usize,
        reopen in any::<bool>(),
        fill in any::<bool>(),
        queries in prop::collection::vec((query(), request()), 40),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut world = World::new(dir.path());
        // Repeated, so that some runs are full and have filters; two partitions, so that they mix.
        let mut next = [0_u64, 0];
        for (n, sketch) in std::iter::repeat_n(&sketches, repeat).flatten().enumerate() {
            let partition = u16::from(n % 5 == 0);
            let seq = Seq(next[usize::from(partition)]);
            next[usize::from(partition)] += 1;
            let event = sketch.event(&mut world);
            let position = Position { log: LogId::TELEMETRY, partition: Partition(partition), seq };
            world.add(position, event);
            if n % commit_every == 0 {
                world.commit(n as u64);
            }
        }
        world.commit(10_000);
        if reopen {
            world.reopen(dir.path());
            if fill {
                world.writer.as_mut().unwrap().fill_gaps(&world.log).unwrap();
            }
        }
        for (text, request) in queries {
            // Some strings made up here are no queries: a word without letters, wildcards in a time.
            if custos_search::Query::parse(&text).is_ok() {
                world.check(&text, request);
            }
        }
    }
}
