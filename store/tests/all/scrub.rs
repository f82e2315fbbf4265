//! Scrub and repair: damage is found and told of once, and what a backup has is put back, proven, whole or not at all.

use crate::common::*;
use custos_event::{Fact, LogId, Partition, Seq, commit::LogReader as _};
use custos_store::{
    Options, RepairReport, Repaired, ScrubReport, Store, StoreError,
    backup::{BackupKind, CreateOptions, S3Options, Target},
};
use std::path::{Path, PathBuf};

const P0: Partition = Partition(0);

fn small() -> Options {
    Options { segment_bytes: 4_000, ring_bytes: 2_000, ..options() }
}

fn grow(store: &Store, commits: usize) {
    grow_by(store, "record", commits);
}

fn grow_by(store: &Store, word: &str, commits: usize) {
    for n in 0..commits {
        let text = format!("{word} {n} {}", "y".repeat(n * 13 % 70));
        store.append_blocking(append(LogId::TELEMETRY, &[&text, "second"])).unwrap();
    }
    store.wait_sealed();
}

fn target(dir: &Path) -> Target {
    Target::open(&dir.join("b").display().to_string(), &S3Options::default(), true).unwrap()
}

fn back_up(store: &Store, dir: &Path) {
    let options =
        CreateOptions { kind: BackupKind::Incremental, config: None, with_master_key: false };
    store.backup(&target(dir), &options, &mut |_| true).unwrap();
}

fn scrub(store: &Store) -> ScrubReport {
    store.scrub(&mut |_| true).unwrap()
}

fn repair(store: &Store, dir: &Path) -> RepairReport {
    store.repair(&target(dir), &mut |_| Ok(())).unwrap()
}

fn records(store: &Store) -> Result<Vec<bytes::Bytes>, String> {
    let (mut found, end) = (Vec::new(), store.next_seq(LogId::TELEMETRY, P0));
    let mut take = |_, bytes| {
        found.push(bytes);
        true
    };
    store.scan(LogId::TELEMETRY, P0, Seq(0), end, &mut take).map_err(|e| e.to_string())?;
    Ok(found)
}

/// A store with several sealed segments, all of them in a backup.
fn backed_up(dir: &Path) -> (Store, PathBuf) {
    let data = dir.join("d");
    let (store, _) = Store::open(&data, small()).unwrap();
    grow(&store, 300);
    back_up(&store, dir);
    (store, data)
}

#[test]
fn a_flipped_bit_anywhere_is_found_told_once_and_mended_from_the_backup() {
    let dir = tempfile::tempdir().unwrap();
    let (store, data) = backed_up(dir.path());
    let whole = records(&store).unwrap();
    assert!(scrub(&store).damaged.is_empty());
    let path = segments(&data, LogId::TELEMETRY)[2].clone();
    let (good, len) = (std::fs::read(&path).unwrap(), std::fs::metadata(&path).unwrap().len());
    let (mut mended, step) = (0, if long() { 1 } else { 97 });
    for at in (0..usize::try_from(len).unwrap()).step_by(step) {
        flip(&path, at);
        let found = scrub(&store);
        // A reserved byte of the header is covered by the checksum like every other.
        assert_eq!(found.damaged.len(), 1, "byte {at}: {found:?}");
        assert!(matches!(found.facts[..], [Fact::RangeQuarantined { .. }]), "byte {at}: {found:?}");
        store.recorded().unwrap();
        assert!(scrub(&store).facts.is_empty(), "byte {at} is told once");
        let report = repair(&store, dir.path());
        assert_eq!((report.repaired.len(), report.left.len()), (1, 0), "byte {at}: {report:?}");
        assert_eq!(std::fs::read(&path).unwrap(), good, "byte {at}");
        assert_eq!(records(&store).unwrap(), whole, "byte {at}");
        assert!(scrub(&store).damaged.is_empty(), "byte {at}");
        mended += 1;
    }
    println!("scrub: {mended} damages found, told and mended, of {len} bytes");
    assert_ok(&data);
}

#[test]
fn a_segment_that_is_gone_or_headless_at_a_start_is_put_back() {
    for spoil in [
        |path: &Path| std::fs::remove_file(path).unwrap(),
        |path: &Path| flip(path, 30),
        |path: &Path| std::fs::write(path, b"").unwrap(),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (store, data) = backed_up(dir.path());
        let whole = records(&store).unwrap();
        store.close().unwrap();
        let files = segments(&data, LogId::TELEMETRY);
        spoil(&files[1]);
        spoil(&files[2]);
        let (store, facts) = Store::open(&data, small()).unwrap();
        assert!(facts.iter().all(|f| matches!(f, Fact::RangeQuarantined { .. })), "{facts:?}");
        assert!(!facts.is_empty() && records(&store).is_err());
        let report = repair(&store, dir.path());
        assert!(report.left.is_empty() && !report.repaired.is_empty(), "{report:?}");
        assert_eq!(records(&store).unwrap(), whole);
        store.recorded().unwrap();
        store.close().unwrap();
        assert_ok(&data);
        let (store, facts) = Store::open(&data, small()).unwrap();
        assert!(facts.is_empty(), "{facts:?}");
        assert_eq!(records(&store).unwrap(), whole);
    }
}

