//! Sessions: in memory only, known by the digest of their id (docs/decisions/0016). A restart ends them all.

use super::secret::{self, Digest};
use custos_event::{Private, Timestamp};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio_util::sync::CancellationToken;

/// A few hundred bytes each. The oldest goes when a new one comes.
const SESSIONS_MAX: usize = 10_000;
/// Browsers that one person uses at the same time.
const PER_ACCOUNT_MAX: usize = 10;

/// How long a session lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetime {
    pub(crate) idle_secs: u32,
    pub(crate) absolute_secs: u32,
}

impl Default for Lifetime {
    fn default() -> Self {
        Self { idle_secs: 15 * 60, absolute_secs: 12 * 60 * 60 }
    }
}

/// One sign-in.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) account: String,
    /// Of the account when it signed in; it is over when the account's has moved on.
    pub(crate) generation: u64,
    /// The end whatever is done until then.
    pub(crate) ends_at: Timestamp,
    /// Turns to cancelled when the session ends, for answers that go on.
    pub(crate) ended: CancellationToken,
    used_at: Timestamp,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    lifetime: Lifetime,
    open: Mutex<HashMap<Digest, Session>>,
}

impl Sessions {
    pub(crate) fn new(lifetime: Lifetime) -> Self {
        Self { lifetime, open: Mutex::default() }
    }

    pub(crate) fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// A new session; its id is nowhere but in the answer.
    pub(crate) fn start(
        &self,
        account: &str,
        generation: u64,
        now: Timestamp,
    ) -> anyhow::Result<Private<String>> {
        let id = secret::fresh()?;
        let session = Session {
            account: account.to_owned(),
            generation,
            ends_at: now.plus_secs(self.lifetime.absolute_secs.into()),
            ended: CancellationToken::new(),
            used_at: now,
        };
        let mut open = self.lock();
        make_room(&mut open, Some(account), PER_ACCOUNT_MAX);
        make_room(&mut open, None, SESSIONS_MAX);
        open.insert(secret::digest(id.reveal()), session);
        Ok(id)
    }

    /// The session of this id, if it has not ended; `using` it puts off its idle end.
    pub(crate) fn find(&self, id: &str, using: bool, now: Timestamp) -> Option<Session> {
        let digest = secret::digest(id);
        let mut open = self.lock();
        let session = open.get_mut(&digest)?;
        if self.over(session, now) {
            end(open.remove(&digest));
            return None;
        }
        if using {
            session.used_at = now;
        }
        Some(session.clone())
    }

    pub(crate) fn end(&self, id: &str) {
        end(self.lock().remove(&secret::digest(id)));
    }

    /// Ends every session of an account.
    pub(crate) fn end_all(&self, account: &str) {
        self.end_where(|session| session.account == account);
    }

    /// Ends those whose time has come, for the answers that they keep open.
    pub(crate) fn sweep(&self, now: Timestamp) {
        self.end_where(|session| self.over(session, now));
    }

    fn end_where(&self, ends: impl Fn(&Session) -> bool) {
        self.lock().retain(|_, session| {
            let stays = !ends(session);
            if !stays {
                session.ended.cancel();
            }
            stays
        });
    }

    fn over(&self, session: &Session, now: Timestamp) -> bool {
        let idle_end = session.used_at.plus_secs(self.lifetime.idle_secs.into());
        now >= idle_end || now >= session.ends_at
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Session>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn end(session: Option<Session>) {
    if let Some(session) = session {
        session.ended.cancel();
    }
}

/// Ends the longest unused until one more has room.
fn make_room(open: &mut HashMap<Digest, Session>, account: Option<&str>, max: usize) {
    loop {
        let counted = open.iter().filter(|(_, s)| account.is_none_or(|name| s.account == name));
        if counted.clone().count() < max {
            return;
        }
        let oldest = counted.min_by_key(|(_, session)| session.used_at).map(|(digest, _)| *digest);
        end(oldest.and_then(|digest| open.remove(&digest)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_secs(1_000_000 + minutes * MINUTE)
    }

    fn one() -> (Sessions, Private<String>) {
        let sessions = Sessions::default();
        let id = sessions.start("lin", 0, at(0)).unwrap();
        (sessions, id)
    }

    #[test]
    fn a_session_ends_after_15_idle_minutes_and_not_before() {
        let (sessions, id) = one();
        assert!(sessions.find(id.reveal(), true, at(14)).is_some());
        assert!(sessions.find(id.reveal(), false, at(28)).is_some(), "not used, and not over yet");
        assert!(sessions.find(id.reveal(), true, at(29)).is_none());
        assert!(sessions.find(id.reveal(), true, at(14)).is_none(), "over is over");
    }

    #[test]
    fn a_session_ends_after_12_hours_however_busy() {
        let (sessions, id) = one();
        for minutes in (0..12 * 60).step_by(10) {
            assert!(sessions.find(id.reveal(), true, at(minutes)).is_some(), "{minutes}");
        }
        assert!(sessions.find(id.reveal(), true, at(12 * 60)).is_none());
    }

    #[test]
    fn an_end_is_told_to_answers_that_go_on() {
        let (sessions, id) = one();
        let other = sessions.start("wei", 0, at(0)).unwrap();
        let [lin, wei] = [&id, &other].map(|id| sessions.find(id.reveal(), true, at(1)).unwrap());
        sessions.end_all("lin");
        assert!(lin.ended.is_cancelled() && !wei.ended.is_cancelled());
        assert!(sessions.find(id.reveal(), true, at(1)).is_none());
        sessions.sweep(at(20));
        assert!(wei.ended.is_cancelled());
    }

    #[test]
    fn the_eleventh_browser_ends_the_longest_unused() {
        let (sessions, first) = one();
        let ids: Vec<_> = (1..11).map(|n| sessions.start("lin", 0, at(n)).unwrap()).collect();
        assert!(sessions.find(first.reveal(), true, at(11)).is_none());
        assert!(ids.iter().all(|id| sessions.find(id.reveal(), true, at(11)).is_some()));
    }

    #[test]
    fn neither_the_id_nor_what_follows_from_it_is_kept() {
        let (sessions, id) = one();
        let kept = format!("{sessions:?}");
        assert!(!kept.contains(id.reveal()));
        assert!(!kept.contains(&secret::derived("csrf", id.reveal())));
    }
}
