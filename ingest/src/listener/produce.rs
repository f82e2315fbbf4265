//! A Produce request: each partition's batch is read, given its offsets and put on its way to the disk.

use super::{
    Shared,
    answer::Produced,
    inflate::{bound, too_large},
    ledger::{Outcome, Taken, unknown_topic},
    login::Login,
    reader::TopicReader,
    records::{BATCH_BYTES_MAX, RecordBatch},
    refusal::Refusal,
    request::{ByTopic, Produce},
};
use bytes::Bytes;
use kafka_protocol::{ResponseError, protocol::StrBytes, records::Compression};
use std::{collections::HashMap, sync::Arc};
use tokio::{
    sync::OwnedSemaphorePermit,
    task::{JoinError, spawn_blocking},
};

/// A batch up to this size is decoded where it was received: about 20 events, 200 µs.
const INLINE_BYTES_MAX: usize = 8 << 10;

/// What a partition's batch came to, or what will tell.
pub(crate) enum Part {
    Done(Result<i64, Refusal>),
    Flying(Outcome),
}

/// The partitions of a request, in its order.
pub(crate) type Parts = ByTopic<(i32, Part)>;

/// One connection's readers, by topic. Only offered topics get one, so their number is bounded.
#[derive(Default)]
pub(crate) struct Readers(HashMap<StrBytes, TopicReader>);

impl Readers {
    /// Takes in a request; its batches keep their order. Fails only when a decoder has panicked.
    pub(crate) async fn produce(
        &mut self,
        shared: &Shared,
        login: &Login,
        request: Produce,
    ) -> Result<Parts, JoinError> {
        let mut parts = Vec::with_capacity(request.topics.len());
        for (topic, batches) in request.topics {
            let mut of_topic = Vec::with_capacity(batches.len());
            for (partition, records) in batches {
                let part = if request.transactional {
                    Err(Refusal::new(
                        ResponseError::TransactionalIdAuthorizationFailed,
                        "transactions are not offered here",
                    ))
                } else if !login.may_write(&topic) {
                    Err(Refusal::new(
                        ResponseError::TopicAuthorizationFailed,
                        format!(
                            "this user may not write topic '{topic}'; listener.users names the topics"
                        ),
                    ))
                } else {
                    self.take(shared, &topic, partition, records).await?
                };
                of_topic.push((partition, part.unwrap_or_else(|refusal| Part::Done(Err(refusal)))));
            }
            parts.push((topic, of_topic));
        }
        Ok(parts)
    }

    async fn take(
        &mut self,
        shared: &Shared,
        topic: &StrBytes,
        partition: i32,
        records: Option<Bytes>,
    ) -> Result<Result<Part, Refusal>, JoinError> {
        let offered = shared.ledger.next_offset(topic, partition).is_some();
        if !offered {
            return Ok(Err(unknown_topic(topic, partition)));
        }
        let batch = match RecordBatch::open(records.unwrap_or_default()) {
            Ok(batch) => batch,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let (max, room) = match room_for(shared, &batch).await {
            Ok(found) => found,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let mut reader = self.0.remove(topic).unwrap_or_else(|| reader(shared, topic));
        let received = shared.clock.now();
        let read = if batch.body.len() <= INLINE_BYTES_MAX && max <= INLINE_BYTES_MAX {
            reader.read(&batch, partition, max, received, room)
        } else {
            let read = spawn_blocking(move || {
                let read = reader.read(&batch, partition, max, received, room);
                (reader, read)
            });
            let (back, read) = read.await?;
            reader = back;
            read
        };
        self.0.insert(topic.clone(), reader);
        Ok(read.and_then(|draft| match shared.ledger.append(draft)? {
            Taken::Already(offset) => Ok(Part::Done(Ok(offset))),
            Taken::Flying(outcome) => Ok(Part::Flying(outcome)),
        }))
    }
}

fn reader(shared: &Shared, topic: &str) -> TopicReader {
    let source: Arc<str> = format!("listener:{topic}").into();
    let decoder = (shared.decoders)(&source);
    TopicReader::new(topic, source, decoder)
}

/// What an event takes beside its bytes and fields: header, and its place in vectors on its way.
const EVENT_BYTES: usize = 512;

/// A decoded event takes its bytes, once more as text, and a third time as a table of its values.
const DECODED_RATIO: usize = 3;

/// How far a batch may inflate, with room for its events. Nobody who waits here holds any of that room:
/// what holds it is in the ledger, on its way to the store.
async fn room_for(
    shared: &Shared,
    batch: &RecordBatch,
) -> Result<(usize, OwnedSemaphorePermit), Refusal> {
    let (len, largest) = (batch.body.len(), shared.config.batch_bytes_max.min(BATCH_BYTES_MAX));
    if len > largest {
        return Err(too_large(largest));
    }
    let plain = batch.codec == Compression::None;
    let max = if plain { len } else { bound(len, largest) };
    let records = usize::try_from(batch.records).unwrap_or_default();
    let events = DECODED_RATIO * max + EVENT_BYTES * records;
    let permits = events.min(shared.config.events_bytes_max);
    let permits = u32::try_from(permits).unwrap_or(u32::MAX);
    let room = Arc::clone(&shared.events).acquire_many_owned(permits).await;
    room.map(|room| (max, room)).map_err(|_| closing())
}

fn closing() -> Refusal {
    Refusal::new(ResponseError::NotEnoughReplicas, "the listener is closing")
}

/// Waits until every batch of a request is durable or refused.
pub(crate) async fn outcomes(parts: Parts) -> Produced {
    let mut produced = Vec::with_capacity(parts.len());
    for (topic, parts) in parts {
        let mut of_topic = Vec::with_capacity(parts.len());
        for (partition, part) in parts {
            of_topic.push((partition, outcome(part).await));
        }
        produced.push((topic, of_topic));
    }
    produced
}

async fn outcome(part: Part) -> Result<i64, Refusal> {
    let result = match part {
        Part::Done(result) => result,
        Part::Flying(mut outcome) => {
            let known = outcome.wait_for(Option::is_some).await;
            known.ok().and_then(|known| known.clone()).unwrap_or_else(|| Err(closing()))
        }
    };
    if let Err(refusal) = &result {
        let code = format!("{:?}", refusal.code);
        metrics::counter!("custos_listener_refused_total", "code" => code).increment(1);
    }
    result
}
