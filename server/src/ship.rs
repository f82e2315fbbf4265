//! An idempotent Kafka producer that counts what was acknowledged: for loads and the demo.

use crate::exit::Failure;
use anyhow::Context as _;
use rdkafka::{
    ClientConfig, ClientContext,
    config::FromClientConfigAndContext as _,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// Longer than librdkafka tries a record (`message.timeout.ms`, five minutes): by then each was taken or has failed.
const FLUSH: Duration = Duration::from_secs(310);

/// Counts what the broker has acknowledged.
#[derive(Clone, Default)]
struct Deliveries {
    delivered: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
    stop: CancellationToken,
}

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        // A listener of this very process ends with it, and that is no trouble.
        if !self.stop.is_cancelled() {
            warn!(%error, reason, "shipping is held up");
        }
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let count = if result.is_ok() { &self.delivered } else { &self.failed };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// A producer and its counts.
pub(crate) struct Shipper {
    producer: ThreadedProducer<Deliveries>,
    deliveries: Deliveries,
}

impl Shipper {
    /// Gathers records for `linger_millis` before it sends them. After `stop` trouble is not told any more.
    pub(crate) fn new(
        brokers: &str,
        codec: &str,
        linger_millis: u32,
        stop: CancellationToken,
    ) -> Result<Self, Failure> {
        let deliveries = Deliveries { stop, ..Deliveries::default() };
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", brokers)
            .set("enable.idempotence", "true")
            .set("compression.type", codec)
            .set("linger.ms", linger_millis.to_string())
            .set("batch.num.messages", "2000");
        let producer = ThreadedProducer::from_config_and_context(&config, deliveries.clone())
            .with_context(|| format!("cannot ship to {brokers}"))
            .map_err(Failure::usage)?;
        Ok(Self { producer, deliveries })
    }

    /// Hands a record over; waits while the producer's queue is full: then the server sets the pace.
    pub(crate) fn send(&self, topic: &str, line: &str) -> Result<(), Failure> {
        let mut record = BaseRecord::<(), str>::to(topic).payload(line);
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err((error, _)) => {
                    let error = anyhow::Error::new(error).context("cannot ship an event");
                    return Err(Failure::input(error));
                }
            }
        }
    }

    /// Waits until everything sent so far was acknowledged.
    pub(crate) fn flush(&self) -> Result<(), Failure> {
        let late = || format!("not everything was acknowledged within {} s", FLUSH.as_secs());
        self.producer.flush(FLUSH).with_context(late).map_err(Failure::input)
    }

    pub(crate) fn delivered(&self) -> u64 {
        self.deliveries.delivered.load(Ordering::Relaxed)
    }

    pub(crate) fn failed(&self) -> u64 {
        self.deliveries.failed.load(Ordering::Relaxed)
    }
}
