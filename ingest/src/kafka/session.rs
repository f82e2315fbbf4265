//! One membership in the group: what librdkafka calls back into, and what is read but not yet handed on.

use super::{
    anew::MadeAnew,
    flight::Flight,
    gather::{At, Gathered},
    paused::Paused,
    place::{Marks, Named, Place, Resumed, Seen},
    shown::Shown,
    start::Starts,
    trouble::{self, About, Trouble, Way},
};
use crate::{
    decoding::{Decode, Decoders},
    origin,
};
use bytes::{Bytes, BytesMut};
use custos_event::{Clock, Fact, LogId, SourceRange, ValueRef, ecs};
use rdkafka::{
    ClientContext, Message, Offset, Statistics, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext},
    error::{KafkaError, KafkaResult},
    message::BorrowedMessage,
    types::RDKafkaRespErr,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

/// For one question to a broker that is up; a rebalance asks one for each partition.
const BROKER_LIMIT: Duration = Duration::from_secs(10);

/// How long a rebalance waits for the store: well below `max.poll.interval.ms` (300 s), after which the
/// group would take the partitions anyway.
const DRAIN_LIMIT: Duration = Duration::from_mins(1);

/// Values are copied into blocks of this size: one allocation for about a thousand events.
const ARENA_BYTES: usize = 1 << 20;

/// A partition by its topic's name.
pub(crate) type Partition = (String, i32);

/// What the world outside gives a session.
pub(crate) struct Outside {
    pub(crate) decoders: Decoders,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) facts: Arc<dyn Fn(Fact) + Send + Sync>,
    pub(crate) shown: Shown,
    pub(crate) paused: Arc<Paused>,
    /// The store's last ranges.
    pub(crate) stored: Box<dyn Fn() -> Vec<SourceRange> + Send + Sync>,
    /// The log that keeps a source.
    pub(crate) log_of: Box<dyn Fn(&str) -> LogId + Send + Sync>,
    pub(crate) starts: Starts,
}

pub(crate) struct Session {
    outside: Arc<Outside>,
    flight: Arc<Flight>,
    cluster: OnceLock<String>,
    made_anew: MadeAnew,
    reading: Mutex<Reading>,
}

#[derive(Default)]
struct Reading {
    topics: HashMap<String, Topic>,
    /// For each log what is not handed on yet.
    gathered: BTreeMap<LogId, Gathered>,
    arena: BytesMut,
}

struct Topic {
    source: Arc<str>,
    log: LogId,
    decoder: Box<dyn Decode>,
    places: HashMap<i32, Place>,
    /// Where partitions that somebody has paused end, as far as it was asked: their lag.
    ends: HashMap<i32, i64>,
}

impl Session {
    pub(crate) fn new(outside: Arc<Outside>, flight: Arc<Flight>) -> Self {
        let (cluster, made_anew) = (OnceLock::new(), MadeAnew::default());
        Self { outside, flight, cluster, made_anew, reading: Mutex::default() }
    }

    /// Said once, before the group is joined.
    pub(crate) fn set_cluster(&self, id: String) {
        self.cluster.get_or_init(|| id);
    }

    fn cluster(&self) -> &str {
        self.cluster.get().map_or("", String::as_str)
    }

