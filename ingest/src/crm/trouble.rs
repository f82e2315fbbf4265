//! What may be wrong with a customer system, and how long is waited for each.

use crate::batch::IntakeError;
use custos_event::Timestamp;
use std::{sync::Arc, time::Duration};

/// Why a round of reading ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The server is stopping.
    Stopping,
    /// The access token is over: one more is asked for, once.
    Expired(String),
    /// Somebody has to act: a secret is wrong, a right or a quota is missing.
    Refused(String),
    /// Nothing more is answered until then.
    Quota { until: Timestamp, text: String },
    /// Asked too often.
    Throttled(String),
    /// It does not answer, or is in trouble itself.
    Unreachable(String),
    /// An answer that nobody here understands.
    Odd(String),
    /// More than is held at once: a shorter stretch is asked for.
    TooLarge(String),
    /// The disk is full, or the store is closing.
    Paused(Arc<str>),
    /// The store failed; the process ends.
    Failed(Arc<str>),
}

impl From<IntakeError> for Trouble {
    fn from(error: IntakeError) -> Self {
        match error {
            IntakeError::Paused(why) => Self::Paused(why),
            IntakeError::Failed(why) => Self::Failed(why),
        }
    }
}

/// The first wait after a failure; it doubles with each more in a row.
const WAIT: Duration = Duration::from_secs(1);
/// Nobody who mends something waits longer than this to see it.
const WAIT_MAX: Duration = Duration::from_mins(5);
/// A quota is believed for a day and a bit: what says "later" is asked again then.
const QUOTA_WAIT_MAX: Duration = Duration::from_hours(25);

impl Trouble {
    /// One word for programs.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Stopping => "stopping",
            Self::Expired(_) => "expired",
            Self::Refused(_) => "refused",
            Self::Quota { .. } => "quota",
            Self::Throttled(_) => "throttled",
            Self::Unreachable(_) => "unreachable",
            Self::Odd(_) => "odd",
            Self::TooLarge(_) => "too_large",
            Self::Paused(_) => "paused",
            Self::Failed(_) => "failed",
        }
    }

    /// For people: what, and what to do where they can.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Stopping => "the server is stopping".into(),
            Self::Expired(why)
            | Self::Refused(why)
            | Self::Throttled(why)
            | Self::Unreachable(why)
            | Self::Odd(why)
            | Self::TooLarge(why)
            | Self::Quota { text: why, .. } => why.clone(),
            Self::Paused(why) | Self::Failed(why) => why.to_string(),
        }
    }

    /// Until somebody has acted it will be so again.
    pub(crate) fn needs_somebody(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Quota { .. } => true,
            Self::Stopping
            | Self::Expired(_)
            | Self::Throttled(_)
            | Self::Unreachable(_)
            | Self::Odd(_)
            | Self::TooLarge(_)
            | Self::Paused(_)
            | Self::Failed(_) => false,
        }
    }

    /// How long to wait after the `nth` failure in a row (from 1); `dice` spreads those who failed together: 0 is half
    /// the time, 255 all of it.
    pub(crate) fn wait(&self, nth: u32, dice: u8, now: Timestamp) -> Duration {
        if let Self::Quota { until, .. } = self {
            let nanos = u64::try_from(until.0.saturating_sub(now.0)).unwrap_or(0);
            return Duration::from_nanos(nanos).clamp(WAIT, QUOTA_WAIT_MAX);
        }
        let doubled = WAIT.saturating_mul(1 << nth.saturating_sub(1).min(16)).min(WAIT_MAX);
        doubled / 2 + doubled / 2 * u32::from(dice) / 255
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_minutes_and_are_spread() {
        let down = Trouble::Unreachable("no answer".into());
        let wait = |nth, dice| down.wait(nth, dice, Timestamp(0)).as_millis();
        assert_eq!((wait(1, 0), wait(1, 255)), (500, 1_000));
        assert_eq!((wait(4, 0), wait(4, 255)), (4_000, 8_000));
        assert_eq!((wait(40, 0), wait(40, 255)), (150_000, 300_000));
    }

    #[test]
    fn a_quota_is_waited_for_to_its_end_and_no_longer_than_a_day() {
        let until =
            |secs| Trouble::Quota { until: Timestamp::from_secs(secs), text: "used up".into() };
        let wait = |secs| until(secs).wait(9, 7, Timestamp::from_secs(100)).as_secs();
        assert_eq!([wait(3_700), wait(0), wait(1_000_000)], [3_600, 1, 25 * 3_600]);
        assert!(until(1).needs_somebody());
    }
}
