//! Waiting for a condition, never for a time: the deadline only says when to give up.

use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// How often a condition is looked at: 200 looks a second cost nothing, and a stored count that grows
/// by 20,000 a second moves on by 100 events between two of them.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Stops a wait that would never end.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    #[expect(clippy::disallowed_methods, reason = "a test gives up by the real clock")]
    pub fn after(limit: Duration) -> Self {
        Self(Instant::now() + limit)
    }

    /// What is left; zero when it has passed.
    #[expect(clippy::disallowed_methods, reason = "a test gives up by the real clock")]
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// Looks again and again until `look` finds something; fails, naming `what`, after `limit`.
pub fn until<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Deadline::after(limit);
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if deadline.left().is_zero() {
            bail!("waited {} s in vain for {what}", limit.as_secs());
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
}
