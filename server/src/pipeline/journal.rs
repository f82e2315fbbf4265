//! What the journal adds up to: alerts, the ruleset at work, how far rules have seen the log. A projection
//! in the catalog, brought up to date from the journal each time it is asked.

use super::tolerant::Tolerant;
use crate::exit::Failure;
use anyhow::Context as _;
use custos_detect::Memory;
use custos_event::{
    AccountEvent, Alert, AlertId, CommitNo, Counted, Cursor, Envelope, Fact, LogId, Partition,
    Position, Publication, RulesetHash, Seq, commit::LogReader as _,
};
use custos_store::{
    Store,
    catalog::{Batch, Catalog, CatalogError},
};
use std::{collections::HashSet, path::Path};
use tracing::warn;

const FOLLOWER: &str = "journal";
const ALERTS: &str = "alerts";
/// Where the facts stand that accounts and the setup are made of; what they say is read from the log itself.
const ACCOUNTS: &str = "accounts";
/// Where the facts of the log's keeping stand.
const UPKEEP: &str = "upkeep";
const ERASURES: &str = "erasures";
/// Where the facts of rules' lives stand.
const RULEBOOK: &str = "rulebook";
/// Places of the facts of sources that people made.
const MADE_SOURCES: &str = "made-sources";
/// From where on topics are told of facts.
const PUBLISHING: &str = "publishing";
/// What rules have seen before, by its key.
const SIGHTINGS: &str = "sightings";
/// How much of rules' matches came of whom on which day, by its key and the day.
const COUNTED: &str = "counted";
/// As long as a rule may remember days, and some more for events that come late.
const DAYS_COUNTED: i32 = 100;
const STATE: &str = "journal";
const NEXT: &[u8] = b"next";
const EVALUATED: &[u8] = b"evaluated";
/// Where the last `Evaluated` stands.
const COMPLETE: &[u8] = b"complete";
const RULESET: &[u8] = b"ruleset";

/// Facts that are folded before they are saved: a few MiB.
const FACTS_MAX: u64 = 10_000;

/// The journal's projection, open.
#[derive(Clone)]
pub(crate) struct Journal {
    catalog: Catalog,
    store: Store,
}

impl Journal {
    /// A catalog that is damaged, or speaks of another log than this one, is made anew.
    pub(crate) fn open(store: &Store, folder: &Path) -> Result<Self, Failure> {
        let catalog = match Self::sound_catalog(store, folder) {
            Ok(catalog) => catalog,
            Err(CatalogError::Damaged { reason, .. }) => {
                warn!(reason, "the catalog is made anew from the journal");
                Catalog::delete(folder).map_err(Failure::store)?;
                Catalog::open(folder).map_err(Failure::store)?
            }
            Err(error) => return Err(Failure::store(error)),
        };
        Ok(Self { catalog, store: store.clone() })
    }

    fn sound_catalog(store: &Store, folder: &Path) -> Result<Catalog, CatalogError> {
        let catalog = Catalog::open(folder)?;
        catalog.cursor(FOLLOWER, store.last_commit())?;
        Ok(catalog)
    }

    /// For other projections' tables.
    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Folds what the journal holds beyond the projection's own place.
    pub(crate) fn catch_up(&self) -> anyhow::Result<()> {
        let last = self.store.last_commit();
        loop {
            let from = self.number(NEXT)?.map_or(Seq(0), Seq);
            let mut fold = Fold { batch: Batch::default(), next: from, failed: None };
            let mut take = |seq, bytes: bytes::Bytes| fold.take(seq, &bytes);
            let to = from.plus(FACTS_MAX);
            let log = Tolerant::new(&self.store);
            log.scan(LogId::JOURNAL, Partition::default(), from, to, &mut take)?;
            if let Some(error) = fold.failed {
                return Err(error);
            }
            // Behind a damaged end nothing was taken, and still that stretch is done.
            let end = self.store.next_seq(LogId::JOURNAL, Partition::default());
            fold.next = fold.next.max(to.min(end));
            if fold.next == from {
                return Ok(());
            }
            fold.batch.put(STATE, NEXT, &fold.next.0.to_be_bytes());
            self.catalog.save(FOLLOWER, &Cursor::after(last), fold.batch)?;
        }
    }

