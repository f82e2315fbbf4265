//! Witnesses: signed heads of the logs go to places that whoever controls this machine does not control. What is
//! held there can be held against the logs for ever.

pub(crate) mod config;
mod keeper;
mod place;

pub(crate) use config::Witnessing;
pub(crate) use keeper::{Means, keep};

use custos_event::Timestamp;
use custos_evidence::Keys;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What is known of the witnesses, shared by the one who sends and those who look.
#[derive(Clone)]
pub(crate) struct Witnesses(Arc<Inner>);

struct Inner {
    /// Other nodes whose heads are witnessed here.
    accepted: Keys,
    states: Mutex<Vec<State>>,
}

/// One witness, as it stands.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    /// What it was sent, by log.
    pub(crate) sent: BTreeMap<String, Sent>,
    /// In a row; none after a success.
    pub(crate) failures: u32,
    pub(crate) error: Option<String>,
    pub(crate) next_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) size: u64,
    pub(crate) at: Timestamp,
}

impl Witnesses {
    pub(crate) fn new(accepted: Keys, states: Vec<State>) -> Self {
        Self(Arc::new(Inner { accepted, states: Mutex::new(states) }))
    }

    pub(crate) fn accepted(&self) -> &Keys {
        &self.0.accepted
    }

    pub(crate) fn states(&self) -> Vec<State> {
        self.lock().clone()
    }

    fn state(&self, index: usize) -> Option<State> {
        self.lock().get(index).cloned()
    }

    /// The checkpoints that are held elsewhere: log and size.
    pub(crate) fn sizes(&self) -> Vec<(String, u64)> {
        let states = self.lock();
        let sent = states.iter().flat_map(|state| &state.sent);
        sent.map(|(log, sent)| (log.clone(), sent.size)).collect()
    }

    fn change(&self, index: usize, change: impl FnOnce(&mut State)) {
        if let Some(state) = self.lock().get_mut(index) {
            change(state);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<State>> {
        self.0.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
