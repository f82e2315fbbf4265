//! How long each log was at one moment.

use crate::{LogId, Partition, Position, Seq};

/// The place after the last record of every log that held any. Two logs' places do not compare: a moment is known by
/// the places of all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends(Vec<(LogId, Partition, Seq)>);

impl Ends {
    /// A log never gets shorter: of two ends the later one stays.
    pub fn reach(&mut self, log: LogId, partition: Partition, end: Seq) {
        match self.0.iter_mut().find(|(l, p, _)| (*l, *p) == (log, partition)) {
            Some((_, _, known)) => *known = end.max(*known),
            None => self.0.push((log, partition, end)),
        }
    }

    /// The place after the last record; the first place of a log that held nothing.
    pub fn of(&self, log: LogId, partition: Partition) -> Seq {
        let found = self.0.iter().find(|(l, p, _)| (*l, *p) == (log, partition));
        found.map_or(Seq(0), |(_, _, end)| *end)
    }

    /// Each log that holds something, with the place after its last record.
    pub fn iter(&self) -> impl Iterator<Item = (LogId, Partition, Seq)> + '_ {
        self.0.iter().copied()
    }

    /// Whether a record was there.
    pub fn hold(&self, at: Position) -> bool {
        at.seq < self.of(at.log, at.partition)
    }

    /// How many events there ever were, in all logs of telemetry.
    pub fn events(&self) -> u64 {
        self.0.iter().filter(|(log, ..)| log.is_telemetry()).map(|(_, _, end)| end.0).sum()
    }
}

impl FromIterator<(LogId, Partition, Seq)> for Ends {
    fn from_iter<T: IntoIterator<Item = (LogId, Partition, Seq)>>(all: T) -> Self {
        let mut ends = Self::default();
        all.into_iter().for_each(|(log, partition, end)| ends.reach(log, partition, end));
        ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_log_has_its_own_end() {
        let (one, two) = (LogId::TELEMETRY, LogId(2));
        let partition = Partition(0);
        let mut ends: Ends =
            [(one, partition, Seq(5)), (LogId::JOURNAL, partition, Seq(90))].into_iter().collect();
        ends.reach(two, partition, Seq(3));
        ends.reach(two, partition, Seq(2));
        let held = |log, seq| ends.hold(Position { log, partition, seq: Seq(seq) });
        assert_eq!(
            [held(one, 4), held(one, 5), held(two, 2), held(two, 3)],
            [true, false, true, false]
        );
        assert!(!held(LogId(3), 0));
        assert_eq!(ends.events(), 8, "facts are no events");
    }
}
