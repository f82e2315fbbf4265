//! The desk: the one door for commands about incidents, runs and tasks. It decides on the present state under one
//! lock, appends, and applies, so that two people at once never both win.

use super::{
    command::{self, Command, Terms},
    playbooks::Playbooks,
    state::State,
};
use crate::{exit::Failure, pipeline::detector::for_each_fact};
use anyhow::Context as _;
use custos_event::{
    Actor, Append, Clock, Entry, Envelope, Fact, IncidentId, LogId, Partition, Position, Seq,
};
use custos_respond::{Limits, Rejection, run::Opened};
use custos_store::Store;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

/// Shared by handlers and the runner.
#[derive(Clone)]
pub(crate) struct Desk(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Arc<dyn Clock>,
    playbooks: Playbooks,
    limits: Arc<Limits>,
    /// Held from decision to application; readers are not kept waiting by it.
    deciding: Mutex<()>,
    state: RwLock<State>,
}

/// Why a command came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeskError {
    /// The command was refused; nothing was written.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The log could not be written; nothing has happened.
    #[error("the journal could not be written")]
    Failed(#[source] anyhow::Error),
}

impl Desk {
    /// Folds the journal.
    pub(crate) fn open(
        store: &Store,
        playbooks: Playbooks,
        limits: Limits,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Failure> {
        let mut state = State::default();
        let fold = |seq: Seq, envelope: Envelope| state.apply(journal(seq), &envelope);
        for_each_fact(store, fold).map_err(Failure::store)?;
        Ok(Self(Arc::new(Inner {
            store: store.clone(),
            clock,
            playbooks,
            limits: Arc::new(limits),
            deciding: Mutex::new(()),
            state: RwLock::new(state),
        })))
    }

    /// Another, as it was once: for reading.
    pub(crate) fn of_past(&self, state: State) -> Self {
        Self(Arc::new(Inner {
            store: self.0.store.clone(),
            clock: Arc::clone(&self.0.clock),
            playbooks: self.0.playbooks.clone(),
            limits: Arc::clone(&self.0.limits),
            deciding: Mutex::new(()),
            state: RwLock::new(state),
        }))
    }

    pub(crate) fn playbooks(&self) -> &Playbooks {
        &self.0.playbooks
    }

    pub(crate) fn limits(&self) -> &Arc<Limits> {
        &self.0.limits
    }

    pub(crate) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.0.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Decides, writes durably, applies. Waits for the disk: call it off the async threads. Empty: it was so
    /// already.
    pub(crate) fn command(
        &self,
        actor: &Actor,
        cause: Option<Position>,
        command: Command,
    ) -> Result<Vec<(Position, Fact)>, DeskError> {
        let _deciding = self.0.deciding.lock().unwrap_or_else(PoisonError::into_inner);
        let at = self.0.clock.now();
        let terms = self.terms(actor, at);
        let facts = self.read(|state| command::decide(state, &terms, command))?;
        if facts.is_empty() {
            return Ok(Vec::new());
        }
        let envelopes: Vec<_> = facts
            .into_iter()
            .map(|fact| Envelope { at, actor: actor.clone(), cause, fact })
            .collect();
        let first = self.append(&envelopes).map_err(DeskError::Failed)?;
        let mut state = self.0.state.write().unwrap_or_else(PoisonError::into_inner);
        let mut placed = Vec::new();
        for (nth, envelope) in (0_u64..).zip(envelopes) {
            let position = journal(first.plus(nth));
            state.apply(position, &envelope);
            placed.push((position, envelope.fact));
        }
        Ok(placed)
    }

    fn terms<'t>(&'t self, actor: &'t Actor, at: custos_event::Timestamp) -> Terms<'t> {
        Terms { actor, at, playbooks: &self.0.playbooks, limits: &self.0.limits }
    }

    /// The run that a person's command would start.
    pub(crate) fn planned(
        &self,
        actor: &Actor,
        incident: IncidentId,
        playbook: &str,
        inputs: &BTreeMap<String, Value>,
    ) -> Result<Opened, Rejection> {
        let terms = self.terms(actor, self.0.clock.now());
        self.read(|state| command::planned(state, &terms, incident, playbook, inputs))
    }

    fn append(&self, envelopes: &[Envelope]) -> anyhow::Result<Seq> {
        let entry = |envelope: &Envelope| -> anyhow::Result<Entry> {
            Ok(Entry { bytes: envelope.encode().context("a fact does not encode")?, parsed: None })
        };
        let entries = envelopes.iter().map(entry).collect::<anyhow::Result<Vec<_>>>()?;
        let committed = self.0.store.append_blocking(Append::new(LogId::JOURNAL, entries))?;
        Ok(committed.first)
    }

    /// One fact of the journal.
    pub(crate) fn fact(&self, at: Position) -> anyhow::Result<Option<Envelope>> {
        let Some(bytes) = self.0.store.read(at)? else { return Ok(None) };
        let envelope = Envelope::decode(&bytes).with_context(|| format!("cannot read {at}"))?;
        Ok(Some(envelope))
    }
}

pub(crate) fn journal(seq: Seq) -> Position {
    Position { log: LogId::JOURNAL, partition: Partition::default(), seq }
}
