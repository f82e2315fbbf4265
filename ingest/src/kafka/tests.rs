//! The consumer against librdkafka's mock cluster: everything that needs no real broker.

use super::{ByTopic, Consumer, ConsumerConfig, ConsumerError, Lags, Paused, Shown, Start};
use crate::stand_in::{Fate, StandIn, clock, decoders};
use custos_event::{Fact, SourceRange};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
    mocking::MockCluster,
    producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Duration,
};
use tokio_util::sync::CancellationToken;

type Facts = Arc<Mutex<Vec<Fact>>>;

struct Running {
    shutdown: CancellationToken,
    thread: JoinHandle<Result<(), ConsumerError>>,
    facts: Facts,
}

impl Running {
    fn stop(self) -> Result<(), ConsumerError> {
        self.shutdown.cancel();
        self.thread.join().unwrap()
    }
}

/// One broker with one topic, "doors", and a producer to it.
struct Cluster {
    mock: MockCluster<'static, DefaultProducerContext>,
    producer: BaseProducer,
}

impl Cluster {
    fn new(partitions: i32) -> Self {
        let mock = MockCluster::new(1).unwrap();
        mock.create_topic("doors", partitions, 1).unwrap();
        let producer = ClientConfig::new()
            .set("bootstrap.servers", mock.bootstrap_servers())
            .set("linger.ms", "1")
            .create()
            .unwrap();
        Self { mock, producer }
    }

    fn produce(&self, partition: i32, values: impl IntoIterator<Item = String>) {
        values.into_iter().for_each(|value| self.send("doors", partition, &value));
        self.producer.flush(Duration::from_mins(1)).unwrap();
    }

    fn send(&self, topic: &str, partition: i32, value: &str) {
        let record = BaseRecord::to(topic).key("key").payload(value).partition(partition);
        self.producer.send(record).map_err(|(error, _)| error).unwrap();
    }

    /// Another member of the group: holds its share of the partitions until it is dropped.
    fn guest(&self, topics: &[&str]) -> BaseConsumer {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", self.mock.bootstrap_servers());
        client.set("group.id", "custos").set("partition.assignment.strategy", "range");
        // The mock cluster lets a rebalance take as long as a session, less a second.
        client.set("session.timeout.ms", "6000").set("heartbeat.interval.ms", "100");
        client.set("enable.auto.commit", "false");
        let guest: BaseConsumer = client.create().unwrap();
        guest.subscribe(topics).unwrap();
        while guest.assignment().unwrap().count() == 0 {
            drop(guest.poll(Duration::from_millis(100)));
        }
        guest
    }

    fn config(&self) -> ConsumerConfig {
        let brokers = self.mock.bootstrap_servers();
        let mut config = ConsumerConfig::new(brokers, "custos", vec!["doors".into()]);
        config.properties.insert("session.timeout.ms".into(), "6000".into());
        config
    }
}

fn start(config: ConsumerConfig, intake: &Arc<StandIn>) -> Running {
    start_shown(config, intake, (Shown::default(), Arc::default()))
}

fn start_shown(
    config: ConsumerConfig,
    intake: &Arc<StandIn>,
    shown: (Shown, Arc<Paused>),
) -> Running {
    let (facts, shutdown) = (Facts::default(), CancellationToken::new());
    let told = Arc::clone(&facts);
    let tell = Arc::new(move |fact| told.lock().unwrap().push(fact));
    let consumer =
        Consumer::new(config, Arc::clone(intake), decoders(), clock(), tell, shown).unwrap();
    let token = shutdown.clone();
    let thread = std::thread::spawn(move || consumer.run(&token));
    Running { shutdown, thread, facts }
}

/// What the consumer tells nobody of when it happens.
fn wait_until(holds: impl Fn() -> bool) {
    const STEP: Duration = Duration::from_millis(10);
    for _ in 0..6_000 {
        if holds() {
            return;
        }
        std::thread::park_timeout(STEP);
    }
    panic!("it does not come to hold");
}

fn lines(range: std::ops::Range<i64>) -> impl Iterator<Item = String> {
    range.map(|n| format!("line {n}"))
}

fn whole(range: std::ops::Range<i64>) -> Vec<(i64, i64, String)> {
    range.map(|n| (0, n, format!("line {n}"))).collect()
}

/// The first lines, in both of two partitions.
fn in_each_of_two(count: i64) -> Vec<(i64, i64, String)> {
    let of = |partition| (0..count).map(move |n| (partition, n, format!("line {n}")));
    (0..2).flat_map(of).collect()
}

