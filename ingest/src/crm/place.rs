//! How far a stream of rows is stored: a key for each row that rises with its time, one range in the frame of the rows.

use crate::{
    batch::Batch,
    gate::{APPEND_BYTES_MAX, APPEND_EVENTS_MAX},
};
use bytes::Bytes;
use custos_event::SourceRange;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;

/// The name of all such sources' cluster in the log.
pub(crate) const CLUSTER: &str = "crm";
/// Bits of a key that tell rows of one second apart: with 33 bits of seconds (up to 2242) 63 in all. Two of 10,000 rows
/// of one second share a key once in twenty times; they are then stored together.
const ROW_BITS: u32 = 30;
const ROW_MASK: u64 = (1 << ROW_BITS) - 1;
const SECOND_MAX: i64 = (1 << 33) - 1;

/// One row as it is to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Of its own time; rows without one stand at the end of their window.
    pub(crate) second: i64,
    /// What tells it from others of its second, the same each time it is asked for.
    pub(crate) identity: Vec<u8>,
    pub(crate) json: Bytes,
}

/// A row and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) key: i64,
    pub(crate) json: Bytes,
}

/// From `from` on, before `to`: whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) from: i64,
    pub(crate) to: i64,
}

impl Window {
    pub(crate) fn has(self, second: i64) -> bool {
        (self.from..self.to).contains(&second)
    }

    pub(crate) fn seconds(self) -> i64 {
        self.to - self.from
    }

    /// The next stretch to read: at most `span` long, and nothing of the last `lag` seconds, in which rows may still come.
    pub(crate) fn next(from: i64, now: i64, lag: i64, span: i64) -> Option<Self> {
        let to = now.saturating_sub(lag).min(from.saturating_add(span.max(1)));
        (to > from).then_some(Self { from, to })
    }
}

/// The second that a key is of.
pub(crate) fn second_of(key: i64) -> i64 {
    key >> ROW_BITS
}

/// Rows in the order of their keys, without those that are stored already. Rows that are the same in all are told apart
/// by their number, so that each is kept.
pub(crate) fn in_order(rows: Vec<Row>, stored: Option<i64>) -> Vec<Placed> {
    let mut same: HashMap<[u8; 32], u64> = HashMap::with_capacity(rows.len());
    let place = |row: Row| {
        let digest = Sha256::new().chain_update(row.second.to_le_bytes());
        let digest: [u8; 32] = digest.chain_update(&row.identity).finalize().into();
        let nth = same.entry(digest).or_default();
        let numbered = Sha256::new().chain_update(digest).chain_update(nth.to_le_bytes());
        *nth += 1;
        Placed { key: key(row.second, &numbered.finalize()), json: row.json }
    };
    let mut placed: Vec<Placed> = rows.into_iter().map(place).collect();
    placed.retain(|row| stored.is_none_or(|stored| row.key > stored));
    placed.sort_by_key(|row| row.key);
    placed
}

fn key(second: i64, digest: &[u8]) -> i64 {
    let bytes = digest.iter().take(8).fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    let row = i64::try_from(bytes & ROW_MASK).unwrap_or_default();
    second.clamp(0, SECOND_MAX) << ROW_BITS | row
}

/// How many of the first rows go into one append: bounded, and never between two of one key.
pub(crate) fn first_append(rows: &[Placed]) -> usize {
    let mut bytes = 0;
    let fits = |row: &&Placed| {
        let has_room = bytes < APPEND_BYTES_MAX;
        bytes += row.json.len();
        has_room
    };
    let count = rows.iter().take(APPEND_EVENTS_MAX).take_while(fits).count();
    let Some(last) = count.checked_sub(1).and_then(|last| rows.get(last)) else { return 0 };
    let more = rows.iter().skip(count).take_while(|row| row.key == last.key).count();
    count + more
}

/// One stream's name in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    /// `NAME/OBJECT`, of the connector and what it reads.
    pub(crate) topic: String,
}

impl Stream {
    pub(crate) fn new(connector: &str, stream: &str) -> Self {
        Self { topic: format!("{connector}/{stream}") }
    }

