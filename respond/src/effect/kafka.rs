//! One message to a Kafka topic, by an idempotent producer, and the broker's word that it is kept.

use super::{EffectError, Order, chain, done, failed, unknown};
use custos_event::respond::{Answer, Message};
use rdkafka::{
    ClientConfig, ClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, Message as _, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext},
};
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::Duration,
};

/// How often librdkafka is asked for the broker's word.
const POLL: Duration = Duration::from_millis(20);

/// The cluster that messages go to, as configured.
#[derive(Clone, Debug)]
pub struct Kafka {
    pub brokers: String,
    /// Passed on to librdkafka as they are.
    pub properties: BTreeMap<String, String>,
}

type Delivered = Result<(i32, i64), KafkaError>;

struct Delivery;

impl ClientContext for Delivery {}

impl ProducerContext for Delivery {
    type DeliveryOpaque = Arc<SyncSender<Delivered>>;

    fn delivery(&self, result: &DeliveryResult<'_>, told: Self::DeliveryOpaque) {
        let delivered = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error.clone()),
        };
        // Nobody waits any more where the time was up; the answer was "unknown" then.
        drop(told.try_send(delivered));
    }
}

pub(super) struct Producer(BaseProducer<Delivery>);

impl Producer {
    pub(super) fn new(kafka: &Kafka) -> Result<Self, EffectError> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &kafka.brokers);
        config.set("client.id", "custos-respond");
        for (key, value) in &kafka.properties {
            config.set(key, value);
        }
        config.set("enable.idempotence", "true");
        config.set("acks", "all");
        let producer = config.create_with_context(Delivery);
        producer.map(Self).map_err(|error| EffectError::Kafka(chain(&error)))
    }

    pub(super) fn perform(&self, message: &Message, order: Order<'_>) -> Answer {
        let payload = match serde_json::to_vec(&message.json) {
            Ok(payload) => payload,
            Err(error) => return failed(error.to_string()),
        };
        let idempotency = order.key.to_string();
        let key = message.key.as_deref().unwrap_or(&idempotency);
        let (told, delivered) = sync_channel(1);
        let headers = OwnedHeaders::new()
            .insert(Header { key: "idempotency-key", value: Some(idempotency.as_str()) });
        let record = BaseRecord::with_opaque_to(&message.topic, Arc::new(told))
            .key(key)
            .payload(&payload)
            .headers(headers);
        if let Err((error, _)) = self.0.send(record) {
            return failed(chain(&error));
        }
        self.wait(&delivered, order.timeout)
    }

    fn wait(&self, delivered: &Receiver<Delivered>, timeout: Duration) -> Answer {
        let mut left = timeout;
        loop {
            self.0.poll(Duration::ZERO);
            match delivered.recv_timeout(POLL) {
                Ok(Ok((partition, offset))) => {
                    return done(json!({"partition": partition, "offset": offset}));
                }
                Ok(Err(error)) if never_left(&error) => return failed(chain(&error)),
                Ok(Err(error)) => return unknown(chain(&error)),
                Err(RecvTimeoutError::Disconnected) => return unknown("the producer gave it up"),
                Err(RecvTimeoutError::Timeout) => {}
            }
            left = left.saturating_sub(POLL);
            if left.is_zero() {
                return unknown(format!(
                    "no word from Kafka within {} s; it may still arrive",
                    timeout.as_secs()
                ));
            }
        }
    }
}

/// Errors that say that no broker has it.
fn never_left(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::MessageSizeTooLarge
                | RDKafkaErrorCode::TopicAuthorizationFailed
        )
    )
}

impl Drop for Producer {
    /// What still waits has been called unknown already; it is not sent behind everybody's back.
    fn drop(&mut self) {
        self.0.purge(rdkafka::producer::PurgeConfig::default().queue().inflight());
    }
}
