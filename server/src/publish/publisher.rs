//! The thread of one topic: a stretch of the journal after the other, each kept by the cluster before the next is read.

use super::{
    message::{self, Author},
    place::Place,
};
use crate::{clock::Stopwatch, pipeline::tolerant::Tolerant};
use bytes::Bytes;
use custos_event::{LogId, Partition, Seq, commit::LogReader as _};
use custos_ingest::kafka::{Ended, Outgoing, Producer, Shown};
use custos_store::Store;
use std::{cell::OnceCell, time::Duration};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

/// A stretch is at most so much: what waits for a cluster that is down. A fact may be larger; it is alone then.
const FACTS_MAX: u64 = 500;
const BYTES_MAX: usize = 1 << 20;
/// How late a stop may be noticed, and what the client has to say while nothing happens.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A clean stop still waits so long for the cluster's word; the process has 8 s in all, of which a question under way
/// and the client's end may take 4.
const STOP_SECS: f64 = 2.0;
/// After a failure: 1 s, then twice as long each time, up to 10 s.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(10);

pub(super) struct Publisher {
    store: Store,
    place: Place,
    author: Author,
    topic: String,
    producer: Producer,
    shown: Shown,
}

/// Facts as messages, and the place behind the last of those facts.
struct Stretch {
    window: Vec<Outgoing>,
    end: Seq,
}

/// How long a stop is waited with.
struct Patience<'s> {
    stop: &'s CancellationToken,
    since: OnceCell<Stopwatch>,
}

impl Patience<'_> {
    fn lasts(&self) -> bool {
        !self.stop.is_cancelled() || self.since.get_or_init(Stopwatch::start).secs() < STOP_SECS
    }
}

impl Publisher {
    pub(super) fn new(
        store: Store,
        place: Place,
        author: Author,
        topic: &str,
        (producer, shown): (Producer, Shown),
    ) -> Self {
        Self { store, place, author, topic: topic.to_owned(), producer, shown }
    }

    /// Publishes until `stop`, and then what is durable by then, if the cluster takes it at once.
    pub(super) fn run(&mut self, stop: &CancellationToken) -> anyhow::Result<()> {
        let patience = Patience { stop, since: OnceCell::new() };
        self.reach_topic(&patience);
        while patience.lasts() {
            let (last, end) = (self.store.last_commit(), self.end());
            self.tell_behind();
            if self.place.next() < end {
                let stretch = self.read(end)?;
                if !self.publish(stretch, &patience) {
                    break;
                }
            } else if stop.is_cancelled() {
                break;
            } else {
                self.producer.listen();
                self.store.wait_after(last, LOOK_EVERY);
            }
        }
        Ok(())
    }

    /// What is wrong with the cluster or the topic is told at the start, not with the first alert.
    fn reach_topic(&mut self, patience: &Patience<'_>) {
        let mut wait = RETRY;
        while !self.producer.is_ready(&|| patience.lasts()) && !patience.stop.is_cancelled() {
            self.rest(wait, patience);
            wait = (wait * 2).min(RETRY_MAX);
        }
    }

    fn end(&self) -> Seq {
        self.store.next_seq(LogId::JOURNAL, Partition::default())
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge; exact up to 2^53 facts")]
    fn tell_behind(&self) {
        let behind = self.end().0.saturating_sub(self.place.next().0);
        self.shown.note_behind(behind);
        let labels = [("topic", self.topic.clone())];
        metrics::gauge!("custos_kafka_publish_behind", &labels).set(behind as f64);
    }

    fn read(&self, end: Seq) -> anyhow::Result<Stretch> {
        let from = self.place.next();
        let to = end.min(from.plus(FACTS_MAX));
        let (mut window, mut bytes, mut next) = (Vec::new(), 0, from);
        let mut take = |seq: Seq, fact: Bytes| {
            if seq > next {
                window.push(self.missing(next, seq));
            }
            window.extend(self.author.tell(seq, &fact));
            next = seq.plus(1);
            bytes += fact.len();
            bytes < BYTES_MAX
        };
        let log = Tolerant::new(&self.store);
        log.scan(LogId::JOURNAL, Partition::default(), from, to, &mut take)?;
        if next < to && bytes < BYTES_MAX {
            window.push(self.missing(next, to));
            next = to;
        }
        Ok(Stretch { window, end: next })
    }

    fn missing(&self, first: Seq, end: Seq) -> Outgoing {
        error!(topic = self.topic, %first, %end, "facts cannot be read; a stand-in is published");
        self.count("custos_kafka_publish_left_out_total", end.0.saturating_sub(first.0));
        self.author.unreadable((first, end), "damaged, or no longer kept")
    }

    fn count(&self, counter: &'static str, by: u64) {
        metrics::counter!(counter, "topic" => self.topic.clone()).increment(by);
    }

    /// Returns when the cluster has the whole stretch; false where patience came to its end before.
    fn publish(&mut self, stretch: Stretch, patience: &Patience<'_>) -> bool {
        let Stretch { mut window, end } = stretch;
        let mut wait = RETRY;
        while !window.is_empty() && patience.lasts() {
            let before = window.len();
            let ended = self.send(&mut window, patience);
            let kept = before - window.len();
            if kept > 0 {
                self.count("custos_kafka_published_total", kept as u64);
                wait = RETRY;
            }
            if let Some(first) = window.first() {
                self.place.reach(Seq(first.position));
            }
            match ended {
                Ended::Kept => {}
                Ended::Stopped => return false,
                Ended::Failed if patience.stop.is_cancelled() => return false,
                Ended::TooLarge if self.stand_in(&mut window) => {}
                Ended::TooLarge | Ended::Failed => {
                    self.rest(wait, patience);
                    wait = (wait * 2).min(RETRY_MAX);
                }
            }
        }
        if window.is_empty() {
            self.place.reach(end);
        }
        window.is_empty()
    }

    fn send(&mut self, window: &mut Vec<Outgoing>, patience: &Patience<'_>) -> Ended {
        let (store, shown, next) = (&self.store, &self.shown, self.place.next());
        // Others see how far behind it is while it waits here.
        let goes_on = || {
            let end = store.next_seq(LogId::JOURNAL, Partition::default());
            shown.note_behind(end.0.saturating_sub(next.0));
            patience.lasts()
        };
        self.producer.send(window, &goes_on)
    }

    /// Puts a short message in the place of one that is too large; false where it is short already.
    fn stand_in(&self, window: &mut [Outgoing]) -> bool {
        let Some(first) = window.first_mut() else { return false };
        let (topic, seq, bytes) = (&self.topic, first.position, first.value.len());
        let Some(short) = message::too_large(first) else {
            warn!(
                topic,
                seq, bytes, "not even a stand-in fits; raise the topic's max.message.bytes"
            );
            return false;
        };
        warn!(
            topic,
            seq,
            bytes,
            "a fact is too large for the topic, and a stand-in is published; raise the topic's max.message.bytes and \
             message.max.bytes of [kafka.publish] properties"
        );
        self.count("custos_kafka_publish_left_out_total", 1);
        *first = short;
        true
    }

    fn rest(&self, wait: Duration, patience: &Patience<'_>) {
        let began = Stopwatch::start();
        while began.secs() < wait.as_secs_f64() && !patience.stop.is_cancelled() {
            let last = self.store.last_commit();
            self.tell_behind();
            self.store.wait_after(last, LOOK_EVERY);
        }
    }
}
