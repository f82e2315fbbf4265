//! The most recent durable commits in memory, and the number of the last one; followers wait here.

use custos_event::{Commit, CommitNo};
use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// An entry's own size and the allocator's.
const ENTRY_WEIGHT: usize = 128;

struct State {
    commits: VecDeque<(Arc<Commit>, usize)>,
    weight: usize,
    last: CommitNo,
    closed: bool,
    wakes: u64,
}

pub(crate) struct Ring {
    state: Mutex<State>,
    changed: Condvar,
    weight_max: usize,
}

/// What a follower at some place finds.
pub(crate) enum Found {
    /// The commits after its place; none after the waiting time.
    Here(Vec<Arc<Commit>>),
    /// They are no longer in memory: read the disk up to this commit.
    OnDisk(CommitNo),
    Closed,
}

impl Ring {
    pub(crate) fn new(last: CommitNo, weight_max: usize) -> Self {
        let commits = VecDeque::new();
        let state = State { commits, weight: 0, last, closed: false, wakes: 0 };
        Self { state: Mutex::new(state), changed: Condvar::new(), weight_max }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn last(&self) -> CommitNo {
        self.lock().last
    }

    pub(crate) fn push(&self, commit: Arc<Commit>) {
        let weight = weigh(&commit);
        let mut state = self.lock();
        state.last = commit.commit;
        state.commits.push_back((commit, weight));
        state.weight += weight;
        while state.weight > self.weight_max {
            let Some((_, weight)) = state.commits.pop_front() else { break };
            state.weight -= weight;
        }
        drop(state);
        self.changed.notify_all();
    }

    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Lets every waiting follower return with nothing.
    pub(crate) fn wake(&self) {
        let mut state = self.lock();
        state.wakes = state.wakes.wrapping_add(1);
        drop(state);
        self.changed.notify_all();
    }

    /// Waits for a commit after `after`, the end, or a [`Self::wake`].
    pub(crate) fn wait_after(&self, after: CommitNo, timeout: Duration) {
        drop(self.wait(after, timeout));
    }

    fn wait(&self, after: CommitNo, timeout: Duration) -> MutexGuard<'_, State> {
        let state = self.lock();
        let wakes = state.wakes;
        let idle = |state: &mut State| state.last <= after && !state.closed && state.wakes == wakes;
        let waited = self.changed.wait_timeout_while(state, timeout, idle);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Commits after `after`, at most `commits_max` and, but for the first, `bytes_max`; waits for one.
    pub(crate) fn after(
        &self,
        after: CommitNo,
        commits_max: usize,
        bytes_max: usize,
        timeout: Duration,
    ) -> Found {
        let state = self.wait(after, timeout);
        if state.last <= after {
            return if state.closed { Found::Closed } else { Found::Here(Vec::new()) };
        }
        let first = state.commits.front().map(|(commit, _)| commit.commit);
        if first.is_none_or(|first| first > after.next()) {
            return Found::OnDisk(state.last);
        }
        let start = state.commits.partition_point(|(commit, _)| commit.commit <= after);
        let (mut found, mut bytes) = (Vec::new(), 0_usize);
        for (commit, _) in state.commits.iter().skip(start).take(commits_max.max(1)) {
            bytes += commit.entries.iter().map(|entry| entry.bytes.len()).sum::<usize>();
            if bytes > bytes_max && !found.is_empty() {
                break;
            }
            found.push(Arc::clone(commit));
        }
        Found::Here(found)
    }
}

fn weigh(commit: &Commit) -> usize {
    let weights = commit.entries.iter().map(|entry| {
        let parsed = entry.parsed.as_ref().map_or(0, |event| event.weight());
        entry.bytes.len() + parsed + ENTRY_WEIGHT
    });
    weights.sum()
}