fn sorted(intake: &StandIn, topic: &str) -> Vec<(i64, i64, String)> {
    let mut stored = intake.stored(topic);
    stored.sort();
    stored
}

#[test]
fn every_record_is_stored_once_over_stops_and_starts() {
    let cluster = Cluster::new(1);
    let mut intake = StandIn::new();
    for round in 0..3 {
        let consumer = start(cluster.config(), &intake);
        cluster.produce(0, lines(round * 500..(round + 1) * 500));
        intake.wait_events(usize::try_from((round + 1) * 500).unwrap());
        consumer.stop().unwrap();
        intake = intake.restarted();
    }
    assert_eq!(intake.stored("doors"), whole(0..1_500));
    intake.look(|disk| {
        assert!(disk.events.iter().all(|event| &*event.header.source == "kafka:doors"));
        let [SourceRange { last: 1_499, epoch: 0, cluster, .. }] = &disk.sources[..] else {
            panic!("{:?}", disk.sources);
        };
        assert!(!cluster.is_empty());
    });
}

#[test]
fn all_partitions_are_read_and_each_keeps_its_order() {
    let cluster = Cluster::new(3);
    let intake = StandIn::new();
    let consumer = start(cluster.config(), &intake);
    for partition in 0..3 {
        cluster.produce(partition, lines(0..300));
    }
    intake.wait_events(900);
    consumer.stop().unwrap();
    let stored = intake.stored("doors");
    for partition in 0..3 {
        let mine = stored.iter().filter(|(p, _, _)| *p == partition);
        assert!(mine.map(|(_, offset, _)| *offset).eq(0..300));
    }
}

#[test]
fn topics_of_two_logs_are_stored_apart_also_behind_a_paused_store() {
    let cluster = Cluster::new(1);
    cluster.mock.create_topic("kept", 1, 1).unwrap();
    let intake = StandIn::with_fates([Fate::Store, Fate::Pause, Fate::Store, Fate::Pause]);
    let mut config = cluster.config();
    (config.batch_events_max, config.topics) = (40, vec!["doors".into(), "kept".into()]);
    let consumer = start(config, &intake);
    for line in lines(0..500) {
        for topic in ["doors", "kept"] {
            cluster.send(topic, 0, &line);
        }
    }
    cluster.produce(0, []);
    intake.wait_events(1_000);
    consumer.stop().unwrap();
    for topic in ["doors", "kept"] {
        assert_eq!(intake.stored(topic), whole(0..500), "{topic}");
    }
}

#[test]
fn a_paused_store_gets_everything_later_and_once() {
    let cluster = Cluster::new(1);
    let intake = StandIn::with_fates([Fate::Store, Fate::Pause, Fate::Store, Fate::Pause]);
    let mut config = cluster.config();
    config.batch_events_max = 100;
    let consumer = start(config, &intake);
    for round in 0..10 {
        cluster.produce(0, lines(round * 100..(round + 1) * 100));
    }
    intake.wait_events(1_000);
    consumer.stop().unwrap();
    assert_eq!(intake.stored("doors"), whole(0..1_000));
}

#[test]
fn what_a_paused_store_refused_of_a_topic_never_stored_before_is_read_again() {
    for from in [Start::Earliest, Start::Latest] {
        let cluster = Cluster::new(1);
        let intake = StandIn::with_fates([Fate::Pause, Fate::Pause]);
        let mut config = cluster.config();
        (config.batch_events_max, config.start) = (10, from.clone());
        let consumer = start(config, &intake);
        // Whoever begins at the end sees only what comes once it is there.
        let mut sent = 0;
        while intake.look(|disk| disk.events.is_empty()) {
            cluster.produce(0, lines(sent..sent + 10));
            sent += 10;
        }
        let first = intake.stored("doors")[0].1;
        assert!(first == 0 || from == Start::Latest);
        intake.wait_events(usize::try_from(sent - first).unwrap());
        consumer.stop().unwrap();
        assert_eq!(intake.stored("doors"), whole(first..sent), "{from:?}");
    }
}

#[test]
fn a_slow_store_holds_the_partitions_back_and_loses_nothing() {
    let cluster = Cluster::new(1);
    let intake = StandIn::new();
    intake.hold();
    let mut config = cluster.config();
    (config.batch_events_max, config.batches_max) = (10, 2);
    let consumer = start(config, &intake);
    cluster.produce(0, lines(0..2_000));
    intake.wait_submitted(1);
    intake.release();
    intake.wait_events(2_000);
    consumer.stop().unwrap();
    assert_eq!(intake.stored("doors"), whole(0..2_000));
}

