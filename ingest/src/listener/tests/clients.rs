//! What librdkafka's producer sees of the listener.

use super::{config, lines, producer, send, ship, start, user, whole};
use crate::{
    listener::ledger::{self, Ledger},
    stand_in::{Fate, StandIn},
};
use rdkafka::{
    error::RDKafkaErrorCode,
    metadata::MetadataTopic,
    producer::{BaseRecord, Producer},
};
use std::{sync::Arc, time::Duration};

#[test]
fn every_codec_and_every_acks_of_librdkafka_is_stored_in_order_with_its_offsets() {
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        for properties in [
            [("compression.type", codec), ("enable.idempotence", "true")],
            [("compression.type", codec), ("acks", "all")],
            [("compression.type", codec), ("acks", "1")],
        ] {
            let intake = StandIn::new();
            let listener = start(config(), &intake);
            let reports = ship(&producer(listener.address, &properties), "doors", lines(0..2_000));
            assert!(reports.into_iter().eq((0..2_000).map(Ok)), "{properties:?}");
            assert_eq!(intake.stored("doors"), whole(2_000), "{properties:?}");
            listener.stop().unwrap();
        }
    }
}

#[test]
fn acks_0_gets_no_answer_and_is_stored_all_the_same() {
    let intake = StandIn::new();
    let listener = start(config(), &intake);
    ship(&producer(listener.address, &[("acks", "0")]), "doors", lines(0..500));
    intake.wait_events(500);
    assert_eq!(intake.stored("doors"), whole(500));
    listener.stop().unwrap();
}

#[test]
fn no_answer_comes_before_the_events_are_durable() {
    let intake = StandIn::new();
    let listener = start(config(), &intake);
    intake.hold();
    let producer = producer(listener.address, &[("acks", "1")]);
    send(&producer, "doors", lines(0..1));
    intake.wait_submitted(1);
    producer.poll(Duration::from_millis(50));
    assert!(producer.context().0.lock().unwrap().is_empty());
    intake.release();
    assert_eq!(ship(&producer, "doors", []), [Ok(0)]);
    listener.stop().unwrap();
}

#[test]
fn a_paused_intake_makes_the_producer_try_again_and_nothing_is_doubled_or_out_of_order() {
    for idempotent in ["true", "false"] {
        let pauses = std::iter::repeat_n(Fate::Pause, 3);
        let intake = StandIn::with_fates([Fate::Store].into_iter().chain(pauses));
        let listener = start(config(), &intake);
        let properties =
            [("enable.idempotence", idempotent), ("acks", "all"), ("batch.num.messages", "50")];
        let reports = ship(&producer(listener.address, &properties), "doors", lines(0..1_000));
        assert!(reports.iter().all(Result::is_ok), "{reports:?}");
        let stored = intake.stored("doors");
        assert!(stored.iter().map(|(_, offset, _)| *offset).eq(0..1_000));
        if idempotent == "true" {
            assert_eq!(stored, whole(1_000));
        }
        listener.stop().unwrap();
    }
}

#[test]
fn a_batch_that_was_stored_in_a_crash_is_stored_once_and_keeps_its_offset() {
    let intake = StandIn::with_fates([Fate::Store, Fate::StoreAndFail]);
    let listener = start(config(), &intake);
    let address = listener.address;
    let properties = [
        ("enable.idempotence", "true"),
        ("reconnect.backoff.ms", "10"),
        ("reconnect.backoff.max.ms", "50"),
    ];
    let producer = producer(address, &properties);
    assert_eq!(ship(&producer, "doors", lines(0..1)), [Ok(0)]);
    send(&producer, "doors", lines(1..200));
    let crashed = listener.thread.join().unwrap().unwrap_err();
    assert!(crashed.to_string().contains("died"), "{crashed}");
    let intake = intake.restarted();
    let stored_before = intake.look(|disk| disk.events.len());
    assert!(stored_before > 1);
    let mut config = config();
    config.listen = address;
    let listener = start(config, &intake);
    let reports = ship(&producer, "doors", lines(200..300));
    assert!(reports.into_iter().eq((1..300).map(Ok)));
    assert_eq!(intake.stored("doors"), whole(300));
    listener.stop().unwrap();
}