    /// Everything after the last commit that some ruleset is known to have seen whole.
    pub(crate) fn evaluated(&self) -> anyhow::Result<Cursor> {
        Ok(Cursor::after(CommitNo(self.number(EVALUATED)?.unwrap_or(0))))
    }

    /// Alerts behind the last such word: of a commit that was being evaluated when the process ended.
    pub(crate) fn unfinished(&self) -> anyhow::Result<HashSet<AlertId>> {
        let complete = self.number(COMPLETE)?;
        let mut unfinished = HashSet::new();
        for row in self.catalog.scan(ALERTS, b"").rev() {
            let (key, value) = row?;
            let seq = <[u8; 8]>::try_from(key).ok().map(u64::from_be_bytes);
            if seq <= complete {
                break;
            }
            let alert: Alert = serde_json::from_slice(&value).context("an alert of the catalog")?;
            unfinished.insert(alert.id);
        }
        Ok(unfinished)
    }

    /// Calls `each` with the alerts that an event at `from` or behind it raised, newest first. Alerts stand
    /// in the order of the events that raised them.
    pub(crate) fn each_alert_since(
        &self,
        from: Position,
        mut each: impl FnMut(&Alert),
    ) -> anyhow::Result<()> {
        for row in self.catalog.scan(ALERTS, b"").rev() {
            let alert: Alert =
                serde_json::from_slice(&row?.1).context("an alert of the catalog")?;
            let one_log = |at: &&Position| (at.log, at.partition) == (from.log, from.partition);
            if alert.events.last().filter(one_log).is_some_and(|last| last.seq < from.seq) {
                return Ok(());
            }
            each(&alert);
        }
        Ok(())
    }

