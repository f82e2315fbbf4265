//! Where in the day something happens.

/// Milliseconds since the day began at midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub i64);

impl Offset {
    /// The end of the day.
    pub const END: Self = Self(24 * 3_600_000);

    pub const fn at(hour: i64, minute: i64) -> Self {
        Self((hour * 60 + minute) * 60_000)
    }

    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0 + millis)
    }

    #[must_use]
    pub const fn plus_secs(self, secs: i64) -> Self {
        self.plus_millis(secs * 1_000)
    }

    #[must_use]
    pub const fn plus_minutes(self, minutes: i64) -> Self {
        self.plus_secs(minutes * 60)
    }
}
