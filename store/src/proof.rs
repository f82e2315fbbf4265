//! Proofs out of a log: that a record is in the tree of a size, and that the tree only grew between two.
//! Roots of 256 leaves come from footers (of open segments from memory), what is below from the records.

use crate::{
    error::StoreError,
    opened::Opened,
    read,
    retention::Dropped,
    shared::Shared,
    stream::{Segment, Stream, StreamId},
    tree::{GROUP, Hash, LOST, leaf, node},
};
use custos_event::Seq;
use custos_evidence::proof::{self, Leaves, split};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// Roots of so many leaves are kept once computed: 40 bytes for 65,536 records, 600 KB for a thousand million.
const UPPER: u64 = GROUP * GROUP;
/// Groups of leaf hashes, 8 KiB each, that a row of proofs keeps: the record's own, and that at the tree's edge.
const GROUPS_MAX: usize = 8;

/// Shows that a record is in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inclusion {
    pub leaf: Hash,
    pub index: u64,
    /// Of the tree.
    pub size: u64,
    pub path: Vec<Hash>,
}

/// Why there is no proof.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProofError {
    #[error("log {log} has {durable} records; there is none {asked}")]
    Beyond { log: String, durable: u64, asked: String },
    #[error(
        "records {first} to {last} of log {log} were dropped by retention{when}, and with them what proves {what}"
    )]
    Dropped { log: String, first: u64, last: u64, when: String, what: String },
    #[error(
        "log {log} is damaged where the proof of {what} needs it; see 'custos log verify' and \
        restore the segment from a backup"
    )]
    Damaged { log: String, what: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes proofs of one log; a row of them in the order of places costs least.
pub struct Prover<'a> {
    shared: &'a Shared,
    stream: Arc<Stream>,
    segments: Vec<Arc<Segment>>,
    /// The first place that is there, and the roots over all before it.
    first: u64,
    before: HashMap<Leaves, Hash>,
    /// What retention let go of, with the roots that stay of it.
    dropped: Arc<Dropped>,
    durable: (u64, Hash),
    groups: VecDeque<(u64, Vec<Hash>)>,
    /// The segment that the last node came from.
    opened: Option<Arc<Opened>>,
}

impl<'a> Prover<'a> {
    pub(crate) fn new(shared: &'a Shared, id: StreamId) -> Result<Option<Self>, StoreError> {
        let Some(stream) = shared.stream(id) else { return Ok(None) };
        let frontier = stream.durable().frontier.clone();
        let dropped = stream.dropped();
        let segments = stream.segments_from(|_| false);
        let (mut first, mut before) = (0, HashMap::new());
        if let Some(segment) = segments.first() {
            first = segment.first_seq.0;
            let opened = shared.opened(&stream, segment)?;
            before.extend(peaks(first).zip(opened.header.peaks.iter().copied()));
        }
        let durable = (frontier.size(), frontier.root());
        let groups = VecDeque::new();
        let opened = None;
        Ok(Some(Self { shared, stream, segments, first, before, dropped, durable, groups, opened }))
    }

    /// The size of the log's tree as far as it is durable, and its root.
    pub fn head(&self) -> (u64, Hash) {
        self.durable
    }

    /// That record `index` is in the tree of the first `size` records.
    pub fn inclusion(&mut self, index: u64, size: u64) -> Result<Inclusion, ProofError> {
        let path = proof::inclusion(index, size).filter(|_| size <= self.durable.0);
        let path = path.ok_or_else(|| self.beyond(format!("{index} in a tree of {size}")))?;
        let leaf = self.leaf(index)?;
        let path = self.hashes(&path)?;
        let (durable, root) = self.durable;
        if leaf == LOST || size == durable && !proof::includes(&root, size, index, &leaf, &path) {
            return Err(self.damaged(format!("record {index}")));
        }
        Ok(Inclusion { leaf, index, size, path })
    }

    /// That the tree of the first `new` records begins with that of the first `old`.
    pub fn consistency(&mut self, old: u64, new: u64) -> Result<Vec<Hash>, ProofError> {
        let path = proof::consistency(old, new).filter(|_| new <= self.durable.0);
        let path = path.ok_or_else(|| self.beyond(format!("{old} in a tree of {new}")))?;
        self.hashes(&path)
    }

    /// The root over the first `size` records.
    pub fn root(&mut self, size: u64) -> Result<Hash, ProofError> {
        match size {
            size if size == self.durable.0 => Ok(self.durable.1),
            0 => Ok(custos_evidence::tree::empty()),
            size if size > self.durable.0 => Err(self.beyond(format!("in a tree of {size}"))),
            size => self.hash(Leaves { from: 0, to: size }),
        }
    }

    fn hashes(&mut self, path: &[Leaves]) -> Result<Vec<Hash>, ProofError> {
        path.iter().map(|leaves| self.hash(*leaves)).collect()
    }

