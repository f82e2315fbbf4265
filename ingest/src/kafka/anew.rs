//! Notices while reading that a topic was deleted and made anew.
//!
//! The next fetch would go on at the old offset in the new topic and pass over what is below. librdkafka
//! (2.12) learns of it by the topic's id, fetches nothing by the new id before, and tells nobody but its
//! debug log; so that one line is read. An e2e test with a real Kafka fails should its words change.

use std::{
    collections::BTreeSet,
    mem,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// What must be in the client's `debug` property for the line to be written.
pub(crate) const DEBUG: &str = "metadata";

/// An id not known, in base64.
const NO_ID: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// Topics that were made anew and are not yet begun again. Written by librdkafka's threads.
#[derive(Debug, Default)]
pub(crate) struct MadeAnew {
    any: AtomicBool,
    topics: Mutex<BTreeSet<String>>,
}

impl MadeAnew {
    /// Takes in a line of librdkafka's log.
    pub(crate) fn note(&self, facility: &str, line: &str) {
        let Some(topic) = (facility == "METADATA").then(|| topic_of(line)).flatten() else {
            return;
        };
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        topics.insert(topic.to_owned());
        self.any.store(true, Ordering::Release);
    }

    /// The topics noted since this was last asked.
    pub(crate) fn take(&self) -> BTreeSet<String> {
        if !self.any.swap(false, Ordering::AcqRel) {
            return BTreeSet::new();
        }
        mem::take(&mut self.topics.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The topic that got another id, of `[thrd:main]: Topic doors changed id from … to …`.
fn topic_of(line: &str) -> Option<&str> {
    let (before, ids) = line.split_once(" changed id from ")?;
    let (_, topic) = before.rsplit_once("Topic ")?;
    let (old, new) = ids.trim_end().split_once(" to ")?;
    (old != NO_ID && new != NO_ID).then_some(topic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_topic_that_had_another_id_before_was_made_anew() {
        let line = |topic: &str, old: &str, new: &str| {
            format!("[thrd:main]: Topic {topic} changed id from {old} to {new}")
        };
        for (facility, line, noted) in [
            ("METADATA", line("doors", "oUoEvFZtRBiA1zLoyIfNKw", "lgGwN_0lQ4uDXPa2fsyLFA"), true),
            ("METADATA", line("doors", NO_ID, "lgGwN_0lQ4uDXPa2fsyLFA"), false),
            ("METADATA", line("doors", "lgGwN_0lQ4uDXPa2fsyLFA", NO_ID), false),
            ("FETCH", line("doors", "oUoEvFZtRBiA1zLoyIfNKw", "lgGwN_0lQ4uDXPa2fsyLFA"), false),
            ("METADATA", "[thrd:main]: Topic doors [0] Leader 1 Epoch 0".into(), false),
        ] {
            let anew = MadeAnew::default();
            anew.note(facility, &line);
            assert_eq!(anew.take().into_iter().eq(["doors"]), noted, "{line}");
            assert!(anew.take().is_empty());
        }
    }
}
