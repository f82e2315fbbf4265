//! The listener against bytes: those of the protocol, and those no client sends.

use super::{config, lines, producer, send, ship, start, user};
use crate::{
    listener::{
        Listener,
        records::{Sequenced, tests::encoded},
    },
    stand_in::{Fate, StandIn, clock, decoders},
};
use kafka_protocol::records::Compression;
use rdkafka::producer::Producer;
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// A request as it stands on the wire.
fn frame(key: i16, version: i16, correlation: i32, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend_from_slice(&key.to_be_bytes());
    frame.extend_from_slice(&version.to_be_bytes());
    frame.extend_from_slice(&correlation.to_be_bytes());
    frame.extend_from_slice(&(-1_i16).to_be_bytes());
    frame.extend_from_slice(body);
    let mut bytes = u32::try_from(frame.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(&frame);
    bytes
}

fn answer(socket: &mut TcpStream) -> Vec<u8> {
    let mut len = [0; 4];
    socket.read_exact(&mut len).unwrap();
    let mut answer = vec![0; u32::from_be_bytes(len) as usize];
    socket.read_exact(&mut answer).unwrap();
    answer
}

fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket
}

/// A Produce request, version 3, of one batch for "doors".
fn produce(correlation: i32, acks: i16, batch: &[u8]) -> Vec<u8> {
    let mut body = (-1_i16).to_be_bytes().to_vec();
    body.extend_from_slice(&acks.to_be_bytes());
    body.extend_from_slice(&1_000_i32.to_be_bytes());
    body.extend_from_slice(&1_i32.to_be_bytes());
    body.extend_from_slice(b"\0\x05doors");
    body.extend_from_slice(&1_i32.to_be_bytes());
    body.extend_from_slice(&0_i32.to_be_bytes());
    body.extend_from_slice(&u32::try_from(batch.len()).unwrap().to_be_bytes());
    body.extend_from_slice(batch);
    frame(0, 3, correlation, &body)
}

/// Correlation, error and offset of an answer to [`produce`].
fn produced(answer: &[u8]) -> (i32, i16, i64) {
    let at = 4 + 4 + 7 + 4 + 4;
    (
        i32::from_be_bytes(answer[..4].try_into().unwrap()),
        i16::from_be_bytes(answer[at..at + 2].try_into().unwrap()),
        i64::from_be_bytes(answer[at + 2..at + 10].try_into().unwrap()),
    )
}

#[test]
fn an_unknown_version_of_api_versions_is_answered_in_version_0_with_error_35() {
    let listener = start(config(), &StandIn::new());
    let mut socket = connect(listener.address);
    socket.write_all(&frame(18, 99, 7, b"whatever")).unwrap();
    let unknown = answer(&mut socket);
    assert_eq!(unknown[..6], [0, 0, 0, 7, 0, 35]);
    let keys = i32::from_be_bytes(unknown[6..10].try_into().unwrap());
    assert_eq!(unknown.len(), 10 + 6 * usize::try_from(keys).unwrap());
    socket.write_all(&frame(18, 3, 8, &[0, 1, 1, 0])).unwrap();
    assert_eq!(answer(&mut socket)[..6], [0, 0, 0, 8, 0, 0]);
    listener.stop().unwrap();
}

#[test]
fn exactly_the_versions_that_are_spoken_are_advertised() {
    let mut guarded = config();
    guarded.users.insert("door".into(), user("s3cret", &[]));
    let spoken = [
        (0, 3, 12),
        (1, 4, 12),
        (2, 1, 7),
        (3, 0, 12),
        (10, 0, 4),
        (17, 1, 1),
        (18, 0, 4),
        (22, 0, 4),
        (36, 0, 2),
    ];
    for (config, with_sasl) in [(config(), false), (guarded, true)] {
        let listener = start(config, &StandIn::new());
        let mut socket = connect(listener.address);
        socket.write_all(&frame(18, 0, 1, b"")).unwrap();
        let answer = answer(&mut socket);
        let number = |at: &[u8]| i16::from_be_bytes(at.try_into().unwrap());
        let advertised: Vec<_> = answer[10..]
            .chunks(6)
            .map(|key| (number(&key[..2]), number(&key[2..4]), number(&key[4..])))
            .collect();
        let expected = spoken.iter().filter(|(key, _, _)| with_sasl || ![17, 36].contains(key));
        assert!(advertised.iter().eq(expected), "{advertised:?}");
        listener.stop().unwrap();
    }
}

