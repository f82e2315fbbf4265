//! What stays of records that were dropped: the roots that proofs of the others need, and when and why they went.

use crate::tree::{Frontier, Hash, node};
use custos_event::{CommitNo, LogId, Partition, Seq, Timestamp, UpkeepEvent};
use custos_evidence::proof::{Leaves, split};
use std::collections::{BTreeSet, HashMap};

/// Records that were let go in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedRange {
    pub log: LogId,
    pub partition: Partition,
    pub first: Seq,
    pub last: Seq,
    pub segments: u32,
    pub bytes: u64,
    /// When the newest of them was appended, and when they were let go.
    pub through: Timestamp,
    pub at: Timestamp,
    pub reason: String,
}

/// What the journal tells of a step, before it is taken.
impl From<&DroppedRange> for UpkeepEvent {
    fn from(range: &DroppedRange) -> Self {
        Self::SegmentsDropped {
            log: range.log,
            first: range.first,
            last: range.last,
            segments: range.segments,
            bytes: range.bytes,
            through: range.through,
            reason: range.reason.clone(),
        }
    }
}

/// A stretch without a gap, dropped in one or more steps.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Gone {
    pub(crate) first: u64,
    /// The place after its last record.
    pub(crate) end: u64,
    /// The numbers of its first and last segment.
    pub(crate) numbers: (u64, u64),
    /// Its first and last commit, and how many of those in between were its own.
    pub(crate) commits: (CommitNo, CommitNo),
    pub(crate) commit_count: u64,
    pub(crate) drops: Vec<DroppedRange>,
    /// Roots of whole subtrees, side by side from `first` to `end`: no larger ones than end there, or at a size of
    /// which a checkpoint speaks.
    pub(crate) pieces: Vec<(Leaves, Hash)>,
}

/// Steps that are remembered one by one; before that, neighbours are told of as one. A step an hour: six weeks.
const DROPS_MAX: usize = 1_024;

/// All that one log has lost to retention.
#[derive(Debug, Default)]
pub(crate) struct Dropped {
    ranges: Vec<Gone>,
    roots: HashMap<Leaves, Hash>,
}

impl Dropped {
    pub(crate) fn new(ranges: Vec<Gone>) -> Self {
        let roots = ranges.iter().flat_map(|gone| gone.pieces.iter().copied()).collect();
        Self { ranges, roots }
    }

    pub(crate) fn ranges(&self) -> &[Gone] {
        &self.ranges
    }

    /// The stretch that a place was in.
    pub(crate) fn at(&self, seq: Seq) -> Option<&Gone> {
        let after = self.ranges.partition_point(|gone| gone.first <= seq.0);
        let gone = after.checked_sub(1).and_then(|at| self.ranges.get(at))?;
        (seq.0 < gone.end).then_some(gone)
    }

    /// The step in which a place was let go.
    pub(crate) fn drop_of(&self, seq: Seq) -> Option<&DroppedRange> {
        self.at(seq)?.drops.iter().find(|drop| drop.first <= seq && seq <= drop.last)
    }

    /// The root over these leaves, where it was kept.
    pub(crate) fn root(&self, leaves: Leaves) -> Option<Hash> {
        self.roots.get(&leaves).copied()
    }

    pub(crate) fn holds_number(&self, number: u64) -> bool {
        self.ranges.iter().any(|gone| gone.numbers.0 <= number && number <= gone.numbers.1)
    }

    pub(crate) fn last_number(&self) -> u64 {
        self.ranges.iter().map(|gone| gone.numbers.1).max().unwrap_or(0)
    }

    /// With one more stretch. Where it touches others they become one, with no more roots than `sizes`, of which
    /// checkpoints speak, and its ends call for. `None` where it is not beside or between them.
    pub(crate) fn with(&self, fresh: Gone, sizes: &[u64]) -> Option<Self> {
        let mut ranges = self.ranges.clone();
        let place = ranges.partition_point(|gone| gone.first < fresh.first);
        ranges.insert(place, fresh);
        if !ranges.is_sorted_by(|a, b| a.end <= b.first) {
            return None;
        }
        let mut joined: Vec<Gone> = Vec::with_capacity(ranges.len());
        for gone in ranges {
            match joined.last_mut().filter(|last| last.end == gone.first) {
                Some(last) => last.join(gone, sizes)?,
                None => joined.push(gone),
            }
        }
        Some(Self::new(joined))
    }
}

impl Gone {
    fn join(&mut self, next: Self, sizes: &[u64]) -> Option<()> {
        let known: HashMap<_, _> = self.pieces.iter().chain(&next.pieces).copied().collect();
        self.end = next.end;
        self.numbers.1 = next.numbers.1;
        self.commits = (self.commits.0.min(next.commits.0), self.commits.1.max(next.commits.1));
        self.commit_count += next.commit_count;
        self.drops.extend(next.drops);
        while self.drops.len() > DROPS_MAX {
            let later = self.drops.remove(1);
            let first = self.drops.first_mut()?;
            first.last = later.last;
            first.segments = first.segments.saturating_add(later.segments);
            first.bytes = first.bytes.saturating_add(later.bytes);
            (first.through, first.at) = (first.through.max(later.through), later.at);
        }
        let tiles = tiles(self.first, self.end, sizes);
        self.pieces = tiles
            .into_iter()
            .map(|leaves| Some((leaves, root_of(leaves, &known)?)))
            .collect::<Option<_>>()?;
        Some(())
    }

