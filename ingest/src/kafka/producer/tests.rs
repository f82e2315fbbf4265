//! The producer against librdkafka's mock cluster: what is refused, and what then goes out in which order.

use super::*;
use crate::{health::Health, stand_in::clock};
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};

type Mock = MockCluster<'static, DefaultProducerContext>;

/// A busy machine; a test that waits so long has failed.
const LIMIT: Duration = Duration::from_mins(1);

fn mock() -> Mock {
    let mock = MockCluster::new(1).unwrap();
    mock.create_topic("told", 1, 1).unwrap();
    mock
}

fn config(brokers: String, topic: &str) -> ProducerConfig {
    ProducerConfig {
        brokers,
        security: Security::default(),
        properties: BTreeMap::new(),
        topic: topic.into(),
        section: "[kafka]",
    }
}

fn producer(config: ProducerConfig) -> (Producer, Arc<Health>) {
    let health = Arc::<Health>::default();
    let shown = Shown::publishing(&config.topic, Arc::clone(&health));
    (Producer::new(config, clock(), shown).unwrap(), health)
}

fn window(range: std::ops::Range<u64>) -> Vec<Outgoing> {
    let message = |position: u64| Outgoing {
        position,
        key: "k".into(),
        headers: vec![("custos-position", position.to_string())],
        value: position.to_string().into_bytes(),
    };
    range.map(message).collect()
}

/// Sends until nothing is left; what came of each attempt.
fn send_all(producer: &mut Producer, mut window: Vec<Outgoing>) -> Vec<Ended> {
    let (mut all, began) = (Vec::new(), now());
    while !window.is_empty() {
        assert!(began.elapsed() < LIMIT, "{all:?}");
        all.push(producer.send(&mut window, &|| began.elapsed() < LIMIT));
    }
    all
}

fn kept(mock: &Mock, count: usize) -> Vec<String> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", mock.bootstrap_servers())
        .set("group.id", "reader")
        .create()
        .unwrap();
    let mut from = TopicPartitionList::new();
    from.add_partition_offset("told", 0, Offset::Beginning).unwrap();
    consumer.assign(&from).unwrap();
    let next = || {
        let message = consumer.poll(LIMIT).unwrap().unwrap();
        String::from_utf8(message.payload().unwrap().to_vec()).unwrap()
    };
    (0..count).map(|_| next()).collect()
}

fn numbers(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[test]
fn a_refusal_is_told_and_nothing_behind_it_goes_before_it() {
    let mock = mock();
    let mut config = config(mock.bootstrap_servers(), "told");
    // A request each: those behind the refused one could go out.
    config.properties.insert("batch.num.messages".into(), "1".into());
    let (mut producer, health) = producer(config);
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    mock.request_errors(RDKafkaApiKey::Produce, &[refused]);
    let mut first = window(0..20);
    assert_eq!(producer.send(&mut first, &|| true), Ended::Failed);
    assert_eq!(first, window(0..20));
    let ailment = health.all()[0].1.ailment.clone().unwrap();
    assert!(ailment.kind == "refused" && ailment.text.contains("Write"), "{ailment:?}");
    assert_eq!(send_all(&mut producer, first), [Ended::Kept]);
    assert_eq!(health.all()[0].1.ailment, None);
    assert_eq!(kept(&mock, 20), numbers(0..20));
}

#[test]
fn messages_that_are_too_large_together_go_one_by_one() {
    let mock = mock();
    let (mut producer, _) = producer(config(mock.bootstrap_servers(), "told"));
    let too_large = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    mock.request_errors(RDKafkaApiKey::Produce, &[too_large]);
    assert_eq!(send_all(&mut producer, window(0..3)), [Ended::Kept; 4]);
    assert_eq!(send_all(&mut producer, window(3..6)), [Ended::Kept]);
    assert_eq!(kept(&mock, 6), numbers(0..6));
}

#[test]
fn one_that_is_too_large_alone_is_named_once_it_is_the_first() {
    let mock = mock();
    let mut config = config(mock.bootstrap_servers(), "told");
    config.properties.insert("message.max.bytes".into(), "1000".into());
    let (mut producer, _) = producer(config);
    let mut window = window(0..4);
    window[2].value = vec![b'x'; 2_000];
    assert_eq!(producer.send(&mut window, &|| true), Ended::Kept);
    assert_eq!(window.iter().map(|message| message.position).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(producer.send(&mut window, &|| true), Ended::TooLarge);
    window[0].value = b"2".to_vec();
    assert_eq!(send_all(&mut producer, window), [Ended::Kept]);
    assert_eq!(kept(&mock, 4), numbers(0..4));
}

#[test]
fn a_stop_does_not_wait_for_a_broker_that_is_not_there() {
    let (mut producer, health) = producer(config("127.0.0.1:1".into(), "told"));
    let began = now();
    let mut waiting = window(0..2);
    let mut ended = Ended::Failed;
    while ended == Ended::Failed && began.elapsed() < LIMIT {
        ended = producer.send(&mut waiting, &|| health.all()[0].1.ailment.is_none());
    }
    assert_eq!((ended, waiting.len()), (Ended::Stopped, 2));
    assert_eq!(health.all()[0].1.ailment.clone().unwrap().kind, "unreachable");
}

#[test]
fn what_order_rests_on_cannot_be_set_under_any_of_its_names() {
    for name in ["acks", "request.required.acks", "retries", "enable.idempotence", "sasl.password"]
    {
        let mut config = config("127.0.0.1:1".into(), "told");
        config.properties.insert(name.into(), "1".into());
        let error = config.check_properties().unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("remove"), "{error}");
    }
    let mut other = config("127.0.0.1:1".into(), "told");
    other.properties.insert("compression.type".into(), "zstd".into());
    assert!(
        other.check_properties().is_ok()
            && other.client().unwrap().get("compression.codec").is_none()
    );
}
