//! One flipped bit anywhere in a segment is found, and what it did not touch is still read.

use crate::common::*;
use custos_event::{Cursor, Fact, LogId};
use custos_store::{Store, StoreError, VerifyOptions, verify};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

/// Sealed segments with and without a dictionary, a closed open one, and two logs.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut wanted = options();
    wanted.segment_bytes = 600_000;
    for round in 0..2 {
        let (store, _) = Store::open(dir.path(), wanted.clone()).unwrap();
        for n in 0..120_u32 {
            let lines: Vec<_> = (0..60)
                .map(|m| format!("{round} {n} {m} user{} logged on at door {}", m % 9, n * m))
                .collect();
            let lines: Vec<_> = lines.iter().map(|line| line.repeat(3)).collect();
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            store.append_blocking(append(LogId::TELEMETRY, &lines)).unwrap();
            if n % 10 == 0 {
                store.append_blocking(append(LogId::JOURNAL, &["a fact", "another"])).unwrap();
            }
        }
        store.wait_sealed();
        store.close().unwrap();
    }
    dir
}

/// Whether verifying finds something. A version that this Custos does not read is refused by name.
fn is_told(dir: &Path) -> bool {
    match verify(dir, &VerifyOptions::default()) {
        Ok(reports) => reports.iter().any(|report| !report.is_ok()),
        Err(StoreError::Newer { .. }) => true,
        Err(error) => panic!("{error}"),
    }
}

/// A record's log and place.
type At = (LogId, u64);

/// Every record that a follower still gets, and the places that it is told are lost.
fn readable(store: &Store) -> (BTreeMap<At, bytes::Bytes>, BTreeSet<At>) {
    let (mut follower, mut records) = (store.follow(&Cursor::default()), BTreeMap::new());
    let mut told = BTreeSet::new();
    while follower.cursor().commit() < store.last_commit() {
        match follower.next(50, 1 << 20, Duration::ZERO) {
            Ok(commits) => {
                for commit in commits {
                    for (n, entry) in commit.entries.into_iter().enumerate() {
                        records.insert((commit.log, commit.first.0 + n as u64), entry.bytes);
                    }
                }
            }
            Err(StoreError::Lost { log, first, last, .. }) => {
                told.extend((first.0..=last.0).map(|seq| (log, seq)));
            }
            Err(error) => panic!("{error}"),
        }
    }
    (records, told)
}

#[test]
fn any_flipped_bit_is_found_and_the_rest_is_read() {
    let good = folder();
    assert_ok(good.path());
    let mut files = segments(good.path(), LogId::TELEMETRY);
    files.extend(segments(good.path(), LogId::JOURNAL));
    assert!(files.len() >= 5, "{files:?}");
    let mut dice = Dice(2026);
    for round in 0..rounds(400, 10_000) {
        let path = &files[dice.roll(files.len())];
        let whole = std::fs::read(path).unwrap();
        let mut bytes = whole.clone();
        // Every second one in the first 300 bytes or the last: headers and trailers.
        let at = match round % 4 {
            0 => dice.roll(300.min(bytes.len())),
            1 => bytes.len() - 1 - dice.roll(300.min(bytes.len())),
            _ => dice.roll(bytes.len()),
        };
        bytes[at] ^= 1 << dice.roll(8);
        std::fs::write(path, &bytes).unwrap();
        assert!(is_told(good.path()), "byte {at} of {}", path.display());
        std::fs::write(path, whole).unwrap();
    }
    assert_ok(good.path());
}

#[test]
fn a_start_on_a_flipped_bit_reads_all_that_it_did_not_touch() {
    let good = folder();
    let all = {
        let copy = tempfile::tempdir().unwrap();
        copy_tree(good.path(), copy.path());
        let (store, _) = Store::open(copy.path(), options()).unwrap();
        readable(&store).0
    };
    let names: Vec<_> = segments(good.path(), LogId::TELEMETRY);
    let mut dice = Dice(7);
    for _ in 0..rounds(40, 1_000) {
        let copy = tempfile::tempdir().unwrap();
        copy_tree(good.path(), copy.path());
        let path = &names[dice.roll(names.len())];
        let path = copy.path().join(path.strip_prefix(good.path()).unwrap());
        let mut bytes = std::fs::read(&path).unwrap();
        let at = bytes.len() / 2 + dice.roll(bytes.len() / 3);
        bytes[at] ^= 1 << dice.roll(8);
        std::fs::write(&path, &bytes).unwrap();
        let mut wanted = options();
        wanted.seal = false;
        let (store, facts) = Store::open(copy.path(), wanted).unwrap();
        let (left, mut told) = readable(&store);
        assert!(left.iter().all(|(place, bytes)| all.get(place) == Some(bytes)));
        for fact in facts {
            if let Fact::RangeQuarantined { log, first, last, .. } = fact {
                told.extend((first.0..=last.0).map(|seq| (log, seq)));
            }
        }
        let missing: BTreeSet<_> =
            all.keys().filter(|at| !left.contains_key(at)).copied().collect();
        assert!(told == missing, "{} are missing, {} are told of", missing.len(), told.len());
        let lost = all.len() - left.len();
        assert!(lost <= 700, "{lost} of {} lost by one bit in {}", all.len(), path.display());
        store.append_blocking(append(LogId::TELEMETRY, &["after"])).unwrap();
        store.close().unwrap();
        assert!(!faults(copy.path()).is_empty());
    }
}
