//! SASL: who speaks on one connection, how that is shown, and which topics may be written.

use super::{
    connection::is_open_to_all,
    request::Kind,
    scram::{ClientFirst, Exchange, Hash, Keys, ROUNDS},
};
use crate::kafka::{ByTopic, Mechanism};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use custos_event::Private;
use kafka_protocol::ResponseError;
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeMap, sync::Arc};
use subtle::ConstantTimeEq as _;

/// One who may log in.
#[derive(Clone, Debug)]
pub struct User {
    pub password: Private<String>,
    /// What may be written, by name or pattern; `None`: everything.
    pub topics: Option<ByTopic<()>>,
}

/// All who may log in, and how. Nobody: everybody may, unasked.
#[derive(Default)]
pub(crate) struct Accounts {
    users: BTreeMap<String, Arc<Account>>,
    mechanisms: Vec<Mechanism>,
    /// Makes salts, those of names too that nobody has.
    pepper: [u8; 32],
}

pub(crate) struct Account {
    password: Option<[u8; 32]>,
    scram: Vec<Arc<Keys>>,
    topics: Option<ByTopic<()>>,
}

impl Account {
    pub(crate) fn may_write(&self, topic: &str) -> bool {
        self.topics.as_ref().is_none_or(|topics| topics.of(topic).is_some())
    }
}

impl Accounts {
    pub(crate) fn new(
        users: &BTreeMap<String, User>,
        mechanisms: &[Mechanism],
    ) -> Result<Self, getrandom::Error> {
        let mut pepper = [0; 32];
        getrandom::fill(&mut pepper)?;
        let mut accounts = Self { users: BTreeMap::new(), mechanisms: mechanisms.to_vec(), pepper };
        for (name, user) in users {
            let account = accounts.account(name, user);
            accounts.users.insert(name.clone(), Arc::new(account));
        }
        Ok(accounts)
    }

    fn account(&self, name: &str, user: &User) -> Account {
        let password = user.password.reveal().as_bytes();
        let scram = self
            .mechanisms
            .iter()
            .filter_map(|one| hash(*one))
            .map(|hash| Arc::new(Keys::derive(hash, password, self.salt(hash, name), ROUNDS)));
        let plain = self.mechanisms.contains(&Mechanism::Plain);
        Account {
            scram: scram.collect(),
            password: plain.then(|| Sha256::digest(password).into()),
            topics: user.topics.clone(),
        }
    }

    /// The same for the same name for as long as the server runs, so that it tells nothing of who is known.
    fn salt(&self, hash: Hash, name: &str) -> Vec<u8> {
        hash.mac(&self.pepper, name.as_bytes())
    }

    pub(crate) fn are_asked_for(&self) -> bool {
        !self.users.is_empty()
    }

    /// As SASL names them.
    pub(crate) fn mechanisms(&self) -> impl Iterator<Item = &'static str> {
        self.mechanisms.iter().map(|mechanism| mechanism.name())
    }

    fn keys(&self, hash: Hash, name: &str) -> Arc<Keys> {
        let found = self.users.get(name).into_iter().flat_map(|account| &account.scram);
        let of_hash = found.filter(|keys| keys.hash() == hash).map(Arc::clone).next();
        of_hash.unwrap_or_else(|| Arc::new(Keys::of_nobody(hash, self.salt(hash, name))))
    }

    /// Judges `authzid NUL name NUL password` (RFC 4616). Digests are compared, so that the time taken tells
    /// nothing of how much of a password was right.
    fn plain(&self, auth: &[u8]) -> Option<Arc<Account>> {
        let mut parts = auth.split(|byte| *byte == 0);
        let (Some(wanted), Some(name), Some(password), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let account = self.users.get(std::str::from_utf8(name).ok()?)?;
        let right = account.password?;
        let is_right: bool = Sha256::digest(password).ct_eq(&right).into();
        (is_right && (wanted.is_empty() || wanted == name)).then(|| Arc::clone(account))
    }
}

fn hash(mechanism: Mechanism) -> Option<Hash> {
    match mechanism {
        Mechanism::Plain => None,
        Mechanism::ScramSha256 => Some(Hash::Sha256),
        Mechanism::ScramSha512 => Some(Hash::Sha512),
    }
}

/// How far the login of one connection is.
pub(crate) enum Login {
    /// Nobody is asked.
    NotNeeded,
    /// Nothing that counts was said yet.
    Awaited,
    Agreed(Mechanism),
    /// SCRAM: the proof that this name's password is known.
    Proof(String, Box<Exchange>),
    Done(Arc<Account>),
    Refused,
}

impl Login {
    pub(crate) fn new(accounts: &Accounts) -> Self {
        if accounts.are_asked_for() { Self::Awaited } else { Self::NotNeeded }
    }

    pub(crate) fn allows(&self, key: Kind) -> bool {
        matches!(self, Self::NotNeeded | Self::Done(_)) || is_open_to_all(key)
    }

    pub(crate) fn may_write(&self, topic: &str) -> bool {
        match self {
            Self::NotNeeded => true,
            Self::Done(account) => account.may_write(topic),
            Self::Awaited | Self::Agreed(_) | Self::Proof(..) | Self::Refused => false,
        }
    }

    pub(crate) fn is_refused(&self) -> bool {
        matches!(self, Self::Refused)
    }