    /// What rules have seen before, up to the last word of what was evaluated.
    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        let mut memory = Memory::default();
        for row in self.catalog.scan(SIGHTINGS, b"") {
            let sighting = serde_json::from_slice(&row?.1).context("a sighting of the catalog")?;
            memory.recall(&sighting);
        }
        let mut counted = Vec::new();
        for row in self.catalog.scan(COUNTED, b"") {
            let (key, value) = row?;
            let of_day: Counted =
                serde_json::from_slice(&value).context("a count of the catalog")?;
            counted.push((key, of_day));
        }
        let newest = counted.iter().map(|(_, of_day)| of_day.day).max().unwrap_or_default();
        for (key, of_day) in counted {
            if of_day.day < newest.saturating_sub(DAYS_COUNTED) {
                // No rule remembers it: the log has it, the catalog need not.
                self.catalog.remove(COUNTED, &key)?;
            } else {
                memory.recall_counted(&of_day);
            }
        }
        Ok(memory)
    }

    /// The rules that were activated last.
    pub(crate) fn ruleset(&self) -> anyhow::Result<Option<RulesetHash>> {
        let bytes = self.catalog.get(STATE, RULESET)?;
        Ok(bytes.and_then(|bytes| Some(RulesetHash(bytes.try_into().ok()?))))
    }

    /// The newest alerts by their place in the journal.
    pub(crate) fn alerts(&self, limit: usize) -> anyhow::Result<Vec<Alert>> {
        let rows = self.catalog.scan(ALERTS, b"").rev().take(limit);
        rows.map(|row| serde_json::from_slice(&row?.1).context("an alert of the catalog")).collect()
    }

    /// The alerts of these ids that there are, with their places; looked for from the newest back.
    pub(crate) fn find_alerts(&self, ids: &[AlertId]) -> anyhow::Result<Vec<(Position, Alert)>> {
        let mut found = Vec::new();
        for row in self.catalog.scan(ALERTS, b"").rev() {
            if found.len() == ids.len() {
                break;
            }
            let (key, value) = row?;
            let alert: Alert = serde_json::from_slice(&value).context("an alert of the catalog")?;
            if ids.contains(&alert.id) {
                let seq = u64::from_be_bytes(key.try_into().ok().context("an alert's place")?);
                let (log, partition) = (LogId::JOURNAL, Partition::default());
                found.push((Position { log, partition, seq: Seq(seq) }, alert));
            }
        }
        Ok(found)
    }

    pub(crate) fn alerts_count(&self) -> anyhow::Result<u64> {
        self.catalog.scan(ALERTS, b"").try_fold(0, |count, row| Ok(row.map(|_| count + 1)?))
    }

    /// Those before a place in the journal.
    pub(crate) fn alerts_count_before(&self, end: Seq) -> anyhow::Result<u64> {
        let before = |(key, _): &(Vec<u8>, Vec<u8>)| key.as_slice() < &end.0.to_be_bytes()[..];
        let mut rows = self.catalog.scan(ALERTS, b"");
        rows.try_fold(0, |count, row| Ok(count + u64::from(before(&row?))))
    }

    /// The facts that accounts and the setup are made of, as the log has them.
    pub(crate) fn accounts(&self) -> anyhow::Result<Vec<Fact>> {
        Ok(self.facts(ACCOUNTS)?.into_iter().map(|envelope| envelope.fact).collect())
    }

    /// The facts of the log's keeping: backups, drills, retention, holds.
    pub(crate) fn upkeep(&self) -> anyhow::Result<Vec<Envelope>> {
        self.facts(UPKEEP)
    }

    /// The facts that erasures are made of.
    pub(crate) fn erasures(&self) -> anyhow::Result<Vec<Envelope>> {
        self.facts(ERASURES)
    }

    /// The facts of sources that people made.
    pub(crate) fn made_sources(&self) -> anyhow::Result<Vec<Envelope>> {
        self.facts(MADE_SOURCES)
    }

    /// The facts of rules' lives, with their places.
    pub(crate) fn rulebook(&self) -> anyhow::Result<Vec<(Seq, Envelope)>> {
        self.facts_at(RULEBOOK)
    }

    /// From where on `topic` is told, if that was ever begun.
    pub(crate) fn published_from(
        &self,
        what: Publication,
        topic: &str,
    ) -> anyhow::Result<Option<Seq>> {
        let row = self.catalog.get(PUBLISHING, &publishing_key(what, topic))?;
        Ok(row.and_then(|row| Some(Seq(u64::from_be_bytes(row.try_into().ok()?)))))
    }

    /// The facts whose places a table keeps.
    fn facts(&self, table: &str) -> anyhow::Result<Vec<Envelope>> {
        Ok(self.facts_at(table)?.into_iter().map(|(_, envelope)| envelope).collect())
    }

    fn facts_at(&self, table: &str) -> anyhow::Result<Vec<(Seq, Envelope)>> {
        let mut facts = Vec::new();
        for row in self.catalog.scan(table, b"") {
            let (key, _) = row?;
            let seq = Seq(u64::from_be_bytes(key.try_into().ok().context("a fact's place")?));
            let mut read = None;
            let mut take = |_, bytes: bytes::Bytes| {
                read = Some(Envelope::decode(&bytes));
                false
            };
            let partition = Partition::default();
            self.store.scan(LogId::JOURNAL, partition, seq, seq.plus(1), &mut take)?;
            let envelope = read.with_context(|| format!("journal/0/{seq} is not there"))??;
            facts.push((seq, envelope));
        }
        Ok(facts)
    }

    fn number(&self, key: &[u8]) -> anyhow::Result<Option<u64>> {
        let bytes = self.catalog.get(STATE, key)?;
        Ok(bytes.and_then(|bytes| Some(u64::from_be_bytes(bytes.try_into().ok()?))))
    }
}

/// Who signed in when is told by the log alone.
fn changes(event: &AccountEvent) -> bool {
    match event {
        AccountEvent::UserCreated { .. }
        | AccountEvent::RolesChanged { .. }
        | AccountEvent::PasswordChanged { .. }
        | AccountEvent::UserDisabled
        | AccountEvent::UserEnabled => true,
        AccountEvent::SignedIn { .. }
        | AccountEvent::SignInFailed { .. }
        | AccountEvent::SignedOut => false,
    }
}

