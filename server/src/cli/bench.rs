//! `custos bench`: loads for measuring, with figures.

use crate::{
    clock::{Stopwatch, SystemClock},
    exit::{CommandResult, Failure, Outcome},
    generate::Generator,
    output::Output,
};
use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};
use custos_event::Clock as _;
use rdkafka::{
    ClientConfig, ClientContext,
    config::FromClientConfigAndContext as _,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer},
};
use serde::Serialize;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

#[derive(Subcommand)]
pub(super) enum Bench {
    /// Write made events to a file or stdout, one a line.
    Generate(Generate),
    /// Ship made events over Kafka's protocol at a steady rate.
    Ship(Ship),
}

#[derive(Args)]
pub(super) struct Generate {
    /// How many events.
    #[arg(long, default_value_t = 10_000)]
    events: u64,
    /// The same seed makes the same events.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Args)]
pub(super) struct Ship {
    /// The listener's or cluster's address; on this machine only.
    #[arg(long, default_value = "127.0.0.1:9092")]
    brokers: String,
    /// Events a second.
    #[arg(long, default_value_t = 15_000)]
    rate: u64,
    /// For how long; an hour at most.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// none, gzip, snappy, lz4 or zstd.
    #[arg(long, default_value = "lz4")]
    codec: String,
    /// The same seed makes the same events.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Bench {
    pub(super) fn run(self) -> CommandResult {
        match self {
            Self::Generate(generate) => generate.run(),
            Self::Ship(ship) => ship.run(),
        }
    }
}

impl Generate {
    fn run(self) -> CommandResult {
        let mut generator = Generator::new(self.seed);
        let mut output = Output::new();
        let start = SystemClock.now().plus_secs(-3_600);
        for nth in 0..self.events {
            let secs = nth.saturating_mul(3_600) / self.events.max(1);
            let (_, line) = generator.next(start.plus_secs(i64::try_from(secs).unwrap_or(0)));
            output.raw(&line)?;
            output.raw("\n")?;
        }
        output.flush()?;
        Ok(Outcome::Done)
    }
}

/// Counts what the broker has acknowledged.
#[derive(Clone, Default)]
struct Deliveries {
    delivered: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let count = if result.is_ok() { &self.delivered } else { &self.failed };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Serialize)]
struct Shipped {
    sent: u64,
    delivered: u64,
    failed: u64,
    bytes: u64,
    seconds: f64,
    events_per_second: f64,
}

impl Ship {
    fn run(self) -> CommandResult {
        self.check_loopback()?;
        let deliveries = Deliveries::default();
        let producer = self.producer(&deliveries)?;
        let watch = Stopwatch::start();
        let (sent, bytes) = self.send(&producer, &watch)?;
        producer
            .flush(Duration::from_mins(1))
            .context("not everything was acknowledged within 60 s")
            .map_err(Failure::input)?;
        let seconds = watch.secs();
        let delivered = deliveries.delivered.load(Ordering::Relaxed);
        let failed = deliveries.failed.load(Ordering::Relaxed);
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let events_per_second = (delivered as f64 / seconds).round();
        let mut output = Output::new();
        output.json(&Shipped { sent, delivered, failed, bytes, seconds, events_per_second })?;
        output.flush()?;
        Ok(Outcome::findings_if(failed > 0 || delivered != sent))
    }

    /// A load generator that could be aimed at somebody else's machine is a weapon.
    fn check_loopback(&self) -> Result<(), Failure> {
        let local = |broker: &str| {
            let host = broker.rsplit_once(':').map_or(broker, |(host, _)| host);
            host == "localhost" || host.starts_with("127.") || host == "[::1]"
        };
        if self.brokers.split(',').all(local) {
            return Ok(());
        }
        Err(Failure::usage(anyhow!("--brokers {}: loads go to this machine only", self.brokers)))
    }

    fn producer(&self, deliveries: &Deliveries) -> Result<ThreadedProducer<Deliveries>, Failure> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("enable.idempotence", "true")
            .set("compression.type", &self.codec)
            .set("linger.ms", "20")
            .set("batch.num.messages", "2000");
        ThreadedProducer::from_config_and_context(&config, deliveries.clone())
            .with_context(|| format!("cannot ship to {}", self.brokers))
            .map_err(Failure::usage)
    }

    /// Sends at the asked rate: each millisecond what is due by then.
    fn send(
        &self,
        producer: &ThreadedProducer<Deliveries>,
        watch: &Stopwatch,
    ) -> Result<(u64, u64), Failure> {
        let mut generator = Generator::new(self.seed);
        let (mut sent, mut bytes) = (0, 0);
        let total = self.rate.saturating_mul(self.seconds);
        while sent < total {
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a rate of at most millions over an hour"
            )]
            let due = ((watch.secs() * self.rate as f64) as u64).min(total);
            while sent < due {
                let (topic, line) = generator.next(SystemClock.now());
                bytes += line.len() as u64;
                enqueue(producer, topic.name(), &line)?;
                sent += 1;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok((sent, bytes))
    }
}

/// Waits while the producer's queue is full: then the server sets the pace.
fn enqueue(
    producer: &ThreadedProducer<Deliveries>,
    topic: &str,
    line: &str,
) -> Result<(), Failure> {
    let mut record = BaseRecord::<(), str>::to(topic).payload(line);
    loop {
        match producer.send(record) {
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
