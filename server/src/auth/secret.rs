//! Secrets of 256 random bits: made here, kept by their digests.

use crate::hex::hex;
use anyhow::Context as _;
use custos_event::Private;
use sha2::{Digest as _, Sha256};

/// SHA-256; enough for what cannot be guessed.
pub(crate) type Digest = [u8; 32];

/// A fresh secret, in hex.
pub(crate) fn fresh() -> anyhow::Result<Private<String>> {
    let mut secret = [0_u8; 32];
    getrandom::fill(&mut secret).context("the machine gives no random bytes")?;
    Ok(Private::new(hex(&secret)))
}

pub(crate) fn digest(secret: &str) -> Digest {
    Sha256::digest(secret.as_bytes()).into()
}

/// Compares digests, so that the time taken tells nothing about either.
pub(crate) fn same(one: &str, other: &str) -> bool {
    digest(one) == digest(other)
}

/// A second secret that follows from the first, which it does not betray.
pub(crate) fn derived(purpose: &str, secret: &str) -> String {
    hex(&Sha256::new().chain_update(purpose).chain_update([0]).chain_update(secret).finalize())
}
