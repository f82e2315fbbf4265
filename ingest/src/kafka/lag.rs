//! How far behind the cluster each source is: for people, never for decisions.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Records that the cluster holds and Custos has not read, by source; as the client's last statistics had it.
#[derive(Debug, Default)]
pub struct Lags(Mutex<BTreeMap<Arc<str>, u64>>);

impl Lags {
    /// `None` where nothing is read by that name here, or the cluster has not said yet.
    pub fn of(&self, source: &str) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(source).copied()
    }

    pub(crate) fn replace(&self, lags: BTreeMap<Arc<str>, u64>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = lags;
    }
}
