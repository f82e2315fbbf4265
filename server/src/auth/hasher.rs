//! argon2id (RFC 9106) in a bounded pool: what signs in can neither fill the memory nor hold up the async threads.

use crate::hex::hex;
use anyhow::{Context as _, anyhow};
use argon2::{Algorithm, Argon2, Params, Version};
use custos_event::Private;
use serde::{Deserialize, Serialize};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::Semaphore;

/// 64 MiB, 3 passes, 1 lane: about 0.1 s of one core.
const COST: Cost = Cost { memory_kib: 64 * 1_024, passes: 3, lanes: 1 };
/// Two cores; 128 MiB at most.
const AT_ONCE_MAX: usize = 2;
/// About 2 s of waiting; who comes then is told to come back.
const WAITING_MAX: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// A password's hash with all that is needed to check it; kept encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hash {
    cost: Cost,
    salt: String,
    digest: String,
}

/// Why there is no hash.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HashError {
    #[error("too many people sign in at this moment; try again")]
    Busy,
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

/// The pool.
#[derive(Debug)]
pub(crate) struct Hasher {
    at_once: Arc<Semaphore>,
    admitted: Semaphore,
    computed: Arc<AtomicU64>,
}

impl Default for Hasher {
    fn default() -> Self {
        Self {
            at_once: Arc::new(Semaphore::new(AT_ONCE_MAX)),
            admitted: Semaphore::new(AT_ONCE_MAX + WAITING_MAX),
            computed: Arc::default(),
        }
    }
}

impl Hasher {
    /// A hash under a fresh salt.
    pub(crate) async fn hash(&self, password: Private<String>) -> Result<Hash, HashError> {
        let mut salt = [0_u8; 16];
        getrandom::fill(&mut salt).context("the machine gives no random bytes")?;
        self.compute(password, COST, hex(&salt)).await
    }

    /// Whether this is the password; without a hash, takes the time of one and says no.
    pub(crate) async fn verify(
        &self,
        password: Private<String>,
        against: Option<Hash>,
    ) -> Result<bool, HashError> {
        let (cost, salt) = against.as_ref().map_or_else(
            || (COST, "00".repeat(16)),
            |against| (against.cost, against.salt.clone()),
        );
        let hash = self.compute(password, cost, salt).await?;
        Ok(against.is_some_and(|against| super::secret::same(&against.digest, &hash.digest)))
    }

    /// How many were computed since the start.
    pub(crate) fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    async fn compute(
        &self,
        password: Private<String>,
        cost: Cost,
        salt: String,
    ) -> Result<Hash, HashError> {
        let _admitted = self.admitted.try_acquire().map_err(|_| HashError::Busy)?;
        let permit = Arc::clone(&self.at_once).acquire_owned().await;
        let permit = permit.context("the pool of hashes is closed")?;
        self.computed.fetch_add(1, Ordering::Relaxed);
        let work = move || {
            // The permit goes with the work: it may outlive who asked.
            let _permit = permit;
            argon2id(password.reveal(), cost, &salt).map(|digest| Hash { cost, salt, digest })
        };
        Ok(tokio::task::spawn_blocking(work).await.context("a hash was lost")??)
    }
}

fn argon2id(password: &str, cost: Cost, salt: &str) -> anyhow::Result<String> {
    let wrong = |error: argon2::Error| anyhow!("argon2id: {error}");
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).map_err(wrong)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut hash = [0_u8; 32];
    argon2.hash_password_into(password.as_bytes(), salt.as_bytes(), &mut hash).map_err(wrong)?;
    Ok(hex(&hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn private(text: &str) -> Private<String> {
        Private::new(text.into())
    }

    #[tokio::test]
    async fn a_password_is_known_again_and_no_other() {
        let hasher = Hasher::default();
        let hash = hasher.hash(private("correct horse lamp river")).await.unwrap();
        assert_ne!(hasher.hash(private("correct horse lamp river")).await.unwrap(), hash);
        let verify =
            |text: &str, against: &Hash| hasher.verify(private(text), Some(against.clone()));
        assert!(verify("correct horse lamp river", &hash).await.unwrap());
        assert!(!verify("correct horse lamp rivet", &hash).await.unwrap());
        assert!(!hasher.verify(private("anything"), None).await.unwrap());
        assert_eq!(hasher.computed(), 5);
    }

    /// RFC 9106, section 5.3, has a secret and data that this interface does not take; this one is of the
    /// reference implementation: `echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1 -l 32`.
    #[test]
    fn it_is_argon2id_as_published() {
        let cost = Cost { memory_kib: 65_536, passes: 2, lanes: 1 };
        let hash = argon2id("password", cost, "somesalt").unwrap();
        assert_eq!(hash, "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7");
    }
}
