//! How many events a query finds in each stretch of time.

use crate::{
    Index, Query, SearchError,
    search::{Answer, SearchRequest, SearchStats, Stop},
};
use custos_event::{Timestamp, commit::LogReader};

/// More stretches than a wide screen has columns for.
pub const BUCKETS_MAX: usize = 2_000;

/// Stretches of time of one width, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buckets {
    pub from: Timestamp,
    /// At least 1.
    pub width_nanos: i64,
    /// 1 to [`BUCKETS_MAX`]; taken as the nearest of these.
    pub count: usize,
}

/// Widths that a person can read off an axis: 1, 2, 5, 10, 15, 30 seconds and minutes, and so on.
const WIDTHS_SECS: &[i64] = &[
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200,
    86_400, 172_800, 604_800, 1_209_600, 2_592_000, 7_776_000, 31_536_000,
];
const SEC: i64 = custos_event::time::NANOS_PER_SEC;

impl Buckets {
    /// At most about `most` stretches of a round width that cover `from..to`. They begin at a multiple of
    /// their width, so that asking again a little later gives the same stretches.
    pub fn covering(from: Timestamp, to: Timestamp, most: usize) -> Self {
        let most = i64::try_from(most.clamp(1, BUCKETS_MAX - 1)).unwrap_or(1);
        let span = to.0.saturating_sub(from.0).max(1);
        let wide_enough = |secs: &&i64| span <= (**secs * SEC).saturating_mul(most);
        let width_nanos = WIDTHS_SECS
            .iter()
            .find(wide_enough)
            .map_or_else(|| (span / most).saturating_add(1).max(SEC), |secs| secs * SEC);
        let first = from.0.div_euclid(width_nanos).saturating_mul(width_nanos);
        let last = to.0.saturating_sub(1).max(from.0).div_euclid(width_nanos);
        let count = last.saturating_sub(from.0.div_euclid(width_nanos)).saturating_add(1);
        let count = usize::try_from(count).unwrap_or(1);
        Self { from: Timestamp(first), width_nanos, count }
    }

    /// When stretch `nth` begins.
    pub fn start(&self, nth: usize) -> Timestamp {
        let nth = i64::try_from(nth).unwrap_or(i64::MAX);
        Timestamp(self.from.0.saturating_add(self.width_nanos.saturating_mul(nth)))
    }

    /// Which stretch holds this time; the first or last one for times outside.
    fn of(&self, time: Timestamp) -> usize {
        let nth = time.0.saturating_sub(self.from.0).div_euclid(self.width_nanos.max(1));
        usize::try_from(nth.max(0)).unwrap_or(usize::MAX).min(self.size() - 1)
    }

    fn size(&self) -> usize {
        self.count.clamp(1, BUCKETS_MAX)
    }
}

/// Counts, one a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    pub counts: Vec<u64>,
    /// False when it was stopped: then each count may be too low.
    pub exact: bool,
    pub stats: SearchStats,
}

impl Histogram {
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

impl Index {
    /// Counts what `query` finds within the request's times, by bucket. Of what lies outside the buckets the
    /// first and last one take it, so that the counts always add up to the total.
    pub fn histogram(
        &self,
        query: &Query,
        request: &SearchRequest,
        buckets: &Buckets,
        stop: Stop<'_>,
        log: &dyn LogReader,
    ) -> Result<Histogram, SearchError> {
        self.ask(query, request, log, |answer| count(answer, buckets, stop))
    }
}

fn count(
    mut answer: Answer<'_>,
    buckets: &Buckets,
    stop: Stop<'_>,
) -> Result<Histogram, SearchError> {
    let mut counts = vec![0_u64; buckets.size()];
    let mut add = |nth: usize, events: u64| {
        if let Some(count) = counts.get_mut(nth) {
            *count += events;
        }
    };
    let exact = if answer.stats.by_dictionary {
        answer.candidates.tally(&|time| buckets.of(time), &mut add)?;
        true
    } else {
        answer.read_times(stop, &mut |time| add(buckets.of(time), 1))?
    };
    answer.stats.hits = counts.iter().sum();
    Ok(Histogram { counts, exact, stats: answer.finish() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_cover_the_span_at_round_times_and_are_not_too_many() {
        for (from, to, most) in [
            (0, 1, 60),
            (1_795_507_201, 1_795_510_799, 60),
            (-7, 86_400, 100),
            (0, 40_000_000_000, 1),
            (5, 5, 10),
            (9, 3, 10),
            (0, 9_000_000_000, 5_000),
        ] {
            let (from, to) = (Timestamp::from_secs(from), Timestamp::from_secs(to));
            let buckets = Buckets::covering(from, to, most);
            assert!(
                buckets.count <= most.min(BUCKETS_MAX) + 1,
                "{buckets:?} of {from} {to} {most}"
            );
            assert!(buckets.start(0) <= from && buckets.start(buckets.count) >= to, "{buckets:?}");
            assert_eq!(buckets.from.0 % buckets.width_nanos, 0);
        }
        let minutes = Buckets::covering(Timestamp(0), Timestamp::from_secs(3_600), 60);
        assert_eq!((minutes.width_nanos / SEC, minutes.count), (60, 60));
    }
}
