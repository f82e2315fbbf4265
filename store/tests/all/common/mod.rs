//! What the store's tests share.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses some of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

pub mod acked;
pub mod inode;
pub mod nonces;
pub mod plan;
pub mod twin;

use bytes::Bytes;
use custos_event::{
    Append, Cursor, Entry, LogId, Timestamp,
    time::{Clock, ManualClock},
};
use custos_store::{LogReport, Options, Store, StoreError, VerifyOptions, verify};
use std::{path::Path, sync::Arc, time::Duration};

pub fn options() -> Options {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
    Options::new(clock)
}

pub fn append(log: LogId, entries: &[&str]) -> Append {
    let entry =
        |text: &&str| Entry { bytes: Bytes::copy_from_slice(text.as_bytes()), parsed: None };
    Append::new(log, entries.iter().map(entry).collect())
}

/// Commit number, log, first seq, entries.
pub type Seen = (u64, LogId, u64, Vec<Bytes>);

/// Everything in the store, as a follower from the start gets it.
pub fn follow_all(store: &Store) -> Vec<Seen> {
    follow_from(store, &Cursor::default(), 7)
}

pub fn follow_from(store: &Store, cursor: &Cursor, step: usize) -> Vec<Seen> {
    let (mut follower, mut seen) = (store.follow(cursor), Vec::new());
    while follower.cursor().commit() < store.last_commit() {
        match follower.next(step, 1 << 16, Duration::ZERO) {
            Ok(commits) => seen.extend(commits.into_iter().map(|commit| {
                let entries = commit.entries.into_iter().map(|entry| entry.bytes).collect();
                (commit.commit.0, commit.log, commit.first.0, entries)
            })),
            Err(StoreError::Lost { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    seen
}

pub fn reports(dir: &Path) -> Vec<LogReport> {
    verify(dir, &VerifyOptions::default()).unwrap()
}

/// Every fault of every log: `telemetry torn`.
pub fn faults(dir: &Path) -> Vec<String> {
    let reports = reports(dir);
    let of = |report: &LogReport| {
        let log = report.log;
        report.errors.iter().map(move |e| format!("{log} {}", e.kind.as_str())).collect::<Vec<_>>()
    };
    reports.iter().flat_map(of).collect()
}

pub fn assert_ok(dir: &Path) {
    let reports = reports(dir);
    assert!(reports.iter().all(LogReport::is_ok), "{reports:#?}");
}

/// The segment files of a log, in order.
pub fn segments(dir: &Path, log: LogId) -> Vec<std::path::PathBuf> {
    let folder = dir.join(log.to_string());
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Changes one bit of a file, of its last byte at most.
pub fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = at.min(bytes.len() - 1);
    bytes[at] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}

pub fn flip_middle(path: &Path) {
    flip(path, usize::try_from(path.metadata().unwrap().len()).unwrap() / 2);
}

pub fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A small generator of places, the same in every run.
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    #[allow(clippy::cast_possible_truncation, reason = "at most 31 bits")]
    pub fn roll(&mut self, sides: usize) -> usize {
        self.next() as usize % sides
    }

    pub fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

/// The long form of a row runs where `CUSTOS_LONG` is set.
pub fn long() -> bool {
    std::env::var_os("CUSTOS_LONG").is_some()
}

/// Short or long.
pub fn rounds(short: usize, long_form: usize) -> usize {
    if long() { long_form } else { short }
}