/// Topics are told of one thing each.
pub(crate) fn publishing_key(what: Publication, topic: &str) -> Vec<u8> {
    let what = match what {
        Publication::Alerts => "alerts",
        Publication::Facts => "facts",
    };
    format!("{what}/{topic}").into_bytes()
}

struct Fold {
    batch: Batch,
    next: Seq,
    failed: Option<anyhow::Error>,
}

impl Fold {
    fn take(&mut self, seq: Seq, bytes: &[u8]) -> bool {
        let folded = Envelope::decode(bytes)
            .map_err(anyhow::Error::new)
            .and_then(|envelope| self.fold(seq, &envelope.fact));
        self.next = seq.plus(1);
        self.failed = folded.err().map(|error| error.context(format!("journal/0/{seq}")));
        self.failed.is_none()
    }

    fn fold(&mut self, seq: Seq, fact: &Fact) -> anyhow::Result<()> {
        match fact {
            Fact::AlertRaised(alert) => {
                self.batch.put(ALERTS, &seq.0.to_be_bytes(), &serde_json::to_vec(alert)?);
            }
            Fact::Evaluated { to, .. } => {
                self.batch.put(STATE, EVALUATED, &to.0.to_be_bytes());
                self.batch.put(STATE, COMPLETE, &seq.0.to_be_bytes());
            }
            Fact::ValuesSeen { seen, .. } => {
                for sighting in seen {
                    self.batch.put(SIGHTINGS, &sighting.key.0, &serde_json::to_vec(sighting)?);
                }
            }
            Fact::BaselineCounted { counted, .. } => {
                for of_day in counted {
                    let key = [&of_day.key.0[..], &of_day.day.to_be_bytes()].concat();
                    self.batch.put(COUNTED, &key, &serde_json::to_vec(of_day)?);
                }
            }
            Fact::RulesetActivated { ruleset, .. } => self.batch.put(STATE, RULESET, &ruleset.0),
            Fact::Upkeep { .. } | Fact::RangeQuarantined { .. } => {
                self.batch.put(UPKEEP, &seq.0.to_be_bytes(), b"");
            }
            Fact::Setup { .. } => self.batch.put(ACCOUNTS, &seq.0.to_be_bytes(), b""),
            Fact::Account { event, .. } if changes(event) => {
                self.batch.put(ACCOUNTS, &seq.0.to_be_bytes(), b"");
            }
            Fact::Erasure { .. } => self.batch.put(ERASURES, &seq.0.to_be_bytes(), b""),
            Fact::Source { .. } => self.batch.put(MADE_SOURCES, &seq.0.to_be_bytes(), b""),
            Fact::PublishingBegun { what, topic, from } => {
                self.batch.put(PUBLISHING, &publishing_key(*what, topic), &from.0.to_be_bytes());
            }
            Fact::RulesRead { .. } | Fact::RuleMoved { .. } => {
                self.batch.put(RULEBOOK, &seq.0.to_be_bytes(), b"");
            }
            Fact::Account { .. }
            | Fact::Started { .. }
            | Fact::TailCut { .. }
            | Fact::IntakePaused { .. }
            | Fact::IntakeResumed { .. }
            | Fact::CorrelationIncomplete { .. }
            | Fact::ShadowMatched { .. }
            | Fact::AlertSuppressed { .. }
            | Fact::SourceEpochOpened { .. }
            | Fact::SourceGapSeen { .. }
            | Fact::SourceSilent { .. }
            | Fact::SourceHeard { .. }
            | Fact::Searched { .. }
            | Fact::EventRead { .. }
            | Fact::EvidenceExported { .. }
            | Fact::CheckpointWitnessed { .. }
            | Fact::CheckpointRefused { .. }
            | Fact::CheckpointAccepted { .. }
            | Fact::LogsVerified { .. }
            | Fact::Incident { .. }
            | Fact::Run { .. }
            | Fact::Task { .. }
            | Fact::AlertJudged { .. }
            | Fact::AlertAcknowledged { .. }
            | Fact::MasterKeyRotated { .. }
            | Fact::FieldRevealed { .. }
            | Fact::UnknownSignIn { .. } => {}
        }
        Ok(())
    }
}
