//! How the consumer or a producer is, for the page of Sources: how far behind, and what is wrong.

use super::{
    lag::Lags,
    trouble::{About, Trouble},
};
use crate::health::Health;
use custos_event::Timestamp;
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

/// librdkafka tries again within `reconnect.backoff.max.ms`, 10 s.
const AGAIN_SECS: i64 = 10;

/// The consumer's name among what Custos connects to; its system too.
const NAME: &str = "kafka";
/// The system of who publishes.
const PUBLISH: &str = "kafka-publish";

/// Who is told.
#[derive(Clone, Debug)]
pub struct Shown {
    pub(crate) lags: Arc<Lags>,
    health: Arc<Health>,
    name: Arc<str>,
    system: &'static str,
    ill: Arc<Ill>,
}

impl Default for Shown {
    fn default() -> Self {
        Self::new(Arc::default(), Arc::default())
    }
}

#[derive(Debug, Default)]
struct Ill {
    any: AtomicBool,
    now: Mutex<Option<Trouble>>,
}

impl Shown {
    pub fn new(lags: Arc<Lags>, health: Arc<Health>) -> Self {
        Self { lags, health, name: NAME.into(), system: NAME, ill: Arc::default() }
    }

    /// Of who publishes to `topic`.
    pub fn publishing(topic: &str, health: Arc<Health>) -> Self {
        let (name, system) = (format!("kafka.publish:{topic}").into(), PUBLISH);
        Self { lags: Arc::default(), health, name, system, ill: Arc::default() }
    }

    pub(crate) fn begin(&self) {
        self.health.begin(&self.name, self.system);
    }

    /// How many facts are still to be published.
    pub fn note_behind(&self, facts: u64) {
        self.health.note_behind(&self.name, facts);
    }

    /// True where it is another trouble than before. That nothing answers does not hide why: librdkafka says
    /// that all brokers are down after each refusal.
    pub(crate) fn note_ill(&self, trouble: &Trouble, now: Timestamp) -> bool {
        let mut known = self.ill.now.lock().unwrap_or_else(PoisonError::into_inner);
        let why_known = known.as_ref().is_some_and(|known| known.kind == "refused");
        if why_known && trouble.kind == "unreachable" || known.is_some() && trouble.summary {
            return false;
        }
        let is_new = known.as_ref().is_none_or(|known| {
            (known.kind, known.about, known.summary)
                != (trouble.kind, trouble.about, trouble.summary)
        });
        let times = (now, now.plus_secs(AGAIN_SECS));
        self.health.note_ill(&self.name, trouble.kind, trouble.text.clone(), times);
        *known = Some(trouble.clone());
        self.ill.any.store(true, Ordering::Release);
        is_new
    }

    /// Called for each record: costs one load while all is well.
    pub(crate) fn note_well(&self, about: About) {
        if !self.ill.any.load(Ordering::Acquire) {
            return;
        }
        let mut known = self.ill.now.lock().unwrap_or_else(PoisonError::into_inner);
        // Who gets records, or whose are taken, is connected.
        if about == About::Topics || known.as_ref().is_some_and(|known| known.about == about) {
            *known = None;
            self.ill.any.store(false, Ordering::Release);
            self.health.note_well(&self.name);
            tracing::info!(of = &*self.name, "Kafka is well again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(kind: &'static str, about: About) -> Trouble {
        Trouble { kind, about, summary: false, text: kind.into() }
    }

    #[test]
    fn why_it_was_refused_stays_until_what_it_is_about_is_over() {
        let health = Arc::<Health>::default();
        let shown = Shown::new(Arc::default(), Arc::clone(&health));
        let kind = || health.all()[0].1.ailment.clone().map(|ailment| ailment.kind);
        let at = Timestamp::from_secs;
        shown.begin();
        assert!(shown.note_ill(&trouble("refused", About::Connection), at(1)));
        assert!(!shown.note_ill(&trouble("refused", About::Connection), at(2)));
        assert!(!shown.note_ill(&trouble("unreachable", About::Connection), at(2)));
        assert_eq!(kind(), Some("refused"));
        shown.note_well(About::Connection);
        assert_eq!(kind(), None);
        assert!(shown.note_ill(&trouble("refused", About::Topics), at(3)));
        shown.note_well(About::Connection);
        assert_eq!(kind(), Some("refused"));
        shown.note_well(About::Topics);
        assert_eq!(kind(), None);
    }
}