    pub(crate) fn handshake(
        &mut self,
        accounts: &Accounts,
        mechanism: &str,
    ) -> Option<ResponseError> {
        let known = accounts.mechanisms.iter().find(|known| known.name() == mechanism);
        match (&self, known) {
            (Self::Awaited | Self::Agreed(_), Some(known)) => {
                *self = Self::Agreed(*known);
                None
            }
            (Self::Awaited | Self::Agreed(_) | Self::NotNeeded, _) => {
                Some(ResponseError::UnsupportedSaslMechanism)
            }
            (Self::Proof(..) | Self::Done(_) | Self::Refused, _) => {
                Some(ResponseError::IllegalSaslState)
            }
        }
    }

    /// Judges what a client says next; with what the server says to that.
    pub(crate) fn authenticate(
        &mut self,
        accounts: &Accounts,
        said: &[u8],
    ) -> Result<Bytes, ResponseError> {
        let (next, answer) = match std::mem::replace(self, Self::Refused) {
            Self::Agreed(mechanism) => match hash(mechanism) {
                None => accounts.plain(said).map(|account| (Self::Done(account), String::new())),
                Some(hash) => first(accounts, hash, said),
            },
            Self::Proof(name, exchange) => exchange.finish(said).and_then(|answer| {
                Some((Self::Done(Arc::clone(accounts.users.get(&name)?)), answer))
            }),
            before @ (Self::NotNeeded | Self::Awaited | Self::Done(_) | Self::Refused) => {
                *self = before;
                return Err(ResponseError::IllegalSaslState);
            }
        }
        .ok_or(ResponseError::SaslAuthenticationFailed)?;
        *self = next;
        Ok(answer.into())
    }
}

fn first(accounts: &Accounts, hash: Hash, said: &[u8]) -> Option<(Login, String)> {
    let first = ClientFirst::read(said)?;
    let (name, keys) = (first.name.clone(), accounts.keys(hash, &first.name));
    let mut nonce = [0; 24];
    getrandom::fill(&mut nonce).ok()?;
    let (exchange, answer) = Exchange::begin(first, keys, &STANDARD.encode(nonce));
    Some((Login::Proof(name, Box::new(exchange)), answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts(mechanisms: &[Mechanism]) -> Accounts {
        let mut topics = ByTopic::default();
        topics.add("^door-.*", ()).unwrap();
        let user = User { password: Private::new("s3cret".into()), topics: Some(topics) };
        Accounts::new(&[("door".to_owned(), user)].into(), mechanisms).unwrap()
    }

    #[test]
    fn only_the_right_name_and_password_open_the_door() {
        for (auth, right) in [
            (&b"\0door\0s3cret"[..], true),
            (b"door\0door\0s3cret", true),
            (b"me\0door\0s3cret", false),
            (b"\0door\0s3cre", false),
            (b"\0wall\0s3cret", false),
            (b"\0door\0s3cret\0", false),
            (b"door", false),
            (b"", false),
        ] {
            let accounts = accounts(&[Mechanism::Plain]);
            let mut login = Login::new(&accounts);
            assert!(!login.allows(Kind::Produce) && login.allows(Kind::ApiVersions));
            assert_eq!(login.handshake(&accounts, "PLAIN"), None);
            assert_eq!(login.authenticate(&accounts, auth).is_ok(), right);
            assert_eq!(login.allows(Kind::Produce), right);
            assert_eq!(login.may_write("door-1"), right);
            assert!(!login.may_write("payments"));
        }
    }

    #[test]
    fn no_password_counts_before_a_mechanism_is_agreed_or_after_a_wrong_one() {
        let accounts = accounts(&[Mechanism::Plain]);
        let mut login = Login::new(&accounts);
        assert!(login.authenticate(&accounts, b"\0door\0s3cret").is_err());
        assert!(login.handshake(&accounts, "SCRAM-SHA-256").is_some());
        assert_eq!(login.handshake(&accounts, "PLAIN"), None);
        assert!(login.authenticate(&accounts, b"\0door\0wrong").is_err());
        assert!(login.authenticate(&accounts, b"\0door\0s3cret").is_err());
        assert!(login.handshake(&accounts, "PLAIN").is_some());
        assert!(!login.allows(Kind::Produce));
    }

    #[test]
    fn where_only_scram_is_offered_no_password_may_be_sent() {
        let accounts = accounts(&[Mechanism::ScramSha512]);
        let mut login = Login::new(&accounts);
        assert!(login.handshake(&accounts, "PLAIN").is_some());
        assert_eq!(login.handshake(&accounts, "SCRAM-SHA-512"), None);
        assert!(login.authenticate(&accounts, b"\0door\0s3cret").is_err());
        assert!(login.is_refused());
    }

    /// What the server says to a name, whether it is somebody's or not.
    #[test]
    fn an_unknown_name_is_told_by_nothing_but_the_end() {
        let accounts = accounts(&[Mechanism::ScramSha256]);
        let answer = |name: &str| {
            let mut login = Login::new(&accounts);
            assert_eq!(login.handshake(&accounts, "SCRAM-SHA-256"), None);
            let said = login.authenticate(&accounts, format!("n,,n={name},r=x").as_bytes());
            let said = String::from_utf8(said.unwrap().to_vec()).unwrap();
            assert!(!login.allows(Kind::Produce));
            let end = login.authenticate(&accounts, b"c=biws,r=x,p=AAAA");
            assert_eq!(end, Err(ResponseError::SaslAuthenticationFailed));
            let (nonce, rest) = said.split_once(',').unwrap();
            (nonce.len(), rest.to_owned())
        };
        for name in ["door", "wall"] {
            let (once, again) = (answer(name), answer(name));
            assert_eq!(once, again, "{name}");
            assert!(once.1.ends_with(",i=8192"), "{name}");
        }
        assert_eq!(answer("door").1.len(), answer("wall").1.len());
    }
}
