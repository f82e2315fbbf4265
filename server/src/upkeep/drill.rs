//! A restore that is tried out: the newest backup beside the server, verified to its signed checkpoint, its index made
//! anew, and its answers held against the server's own.

use super::config::Backup;
use crate::{
    exit::Failure,
    folder::{Folder, Opened},
    pipeline::{follow::catch_up, indexer::Indexer, journal::Journal, tolerant::Tolerant},
};
use anyhow::{Context as _, anyhow};
use custos_event::{
    Cursor, FieldTable, LogId, Parser, Partition, Position, Seq, Timestamp, UpkeepEvent, record,
};
use custos_search::{Index, Query, SearchRequest};
use custos_store::{
    Store,
    backup::{self, Manifest, RestoreOptions, Target, Tell},
};
use std::{path::Path, sync::Arc};
use tokio_util::sync::CancellationToken;

/// Records spread over the log that are read in both; around each, what a search of its minute finds.
const SAMPLES: u64 = 5;
/// A minute of 15,000 events a second would be 900,000: the newest so many are compared, some 60 µs each.
const HITS_MAX: usize = 20_000;
const AROUND_SECS: i64 = 30;

pub(super) struct Drill<'a> {
    pub(super) config: &'a Backup,
    pub(super) data: &'a Path,
    pub(super) store: &'a Store,
    pub(super) table: &'a Arc<FieldTable>,
    pub(super) index: &'a Index,
    pub(super) journal: &'a Journal,
    pub(super) stop: &'a CancellationToken,
}

/// What a drill showed.
pub(super) struct Done {
    manifest: Manifest,
    records: u64,
    compared: u32,
    errors: Vec<String>,
}

impl Done {
    pub(super) fn event(self, to: &str, millis: u64) -> UpkeepEvent {
        let (own, others) = self.manifest.bytes();
        UpkeepEvent::RestoreDrilled {
            to: to.into(),
            ok: self.errors.is_empty(),
            commit: self.manifest.commit,
            records: self.records,
            bytes: own + others,
            compared: self.compared,
            millis,
            errors: self.errors,
            id: self.manifest.id,
        }
    }
}

