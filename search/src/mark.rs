//! A place in the newest-first order, for asking on from there.

use crate::candidates::Candidate;
use custos_event::{LogId, Partition, Position, Seq, Timestamp};
use std::{fmt, str::FromStr};

/// The last hit of a page. Events have one order, by time and then by place, that nothing which arrives
/// later can change: what follows a mark is never skipped and nothing before it is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub time: Timestamp,
    pub position: Position,
}

impl Mark {
    pub(crate) fn of(candidate: Candidate) -> Self {
        Self { time: candidate.time, position: candidate.position() }
    }

    pub(crate) fn candidate(self) -> Candidate {
        let Position { log, partition, seq } = self.position;
        // The least of those at this place, so that none of them is below it.
        Candidate { time: self.time, seq, log, partition, is_sure: false }
    }
}

/// `TIME.LOG.PARTITION.SEQ`, in numbers: for the one who asked to hand back, not to read.
impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { log, partition, seq } = self.position;
        write!(f, "{}.{}.{}.{seq}", self.time.0, log.0, partition.0)
    }
}

/// A text that no page ended with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no place in a result; hand back what the page before it ended with")]
pub struct MarkError(String);

impl FromStr for Mark {
    type Err = MarkError;

    fn from_str(text: &str) -> Result<Self, MarkError> {
        let mut parts = text.split('.');
        let read = (|| {
            let time = Timestamp(parts.next()?.parse().ok()?);
            let log = LogId(parts.next()?.parse().ok()?);
            let partition = Partition(parts.next()?.parse().ok()?);
            let seq = Seq(parts.next()?.parse().ok()?);
            Some(Self { time, position: Position { log, partition, seq } })
        })();
        read.filter(|_| parts.next().is_none())
            .ok_or_else(|| MarkError(text.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_back_as_written_and_nothing_else_reads() {
        let position = Position { log: LogId(2), partition: Partition(7), seq: Seq(u64::MAX) };
        let mark = Mark { time: Timestamp(-5), position };
        assert_eq!(mark.to_string().parse(), Ok(mark));
        for text in ["", "1.2.3", "1.2.3.4.5", "1.300.0.1", "x.0.0.1", "1,0,0,1"] {
            assert!(text.parse::<Mark>().is_err(), "{text}");
        }
    }
}
