//! One log (and partition) in memory: its segments in order, and the state after its last durable commit.

use crate::{
    opened::Opened,
    retention::{Dropped, SegmentInfo},
    table::Tables,
    tree::{Frontier, Hash},
};
use custos_event::{CommitNo, LogId, Partition, Seq};
use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

pub(crate) type StreamId = (LogId, Partition);

/// One segment file. Replaced, never changed, when it is sealed.
pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(crate) path: PathBuf,
    pub(crate) first_seq: Seq,
    pub(crate) first_commit: CommitNo,
    /// Kept open while it is not sealed; sealed ones are opened when somebody reads them.
    pub(crate) live: Option<Arc<Opened>>,
}

/// The state after the last durable commit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Durable {
    pub(crate) frontier: Frontier,
    pub(crate) tables: Tables,
}

pub(crate) struct Stream {
    pub(crate) id: StreamId,
    segments: RwLock<Vec<Arc<Segment>>>,
    durable: Mutex<Durable>,
    /// Of how many records the last kept checkpoint speaks.
    saved_size: Mutex<Option<u64>>,
    /// Roots of whole subtrees of 65,536 leaves, by their number, once a proof needed them.
    upper: Mutex<BTreeMap<u64, Hash>>,
    /// The highest number of a file that a start found, also of one that does not read and stays as evidence.
    found: u64,
    /// What retention let go of.
    dropped: RwLock<Arc<Dropped>>,
    /// Sealed segments whose footers were read, by number.
    ends: Mutex<HashMap<u64, SegmentInfo>>,
}

impl Stream {
    pub(crate) fn new(
        id: StreamId,
        segments: Vec<Arc<Segment>>,
        durable: Durable,
        saved_size: Option<u64>,
        (dropped, found): (Dropped, u64),
    ) -> Self {
        let (segments, durable) = (RwLock::new(segments), Mutex::new(durable));
        let (saved_size, upper) = (Mutex::new(saved_size), Mutex::default());
        let (dropped, ends) = (RwLock::new(Arc::new(dropped)), Mutex::default());
        Self { id, segments, durable, saved_size, upper, found, dropped, ends }
    }

    pub(crate) fn dropped(&self) -> Arc<Dropped> {
        Arc::clone(&self.dropped.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn ends(&self) -> MutexGuard<'_, HashMap<u64, SegmentInfo>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the segments that `dropped` has; their numbers and files.
    pub(crate) fn let_go(&self, dropped: &Arc<Dropped>) -> Vec<(u64, PathBuf)> {
        // First: who finds a segment gone asks whether it was dropped.
        *self.dropped.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(dropped);
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        let gone = |segment: &mut Arc<Segment>| dropped.holds_number(segment.number);
        let gone: Vec<_> = segments.extract_if(.., gone).collect();
        gone.into_iter().map(|segment| (segment.number, segment.path.clone())).collect()
    }

    pub(crate) fn saved_size(&self) -> MutexGuard<'_, Option<u64>> {
        self.saved_size.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn upper(&self) -> MutexGuard<'_, BTreeMap<u64, Hash>> {
        self.upper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn durable(&self) -> MutexGuard<'_, Durable> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place that the next record takes once all that is durable is counted.
    pub(crate) fn next_seq(&self) -> Seq {
        Seq(self.durable().frontier.size())
    }

    pub(crate) fn add(&self, segment: Arc<Segment>) {
        self.segments.write().unwrap_or_else(PoisonError::into_inner).push(segment);
    }

    pub(crate) fn replace(&self, sealed: Segment) {
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = segments.iter_mut().find(|old| old.number == sealed.number) {
            *place = Arc::new(sealed);
        }
    }

    /// Puts a sealed segment in its place, for another of its number or where there was none.
    pub(crate) fn put(&self, sealed: Segment) {
        self.ends().remove(&sealed.number);
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        let place = segments.partition_point(|segment| segment.number < sealed.number);
        match segments.get_mut(place).filter(|segment| segment.number == sealed.number) {
            Some(old) => *old = Arc::new(sealed),
            None => segments.insert(place, Arc::new(sealed)),
        }
    }

    /// The segments from the one that holds what `before` says comes before what is sought.
    pub(crate) fn segments_from(&self, before: impl Fn(&Segment) -> bool) -> Vec<Arc<Segment>> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let start = segments.partition_point(|segment| before(segment)).saturating_sub(1);
        segments.get(start..).unwrap_or_default().to_vec()
    }

    pub(crate) fn last_number(&self) -> u64 {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let last = segments.iter().map(|segment| segment.number).max().unwrap_or(0);
        last.max(self.found).max(self.dropped().last_number())
    }
}
