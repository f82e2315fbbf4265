//! One idempotent producer at one partition: which batch comes next, and which ones came already.

use super::records::Sequenced;
use custos_event::ProducerEntry;
use kafka_protocol::ResponseError;
use std::collections::VecDeque;

/// Kafka's own number: a client keeps at most five requests in flight, so no older one comes again.
const REMEMBERED: usize = 5;

/// Sequence numbers are 31 bits and go on from 0 after the last one.
const WRAP: i32 = i32::MAX;

fn next_after(base: i32, records: i32) -> i32 {
    base.wrapping_add(records) & WRAP
}

/// A batch that is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Done {
    at: Sequenced,
    records: i32,
    offset: i64,
}

/// What is to happen with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict<T> {
    /// It is the next one.
    Next,
    /// It is durable already, at this offset.
    Stored(i64),
    /// It came before and is on its way to the disk.
    Flying(T),
    Refused(ResponseError),
}

/// `T` is whatever tells how a batch on its way ended.
#[derive(Clone, Debug)]
pub(crate) struct Producer<T> {
    epoch: i16,
    next: i32,
    /// Epoch and next number if everything on its way were lost.
    durable: (i16, i32),
    done: VecDeque<Done>,
    flying: VecDeque<(Sequenced, i32, T)>,
    /// When it was last heard of, in batches of its partition; the longest silent one is forgotten first.
    pub(crate) heard: u64,
}

impl<T: Clone> Producer<T> {
    /// A producer not heard of here, or long forgotten: any number may come first, as at Kafka.
    pub(crate) fn first_seen(at: Sequenced) -> Self {
        Self {
            epoch: at.epoch,
            next: at.base,
            durable: (at.epoch, at.base),
            done: VecDeque::new(),
            flying: VecDeque::new(),
            heard: 0,
        }
    }

    /// Takes in a batch that the store remembers; they come in the order they were stored.
    pub(crate) fn restore(&mut self, entry: &ProducerEntry) {
        let at =
            Sequenced { producer: entry.producer, epoch: entry.epoch, base: entry.base_sequence };
        self.remember(Done { at, records: entry.records, offset: entry.base_offset });
        (self.epoch, self.next) = self.durable;
    }

    /// What to do with a batch of `records` at `at`; changes nothing.
    pub(crate) fn judge(&self, at: Sequenced, records: i32) -> Verdict<T> {
        if let Some(done) = self.done.iter().find(|done| done.at == at && done.records == records) {
            return Verdict::Stored(done.offset);
        }
        let flying = self.flying.iter().find(|(known, count, _)| *known == at && *count == records);
        if let Some((_, _, outcome)) = flying {
            return Verdict::Flying(outcome.clone());
        }
        if at.epoch < self.epoch {
            return Verdict::Refused(ResponseError::InvalidProducerEpoch);
        }
        let expected = if at.epoch > self.epoch { 0 } else { self.next };
        let behind = expected.wrapping_sub(at.base) & WRAP;
        if behind == 0 {
            Verdict::Next
        } else if at.epoch == self.epoch && behind < WRAP / 2 {
            Verdict::Refused(ResponseError::DuplicateSequenceNumber)
        } else {
            Verdict::Refused(ResponseError::OutOfOrderSequenceNumber)
        }
    }

    /// Takes the next batch on its way.
    pub(crate) fn launch(&mut self, at: Sequenced, records: i32, outcome: T) {
        (self.epoch, self.next) = (at.epoch, next_after(at.base, records));
        self.flying.push_back((at, records, outcome));
    }

    /// The oldest batch on its way is durable.
    pub(crate) fn land(&mut self, at: Sequenced, records: i32, offset: i64) {
        self.flying.retain(|(flying, _, _)| *flying != at);
        self.remember(Done { at, records, offset });
    }

    fn remember(&mut self, done: Done) {
        self.durable = (done.at.epoch, next_after(done.at.base, done.records));
        self.done.push_back(done);
        if self.done.len() > REMEMBERED {
            self.done.pop_front();
        }
    }

