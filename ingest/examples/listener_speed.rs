//! How fast librdkafka's producer gets events through the listener to an intake that keeps nothing:
//! `cargo run -p custos-ingest --example listener_speed -- [events] [bytes] [codec]`.

use bytes::Bytes;
use custos_event::{
    Clock, CommitNo, Committed, Header, LogId, ParsedEvent, Partition, ProducerEntry, Seq, Shape,
    SourceRange, Timestamp, time::ManualClock,
};
use custos_ingest::{
    Batch, Decode, Decoders, Intake, IntakeError, Listener, ListenerConfig, decoding::Piece,
};
use rdkafka::{
    ClientConfig,
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};
use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

#[derive(Default)]
struct Nothing {
    events: AtomicU64,
    appends: AtomicU64,
}

impl Intake for Nothing {
    /// As long as a sync of a good disk.
    async fn submit(&self, batch: Batch) -> Result<Committed, IntakeError> {
        tokio::time::sleep(Duration::from_millis(4)).await;
        self.submit_blocking(batch)
    }

    fn submit_blocking(&self, batch: Batch) -> Result<Committed, IntakeError> {
        self.events.fetch_add(batch.events.len() as u64, Ordering::Relaxed);
        let commit = CommitNo(self.appends.fetch_add(1, Ordering::Relaxed));
        let (log, partition) = (LogId::TELEMETRY, Partition::default());
        Ok(Committed { commit, log, partition, first: Seq(0), appended_at: Timestamp(0) })
    }

    fn log_of(&self, _: &str) -> LogId {
        LogId::TELEMETRY
    }

    fn sources(&self) -> Vec<SourceRange> {
        Vec::new()
    }

    fn producers(&self) -> Vec<ProducerEntry> {
        Vec::new()
    }
}

struct NoDecoder(Arc<str>);

impl Decode for NoDecoder {
    fn decode(&mut self, raw: Bytes, received: Timestamp) -> ParsedEvent {
        let (source, decoder) = (Arc::clone(&self.0), Arc::clone(&self.0));
        ParsedEvent::text(Header::new(source, received, Shape::Text, decoder), raw)
    }

    fn decode_piece(&mut self, piece: Piece, received: Timestamp) -> ParsedEvent {
        self.decode(piece.bytes, received)
    }
}

#[expect(clippy::disallowed_methods, reason = "measures")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let events: u64 = args.next().map_or(Ok(2_000_000), |n| n.parse())?;
    let bytes: usize = args.next().map_or(Ok(500), |n| n.parse())?;
    let codec = args.next().unwrap_or_else(|| "lz4".into());
    let intake = Arc::new(Nothing::default());
    let runtime = tokio::runtime::Runtime::new()?;
    let mut config = ListenerConfig::new(([127, 0, 0, 1], 0).into());
    config.auto_create = true;
    let decoders: Decoders = Arc::new(|source: &str| Box::new(NoDecoder(source.into())));
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp(0)));
    let listener =
        runtime.block_on(Listener::bind(config, Arc::clone(&intake), decoders, clock))?;
    let (address, stop) = (listener.local_addr(), CancellationToken::new());
    let token = stop.clone();
    let serving = std::thread::spawn(move || runtime.block_on(listener.run(token)));

    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", address.to_string())
        .set("enable.idempotence", "true")
        .set("compression.type", &codec)
        .set("linger.ms", "5")
        .set("queue.buffering.max.messages", "200000")
        .create()?;
    let line: String = "abcdefghijklmnopqrstuvw".chars().cycle().step_by(7).take(bytes).collect();
    let began = Instant::now();
    for n in 0..events {
        let value = format!("{n:>10} {line}");
        while producer.send(BaseRecord::<str, str>::to("speed").payload(&value)).is_err() {
            producer.flush(Duration::from_millis(1)).ok();
        }
    }
    producer.flush(Duration::from_mins(1))?;
    let secs = began.elapsed().as_secs_f64();
    stop.cancel();
    serving.join().map_err(|_| "the listener panicked")??;
    let stored = intake.events.load(Ordering::Relaxed);
    let appends = intake.appends.load(Ordering::Relaxed);
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = stored as f64 / secs;
    eprintln!("{stored} events of {bytes} bytes, {codec}: {rate:.0} events/s, {appends} appends");
    Ok(())
}