    /// Grows `tree`, which ends where this begins, over it, and shows `each` the tree after each piece. False where
    /// the pieces do not fit together.
    pub(crate) fn pass(&self, tree: &mut Frontier, each: &mut dyn FnMut(&Frontier)) -> bool {
        let fits = |tree: &Frontier, leaves: &Leaves| {
            let count = leaves.to.saturating_sub(leaves.from);
            leaves.from == tree.size() && count.is_power_of_two()
        };
        for (leaves, root) in &self.pieces {
            let level = leaves.to.saturating_sub(leaves.from).trailing_zeros();
            if !fits(tree, leaves) || !tree.graft(level, *root) {
                return false;
            }
            each(tree);
        }
        tree.size() == self.end
    }
}

/// The root over a whole subtree, from those of its parts.
fn root_of(leaves: Leaves, known: &HashMap<Leaves, Hash>) -> Option<Hash> {
    if let Some(root) = known.get(&leaves) {
        return Some(*root);
    }
    let Leaves { from, to } = leaves;
    if to - from < 2 {
        return None;
    }
    let middle = from + split(to - from);
    let left = root_of(Leaves { from, to: middle }, known)?;
    Some(node(&left, &root_of(Leaves { from: middle, to }, known)?))
}

/// The whole subtrees that fill `first..end`, broken at each of `sizes` within.
pub(super) fn tiles(first: u64, end: u64, sizes: &[u64]) -> Vec<Leaves> {
    let within = sizes.iter().copied().filter(|size| first < *size && *size < end);
    let bounds: BTreeSet<u64> = within.chain([end]).collect();
    let (mut tiles, mut from) = (Vec::new(), first);
    for bound in bounds {
        while from < bound {
            let fits = 1 << (bound - from).ilog2();
            let begins = if from == 0 { fits } else { 1 << from.trailing_zeros() };
            let to = from + begins.min(fits);
            tiles.push(Leaves { from, to });
            from = to;
        }
    }
    tiles
}

/// The root over 2^n leaves.
pub(super) fn root_over(leaves: &[Hash]) -> Option<Hash> {
    match leaves {
        [] => None,
        [leaf] => Some(*leaf),
        more => {
            let (left, right) = more.split_at_checked(more.len() / 2)?;
            Some(node(&root_over(left)?, &root_over(right)?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::leaf;

    fn leaves(from: u64, to: u64) -> Vec<Hash> {
        (from..to).map(|n| leaf(&n.to_le_bytes())).collect()
    }

    fn gone(first: u64, end: u64, sizes: &[u64]) -> Gone {
        let root = |at: &Leaves| root_over(&leaves(at.from, at.to)).unwrap();
        Gone {
            first,
            end,
            numbers: (first / 100 + 1, first / 100 + 1),
            commits: (CommitNo(first + 1), CommitNo(end)),
            commit_count: end - first,
            drops: vec![DroppedRange {
                log: LogId::TELEMETRY,
                partition: Partition(0),
                first: Seq(first),
                last: Seq(end - 1),
                segments: 1,
                bytes: 10,
                through: Timestamp(1),
                at: Timestamp(first.cast_signed()),
                reason: "age".into(),
            }],
            pieces: tiles(first, end, sizes).iter().map(|at| (*at, root(at))).collect(),
        }
    }

    fn tree(size: u64) -> Frontier {
        let mut tree = Frontier::default();
        for leaf in leaves(0, size) {
            tree.add(leaf);
        }
        tree
    }

    #[test]
    fn neighbours_become_one_whatever_the_order_and_the_tree_grows_over_them() {
        for order in [[0, 1, 2], [0, 2, 1], [2, 1, 0], [1, 0, 2]] {
            let mut dropped = Dropped::default();
            for n in order {
                let part = [gone(0, 300, &[77]), gone(300, 513, &[400]), gone(513, 900, &[])];
                dropped = dropped.with(part[n].clone(), &[77, 400]).unwrap();
            }
            let [whole] = dropped.ranges() else { panic!("{:?}", dropped.ranges()) };
            assert_eq!((whole.first, whole.end, whole.commit_count), (0, 900, 900));
            let (mut grown, mut seen) = (Frontier::default(), Vec::new());
            assert!(whole.pass(&mut grown, &mut |tree| seen.push(tree.clone())));
            assert_eq!(grown, tree(900));
            assert!(
                seen.contains(&tree(77)) && seen.contains(&tree(400)),
                "checkpoints' sizes stay"
            );
            assert_eq!(dropped.drop_of(Seq(299)).unwrap().at, Timestamp(0));
            assert_eq!(dropped.drop_of(Seq(300)).unwrap().at, Timestamp(300));
            assert_eq!(dropped.drop_of(Seq(900)), None);
        }
    }

    #[test]
    fn no_more_roots_stay_than_the_ends_and_the_checkpoints_call_for() {
        let mut dropped = Dropped::default();
        for n in 0..50 {
            dropped = dropped.with(gone(n * 1_000, n * 1_000 + 1_000, &[]), &[]).unwrap();
        }
        // 50,000 has three bits set.
        assert_eq!(dropped.ranges()[0].pieces.len(), 50_000_u64.count_ones() as usize);
    }

    #[test]
    fn what_was_dropped_is_not_dropped_again() {
        let dropped = Dropped::default().with(gone(100, 200, &[]), &[]).unwrap();
        assert!(dropped.with(gone(150, 250, &[]), &[]).is_none());
        assert!(dropped.with(gone(250, 300, &[]), &[]).is_some());
    }

    #[test]
    fn long_ago_steps_are_told_of_together() {
        let mut dropped = Dropped::default();
        for n in 0..DROPS_MAX as u64 + 10 {
            dropped = dropped.with(gone(n, n + 1, &[]), &[]).unwrap();
        }
        let drops = &dropped.ranges()[0].drops;
        assert_eq!((drops.len(), drops[0].segments, drops[0].last), (DROPS_MAX, 11, Seq(10)));
    }
}
