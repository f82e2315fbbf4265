//! After a start: correlations take in again what they held when the process ended.
//!
//! The log is read from the longest time span (and [`LATENESS`]) before the last commit that was
//! evaluated, by log time; what was raised for it is taken from the journal. Cost: parsing and matching
//! that stretch once, on the detector's own thread.
//!
//! [`LATENESS`]: custos_detect::correlate::LATENESS

use super::{follow::events, journal::Journal};
use crate::privacy;
use custos_detect::{Firings, Memory, Ruleset, Watch};
use custos_event::{Alert, Commit, CommitNo, Cursor, Flags, Parser, Position, Timestamp};
use custos_store::{Follower, Store, StoreError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::info;

/// A turn takes at most so much.
const COMMITS_MAX: usize = 512;
const BYTES_MAX: usize = 8 << 20;

/// Brings `watch` to where it was after `evaluated`. `unsaid`: alerts that are not in the journal yet. False where
/// `stop` came first: a day of a busy log takes longer than a process that is asked to end may take.
pub(crate) fn recall<'a>(
    (store, journal): (&Store, &Journal),
    ruleset: &Ruleset,
    (watch, memory): (&mut Watch, &mut Memory),
    (evaluated, unsaid): (CommitNo, impl Iterator<Item = &'a Alert>),
    (parser, stop): (&mut Parser, &CancellationToken),
) -> anyhow::Result<bool> {
    let Some(from) = first(store, watch, evaluated)? else { return Ok(true) };
    let Some(oldest) = first_event(store, from, evaluated)? else { return Ok(true) };
    let mut firings = Firings::new(ruleset);
    journal.each_alert_since(oldest, |alert| firings.add(alert))?;
    unsaid.for_each(|alert| firings.add(alert));
    recall_from(store, (watch, memory), (from, evaluated), &firings, (parser, stop))
}

/// The first event of some commits, both ends included.
pub(crate) fn first_event(
    store: &Store,
    from: CommitNo,
    to: CommitNo,
) -> anyhow::Result<Option<Position>> {
    let mut follower = store.follow(&Cursor::after(before(from)));
    while follower.cursor().commit() < to {
        let commits = next(&mut follower, 1)?;
        if let Some(first) = commits.iter().find(|commit| commit.log.is_telemetry()) {
            let (log, partition, seq) = (first.log, first.partition, first.first);
            return Ok(Some(Position { log, partition, seq }));
        }
    }
    Ok(None)
}

/// The same where all that was raised is at hand.
pub(crate) fn recall_by(
    store: &Store,
    (watch, memory): (&mut Watch, &mut Memory),
    evaluated: CommitNo,
    firings: &Firings,
    parser: &mut Parser,
) -> anyhow::Result<()> {
    let Some(from) = first(store, watch, evaluated)? else { return Ok(()) };
    let never = CancellationToken::new();
    recall_from(store, (watch, memory), (from, evaluated), firings, (parser, &never)).map(|_| ())
}

/// Where recalling begins; `None` where there is nothing to recall.
fn first(store: &Store, watch: &Watch, evaluated: CommitNo) -> anyhow::Result<Option<CommitNo>> {
    let (Some(reach), true) = (watch.reach(), evaluated > CommitNo(0)) else { return Ok(None) };
    start(store, evaluated, reach).map(Some)
}

fn recall_from(
    store: &Store,
    (watch, memory): (&mut Watch, &mut Memory),
    (from, to): (CommitNo, CommitNo),
    firings: &Firings,
    (parser, stop): (&mut Parser, &CancellationToken),
) -> anyhow::Result<bool> {
    info!(%from, %to, "correlations recall the log");
    let mut follower = store.follow(&Cursor::after(before(from)));
    while follower.cursor().commit() < to {
        if stop.is_cancelled() {
            info!("stopped while recalling");
            return Ok(false);
        }
        for commit in next(&mut follower, COMMITS_MAX)? {
            if commit.commit <= to && commit.log.is_telemetry() {
                recall_commit(store, (watch, memory), &commit, firings, parser)?;
            }
        }
    }
    // What was incomplete then was told then.
    watch.incomplete();
    Ok(true)
}

/// Takes in one commit that was evaluated before.
pub(crate) fn recall_commit(
    store: &Store,
    (watch, memory): (&mut Watch, &mut Memory),
    commit: &Commit,
    firings: &Firings,
    parser: &mut Parser,
) -> anyhow::Result<()> {
    for event in events(commit, parser) {
        let (position, event) = event?;
        if !event.header.flags.has(Flags::REJECTED) {
            let opened = privacy::open(store, event);
            opened.recall((position, commit.appended_at), watch, memory, firings);
        }
    }
    Ok(())
}

/// A commit that was appended before everything that may still count: found by steps that double, so at
/// most twice as far back as need be.
fn start(store: &Store, evaluated: CommitNo, reach: i64) -> anyhow::Result<CommitNo> {
    let Some(end) = appended_at(store, evaluated)? else { return Ok(evaluated) };
    let mut step = 1_u64;
    loop {
        let from = CommitNo(evaluated.0.saturating_sub(step).max(1));
        let old = appended_at(store, from)?.is_some_and(|at| at.0 < end.0.saturating_sub(reach));
        if old || from == CommitNo(1) {
            return Ok(from);
        }
        step = step.saturating_mul(2);
    }
}

/// When `commit`, or the first readable one after it, was appended.
pub(crate) fn appended_at(store: &Store, commit: CommitNo) -> anyhow::Result<Option<Timestamp>> {
    let mut follower = store.follow(&Cursor::after(before(commit)));
    Ok(next(&mut follower, 1)?.first().map(|commit| commit.appended_at))
}

fn before(commit: CommitNo) -> CommitNo {
    CommitNo(commit.0.saturating_sub(1))
}

/// The next commits that are durable now; damaged ones, told by who reads them first, are passed over.
fn next(follower: &mut Follower, commits_max: usize) -> anyhow::Result<Vec<Commit>> {
    loop {
        match follower.next(commits_max, BYTES_MAX, Duration::ZERO) {
            Ok(commits) => return Ok(commits),
            Err(StoreError::Lost { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
