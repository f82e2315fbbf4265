//! Sends what others are to know to one topic: in order, each message at least once, and says what the cluster has.
//!
//! Messages go out in windows. One is with the cluster at a time, and `send` returns when all of it is kept or it is
//! known what is not, so what waits for a broker that is down is one window. The producer is idempotent and leaves no
//! gap: a message that is refused stops it, and those behind it are not sent before it. Such a client is of no use
//! any more, and the next attempt makes a new one.

#[cfg(test)]
mod tests;

use super::{
    config::{ConfigError, with_properties},
    let_go, now,
    security::Security,
    session::log_line,
    shown::Shown,
    trouble::{self, About, Trouble, Way},
};
use custos_event::Clock;
use rdkafka::{
    ClientConfig, ClientContext, Statistics,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, OwnedHeaders},
    metadata::MetadataTopic,
    producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext, PurgeConfig},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// One question to a broker that may not be up yet.
const ASK_LIMIT: Duration = Duration::from_secs(2);

/// How often librdkafka is asked what is kept: a window takes some milliseconds; after a second of waiting nobody is
/// in a hurry.
const POLL: Duration = Duration::from_millis(5);
const SLOW_POLL: Duration = Duration::from_millis(100);
const SLOW_AFTER: Duration = Duration::from_secs(1);
const LISTEN: Duration = Duration::from_millis(1);

/// A client that is given up hears what becomes of its messages within so long.
const PURGE_LIMIT: Duration = Duration::from_secs(1);
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// What order and "at least once" rest on, under each of their names.
const FIXED: [(&str, &str); 6] = [
    ("enable.idempotence", "true"),
    ("acks", "all"),
    // After a message that cannot be kept nothing is sent.
    ("enable.gapless.guarantee", "true"),
    // A leader that changes cannot get a request before the one that the old leader lost.
    ("max.in.flight", "1"),
    // Never given up because of time: a broker that is down is waited for.
    ("message.timeout.ms", "0"),
    ("message.send.max.retries", "2147483647"),
];

/// Other names of the same, and what would turn it into something else.
const ALSO_FIXED: [&str; 5] = [
    "request.required.acks",
    "max.in.flight.requests.per.connection",
    "delivery.timeout.ms",
    "retries",
    "transactional.id",
];

/// What may be overridden.
const DEFAULTS: [(&str, &str); 4] = [
    ("client.id", "custos-publish"),
    // Says that a broker is back while there is nothing to send.
    ("statistics.interval.ms", "5000"),
    ("compression.codec", "lz4"),
    // 128 KiB: few topics take less at a time (`max.message.bytes` is 1 MiB unless set), and one that does refuses the
    // whole batch.
    ("batch.size", "131072"),
];

#[derive(Clone, Debug)]
pub struct ProducerConfig {
    /// `host:port`, several with commas.
    pub brokers: String,
    pub security: Security,
    /// Further properties of librdkafka: sizes, compression.
    pub properties: BTreeMap<String, String>,
    pub topic: String,
    /// Where the cluster is configured: `[kafka]` or `[kafka.publish]`.
    pub section: &'static str,
}

impl ProducerConfig {
    /// Whether librdkafka takes the properties; reads no file and connects to nothing.
    pub fn check_properties(&self) -> Result<(), ConfigError> {
        self.client()?.create_native_config().map(drop).map_err(ConfigError::Client)
    }

    fn client(&self) -> Result<ClientConfig, ConfigError> {
        if let Some(name) = ALSO_FIXED.iter().find(|name| self.properties.contains_key(**name)) {
            return Err(ConfigError::ReservedProperty((*name).into()));
        }
        let mut client = with_properties(&DEFAULTS, &self.properties, &FIXED)?;
        // The same under another name; which of two holds is chance.
        if self.properties.contains_key("compression.type") {
            client.remove("compression.codec");
        }
        client.set_log_level(RDKafkaLogLevel::Info);
        self.security.apply(&mut client);
        client.set("bootstrap.servers", &self.brokers);
        Ok(client)
    }
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// What it is about is in the order of these.
    pub position: u64,
    pub key: String,
    pub headers: Vec<(&'static str, String)>,
    pub value: Vec<u8>,
}

/// What became of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Some of it is kept, and nothing speaks against the rest.
    Kept,
    /// Its first message is larger than the client or the topic takes.
    TooLarge,
    /// Told as a trouble; try again later.
    Failed,
    /// Who asked wants no more.
    Stopped,
}

/// Who publishes to one topic. Of one thread.
pub struct Producer {
    config: ProducerConfig,
    client_config: ClientConfig,
    outside: Arc<Outside>,
    client: Option<Client>,
    /// So many messages are sent one by one: the cluster refused them together because of their size.
    alone: usize,
}

struct Outside {
    clock: Arc<dyn Clock>,
    shown: Shown,
    way: Way,
}