#[test]
fn a_failed_store_ends_the_consumer() {
    let cluster = Cluster::new(1);
    let intake = StandIn::with_fates([Fate::Fail]);
    let consumer = start(cluster.config(), &intake);
    cluster.produce(0, lines(0..10));
    let failed = consumer.thread.join().unwrap().unwrap_err();
    assert!(failed.to_string().contains("sync failed"), "{failed}");
    assert!(intake.look(|disk| disk.events.is_empty()));
}

#[test]
fn a_record_stored_in_a_crash_is_not_stored_again() {
    let cluster = Cluster::new(1);
    let intake = StandIn::with_fates([Fate::StoreAndFail]);
    let consumer = start(cluster.config(), &intake);
    cluster.produce(0, lines(0..100));
    consumer.thread.join().unwrap().unwrap_err();
    let stored = intake.look(|disk| disk.events.len());
    assert!(stored > 0);
    let intake = intake.restarted();
    let consumer = start(cluster.config(), &intake);
    intake.wait_events(100);
    consumer.stop().unwrap();
    assert_eq!(intake.stored("doors"), whole(0..100));
}

#[test]
fn a_topic_made_anew_is_read_whole_in_a_new_epoch_and_told() {
    let cluster = Cluster::new(1);
    cluster.produce(0, lines(0..50));
    let intake = StandIn::new();
    let first = start(cluster.config(), &intake);
    intake.wait_events(50);
    first.stop().unwrap();
    // The store remembers other bytes at offset 49, as after the topic was made anew.
    let intake = intake.restarted();
    intake.change(|disk| disk.sources[0].last_digest ^= 1);
    let second = start(cluster.config(), &intake);
    intake.wait_events(100);
    let facts = Arc::clone(&second.facts);
    second.stop().unwrap();
    assert_eq!(intake.stored("doors"), [whole(0..50), whole(0..50)].concat());
    assert!(matches!(
        facts.lock().unwrap()[..],
        [Fact::SourceEpochOpened { epoch: 1, offset: 0, partition: 0, .. }]
    ));
    assert_eq!(intake.look(|disk| disk.sources[0].epoch), 1);
}

#[test]
fn a_topic_that_ends_before_what_is_stored_is_read_whole_in_a_new_epoch() {
    let cluster = Cluster::new(1);
    cluster.produce(0, lines(0..20));
    let intake = StandIn::new();
    let first = start(cluster.config(), &intake);
    intake.wait_events(20);
    first.stop().unwrap();
    let intake = intake.restarted();
    intake.change(|disk| disk.sources[0].last = 500);
    let second = start(cluster.config(), &intake);
    intake.wait_events(40);
    let facts = Arc::clone(&second.facts);
    second.stop().unwrap();
    assert!(matches!(facts.lock().unwrap()[..], [Fact::SourceEpochOpened { epoch: 1, .. }]));
}

#[test]
fn only_what_comes_after_the_first_start_is_read_where_that_was_asked_for() {
    let cluster = Cluster::new(1);
    cluster.produce(0, lines(0..20));
    let intake = StandIn::new();
    let mut config = cluster.config();
    config.start = Start::Latest;
    // An empty commit would not show that the place was taken, so what follows is sent until one comes.
    let consumer = start(config, &intake);
    let mut sent = 20;
    while intake.look(|disk| disk.events.is_empty()) {
        cluster.produce(0, lines(sent..sent + 1));
        sent += 1;
    }
    consumer.stop().unwrap();
    assert!(intake.stored("doors")[0].1 >= 20);
}

#[test]
fn what_somebody_paused_waits_shows_its_lag_and_is_read_on_once() {
    let cluster = Cluster::new(2);
    cluster.mock.create_topic("kept", 1, 1).unwrap();
    let intake = StandIn::new();
    let (lags, paused) = (Arc::<Lags>::default(), Arc::<Paused>::default());
    let shown = (Shown::new(Arc::clone(&lags), Arc::default()), Arc::clone(&paused));
    let mut config = cluster.config();
    config.topics = vec!["doors".into(), "kept".into()];
    config.properties.insert("statistics.interval.ms".into(), "100".into());
    paused.set(["kafka:doors".to_owned()].into());
    let consumer = start_shown(config, &intake, shown);
    let send = |range: std::ops::Range<i64>| {
        for line in lines(range) {
            cluster.send("doors", 0, &line);
            cluster.send("kept", 0, &line);
        }
        cluster.produce(1, []);
    };
    // Paused before the group gave it, on the way, and all of it.
    send(0..300);
    intake.wait_events(300);
    wait_until(|| lags.of("kafka:doors") == Some(300));
    assert!(intake.stored("doors").is_empty());
    paused.set([].into());
    intake.wait_events(600);
    paused.set(["kafka:doors".to_owned()].into());
    wait_until(|| paused.news().is_none());
    send(300..500);
    intake.wait_events(800);
    wait_until(|| lags.of("kafka:doors") == Some(200));
    paused.set([Paused::ALL.to_owned()].into());
    paused.set([].into());
    intake.wait_events(1_000);
    consumer.stop().unwrap();
    for topic in ["doors", "kept"] {
        assert_eq!(intake.stored(topic), whole(0..500), "{topic}");
    }
}

