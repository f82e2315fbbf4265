//! How long a copy of people's keys is worth something, wherever it lies: one rule for the files of `key backup`
//! and for the keys in backups.

use custos_event::Timestamp;

const SECS_PER_DAY: i64 = 86_400;

/// So many days, 1 to 30. Erasure is only as good as its oldest copy of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyDays(u32);

impl KeyDays {
    /// RELIABILITY §6: a month, or a restore would undo an erasure that the law gives a month for.
    pub const MAX: Self = Self(30);

    pub fn new(days: u32) -> Option<Self> {
        (1..=Self::MAX.0).contains(&days).then_some(Self(days))
    }

    pub fn get(self) -> u32 {
        self.0
    }

    /// The moment from which on a copy that was made then is worth nothing.
    pub fn end(self, made: Timestamp) -> Timestamp {
        made.plus_secs(i64::from(self.0) * SECS_PER_DAY)
    }

    pub fn are_over(self, made: Timestamp, now: Timestamp) -> bool {
        now >= self.end(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_lasts_to_the_moment_and_never_longer_than_a_month() {
        for days in [0, 31, u32::MAX] {
            assert_eq!(KeyDays::new(days), None);
        }
        let (days, made) = (KeyDays::new(7).unwrap(), Timestamp::from_secs(1_000));
        let end = Timestamp::from_secs(1_000 + 7 * 86_400);
        assert_eq!(days.end(made), end);
        assert!(days.are_over(made, end));
        assert!(!days.are_over(made, Timestamp(end.0 - 1)));
    }
}
