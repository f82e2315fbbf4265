//! Topics, their offsets and producers, and the batches on their way to the disk.
//!
//! One append to the store is on its way at a time; what arrives meanwhile joins the next. So offsets
//! rise in the order of the log, a refusal by the store undoes everything that followed, and a busy
//! listener still stores thousands of events with each sync.

use super::{
    config::{ListenerConfig, is_topic_name},
    records::Sequenced,
    refusal::Refusal,
    sequence::{Producer, Verdict},
};
use crate::{batch::Batch, counters::Tally};
use custos_event::{LogId, ParsedEvent, ProducerEntry, SourceRange, ValueRef, ecs};
use kafka_protocol::ResponseError;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{Notify, OwnedSemaphorePermit, watch};

/// The cluster name under which the listener's places are stored.
pub(crate) const CLUSTER: &str = "listener";

/// 1,000 producers of about 300 bytes a partition; a shipper makes a new one at each start. The longest
/// silent one is forgotten: a retry of its last batch would then be stored again.
const PRODUCERS_MAX: usize = 1_000;

/// An append is closed at 8,192 events or 4 MiB: some 30 ms of the store's work, of which its sync is a
/// third. One batch of a client may be larger, since it is stored whole or not at all.
const APPEND_EVENTS_MAX: usize = 8_192;
const APPEND_BYTES_MAX: usize = 4 << 20;

/// How a batch on its way ends: its first offset, or why it was not stored. `None` until then.
pub(crate) type Outcome = watch::Receiver<Option<Result<i64, Refusal>>>;

/// A batch that was read and waits for its offset.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) events: Vec<ParsedEvent>,
    pub(crate) producer: Option<Sequenced>,
    /// CRC-32C of the last record's key and value.
    pub(crate) last_digest: u32,
    pub(crate) source: Arc<str>,
    /// The memory its events take, of all that may be taken.
    pub(crate) room: OwnedSemaphorePermit,
}

/// What became of a draft.
#[derive(Debug)]
pub(crate) enum Taken {
    /// It was durable before, at this offset.
    Already(i64),
    Flying(Outcome),
}

/// A batch with its offset.
#[derive(Debug)]
struct Queued {
    draft: Draft,
    offset: i64,
    outcome: watch::Sender<Option<Result<i64, Refusal>>>,
}

/// What is left of a batch while the store has its events.
#[derive(Debug)]
pub(crate) struct Ticket {
    topic: Arc<str>,
    partition: i32,
    producer: Option<Sequenced>,
    records: i32,
    offset: i64,
    tally: Tally,
    outcome: watch::Sender<Option<Result<i64, Refusal>>>,
    room: OwnedSemaphorePermit,
}

#[derive(Default)]
struct Place {
    /// The next batch's offset, and what it were if everything on its way were lost.
    next: i64,
    durable_next: i64,
    producers: HashMap<i64, Producer<Outcome>>,
    batches: u64,
}

struct State {
    topics: HashMap<Arc<str>, Vec<Place>>,
    queue: VecDeque<Queued>,
    /// Set once: nothing more is taken, for this reason.
    closed: Option<Refusal>,
}

pub(crate) struct Ledger {
    state: Mutex<State>,
    queued: Notify,
    auto_create: bool,
    topics_max: usize,
}

