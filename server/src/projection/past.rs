//! The past: views and desk as they were after some commit, folded anew from the log. Nothing else is asked:
//! what the catalog holds is of now.
//!
//! One fold at a time, on a thread that may block; who asks meanwhile is told how far it is. The last few are
//! kept, since a page asks for several parts of one moment.

use super::follower::{Folded, Views};
use crate::{
    pipeline::recall::appended_at,
    respond::{Desk, desk::journal, state::State},
};
use anyhow::Context as _;
use custos_event::{CommitNo, Cursor, Ends, Envelope, FieldTable, LogId, Seq, Timestamp};
use custos_store::{Store, StoreError};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tracing::error;

/// At the views' own limits (200,000 alerts) each takes some 100 MB, usually a few.
const MOMENTS_MAX: usize = 4;
/// A turn of reading takes at most so much.
const COMMITS_MAX: usize = 512;
const BYTES_MAX: usize = 8 << 20;
/// How long an answer waits for a fold; a longer one goes on, and is asked for again.
const PATIENCE: Duration = Duration::from_secs(20);

/// Everything that was known after one commit.
#[derive(Clone)]
pub(crate) struct Moment {
    pub(crate) commit: CommitNo,
    pub(crate) views: Views,
    pub(crate) desk: Desk,
    /// Where the logs of events ended.
    pub(crate) ends: Ends,
}

/// What somebody wants to see: a commit, and what the clock showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Then {
    pub(crate) commit: CommitNo,
    pub(crate) at: Timestamp,
}

/// Why there is no moment.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PastError {
    #[error("{0}")]
    Wrong(String),
    #[error("the past is being read: commit {done} of {of}; ask again in a moment")]
    Busy { done: u64, of: u64 },
    #[error("the past could not be read")]
    Failed(#[source] anyhow::Error),
}

/// Moments that were asked for. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Past(Arc<Inner>);

#[derive(Default)]
struct Inner {
    moments: Mutex<VecDeque<Moment>>,
    /// One fold at a time: it takes a core.
    turn: tokio::sync::Mutex<()>,
    done: AtomicU64,
    of: AtomicU64,
}

/// What a text says of the past: a commit's number, or a time in RFC 3339.
pub(crate) fn read(store: &Store, text: &str) -> Result<Then, PastError> {
    let last = store.last_commit();
    let failed = PastError::Failed;
    if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        let commit = CommitNo(text.parse().unwrap_or(u64::MAX));
        if commit > last || commit == CommitNo(0) {
            let reason = format!("as_of: commit {text} is not in the log; 1 to {last} are");
            return Err(PastError::Wrong(reason));
        }
        let at = appended_at(store, commit).map_err(failed)?.unwrap_or_default();
        return Ok(Then { commit, at });
    }
    let at: Timestamp = text.parse().map_err(|error| {
        PastError::Wrong(format!("as_of: {error}; a commit's number is possible too"))
    })?;
    Ok(Then { commit: last_until(store, at).map_err(failed)?, at })
}

/// The last commit that was there at a time; 0 before the first.
pub(crate) fn last_until(store: &Store, at: Timestamp) -> anyhow::Result<CommitNo> {
    let (mut low, mut high) = (0, store.last_commit().0);
    // Times never go backwards: all commits up to `low` were there, none after `high`.
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        match appended_at(store, CommitNo(middle))? {
            Some(appended) if appended <= at => low = middle,
            _ => high = middle - 1,
        }
    }
    Ok(CommitNo(low))
}

impl Past {
    /// The moment after a commit; made if it is not kept.
    pub(crate) async fn moment(
        &self,
        store: &Store,
        table: &Arc<FieldTable>,
        (views, desk): (&Views, &Desk),
        commit: CommitNo,
    ) -> Result<Moment, PastError> {
        if let Some(kept) = self.kept(commit) {
            return Ok(kept);
        }
        let (store, table) = (store.clone(), Arc::clone(table));
        let (past, views, desk) = (self.clone(), views.clone(), desk.clone());
        // It goes on when nobody waits any more: who asks again finds it.
        let made = tokio::task::spawn_blocking(move || {
            let _turn = past.0.turn.blocking_lock();
            if let Some(kept) = past.kept(commit) {
                return Ok(kept);
            }
            let moment = past.fold(&store, &table, (&views, &desk), commit)?;
            past.keep(moment.clone());
            Ok(moment)
        });
        match tokio::time::timeout(PATIENCE, made).await {
            Ok(made) => made.context("the fold was lost").flatten().map_err(PastError::Failed),
            Err(_) => Err(PastError::Busy {
                done: self.0.done.load(Ordering::Relaxed),
                of: self.0.of.load(Ordering::Relaxed),
            }),
        }
    }

    fn kept(&self, commit: CommitNo) -> Option<Moment> {
        let moments = self.0.moments.lock().unwrap_or_else(PoisonError::into_inner);
        moments.iter().find(|moment| moment.commit == commit).cloned()
    }

    fn keep(&self, moment: Moment) {
        let mut moments = self.0.moments.lock().unwrap_or_else(PoisonError::into_inner);
        moments.push_front(moment);
        moments.truncate(MOMENTS_MAX);
    }

    fn fold(
        &self,
        store: &Store,
        table: &FieldTable,
        (views, desk): (&Views, &Desk),
        commit: CommitNo,
    ) -> anyhow::Result<Moment> {
        self.0.of.store(commit.0, Ordering::Relaxed);
        let (mut folded, mut state) = (Folded::default(), State::default());
        let mut ends = Ends::default();
        let mut follower = store.follow(&Cursor::default());
        while follower.cursor().commit() < commit {
            let commits = match follower.next(COMMITS_MAX, BYTES_MAX, Duration::ZERO) {
                Ok(commits) => commits,
                Err(lost @ StoreError::Lost { .. }) => {
                    error!(%lost, "damaged entries are passed over");
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            for taken in commits.iter().take_while(|taken| taken.commit <= commit) {
                folded.fold(taken, table);
                let end = taken.first.plus(taken.entries.len() as u64);
                ends.reach(taken.log, taken.partition, end);
                if taken.log != LogId::JOURNAL {
                    continue;
                }
                for (seq, entry) in (taken.first.0..).map(Seq).zip(&taken.entries) {
                    state.apply(journal(seq), &Envelope::decode(&entry.bytes)?);
                }
            }
            self.0.done.store(follower.cursor().commit().0, Ordering::Relaxed);
        }
        // A moment before a commit whose entries are lost is that commit's all the same.
        folded.commit = commit;
        let (views, desk) = (views.of_past(folded), desk.of_past(state));
        Ok(Moment { commit, views, desk, ends })
    }
}
