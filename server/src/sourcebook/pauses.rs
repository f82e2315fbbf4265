//! What of Kafka is paused: by whom, since when, and why.

use super::{BookError, Inner, SourceBook, given};
use custos_event::{Actor, SourceEvent, Timestamp};
use custos_ingest::kafka::Paused;
use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
};

/// How the consumer's sources are named.
const PREFIX: &str = "kafka:";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    pub(crate) at: Timestamp,
    pub(crate) by: Actor,
    pub(crate) reason: String,
}

impl SourceBook {
    /// What the reader of Kafka asks.
    pub(crate) fn paused(&self) -> &Arc<Paused> {
        &self.0.paused
    }

    /// By the source's name; `kafka` is all of them.
    pub(crate) fn pauses(&self) -> BTreeMap<String, Pause> {
        self.0.pauses.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Nothing of `name` is read until it is resumed, over restarts too.
    pub(crate) fn pause(&self, actor: &Actor, name: &str, reason: &str) -> Result<(), BookError> {
        let reason = given(reason)?;
        let is_read = match name.strip_prefix(PREFIX) {
            Some(topic) => self.0.topics.of(topic).is_some(),
            None => name == Paused::ALL && !self.0.topics.is_empty(),
        };
        if !is_read {
            return Err(BookError::NotRead(name.to_owned()));
        }
        let mut all = self.0.all();
        if self.pauses().contains_key(name) {
            return Err(BookError::Paused(name.to_owned()));
        }
        Ok(self.0.write(&mut all, actor, name, SourceEvent::Paused { reason })?)
    }

    /// It is read on from where it stopped.
    pub(crate) fn resume(&self, actor: &Actor, name: &str) -> Result<(), BookError> {
        let mut all = self.0.all();
        let pauses = self.pauses();
        if pauses.contains_key(name) {
            return Ok(self.0.write(&mut all, actor, name, SourceEvent::Resumed)?);
        }
        let by_all = name.starts_with(PREFIX) && pauses.contains_key(Paused::ALL);
        Err(if by_all { BookError::AllPaused } else { BookError::NotPaused(name.to_owned()) })
    }
}

impl Inner {
    pub(super) fn note_pause(&self, name: &str, pause: Option<Pause>) {
        let mut pauses = self.pauses.write().unwrap_or_else(PoisonError::into_inner);
        match pause {
            Some(pause) => pauses.insert(name.to_owned(), pause),
            None => pauses.remove(name),
        };
        self.paused.set(pauses.keys().cloned().collect());
    }
}

#[cfg(test)]
mod tests {
    use crate::sourcebook::{
        BookError,
        tests::{ada, run, run_reading},
    };

    #[test]
    fn a_topic_or_all_is_paused_and_resumed_and_a_start_knows_it() {
        let dir = tempfile::tempdir().unwrap();
        let topics = ["doors", "^win-.*"];
        run_reading(&dir, &topics, |book| {
            book.pause(&ada(), "kafka:doors", " floods ").unwrap();
            book.pause(&ada(), "kafka:win-dc", "moved").unwrap();
            book.resume(&ada(), "kafka:win-dc").unwrap();
        });
        run_reading(&dir, &topics, |book| {
            let pauses = book.pauses();
            assert_eq!(pauses.keys().collect::<Vec<_>>(), ["kafka:doors"]);
            assert_eq!(
                (&pauses["kafka:doors"].by, &*pauses["kafka:doors"].reason),
                (&ada(), "floods")
            );
            assert_eq!(format!("{:?}", book.paused()).matches("kafka:doors").count(), 1);
            book.pause(&ada(), "kafka", "the cluster is upgraded").unwrap();
            assert!(matches!(book.resume(&ada(), "kafka:win-dc"), Err(BookError::AllPaused)));
            book.resume(&ada(), "kafka:doors").unwrap();
            book.resume(&ada(), "kafka").unwrap();
            assert!(book.pauses().is_empty());
        });
    }

    #[test]
    fn what_is_not_read_cannot_be_paused_and_nothing_is_done_twice() {
        let dir = tempfile::tempdir().unwrap();
        run(&dir, &[], |book| {
            assert!(matches!(book.pause(&ada(), "kafka", "x"), Err(BookError::NotRead(_))));
        });
        run_reading(&dir, &["doors"], |book| {
            for name in ["kafka:windows", "listener:doors", "doors", "kafka:"] {
                let told = book.pause(&ada(), name, "x").unwrap_err().to_string();
                assert!(told.contains(&format!("no '{name}' is read")), "{told}");
            }
            assert!(matches!(book.pause(&ada(), "kafka:doors", " "), Err(BookError::Reason)));
            assert!(matches!(book.resume(&ada(), "kafka:doors"), Err(BookError::NotPaused(_))));
            book.pause(&ada(), "kafka:doors", "x").unwrap();
            assert!(matches!(book.pause(&ada(), "kafka:doors", "x"), Err(BookError::Paused(_))));
        });
    }
}
