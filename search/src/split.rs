//! When splits are merged. A split is a tantivy segment: the events of one or more commits that followed
//! each other, skipped as a whole by a search for another time.

use std::collections::BTreeMap;
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
/// With more full splits than this, twice as large ones are full: "a few dozen" up to 200 M events.
const FULL_SPLITS_MAX: u32 = 24;
/// Larger ones are none: a merge keeps some 16 bytes of memory for each of its events.
const FULL_EVENTS_MAX: u32 = 4 << 20;
/// What one merge makes at most: 128 MiB of memory while it runs.
const MERGED_EVENTS_MAX: u32 = 8 << 20;

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
    while total / u64::from(full) > u64::from(FULL_SPLITS_MAX) && full < FULL_EVENTS_MAX {
        full *= 2;
    }
    let mut classes: BTreeMap<u32, Vec<(SegmentId, u32)>> = BTreeMap::new();
    for (id, events) in splits.iter().filter(|(_, events)| *events < full) {
        let class = (events / SMALL_EVENTS).checked_ilog2().map_or(0, |log| log / CLASS_BITS + 1);
        classes.entry(class).or_default().push((*id, *events));
    }
    classes.into_values().filter(|class| class.len() >= MERGE_AT).flat_map(merges).collect()
}

/// The merges of one class, each of neighbours that together are no more than a merge may be.
fn merges(class: Vec<(SegmentId, u32)>) -> Vec<Vec<SegmentId>> {
    let (mut merges, mut merge, mut sum) = (Vec::new(), Vec::new(), 0_u32);
    for (id, events) in class {
        if merge.len() == MERGE_AT || sum.saturating_add(events) > MERGED_EVENTS_MAX {
            merges.push(std::mem::take(&mut merge));
            sum = 0;
        }
        merge.push(id);
        sum = sum.saturating_add(events);
    }
    // The last ones wait for more.
    merges.extend((merge.len() == MERGE_AT).then_some(merge));
    merges.retain(|merge| merge.len() > 1);
    merges
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds commits of these sizes one after the other, merging as the policy says.
    /// How large the splits are then, how many events were rewritten, and how many at once.
    fn splits_after(commits: impl Iterator<Item = u32>) -> (Vec<u32>, u64, u32) {
        let mut splits: Vec<(SegmentId, u32)> = Vec::new();
        let (mut rewritten, mut largest) = (0, 0);
        for events in commits {
            splits.push((SegmentId::generate_random(), events));
            for merge in candidates(&splits) {
                let merged: u32 =
                    splits.iter().filter(|(id, _)| merge.contains(id)).map(|split| split.1).sum();
                splits.retain(|(id, _)| !merge.contains(id));
                splits.push((SegmentId::generate_random(), merged));
                rewritten += u64::from(merged);
                largest = merged.max(largest);
            }
        }
        (splits.into_iter().map(|split| split.1).collect(), rewritten, largest)
    }

    #[test]
    fn a_few_dozen_splits_are_the_most_whatever_the_rate() {
        for (commits, events) in [(20_000, 1), (20_000, 50), (20_000, 700), (13_000, 15_000)] {
            let (splits, rewritten, _) = splits_after(std::iter::repeat_n(events, commits));
            assert!(splits.len() < 60, "{events} a commit: {} splits", splits.len());
            let total = u64::from(events) * commits as u64;
            assert!(rewritten < total * 40, "{events} a commit: {}", rewritten / total);
        }
    }

    /// 600 M events: more than a few dozen splits then, and no merge that grows with them.
    #[test]
    fn a_merge_is_bounded_however_many_events_there_are() {
        let (splits, rewritten, largest) = splits_after(std::iter::repeat_n(60_000, 10_000));
        assert!(largest <= MERGED_EVENTS_MAX, "{largest} at once");
        assert!(splits.len() < 200, "{} splits", splits.len());
        assert!(rewritten < 600_000_000 * 8, "each event {} times", rewritten / 600_000_000);
    }
}
