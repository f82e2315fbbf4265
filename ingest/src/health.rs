//! How each system is that Custos connects to by itself, a customer system or a Kafka cluster: for people, never for
//! decisions.

use custos_event::Timestamp;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What is wrong with one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ailment {
    /// `refused`, `quota`, `throttled`, `unreachable`, `odd`, `too_large`, `paused`, `failed`.
    pub kind: &'static str,
    pub text: String,
    pub since: Timestamp,
    /// When it is tried again.
    pub until: Timestamp,
}

/// One connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// `zoho`, `fxiaoke`, `kafka`, `kafka-publish`.
    pub system: &'static str,
    /// Everything before this time is stored; none before the first round, and where offsets are counted instead.
    pub read_up_to: Option<Timestamp>,
    /// When it was last read without trouble.
    pub read_at: Option<Timestamp>,
    /// What is still to be published to it, where that is what it is for.
    pub behind: Option<u64>,
    pub ailment: Option<Ailment>,
}

/// All connectors of this process, by source.
#[derive(Debug, Default)]
pub struct Health(Mutex<BTreeMap<Arc<str>, Condition>>);

impl Health {
    pub fn all(&self) -> Vec<(Arc<str>, Condition)> {
        self.lock().iter().map(|(name, one)| (Arc::clone(name), one.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Condition>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn begin(&self, source: &Arc<str>, system: &'static str) {
        let new =
            Condition { system, read_up_to: None, read_at: None, behind: None, ailment: None };
        self.lock().insert(Arc::clone(source), new);
    }

    /// A stretch is stored whole.
    pub(crate) fn note_read(&self, source: &Arc<str>, up_to: Timestamp, now: Timestamp) {
        if let Some(one) = self.lock().get_mut(source) {
            (one.read_up_to, one.read_at) = (Some(up_to), Some(now));
        }
    }

    pub(crate) fn note_behind(&self, source: &Arc<str>, facts: u64) {
        if let Some(one) = self.lock().get_mut(source) {
            one.behind = Some(facts);
        }
    }

    pub(crate) fn note_well(&self, source: &Arc<str>) {
        if let Some(one) = self.lock().get_mut(source) {
            one.ailment = None;
        }
    }

    pub(crate) fn note_ill(
        &self,
        source: &Arc<str>,
        kind: &'static str,
        text: String,
        times: (Timestamp, Timestamp),
    ) {
        if let Some(one) = self.lock().get_mut(source) {
            let (now, until) = times;
            let known = one.ailment.as_ref().filter(|known| known.kind == kind);
            let since = known.map_or(now, |known| known.since);
            one.ailment = Some(Ailment { kind, text, since, until });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ailment_is_told_from_when_it_began_until_it_is_over() {
        let (health, source) = (Health::default(), Arc::<str>::from("crm:zoho"));
        let at = Timestamp::from_secs;
        health.begin(&source, "zoho");
        health.note_ill(&source, "unreachable", "a".into(), (at(1), at(2)));
        health.note_ill(&source, "unreachable", "b".into(), (at(3), at(5)));
        let ailment = health.all()[0].1.ailment.clone().unwrap();
        assert_eq!((ailment.text.as_str(), ailment.since, ailment.until), ("b", at(1), at(5)));
        health.note_ill(&source, "refused", "c".into(), (at(6), at(7)));
        assert_eq!(health.all()[0].1.ailment.as_ref().unwrap().since, at(6));
        health.note_well(&source);
        health.note_read(&source, at(8), at(9));
        let one = &health.all()[0].1;
        assert_eq!(
            (one.ailment.clone(), one.read_up_to, one.read_at),
            (None, Some(at(8)), Some(at(9)))
        );
    }
}
