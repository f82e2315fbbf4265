//! Erasures: the one door for what people want of them. It decides under one lock, writes, destroys, writes.
//!
//! The order is the promise: asked for (a fact), approved by another person (a fact), the key destroyed (the
//! keyring is written anew), erased (a fact). After an approval everything follows, at the next start at the
//! latest, and each of it once: the approval names the key, so that a later key of the same person is safe,
//! and a copy of the keyring that brings the key back is cleaned again.

use crate::{folder::system, pipeline::journal::Journal};
use anyhow::Context as _;
use custos_event::{
    Actor, Append, Clock, Entry, Envelope, Erasure, ErasureCommand, ErasureEvent, ErasureRejection,
    ErasureStage, Fact, LogId,
};
use custos_store::Store;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tracing::{info, warn};

/// Shared by handlers.
#[derive(Clone)]
pub(crate) struct Cases(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Arc<dyn Clock>,
    /// By keyed hash of the person's name. Held from decision to application.
    all: Mutex<BTreeMap<String, Erasure>>,
}

/// Why a command came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CaseError {
    /// Nothing was written.
    #[error(transparent)]
    Rejected(#[from] ErasureRejection),
    /// What was written goes on at the next start.
    #[error("an erasure could not be carried out")]
    Failed(#[from] anyhow::Error),
}

impl Cases {
    /// Folds the journal's erasures, and ends those that a crash broke off.
    pub(crate) fn open(
        store: &Store,
        journal: &Journal,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let mut all: BTreeMap<String, Erasure> = BTreeMap::new();
        for Envelope { at, actor, fact, .. } in journal.erasures()? {
            if let Fact::Erasure { subject, event } = fact {
                all.entry(subject).or_default().apply(at, &actor, &event);
            }
        }
        let cases = Self(Arc::new(Inner { store: store.clone(), clock, all: Mutex::new(all) }));
        cases.resume()?;
        Ok(cases)
    }

    fn resume(&self) -> anyhow::Result<()> {
        let mut all = self.lock();
        for (subject, case) in &mut *all {
            if case.stage == ErasureStage::Approved {
                info!(subject, "an erasure that was broken off goes on");
                self.carry_out(subject, case)?;
                continue;
            }
            // Also those of an erasure that is asked for anew.
            for key in &case.keys {
                if self.0.store.keyring().erase_subject(subject, Some(key))?.is_some() {
                    warn!(
                        subject,
                        "a restored keyring held an erased person's key: destroyed again"
                    );
                }
            }
        }
        Ok(())
    }

    /// The cases by subject.
    pub(crate) fn list(&self) -> Vec<(String, Erasure)> {
        self.lock().iter().map(|(subject, case)| (subject.clone(), case.clone())).collect()
    }

    /// Asks for the erasure of a person, named as the events name them. The name goes no further.
    pub(crate) fn request(
        &self,
        actor: &Actor,
        person: &str,
        reason: String,
    ) -> Result<(String, Erasure), CaseError> {
        let subject = self.0.store.keyring().subject(person);
        let case = self.command(actor, &subject, ErasureCommand::Request { reason })?;
        Ok((subject, case))
    }

    /// Agrees, and carries it out.
    pub(crate) fn approve(&self, actor: &Actor, subject: &str) -> Result<Erasure, CaseError> {
        let key = self.0.store.keyring().subject_key_id(subject);
        self.command(actor, subject, ErasureCommand::Approve { key })
    }

    pub(crate) fn deny(
        &self,
        actor: &Actor,
        subject: &str,
        reason: String,
    ) -> Result<Erasure, CaseError> {
        self.command(actor, subject, ErasureCommand::Deny { reason })
    }

    fn command(
        &self,
        actor: &Actor,
        subject: &str,
        command: ErasureCommand,
    ) -> Result<Erasure, CaseError> {
        let mut all = self.lock();
        let mut case = all.get(subject).cloned().unwrap_or_default();
        let event = case.decide(actor, command)?;
        self.write(subject, &mut case, actor, &event)?;
        all.insert(subject.to_owned(), case.clone());
        if case.stage == ErasureStage::Approved {
            self.carry_out(subject, &mut case)?;
            all.insert(subject.to_owned(), case.clone());
        }
        Ok(case)
    }

    /// What follows from an approval. Done again after a crash it changes nothing that was done.
    fn carry_out(&self, subject: &str, case: &mut Erasure) -> anyhow::Result<()> {
        for key in case.keys.clone() {
            self.0.store.keyring().erase_subject(subject, Some(&key))?;
        }
        self.write(subject, case, &system("privacy"), &ErasureEvent::SubjectErased)
    }

    fn write(
        &self,
        subject: &str,
        case: &mut Erasure,
        actor: &Actor,
        event: &ErasureEvent,
    ) -> anyhow::Result<()> {
        let at = self.0.clock.now();
        let fact = Fact::Erasure { subject: subject.to_owned(), event: event.clone() };
        let envelope = Envelope { at, actor: actor.clone(), cause: None, fact };
        let bytes = envelope.encode().context("a fact does not encode")?;
        let entries = vec![Entry { bytes, parsed: None }];
        self.0.store.append_blocking(Append::new(LogId::JOURNAL, entries))?;
        case.apply(at, actor, event);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Erasure>> {
        self.0.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
