//! Ciphers: AES-256-GCM under a key of which each nonce is a counter, and the wrapping of such keys.

use crate::error::StoreError;
use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
use custos_event::Private;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::path::Path;

/// Bytes that AES-GCM adds.
pub(crate) const TAG_BYTES: usize = 16;
/// Salt (16), ciphertext (32), tag (16).
pub(crate) const WRAPPED_BYTES: usize = 64;
const SALT_BYTES: usize = 16;

pub(crate) type KeyBytes = [u8; 32];

/// Bytes that were not sealed under this key with these associated data.
#[derive(Debug, thiserror::Error)]
#[error("does not decrypt")]
pub(crate) struct Forged;

/// The data key of one file. Each counter is used once.
pub(crate) struct Key(Aes256Gcm);

impl Key {
    pub(crate) fn new(bytes: &KeyBytes) -> Self {
        Self(Aes256Gcm::new(bytes.into()))
    }

    /// Encrypts `body` in place and appends the tag.
    pub(crate) fn seal(&self, counter: u64, aad: &[u8], body: &mut Vec<u8>) -> Result<(), Forged> {
        let nonce = nonce(counter);
        let tag = self.0.encrypt_inout_detached(&nonce.into(), aad, body.as_mut_slice().into());
        body.extend_from_slice(&tag.map_err(|_| Forged)?);
        Ok(())
    }

    /// Decrypts `body`, whose last bytes are the tag, in place.
    pub(crate) fn open(&self, counter: u64, aad: &[u8], body: &mut Vec<u8>) -> Result<(), Forged> {
        let len = body.len().checked_sub(TAG_BYTES).ok_or(Forged)?;
        let tag: [u8; TAG_BYTES] = body.split_off(len).try_into().map_err(|_| Forged)?;
        let nonce = nonce(counter);
        let opened = self.0.decrypt_inout_detached(
            &nonce.into(),
            aad,
            body.as_mut_slice().into(),
            &tag.into(),
        );
        opened.map_err(|_| Forged)
    }
}

/// Four zero bytes and the counter, little-endian.
fn nonce(counter: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_le_bytes());
    nonce
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    let filled = getrandom::fill(&mut bytes).map_err(|e| std::io::Error::other(e.to_string()));
    filled.map_err(|e| StoreError::io("draw random bytes from", Path::new("the system"), e))?;
    Ok(bytes)
}

/// Names a master key without telling anything of it.
pub(crate) type MasterId = [u8; 8];

/// The key that wraps all others.
#[derive(Clone)]
pub(crate) struct MasterKey {
    bytes: Private<KeyBytes>,
    pub(crate) id: MasterId,
}

impl MasterKey {
    pub(crate) fn new(bytes: KeyBytes) -> Self {
        let mac = hmac(&bytes, b"custos master key id 1", &[]);
        let mut id = [0; 8];
        id.copy_from_slice(mac.split_at(8).0);
        Self { bytes: Private::new(bytes), id }
    }

    /// A key of its own for each salt: so the wrapped keys' nonce may be one and the same, and no
    /// counter has to survive the restore of an old backup.
    fn wrapping(&self, salt: &[u8]) -> Key {
        Key::new(&hmac(self.bytes.reveal(), b"custos wrap 1", salt))
    }

    pub(crate) fn wrap(
        &self,
        key: &KeyBytes,
        aad: &[u8],
        salt: [u8; SALT_BYTES],
    ) -> Result<[u8; WRAPPED_BYTES], Forged> {
        let mut body = key.to_vec();
        self.wrapping(&salt).seal(0, aad, &mut body)?;
        let wrapped = [&salt, body.as_slice()].concat();
        wrapped.try_into().map_err(|_| Forged)
    }

    pub(crate) fn unwrap(
        &self,
        wrapped: &[u8; WRAPPED_BYTES],
        aad: &[u8],
    ) -> Result<KeyBytes, Forged> {
        let (salt, body) = wrapped.split_at(SALT_BYTES);
        let mut body = body.to_vec();
        self.wrapping(salt).open(0, aad, &mut body)?;
        body.try_into().map_err(|_| Forged)
    }

    pub(crate) fn mac(&self, message: &[u8]) -> KeyBytes {
        self.derive(b"custos keyring 1", message)
    }

    /// A key for one purpose.
    pub(crate) fn derive(&self, purpose: &[u8], salt: &[u8]) -> KeyBytes {
        hmac(self.bytes.reveal(), purpose, salt)
    }

    /// Only to be wrapped under the one that follows.
    pub(crate) fn bytes(&self) -> &KeyBytes {
        self.bytes.reveal()
    }
}

/// A secret of any length: salt, ciphertext, tag. The key is derived from a random salt, as where keys are
/// wrapped, so that the nonce may be one and the same.
pub(crate) fn seal_secret(
    key: &KeyBytes,
    aad: &[u8],
    secret: &[u8],
    salt: [u8; SALT_BYTES],
) -> Result<Vec<u8>, Forged> {
    let mut body = secret.to_vec();
    Key::new(&hmac(key, b"custos secret 1", &salt)).seal(0, aad, &mut body)?;
    Ok([&salt, body.as_slice()].concat())
}

pub(crate) fn open_secret(key: &KeyBytes, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Forged> {
    let (salt, body) = sealed.split_at_checked(SALT_BYTES).ok_or(Forged)?;
    let mut body = body.to_vec();
    Key::new(&hmac(key, b"custos secret 1", salt)).open(0, aad, &mut body)?;
    Ok(body)
}

/// HMAC-SHA-256 over a purpose, a zero byte and the message.
pub(crate) fn hmac(key: &KeyBytes, purpose: &[u8], message: &[u8]) -> KeyBytes {
    let Ok(mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(key) else { return [0; 32] };
    mac.chain_update(purpose).chain_update([0]).chain_update(message).finalize().into_bytes().into()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != N * 2 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_key_opens_only_under_its_master_and_its_header() {
        let master = MasterKey::new([7; 32]);
        let wrapped = master.wrap(&[9; 32], b"header", [1; 16]).unwrap();
        assert_eq!(master.unwrap(&wrapped, b"header").unwrap(), [9; 32]);
        assert!(master.unwrap(&wrapped, b"Header").is_err());
        assert!(MasterKey::new([8; 32]).unwrap(&wrapped, b"header").is_err());
    }

    #[test]
    fn a_sealed_body_opens_only_with_its_counter_and_header() {
        let key = Key::new(&[3; 32]);
        let mut body = b"body".to_vec();
        key.seal(5, b"h", &mut body).unwrap();
        for (counter, aad) in [(6, b"h"), (5, b"i")] {
            assert!(key.open(counter, aad, &mut body.clone()).is_err());
        }
        key.open(5, b"h", &mut body).unwrap();
        assert_eq!(body, b"body");
    }
}
