//! SCRAM as its server plays it (RFC 5802, RFC 7677): a client shows that it knows a password without sending it, and
//! is shown that the server does. Without channel binding, which no client of Kafka offers, and without `SASLprep`: a
//! password's bytes are taken as they are, as Kafka does.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256, Sha512};
use std::sync::Arc;
use subtle::ConstantTimeEq as _;

/// Twice what RFC 7677 asks for at least; a client needs some 5 ms. It slows who listens on a connection without
/// TLS and guesses, and nobody else.
pub(crate) const ROUNDS: u32 = 8_192;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha512,
}

impl Hash {
    fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }

    pub(crate) fn mac(self, key: &[u8], text: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => mac::<Hmac<Sha256>>(key, text),
            Self::Sha512 => mac::<Hmac<Sha512>>(key, text),
        }
    }

    fn salted(self, password: &[u8], salt: &[u8], rounds: u32) -> Vec<u8> {
        match self {
            Self::Sha256 => {
                pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, salt, rounds).to_vec()
            }
            Self::Sha512 => {
                pbkdf2::pbkdf2_hmac_array::<Sha512, 64>(password, salt, rounds).to_vec()
            }
        }
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
fn mac<M: Mac + KeyInit>(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("a key of any length");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

/// What a server keeps of a password: a client is checked with it, and cannot be played.
pub(crate) struct Keys {
    hash: Hash,
    salt: Vec<u8>,
    rounds: u32,
    stored: Vec<u8>,
    server: Vec<u8>,
}

impl Keys {
    pub(crate) fn derive(hash: Hash, password: &[u8], salt: Vec<u8>, rounds: u32) -> Self {
        let salted = hash.salted(password, &salt, rounds);
        let stored = hash.digest(&hash.mac(&salted, b"Client Key"));
        let server = hash.mac(&salted, b"Server Key");
        Self { hash, salt, rounds, stored, server }
    }

    /// Of a name that nobody has: looks like any other, and no password is right.
    pub(crate) fn of_nobody(hash: Hash, salt: Vec<u8>) -> Self {
        Self { hash, salt, rounds: ROUNDS, stored: Vec::new(), server: Vec::new() }
    }

    pub(crate) fn hash(&self) -> Hash {
        self.hash
    }
}

/// What a client says first.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClientFirst {
    pub(crate) name: String,
    /// Up to and with the second comma: what it says of channel binding, and whom it wants to be.
    gs2: String,
    bare: String,
    nonce: String,
}

impl ClientFirst {
    pub(crate) fn read(message: &[u8]) -> Option<Self> {
        let message = std::str::from_utf8(message).ok()?;
        let (flag, rest) = message.split_once(',')?;
        // `y`: it could bind, and believes that we cannot; which is so.
        let ("n" | "y") = flag else { return None };
        let (wanted, bare) = rest.split_once(',')?;
        let mut fields = bare.split(',');
        let name = unescaped(fields.next()?.strip_prefix("n=")?)?;
        let nonce = fields.next()?.strip_prefix("r=")?;
        let is_printable = |byte: u8| byte.is_ascii_graphic();
        if name.is_empty() || nonce.is_empty() || !nonce.bytes().all(is_printable) {
            return None;
        }
        // Nobody acts for somebody else here.
        if !wanted.is_empty() && unescaped(wanted.strip_prefix("a=")?)? != name {
            return None;
        }
        let gs2 = message.strip_suffix(bare)?.to_owned();
        Some(Self { name, gs2, bare: bare.to_owned(), nonce: nonce.to_owned() })
    }
}

/// A name as it was before `,` and `=` were written `=2C` and `=3D`.
fn unescaped(text: &str) -> Option<String> {
    let mut parts = text.split('=');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (sign, rest) = match part.as_bytes() {
            [b'2', b'C', ..] => (',', part.get(2..)?),
            [b'3', b'D', ..] => ('=', part.get(2..)?),
            _ => return None,
        };
        name.push(sign);
        name.push_str(rest);
    }
    Some(name)
}

/// The server's first message is said, and the client's proof awaited.
pub(crate) struct Exchange {
    keys: Arc<Keys>,
    gs2: String,
    /// Both sides' nonces.
    nonce: String,
    /// What was said so far, as both sides sign it.
    said: String,
}