    fn lock(&self) -> MutexGuard<'_, Reading> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_ill(&self, trouble: &Trouble) {
        if self.outside.shown.note_ill(trouble, self.outside.clock.now()) {
            tracing::warn!(trouble = trouble.text, "reading Kafka");
        }
    }

    /// Takes one message in. Gives the partition back where other bytes stand at a stored offset.
    pub(crate) fn take(&self, message: &BorrowedMessage<'_>) -> Option<Partition> {
        let (topic, partition) = (message.topic(), message.partition());
        let mut reading = self.lock();
        let Reading { topics, gathered, arena } = &mut *reading;
        let reader = topics.get_mut(topic)?;
        let place = reader.places.get_mut(&partition)?;
        let digest = origin::digest(message.key(), message.payload());
        match place.see(message.offset(), digest) {
            Seen::Known => return None,
            Seen::Other => return Some((topic.to_owned(), partition)),
            Seen::New => {}
        }
        self.outside.shown.note_well(About::Topics);
        let received = self.outside.clock.now();
        let mut event = match message.payload() {
            Some(value) => reader.decoder.decode(copy(arena, value), received),
            None => origin::tombstone(&reader.source, received),
        };
        event.header.source = Arc::clone(&reader.source);
        origin::place(&mut event, topic, partition, message.key());
        event.add(ecs::KAFKA_OFFSET, ValueRef::Int(message.offset()));
        let (cluster, epoch, offset) = (self.cluster(), place.epoch, message.offset());
        let log = reader.log;
        let gathered = gathered.entry(log).or_insert_with(|| Gathered::new(log));
        gathered.push(At { cluster, topic, partition, epoch, offset, digest }, event);
        None
    }

    /// Events and bytes gathered so far.
    pub(crate) fn gathered(&self) -> (usize, usize) {
        let reading = self.lock();
        let all = reading.gathered.values();
        all.fold((0, 0), |(n, bytes), one| (n + one.batch.events.len(), bytes + one.bytes))
    }

    /// Hands the gathered batches on; false where there is no room for one of them yet.
    pub(crate) fn flush(&self) -> bool {
        let mut reading = self.lock();
        while let Some((log, next)) = reading.gathered.pop_first() {
            if let Err(back) = self.flight.offer(next) {
                reading.gathered.insert(log, back);
                return false;
            }
        }
        true
    }

    /// Forgets what is gathered: it is read again from what is stored.
    pub(crate) fn discard(&self) {
        self.lock().gathered.clear();
    }

    /// Hands everything on and waits until it is durable; what could not be is dropped and read again.
    pub(crate) fn drain(&self, limit: Duration) -> bool {
        const STEP: Duration = Duration::from_millis(100);
        let mut left = limit;
        while self.flight.halt().is_none() && !left.is_zero() && !self.flush() {
            self.flight.wait_change(STEP);
            left = left.saturating_sub(STEP);
        }
        let drained = self.flight.wait_idle(left) && self.gathered().0 == 0;
        self.discard();
        drained
    }

    /// Where to read these partitions from; remembers their places and tells what is to be told.
    fn open(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &[Partition],
        is_other: &dyn Fn(&str, i32) -> bool,
    ) -> KafkaResult<TopicPartitionList> {
        let stored = (self.outside.stored)();
        let mut reading = self.lock();
        let mut list = TopicPartitionList::new();
        for (topic, partition) in partitions {
            let named = Named { cluster: self.cluster(), topic, partition: *partition };
            let reader = reading.topics.entry(topic.clone()).or_insert_with(|| self.topic(topic));
            let known = latest(&stored, named).map(Place::stored);
            let before = known.or_else(|| self.outside.starts.begun(named));
            let marks = consumer.fetch_watermarks(topic, *partition, BROKER_LIMIT);
            let (place, from) = match (marks, before) {
                (Ok((low, high)), before) => {
                    let marks = Marks { low, high };
                    let resumed = match before {
                        Some(before) if is_other(topic, *partition) => before.other(marks, named),
                        Some(before) => before.resume(marks, named),
                        None => self.outside.starts.begin(consumer, marks, named, BROKER_LIMIT)?,
                    };
                    self.tell(topic, resumed)
                }
                (Err(error), Some(before)) => {
                    tracing::warn!(topic, partition, %error, "no offsets from the broker");
                    let (place, from) = Place::resume_blind(before);
                    (place, Offset::Offset(from))
                }
                (Err(error), None) => return Err(error),
            };
            if known.is_none() {
                self.outside.starts.note(named, place);
            }
            reader.places.insert(*partition, place);
            list.add_partition_offset(topic, *partition, from)?;
        }
        Ok(list)
    }

    fn tell(&self, topic: &str, resumed: Resumed) -> (Place, Offset) {
        let Resumed { place, from, fact } = resumed;
        if let Some(fact) = fact {
            tracing::error!(?fact, "a Kafka partition is not what it was");
            let anew = matches!(fact, Fact::SourceEpochOpened { .. });
            let labels = [
                ("topic", topic.to_owned()),
                ("kind", if anew { "new_epoch" } else { "gap" }.into()),
            ];
            metrics::counter!("custos_kafka_anomalies_total", &labels).increment(1);
            (self.outside.facts)(fact);
        }
        (place, Offset::Offset(from))
    }

    fn topic(&self, name: &str) -> Topic {
        let source: Arc<str> = format!("kafka:{name}").into();
        let decoder = (self.outside.decoders)(&source);
        let log = (self.outside.log_of)(&source);
        Topic { source, log, decoder, places: HashMap::new(), ends: HashMap::new() }
    }

    /// Topics that were made anew since this was last asked.
    pub(crate) fn made_anew(&self) -> BTreeSet<String> {
        self.made_anew.take()
    }

    /// Reads what is assigned again, from what is stored; what `is_other` now, from its very beginning.
    pub(crate) fn reopen(
        &self,
        consumer: &BaseConsumer<Self>,
        is_other: &dyn Fn(&str, i32) -> bool,
    ) -> KafkaResult<()> {
        let assigned = consumer.assignment()?;
        let partitions = names(&assigned);
        let list = self.open(consumer, &partitions, is_other)?;
        consumer.assign(&list)?;
        self.read_on(consumer, &list)
    }

    pub(crate) fn paused(&self) -> &Paused {
        &self.outside.paused
    }

    /// Reads these partitions, but what somebody has paused.
    pub(crate) fn read_on(
        &self,
        consumer: &BaseConsumer<Self>,
        assigned: &TopicPartitionList,
    ) -> KafkaResult<()> {
        let (mut paused, mut read) = (TopicPartitionList::new(), TopicPartitionList::new());
        let mut reading = self.lock();
        for (topic, partition) in names(assigned) {
            // Each was opened when it was assigned.
            let Some(reader) = reading.topics.get_mut(&topic) else { continue };
            if self.outside.paused.has(&reader.source) {
                paused.add_partition(&topic, partition);
            } else {
                reader.ends.remove(&partition);
                read.add_partition(&topic, partition);
            }
        }
        drop(reading);
        consumer.pause(&paused)?;
        consumer.resume(&read)
    }

    /// Asks where the partitions end that somebody has paused: nobody is told with what they no longer fetch.
    pub(crate) fn ask_ends(&self, consumer: &BaseConsumer<Self>, limit: Duration) {
        let mut asked = TopicPartitionList::new();
        for (name, topic) in &self.lock().topics {
            if self.outside.paused.has(&topic.source) {
                for partition in topic.places.keys() {
                    if asked.add_partition_offset(name, *partition, Offset::End).is_err() {
                        return;
                    }
                }
            }
        }
        if asked.count() == 0 {
            return;
        }
        match consumer.offsets_for_times(asked, limit) {
            Ok(ends) => self.note_ends(&ends),
            Err(error) => tracing::debug!(%error, "Kafka did not say where its partitions end"),
        }
    }

    fn note_ends(&self, ends: &TopicPartitionList) {
        let mut reading = self.lock();
        for end in ends.elements() {
            if let (Offset::Offset(at), Some(topic)) =
                (end.offset(), reading.topics.get_mut(end.topic()))
            {
                topic.ends.insert(end.partition(), at);
            }
        }
    }

    /// Tells Kafka how far Custos is, for its lag display; Custos itself never reads it back.
    pub(crate) fn show_progress(&self, consumer: &BaseConsumer<Self>, mode: CommitMode) {
        let durable = self.flight.take_durable();
        let mut list = TopicPartitionList::new();
        {
            let reading = self.lock();
            for ((topic, partition), next) in durable {
                let mine =
                    reading.topics.get(&topic).is_some_and(|t| t.places.contains_key(&partition));
                if mine
                    && list.add_partition_offset(&topic, partition, Offset::Offset(next)).is_err()
                {
                    return;
                }
            }
        }
        if list.count() > 0
            && let Err(error) = consumer.commit(&list, mode)
        {
            tracing::debug!(%error, "Kafka did not take the offsets for its lag display");
        }
    }

    fn assign(&self, consumer: &BaseConsumer<Self>, assigned: &TopicPartitionList) {
        let partitions = names(assigned);
        // What is still on its way would be read a second time from what is stored now.
        if !self.flight.wait_idle(BROKER_LIMIT) {
            tracing::error!("the store does not finish what was read; Kafka partitions not taken");
            return self.refuse(consumer);
        }
        let opened = self.open(consumer, &partitions, &|_, _| false).and_then(|list| {
            consumer.assign(&list)?;
            self.read_on(consumer, &list)
        });
        match opened {
            Ok(()) => {
                self.outside.shown.note_well(About::Group);
                tracing::info!(partitions = partitions.len(), "Kafka partitions assigned");
            }
            Err(error) => {
                tracing::error!(%error, "Kafka partitions could not be opened; giving them back");
                self.refuse(consumer);
            }
        }
    }

    fn refuse(&self, consumer: &BaseConsumer<Self>) {
        self.flight.want_restart();
        give_back(consumer);
    }

    fn revoke(&self, consumer: &BaseConsumer<Self>) {
        let lost = consumer.assignment_lost();
        if !self.drain(DRAIN_LIMIT) {
            tracing::warn!("events in flight at a Kafka rebalance were dropped, to be read again");
        }
        if !lost {
            self.show_progress(consumer, CommitMode::Sync);
        }
        self.lock().topics.values_mut().for_each(|topic| topic.places.clear());
        tracing::info!(lost, "Kafka partitions given back");
        give_back(consumer);
    }
}

