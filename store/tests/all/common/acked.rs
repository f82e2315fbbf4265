//! What a store has acknowledged, and whether it still holds to it.

use super::{append, follow_all, options, twin::Twin};
use custos_event::{CommitNo, Fact, LogId};
use custos_store::{Disk, Options, Store, StoreError, VerifyOptions, verify};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Where the store lies on a twin.
pub const DIR: &str = "/data";

/// Entries and keys that somebody was told are durable.
#[derive(Default)]
pub struct Acked {
    entries: BTreeMap<(LogId, u64), (CommitNo, String)>,
    keys: BTreeMap<String, [u8; 32]>,
}

/// The same, filled by many threads.
#[derive(Default)]
pub struct Teller {
    acked: Mutex<Acked>,
    unacked: AtomicU64,
    serial: AtomicU64,
}

/// Segments of 20 KB and a small ring: rolls and seals come every few appends.
pub fn small(disk: &Twin) -> Options {
    let mut small = options();
    small.disk = Disk::new(disk.clone());
    small.segment_bytes = 20_000;
    small.ring_bytes = 10_000;
    small
}

pub fn open(disk: &Twin) -> Result<(Store, Vec<Fact>), StoreError> {
    Store::open(Path::new(DIR), small(disk))
}

/// Every fault that verifying finds.
pub fn faults_on(disk: &Twin) -> Result<Vec<String>, StoreError> {
    let options = VerifyOptions { disk: Disk::new(disk.clone()), ..VerifyOptions::default() };
    let reports = verify(Path::new(DIR), &options)?;
    let errors = reports.iter().flat_map(|report| &report.errors);
    Ok(errors.map(|error| format!("{}: {}", error.kind.as_str(), error.message)).collect())
}

impl Teller {
    pub fn new(acked: Acked, serial: u64) -> Self {
        let acked = Mutex::new(acked);
        Self { acked, unacked: AtomicU64::new(0), serial: AtomicU64::new(serial) }
    }

    /// Appends two entries, and remembers them once that is acknowledged.
    pub fn append(&self, store: &Store, log: LogId) -> Result<(), StoreError> {
        let n = self.serial.fetch_add(1, Ordering::Relaxed);
        let text = format!("{n} of {log} ").repeat(1 + (n % 60) as usize);
        self.unacked.fetch_add(1, Ordering::Relaxed);
        let place = store.append_blocking(append(log, &[&text, "second"]))?;
        self.unacked.fetch_sub(1, Ordering::Relaxed);
        let mut acked = self.acked.lock().unwrap_or_else(PoisonError::into_inner);
        acked.entries.insert((log, place.first.0), (place.commit, text));
        Ok(())
    }

    /// Makes a key, and remembers it once it was given.
    pub fn key(&self, store: &Store, name: &str) -> Result<(), StoreError> {
        let key = *store.keyring().token_key(name)?.reveal();
        let mut acked = self.acked.lock().unwrap_or_else(PoisonError::into_inner);
        acked.keys.insert(name.to_owned(), key);
        Ok(())
    }

    pub fn acked(&self) -> u64 {
        self.acked.lock().unwrap_or_else(PoisonError::into_inner).entries.len() as u64
    }

    /// Appends that were begun and never acknowledged.
    pub fn unacked(&self) -> u64 {
        self.unacked.load(Ordering::Relaxed)
    }

    pub fn into_acked(self) -> (Acked, u64) {
        let serial = self.serial.into_inner();
        (self.acked.into_inner().unwrap_or_else(PoisonError::into_inner), serial)
    }
}

impl Acked {
    pub fn entries(&self) -> usize {
        self.entries.len()
    }

    /// Whether `store`, opened with these facts, holds all of it, in an order without gaps, and nothing else
    /// than was submitted.
    pub fn check(&self, store: &Store, facts: &[Fact]) -> Result<(), String> {
        if let Some(fact) = facts.iter().find(|fact| !matches!(fact, Fact::TailCut { .. })) {
            return Err(format!("{fact:?}"));
        }
        let seen = follow_all(store);
        if !seen.is_sorted_by(|a, b| a.0 < b.0) {
            return Err("commits out of order".into());
        }
        let (mut next, mut found) = (BTreeMap::new(), BTreeMap::new());
        for (commit, log, first, entries) in &seen {
            let next = next.entry(*log).or_insert(0);
            if first != next {
                return Err(format!("{log}: {first} where {next} was to come"));
            }
            for (n, entry) in entries.iter().enumerate() {
                found.insert((*log, first + n as u64), (*commit, entry));
            }
            *next += entries.len() as u64;
        }
        for (place, (commit, text)) in &self.entries {
            let there = found.get(place).is_some_and(|(c, t)| *c == commit.0 && *t == text);
            if !there {
                return Err(format!(
                    "{place:?} of commit {commit} is lost: {:?}",
                    found.get(place)
                ));
            }
        }
        for (name, key) in &self.keys {
            let there = store.keyring().token_key(name).is_ok_and(|there| there.reveal() == key);
            if !there {
                return Err(format!("key {name} is lost"));
            }
        }
        Ok(())
    }
}

/// Opens what a crash left, and holds it against what was acknowledged. Whoever verifies before that start,
/// or beside the store, finds nothing worse than an unfinished tail.
pub fn reopen(disk: &Twin, acked: &Acked) -> Result<Store, String> {
    if disk.files().contains_key(&Path::new(DIR).join("FORMAT")) {
        let faults = faults_on(disk).map_err(|e| format!("verify before the start: {e}"))?;
        if let Some(bad) =
            faults.iter().find(|f| !f.starts_with("torn") && !f.starts_with("undecided"))
        {
            return Err(format!("before the start: {bad}"));
        }
    }
    let (store, facts) = open(disk).map_err(|e| format!("does not open: {e}"))?;
    acked.check(&store, &facts)?;
    let faults = faults_on(disk).map_err(|e| format!("verify: {e}"))?;
    if faults.is_empty() { Ok(store) } else { Err(format!("after the start: {faults:?}")) }
}
