//! The one place that asks the machine for the time.

use custos_event::{Clock, Timestamp};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio_util::sync::CancellationToken;

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the Clock that everything else asks")]
    fn now(&self) -> Timestamp {
        let nanos = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |n| -n),
        };
        Timestamp(nanos)
    }
}

/// Real time that passed: for reports, paces, and how long a stop may take. What the log says never depends on it.
pub(crate) struct Stopwatch(std::time::Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "measures durations, and gives no time")]
    pub(crate) fn start() -> Self {
        Self(std::time::Instant::now())
    }

    pub(crate) fn secs(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }

    /// Waits until `bytes` have taken as long as they do at `rate` a second; false where `stop` came first.
    #[expect(clippy::cast_precision_loss, reason = "a pace")]
    pub(crate) fn pace(&self, bytes: u64, rate: u64, stop: &CancellationToken) -> bool {
        const STEP: Duration = Duration::from_millis(20);
        let due = bytes as f64 / rate.max(1) as f64;
        while !stop.is_cancelled() && self.secs() < due {
            std::thread::sleep(STEP.min(Duration::from_secs_f64((due - self.secs()).max(0.0))));
        }
        !stop.is_cancelled()
    }
}