struct Client {
    producer: BaseProducer<Delivery>,
    /// The cluster has said that the topic is there.
    knows_topic: bool,
}

/// What librdkafka calls back into.
struct Delivery {
    outside: Arc<Outside>,
    window: Mutex<Window>,
}

/// Of the window that is under way.
#[derive(Default)]
struct Window {
    /// By the place in the window.
    kept: Vec<bool>,
    left: usize,
    failed: Option<KafkaError>,
}

impl Window {
    /// What was refused first is why; what follows from it says less.
    fn fail(&mut self, error: KafkaError) {
        if self.failed.as_ref().is_none_or(|known| follows(known) && !follows(&error)) {
            self.failed = Some(error);
        }
    }
}

impl Producer {
    /// Checks the configuration; connects to nothing. `shown` is told what is wrong.
    pub fn new(
        config: ProducerConfig,
        clock: Arc<dyn Clock>,
        shown: Shown,
    ) -> Result<Self, ConfigError> {
        let client_config = config.client()?;
        client_config.create_native_config().map_err(ConfigError::Client)?;
        shown.begin();
        let outside = Arc::new(Outside { clock, shown, way: Way::Publishes(config.section) });
        Ok(Self { config, client_config, outside, client: None, alone: 0 })
    }

    /// Sends what is in `window`, in order, and takes out of it what the cluster has. Blocks while no broker answers,
    /// and calls `goes_on` meanwhile: false ends it.
    pub fn send(&mut self, window: &mut Vec<Outgoing>, goes_on: &dyn Fn() -> bool) -> Ended {
        if window.is_empty() {
            return Ended::Kept;
        }
        if !self.is_ready(goes_on) {
            return if goes_on() { Ended::Failed } else { Ended::Stopped };
        }
        let Some(client) = &self.client else { return Ended::Failed };
        let count = if self.alone > 0 { 1 } else { window.len() };
        let (too_large, waited) = client.send(&self.config.topic, window, count, goes_on);
        let Window { kept, failed, .. } = std::mem::take(&mut *client.window());
        let ended = self.judge(failed.as_ref(), count);
        if !waited || failed.is_some() {
            self.close();
        }
        let was = window.len();
        let mut kept = kept.into_iter();
        window.retain(|_| !kept.next().unwrap_or(false));
        let taken = was - window.len();
        if taken > 0 {
            self.outside.shown.note_well(About::Topics);
        }
        self.alone = self.alone.saturating_sub(taken);
        match ended {
            Some(ended) => ended,
            None if !waited => Ended::Stopped,
            // Nothing stands before it any more.
            None if too_large && taken == 0 => Ended::TooLarge,
            None => Ended::Kept,
        }
    }

    /// Hears what the client has to say while there is nothing to send.
    pub fn listen(&self) {
        if let Some(client) = &self.client {
            client.producer.poll(LISTEN);
        }
    }

    /// Whether the client is made, and the topic there. Tells what is wrong, before there is anything to send.
    pub fn is_ready(&mut self, goes_on: &dyn Fn() -> bool) -> bool {
        let client = match self.client.take() {
            Some(client) => Ok(client),
            None => Client::make(&self.client_config, &self.outside),
        };
        let mut client = match client {
            Ok(client) => client,
            Err(error) => {
                self.outside.note_failed(&error);
                return false;
            }
        };
        if !client.knows_topic && goes_on() {
            client.knows_topic = client.ask_for(&self.config.topic, &self.outside);
        }
        let is_ready = client.knows_topic && goes_on();
        self.client = Some(client);
        is_ready
    }

    /// What a refusal leads to.
    fn judge(&mut self, failed: Option<&KafkaError>, count: usize) -> Option<Ended> {
        let error = failed?;
        if !is_too_large(error) {
            self.outside.note_failed(error);
            return Some(Ended::Failed);
        }
        if count == 1 {
            return Some(Ended::TooLarge);
        }
        self.alone = count;
        Some(Ended::Kept)
    }

    /// Gives the client up; what it has not sent it never will.
    fn close(&mut self) {
        let Some(Client { producer, .. }) = self.client.take() else { return };
        producer.purge(PurgeConfig::default().queue().inflight());
        let began = now();
        while producer.in_flight_count() > 0 && began.elapsed() < PURGE_LIMIT {
            producer.poll(POLL);
        }
        if !let_go(producer, CLOSE_LIMIT) {
            tracing::warn!(topic = self.config.topic, "a Kafka client takes its time to close");
        }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.close();
    }
}

impl Client {
    fn make(config: &ClientConfig, outside: &Arc<Outside>) -> Result<Self, KafkaError> {
        let delivery = Delivery { outside: Arc::clone(outside), window: Mutex::default() };
        let producer = BaseProducer::from_config_and_context(config, delivery)?;
        Ok(Self { producer, knows_topic: false })
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.producer.context().lock()
    }

