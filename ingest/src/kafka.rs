//! Reads Kafka exactly once (RELIABILITY §2): the offsets stand in our own log, in the frame of the events. And
//! sends to it what others are to know ([`producer`]).
//!
//! One thread polls ([`Consumer::run`]); [`session`] is its membership in the group; [`place`] decides
//! where each partition goes on and notices other bytes, gaps and repeats; [`gather`] makes batches;
//! [`flight`] hands them to the store on a second thread.

mod anew;
mod config;
mod flight;
mod gather;
mod lag;
mod paused;
mod place;
mod producer;
mod security;
mod session;
mod shown;
mod start;
#[cfg(test)]
mod tests;
mod topics;
mod trouble;

pub use config::{ConfigError, ConsumerConfig};
pub use lag::Lags;
pub use paused::Paused;
pub use producer::{Ended, Outgoing, Producer, ProducerConfig};
pub use security::{Account, Mechanism, Security, Tls};
pub use shown::Shown;
pub use start::Start;
pub use topics::ByTopic;

use crate::{batch::Intake, decoding::Decoders};
use custos_event::{Clock, Fact};
use flight::{Flight, Halt};
use rdkafka::{
    ClientConfig,
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
};
use session::{Outside, Session};
use start::Starts;
use std::{
    io,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// How long `poll` waits when nothing is gathered; a shutdown is noticed after it.
const IDLE_POLL: Duration = Duration::from_millis(100);

/// How long `poll` waits while partitions are paused: the store's next answer is some ms away.
const PAUSED_POLL: Duration = Duration::from_millis(5);

/// What was under way when the partitions were paused may still come, up to so many batches; then polling
/// waits for the store, well within `max.poll.interval.ms`.
const OVERFLOW: usize = 4;

/// After the store has refused a batch for now.
const STORE_REST: Duration = Duration::from_secs(1);

/// A consumer that must be made anew waits 1 s, then twice as long each time, up to 30 s.
const RESTART_WAIT: Duration = Duration::from_secs(1);
const RESTART_WAIT_MAX: Duration = Duration::from_secs(30);

/// How often Kafka is told how far we are.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// A clean stop has 10 s in all (RELIABILITY §1): 5 for the store, 3 for leaving the group.
const STOP_DRAIN_LIMIT: Duration = Duration::from_secs(5);
const STOP_LEAVE_LIMIT: Duration = Duration::from_secs(3);

/// One question to a broker that may not be up yet.
const ASK_LIMIT: Duration = Duration::from_secs(2);

/// That none answers is told at once and then every half minute.
const ASKED_TOLD: u32 = 15;

#[derive(Debug, thiserror::Error)]
pub enum ConsumerError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("cannot make a Kafka client")]
    Client(#[source] KafkaError),
    #[error("cannot subscribe to {topics:?}; correct kafka.topics")]
    Subscribe {
        topics: Vec<String>,
        #[source]
        source: KafkaError,
    },
    #[error("cannot start a thread for Kafka")]
    Thread(#[source] io::Error),
    /// The store failed; the process ends.
    #[error("the Kafka consumer stops: the store failed: {0}")]
    Store(Arc<str>),
}

/// A configured reader of Kafka; [`Consumer::run`] reads.
pub struct Consumer<I> {
    config: ConsumerConfig,
    client: ClientConfig,
    intake: Arc<I>,
    outside: Arc<Outside>,
}

/// Why one membership in the group ended.
enum End {
    Shutdown,
    /// The client is of no use any more; a new one is made.
    Restart(String),
}

impl<I: Intake> Consumer<I> {
    /// Checks the configuration; connects to nothing. `facts` is told of gaps and of new epochs, `shown` of how far
    /// behind it is and of what is wrong; what is `paused` is not read.
    pub fn new(
        config: ConsumerConfig,
        intake: Arc<I>,
        decoders: Decoders,
        clock: Arc<dyn Clock>,
        facts: Arc<dyn Fn(Fact) + Send + Sync>,
        (shown, paused): (Shown, Arc<Paused>),
    ) -> Result<Self, ConsumerError> {
        let client = config.client()?;
        client.create_native_config().map_err(ConfigError::Client)?;
        let sources = Arc::clone(&intake);
        let stored = Box::new(move || sources.sources());
        let routes = Arc::clone(&intake);
        let log_of = Box::new(move |source: &str| routes.log_of(source));
        let starts = Starts::new(&config);
        shown.begin();
        let outside = Outside { decoders, clock, facts, shown, paused, stored, log_of, starts };
        Ok(Self { config, client, intake, outside: Arc::new(outside) })
    }

    /// Reads until `shutdown` or until the store fails. Blocks: give it a thread of its own.
    pub fn run(&self, shutdown: &CancellationToken) -> Result<(), ConsumerError> {
        let (flight, queue) = Flight::new(self.config.batches_max);
        let flight = Arc::new(flight);
        let (intake, carried) = (Arc::clone(&self.intake), Arc::clone(&flight));
        let storing = thread::Builder::new()
            .name("kafka-store".into())
            .spawn(move || flight::carry(&*intake, &queue, &carried))
            .map_err(ConsumerError::Thread)?;
        let mut wait = RESTART_WAIT;
        let ended = loop {
            let began = now();
            match self.read(&flight, shutdown) {
                Ok(End::Shutdown) => break Ok(()),
                Err(error) => break Err(error),
                Ok(End::Restart(reason)) => {
                    tracing::error!(reason, "Kafka consumer is made anew");
                    metrics::counter!("custos_kafka_restarts_total").increment(1);
                }
            }
            if !pause(wait, shutdown) {
                break Ok(());
            }
            let lasted = began.elapsed() > RESTART_WAIT_MAX + wait;
            wait = if lasted { RESTART_WAIT } else { (wait * 2).min(RESTART_WAIT_MAX) };
        };
        flight.close();
        if flight.wait_idle(STOP_DRAIN_LIMIT) && storing.join().is_err() {
            tracing::error!("the thread that hands Kafka's events to the store has panicked");
        }
        ended
    }

    /// One membership in the group.
    fn read(
        &self,
        flight: &Arc<Flight>,
        shutdown: &CancellationToken,
    ) -> Result<End, ConsumerError> {
        let session = Session::new(Arc::clone(&self.outside), Arc::clone(flight));
        let consumer = BaseConsumer::from_config_and_context(&self.client, session)
            .map_err(ConsumerError::Client)?;
        let consumer = Arc::new(consumer);
        let mut asked = 0_u32;
        let cluster = loop {
            if shutdown.is_cancelled() {
                return Ok(End::Shutdown);
            }
            if let Some(id) = consumer.client().fetch_cluster_id(ASK_LIMIT) {
                break id;
            }
            if asked.is_multiple_of(ASKED_TOLD) {
                tracing::warn!(brokers = self.config.brokers, "no Kafka broker answers yet");
            }
            asked = asked.wrapping_add(1);
            serve_events(&consumer);
        };
        tracing::info!(cluster, "Kafka cluster found");
        self.outside.shown.note_well(trouble::About::Connection);
        consumer.context().set_cluster(cluster);
        let topics: Vec<_> = self.config.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics).map_err(|source| ConsumerError::Subscribe {
            topics: self.config.topics.clone(),
            source,
        })?;
        let ended = Loop::new(&self.config, &consumer, flight).run(shutdown);
        if !consumer.context().drain(STOP_DRAIN_LIMIT) {
            tracing::warn!("events read from Kafka were not stored; they are read again");
        }
        consumer.context().show_progress(&consumer, CommitMode::Sync);
        if !let_go(consumer, STOP_LEAVE_LIMIT) {
            tracing::warn!(
                "Kafka group was not left in time; it will notice by its session timeout"
            );
        }
        flight.clear_pause();
        ended
    }
}

