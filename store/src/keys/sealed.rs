//! The text that stands in a record where a personal value stood (FORMAT.md §9): `prv_`, the value's token,
//! whose key it is under, the ciphertext.
//!
//! The token is the salt that the cipher's key is derived from, and itself a keyed hash of field and value:
//! one key and nonce never meet two plaintexts, and the same value of the same person and field is always
//! the same text, so that equality can be searched for.

use crate::crypt::{self, Forged, KeyBytes, hex, hmac, unhex};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use custos_event::{Private, sealed::PREFIX};

/// Half of HMAC-SHA-256: 128 bits leave no chance of two values with one token.
pub(super) type Token = [u8; 16];
/// Names a key in records; from the key alone, so that nothing tells whose it was once it is gone.
pub(super) type Ref = [u8; 8];

const TOKEN_DIGITS: usize = 32;
const REF_DIGITS: usize = 16;

fn head<const N: usize>(whole: KeyBytes) -> [u8; N] {
    whole.first_chunk().copied().unwrap_or([0; N])
}

pub(super) fn reference(key: &KeyBytes) -> Ref {
    head(hmac(key, b"custos subject ref 1", b""))
}

/// Names a key in facts: another name than in records, so that the two cannot be joined.
pub(super) fn key_id(key: &KeyBytes) -> String {
    hex(&head::<8>(hmac(key, b"custos subject key id 1", b"")))
}

pub(super) fn token(key: &KeyBytes, field: &str, value: &str) -> Token {
    head(hmac(key, b"custos field 1", &[field.as_bytes(), &[0], value.as_bytes()].concat()))
}

/// `prv_`, token and key: what a search for the value looks for.
pub(super) fn stem(token: Token, reference: Ref) -> String {
    format!("{PREFIX}{}_{}_", hex(&token), hex(&reference))
}

pub(super) fn seal(key: &KeyBytes, field: &str, value: &str) -> Result<(Token, String), Forged> {
    let token = token(key, field, value);
    let reference = reference(key);
    let sealed = crypt::seal_secret(key, &reference, value.as_bytes(), token)?;
    let body = sealed.get(token.len()..).unwrap_or_default();
    Ok((token, stem(token, reference) + &URL_SAFE_NO_PAD.encode(body)))
}

/// Which key a sealed text is under, and what it holds.
pub(super) struct Parsed {
    pub(super) reference: Ref,
    sealed: Vec<u8>,
}

impl Parsed {
    pub(super) fn new(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(PREFIX)?;
        let (token, rest) = rest.split_at_checked(TOKEN_DIGITS)?;
        let (reference, rest) = rest.strip_prefix('_')?.split_at_checked(REF_DIGITS)?;
        let body = URL_SAFE_NO_PAD.decode(rest.strip_prefix('_')?).ok()?;
        let token: Token = unhex(token)?;
        Some(Self { reference: unhex(reference)?, sealed: [&token, body.as_slice()].concat() })
    }

    pub(super) fn open(&self, key: &KeyBytes) -> Option<Private<String>> {
        let opened = crypt::open_secret(key, &self.reference, &self.sealed).ok()?;
        String::from_utf8(opened).ok().map(Private::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_sealed_opens_under_its_key_alone_and_is_always_the_same(
            key: [u8; 32], other: [u8; 32], field in "[a-z.]{1,12}", value in "\\PC{0,200}",
        ) {
            prop_assume!(key != other);
            let (_, text) = seal(&key, &field, &value).unwrap();
            prop_assert_eq!(&seal(&key, &field, &value).unwrap().1, &text);
            let parsed = Parsed::new(&text).unwrap();
            let opened = parsed.open(&key).unwrap();
            prop_assert_eq!(opened.reveal(), &value);
            prop_assert!(parsed.open(&other).is_none());
            prop_assert!(custos_event::sealed::is_sealed(&text));
        }

        #[test]
        fn no_text_panics(text in "(prv_)?[0-9a-f_]{0,60}\\PC{0,20}") {
            let opened = Parsed::new(&text).and_then(|parsed| parsed.open(&[1; 32]));
            prop_assert!(opened.is_none());
        }
    }

    #[test]
    fn two_values_never_share_a_key_and_nonce() {
        let key = [5; 32];
        let texts = [("mail", "a"), ("mail", "A"), ("name", "a"), ("mai", "la")];
        let mut tokens: Vec<_> =
            texts.iter().map(|(field, value)| token(&key, field, value)).collect();
        tokens.sort_unstable();
        tokens.dedup();
        assert_eq!(tokens.len(), texts.len(), "the token salts the cipher's key");
    }
}
