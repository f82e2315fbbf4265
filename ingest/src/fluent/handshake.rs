//! Who may send: who shows that it knows the shared key, without saying it, and to whom this server shows the same.

use super::token::{Token, Values};
use custos_event::Private;
use rmp::encode::{self, ByteBuf};
use sha2::{Digest as _, Sha512};
use std::{io, sync::Arc};
use subtle::ConstantTimeEq as _;

/// How this server names itself; a client of the same name would take it for itself.
const HOSTNAME: &str = "custos";

/// The key that a port and its senders share.
#[derive(Debug)]
pub struct SharedKey(Private<Vec<u8>>);

impl SharedKey {
    pub fn new(key: Private<Vec<u8>>) -> Self {
        Self(key)
    }

    /// SHA-512 over salt, name, nonce and key, in hexadecimal, as the protocol has it.
    fn digest(&self, salt: &[u8], hostname: &[u8], nonce: &[u8]) -> String {
        let mut digest = Sha512::new();
        for part in [salt, hostname, nonce, self.0.reveal()] {
            digest.update(part);
        }
        digest.finalize().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    }
}

/// One connection's handshake, begun and not ended.
pub(super) struct Handshake {
    key: Arc<SharedKey>,
    nonce: [u8; 16],
}

/// What a client says of itself.
struct Ping<'m> {
    hostname: &'m [u8],
    salt: &'m [u8],
    digest: &'m [u8],
}

impl<'m> Ping<'m> {
    fn of(message: &'m [u8]) -> Option<Self> {
        let mut values = Values(message);
        let Token::Array(4..=6) = values.enter().ok()? else { return None };
        let mut text = || values.enter().ok()?.text();
        if text()? != b"PING" {
            return None;
        }
        Some(Self { hostname: text()?, salt: text()?, digest: text()? })
    }
}

impl Handshake {
    pub(super) fn new(key: Arc<SharedKey>) -> io::Result<Self> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Self { key, nonce })
    }

    /// HELO. An empty `auth` asks for no user's name.
    pub(super) fn greeting(&self) -> Vec<u8> {
        let mut helo = ByteBuf::new();
        // Writing to memory does not fail.
        let Ok(_) = encode::write_array_len(&mut helo, 2);
        let Ok(()) = encode::write_str(&mut helo, "HELO");
        let Ok(_) = encode::write_map_len(&mut helo, 3);
        let Ok(()) = encode::write_str(&mut helo, "nonce");
        let Ok(()) = encode::write_bin(&mut helo, &self.nonce);
        let Ok(()) = encode::write_str(&mut helo, "auth");
        let Ok(()) = encode::write_str(&mut helo, "");
        let Ok(()) = encode::write_str(&mut helo, "keepalive");
        let Ok(()) = encode::write_bool(&mut helo, true);
        helo.into_vec()
    }

    /// The PONG to a PING; where it is refused, with the reason.
    pub(super) fn answer(&self, message: &[u8]) -> Result<Vec<u8>, (Vec<u8>, &'static str)> {
        let Some(ping) = Ping::of(message) else {
            return Err((Vec::new(), "something else than PING came first"));
        };
        let expected = self.key.digest(ping.salt, ping.hostname, &self.nonce);
        if !bool::from(expected.as_bytes().ct_eq(ping.digest)) {
            let reason = "the shared key is another one";
            return Err((pong(false, reason, ""), reason));
        }
        let own = self.key.digest(ping.salt, HOSTNAME.as_bytes(), &self.nonce);
        Ok(pong(true, "", &own))
    }
}

fn pong(is_right: bool, reason: &str, digest: &str) -> Vec<u8> {
    let mut pong = ByteBuf::new();
    let Ok(_) = encode::write_array_len(&mut pong, 5);
    let Ok(()) = encode::write_str(&mut pong, "PONG");
    let Ok(()) = encode::write_bool(&mut pong, is_right);
    for text in [reason, HOSTNAME, digest] {
        let Ok(()) = encode::write_str(&mut pong, text);
    }
    pong.into_vec()
}