/// Hears what the client has to say while nothing is read. One poll ends with the first error, and behind each lie
/// dozens of lines for the log.
fn serve_events(consumer: &BaseConsumer<Session>) {
    let began = now();
    while began.elapsed() < IDLE_POLL {
        drop(consumer.poll(IDLE_POLL));
    }
}

/// Waits; false when the shutdown came first.
pub(crate) fn pause(time: Duration, shutdown: &CancellationToken) -> bool {
    let mut left = time;
    while !left.is_zero() && !shutdown.is_cancelled() {
        let step = left.min(IDLE_POLL);
        thread::sleep(step);
        left -= step;
    }
    !shutdown.is_cancelled()
}

/// Closes a client. librdkafka may wait for a broker that is gone, so another thread does it, and is left behind when
/// it takes longer than `limit`: false.
fn let_go<C: Send + 'static>(client: C, limit: Duration) -> bool {
    let (done, gone) = mpsc::sync_channel(1);
    let leaving = thread::Builder::new().name("kafka-leave".into()).spawn(move || {
        drop(client);
        done.send(()).ok();
    });
    leaving.is_ok() && gone.recv_timeout(limit).is_ok()
}

fn now() -> Instant {
    #[expect(
        clippy::disallowed_methods,
        reason = "paces calls to the broker; no event and no decision depends on it"
    )]
    Instant::now()
}

