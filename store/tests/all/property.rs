//! Whatever is appended, in whatever portions, with restarts and sealing in between: the same is read,
//! from every place, and it verifies.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a test fails by panicking"
)]

use crate::common::*;
use bytes::Bytes;
use custos_event::{Append, CommitNo, Cursor, Entry, LogId, ProducerEntry, Seq, SourceRange};
use custos_event::{Partition, commit::LogReader};
use custos_store::{Options, Store};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Append { log: u8, sizes: Vec<u16> },
    Reopen,
    Seal,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let sizes = prop::collection::vec(prop_oneof![0..300_u16, 0..40_000_u16], 0..6);
    let step = prop_oneof![
        8 => (0..3_u8, sizes).prop_map(|(log, sizes)| Step::Append { log, sizes }),
        1 => Just(Step::Reopen),
        1 => Just(Step::Seal),
    ];
    prop::collection::vec(step, 1..40)
}

fn small() -> Options {
    let mut small = options();
    // Segments of 20 KB and a ring of 10 KB: both are left behind within a few appends.
    small.segment_bytes = 20_000;
    small.ring_bytes = 10_000;
    small.cache_bytes = 50_000;
    small
}

fn entry(n: usize, size: u16) -> Entry {
    let text = format!("{{\"n\":{n},\"user\":\"user{}\",\"zone\":\"dmz\"}}", n % 7);
    let bytes: Vec<_> = text.bytes().cycle().take(size.into()).collect();
    Entry { bytes: bytes.into(), parsed: None }
}

fn source(n: i64) -> SourceRange {
    SourceRange {
        cluster: "c".into(),
        topic: format!("t{}", n % 2),
        partition: 3,
        epoch: 0,
        first: n,
        last: n + 1,
        last_digest: 7,
    }
}

fn producer(n: i32) -> ProducerEntry {
    ProducerEntry {
        topic: "t".into(),
        partition: 0,
        producer: i64::from(n % 2),
        epoch: 1,
        base_sequence: n,
        records: 2,
        base_offset: i64::from(n) * 2,
    }
}

fn check(store: &Store, model: &[Seen]) {
    let seen = follow_all(store);
    assert_eq!(seen.len(), model.len());
    for (seen, model) in seen.iter().zip(model) {
        assert_eq!((seen.0, seen.1, seen.2), (model.0, model.1, model.2));
        assert!(seen.3 == model.3, "entries of commit {}", seen.0);
    }
    for at in [model.len() / 3, model.len() / 2] {
        let rest = follow_from(store, &Cursor::after(CommitNo(at as u64)), 3);
        assert!(rest == model[at..], "all but the first {at}");
    }
    for log in 0..3 {
        let records: Vec<&Bytes> =
            model.iter().filter(|c| c.1 == LogId(log)).flat_map(|c| &c.3).collect();
        let from = records.len() / 3;
        let mut scanned = Vec::new();
        store
            .scan(LogId(log), Partition(0), Seq(from as u64), Seq(u64::MAX), &mut |seq, bytes| {
                scanned.push((seq.0, bytes));
                true
            })
            .unwrap();
        let expected = records.iter().enumerate().skip(from);
        assert!(scanned.iter().map(|(s, b)| (*s as usize, b)).eq(expected.map(|(n, b)| (n, *b))));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_appended_is_what_is_read_from_every_place(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, _) = Store::open(dir.path(), small()).unwrap();
        let (mut model, mut next, mut n) = (Vec::<Seen>::new(), [0_u64; 3], 0);
        for step in steps {
            match step {
                Step::Append { log, sizes } => {
                    let entries: Vec<_> = sizes.iter().map(|size| { n += 1; entry(n, *size) }).collect();
                    let mut append = Append::new(LogId(log), entries);
                    let commit = model.len() + 1;
                    append.sources.push(source(commit as i64));
                    append.producers.push(producer(i32::try_from(commit).unwrap()));
                    let bytes = append.entries.iter().map(|entry| entry.bytes.clone()).collect();
                    let place = store.append_blocking(append).unwrap();
                    let first = next[usize::from(log)];
                    prop_assert_eq!((place.commit.0, place.first.0), (commit as u64, first));
                    next[usize::from(log)] += sizes.len() as u64;
                    model.push((commit as u64, LogId(log), first, bytes));
                }
                Step::Seal => store.wait_sealed(),
                Step::Reopen => {
                    store.close().unwrap();
                    let facts;
                    (store, facts) = Store::open(dir.path(), small()).unwrap();
                    prop_assert!(facts.is_empty(), "{:?}", facts);
                }
            }
        }
        check(&store, &model);
        store.close().unwrap();
        assert_ok(dir.path());
        let (store, _) = Store::open(dir.path(), small()).unwrap();
        store.wait_sealed();
        check(&store, &model);
        let commits = model.len() as i64;
        let sources = store.sources();
        prop_assert_eq!(sources.len() as i64, commits.min(2));
        prop_assert!(sources.iter().all(|source| source.first > commits - 2));
        prop_assert_eq!(store.producers().len() as i64, commits.min(10));
        prop_assert!(store.producers().iter().all(|p| i64::from(p.base_sequence) > commits - 10));
        store.close().unwrap();
        assert_ok(dir.path());
    }
}