#[test]
fn a_request_with_more_than_may_be_in_memory_is_taken_batch_by_batch() {
    let intake = StandIn::new();
    let mut narrow = config();
    narrow.events_bytes_max = 4_000;
    let listener = start(narrow, &intake);
    let at = Sequenced { producer: -1, epoch: -1, base: -1 };
    let batch = encoded(&[Some(&[b'x'; 900])], Compression::Lz4, at);
    let mut body = b"\xff\xff\0\x01\0\0\0\0\0\0\0\x01\0\x05doors".to_vec();
    body.extend_from_slice(&20_i32.to_be_bytes());
    for _ in 0..20 {
        body.extend_from_slice(&0_i32.to_be_bytes());
        body.extend_from_slice(&u32::try_from(batch.len()).unwrap().to_be_bytes());
        body.extend_from_slice(&batch);
    }
    let mut socket = connect(listener.address);
    socket.write_all(&frame(0, 3, 1, &body)).unwrap();
    assert_eq!(produced(&answer(&mut socket)), (1, 0, 0));
    assert_eq!(intake.look(|disk| disk.events.len()), 20);
    listener.stop().unwrap();
}

#[test]
fn a_batch_too_large_to_be_stored_at_once_is_refused_and_the_listener_lives_on() {
    let intake = StandIn::new();
    let listener = start(config(), &intake);
    let mut socket = connect(listener.address);
    let at = Sequenced { producer: -1, epoch: -1, base: -1 };
    // 20 MB that compress 99:1, and 50,001 records.
    let wide: Vec<u8> = (0..20_000_000_u32).map(|n| (n / 97).to_le_bytes()[0] & 1).collect();
    let wide = encoded(&[Some(&wide)], Compression::Gzip, at);
    let many = encoded(&vec![Some(&b""[..]); 50_001], Compression::None, at);
    for (correlation, batch) in [(1, &wide), (2, &many)] {
        socket.write_all(&produce(correlation, 1, batch)).unwrap();
        assert_eq!(produced(&answer(&mut socket)), (correlation, 10, -1));
    }
    socket.write_all(&produce(3, 1, &encoded(&[Some(b"x")], Compression::Gzip, at))).unwrap();
    assert_eq!(produced(&answer(&mut socket)), (3, 0, 0));
    assert_eq!(intake.look(|disk| disk.events.len()), 1);
    listener.stop().unwrap();
}

#[test]
fn nothing_can_be_fetched() {
    let listener = start(config(), &StandIn::new());
    let mut socket = connect(listener.address);
    let mut body = vec![0; 17];
    body.extend_from_slice(b"\0\0\0\x01\0\x05doors\0\0\0\x01\0\0\0\0");
    body.extend_from_slice(&[0; 12]);
    socket.write_all(&frame(1, 4, 5, &body)).unwrap();
    let answer = answer(&mut socket);
    let code = 4 + 4 + 4 + 7 + 4 + 4;
    assert_eq!(answer[code..code + 2], 29_i16.to_be_bytes());
    listener.stop().unwrap();
}

#[test]
fn a_retry_while_the_first_is_on_its_way_waits_for_it_and_gets_the_same_offset() {
    let intake = StandIn::new();
    let listener = start(config(), &intake);
    intake.hold();
    let at = Sequenced { producer: 77, epoch: 0, base: 0 };
    let batch = encoded(&[Some(b"one"), Some(b"two")], Compression::None, at);
    let mut first = connect(listener.address);
    first.write_all(&produce(1, -1, &batch)).unwrap();
    intake.wait_submitted(1);
    let mut second = connect(listener.address);
    second.write_all(&produce(2, 1, &batch)).unwrap();
    let gap = encoded(&[Some(b"x")], Compression::None, Sequenced { base: 9, ..at });
    second.write_all(&produce(3, 1, &gap)).unwrap();
    intake.release();
    assert_eq!(produced(&answer(&mut first)), (1, 0, 0));
    assert_eq!(produced(&answer(&mut second)), (2, 0, 0));
    assert_eq!(produced(&answer(&mut second)), (3, 45, -1));
    let next = encoded(&[Some(b"three")], Compression::None, Sequenced { base: 2, ..at });
    second.write_all(&produce(4, 1, &next)).unwrap();
    assert_eq!(produced(&answer(&mut second)), (4, 0, 2));
    assert_eq!(intake.look(|disk| disk.events.len()), 3);
    listener.stop().unwrap();
}