fn give_back(consumer: &BaseConsumer<Session>) {
    if let Err(error) = consumer.unassign() {
        tracing::warn!(%error, "Kafka partitions could not be given back");
    }
}

fn names(list: &TopicPartitionList) -> Vec<Partition> {
    list.elements().iter().map(|e| (e.topic().to_owned(), e.partition())).collect()
}

/// The last range of a partition, in its latest epoch.
fn latest<'s>(stored: &'s [SourceRange], of: Named<'_>) -> Option<&'s SourceRange> {
    let mine = stored.iter().filter(|range| {
        range.partition == of.partition && range.topic == of.topic && range.cluster == of.cluster
    });
    mine.max_by_key(|range| (range.epoch, range.last))
}

fn copy(arena: &mut BytesMut, value: &[u8]) -> Bytes {
    if arena.capacity() < value.len() {
        arena.reserve(value.len().max(ARENA_BYTES));
    }
    arena.extend_from_slice(value);
    arena.split().freeze()
}

impl ConsumerContext for Session {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        kind: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        if kind == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.assign(consumer, partitions);
        } else {
            self.revoke(consumer);
        }
    }
}

/// What a client has to say, in Custos' own log.
pub(crate) fn log_line(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning => tracing::warn!(facility, message, "librdkafka"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
            tracing::debug!(facility, message, "librdkafka");
        }
    }
}