/// The polling thread's state.
struct Loop<'c> {
    config: &'c ConsumerConfig,
    consumer: &'c BaseConsumer<Session>,
    session: &'c Session,
    flight: &'c Flight,
    /// For the store.
    held_back: bool,
    /// While set, what comes is dropped: after it, reading begins anew from what is stored.
    resting_until: Option<Instant>,
    batch_began: Option<Instant>,
    progress_shown: Instant,
    last_error: Option<(RDKafkaErrorCode, Instant)>,
}

impl<'c> Loop<'c> {
    fn new(
        config: &'c ConsumerConfig,
        consumer: &'c BaseConsumer<Session>,
        flight: &'c Flight,
    ) -> Self {
        Self {
            config,
            consumer,
            session: consumer.context(),
            flight,
            held_back: false,
            resting_until: None,
            batch_began: None,
            progress_shown: now(),
            last_error: None,
        }
    }

    fn run(mut self, shutdown: &CancellationToken) -> Result<End, ConsumerError> {
        while !shutdown.is_cancelled() {
            let went_on = match self.flight.halt() {
                Some(Halt::Failed(reason)) => return Err(ConsumerError::Store(reason)),
                Some(Halt::Paused(reason)) => self.rest(&reason),
                None => self.wake(),
            };
            if let Err(reason) = went_on.and_then(|()| self.step()) {
                return Ok(End::Restart(reason));
            }
        }
        Ok(End::Shutdown)
    }

