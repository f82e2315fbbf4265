//! Followers: every commit of every log in the order of commit numbers, from memory where it is recent,
//! else from the disk.

use crate::{
    cache::{BlockKey, block_key},
    error::StoreError,
    opened::Opened,
    ring::Found,
    shared::Shared,
    stream::{Segment, Stream},
};
use custos_event::{Commit, CommitNo, Cursor, Ends, Entry, Seq};
use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

/// A place in the log that moves on as commits are taken. One thread's; it may block.
pub struct Follower {
    shared: Arc<Shared>,
    last: CommitNo,
    /// Blocks that could not be read: told once, then passed over.
    passed: HashSet<BlockKey>,
    /// What is still to be told: commits before the damage were handed out first.
    owed: Option<StoreError>,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").field("last", &self.last).finish_non_exhaustive()
    }
}

impl Follower {
    pub(crate) fn new(shared: Arc<Shared>, cursor: &Cursor) -> Self {
        Self { shared, last: cursor.commit(), passed: HashSet::new(), owed: None }
    }

    /// The place after the last commit that was handed out.
    pub fn cursor(&self) -> Cursor {
        Cursor::after(self.last)
    }

    /// The next durable commits, at least one if there is any: at most `commits_max`, and no more than
    /// `bytes_max` but for the first. Waits for one up to `timeout`; none by then is an empty answer.
    ///
    /// [`StoreError::Closed`] once the store is closed and everything was handed out.
    /// [`StoreError::Lost`] names entries that are damaged; the next call goes on behind them.
    pub fn next(
        &mut self,
        commits_max: usize,
        bytes_max: usize,
        timeout: Duration,
    ) -> Result<Vec<Commit>, StoreError> {
        if let Some(error) = self.owed.take() {
            return Err(error);
        }
        let commits = match self.shared.ring.after(self.last, commits_max, bytes_max, timeout) {
            Found::Closed => return Err(StoreError::Closed),
            Found::Here(commits) => commits.into_iter().map(Arc::unwrap_or_clone).collect(),
            Found::OnDisk(through) => {
                let commits = self.read_disk(through, commits_max, bytes_max)?;
                if commits.is_empty() {
                    self.last = through;
                }
                commits
            }
        };
        if let Some(last) = commits.last() {
            self.last = last.commit;
        }
        Ok(commits)
    }

    fn read_disk(
        &mut self,
        through: CommitNo,
        commits_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Commit>, StoreError> {
        let shared = Arc::clone(&self.shared);
        let mut tails = Vec::new();
        for stream in shared.all_streams() {
            tails.push(Tail::new(&shared, stream, self.last, through));
        }
        let (mut commits, mut bytes) = (Vec::<Commit>::new(), 0_usize);
        while commits.len() < commits_max.max(1) {
            let mut next: Option<(CommitNo, usize)> = None;
            for (index, tail) in tails.iter_mut().enumerate() {
                let front = tail.front(&mut self.passed);
                let front = match front {
                    // What was found before the damage is handed out first.
                    Err(error) if !commits.is_empty() => {
                        self.owed = Some(error);
                        return Ok(commits);
                    }
                    other => other?,
                };
                if let Some(commit) = front.filter(|c| next.is_none_or(|(least, _)| *c < least)) {
                    next = Some((commit, index));
                }
            }
            let Some((_, index)) = next else { break };
            let Some(commit) = tails.get_mut(index).and_then(|tail| tail.ready.pop_front()) else {
                break;
            };
            bytes += commit.entries.iter().map(|entry| entry.bytes.len()).sum::<usize>();
            if bytes > bytes_max && !commits.is_empty() {
                break;
            }
            commits.push(commit);
        }
        Ok(commits)
    }
}

/// The place that each log's first record after a commit takes. Where that record is gone or damaged: of the first
/// one behind it that reads.
pub(crate) fn ends_after(shared: &Arc<Shared>, commit: CommitNo) -> Result<Ends, StoreError> {
    // The ends first: what is appended meanwhile then is found, or begins at them.
    let streams: Vec<_> = shared.all_streams().into_iter().map(|it| (it.next_seq(), it)).collect();
    let through = shared.ring.last();
    let mut ends = Ends::default();
    for (end, stream) in streams {
        let (log, partition) = stream.id;
        let mut tail = Tail::new(shared, stream, commit, through);
        let mut passed = HashSet::new();
        let next = loop {
            match tail.front(&mut passed) {
                Ok(next) => break next,
                Err(StoreError::Lost { .. }) => {}
                Err(error) => return Err(error),
            }
        };
        let first = next.and(tail.ready.front()).map(|commit| commit.first);
        ends.reach(log, partition, first.unwrap_or(end));
    }
    Ok(ends)
}

/// One log's commits from a place on, read from the disk.
struct Tail<'a> {
    shared: &'a Shared,
    stream: Arc<Stream>,
    after: CommitNo,
    through: CommitNo,
    segments: VecDeque<Arc<Segment>>,
    /// The segment being read, and its next block.
    reading: Option<(Arc<Opened>, usize)>,
    ready: VecDeque<Commit>,
}