impl Exchange {
    /// With the server's first message. `own_nonce` was never used before.
    pub(crate) fn begin(first: ClientFirst, keys: Arc<Keys>, own_nonce: &str) -> (Self, String) {
        let ClientFirst { gs2, bare, nonce, .. } = first;
        let nonce = nonce + own_nonce;
        let answer = format!("r={nonce},s={},i={}", STANDARD.encode(&keys.salt), keys.rounds);
        let said = format!("{bare},{answer}");
        (Self { keys, gs2, nonce, said }, answer)
    }

    /// The server's last message, if the client knows the password.
    pub(crate) fn finish(self, message: &[u8]) -> Option<String> {
        let Self { keys, gs2, nonce, said } = self;
        let (unproven, proof) = std::str::from_utf8(message).ok()?.rsplit_once(",p=")?;
        let mut fields = unproven.split(',');
        let bound = STANDARD.decode(fields.next()?.strip_prefix("c=")?).ok()?;
        if bound != gs2.as_bytes() || fields.next()?.strip_prefix("r=")? != nonce {
            return None;
        }
        let said = format!("{said},{unproven}");
        let signature = keys.hash.mac(&keys.stored, said.as_bytes());
        let mut client_key = STANDARD.decode(proof).ok()?;
        if client_key.len() != signature.len() {
            return None;
        }
        client_key.iter_mut().zip(&signature).for_each(|(byte, mask)| *byte ^= mask);
        let is_right: bool = keys.hash.digest(&client_key).ct_eq(&keys.stored).into();
        let own = keys.hash.mac(&keys.server, said.as_bytes());
        is_right.then(|| format!("v={}", STANDARD.encode(own)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const OWN_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                         p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    fn keys(password: &str) -> Arc<Keys> {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        Arc::new(Keys::derive(Hash::Sha256, password.as_bytes(), salt, 4096))
    }

    fn begun(keys: Arc<Keys>) -> (Exchange, String) {
        Exchange::begin(ClientFirst::read(FIRST.as_bytes()).unwrap(), keys, OWN_NONCE)
    }

    /// RFC 7677, section 3.
    #[test]
    fn the_example_of_the_standard_goes_through() {
        let (exchange, answer) = begun(keys("pencil"));
        assert_eq!(
            answer,
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        assert_eq!(
            exchange.finish(FINAL.as_bytes()).unwrap(),
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        );
    }

    #[test]
    fn anything_else_at_the_end_does_not() {
        assert_eq!(begun(keys("pencils")).0.finish(FINAL.as_bytes()), None);
        let nobody = Arc::new(Keys::of_nobody(Hash::Sha256, b"salt".to_vec()));
        assert_eq!(begun(nobody).0.finish(FINAL.as_bytes()), None);
        let empty = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=";
        for wrong in [
            empty,
            &FINAL.replace("biws", "eSws"),
            &FINAL.replace("k0,p", "k1,p"),
            &FINAL.replace("AndVQ", "AndVR"),
            &FINAL.replace(",p=", ",x=1,p="),
            &FINAL.replace("c=biws,", ""),
            "",
        ] {
            assert_eq!(begun(keys("pencil")).0.finish(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn a_first_message_is_read_as_the_standard_writes_it() {
        let name = |text: &str| ClientFirst::read(text.as_bytes()).map(|first| first.name);
        for (text, expected) in [
            ("n,,n=gate,r=1", Some("gate")),
            ("y,,n=gate,r=1", Some("gate")),
            ("n,a=gate,n=gate,r=1", Some("gate")),
            ("n,,n=gate,r=1,tokenauth=true", Some("gate")),
            ("n,,n=a=2Cb=3Dc,r=1", Some("a,b=c")),
            ("n,,n=门禁,r=1", Some("门禁")),
            ("n,a=else,n=gate,r=1", None),
            ("p=tls-unique,,n=gate,r=1", None),
            ("n,,m=x,n=gate,r=1", None),
            ("n,,n=a=2cb,r=1", None),
            ("n,,n=,r=1", None),
            ("n,,n=gate,r=", None),
            ("n,,n=gate", None),
            ("n,", None),
            ("", None),
        ] {
            assert_eq!(name(text).as_deref(), expected, "{text}");
        }
        assert_eq!(ClientFirst::read(b"n,,n=\xff,r=1"), None);
    }
}
