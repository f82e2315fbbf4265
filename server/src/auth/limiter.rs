//! How often a sign-in may be tried: by account and by address. A try is counted before its password is hashed,
//! so that tries side by side cannot pass the limit.

use custos_event::{Timestamp, time::NANOS_PER_SEC};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

/// Five wrong tries at once, then one every three minutes: 480 guesses a day.
const ACCOUNT: Limit = Limit { burst: 5, refill_secs: 180 };
/// Many people may share an address.
const ADDRESS: Limit = Limit { burst: 30, refill_secs: 30 };
/// About 100 bytes each: 2 MB. When full of names and addresses that are all being tried, new ones wait.
const KEYS_MAX: usize = 20_000;

#[derive(Clone, Copy)]
struct Limit {
    burst: i64,
    refill_secs: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Account(String),
    Address(IpAddr),
}

/// Who has tried too often, and how long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooOften {
    pub(crate) wait_secs: u64,
}

/// When each key's tries will all be free again (the generic cell rate algorithm).
#[derive(Debug, Default)]
pub(crate) struct Limiter(Mutex<HashMap<Key, Timestamp>>);

impl Limiter {
    /// Takes one try of both, or none.
    pub(crate) fn take(&self, account: &str, from: IpAddr, now: Timestamp) -> Result<(), TooOften> {
        let mut free_at = self.lock();
        if free_at.len() >= KEYS_MAX {
            free_at.retain(|_, at| *at > now);
        }
        if free_at.len() >= KEYS_MAX {
            return Err(TooOften { wait_secs: ADDRESS.refill_secs.unsigned_abs() });
        }
        let keys = keys(account, from);
        let mut taken = Vec::new();
        for (key, limit) in &keys {
            taken.push(limit.take(free_at.get(key).copied(), now)?);
        }
        free_at.extend(keys.into_iter().map(|(key, _)| key).zip(taken));
        Ok(())
    }

    /// The try was right: it counts for neither, and the account's wrong ones are forgotten.
    pub(crate) fn forget(&self, account: &str, from: IpAddr) {
        self.give_back(account, from);
        self.lock().remove(&Key::Account(account.to_owned()));
    }

    /// The try did not take place.
    pub(crate) fn give_back(&self, account: &str, from: IpAddr) {
        let mut free_at = self.lock();
        for (key, limit) in keys(account, from) {
            if let Some(at) = free_at.get_mut(&key) {
                *at = at.plus_secs(-limit.refill_secs);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Limit {
    fn take(self, free_at: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, TooOften> {
        let taken = free_at.map_or(now, |at| at.max(now)).plus_secs(self.refill_secs);
        let latest = now.plus_secs(self.refill_secs * self.burst);
        if taken <= latest {
            return Ok(taken);
        }
        let wait = taken.0.abs_diff(latest.0).div_ceil(NANOS_PER_SEC.unsigned_abs());
        Err(TooOften { wait_secs: wait })
    }
}

fn keys(account: &str, from: IpAddr) -> [(Key, Limit); 2] {
    [(Key::Account(account.to_owned()), ACCOUNT), (Key::Address(network(from)), ADDRESS)]
}

/// One subscriber has a whole /64 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let mut octets = address.octets();
            octets[8..].fill(0);
            IpAddr::from(octets)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_secs(1_000_000)
    }

    fn address(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    #[test]
    fn the_sixth_wrong_try_waits_three_minutes_and_gets_one() {
        let limiter = Limiter::default();
        for last in 0..5 {
            assert_eq!(limiter.take("lin", address(last), now()), Ok(()));
        }
        let refused = limiter.take("lin", address(9), now());
        assert_eq!(refused, Err(TooOften { wait_secs: 180 }));
        assert_eq!(limiter.take("wei", address(9), now()), Ok(()), "another account");
        let later = now().plus_secs(180);
        assert_eq!(limiter.take("lin", address(9), later), Ok(()));
        assert!(limiter.take("lin", address(9), later).is_err());
    }

    #[test]
    fn one_address_does_not_try_every_account() {
        let limiter = Limiter::default();
        let allowed = (0..100).filter(|n| limiter.take(&n.to_string(), address(1), now()).is_ok());
        assert_eq!(allowed.count(), 30);
        let near = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 1, 2, 3, last]);
        let allowed =
            (0..100).filter(|n| limiter.take(&format!("v6 {n}"), near(*n), now()).is_ok());
        assert_eq!(allowed.count(), 30, "a /64 is one address");
    }

    #[test]
    fn a_right_try_forgets_the_wrong_ones_and_costs_its_address_nothing() {
        let limiter = Limiter::default();
        for _ in 0..200 {
            assert_eq!(limiter.take("lin", address(1), now()), Ok(()));
            limiter.forget("lin", address(1));
        }
    }

    #[test]
    fn a_full_table_lets_go_of_what_is_free_again_first() {
        let limiter = Limiter::default();
        // Each try takes two places.
        for n in 0..KEYS_MAX / 2 {
            let from = IpAddr::from([10, 0, n.to_be_bytes()[6], n.to_be_bytes()[7]]);
            assert_eq!(limiter.take(&n.to_string(), from, now()), Ok(()));
        }
        assert!(limiter.take("new", address(1), now()).is_err());
        assert_eq!(limiter.take("new", address(1), now().plus_secs(1_000)), Ok(()));
    }
}
