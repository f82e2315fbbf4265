//! What every follower does alike: take commits in order, read events that are no longer in memory, stop
//! when asked and everything durable was taken in.

use crate::clock::Stopwatch;
use anyhow::Context as _;
use custos_event::{Commit, CommitNo, Cursor, FieldTable, ParsedEvent, Parser, Position, record};
use custos_store::{Store, StoreError};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use tracing::error;

/// A turn takes at most so much: bounds memory, and how long a turn keeps its results back.
const COMMITS_MAX: usize = 512;
const BYTES_MAX: usize = 8 << 20;
/// How long a turn waits for something new; also how late a stop may be noticed.
const WAIT: Duration = Duration::from_millis(100);
/// How long after a stop what is durable is still taken in; the rest is after the next start. A turn and the last
/// word follow, which may take seconds with a backlog on a busy machine, and the process has 8 s in all.
const DRAIN: Duration = Duration::from_secs(1);

/// A consumer of the log's commits.
pub(crate) trait Projection {
    /// Called once, before the first commit. False where `stop` came first: it is not to be fed, and has nothing to say.
    fn prepare(&mut self, _parser: &mut Parser, _stop: &CancellationToken) -> anyhow::Result<bool> {
        Ok(true)
    }

    /// Takes in `commits`, in order and without a gap. May keep results back until [`Self::settle`].
    fn take(&mut self, commits: &[Commit], parser: &mut Parser) -> anyhow::Result<()>;

    /// Called after each turn, also an idle one. `last`: nothing follows, keep nothing back.
    fn settle(&mut self, last: bool) -> anyhow::Result<()>;
}

/// Feeds `projection` everything after `cursor`: until `stop`, and then for some seconds what is durable by then. One
/// that is still preparing itself by then is not fed.
pub(crate) fn follow(
    store: &Store,
    table: &Arc<FieldTable>,
    cursor: &Cursor,
    projection: &mut impl Projection,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let mut parser = Parser::new(Arc::clone(table));
    if !projection.prepare(&mut parser, stop)? {
        return Ok(());
    }
    feed(store, cursor, projection, &mut parser, (stop, DRAIN))
}

/// `drain`: how long it goes on after `stop`, if it does not reach its end before.
pub(super) fn feed(
    store: &Store,
    cursor: &Cursor,
    projection: &mut impl Projection,
    parser: &mut Parser,
    (stop, drain): (&CancellationToken, Duration),
) -> anyhow::Result<()> {
    let mut follower = store.follow(cursor);
    let mut taken = cursor.commit();
    let mut stopped: Option<(CommitNo, Stopwatch)> = None;
    loop {
        if stopped.is_none() && stop.is_cancelled() {
            stopped = Some((store.last_commit(), Stopwatch::start()));
        }
        if let Some((end, since)) = &stopped
            && (taken >= *end || since.secs() >= drain.as_secs_f64())
        {
            return projection.settle(true);
        }
        let commits = match follower.next(COMMITS_MAX, BYTES_MAX, WAIT) {
            Ok(commits) => commits,
            Err(lost @ StoreError::Lost { .. }) => {
                error!(%lost, "damaged entries are passed over");
                Vec::new()
            }
            Err(error) => return Err(error.into()),
        };
        taken = follower.cursor().commit();
        projection.take(&commits, parser)?;
        projection.settle(false)?;
    }
}

/// Feeds `projection` what is durable now, and returns.
pub(crate) fn catch_up(
    store: &Store,
    table: &Arc<FieldTable>,
    cursor: &Cursor,
    projection: &mut impl Projection,
) -> anyhow::Result<()> {
    let (mut parser, stop) = (Parser::new(Arc::clone(table)), CancellationToken::new());
    projection.prepare(&mut parser, &stop)?;
    stop.cancel();
    feed(store, cursor, projection, &mut parser, (&stop, Duration::MAX))
}

/// The events of a telemetry commit with their places; read from their bytes where memory no longer has
/// them.
pub(crate) fn events<'c>(
    commit: &'c Commit,
    parser: &'c mut Parser,
) -> impl Iterator<Item = anyhow::Result<(Position, Arc<ParsedEvent>)>> + 'c {
    (0_u64..).zip(&commit.entries).map(|(nth, entry)| {
        let position =
            Position { log: commit.log, partition: commit.partition, seq: commit.first.plus(nth) };
        let event = match &entry.parsed {
            Some(event) => Arc::clone(event),
            None => Arc::new(
                record::decode(&entry.bytes, parser)
                    .with_context(|| format!("cannot read {position}"))?,
            ),
        };
        Ok((position, event))
    })
}
