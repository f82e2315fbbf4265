//! Where a partition is begun that was never read, and where each was begun.

use super::{
    config::ConsumerConfig,
    place::{Marks, Named, Place, Resumed},
    session::Session,
    topics::ByTopic,
};
use custos_event::Timestamp;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaResult,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Where a partition is begun that was never read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Start {
    #[default]
    Earliest,
    /// Until its first record is stored, a restart begins at the end again.
    Latest,
    /// With the first record that the broker has as of then or later.
    At(Timestamp),
    /// With this offset, in each partition.
    Offset(i64),
    /// With a partition's own offset; the others with their first.
    Offsets(BTreeMap<i32, i64>),
}

impl std::str::FromStr for Start {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "earliest" => Ok(Self::Earliest),
            "latest" => Ok(Self::Latest),
            time => time.parse().map(Self::At).map_err(|_| {
                format!(
                    "'{time}' is none of earliest, latest, a time as 2026-11-01T00:00:00Z and an offset, which is a \
                     number"
                )
            }),
        }
    }
}

/// What is wanted, and where partitions were begun. Lives as long as the process: a rebalance, or a client made anew, finds
/// the end of a partition elsewhere than it was when reading began; what came between would be passed over. One entry for
/// each partition that was begun.
pub(crate) struct Starts {
    usual: Start,
    others: ByTopic<Start>,
    /// By cluster, topic and partition.
    begun: Mutex<HashMap<(String, String, i32), Place>>,
}

impl Starts {
    pub(crate) fn new(config: &ConsumerConfig) -> Self {
        let (usual, others) = (config.start.clone(), config.starts.clone());
        Self { usual, others, begun: Mutex::default() }
    }

    /// Where a partition was begun; what counts as long as nothing of it is stored.
    pub(crate) fn begun(&self, of: Named<'_>) -> Option<Place> {
        self.lock().get(&key(of)).copied()
    }

    pub(crate) fn note(&self, of: Named<'_>, place: Place) {
        self.lock().insert(key(of), place);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String, i32), Place>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How a partition is begun that was never read. An offset that the broker no longer has is told as a gap.
    pub(crate) fn begin(
        &self,
        consumer: &BaseConsumer<Session>,
        marks: Marks,
        of: Named<'_>,
        limit: Duration,
    ) -> KafkaResult<Resumed> {
        let start = self.others.of(of.topic).unwrap_or(&self.usual);
        let from = match start {
            Start::Earliest => marks.low,
            Start::Latest => marks.high,
            Start::At(time) => at_time(consumer, *time, marks, of, limit)?,
            Start::Offset(offset) => return Ok(at_offset(*offset, marks, of)),
            Start::Offsets(offsets) => match offsets.get(&of.partition) {
                Some(offset) => return Ok(at_offset(*offset, marks, of)),
                None => marks.low,
            },
        };
        Ok(Place::begin(from))
    }
}

fn key(of: Named<'_>) -> (String, String, i32) {
    (of.cluster.to_owned(), of.topic.to_owned(), of.partition)
}

fn at_offset(offset: i64, marks: Marks, of: Named<'_>) -> Resumed {
    if offset > marks.high {
        let Named { topic, partition, .. } = of;
        let end = marks.high;
        tracing::warn!(
            topic,
            partition,
            offset,
            end,
            "a Kafka partition ends before the offset at which it is to be begun; begun at its end"
        );
    }
    Place::begin(offset).place.resume(marks, of)
}

fn at_time(
    consumer: &BaseConsumer<Session>,
    time: Timestamp,
    marks: Marks,
    of: Named<'_>,
    limit: Duration,
) -> KafkaResult<i64> {
    let mut asked = TopicPartitionList::new();
    asked.add_partition_offset(of.topic, of.partition, Offset::Offset(time.as_millis()))?;
    let found = consumer.offsets_for_times(asked, limit)?;
    let Some(found) = found.elements().first().map(|one| (one.error(), one.offset())) else {
        return Ok(marks.low);
    };
    found.0?;
    // Without one that late, the broker answers with the end.
    let Offset::Offset(from) = found.1 else { return Ok(marks.high) };
    Ok(from.clamp(marks.low, marks.high))
}

#[cfg(test)]
mod tests {
    use super::*;
    use custos_event::Fact;

    #[test]
    fn a_start_is_an_end_or_a_time() {
        assert_eq!("latest".parse(), Ok(Start::Latest));
        let time = Start::At(Timestamp::from_secs(1_793_491_200));
        assert_eq!("2026-11-01T00:00:00Z".parse(), Ok(time));
        let error = "yesterday".parse::<Start>().unwrap_err();
        assert!(error.contains("'yesterday'") && error.contains("earliest"), "{error}");
    }

    #[test]
    fn an_offset_that_is_gone_is_a_gap_told_once_and_one_to_come_is_the_end() {
        let doors = Named { cluster: "c", topic: "doors", partition: 2 };
        let marks = Marks { low: 100, high: 200 };
        let begin = |offset| at_offset(offset, marks, doors);
        assert_eq!((begin(150).from, begin(150).fact), (150, None));
        assert_eq!((begin(900).from, begin(900).fact), (200, None));
        let gone = begin(7);
        assert!(matches!(gone.fact, Some(Fact::SourceGapSeen { expected: 7, found: 100, .. })));
        let again = gone.place.resume(marks, doors);
        assert_eq!((again.from, again.fact), (100, None));
    }
}