impl ClientContext for Session {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.made_anew.note(facility, message);
        if let Some(trouble) = trouble::of_line(facility, message, Way::Reads) {
            self.note_ill(&trouble);
        }
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let Some(trouble) = trouble::of(&error, reason, Way::Reads) else {
            tracing::warn!(%error, reason, "Kafka connection");
            return;
        };
        self.note_ill(&trouble);
    }

    fn stats(&self, statistics: Statistics) {
        let reading = self.lock();
        let mut lags = BTreeMap::new();
        for (name, topic) in &reading.topics {
            let Some(shown) = statistics.topics.get(name) else { continue };
            for (partition, place) in &topic.places {
                let Some(high) = shown.partitions.get(partition).map(|p| p.hi_offset) else {
                    continue;
                };
                let high = topic.ends.get(partition).map_or(high, |end| high.max(*end));
                // Negative where the broker has not said yet.
                if high < 0 {
                    continue;
                }
                let lag = high.saturating_sub(place.next).max(0).unsigned_abs();
                *lags.entry(Arc::clone(&topic.source)).or_default() += lag;
                let labels = [("topic", name.clone()), ("partition", partition.to_string())];
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "a gauge; exact up to 2^53 records"
                )]
                metrics::gauge!("custos_kafka_lag", &labels).set(lag as f64);
            }
        }
        self.outside.shown.lags.replace(lags);
        if statistics.brokers.values().any(|broker| broker.state == "UP") {
            self.outside.shown.note_well(About::Connection);
        }
    }
}