    /// The key of the last row that is stored.
    pub(crate) fn stored(&self, ranges: &[SourceRange]) -> Option<i64> {
        let mine = |range: &&SourceRange| range.cluster == CLUSTER && range.topic == self.topic;
        ranges.iter().filter(mine).map(|range| range.last).max()
    }

    /// A batch of events accounts for the stream up to `last`.
    pub(crate) fn account(&self, batch: &mut Batch, before: Option<i64>, rows: &[Placed]) {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return };
        batch.sources.push(SourceRange {
            cluster: CLUSTER.into(),
            topic: self.topic.clone(),
            partition: 0,
            epoch: 0,
            // Ranges touch, so that those of one segment are one.
            first: before.map_or(first.key, |before| before.saturating_add(1)),
            last: last.key,
            last_digest: crate::origin::digest(None, Some(&last.json)),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(second: i64, text: &str) -> Row {
        Row { second, identity: text.into(), json: Bytes::copy_from_slice(text.as_bytes()) }
    }

    fn texts(rows: &[Placed]) -> Vec<&str> {
        rows.iter().map(|row| std::str::from_utf8(&row.json).unwrap()).collect()
    }

    #[test]
    fn rows_stand_in_the_order_of_time_whatever_order_they_came_in() {
        let there = in_order(vec![row(9, "c"), row(7, "a"), row(7, "b"), row(8, "d")], None);
        let back = in_order(vec![row(7, "b"), row(8, "d"), row(7, "a"), row(9, "c")], None);
        assert_eq!(there, back);
        assert_eq!(texts(&there)[2..], ["d", "c"]);
        assert_eq!(there.iter().map(|row| second_of(row.key)).collect::<Vec<_>>(), [7, 7, 8, 9]);
    }

    #[test]
    fn rows_that_are_the_same_in_all_are_each_kept_and_each_known_again() {
        let twice = in_order(vec![row(7, "a"), row(7, "a")], None);
        assert_eq!(twice.len(), 2);
        assert_ne!(twice[0].key, twice[1].key);
        let rest = in_order(vec![row(7, "a"), row(7, "a")], Some(twice[0].key));
        assert_eq!(rest, twice[1..]);
    }

    #[test]
    fn a_window_ends_where_rows_may_still_come_and_is_never_empty() {
        assert_eq!(Window::next(100, 200, 60, 3_600), Some(Window { from: 100, to: 140 }));
        assert_eq!(Window::next(100, 200, 60, 10), Some(Window { from: 100, to: 110 }));
        assert_eq!(Window::next(100, 160, 60, 10), None);
        assert_eq!(Window::next(100, 90, 60, 10), None);
        assert_eq!(Window::next(100, 200, 60, 0), Some(Window { from: 100, to: 101 }));
    }

    #[test]
    fn an_append_is_never_cut_between_rows_of_one_key() {
        let rows: Vec<_> = (0..10_000)
            .map(|n| Placed { key: if n < 8_000 { n } else { 8_000 }, json: Bytes::new() })
            .collect();
        assert_eq!(first_append(&rows), 10_000);
        let apart: Vec<_> = (0..10_000).map(|key| Placed { key, json: Bytes::new() }).collect();
        assert_eq!(first_append(&apart), APPEND_EVENTS_MAX);
        assert_eq!(first_append(&[]), 0);
    }

    proptest! {
        /// Cut after any append, begun again with the rows in another order: together each row once.
        #[test]
        fn whatever_was_stored_before_a_kill_the_rest_is_what_was_not(
            seconds in prop::collection::vec((0_i64..4, 0_u8..6), 0..60), cut in 0_usize..60,
        ) {
            let rows: Vec<_> = seconds.iter().map(|(s, n)| row(*s, &n.to_string())).collect();
            let whole = in_order(rows.clone(), None);
            let mut cut = cut.min(whole.len());
            while cut > 0 && cut < whole.len() && whole[cut - 1].key == whole[cut].key {
                cut += 1;
            }
            let stored = cut.checked_sub(1).map(|last| whole[last].key);
            let again = in_order(rows.into_iter().rev().collect(), stored);
            prop_assert_eq!(again.len(), whole.len() - cut);
            let keys = |rows: &[Placed]| rows.iter().map(|row| row.key).collect::<Vec<_>>();
            prop_assert_eq!(keys(&again), keys(&whole[cut..]));
        }
    }
}