impl Ledger {
    /// The ledger as the store remembers it.
    pub(crate) fn open(
        config: &ListenerConfig,
        sources: &[SourceRange],
        producers: &[ProducerEntry],
    ) -> Self {
        let mut topics: HashMap<Arc<str>, Vec<Place>> = HashMap::new();
        for (name, partitions) in &config.topics {
            topics.insert(name.as_str().into(), places(*partitions as usize));
        }
        for range in sources.iter().filter(|range| range.cluster == CLUSTER) {
            restore_offset(&mut topics, range, config.auto_create);
        }
        for entry in producers {
            restore_producer(&mut topics, entry);
        }
        let state = State { topics, queue: VecDeque::new(), closed: None };
        let (auto_create, topics_max) = (config.auto_create, config.topics_max);
        Self { state: Mutex::new(state), queued: Notify::new(), auto_create, topics_max }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every topic with its number of partitions.
    pub(crate) fn topics(&self) -> Vec<(Arc<str>, usize)> {
        let state = self.lock();
        state.topics.iter().map(|(name, places)| (Arc::clone(name), places.len())).collect()
    }

    /// How many partitions `name` has; it is made if it may be.
    pub(crate) fn partitions(&self, name: &str, may_create: bool) -> Result<usize, ResponseError> {
        let mut state = self.lock();
        if let Some(places) = state.topics.get(name) {
            return Ok(places.len());
        }
        if !is_topic_name(name) {
            return Err(ResponseError::InvalidTopicException);
        }
        if !(may_create && self.auto_create) || state.topics.len() >= self.topics_max {
            return Err(ResponseError::UnknownTopicOrPartition);
        }
        state.topics.insert(name.into(), places(1));
        Ok(1)
    }

    /// The offset that the next record of this partition gets.
    pub(crate) fn next_offset(&self, topic: &str, partition: i32) -> Option<i64> {
        place(&mut self.lock().topics, topic, partition).map(|place| place.durable_next)
    }

    /// Gives a batch its offsets and puts it in the queue, unless its producer has sent it before.
    pub(crate) fn append(&self, mut draft: Draft) -> Result<Taken, Refusal> {
        let mut state = self.lock();
        if let Some(refusal) = &state.closed {
            return Err(refusal.clone());
        }
        let State { topics, queue, .. } = &mut *state;
        let place = place(topics, &draft.topic, draft.partition)
            .ok_or_else(|| unknown_topic(&draft.topic, draft.partition))?;
        let records = i32::try_from(draft.events.len()).unwrap_or(i32::MAX);
        let (sender, outcome) = watch::channel(None);
        if let Some(at) = draft.producer {
            let producer = place.producer(at);
            match producer.judge(at, records) {
                Verdict::Next => producer.launch(at, records, outcome.clone()),
                Verdict::Stored(offset) => return Ok(Taken::Already(offset)),
                Verdict::Flying(outcome) => return Ok(Taken::Flying(outcome)),
                Verdict::Refused(code) => return Err(out_of_sequence(code, at)),
            }
        }
        let offset = place.next;
        place.next += i64::from(records);
        for (n, event) in (offset..).zip(&mut draft.events) {
            event.add(ecs::KAFKA_OFFSET, ValueRef::Int(n));
        }
        queue.push_back(Queued { draft, offset, outcome: sender });
        drop(state);
        self.queued.notify_one();
        Ok(Taken::Flying(outcome))
    }

    /// What is to be stored next, all of it in the log that `log_of` its sources; waits for it. `None` once the
    /// ledger is closed and empty.
    pub(crate) async fn next_append(
        &self,
        log_of: impl Fn(&str) -> LogId,
    ) -> Option<(Batch, Vec<Ticket>)> {
        loop {
            let (group, closed) = {
                let mut state = self.lock();
                (take_group(&mut state.queue, &log_of), state.closed.is_some())
            };
            if let Some((log, group)) = group {
                return Some(merge(log, group));
            }
            if closed {
                return None;
            }
            self.queued.notified().await;
        }
    }

    /// These batches are durable.
    pub(crate) fn settle(&self, tickets: Vec<Ticket>) {
        let mut state = self.lock();
        for ticket in tickets {
            if let Some(place) = place(&mut state.topics, &ticket.topic, ticket.partition) {
                place.durable_next = ticket.offset + i64::from(ticket.records);
                let producer = ticket.producer.and_then(|at| {
                    place.producers.get_mut(&at.producer).map(|producer| (at, producer))
                });
                if let Some((at, producer)) = producer {
                    producer.land(at, ticket.records, ticket.offset);
                }
            }
            ticket.tally.count();
            drop(ticket.room);
            ticket.outcome.send_replace(Some(Ok(ticket.offset)));
        }
    }

    /// The store did not take these batches: they and all that followed them are refused, and places and
    /// producers stand where the disk does.
    pub(crate) fn refuse(&self, tickets: Vec<Ticket>, refusal: &Refusal) {
        let mut state = self.lock();
        for place in state.topics.values_mut().flatten() {
            place.next = place.durable_next;
            place.producers.values_mut().for_each(Producer::lose_flying);
        }
        let outcomes = tickets.into_iter().map(|ticket| ticket.outcome);
        let queued = state.queue.drain(..).map(|queued| queued.outcome);
        for outcome in outcomes.chain(queued) {
            outcome.send_replace(Some(Err(refusal.clone())));
        }
    }

    /// Nothing more is taken; what is queued is still stored.
    pub(crate) fn close(&self, refusal: Refusal) {
        self.lock().closed.get_or_insert(refusal);
        self.queued.notify_one();
    }
}

impl Place {
    fn producer(&mut self, at: Sequenced) -> &mut Producer<Outcome> {
        if self.producers.len() >= PRODUCERS_MAX && !self.producers.contains_key(&at.producer) {
            let idle = self.producers.iter().filter(|(_, producer)| !producer.is_flying());
            let silent = idle.min_by_key(|(_, producer)| producer.heard).map(|(id, _)| *id);
            silent.and_then(|id| self.producers.remove(&id));
        }
        self.batches += 1;
        let producer =
            self.producers.entry(at.producer).or_insert_with(|| Producer::first_seen(at));
        producer.heard = self.batches;
        producer
    }
}

fn places(count: usize) -> Vec<Place> {
    (0..count.max(1)).map(|_| Place::default()).collect()
}

fn place<'t>(
    topics: &'t mut HashMap<Arc<str>, Vec<Place>>,
    topic: &str,
    partition: i32,
) -> Option<&'t mut Place> {
    topics.get_mut(topic)?.get_mut(usize::try_from(partition).ok()?)
}