#[test]
fn what_followed_a_refused_batch_is_refused_with_it() {
    let intake = StandIn::with_fates([Fate::Store, Fate::Pause]);
    let listener = start(config(), &intake);
    let batch = |base| {
        let at = Sequenced { producer: 77, epoch: 0, base };
        encoded(&[Some(b"x")], Compression::None, at)
    };
    let mut socket = connect(listener.address);
    socket.write_all(&produce(0, 1, &batch(0))).unwrap();
    assert_eq!(produced(&answer(&mut socket)), (0, 0, 0));
    intake.hold();
    socket.write_all(&produce(1, 1, &batch(1))).unwrap();
    intake.wait_submitted(2);
    socket.write_all(&produce(2, 1, &batch(2))).unwrap();
    socket.write_all(&frame(18, 0, 3, b"")).unwrap();
    // The listener has read all three when it has read the last; only then the store refuses.
    let mut other = connect(listener.address);
    other.write_all(&frame(18, 0, 9, b"")).unwrap();
    answer(&mut other);
    intake.release();
    assert_eq!(produced(&answer(&mut socket)), (1, 19, -1));
    let (correlation, code, _) = produced(&answer(&mut socket));
    assert!(correlation == 2 && (code == 19 || code == 45), "{code}");
    answer(&mut socket);
    for base in [1, 2] {
        socket.write_all(&produce(base, 1, &batch(base))).unwrap();
        assert_eq!(produced(&answer(&mut socket)), (base, 0, i64::from(base)));
    }
    listener.stop().unwrap();
}

#[test]
fn a_damaged_batch_is_refused_and_the_connection_lives_on() {
    let listener = start(config(), &StandIn::new());
    let at = Sequenced { producer: -1, epoch: -1, base: -1 };
    let batch = encoded(&[Some(b"one")], Compression::Zstd, at);
    let mut damaged = batch.to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    let mut socket = connect(listener.address);
    socket.write_all(&produce(1, 1, &damaged)).unwrap();
    assert_eq!(produced(&answer(&mut socket)), (1, 2, -1));
    socket.write_all(&produce(2, 1, &batch)).unwrap();
    assert_eq!(produced(&answer(&mut socket)), (2, 0, 0));
    listener.stop().unwrap();
}

#[test]
fn who_has_not_logged_in_may_not_send_much() {
    let mut guarded = config();
    guarded.users.insert("door".into(), user("s3cret", &[]));
    let listener = start(guarded, &StandIn::new());
    let mut socket = connect(listener.address);
    socket.write_all(&frame(18, 0, 1, b"")).unwrap();
    answer(&mut socket);
    // Its length alone: what follows never comes, and is not waited for.
    socket.write_all(&100_000_u32.to_be_bytes()).unwrap();
    assert_eq!(socket.read(&mut [0]).unwrap(), 0);
    listener.stop().unwrap();
}

#[test]
fn oversize_frames_and_noise_end_their_connection_and_no_other() {
    let intake = StandIn::new();
    let listener = start(config(), &intake);
    let noise: [&[u8]; 5] = [
        &[0x7f, 0xff, 0xff, 0xff, 0, 0],
        &[0xff; 64],
        b"GET / HTTP/1.1\r\n\r\n",
        &frame(999, 0, 1, b""),
        &frame(0, 3, 1, b"\0\0\x7f\xff\xff\xff"),
    ];
    for bytes in noise {
        let mut socket = connect(listener.address);
        socket.write_all(bytes).unwrap();
        let mut more = Vec::new();
        let ended = socket.read_to_end(&mut more);
        let reset = |e: std::io::Error| e.kind() == std::io::ErrorKind::ConnectionReset;
        assert!(ended.map_or_else(reset, |read| read == 0), "{bytes:?}");
    }
    assert_eq!(ship(&producer(listener.address, &[]), "doors", lines(0..1)), [Ok(0)]);
    listener.stop().unwrap();
}

#[test]
fn a_client_beyond_the_limit_is_turned_away() {
    let mut narrow = config();
    narrow.connections_max = 1;
    let listener = start(narrow, &StandIn::new());
    let mut first = connect(listener.address);
    first.write_all(&frame(18, 0, 1, b"")).unwrap();
    answer(&mut first);
    let mut second = connect(listener.address);
    assert_eq!(second.read(&mut [0; 1]).unwrap(), 0);
    listener.stop().unwrap();
}

#[test]
fn a_busy_port_is_named_with_what_to_do() {
    let listener = start(config(), &StandIn::new());
    let mut same = config();
    same.listen = listener.address;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bound = runtime.block_on(Listener::bind(same, StandIn::new(), decoders(), clock()));
    let text = bound.err().unwrap().to_string();
    assert!(text.contains(&listener.address.to_string()) && text.contains("listener.listen"));
    listener.stop().unwrap();
}

#[test]
fn a_stop_lets_what_was_read_be_stored_and_answered() {
    let intake = StandIn::new();
    let listener = start(config(), &intake);
    intake.hold();
    let producer = producer(listener.address, &[("acks", "1")]);
    send(&producer, "doors", lines(0..3));
    producer.poll(Duration::from_millis(10));
    intake.wait_submitted(1);
    listener.shutdown.cancel();
    intake.release();
    listener.thread.join().unwrap().unwrap();
    assert!(!intake.stored("doors").is_empty());
    let stored = intake.stored("doors").len();
    producer.poll(Duration::from_secs(1));
    let acknowledged = producer.context().0.lock().unwrap().iter().flatten().count();
    assert!(acknowledged <= stored);
}
