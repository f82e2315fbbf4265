//! The accounts and the setup: in memory, folded from the journal; every change is a fact first.

use super::{hasher::Hash, secret};
use crate::{
    exit::Failure,
    folder::{Opened, append_facts, system},
    hex::hex,
};
use anyhow::Context as _;
use custos_event::{
    Account, AccountCommand, Actor, Decider as _, Fact, Private, Role, Sealed,
    account::{AccountRejection, Setup, SetupCommand, SetupRejection},
};
use custos_store::Store;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError, RwLock},
};

/// What the keyring calls the key for passwords.
const PASSWORD: &str = "password";
/// About 500 bytes each.
const ACCOUNTS_MAX: usize = 10_000;
const NAME_CHARS_MAX: usize = 64;

/// Why a change is not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountError {
    #[error(
        "'{0}' is no name for an account: up to {NAME_CHARS_MAX} of a-z, 0-9, '.', '-', '_' and '@'"
    )]
    Name(String),
    #[error(transparent)]
    Account(#[from] AccountRejection),
    #[error(transparent)]
    Setup(#[from] SetupRejection),
    #[error("somebody is using the setup token at this moment")]
    SetupBusy,
    #[error("nobody could manage accounts any more: this is the last enabled administrator")]
    LastAdmin,
    #[error("there are {ACCOUNTS_MAX} accounts, the most there may be")]
    Full,
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

impl From<Failure> for AccountError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure.into_error())
    }
}

#[derive(Clone, Default)]
struct Book {
    accounts: BTreeMap<String, Account>,
    setup: Setup,
}

impl Book {
    fn apply(&mut self, fact: &Fact) {
        if let Fact::Account { account, event } = fact {
            self.accounts.entry(account.clone()).or_default().apply(event);
        } else if let Fact::Setup { event } = fact {
            self.setup.apply(event);
        }
    }

    /// All of the commands, or none.
    fn decide(&self, name: &str, commands: Vec<AccountCommand>) -> Result<Vec<Fact>, AccountError> {
        let before = self.accounts.get(name).cloned().unwrap_or_default();
        let mut after = before.clone();
        let mut facts = Vec::new();
        for command in commands {
            for event in after.decide(command)? {
                after.apply(&event);
                facts.push(Fact::Account { account: name.to_owned(), event });
            }
        }
        if !before.exists() && self.accounts.len() >= ACCOUNTS_MAX {
            return Err(AccountError::Full);
        }
        if manages(&before) && !manages(&after) && self.admins() == 1 {
            return Err(AccountError::LastAdmin);
        }
        Ok(facts)
    }

    fn admins(&self) -> usize {
        self.accounts.values().filter(|account| manages(account)).count()
    }
}

fn manages(account: &Account) -> bool {
    !account.disabled() && account.roles().contains(&Role::Admin)
}

/// The accounts of one data folder.
pub(crate) struct Accounts {
    store: Store,
    book: RwLock<Book>,
    /// Held from decision to application, so that each decision sees all facts before its own.
    writing: Mutex<()>,
    /// Held while somebody makes the first account.
    setting_up: tokio::sync::Mutex<()>,
}

impl Accounts {
    pub(crate) fn open(opened: &Opened) -> Result<Self, Failure> {
        let mut book = Book::default();
        let facts = opened.journal()?.accounts().map_err(Failure::store)?;
        for fact in &facts {
            book.apply(fact);
        }
        Ok(Self {
            store: opened.store.clone(),
            book: RwLock::new(book),
            writing: Mutex::default(),
            setting_up: tokio::sync::Mutex::default(),
        })
    }

    /// The account, if there is one of this name.
    pub(crate) fn find(&self, name: &str) -> Option<Account> {
        self.read(|book| book.accounts.get(name).cloned())
    }

    pub(crate) fn all(&self) -> Vec<(String, Account)> {
        self.read(|book| book.accounts.clone().into_iter().collect())
    }

    /// False once somebody has made the first account.
    pub(crate) fn setup_required(&self) -> bool {
        self.read(|book| !book.setup.done())
    }

    /// A new setup token, to be printed; an older one is void. None once there is an account.
    pub(crate) fn make_setup_token(&self) -> Result<Option<Private<String>>, AccountError> {
        let token = secret::fresh()?;
        let digest = hex(&secret::digest(token.reveal()));
        let writing = self.writing();
        let events = self.read(|book| book.setup.decide(SetupCommand::MakeToken { digest }));
        let Ok(events) = events else { return Ok(None) };
        let facts: Vec<_> = events.into_iter().map(|event| Fact::Setup { event }).collect();
        self.append(&writing, &system("auth"), &facts)?;
        Ok(Some(token))
    }

