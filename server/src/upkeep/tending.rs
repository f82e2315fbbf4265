//! Retention, scrub and repair as the server does them: what is due by the policy, each step with its fact.

use super::{
    cover::{Cover, HeldBack, SourcesOf},
    keeper::{Keeper, Upkeep},
    kept::Kept,
    policy,
};
use crate::{
    clock::Stopwatch,
    exit::Failure,
    folder::{append_facts, system},
};
use custos_event::{Actor, Clock as _, Fact, HoldScope, Timestamp, UpkeepEvent};
use custos_store::{DropRequest, Store, StoreError, backup::Target};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::PoisonError,
    time::Duration,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// What a hold could not be placed or lifted for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HoldError {
    #[error("there is no hold {0}")]
    Unknown(String),
    #[error("{0}")]
    Wrong(&'static str),
    #[error("{0} was lifted already")]
    Lifted(String),
    #[error(transparent)]
    Failed(anyhow::Error),
}

/// A court's reason, not a report.
const REASON_MAX: usize = 2_000;

impl Upkeep {
    /// Places a hold; its name. What is dropped after this is not covered by it.
    pub(crate) fn place(
        &self,
        store: &Store,
        actor: &Actor,
        scope: HoldScope,
        reason: String,
    ) -> Result<String, HoldError> {
        let _deciding = self.deciding();
        let (hold, event) = placed(&self.kept(), scope, reason)?;
        self.tell(store, actor, &Fact::Upkeep { event }).map_err(HoldError::Failed)?;
        Ok(hold)
    }

    pub(crate) fn lift(
        &self,
        store: &Store,
        actor: &Actor,
        hold: &str,
        reason: String,
    ) -> Result<(), HoldError> {
        let _deciding = self.deciding();
        let event = lifted(&self.kept(), hold, reason)?;
        self.tell(store, actor, &Fact::Upkeep { event }).map_err(HoldError::Failed)
    }

    /// Appends a fact of the log's keeping, and knows it.
    fn tell(&self, store: &Store, actor: &Actor, fact: &Fact) -> anyhow::Result<()> {
        append_facts(store, actor, vec![fact.clone()]).map_err(Failure::into_error)?;
        self.take_in(crate::clock::SystemClock.now(), actor, fact);
        Ok(())
    }
}

/// The next hold's name, and its fact.
pub(crate) fn placed(
    kept: &Kept,
    scope: HoldScope,
    reason: String,
) -> Result<(String, UpkeepEvent), HoldError> {
    check_reason(&reason)?;
    let ends_early = |from: &Timestamp, to: &Timestamp| from >= to;
    if matches!(&scope, HoldScope::Received { from, to } if ends_early(from, to)) {
        return Err(HoldError::Wrong("a hold ends after it begins"));
    }
    let hold = kept.next_hold();
    let event = UpkeepEvent::LegalHoldPlaced { hold: hold.clone(), scope, reason };
    Ok((hold, event))
}

pub(crate) fn lifted(kept: &Kept, hold: &str, reason: String) -> Result<UpkeepEvent, HoldError> {
    check_reason(&reason)?;
    match kept.holds.get(hold) {
        None => Err(HoldError::Unknown(hold.into())),
        Some(known) if known.lifted.is_some() => Err(HoldError::Lifted(hold.into())),
        Some(_) => Ok(UpkeepEvent::LegalHoldLifted { hold: hold.into(), reason }),
    }
}

fn check_reason(reason: &str) -> Result<(), HoldError> {
    match reason.trim().len() {
        0 => Err(HoldError::Wrong("say why: it stands in the log")),
        1..=REASON_MAX => Ok(()),
        _ => Err(HoldError::Wrong("a reason has at most 2,000 bytes")),
    }
}

impl Keeper {
    /// Whether it is time to look what is too old.
    pub(super) fn retention_is_due(&self, looked: Option<Timestamp>) -> bool {
        let Some(policy) = &self.upkeep.keeping().retention else { return false };
        looked.is_none_or(|looked| looked.plus_secs(policy.every) <= self.clock.now())
    }

    /// Lets go of what the policy says, but for what is held or not yet seen by rules and search.
    pub(super) fn retain(&self) -> anyhow::Result<()> {
        let Some(policy) = &self.upkeep.keeping().retention else { return Ok(()) };
        self.journal.catch_up()?;
        let seen = self.index.cursor().commit().min(self.journal.evaluated()?.commit());
        let mut sources = self.sources_of.lock().unwrap_or_else(PoisonError::into_inner);
        let (kept, version) = {
            let kept = self.upkeep.kept();
            (kept.clone(), kept.holds.len())
        };
        let parts = (&self.store, &*self.table, &self.desk);
        let mut cover = Cover::new(parts, &kept, &mut sources);
        let now = self.clock.now();
        for id in self.store.logs().into_iter().filter(|(log, _)| log.is_telemetry()) {
            let Some(limits) = policy.limits_of(id.0) else { continue };
            let segments = self.store.sealed_segments(id.0, id.1)?;
            let due =
                policy::due(limits, &segments, (now, seen), &mut |info| Ok(cover.holds(id, info)))?;
            for step in policy::steps(&due) {
                let (Some((first, reason)), Some((last, _))) = (step.first(), step.last()) else {
                    continue;
                };
                if self.stop.is_cancelled() {
                    return Ok(());
                }
                let (numbers, reason) = (first.number..=last.number, reason.clone());
                let request = DropRequest { log: id.0, partition: id.1, numbers, reason };
                self.drop_step(&request, version)?;
            }
        }
        let held = std::mem::take(&mut cover.held);
        forget(&self.store, &mut sources);
        self.upkeep.set_held(held);
        Ok(())
    }