#[test]
fn a_partition_is_begun_at_the_offset_that_was_asked_for() {
    let cluster = Cluster::new(2);
    for partition in 0..2 {
        cluster.produce(partition, lines(0..50));
    }
    for (start_at, first) in
        [(Start::Offset(20), [20, 20]), (Start::Offsets([(1, 30)].into()), [0, 30])]
    {
        let intake = StandIn::new();
        let mut config = cluster.config();
        config.starts = ByTopic::from(BTreeMap::from([("doors".to_owned(), start_at.clone())]));
        let consumer = start(config, &intake);
        intake.wait_events(usize::try_from(100 - first[0] - first[1]).unwrap());
        consumer.stop().unwrap();
        let stored = intake.stored("doors");
        for (partition, first) in (0..).zip(first) {
            let offsets = stored.iter().filter(|one| one.0 == partition).map(|one| one.1);
            assert!(offsets.eq(first..50), "{start_at:?}");
        }
    }
}

#[test]
fn what_comes_while_another_holds_a_partition_never_stored_is_read_afterwards() {
    // Each assignment began such a partition at its end, as if it had not been begun before.
    let cluster = Cluster::new(1);
    // Of two partitions each of two members gets one.
    cluster.mock.create_topic("kept", 2, 1).unwrap();
    let intake = StandIn::new();
    let mut config = cluster.config();
    (config.start, config.topics) = (Start::Latest, vec!["doors".into(), "kept".into()]);
    config.properties.insert("heartbeat.interval.ms".into(), "100".into());
    let consumer = start(config, &intake);
    // All partitions are begun once something comes of one.
    let mut sent = 0;
    while intake.look(|disk| disk.events.is_empty()) {
        cluster.produce(0, lines(sent..sent + 1));
        sent += 1;
    }
    let first = intake.stored("doors")[0].1;
    let guest = cluster.guest(&["doors", "kept"]);
    for partition in 0..2 {
        lines(0..10).for_each(|line| cluster.send("kept", partition, &line));
    }
    cluster.produce(0, []);
    drop(guest);
    intake.wait_events(usize::try_from(sent - first + 20).unwrap());
    consumer.stop().unwrap();
    assert_eq!(sorted(&intake, "kept"), in_each_of_two(10));
}

#[test]
fn what_is_on_its_way_when_partitions_change_hands_is_stored_once() {
    let cluster = Cluster::new(2);
    let intake = StandIn::new();
    intake.hold();
    let mut config = cluster.config();
    config.properties.insert("heartbeat.interval.ms".into(), "100".into());
    let consumer = start(config, &intake);
    for partition in 0..2 {
        cluster.produce(partition, lines(0..50));
    }
    intake.wait_submitted(1);
    // The group waits for the store no longer than a session: the guest has all of them for a while.
    drop(cluster.guest(&["doors"]));
    intake.release();
    intake.wait_events(100);
    consumer.stop().unwrap();
    assert_eq!(sorted(&intake, "doors"), in_each_of_two(50));
}

#[test]
fn a_stop_does_not_wait_for_a_broker_that_is_not_there() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = ConsumerConfig::new(nobody.to_string(), "custos", vec!["doors".into()]);
    start(config, &StandIn::new()).stop().unwrap();
}

#[test]
fn a_topic_list_that_is_empty_or_a_client_property_that_is_unknown_is_refused_by_name() {
    let build = |config: ConsumerConfig| {
        let facts = Arc::new(|_| {});
        let built =
            Consumer::new(config, StandIn::new(), decoders(), clock(), facts, Default::default());
        let error = built.err().unwrap();
        format!("{error}: {:?}", std::error::Error::source(&error))
    };
    let none = ConsumerConfig::new("127.0.0.1:1", "custos", vec![]);
    assert!(build(none).contains("topics is empty"));
    let mut unknown = ConsumerConfig::new("127.0.0.1:1", "custos", vec!["doors".into()]);
    unknown.properties.insert("no.such.thing".into(), "1".into());
    let text = build(unknown);
    assert!(text.contains("no.such.thing") && text.contains("correct properties"), "{text}");
}
