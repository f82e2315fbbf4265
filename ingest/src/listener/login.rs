//! SASL/PLAIN: who may speak on one connection.

use super::{config::ListenerConfig, connection::is_open_to_all, request::Kind};
use custos_event::Private;
use kafka_protocol::ResponseError;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Login {
    /// Nobody is asked.
    NotNeeded,
    /// Nothing was said yet, or only which mechanism.
    Awaited {
        mechanism_agreed: bool,
    },
    Done,
    Refused,
}

impl Login {
    pub(crate) fn new(users: &BTreeMap<String, Private<String>>) -> Self {
        if users.is_empty() { Self::NotNeeded } else { Self::Awaited { mechanism_agreed: false } }
    }

    pub(crate) fn allows(&self, key: Kind) -> bool {
        matches!(self, Self::NotNeeded | Self::Done) || is_open_to_all(key)
    }

    pub(crate) fn is_refused(&self) -> bool {
        *self == Self::Refused
    }

    pub(crate) fn handshake(&mut self, mechanism: &str) -> Option<ResponseError> {
        match self {
            Self::Awaited { mechanism_agreed } if mechanism == "PLAIN" => {
                *mechanism_agreed = true;
                None
            }
            Self::Awaited { .. } | Self::NotNeeded => Some(ResponseError::UnsupportedSaslMechanism),
            Self::Done | Self::Refused => Some(ResponseError::IllegalSaslState),
        }
    }

    /// Judges `authzid NUL name NUL password` (RFC 4616).
    pub(crate) fn authenticate(
        &mut self,
        config: &ListenerConfig,
        auth: &[u8],
    ) -> Option<ResponseError> {
        if *self != (Self::Awaited { mechanism_agreed: true }) {
            return Some(ResponseError::IllegalSaslState);
        }
        let right = knows(&config.users, auth);
        *self = if right { Self::Done } else { Self::Refused };
        (!right).then_some(ResponseError::SaslAuthenticationFailed)
    }
}

/// Compares digests, so that the time taken says nothing about how much of a password was right.
fn knows(users: &BTreeMap<String, Private<String>>, auth: &[u8]) -> bool {
    let mut parts = auth.split(|byte| *byte == 0);
    let (Some(_), Some(name), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let Some(right) = std::str::from_utf8(name).ok().and_then(|name| users.get(name)) else {
        return false;
    };
    Sha256::digest(password) == Sha256::digest(right.reveal().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ListenerConfig {
        let mut config = ListenerConfig::new(([127, 0, 0, 1], 0).into());
        config.users.insert("door".into(), Private::new("s3cret".into()));
        config
    }

    #[test]
    fn only_the_right_name_and_password_open_the_door() {
        for (auth, right) in [
            (&b"\0door\0s3cret"[..], true),
            (b"me\0door\0s3cret", true),
            (b"\0door\0s3cre", false),
            (b"\0wall\0s3cret", false),
            (b"\0door\0s3cret\0", false),
            (b"door", false),
            (b"", false),
        ] {
            let config = config();
            let mut login = Login::new(&config.users);
            assert!(!login.allows(Kind::Produce) && login.allows(Kind::ApiVersions));
            assert_eq!(login.handshake("PLAIN"), None);
            assert_eq!(login.authenticate(&config, auth).is_none(), right);
            assert_eq!(login.allows(Kind::Produce), right);
        }
    }

    #[test]
    fn no_password_counts_before_the_mechanism_is_agreed_or_after_a_wrong_one() {
        let config = config();
        let mut login = Login::new(&config.users);
        assert!(login.authenticate(&config, b"\0door\0s3cret").is_some());
        assert!(login.handshake("SCRAM-SHA-256").is_some());
        assert_eq!(login.handshake("PLAIN"), None);
        assert!(login.authenticate(&config, b"\0door\0wrong").is_some());
        assert!(login.authenticate(&config, b"\0door\0s3cret").is_some());
        assert!(!login.allows(Kind::Produce));
    }
}