    /// The root over a range that some tree has as a subtree.
    fn hash(&mut self, leaves: Leaves) -> Result<Hash, ProofError> {
        let Leaves { from, to } = leaves;
        if let Some(hash) = self.before.get(&leaves) {
            return Ok(*hash);
        }
        if let Some(root) = self.dropped.root(leaves) {
            return Ok(root);
        }
        let count = to - from;
        match count {
            1 => return self.leaf(from),
            GROUP => return self.node(from / GROUP),
            UPPER => {
                if let Some(hash) = self.stream.upper().get(&(from / UPPER)) {
                    return Ok(*hash);
                }
            }
            _ => {}
        }
        let middle = from + split(count);
        let left = self.hash(Leaves { from, to: middle })?;
        let hash = node(&left, &self.hash(Leaves { from: middle, to })?);
        if count == UPPER {
            self.stream.upper().insert(from / UPPER, hash);
        }
        Ok(hash)
    }

    /// The root over one whole group: kept with the segment that its last leaf is in, else made from the records.
    fn node(&mut self, number: u64) -> Result<Hash, ProofError> {
        if let Some(node) = self.opened.as_ref().and_then(|opened| opened.node(number)) {
            return Ok(node);
        }
        let (first, last) = (number * GROUP, number * GROUP + GROUP - 1);
        let at = self.segments.partition_point(|segment| segment.first_seq.0 <= last);
        let segment = at.checked_sub(1).and_then(|at| self.segments.get(at));
        if let Some(segment) = segment {
            let opened = self.shared.opened(&self.stream, segment)?;
            if let Some(node) = opened.node(number) {
                self.opened = Some(opened);
                return Ok(node);
            }
        }
        let half = first + GROUP / 2;
        let left = self.hash(Leaves { from: first, to: half })?;
        Ok(node(&left, &self.hash(Leaves { from: half, to: last + 1 })?))
    }

    fn leaf(&mut self, index: u64) -> Result<Hash, ProofError> {
        if index < self.first || self.dropped.at(Seq(index)).is_some() {
            return Err(self.gone(index));
        }
        let group = index / GROUP;
        if self.groups.iter().all(|(number, _)| *number != group) {
            let leaves = self.leaves(group * GROUP);
            self.groups.push_front((group, leaves));
            self.groups.truncate(GROUPS_MAX);
        }
        let found = self.groups.iter().find(|(number, _)| *number == group);
        let at = usize::try_from(index % GROUP).unwrap_or(usize::MAX);
        let leaf = found.and_then(|(_, leaves)| leaves.get(at)).copied();
        leaf.ok_or_else(|| self.damaged(format!("record {index}")))
    }

    /// The leaf hashes of a group as far as it is durable. A record that cannot be read counts as lost: if the
    /// tree has its true hash, the proof does not fit the root and is not given out.
    fn leaves(&self, from: u64) -> Vec<Hash> {
        let to = (from + GROUP).min(self.durable.0);
        let mut leaves = vec![LOST; usize::try_from(to.saturating_sub(from)).unwrap_or(0)];
        let mut next = from;
        while next < to {
            let mut take = |seq: Seq, bytes: bytes::Bytes| {
                let at = usize::try_from(seq.0.saturating_sub(from)).unwrap_or(usize::MAX);
                leaves.get_mut(at).into_iter().for_each(|place| *place = leaf(&bytes));
                true
            };
            match read::scan(self.shared, self.stream.id, Seq(next), Seq(to), &mut take) {
                Ok(()) => break,
                Err(error) => next = error.seq.0.max(next).saturating_add(1),
            }
        }
        leaves
    }

    fn gone(&self, index: u64) -> ProofError {
        let step = self.dropped.drop_of(Seq(index));
        let before = (0, self.first.saturating_sub(1), String::new());
        let (first, last, when) = step.map_or(before, |step| {
            (step.first.0, step.last.0, format!(" on {} ({})", step.at, step.reason))
        });
        let (log, what) = (self.stream.id.0.to_string(), format!("record {index}"));
        ProofError::Dropped { log, first, last, when, what }
    }

    fn beyond(&self, asked: String) -> ProofError {
        ProofError::Beyond { log: self.stream.id.0.to_string(), durable: self.durable.0, asked }
    }

    fn damaged(&self, what: String) -> ProofError {
        ProofError::Damaged { log: self.stream.id.0.to_string(), what }
    }
}

/// The whole subtrees that so many leaves fall into, largest first: those of a tree's edge.
fn peaks(size: u64) -> impl Iterator<Item = Leaves> {
    let mut from = 0;
    (0..u64::BITS).rev().map(|bit| 1 << bit).filter(move |count| size & count != 0).map(
        move |count: u64| {
            let leaves = Leaves { from, to: from + count };
            from += count;
            leaves
        },
    )
}
