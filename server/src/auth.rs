//! Who asks, and what they may do: accounts, sign-ins, sessions, permissions.

pub(crate) mod accounts;
pub(crate) mod hasher;
pub(crate) mod limiter;
pub(crate) mod password;
pub(crate) mod permission;
pub(crate) mod secret;
pub(crate) mod session;
mod sign_in;
pub(crate) mod token;

pub(crate) use accounts::{AccountError, Accounts};
pub(crate) use permission::{Permission, Permissions};
pub(crate) use session::Lifetime;
pub(crate) use sign_in::SignInError;

use crate::{exit::Failure, folder::Opened};
use custos_event::{Account, Clock};
use hasher::Hasher;
use limiter::Limiter;
use session::{Session, Sessions};
use std::sync::Arc;
use token::Token;

/// Everything about identity, once a process.
pub(crate) struct Auth {
    pub(crate) token: Token,
    pub(crate) accounts: Accounts,
    pub(crate) sessions: Sessions,
    hasher: Hasher,
    limiter: Limiter,
    clock: Arc<dyn Clock>,
}

impl Auth {
    pub(crate) fn open(
        opened: &Opened,
        lifetime: Lifetime,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            token: Token::of(&opened.folder)?,
            accounts: Accounts::open(opened)?,
            sessions: Sessions::new(lifetime),
            hasher: Hasher::default(),
            limiter: Limiter::default(),
            clock,
        })
    }

    /// The session of this id and its account as it is now; `using` it puts off its idle end.
    pub(crate) fn session(&self, id: &str, using: bool) -> Option<(Session, Account)> {
        let session = self.sessions.find(id, using, self.clock.now())?;
        let account = self.accounts.find(&session.account)?;
        if account.disabled() || account.generation() != session.generation {
            self.sessions.end(id);
            return None;
        }
        Some((session, account))
    }

    /// How many passwords were hashed since the start.
    pub(crate) fn hashes_computed(&self) -> u64 {
        self.hasher.computed()
    }

    /// Ends the sessions whose time has come.
    pub(crate) fn sweep(&self) {
        self.sessions.sweep(self.clock.now());
    }
}