    /// Only one at a time gets as far as hashing a password for the setup.
    pub(crate) fn claim_setup(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, AccountError> {
        self.setting_up.try_lock().map_err(|_| AccountError::SetupBusy)
    }

    /// Whether this token would make the first account.
    pub(crate) fn check_setup(&self, token: &str) -> Result<(), AccountError> {
        self.read(|book| book.setup.decide(use_token(token, ""))).map(drop).map_err(Into::into)
    }

    /// Uses up the token and makes the first account, in one commit. It blocks.
    pub(crate) fn set_up(
        &self,
        token: &str,
        name: &str,
        hash: &Hash,
        roles: Vec<Role>,
    ) -> Result<(), AccountError> {
        check_name(name)?;
        let password = self.seal(name, hash)?;
        let writing = self.writing();
        let facts = self.read(|book| -> Result<Vec<Fact>, AccountError> {
            let events = book.setup.decide(use_token(token, name))?;
            let mut facts: Vec<_> = events.into_iter().map(|event| Fact::Setup { event }).collect();
            facts.extend(book.decide(name, vec![AccountCommand::Create { roles, password }])?);
            Ok(facts)
        })?;
        self.append(&writing, &system("auth"), &facts)
    }

    /// Makes the facts that follow from all these commands durable, then true. It blocks. Says whether there
    /// were any.
    pub(crate) fn command(
        &self,
        actor: &Actor,
        name: &str,
        commands: Vec<AccountCommand>,
    ) -> Result<bool, AccountError> {
        check_name(name)?;
        let writing = self.writing();
        let facts = self.read(|book| book.decide(name, commands))?;
        let changed = !facts.is_empty();
        self.append(&writing, actor, &facts)?;
        Ok(changed)
    }

    /// Somebody tried a name that is none.
    pub(crate) fn unknown_sign_in(&self, address: String) -> Result<(), AccountError> {
        let facts = vec![Fact::UnknownSignIn { address }];
        Ok(append_facts(&self.store, &system("auth"), facts)?)
    }

    pub(crate) fn seal(&self, name: &str, hash: &Hash) -> Result<Sealed, AccountError> {
        let text = serde_json::to_vec(hash).context("a password's hash")?;
        let sealed = self.store.keyring().seal(PASSWORD, name, &text).map_err(Failure::from)?;
        Ok(Sealed(hex(&sealed)))
    }

    /// What a password of this account is checked against.
    pub(crate) fn unseal(&self, name: &str, sealed: &Sealed) -> Result<Hash, AccountError> {
        let bytes = crate::hex::unhex(&sealed.0).context("a credential is no hex")?;
        let opened = self.store.keyring().unseal(PASSWORD, name, &bytes).map_err(Failure::from)?;
        let text = opened.context("a credential does not decrypt")?;
        Ok(serde_json::from_slice(text.reveal()).context("a credential does not read")?)
    }

    fn append(
        &self,
        _writing: &MutexGuard<'_, ()>,
        actor: &Actor,
        facts: &[Fact],
    ) -> Result<(), AccountError> {
        if facts.is_empty() {
            return Ok(());
        }
        append_facts(&self.store, actor, facts.to_vec())?;
        let mut book = self.book.write().unwrap_or_else(PoisonError::into_inner);
        for fact in facts {
            book.apply(fact);
        }
        Ok(())
    }

    fn read<T>(&self, read: impl FnOnce(&Book) -> T) -> T {
        read(&self.book.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn use_token(token: &str, account: &str) -> SetupCommand {
    SetupCommand::UseToken { digest: hex(&secret::digest(token)), account: account.to_owned() }
}

/// Names are what people type and logs show: plain ASCII, in one case.
pub(crate) fn check_name(name: &str) -> Result<(), AccountError> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_@".contains(c);
    let fits = (1..=NAME_CHARS_MAX).contains(&name.len());
    if fits && name.chars().all(allowed) {
        return Ok(());
    }
    let shown: String = name.chars().take(NAME_CHARS_MAX).collect();
    Err(AccountError::Name(crate::output::visible(&shown).into_owned()))
}