fn restore_offset(
    topics: &mut HashMap<Arc<str>, Vec<Place>>,
    range: &SourceRange,
    auto_create: bool,
) {
    if auto_create && !topics.contains_key(range.topic.as_str()) {
        topics.insert(range.topic.as_str().into(), places(1));
    }
    if let Some(place) = place(topics, &range.topic, range.partition) {
        place.next = place.next.max(range.last.saturating_add(1));
        place.durable_next = place.next;
    }
}

fn restore_producer(topics: &mut HashMap<Arc<str>, Vec<Place>>, entry: &ProducerEntry) {
    let Some(place) = place(topics, &entry.topic, entry.partition) else { return };
    let base = entry.base_sequence;
    let at = Sequenced { producer: entry.producer, epoch: entry.epoch, base };
    place.producer(at).restore(entry);
}

pub(crate) fn unknown_topic(topic: &str, partition: i32) -> Refusal {
    Refusal::new(
        ResponseError::UnknownTopicOrPartition,
        format!(
            "partition {partition} of topic '{topic}' is not offered by this listener; name the topic in \
             listener.topics or set listener.auto_create"
        ),
    )
}

fn out_of_sequence(code: ResponseError, at: Sequenced) -> Refusal {
    let Sequenced { producer, epoch, base } = at;
    let text =
        format!("producer {producer} in epoch {epoch} is not expected to send number {base}");
    Refusal::new(code, text)
}

/// The first of the queue, and those behind it that go to the same log.
fn take_group(
    queue: &mut VecDeque<Queued>,
    log_of: &impl Fn(&str) -> LogId,
) -> Option<(LogId, Vec<Queued>)> {
    let log = log_of(&queue.front()?.draft.source);
    let (mut events, mut bytes) = (0, 0);
    let mut group = Vec::new();
    while let Some(next) = queue.front().filter(|next| log_of(&next.draft.source) == log) {
        events += next.draft.events.len();
        bytes += next.draft.events.iter().map(|event| event.raw.len()).sum::<usize>();
        if !group.is_empty() && (events > APPEND_EVENTS_MAX || bytes > APPEND_BYTES_MAX) {
            break;
        }
        group.extend(queue.pop_front());
    }
    Some((log, group))
}

fn merge(log: LogId, group: Vec<Queued>) -> (Batch, Vec<Ticket>) {
    let mut batch = Batch::new(log, Vec::new());
    let mut tickets = Vec::with_capacity(group.len());
    for Queued { draft, offset, outcome } in group {
        let Draft { topic, partition, events, producer, last_digest, source, room } = draft;
        let records = i32::try_from(events.len()).unwrap_or(i32::MAX);
        let last = offset + i64::from(records) - 1;
        extend_range(&mut batch.sources, &topic, partition, (offset, last), last_digest);
        batch.producers.extend(producer.map(|at| ProducerEntry {
            topic: topic.to_string(),
            partition,
            producer: at.producer,
            epoch: at.epoch,
            base_sequence: at.base,
            records,
            base_offset: offset,
        }));
        let tally = Tally::of(source, &events);
        if batch.events.is_empty() {
            batch.events = events;
        } else {
            batch.events.extend(events);
        }
        tickets.push(Ticket { topic, partition, producer, records, offset, tally, outcome, room });
    }
    (batch, tickets)
}

fn extend_range(
    ranges: &mut Vec<SourceRange>,
    topic: &str,
    partition: i32,
    (first, last): (i64, i64),
    last_digest: u32,
) {
    let same = |range: &&mut SourceRange| range.topic == topic && range.partition == partition;
    match ranges.iter_mut().find(same) {
        Some(range) => (range.last, range.last_digest) = (last, last_digest),
        None => ranges.push(SourceRange {
            cluster: CLUSTER.to_owned(),
            topic: topic.to_owned(),
            partition,
            epoch: 0,
            first,
            last,
            last_digest,
        }),
    }
}
