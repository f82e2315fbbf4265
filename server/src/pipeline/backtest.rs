//! Rules tried over the log, with the very code that runs live: what they would have raised.
//!
//! They begin with nothing at the first event of the stretch, as if they had been put live there. Nothing is
//! written.

use super::follow::events;
use crate::{clock::Stopwatch, privacy};
use custos_detect::{Memory, Ruleset, Watch, rule::Rule};
use custos_event::{
    Alert, Commit, CommitNo, Cursor, FieldTable, Flags, Parser, Position, RuleId, Timestamp,
};
use custos_store::{Store, StoreError};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// A turn of reading takes at most so much.
const COMMITS_MAX: usize = 512;
const BYTES_MAX: usize = 8 << 20;
/// Matches that are at hand for being compared: at 200 bytes each 40 MB. Later ones are counted.
pub(crate) const MATCHES_MAX: usize = 200_000;
/// Matches that are explained, the first of each rule.
const SAMPLES_MAX: usize = 20;
const DAY_NANOS: i64 = 86_400 * custos_event::time::NANOS_PER_SEC;

/// Which stretch of the log, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    /// Received from this time on; from the first event without it.
    pub(crate) from: Option<Timestamp>,
    /// Received before this time.
    pub(crate) to: Option<Timestamp>,
    /// The newest so many.
    pub(crate) events_max: u64,
    pub(crate) secs_max: f64,
}

/// One ruleset on trial.
pub(crate) struct Trial {
    watch: Watch,
    memory: Memory,
    /// Those whose matches count; the others are needed by them.
    tried: BTreeSet<(RuleId, String)>,
    pub(crate) found: Found,
}

/// What a trial found.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) matches: u64,
    /// Held back by alerts before them.
    pub(crate) suppressed: u64,
    /// By rule and UTC day since 1970.
    pub(crate) days: BTreeMap<(RuleId, i64), u64>,
    /// In log order, the first [`MATCHES_MAX`].
    pub(crate) kept: Vec<Match>,
    pub(crate) samples: Vec<Alert>,
    sampled: BTreeMap<RuleId, usize>,
}

/// What a match is known by, whatever the rule's version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Match {
    /// The event that made it hold.
    pub(crate) last: Position,
    pub(crate) first: Position,
    pub(crate) rule: RuleId,
    pub(crate) time: Timestamp,
}

/// How much of the log was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reading {
    pub(crate) events: u64,
    pub(crate) first: Option<Position>,
    pub(crate) last: Option<Position>,
    /// The whole stretch, and not only what there was time for.
    pub(crate) complete: bool,
    /// Entries that are damaged and were passed over.
    pub(crate) damaged: u64,
    /// Sealed values whose key is gone.
    pub(crate) unreadable: u64,
    pub(crate) seconds: f64,
}

impl Trial {
    /// Of the rules `own`; `others` are at hand for what they need.
    pub(crate) fn new(own: &[Rule], others: Vec<Rule>, table: &Arc<FieldTable>) -> Self {
        let tried: BTreeSet<_> =
            own.iter().map(|rule| (rule.id.clone(), rule.version.clone())).collect();
        let ids: BTreeSet<&RuleId> = own.iter().map(|rule| &rule.id).collect();
        let others = others.into_iter().filter(|rule| !ids.contains(&rule.id)).collect();
        let mut all = custos_detect::rulebook::needed(own, others);
        all.extend(own.iter().cloned());
        let watch = Watch::new(Arc::new(Ruleset::compile(&all, table)));
        Self { watch, memory: Memory::default(), tried, found: Found::default() }
    }

    fn see(&mut self, position: Position, clock: Timestamp, event: &privacy::Opened) {
        let mut raised = Vec::new();
        self.memory.turn(clock);
        event.show((position, clock), &mut self.watch, &mut self.memory, &mut raised);
        // Nothing of it is told.
        self.memory.learned();
        for held in self.watch.suppressed() {
            if self.tried.iter().any(|(rule, _)| *rule == held.rule) {
                self.found.suppressed += held.count;
            }
        }
        for alert in raised {
            if self.tried.contains(&(alert.rule.clone(), alert.rule_version.clone())) {
                self.found.take(position, event.seal(alert));
            }
        }
    }
}

impl Found {
    fn take(&mut self, last: Position, alert: Alert) {
        self.matches += 1;
        let day = alert.time.0.div_euclid(DAY_NANOS);
        *self.days.entry((alert.rule.clone(), day)).or_default() += 1;
        if self.kept.len() < MATCHES_MAX {
            let first = alert.events.first().copied().unwrap_or(last);
            let (rule, time) = (alert.rule.clone(), alert.time);
            self.kept.push(Match { last, first, rule, time });
        }
        let sampled = self.sampled.entry(alert.rule.clone()).or_default();
        if *sampled < SAMPLES_MAX {
            *sampled += 1;
            self.samples.push(alert);
        }
    }
}

/// Shows a stretch of the log to all `trials`, read once.
pub(crate) fn run(
    store: &Store,
    table: &Arc<FieldTable>,
    trials: &mut [Trial],
    stretch: Stretch,
) -> anyhow::Result<Reading> {
    let watch = Stopwatch::start();
    let mut parser = Parser::new(Arc::clone(table));
    let (after, end) = bounds(store, stretch)?;
    let mut reading = Reading { complete: true, ..Reading::default() };
    let mut follower = store.follow(&Cursor::after(after));
    while follower.cursor().commit() < end {
        if watch.secs() > stretch.secs_max {
            reading.complete = false;
            break;
        }
        let commits = match follower.next(COMMITS_MAX, BYTES_MAX, Duration::ZERO) {
            Ok(commits) => commits,
            Err(StoreError::Lost { first, last, .. }) => {
                reading.damaged += last.0.saturating_sub(first.0) + 1;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let within = commits.iter().filter(|it| it.commit <= end && it.log.is_telemetry());
        for commit in within {
            show(store, commit, trials, &mut reading, &mut parser)?;
        }
    }
    reading.seconds = watch.secs();
    Ok(reading)
}

fn show(
    store: &Store,
    commit: &Commit,
    trials: &mut [Trial],
    reading: &mut Reading,
    parser: &mut Parser,
) -> anyhow::Result<()> {
    for event in events(commit, parser) {
        let (position, event) = event?;
        reading.first.get_or_insert(position);
        reading.last = Some(position);
        reading.events += 1;
        if event.header.flags.has(Flags::REJECTED) {
            continue;
        }
        let opened = privacy::open(store, event);
        reading.unreadable += opened.unreadable;
        for trial in trials.iter_mut() {
            trial.see(position, commit.appended_at, &opened);
        }
    }
    Ok(())
}

/// The last commit before the stretch, and its own last.
fn bounds(store: &Store, stretch: Stretch) -> anyhow::Result<(CommitNo, CommitNo)> {
    let until = |at: Timestamp| crate::projection::past::last_until(store, Timestamp(at.0 - 1));
    let end = stretch.to.map_or(Ok(store.last_commit()), until)?;
    let after = stretch.from.map_or(Ok(CommitNo(0)), until)?;
    let oldest = store.ends_after(end)?.events().saturating_sub(stretch.events_max);
    // The last commit with at most so many events up to it.
    let (mut low, mut high) = (after.0, end.0);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if store.ends_after(CommitNo(middle))?.events() <= oldest {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    Ok((CommitNo(low), end))
}