impl Drill<'_> {
    pub(super) fn run(&self, tell: &mut Tell<'_>) -> anyhow::Result<Done> {
        let target = Target::open(&self.config.to, &self.config.s3, false)?;
        let scratch = self.config.scratch.clone().unwrap_or_else(|| self.data.join("scratch"));
        std::fs::create_dir_all(&scratch)
            .with_context(|| format!("cannot make {}", scratch.display()))?;
        // Removed when it is dropped, however this ends.
        let place = tempfile::Builder::new().prefix("drill-").tempdir_in(&scratch)?;
        let dir = place.path().join("data");
        let public_key = Some(self.store.public_keys());
        let options = RestoreOptions { public_key, ..RestoreOptions::default() };
        let restored = backup::restore(&target, &options, &dir, tell)?;
        let mut done = Done {
            records: restored.logs.iter().map(|log| log.records).sum(),
            manifest: restored.manifest,
            compared: 0,
            errors: Vec::new(),
        };
        let opened = Folder::chosen(Some(dir)).open_for_upkeep().map_err(Failure::into_error)?;
        let compared = self.compare(&opened, &mut done);
        opened.store.close()?;
        compared.map(|()| done)
    }

    fn compare(&self, opened: &Opened, done: &mut Done) -> anyhow::Result<()> {
        let index = opened.open_index().map_err(Failure::into_error)?;
        let mut indexer = Indexer::new(&index, &opened.store)?;
        catch_up(&opened.store, &opened.table, &Cursor::default(), &mut indexer)?;
        drop(indexer);
        let telemetry = done.manifest.logs.iter().filter(|log| log.log.is_telemetry());
        let expected: u64 = telemetry.map(|log| log.size - log.first.0).sum();
        let all = Query::parse("*")?;
        let log = Tolerant::new(&opened.store);
        let (found, _) = index.count(&all, &SearchRequest::default(), &log)?;
        done.same("events in the index made anew", expected, found);
        let journal = done.manifest.logs.iter().find(|log| log.log == LogId::JOURNAL);
        let facts = journal.map_or(0, |log| log.size);
        let alerts = self.journal.alerts_count_before(Seq(facts))?;
        let there = opened.journal().map_err(Failure::into_error)?;
        done.same("alerts", alerts, there.alerts_count()?);
        self.wait_indexed(&done.manifest)?;
        for (at, bytes) in self.samples(&done.manifest)? {
            let other = opened.store.read(at)?;
            done.compared += 1;
            if other.as_ref() != Some(&bytes) {
                done.errors.push(format!("record {at} is not the same"));
            }
            let mut parser = Parser::new(Arc::clone(self.table));
            let time = record::decode(&bytes, &mut parser).context("a record")?.header.time;
            let here = Self::around(self.index, self.store, time, &done.manifest)?;
            let there = Self::around(&index, &opened.store, time, &done.manifest)?;
            done.same(&format!("what is found around {at}"), here, there);
        }
        Ok(())
    }

    /// Records of the backup, spread over its first telemetry log.
    fn samples(&self, manifest: &Manifest) -> anyhow::Result<Vec<(Position, bytes::Bytes)>> {
        let Some(log) = manifest.logs.iter().find(|log| log.log.is_telemetry()) else {
            return Ok(Vec::new());
        };
        let count = log.size - log.first.0;
        let mut samples = Vec::new();
        for n in 0..SAMPLES.min(count) {
            let seq = Seq(log.first.0 + n * count / SAMPLES.min(count));
            let at = Position { log: log.log, partition: Partition(log.partition), seq };
            samples.extend(self.store.read(at)?.map(|bytes| (at, bytes)));
        }
        Ok(samples)
    }

    /// The newest records of the backup that a search of that minute finds, in the order that both stores give them in.
    fn around(
        index: &Index,
        store: &Store,
        time: Timestamp,
        manifest: &Manifest,
    ) -> anyhow::Result<Vec<Position>> {
        let (from, to) = (time.plus_secs(-AROUND_SECS), time.plus_secs(AROUND_SECS));
        // No limit of the search's own: the server's may find later events first, which are passed over here.
        let request = SearchRequest { from: Some(from), to: Some(to), limit: usize::MAX };
        let within = |at: &Position| {
            let log =
                |log: &&backup::LogState| (log.log, log.partition) == (at.log, at.partition.0);
            manifest.logs.iter().find(log).is_some_and(|log| at.seq.0 < log.size)
        };
        let mut found = Vec::new();
        let log = Tolerant::new(store);
        index.search_each(&Query::parse("*")?, &request, &log, &mut |hit| {
            found.extend(Some(hit.position).filter(within));
            found.len() < HITS_MAX
        })?;
        Ok(found)
    }

    /// The server's own index is about a second behind.
    fn wait_indexed(&self, manifest: &Manifest) -> anyhow::Result<()> {
        for _ in 0..INDEX_LOOKS {
            if self.index.cursor().commit() >= manifest.commit {
                return Ok(());
            }
            if self.stop.is_cancelled() {
                break;
            }
            std::thread::sleep(INDEX_PAUSE);
        }
        Err(anyhow!("the index is too far behind to be compared with"))
    }
}

/// Together a minute.
const INDEX_LOOKS: u32 = 600;
const INDEX_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

impl Done {
    #[expect(clippy::needless_pass_by_value, reason = "both were made for this call")]
    fn same<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, here: T, there: T) {
        self.compared += 1;
        if here != there {
            // Not the values: they may be long, and the drill's folder is gone by then.
            self.errors.push(format!("{what}: the restored store answers otherwise"));
        }
    }
}