    fn drop_step(&self, request: &DropRequest, version: usize) -> anyhow::Result<()> {
        let dropped = self.store.drop_segments(request, &mut |range| {
            // A hold that was placed meanwhile comes first.
            let _deciding = self.upkeep.deciding();
            if self.upkeep.kept().holds.len() != version {
                return Err(StoreError::Refused("a legal hold was placed meanwhile".into()));
            }
            let fact = Fact::Upkeep { event: range.into() };
            let told = self.upkeep.tell(&self.store, &system("retention"), &fact);
            told.map_err(|error| StoreError::Failed(format!("{error:#}").into()))
        });
        match dropped {
            Ok(range) => {
                metrics::counter!("custos_retention_dropped_bytes_total").increment(range.bytes);
                info!(log = %range.log, first = %range.first, last = %range.last,
                    segments = range.segments, reason = range.reason, "let go by retention");
                Ok(())
            }
            Err(StoreError::Refused(reason)) => {
                warn!(reason, "segments were not let go");
                Ok(())
            }
            Err(StoreError::Damaged { path, reason }) => {
                error!(path = %path.display(), reason, "a damaged segment is not let go; scrub tells of it");
                self.upkeep.ask_scrub();
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Puts back what the backup has.
    pub(super) fn repair(&self, to: &str, target: &Target, actor: &Actor) -> anyhow::Result<()> {
        let report = self.store.repair(target, &mut |repaired| {
            let fact = Fact::Upkeep { event: repaired_event(to, repaired) };
            let told = self.upkeep.tell(&self.store, actor, &fact);
            told.map_err(|error| StoreError::Failed(format!("{error:#}").into()))
        })?;
        for repaired in &report.repaired {
            info!(log = %repaired.log, first = %repaired.first, last = %repaired.last,
                backup = repaired.backup, "repaired from a backup");
        }
        let left: Vec<_> = report.left.iter().map(|left| left.reason.clone()).collect();
        if left.is_empty() { Ok(()) } else { Err(anyhow::anyhow!(left.join("; "))) }
    }
}

pub(crate) fn repaired_event(from: &str, repaired: &custos_store::Repaired) -> UpkeepEvent {
    UpkeepEvent::RangeRepaired {
        log: repaired.log,
        first: repaired.first,
        last: repaired.last,
        from: from.into(),
        backup: repaired.backup.clone(),
    }
}

/// Segments that are gone need not be known.
fn forget(store: &Store, sources: &mut SourcesOf) {
    let mut there = BTreeSet::new();
    for (log, partition) in store.logs() {
        let segments = store.sealed_segments(log, partition).unwrap_or_default();
        there.extend(segments.into_iter().map(|info| (log, partition, info.number)));
    }
    sources.retain(|key, _| there.contains(key));
}

/// Reads the sealed segments again and again, on a thread of its own: it takes hours, and nothing waits for it.
pub(crate) struct Scrubber {
    pub(super) upkeep: Upkeep,
    pub(super) store: Store,
    pub(super) stop: CancellationToken,
}

/// How late a schedule, a wish or a stop may be noticed.
const LOOK: Duration = Duration::from_millis(500);

impl Scrubber {
    /// Until the server stops.
    #[expect(clippy::unnecessary_wraps, reason = "what a task returns")]
    pub(crate) fn run(self) -> anyhow::Result<()> {
        while !self.stop.is_cancelled() {
            if let Some(actor) = self.upkeep.scrub_asked(LOOK).or_else(|| self.due()) {
                match self.scrub(&actor) {
                    Err(error) if !self.stop.is_cancelled() => {
                        error!(error = format!("{error:#}"), "a scrub failed");
                    }
                    _ => {}
                }
                self.upkeep.set_scrubbing(None);
            }
        }
        Ok(())
    }

    /// Whether it is time for one.
    fn due(&self) -> Option<Actor> {
        let every = self.upkeep.keeping().scrub.every?;
        let last = self.upkeep.kept().scrubbed.map(|scrubbed| scrubbed.at);
        let due = last.or_else(|| self.oldest())?.plus_secs(every);
        (due <= crate::clock::SystemClock.now()).then(|| system("scrub"))
    }

    /// When the oldest sealed segment was ended: the first scrub counts from there.
    fn oldest(&self) -> Option<Timestamp> {
        let logs = self.store.logs().into_iter();
        let first = |(log, partition)| {
            self.store.sealed_segments(log, partition).ok()?.first().map(|info| info.last_at)
        };
        logs.filter_map(first).min()
    }

    fn scrub(&self, actor: &Actor) -> anyhow::Result<()> {
        let (watch, rate) = (Stopwatch::start(), self.upkeep.keeping().scrub.bytes_per_sec);
        let report = self.store.scrub(&mut |progress| {
            self.upkeep.set_scrubbing(Some(progress));
            watch.pace(progress.bytes, rate, &self.stop)
        })?;
        let damaged = report.damaged.len() as u64;
        let event =
            UpkeepEvent::ScrubCompleted { segments: report.segments, bytes: report.bytes, damaged };
        #[expect(clippy::cast_precision_loss, reason = "a measurement")]
        metrics::gauge!("custos_scrub_damaged_segments").set(damaged as f64);
        for fact in report.facts.into_iter().chain([Fact::Upkeep { event }]) {
            self.upkeep.tell(&self.store, actor, &fact)?;
        }
        Ok(self.store.recorded()?)
    }
}

/// What each hold keeps from going, as of the last look.
pub(super) type Held = BTreeMap<String, HeldBack>;

/// Up to when what was received may have been let go.
pub(crate) fn dropped_through(store: &Store) -> Option<Timestamp> {
    let logs = store.logs().into_iter().filter(|(log, _)| log.is_telemetry());
    logs.flat_map(|(log, partition)| store.dropped(log, partition)).map(|range| range.through).max()
}
