//! Instants, and the only way to ask for the present one.

use crate::id::serde_as_text;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// An instant in nanoseconds since 1970-01-01T00:00:00Z; reaches from 1677 to 2262.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

pub const NANOS_PER_SEC: i64 = 1_000_000_000;
pub const NANOS_PER_MILLI: i64 = 1_000_000;

impl Timestamp {
    pub fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(NANOS_PER_SEC))
    }

    pub fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(NANOS_PER_MILLI))
    }

    /// Seconds with a fraction, as Zeek writes them; `None` when out of range or no number.
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked just before")]
    pub fn from_secs_f64(secs: f64) -> Option<Self> {
        let micros = secs * 1e6;
        (micros.is_finite() && micros.abs() < 9.2e15)
            .then(|| Self((micros.round() as i64).saturating_mul(1_000)))
    }

    pub fn as_millis(self) -> i64 {
        self.0.div_euclid(NANOS_PER_MILLI)
    }

    #[must_use]
    pub fn plus_secs(self, secs: i64) -> Self {
        Self(self.0.saturating_add(secs.saturating_mul(NANOS_PER_SEC)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(time) => time.fmt(f),
            Err(_) => write!(f, "{}ns", self.0),
        }
    }
}

/// A text that is no RFC 3339 instant.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{0}' is no time; expected RFC 3339, as in 2026-11-24T08:00:00Z")]
pub struct TimeError(String);

impl FromStr for Timestamp {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let time: jiff::Timestamp = text.parse().map_err(|_| TimeError(text.into()))?;
        i64::try_from(time.as_nanosecond()).map(Self).map_err(|_| TimeError(text.into()))
    }
}

serde_as_text!(Timestamp);

/// Where the present comes from. Decisions never ask; edges do, and pass the answer on.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

/// A clock that stands still until it is told otherwise.
#[derive(Debug, Default)]
pub struct ManualClock(std::sync::atomic::AtomicI64);

impl ManualClock {
    pub fn at(time: Timestamp) -> Self {
        Self(time.0.into())
    }

    pub fn set(&self, time: Timestamp) {
        self.0.store(time.0, std::sync::atomic::Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(std::sync::atomic::Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_reads_back_as_written() {
        for text in ["1970-01-01T00:00:00Z", "2020-12-11T12:28:01.2990045Z", "1950-02-03T04:05:06Z"]
        {
            assert_eq!(text.parse::<Timestamp>().map(|t| t.to_string()), Ok(text.to_owned()));
        }
        assert_eq!(
            Timestamp::from_secs_f64(1_588_205_199.824_37).map(|t| t.0 % 1_000_000),
            Some(370_000)
        );
        assert_eq!(Timestamp::from_secs_f64(f64::NAN), None);
    }
}
