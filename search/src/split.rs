//! When splits are merged. A split is a tantivy segment: the events of one or more commits that followed
//! each other, skipped as a whole by a search for another time.

use tantivy::{
    index::{SegmentId, SegmentMeta},
    merge_policy::{MergeCandidate, MergePolicy},
};

/// Splits of one size class are merged by eights: each event is rewritten once a class, three times on
/// its way from a commit of 2,000 events to a full split.
const MERGE_AT: usize = 8;
const CLASS_BITS: u32 = 3;
/// Commits of a quiet second, 1 to 512 events, are one class: they are merged soon and cheaply.
const SMALL_EVENTS: u32 = 512;
/// A full split is not merged again: 1 M events, about 100 MB of index, minutes to hours of arrival.
const FULL_EVENTS: u32 = 1 << 20;
/// With more full splits than this, twice as large ones are full: "a few dozen" at any size.
const FULL_SPLITS_MAX: u32 = 24;

/// Merges neighbours in size, which are neighbours in arrival.
#[derive(Debug)]
pub(crate) struct BySize;

impl MergePolicy for BySize {
    fn compute_merge_candidates(&self, splits: &[SegmentMeta]) -> Vec<MergeCandidate> {
        let sizes: Vec<_> = splits.iter().map(|split| (split.id(), split.num_docs())).collect();
        candidates(&sizes).into_iter().map(MergeCandidate).collect()
    }
}

fn candidates(splits: &[(SegmentId, u32)]) -> Vec<Vec<SegmentId>> {
    let total: u64 = splits.iter().map(|(_, events)| u64::from(*events)).sum();
    let mut full = FULL_EVENTS;
    while total / u64::from(full) > u64::from(FULL_SPLITS_MAX) && full < 1 << 30 {
        full *= 2;
    }
    let mut classes: Vec<(u32, Vec<SegmentId>)> = Vec::new();
    for (id, events) in splits.iter().filter(|(_, events)| *events < full) {
        let class = (events / SMALL_EVENTS).checked_ilog2().map_or(0, |log| log / CLASS_BITS + 1);
        match classes.iter_mut().find(|(mine, _)| *mine == class) {
            Some((_, ids)) => ids.push(*id),
            None => classes.push((class, vec![*id])),
        }
    }
    classes.into_iter().map(|(_, ids)| ids).filter(|ids| ids.len() >= MERGE_AT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds commits of these sizes one after the other, merging as the policy says.
    fn splits_after(commits: impl Iterator<Item = u32>) -> (Vec<u32>, u64) {
        let (mut splits, mut rewritten): (Vec<(SegmentId, u32)>, u64) = (Vec::new(), 0);
        for events in commits {
            splits.push((SegmentId::generate_random(), events));
            for merge in candidates(&splits) {
                let merged: u32 =
                    splits.iter().filter(|(id, _)| merge.contains(id)).map(|split| split.1).sum();
                splits.retain(|(id, _)| !merge.contains(id));
                splits.push((SegmentId::generate_random(), merged));
                rewritten += u64::from(merged);
            }
        }
        (splits.into_iter().map(|split| split.1).collect(), rewritten)
    }

    #[test]
    fn a_few_dozen_splits_are_the_most_whatever_the_rate() {
        for (commits, events) in [(20_000, 1), (20_000, 50), (20_000, 700), (5_000, 15_000)] {
            let (splits, rewritten) = splits_after(std::iter::repeat_n(events, commits));
            assert!(splits.len() < 60, "{events} a commit: {} splits", splits.len());
            let total = u64::from(events) * commits as u64;
            assert!(rewritten < total * 40, "{events} a commit: {}", rewritten / total);
        }
    }
}
