//! Watches the store: says in the journal when a short disk stops intake and when it goes on, and ends the
//! process when the log can no longer be written.

use crate::{
    clock::SystemClock,
    exit::Failure,
    folder::{append_facts, system},
};
use custos_event::{Clock as _, Fact, Timestamp};
use custos_store::{Pause, Store};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::error;

/// How often is looked: a failed disk must not let a server stand there and take nothing in for long.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Until `stop`, or until writing failed: then that is the error.
pub(crate) async fn watch(store: Store, stop: CancellationToken) -> anyhow::Result<()> {
    let mut every = tokio::time::interval(LOOK_EVERY);
    let mut told = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = every.tick() => {}
        }
        if let Some(failure) = store.failure() {
            return Err(failure.into());
        }
        let paused = store.paused();
        let Some(fact) = changed(told, paused, SystemClock.now()) else { continue };
        let teller = store.clone();
        let written = tokio::task::spawn_blocking(move || {
            append_facts(&teller, &system("store"), vec![fact]).map_err(Failure::into_error)
        });
        match written.await? {
            Ok(()) => told = paused,
            // Not even what was held back is left: it is said when there is room.
            Err(failure) => error!(error = format!("{failure:#}"), "a fact could not be written"),
        }
    }
}

/// What there is to be said of the pause now, where the last word was of the one before.
fn changed(told: Option<Pause>, paused: Option<Pause>, now: Timestamp) -> Option<Fact> {
    match (told, paused) {
        (Some(told), None) => {
            let secs = now.as_millis().saturating_sub(told.since.as_millis()) / 1_000;
            Some(Fact::IntakeResumed { paused_secs: u64::try_from(secs).unwrap_or(0) })
        }
        (told, Some(pause)) if told != Some(pause) => {
            Some(Fact::IntakePaused { free: pause.free, wanted: pause.wanted })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pause_is_told_once_and_its_end_once() {
        let now = Timestamp::from_secs(1_000);
        let pause = |secs| Some(Pause { since: Timestamp::from_secs(secs), free: 1, wanted: 9 });
        assert_eq!(changed(None, None, now), None);
        let paused = Some(Fact::IntakePaused { free: 1, wanted: 9 });
        assert_eq!(changed(None, pause(990), now), paused);
        assert_eq!(changed(pause(990), pause(990), now), None);
        assert_eq!(changed(pause(980), pause(990), now), paused, "the end of one was missed");
        let resumed = Some(Fact::IntakeResumed { paused_secs: 10 });
        assert_eq!(changed(pause(990), None, now), resumed);
    }
}