#[test]
fn a_failed_store_ends_the_listener_and_acknowledges_nothing_more() {
    let intake = StandIn::with_fates([Fate::Store, Fate::Fail]);
    let listener = start(config(), &intake);
    let producer = producer(listener.address, &[("message.timeout.ms", "2000")]);
    assert_eq!(ship(&producer, "doors", lines(0..1)), [Ok(0)]);
    send(&producer, "doors", lines(1..2));
    let failed = listener.thread.join().unwrap().unwrap_err();
    assert!(failed.to_string().contains("sync failed"), "{failed}");
    assert!(ship(&producer, "doors", [])[0].is_err());
    assert_eq!(intake.look(|disk| disk.events.len()), 1);
}

#[test]
fn offsets_go_on_after_a_restart() {
    let intake = StandIn::new();
    let listener = start(config(), &intake);
    ship(&producer(listener.address, &[]), "doors", lines(0..10));
    listener.stop().unwrap();
    let intake = intake.restarted();
    let listener = start(config(), &intake);
    let reports = ship(&producer(listener.address, &[]), "doors", lines(10..20));
    assert!(reports.into_iter().eq((10..20).map(Ok)));
    assert_eq!(intake.stored("doors"), whole(20));
    listener.stop().unwrap();
}

#[test]
fn many_clients_share_commits_and_each_keeps_its_order() {
    let mut intake = StandIn::default();
    intake.latency = Duration::from_millis(5);
    let intake = Arc::new(intake);
    let listener = start(config(), &intake);
    let address = listener.address;
    let clients: Vec<_> = (0..8)
        .map(|client| {
            std::thread::spawn(move || {
                let lines = (0..500).map(|n| format!("{client} {n:03}"));
                let properties = [("enable.idempotence", "true"), ("batch.num.messages", "20")];
                let reports = ship(&producer(address, &properties), "doors", lines);
                assert!(reports.iter().all(Result::is_ok));
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    listener.stop().unwrap();
    let stored = intake.stored("doors");
    assert!(stored.iter().map(|(_, offset, _)| *offset).eq(0..4_000));
    for client in 0..8 {
        let prefix = format!("{client} ");
        let mine: Vec<_> = stored.iter().filter(|(_, _, line)| line.starts_with(&prefix)).collect();
        assert!(mine.len() == 500 && mine.is_sorted_by(|(_, _, a), (_, _, b)| a < b));
    }
    // How many share one is the scheduler's to say; that none ever does is not.
    let commits = intake.look(|disk| disk.commits);
    assert!(commits < 200, "{commits} commits for 200 batches");
}

#[test]
fn topics_of_two_logs_are_stored_apart_and_each_keeps_its_order() {
    let intake = StandIn::new();
    let listener = start(config(), &intake);
    // What waits behind the first append is of both logs, in turn.
    intake.hold();
    let producers = [(); 2].map(|()| producer(listener.address, &[("enable.idempotence", "true")]));
    for n in 0..50 {
        for (producer, topic) in producers.iter().zip(["doors", "kept"]) {
            send(producer, topic, lines(n..n + 1));
            producer.poll(Duration::from_millis(2));
        }
    }
    intake.wait_submitted(1);
    intake.release();
    for (producer, topic) in producers.iter().zip(["doors", "kept"]) {
        assert!(ship(producer, topic, []).into_iter().eq((0..50).map(Ok)), "{topic}");
        assert_eq!(intake.stored(topic), whole(50), "{topic}");
    }
    listener.stop().unwrap();
}

#[test]
fn partitions_keep_their_own_offsets_and_the_key_is_kept() {
    let intake = StandIn::new();
    let listener = start(config(), &intake);
    let producer = producer(listener.address, &[]);
    for n in 0..9 {
        let value = format!("{n}");
        producer
            .send(BaseRecord::to("wide").key("k7").payload(&value).partition(n % 3))
            .map_err(|(error, _)| error)
            .unwrap();
    }
    ship(&producer, "wide", []);
    for partition in 0..3 {
        let stored = intake.stored("wide");
        let mine = stored.iter().filter(|(p, _, _)| *p == partition).map(|(_, offset, _)| *offset);
        assert!(mine.eq(0..3));
    }
    intake.look(|disk| {
        let key = |event: &custos_event::ParsedEvent| {
            event.str(custos_event::ecs::KAFKA_KEY) == Some("k7")
                && &*event.header.source == "listener:wide"
        };
        assert!(disk.events.iter().all(key));
    });
    listener.stop().unwrap();
}

#[test]
fn a_record_without_a_value_is_kept_as_rejected() {
    let intake = StandIn::new();
    let listener = start(config(), &intake);
    let producer = producer(listener.address, &[]);
    producer
        .send(BaseRecord::<str, str>::to("doors").key("gone"))
        .map_err(|(error, _)| error)
        .unwrap();
    assert_eq!(ship(&producer, "doors", []), [Ok(0)]);
    intake.look(|disk| {
        let header = &disk.events[0].header;
        assert!(header.flags.has(custos_event::Flags::REJECTED));
        assert!(header.rejection.as_deref().unwrap().contains("no value"));
    });
    listener.stop().unwrap();
}

#[test]
fn an_unknown_topic_is_refused_and_the_client_is_told_which() {
    let intake = StandIn::new();
    let listener = start(config(), &intake);
    let quick = [("message.timeout.ms", "3000"), ("topic.metadata.propagation.max.ms", "100")];
    let reports = ship(&producer(listener.address, &quick), "windows", lines(0..1));
    let unknown = [RDKafkaErrorCode::UnknownTopic, RDKafkaErrorCode::UnknownTopicOrPartition];
    assert!(matches!(reports[..], [Err(code)] if unknown.contains(&code)), "{reports:?}");
    listener.stop().unwrap();
    let refusal = ledger::unknown_topic("windows", 0);
    assert!(refusal.text.contains("'windows'") && refusal.text.contains("listener.topics"));
}

#[test]
fn topics_are_made_only_where_that_is_wanted() {
    let intake = StandIn::new();
    let mut wanted = config();
    (wanted.auto_create, wanted.topics_max) = (true, wanted.topics.len() + 1);
    let listener = start(wanted.clone(), &intake);
    assert_eq!(ship(&producer(listener.address, &[]), "new", lines(0..1)), [Ok(0)]);
    let quick = [("message.timeout.ms", "3000"), ("topic.metadata.propagation.max.ms", "100")];
    let reports = ship(&producer(listener.address, &quick), "beyond-the-limit", lines(0..1));
    assert!(reports[0].is_err());
    listener.stop().unwrap();
    let ledger = Ledger::open(&wanted, &intake.look(|disk| disk.sources.clone()), &[]);
    assert_eq!(ledger.next_offset("new", 0), Some(1));
}

#[test]
fn a_password_is_asked_for_where_users_are_configured() {
    let intake = StandIn::new();
    let mut guarded = config();
    guarded.users.insert("door".into(), user("s3cret", &["doors", "^wi.*"]));
    let listener = start(guarded, &intake);
    let login = |mechanism, password| {
        [
            ("security.protocol", "sasl_plaintext"),
            ("sasl.mechanisms", mechanism),
            ("sasl.username", "door"),
            ("sasl.password", password),
            ("message.timeout.ms", "3000"),
        ]
    };
    for (n, mechanism) in (0..).zip(["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]) {
        let door = producer(listener.address, &login(mechanism, "s3cret"));
        let right = ship(&door, "doors", lines(5 * n..5 * n + 5));
        assert!(right.into_iter().eq((5 * n..5 * n + 5).map(Ok)), "{mechanism}");
        assert_eq!(ship(&door, "wide", lines(n..n + 1)), [Ok(n)], "{mechanism}");
        // Told at once where the client has asked for the topic already, else with the report.
        let other = match door.send(BaseRecord::to("kept").key("key").payload("line 0")) {
            Ok(()) => ship(&door, "kept", []).remove(0),
            Err((error, _)) => Err(error.rdkafka_error_code().unwrap()),
        };
        assert_eq!(other, Err(RDKafkaErrorCode::TopicAuthorizationFailed), "{mechanism}");
        let wrong = producer(listener.address, &login(mechanism, "secret"));
        assert!(ship(&wrong, "doors", lines(0..1))[0].is_err(), "{mechanism}");
    }
    let none = producer(listener.address, &[("message.timeout.ms", "3000")]);
    assert!(ship(&none, "doors", lines(0..1))[0].is_err());
    assert_eq!(intake.stored("doors"), whole(15));
    assert!(intake.stored("kept").is_empty());
    listener.stop().unwrap();
}

#[test]
fn only_topics_that_may_be_written_are_listed() {
    let mut guarded = config();
    guarded.users.insert("door".into(), user("s3cret", &["doors"]));
    let listener = start(guarded, &StandIn::new());
    let door = producer(
        listener.address,
        &[
            ("security.protocol", "sasl_plaintext"),
            ("sasl.mechanisms", "SCRAM-SHA-512"),
            ("sasl.username", "door"),
            ("sasl.password", "s3cret"),
        ],
    );
    let all = door.client().fetch_metadata(None, Duration::from_secs(20)).unwrap();
    let names: Vec<_> = all.topics().iter().map(MetadataTopic::name).collect();
    assert_eq!(names, ["doors"]);
    listener.stop().unwrap();
}