    /// Everything on its way is lost; the client sends it again.
    pub(crate) fn lose_flying(&mut self) {
        self.flying.clear();
        (self.epoch, self.next) = self.durable;
    }

    pub(crate) fn is_flying(&self) -> bool {
        !self.flying.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: i16, base: i32) -> Sequenced {
        Sequenced { producer: 9, epoch, base }
    }

    /// A producer of which batches of ten, 0.. and 10.., are durable at offsets 100 and 110, and 20.. flies.
    fn producer() -> Producer<&'static str> {
        let mut producer = Producer::first_seen(at(0, 0));
        for (base, offset) in [(0, 100), (10, 110)] {
            assert_eq!(producer.judge(at(0, base), 10), Verdict::Next);
            producer.launch(at(0, base), 10, "");
            producer.land(at(0, base), 10, offset);
        }
        producer.launch(at(0, 20), 10, "outcome");
        producer
    }

    #[test]
    fn each_batch_is_known_for_what_it_is() {
        let refused = Verdict::Refused;
        for (epoch, base, records, verdict) in [
            (0, 30, 5, Verdict::Next),
            (0, 0, 10, Verdict::Stored(100)),
            (0, 10, 10, Verdict::Stored(110)),
            (0, 20, 10, Verdict::Flying("outcome")),
            (0, 20, 9, refused(ResponseError::DuplicateSequenceNumber)),
            (0, 40, 10, refused(ResponseError::OutOfOrderSequenceNumber)),
            (1, 0, 10, Verdict::Next),
            (1, 30, 10, refused(ResponseError::OutOfOrderSequenceNumber)),
        ] {
            assert_eq!(producer().judge(at(epoch, base), records), verdict, "{epoch}/{base}");
        }
        let mut newer = producer();
        newer.launch(at(1, 0), 1, "");
        let old = newer.judge(at(0, 30), 1);
        assert_eq!(old, refused(ResponseError::InvalidProducerEpoch));
    }

    #[test]
    fn what_followed_a_lost_batch_waits_until_that_one_comes_again() {
        let mut producer = producer();
        producer.launch(at(0, 30), 10, "later");
        producer.lose_flying();
        let later = producer.judge(at(0, 30), 10);
        assert_eq!(later, Verdict::Refused(ResponseError::OutOfOrderSequenceNumber));
        assert_eq!(producer.judge(at(0, 20), 10), Verdict::Next);
    }

    #[test]
    fn numbers_go_on_from_zero_after_the_last_one() {
        let mut producer = Producer::first_seen(at(0, i32::MAX - 1));
        producer.launch(at(0, i32::MAX - 1), 4, "");
        producer.land(at(0, i32::MAX - 1), 4, 0);
        assert_eq!(producer.judge(at(0, 2), 1), Verdict::Next);
        let old = producer.judge(at(0, i32::MAX), 1);
        assert_eq!(old, Verdict::Refused(ResponseError::DuplicateSequenceNumber));
    }

    #[test]
    fn a_restored_producer_knows_its_last_five_batches() {
        let mut producer: Producer<()> = Producer::first_seen(at(0, 0));
        for n in 0..7 {
            producer.restore(&ProducerEntry {
                topic: "t".into(),
                partition: 0,
                producer: 9,
                epoch: 0,
                base_sequence: n,
                records: 1,
                base_offset: i64::from(n) * 2,
            });
        }
        assert_eq!(producer.judge(at(0, 6), 1), Verdict::Stored(12));
        assert_eq!(producer.judge(at(0, 2), 1), Verdict::Stored(4));
        let old = producer.judge(at(0, 1), 1);
        assert_eq!(old, Verdict::Refused(ResponseError::DuplicateSequenceNumber));
        assert_eq!(producer.judge(at(0, 7), 1), Verdict::Next);
    }
}