#[test]
fn the_next_start_tells_what_the_one_before_could_not() {
    let dir = tempfile::tempdir().unwrap();
    let (store, data) = backed_up(dir.path());
    store.close().unwrap();
    flip(&segments(&data, LogId::TELEMETRY)[1], 30);
    let open = || Store::open(&data, small()).unwrap();
    // The process ends before the fact is in the journal.
    let (store, first) = open();
    drop(store);
    let (store, second) = open();
    assert_eq!(first, second);
    assert_eq!(first.len(), 1, "{first:?}");
    store.recorded().unwrap();
    drop(store);
    assert!(open().1.is_empty());
}

#[test]
fn what_no_backup_has_whole_is_left_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let (store, data) = backed_up(dir.path());
    grow(&store, 200);
    let files = segments(&data, LogId::TELEMETRY);
    let last = &files[files.len() - 3];
    flip(last, 700);
    assert_eq!(scrub(&store).damaged.len(), 1);
    let damaged = std::fs::read(last).unwrap();
    let report = repair(&store, dir.path());
    assert!(report.repaired.is_empty(), "{report:?}");
    assert!(report.left[0].reason.contains("no backup there holds record"), "{report:?}");
    assert_eq!(std::fs::read(last).unwrap(), damaged, "it is as it was");
}

#[test]
fn the_newest_segment_is_mended_where_nothing_came_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let (store, data) = backed_up(dir.path());
    store.close().unwrap();
    let (store, _) = Store::open(&data, small()).unwrap();
    store.wait_sealed();
    back_up(&store, dir.path());
    let whole = records(&store).unwrap();
    let path = segments(&data, LogId::TELEMETRY).pop().unwrap();
    flip(&path, 300);
    assert_eq!(scrub(&store).damaged.len(), 1);
    store.recorded().unwrap();
    let report = repair(&store, dir.path());
    assert!(report.repaired.len() == 1 && report.left.is_empty(), "{report:?}");
    assert_eq!(records(&store).unwrap(), whole);
    grow(&store, 20);
    store.close().unwrap();
    assert_ok(&data);
}

#[test]
fn a_log_that_went_on_without_its_end_is_not_given_another() {
    let dir = tempfile::tempdir().unwrap();
    let (store, data) = backed_up(dir.path());
    store.close().unwrap();
    // A checkpoint speaks of its records: the log goes on behind them, and its tree counts them as lost.
    flip(segments(&data, LogId::TELEMETRY).last().unwrap(), 30);
    let (store, _) = Store::open(&data, small()).unwrap();
    grow(&store, 200);
    let before = records(&store);
    let report = repair(&store, dir.path());
    assert!(report.repaired.is_empty(), "{report:?}");
    assert!(report.left[0].reason.contains("goes on without them"), "{report:?}");
    assert_eq!(records(&store), before);
}

#[test]
fn a_whole_segment_of_other_records_in_the_place_of_one_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let [data, other] = ["d", "other"].map(|name| dir.path().join(name));
    Store::open(&data, small()).unwrap().0.close().unwrap();
    // The same keys, and from here on another life.
    copy_tree(&data, &other);
    let [store, twin] = [&data, &other].map(|data| Store::open(data, small()).unwrap().0);
    grow_by(&store, "record", 300);
    grow_by(&twin, "recork", 300);
    twin.close().unwrap();
    let (mine, theirs) = (segments(&data, LogId::TELEMETRY), segments(&other, LogId::TELEMETRY));
    assert_eq!(mine[1].file_name(), theirs[1].file_name());
    assert!(scrub(&store).damaged.is_empty());
    std::fs::copy(&theirs[1], &mine[1]).unwrap();
    let found = scrub(&store).damaged;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].reason.contains("not the one that the next segment"), "{found:?}");
}

#[test]
fn a_backup_that_was_changed_mends_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (store, data) = backed_up(dir.path());
    let path = segments(&data, LogId::TELEMETRY)[1].clone();
    let name = path.file_name().unwrap().to_owned();
    flip(&path, 600);
    scrub(&store);
    let backup = std::fs::read_dir(dir.path().join("b")).unwrap().next().unwrap().unwrap().path();
    flip(&backup.join("telemetry").join(name), 650);
    let report = repair(&store, dir.path());
    assert!(report.repaired.is_empty(), "{report:?}");
    assert!(report.left[0].reason.contains("is not what was written"), "{report:?}");
}

#[test]
fn a_repair_whose_fact_was_lost_is_told_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let (store, data) = backed_up(dir.path());
    let whole = records(&store).unwrap();
    flip(&segments(&data, LogId::TELEMETRY)[1], 600);
    scrub(&store);
    let mut told: Vec<Repaired> = Vec::new();
    let refused = store.repair(&target(dir.path()), &mut |_| Err(StoreError::Closed));
    assert!(refused.is_err());
    assert_eq!(records(&store).unwrap(), whole, "it is in place");
    let again = store.repair(&target(dir.path()), &mut |repaired| {
        told.push(repaired.clone());
        Ok(())
    });
    assert_eq!(again.unwrap().repaired, told);
    assert_eq!(told.len(), 1);
    assert!(repair(&store, dir.path()).repaired.is_empty(), "once");
}

#[test]
fn whoever_scrubs_may_stop() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = backed_up(dir.path());
    let mut seen = 0;
    let stopped = store.scrub(&mut |progress| {
        seen = progress.segments;
        progress.segments < 2
    });
    assert!(matches!(stopped, Err(StoreError::Stopped)));
    assert_eq!(seen, 2);
}
