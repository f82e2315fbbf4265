//! Accounts: who may sign in, in which roles. The decider of one account, and of the token that makes the first.

use crate::decide::Decider;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What somebody is here to do. Which permissions follow is `server`'s table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees alerts and sources.
    Viewer,
    /// Reads events and judges alerts.
    Analyst,
    /// Runs playbooks.
    Responder,
    /// Approves effects.
    Lead,
    /// Reads everything, changes nothing.
    Auditor,
    /// Manages people and rules.
    Admin,
}

impl Role {
    pub const ALL: [Self; 6] =
        [Self::Viewer, Self::Analyst, Self::Responder, Self::Lead, Self::Auditor, Self::Admin];
}

/// A credential, encrypted under the keyring for its account alone, in hex.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(pub String);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("‹redacted›")
    }
}

/// What happened to one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AccountEvent {
    UserCreated {
        roles: Vec<Role>,
        password: Sealed,
    },
    /// These and no others, from here on. It ends the account's sessions.
    RolesChanged {
        roles: Vec<Role>,
    },
    /// It ends the account's sessions.
    PasswordChanged {
        password: Sealed,
    },
    /// It ends the account's sessions; nobody signs in.
    UserDisabled,
    UserEnabled,
    SignedIn {
        /// Where the connection came from.
        address: String,
    },
    /// The password was wrong, or the account disabled.
    SignInFailed {
        address: String,
    },
    SignedOut,
}

/// What somebody wants of one account.
#[derive(Clone, Debug)]
pub enum AccountCommand {
    Create { roles: Vec<Role>, password: Sealed },
    ChangeRoles { roles: Vec<Role> },
    ChangePassword { password: Sealed },
    Disable,
    Enable,
    SignIn { address: String },
    FailSignIn { address: String },
    SignOut,
}

/// Why an account does not follow a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountRejection {
    #[error("there is no such account")]
    Unknown,
    #[error("there is an account of this name already; choose another name")]
    Exists,
    #[error("an account needs at least one role")]
    NoRole,
    #[error("the account is disabled")]
    Disabled,
}

/// One account, by its facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// None until it was created.
    password: Option<Sealed>,
    roles: Vec<Role>,
    disabled: bool,
    /// Rises with each change that ends the account's sessions.
    generation: u64,
}

impl Account {
    pub fn exists(&self) -> bool {
        self.password.is_some()
    }

    /// Sorted, each once.
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    pub fn disabled(&self) -> bool {
        self.disabled
    }

    pub fn password(&self) -> Option<&Sealed> {
        self.password.as_ref()
    }

    /// A session of another generation is over.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    fn create(&self, roles: Vec<Role>, password: Sealed) -> Result<Vec<AccountEvent>, Rejection> {
        if self.exists() {
            return Err(Rejection::Exists);
        }
        let roles = sorted(roles)?;
        Ok(vec![AccountEvent::UserCreated { roles, password }])
    }

    fn existing(&self, event: AccountEvent) -> Result<Vec<AccountEvent>, Rejection> {
        if self.exists() { Ok(vec![event]) } else { Err(Rejection::Unknown) }
    }

    /// What is so already needs no fact.
    fn unless(&self, so: bool, event: AccountEvent) -> Result<Vec<AccountEvent>, Rejection> {
        let mut events = self.existing(event)?;
        events.retain(|_| !so);
        Ok(events)
    }
}

use AccountRejection as Rejection;

fn sorted(mut roles: Vec<Role>) -> Result<Vec<Role>, Rejection> {
    roles.sort_unstable();
    roles.dedup();
    if roles.is_empty() { Err(Rejection::NoRole) } else { Ok(roles) }
}

impl Decider for Account {
    type Command = AccountCommand;
    type Event = AccountEvent;
    type Rejection = AccountRejection;

    fn decide(&self, command: AccountCommand) -> Result<Vec<AccountEvent>, Rejection> {
        match command {
            AccountCommand::Create { roles, password } => self.create(roles, password),
            AccountCommand::ChangeRoles { roles } => {
                let roles = sorted(roles)?;
                self.unless(self.roles == roles, AccountEvent::RolesChanged { roles })
            }
            AccountCommand::ChangePassword { password } => {
                self.existing(AccountEvent::PasswordChanged { password })
            }
            AccountCommand::Disable => self.unless(self.disabled, AccountEvent::UserDisabled),
            AccountCommand::Enable => self.unless(!self.disabled, AccountEvent::UserEnabled),
            AccountCommand::SignIn { .. } if self.disabled => Err(Rejection::Disabled),
            AccountCommand::SignIn { address } => self.existing(AccountEvent::SignedIn { address }),
            AccountCommand::FailSignIn { address } => {
                self.existing(AccountEvent::SignInFailed { address })
            }
            AccountCommand::SignOut => self.existing(AccountEvent::SignedOut),
        }
    }

    fn apply(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::UserCreated { roles, password } => {
                (self.roles, self.password) = (roles.clone(), Some(password.clone()));
            }
            AccountEvent::RolesChanged { roles } => {
                self.roles.clone_from(roles);
                self.generation += 1;
            }
            AccountEvent::PasswordChanged { password } => {
                self.password = Some(password.clone());
                self.generation += 1;
            }
            AccountEvent::UserDisabled => {
                self.disabled = true;
                self.generation += 1;
            }
            AccountEvent::UserEnabled => self.disabled = false,
            AccountEvent::SignedIn { .. }
            | AccountEvent::SignInFailed { .. }
            | AccountEvent::SignedOut => {}
        }
    }
}

