//! What a connector needs while it asks: the way out, the time, and the word to stop. And its token, of which no more is
//! asked for than the systems allow.

use super::{trouble::Trouble, web::Web};
use custos_event::{Clock, Timestamp};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// One connector's round.
pub(crate) struct Turn<'a> {
    pub(crate) web: &'a Web,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) stop: &'a CancellationToken,
}

impl Turn<'_> {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn pause(&self, time: Duration) -> Result<(), Trouble> {
        if crate::kafka::pause(time, self.stop) { Ok(()) } else { Err(Trouble::Stopping) }
    }
}

/// Both systems give ten tokens a minute at most.
const GRANT_EVERY_SECS: i64 = 6;
/// A token is renewed before it ends: a request under way may take half a minute.
const RENEW_BEFORE_SECS: i64 = 120;

/// The token that is held. One thread asks, so never two are asked for at once.
#[derive(Debug)]
pub(crate) struct Held<T> {
    grant: Option<(T, Timestamp)>,
    asked: Option<Timestamp>,
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self { grant: None, asked: None }
    }
}

impl<T: Clone> Held<T> {
    /// The token, asked for where none is held; `ask` also tells for how many seconds it is good.
    pub(crate) fn get(
        &mut self,
        turn: &Turn<'_>,
        ask: impl FnOnce() -> Result<(T, i64), Trouble>,
    ) -> Result<T, Trouble> {
        let now = turn.now();
        if let Some((grant, until)) = &self.grant
            && *until > now
        {
            return Ok(grant.clone());
        }
        if let Some(wait) = self.wait(now) {
            turn.pause(wait)?;
        }
        self.asked = Some(turn.now());
        let (grant, secs) = ask()?;
        // Never so short that each request asks for one.
        let good_secs = secs.saturating_sub(RENEW_BEFORE_SECS).max(GRANT_EVERY_SECS);
        self.grant = Some((grant.clone(), turn.now().plus_secs(good_secs)));
        Ok(grant)
    }

    fn wait(&self, now: Timestamp) -> Option<Duration> {
        let next = self.asked?.plus_secs(GRANT_EVERY_SECS);
        let nanos = u64::try_from(next.0.saturating_sub(now.0)).ok()?;
        (nanos > 0).then(|| Duration::from_nanos(nanos).min(Duration::from_secs(6)))
    }

    pub(crate) fn forget(&mut self) {
        self.grant = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_tokens_are_asked_for_within_six_seconds() {
        let at = Timestamp::from_secs;
        let held = |asked| Held::<()> { grant: None, asked };
        assert_eq!(held(None).wait(at(100)), None);
        assert_eq!(held(Some(at(96))).wait(at(100)), Some(Duration::from_secs(2)));
        assert_eq!(held(Some(at(94))).wait(at(100)), None);
        // A clock that was set back makes nobody wait for it.
        assert_eq!(held(Some(at(900))).wait(at(100)), Some(Duration::from_secs(6)));
    }
}