impl<'a> Tail<'a> {
    fn new(shared: &'a Shared, stream: Arc<Stream>, after: CommitNo, through: CommitNo) -> Self {
        let segments = stream.segments_from(|segment| segment.first_commit <= after.next()).into();
        let ready = VecDeque::new();
        Self { shared, stream, after, through, segments, reading: None, ready }
    }

    /// The number of the next commit, read whole.
    fn front(&mut self, passed: &mut HashSet<BlockKey>) -> Result<Option<CommitNo>, StoreError> {
        while self.ready.is_empty() || self.goes_on() {
            if !self.read_block(passed)? {
                break;
            }
        }
        Ok(self.ready.front().map(|commit| commit.commit).filter(|commit| *commit <= self.through))
    }

    /// Whether the only commit that is ready has more records in the next block.
    fn goes_on(&self) -> bool {
        let (Some(commit), 1) = (self.ready.front(), self.ready.len()) else { return false };
        let Some((opened, index)) = &self.reading else { return false };
        let next = opened.find(|blocks| blocks.get(*index).map(|block| block.first_commit));
        next == Some(commit.commit)
    }

    /// Decodes the next block that has commits after the follower's place; false at the end.
    fn read_block(&mut self, passed: &mut HashSet<BlockKey>) -> Result<bool, StoreError> {
        loop {
            let Some((opened, index)) = &mut self.reading else {
                let Some(segment) = self.segments.pop_front() else { return Ok(false) };
                let (log, partition) = self.stream.id;
                let whole = (log, partition, segment.number, 0, u64::MAX);
                if passed.contains(&whole) {
                    continue;
                }
                let opened = match self.shared.opened(&self.stream, &segment) {
                    Ok(opened) => opened,
                    // Let go of since the segments were listed.
                    Err(_) if self.stream.dropped().holds_number(segment.number) => continue,
                    Err(error) => {
                        passed.insert(whole);
                        return Err(error);
                    }
                };
                let after = self.after;
                let start = opened.find(|b| b.partition_point(|block| block.last_commit <= after));
                self.reading = Some((opened, start));
                continue;
            };
            let Some(at) = opened.find(|blocks| blocks.get(*index).copied()) else {
                self.reading = None;
                continue;
            };
            if at.first_commit > self.through {
                return Ok(false);
            }
            *index += 1;
            let key = block_key(opened, &at);
            if passed.contains(&key) {
                continue;
            }
            let opened = Arc::clone(opened);
            let block = match self.shared.cache.block(&opened, &at) {
                Ok(block) => block,
                Err(error) => {
                    passed.insert(key);
                    return Err(error);
                }
            };
            let after = self.after;
            for part in block.parts.iter().filter(|part| part.commit > after) {
                let records =
                    (0..u64::from(part.count)).filter_map(|n| block.record(part.first.plus(n)));
                let entries = records.map(|bytes| Entry { bytes, parsed: None });
                self.add(part.commit, part.first, part.at, entries.collect());
            }
            return Ok(true);
        }
    }

    fn add(
        &mut self,
        commit: CommitNo,
        first: Seq,
        appended_at: custos_event::Timestamp,
        entries: Vec<Entry>,
    ) {
        let joins = |last: &&mut Commit| {
            last.commit == commit && last.first.plus(last.entries.len() as u64) == first
        };
        if let Some(last) = self.ready.back_mut().filter(joins) {
            last.entries.extend(entries);
            return;
        }
        let (log, partition) = self.stream.id;
        self.ready.push_back(Commit { commit, log, partition, first, appended_at, entries });
    }
}