    /// Ends a rest that is over.
    fn wake(&mut self) -> Result<(), String> {
        if self.flight.restart_wanted() {
            return Err("partitions could not be opened".into());
        }
        if self.resting_until.is_some_and(|until| until <= now()) {
            self.resting_until = None;
            return self.reopen(&|_, _| false);
        }
        // What is held back for the store goes on with it.
        match self.session.paused().news() {
            Some(change) if !self.held_back => {
                self.read_on()?;
                self.session.paused().heeded(change);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Reads all that is assigned, but what somebody has paused.
    fn read_on(&self) -> Result<(), String> {
        let assigned = self.consumer.assignment().map_err(|error| error.to_string())?;
        self.session.read_on(self.consumer, &assigned).map_err(|error| error.to_string())
    }

    /// One poll, and what follows from it.
    fn step(&mut self) -> Result<(), String> {
        if self.held_back && self.session.gathered().0 > OVERFLOW * self.config.batch_events_max {
            self.flight.wait_change(PAUSED_POLL);
            return self.flush_when(true);
        }
        let wait = match (self.held_back, self.batch_began) {
            (true, _) => PAUSED_POLL,
            (false, Some(_)) => self.config.batch_wait,
            (false, None) => IDLE_POLL,
        };
        let polled = self.consumer.poll(wait);
        let anew = self.session.made_anew();
        if !anew.is_empty() {
            tracing::error!(topics = ?anew, "Kafka topics were deleted and made anew");
            return self.reopen(&|topic, _| anew.contains(topic));
        }
        let other = match polled {
            None => return self.flush_when(true),
            Some(Ok(_)) if self.resting_until.is_some() => None,
            Some(Ok(message)) => self.session.take(&message),
            Some(Err(error)) => return self.judge(&error),
        };
        match other {
            None => self.flush_when(false),
            Some((topic, partition)) => self.reopen(&|t, p| (t, p) == (topic.as_str(), partition)),
        }
    }

    /// Hands the batch on when it is full or old, or when `idle`.
    fn flush_when(&mut self, idle: bool) -> Result<(), String> {
        if self.progress_shown.elapsed() >= PROGRESS_EVERY {
            self.session.show_progress(self.consumer, CommitMode::Async);
            self.session.ask_ends(self.consumer, ASK_LIMIT);
            self.progress_shown = now();
        }
        let (events, bytes) = self.session.gathered();
        if events == 0 {
            self.batch_began = None;
            return self.go_on();
        }
        let began = *self.batch_began.get_or_insert_with(now);
        let full = events >= self.config.batch_events_max || bytes >= self.config.batch_bytes_max;
        if !full && !idle && began.elapsed() < self.config.batch_wait {
            return Ok(());
        }
        if self.session.flush() {
            self.batch_began = None;
            return self.go_on();
        }
        // Pausing drops what was fetched, so a short wait for the store comes first.
        self.flight.wait_change(PAUSED_POLL);
        if self.session.flush() { self.go_on() } else { self.hold_back() }
    }

    /// The store has no room: the partitions are paused, once, and polling goes on.
    fn hold_back(&mut self) -> Result<(), String> {
        if self.held_back {
            return Ok(());
        }
        self.held_back = true;
        metrics::counter!("custos_kafka_pauses_total").increment(1);
        let assigned = self.consumer.assignment().map_err(|error| error.to_string())?;
        self.consumer.pause(&assigned).map_err(|error| error.to_string())
    }

    fn go_on(&mut self) -> Result<(), String> {
        if !self.held_back || self.resting_until.is_some() {
            return Ok(());
        }
        self.held_back = false;
        self.read_on()
    }

    /// The store refused a batch for now: everything on its way is dropped, to be read again later.
    fn rest(&mut self, reason: &str) -> Result<(), String> {
        if self.resting_until.is_none() {
            tracing::warn!(reason, "intake is paused, Kafka is read again later");
        }
        self.session.discard();
        if self.flight.wait_idle(STORE_REST) {
            self.flight.clear_pause();
        }
        self.resting_until = Some(now() + STORE_REST);
        self.hold_back()
    }

    /// Stores what was read, then begins anew from there.
    fn reopen(&mut self, is_other: &dyn Fn(&str, i32) -> bool) -> Result<(), String> {
        if !self.session.drain(STOP_DRAIN_LIMIT) {
            return Err("the store does not take what was read".into());
        }
        (self.held_back, self.batch_began) = (false, None);
        self.session.reopen(self.consumer, is_other).map_err(|error| error.to_string())
    }

    fn judge(&mut self, error: &KafkaError) -> Result<(), String> {
        let Some(code) = error.rdkafka_error_code() else {
            return Err(error.to_string());
        };
        let useless = matches!(
            code,
            RDKafkaErrorCode::PollExceeded
                | RDKafkaErrorCode::Fatal
                | RDKafkaErrorCode::Fenced
                | RDKafkaErrorCode::FencedInstanceId
        );
        if useless || matches!(error, KafkaError::MessageConsumptionFatal(_)) {
            return Err(error.to_string());
        }
        if code == RDKafkaErrorCode::AutoOffsetReset {
            tracing::error!("a Kafka partition no longer has the offset to be read next");
            return self.reopen(&|_, _| false);
        }
        let told = self
            .last_error
            .is_some_and(|(last, at)| last == code && at.elapsed() < RESTART_WAIT_MAX);
        if !told {
            tracing::warn!(%error, topics = ?self.config.topics, "reading Kafka");
            self.last_error = Some((code, now()));
        }
        Ok(())
    }
}