    /// Whether the cluster has the topic, and lets us see it. Tells what is wrong.
    fn ask_for(&self, topic: &str, outside: &Outside) -> bool {
        let answer = self.producer.client().fetch_metadata(Some(topic), ASK_LIMIT);
        // What the client has to say of brokers that do not answer.
        self.producer.poll(POLL);
        let error = match &answer {
            // The connection's own troubles say more.
            Err(error) => {
                tracing::debug!(topic, %error, "no Kafka broker answers yet");
                return false;
            }
            Ok(metadata) => metadata.topics().first().and_then(MetadataTopic::error),
        };
        let Some(error) = error else { return true };
        outside.note_failed(&KafkaError::MessageProduction(error.into()));
        false
    }

    /// Hands over the first `count` of `window` and waits until it is known what became of them: false where `goes_on`
    /// was. True before it: one was too large to be handed over, and so nothing behind it was.
    fn send(
        &self,
        topic: &str,
        window: &[Outgoing],
        count: usize,
        goes_on: &dyn Fn() -> bool,
    ) -> (bool, bool) {
        *self.window() = Window { kept: vec![false; count], ..Window::default() };
        let mut too_large = false;
        for (nth, message) in window.iter().take(count).enumerate() {
            // Before it is handed over: the word may come at once.
            self.window().left += 1;
            let handed = self.producer.send(message.record(topic, nth));
            let Err((error, _)) = handed else { continue };
            let mut window = self.window();
            window.left -= 1;
            too_large = is_too_large(&error);
            if !too_large {
                window.fail(error);
            }
            break;
        }
        (too_large, self.wait(goes_on))
    }

    fn wait(&self, goes_on: &dyn Fn() -> bool) -> bool {
        let began = now();
        loop {
            if let Some((code, reason)) = self.producer.client().fatal_error() {
                tracing::debug!(%code, reason, "a Kafka producer has ended");
                // What it ended of comes as the word on a message, if it is about one.
                self.producer.poll(SLOW_POLL);
                self.window().fail(KafkaError::MessageProduction(code));
                return true;
            }
            {
                let window = self.window();
                if window.left == 0 || window.failed.is_some() {
                    return true;
                }
            }
            if !goes_on() {
                return false;
            }
            self.producer.poll(if began.elapsed() < SLOW_AFTER { POLL } else { SLOW_POLL });
        }
    }
}

impl Outgoing {
    fn record<'m>(&'m self, topic: &'m str, nth: usize) -> BaseRecord<'m, str, [u8], usize> {
        let add = |headers: OwnedHeaders, (key, value): &(&str, String)| {
            headers.insert(Header { key, value: Some(value) })
        };
        let headers =
            self.headers.iter().fold(OwnedHeaders::new_with_capacity(self.headers.len()), add);
        BaseRecord::with_opaque_to(topic, nth)
            .key(self.key.as_str())
            .payload(self.value.as_slice())
            .headers(headers)
    }
}

fn is_too_large(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::MessageBatchTooLarge)
    )
}

/// Whether a message was refused because another was.
fn follows(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::Fatal
                | RDKafkaErrorCode::GaplessGuarantee
                | RDKafkaErrorCode::PurgeQueue
                | RDKafkaErrorCode::PurgeInflight
        )
    )
}

impl Outside {
    fn note_ill(&self, trouble: &Trouble) {
        if self.shown.note_ill(trouble, self.clock.now()) {
            tracing::warn!(trouble = trouble.text, "publishing to Kafka");
        }
    }

    /// Whatever it is, it is told.
    fn note_failed(&self, error: &KafkaError) {
        let reason =
            error.rdkafka_error_code().map_or_else(|| error.to_string(), |c| c.to_string());
        let trouble = trouble::of(error, &reason, self.way).unwrap_or_else(|| Trouble {
            kind: "odd",
            about: About::Topics,
            summary: false,
            text: format!("{reason}; it is tried again"),
        });
        self.note_ill(&trouble);
    }
}

impl Delivery {
    fn lock(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProducerContext for Delivery {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, nth: usize) {
        let mut window = self.lock();
        window.left = window.left.saturating_sub(1);
        match result {
            Ok(_) => {
                if let Some(kept) = window.kept.get_mut(nth) {
                    *kept = true;
                }
            }
            Err((error, _)) => window.fail(error.clone()),
        }
    }
}

impl ClientContext for Delivery {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if let Some(trouble) = trouble::of_line(facility, message, self.outside.way) {
            self.outside.note_ill(&trouble);
        }
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let Some(trouble) = trouble::of(&error, reason, self.outside.way) else {
            tracing::warn!(%error, reason, "Kafka connection");
            return;
        };
        self.outside.note_ill(&trouble);
    }

    fn stats(&self, statistics: Statistics) {
        if statistics.brokers.values().any(|broker| broker.state == "UP") {
            self.outside.shown.note_well(About::Connection);
        }
    }
}
