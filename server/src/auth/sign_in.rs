//! Signing in, the first account, and other passwords: count the try, hash, decide, write down.

use super::{
    Auth,
    accounts::{self, AccountError},
    hasher::{Hash, HashError},
    limiter::TooOften,
    password::{self, Weak},
};
use crate::folder::system;
use anyhow::Context as _;
use custos_event::{Account, AccountCommand, Actor, Private, Role};
use std::{net::IpAddr, sync::Arc};

/// The first account can do everything, so that one person alone can start.
const FIRST_ROLES: [Role; 4] = [Role::Admin, Role::Lead, Role::Responder, Role::Analyst];

/// Why somebody is not signed in, or a password not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignInError {
    /// No such name, another password, or disabled: which one is not told.
    #[error("the name or the password is wrong")]
    Wrong,
    #[error("too many tries; try again in {} s", .0.wait_secs)]
    TooOften(TooOften),
    #[error(transparent)]
    Weak(#[from] Weak),
    #[error(transparent)]
    Hash(#[from] HashError),
    #[error(transparent)]
    Account(#[from] AccountError),
}

impl From<anyhow::Error> for SignInError {
    fn from(error: anyhow::Error) -> Self {
        Self::Account(AccountError::Failed(error))
    }
}

impl Auth {
    /// A new session's id, for who knows the password.
    pub(crate) async fn sign_in(
        self: &Arc<Self>,
        name: &str,
        password: Private<String>,
        from: IpAddr,
    ) -> Result<Private<String>, SignInError> {
        let name = if accounts::check_name(name).is_ok() { name } else { "" };
        let account = self.accounts.find(name);
        if !self.verified(name, account.as_ref(), password, from).await? {
            self.remember_failure(name, account.is_some(), from).await?;
            return Err(SignInError::Wrong);
        }
        let account = account.ok_or(SignInError::Wrong)?;
        let actor = Actor::User { name: name.to_owned() };
        let signed = AccountCommand::SignIn { address: from.to_string() };
        self.command(actor, name, vec![signed]).await?;
        self.start_session(name, account.generation())
    }

    /// Makes the first account with the token that was printed, and signs in to it.
    pub(crate) async fn set_up(
        self: &Arc<Self>,
        token: Private<String>,
        name: &str,
        password: Private<String>,
    ) -> Result<Private<String>, SignInError> {
        let _claim = self.accounts.claim_setup()?;
        self.accounts.check_setup(token.reveal())?;
        let hash = self.chosen(name, password).await?;
        let owned = name.to_owned();
        let made = move |auth: &Self| {
            auth.accounts.set_up(token.reveal(), &owned, &hash, FIRST_ROLES.into())
        };
        self.blocking(made).await?;
        self.start_session(name, 0)
    }

    /// Changes the password of who knows the old one; every session of the account is over.
    pub(crate) async fn change_password(
        self: &Arc<Self>,
        name: &str,
        current: Private<String>,
        new: Private<String>,
        from: IpAddr,
    ) -> Result<Private<String>, SignInError> {
        let account = self.accounts.find(name);
        if !self.verified(name, account.as_ref(), current, from).await? {
            self.remember_failure(name, account.is_some(), from).await?;
            return Err(SignInError::Wrong);
        }
        let hash = self.chosen(name, new).await?;
        let password = self.accounts.seal(name, &hash)?;
        let actor = Actor::User { name: name.to_owned() };
        self.command(actor, name, vec![AccountCommand::ChangePassword { password }]).await?;
        self.renew(name)
    }

    /// Lets these commands come true; what ends the account's sessions ends them now.
    pub(crate) async fn command(
        self: &Arc<Self>,
        actor: Actor,
        name: &str,
        commands: Vec<AccountCommand>,
    ) -> Result<bool, SignInError> {
        let owned = name.to_owned();
        let before = self.accounts.find(name).map(|account| account.generation());
        let changed =
            self.blocking(move |auth| auth.accounts.command(&actor, &owned, commands)).await?;
        let after = self.accounts.find(name).map(|account| account.generation());
        if before != after {
            self.sessions.end_all(name);
        }
        Ok(changed)
    }

    /// The hash of a password that somebody may choose.
    pub(crate) async fn chosen(
        &self,
        name: &str,
        password: Private<String>,
    ) -> Result<Hash, SignInError> {
        accounts::check_name(name)?;
        password::check(password.reveal(), name)?;
        Ok(self.hasher.hash(password).await?)
    }

    /// A session beside, or instead of, those that the account had.
    pub(crate) fn renew(&self, name: &str) -> Result<Private<String>, SignInError> {
        let account = self.accounts.find(name).ok_or(SignInError::Wrong)?;
        self.start_session(name, account.generation())
    }

    /// Counts the try first, so that tries side by side cannot pass the limit.
    async fn verified(
        &self,
        name: &str,
        account: Option<&Account>,
        password: Private<String>,
        from: IpAddr,
    ) -> Result<bool, SignInError> {
        self.limiter.take(name, from, self.clock.now()).map_err(SignInError::TooOften)?;
        let sealed = account.and_then(Account::password);
        let hash = sealed.map(|sealed| self.accounts.unseal(name, sealed)).transpose()?;
        let verified = self.hasher.verify(password, hash).await;
        if matches!(verified, Err(HashError::Busy)) {
            self.limiter.give_back(name, from);
        }
        let right = verified? && account.is_some_and(|account| !account.disabled());
        if right {
            self.limiter.forget(name, from);
        }
        Ok(right)
    }

    async fn remember_failure(
        self: &Arc<Self>,
        name: &str,
        exists: bool,
        from: IpAddr,
    ) -> Result<(), SignInError> {
        let (name, address) = (name.to_owned(), from.to_string());
        let write = move |auth: &Self| {
            if !exists {
                return auth.accounts.unknown_sign_in(address);
            }
            let failed = vec![AccountCommand::FailSignIn { address }];
            auth.accounts.command(&system("auth"), &name, failed).map(drop)
        };
        self.blocking(write).await
    }

    fn start_session(&self, name: &str, generation: u64) -> Result<Private<String>, SignInError> {
        Ok(self.sessions.start(name, generation, self.clock.now())?)
    }

    /// Facts wait for the disk: off the async threads.
    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, AccountError> + Send + 'static,
    ) -> Result<T, SignInError> {
        let auth = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&auth)).await;
        Ok(done.context("a sign-in's work was lost")??)
    }
}
