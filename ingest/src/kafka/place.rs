//! One partition as Custos has read it: where to go on, and whether what is there is still the same.

use custos_event::{Fact, SourceRange};

/// A partition's name in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<'n> {
    pub(crate) cluster: &'n str,
    pub(crate) topic: &'n str,
    pub(crate) partition: i32,
}

/// The offsets that the broker has: the first one, and the one after the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) low: i64,
    pub(crate) high: i64,
}

/// Where Custos stands in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) epoch: u32,
    /// Offset and digest of the last record taken.
    last: Option<(i64, u32)>,
    /// The first offset that is not taken yet.
    pub(crate) next: i64,
    /// The last record taken is to come once more and be compared.
    unproven: bool,
}

/// What a record is to Custos.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    New,
    /// At or below what is stored.
    Known,
    /// The offset is stored, and held other bytes: the topic was made anew, or lost data.
    Other,
}

/// How to go on in a partition: from which offset, and what has to be told.
#[derive(Debug, PartialEq)]
pub(crate) struct Resumed {
    pub(crate) place: Place,
    pub(crate) from: i64,
    pub(crate) fact: Option<Fact>,
}

impl Place {
    /// The place that the store remembers.
    pub(crate) fn stored(range: &SourceRange) -> Self {
        Self {
            epoch: range.epoch,
            last: Some((range.last, range.last_digest)),
            next: range.last.saturating_add(1),
            unproven: false,
        }
    }

    /// A partition never read before.
    fn unread(next: i64) -> Self {
        Self { epoch: 0, last: None, next, unproven: false }
    }

    /// Begins a partition that was never read.
    pub(crate) fn begin(from: i64) -> Resumed {
        Resumed { place: Self::unread(from), from, fact: None }
    }

    /// Goes on where it stands, one record earlier than needed so that it can be compared.
    pub(crate) fn resume(self, marks: Marks, of: Named<'_>) -> Resumed {
        let Some((last, _)) = self.last else {
            let from = self.next.clamp(marks.low, marks.high);
            let fact = (from > self.next).then(|| of.gap(self.next, from));
            return Resumed { place: Self { next: from, ..self }, from, fact };
        };
        if marks.high <= last {
            return self.other(marks, of);
        }
        if marks.low <= last {
            let place = Self { unproven: true, ..self };
            return Resumed { place, from: last, fact: None };
        }
        let fact = (marks.low > self.next).then(|| of.gap(self.next, marks.low));
        let next = self.next.max(marks.low);
        Resumed { place: Self { next, unproven: false, ..self }, from: next, fact }
    }

    /// Without the broker's word on its offsets: from the last record taken, or a logical start.
    pub(crate) fn resume_blind(before: Self) -> (Self, i64) {
        match before.last {
            Some((last, _)) => (Self { unproven: true, ..before }, last),
            None => (before, before.next),
        }
    }

    /// Other bytes stand at a stored offset: everything the broker has is read, in a new epoch. What of it
    /// was stored before the loss is stored twice then, under two epochs; nothing is passed over.
    pub(crate) fn other(self, marks: Marks, of: Named<'_>) -> Resumed {
        let epoch = self.epoch.saturating_add(1);
        let place = Self { epoch, ..Self::unread(marks.low) };
        Resumed { place, from: marks.low, fact: Some(of.new_epoch(epoch, marks.low)) }
    }

    /// Judges the next record that the broker gives. Offsets may be passed over: compaction and control
    /// records take them.
    pub(crate) fn see(&mut self, offset: i64, digest: u32) -> Seen {
        if std::mem::take(&mut self.unproven) && self.last.is_some_and(|(last, _)| last == offset) {
            let same = self.last.is_some_and(|(_, known)| known == digest);
            return if same { Seen::Known } else { Seen::Other };
        }
        if offset < self.next {
            return Seen::Known;
        }
        (self.last, self.next) = (Some((offset, digest)), offset.saturating_add(1));
        Seen::New
    }
}

impl Named<'_> {
    fn gap(&self, expected: i64, found: i64) -> Fact {
        Fact::SourceGapSeen {
            cluster: self.cluster.to_owned(),
            topic: self.topic.to_owned(),
            partition: self.partition,
            expected,
            found,
        }
    }

    fn new_epoch(&self, epoch: u32, offset: i64) -> Fact {
        Fact::SourceEpochOpened {
            cluster: self.cluster.to_owned(),
            topic: self.topic.to_owned(),
            partition: self.partition,
            epoch,
            offset,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOORS: Named<'static> = Named { cluster: "c", topic: "doors", partition: 2 };

    /// Read up to offset 9, whose digest was 77, in epoch 3.
    fn read_to_9() -> Place {
        Place::stored(&SourceRange {
            cluster: "c".into(),
            topic: "doors".into(),
            partition: 2,
            epoch: 3,
            first: 5,
            last: 9,
            last_digest: 77,
        })
    }

    fn resume(before: Place, low: i64, high: i64) -> (Place, i64, Option<Fact>) {
        let resumed = before.resume(Marks { low, high }, DOORS);
        (resumed.place, resumed.from, resumed.fact)
    }

    #[test]
    fn the_last_stored_record_is_read_again_and_the_same_bytes_are_passed_over() {
        let (mut place, from, fact) = resume(read_to_9(), 0, 12);
        assert_eq!((from, fact), (9, None));
        assert_eq!(place.see(9, 77), Seen::Known);
        assert_eq!(place.see(10, 1), Seen::New);
        assert_eq!(place.see(10, 1), Seen::Known);
        assert_eq!(place.see(12, 2), Seen::New);
        assert_eq!((place.epoch, place.next), (3, 13));
    }

    #[test]
    fn other_bytes_at_the_stored_offset_open_an_epoch_that_reads_everything() {
        let (mut place, _, _) = resume(read_to_9(), 0, 12);
        assert_eq!(place.see(9, 78), Seen::Other);
        let Resumed { mut place, from, fact } = place.other(Marks { low: 0, high: 12 }, DOORS);
        assert_eq!((from, place.epoch), (0, 4));
        assert!(matches!(fact, Some(Fact::SourceEpochOpened { epoch: 4, offset: 0, .. })));
        assert_eq!(place.see(0, 5), Seen::New);
    }

    #[test]
    fn a_log_that_ends_before_the_stored_offset_is_another_log() {
        let (place, from, fact) = resume(read_to_9(), 0, 9);
        assert_eq!((place.epoch, from), (4, 0));
        assert!(matches!(fact, Some(Fact::SourceEpochOpened { .. })));
    }

    #[test]
    fn a_compacted_record_proves_nothing_and_stops_nothing() {
        let (mut place, _, _) = resume(read_to_9(), 0, 12);
        assert_eq!(place.see(11, 1), Seen::New);
        assert_eq!(place.see(9, 78), Seen::Known);
    }

    #[test]
    fn records_that_retention_took_unread_are_told() {
        assert_eq!(resume(read_to_9(), 10, 12).1, 10);
        assert_eq!(resume(read_to_9(), 10, 12).2, None);
        let (place, from, fact) = resume(read_to_9(), 11, 12);
        assert_eq!((place.next, from), (11, 11));
        assert_eq!(fact, Some(DOORS.gap(10, 11)));
    }
}