/// What happened to the token that makes the first account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SetupEvent {
    /// The one before it, if there was one, is void.
    SetupTokenMade {
        /// SHA-256 of the token, in hex.
        digest: String,
    },
    SetupTokenUsed {
        /// The account that it made.
        account: String,
    },
}

/// What somebody wants of the setup.
#[derive(Clone, Debug)]
pub enum SetupCommand {
    MakeToken { digest: String },
    UseToken { digest: String, account: String },
}

/// Why the setup does not follow a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupRejection {
    #[error("the first account was made already; sign in")]
    Done,
    #[error("this is not the setup token; the newest one was printed when the server started")]
    WrongToken,
}

/// The setup, by its facts: over for good once a token was used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    digest: Option<String>,
    done: bool,
}

impl Setup {
    pub fn done(&self) -> bool {
        self.done
    }
}

impl Decider for Setup {
    type Command = SetupCommand;
    type Event = SetupEvent;
    type Rejection = SetupRejection;

    fn decide(&self, command: SetupCommand) -> Result<Vec<SetupEvent>, SetupRejection> {
        match command {
            _ if self.done => Err(SetupRejection::Done),
            SetupCommand::MakeToken { digest } => Ok(vec![SetupEvent::SetupTokenMade { digest }]),
            // Digests of 256 random bits: how long the comparison takes tells nothing of the token.
            SetupCommand::UseToken { digest, account } if self.digest.as_ref() == Some(&digest) => {
                Ok(vec![SetupEvent::SetupTokenUsed { account }])
            }
            SetupCommand::UseToken { .. } => Err(SetupRejection::WrongToken),
        }
    }

    fn apply(&mut self, event: &SetupEvent) {
        match event {
            SetupEvent::SetupTokenMade { digest } => self.digest = Some(digest.clone()),
            SetupEvent::SetupTokenUsed { .. } => (self.digest, self.done) = (None, true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn created(roles: &[Role]) -> AccountEvent {
        AccountEvent::UserCreated { roles: roles.to_vec(), password: Sealed("00".into()) }
    }

    /// After `given`, `when` leads to this many facts or to this rejection.
    fn check(given: &[AccountEvent], when: AccountCommand, then: Result<usize, Rejection>) {
        let told = format!("{when:?} after {given:?}");
        let decided = Account::fold(given).decide(when);
        assert_eq!(decided.map(|events| events.len()), then, "{told}");
    }

    #[test]
    fn an_account_follows_only_what_its_facts_allow() {
        use AccountCommand as Do;
        let lin = [created(&[Role::Analyst])];
        let disabled = [lin[0].clone(), AccountEvent::UserDisabled];
        let password = || Sealed("01".into());
        let address = || "127.0.0.1".to_owned();
        let lead = || vec![Role::Lead, Role::Lead];
        check(&[], Do::Create { roles: lead(), password: password() }, Ok(1));
        check(&[], Do::Create { roles: vec![], password: password() }, Err(Rejection::NoRole));
        check(&lin, Do::Create { roles: lead(), password: password() }, Err(Rejection::Exists));
        check(&[], Do::Disable, Err(Rejection::Unknown));
        check(&[], Do::SignIn { address: address() }, Err(Rejection::Unknown));
        check(&lin, Do::SignIn { address: address() }, Ok(1));
        check(&disabled, Do::SignIn { address: address() }, Err(Rejection::Disabled));
        check(&disabled, Do::Disable, Ok(0));
        check(&lin, Do::Enable, Ok(0));
        check(&lin, Do::ChangeRoles { roles: vec![Role::Analyst] }, Ok(0));
        check(&lin, Do::ChangeRoles { roles: lead() }, Ok(1));
        check(&lin, Do::ChangeRoles { roles: vec![] }, Err(Rejection::NoRole));
    }

    #[test]
    fn what_ends_sessions_raises_the_generation_and_nothing_else_does() {
        let password = || Sealed("01".into());
        for (event, ends) in [
            (AccountEvent::RolesChanged { roles: vec![Role::Lead] }, true),
            (AccountEvent::PasswordChanged { password: password() }, true),
            (AccountEvent::UserDisabled, true),
            (AccountEvent::UserEnabled, false),
            (AccountEvent::SignedIn { address: "::1".into() }, false),
            (AccountEvent::SignedOut, false),
        ] {
            let account = Account::fold(&[created(&[Role::Viewer]), event.clone()]);
            assert_eq!(account.generation() > 0, ends, "{event:?}");
        }
    }

    #[test]
    fn only_the_newest_setup_token_works_and_only_once() {
        let made = |digest: &str| SetupEvent::SetupTokenMade { digest: digest.into() };
        let used =
            |digest: &str| SetupCommand::UseToken { digest: digest.into(), account: "lin".into() };
        let mut setup = Setup::fold(&[made("aa"), made("bb")]);
        assert_eq!(setup.decide(used("aa")), Err(SetupRejection::WrongToken));
        let events = setup.decide(used("bb")).unwrap();
        for event in &events {
            setup.apply(event);
        }
        assert_eq!(setup.decide(used("bb")), Err(SetupRejection::Done));
        let again = SetupCommand::MakeToken { digest: "cc".into() };
        assert_eq!(setup.decide(again), Err(SetupRejection::Done));
        assert_eq!(Setup::default().decide(used("")), Err(SetupRejection::WrongToken));
    }

    #[test]
    fn a_credential_never_prints() {
        assert!(!format!("{:?}", created(&[Role::Viewer])).contains("00"));
    }
}
