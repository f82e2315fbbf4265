//! The listener on a thread of its own, and librdkafka's producer to ship to it.

mod clients;
mod raw;

use super::{Listener, ListenerConfig, ListenerError, User};
use crate::{
    kafka::ByTopic,
    stand_in::{StandIn, clock, decoders},
};
use custos_event::Private;
use rdkafka::{
    ClientConfig, ClientContext, Message,
    error::RDKafkaErrorCode,
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext},
};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// A listener on a thread of its own.
struct Running {
    address: SocketAddr,
    shutdown: CancellationToken,
    thread: JoinHandle<Result<(), ListenerError>>,
}

fn config() -> ListenerConfig {
    let mut config = ListenerConfig::new(([127, 0, 0, 1], 0).into());
    config.topics =
        [("doors".to_owned(), 1), ("wide".to_owned(), 3), ("kept".to_owned(), 1)].into();
    config
}

/// Who may write `topics`; all, if there are none.
fn user(password: &str, topics: &[&str]) -> User {
    let mut may = ByTopic::default();
    for topic in topics {
        may.add(topic, ()).unwrap();
    }
    let topics = (!topics.is_empty()).then_some(may);
    User { password: Private::new(password.into()), topics }
}

fn start(config: ListenerConfig, intake: &Arc<StandIn>) -> Running {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let bound = Listener::bind(config, Arc::clone(intake), decoders(), clock());
    let listener = runtime.block_on(bound).unwrap();
    let (address, shutdown) = (listener.local_addr(), CancellationToken::new());
    let token = shutdown.clone();
    let thread = std::thread::spawn(move || runtime.block_on(listener.run(token)));
    Running { address, shutdown, thread }
}

impl Running {
    fn stop(self) -> Result<(), ListenerError> {
        self.shutdown.cancel();
        self.thread.join().unwrap()
    }
}

/// Keeps what became of each message: its offset, or the error.
#[derive(Default)]
struct Reports(Mutex<Vec<Result<i64, RDKafkaErrorCode>>>);

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let report = match result {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(error.rdkafka_error_code().unwrap()),
        };
        self.0.lock().unwrap().push(report);
    }
}

fn producer(address: SocketAddr, properties: &[(&str, &str)]) -> BaseProducer<Reports> {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", address.to_string()).set("linger.ms", "1");
    for (name, value) in properties {
        client.set(*name, *value);
    }
    client.create_with_context(Reports::default()).unwrap()
}

fn send(producer: &BaseProducer<Reports>, topic: &str, values: impl IntoIterator<Item = String>) {
    for value in values {
        let record = BaseRecord::to(topic).key("key").payload(&value).partition(0);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
}

/// Sends and waits for every report.
fn ship(
    producer: &BaseProducer<Reports>,
    topic: &str,
    values: impl IntoIterator<Item = String>,
) -> Vec<Result<i64, RDKafkaErrorCode>> {
    send(producer, topic, values);
    producer.flush(Duration::from_mins(1)).unwrap();
    std::mem::take(&mut producer.context().0.lock().unwrap())
}

fn lines(range: std::ops::Range<i64>) -> impl Iterator<Item = String> + Clone {
    range.map(|n| format!("line {n}"))
}

/// What the log should hold of "doors" after `lines(0..count)`.
fn whole(count: i64) -> Vec<(i64, i64, String)> {
    (0..count).map(|n| (0, n, format!("line {n}"))).collect()
}
