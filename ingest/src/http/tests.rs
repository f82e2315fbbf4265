//! The route over a real socket.

use super::{HttpConfig, HttpIntake, router};
use crate::body::BodyLimits;
use crate::stand_in::{Fate, StandIn, clock, decoders};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
};
use tokio_util::sync::{CancellationToken, DropGuard};

struct Running {
    address: SocketAddr,
    _stop: DropGuard,
}

fn start(config: HttpConfig, intake: &Arc<StandIn>) -> Running {
    let state = HttpIntake::new(config, Arc::clone(intake), decoders(), clock());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let socket = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let (address, stop) = (socket.local_addr().unwrap(), CancellationToken::new());
    let token = stop.clone();
    std::thread::spawn(move || {
        runtime.block_on(async {
            let serving = axum::serve(socket, router(state)).into_future();
            token.run_until_cancelled(serving).await
        })
    });
    Running { address, _stop: stop.drop_guard() }
}

/// Status and body of the answer.
fn post(running: &Running, source: &str, headers: &str, body: &[u8]) -> (u16, serde_json::Value) {
    let mut socket = TcpStream::connect(running.address).unwrap();
    let len = body.len();
    let head = format!(
        "POST /ingest/v1/{source} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         content-length: {len}\r\n{headers}\r\n"
    );
    socket.write_all(head.as_bytes()).unwrap();
    // The server may answer before it has read everything, and close.
    socket.write_all(body).ok();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    to.write_all(plain).unwrap();
    to.finish().unwrap()
}

fn raws(intake: &StandIn) -> Vec<String> {
    intake.look(|disk| disk.events.iter().map(|event| event.raw_text().into_owned()).collect())
}

#[test]
fn lines_are_stored_and_counted_and_blank_ones_are_none() {
    for (headers, body) in [
        ("", b"one\r\n\n  \nbad two\nthree".to_vec()),
        ("content-encoding: gzip\r\n", gzip(b"one\nbad two\nthree\n")),
        ("content-encoding: gzip\r\n", [gzip(b"one\nbad t"), gzip(b"wo\nthree\n")].concat()),
    ] {
        let intake = StandIn::new();
        let running = start(HttpConfig::default(), &intake);
        let (status, answer) = post(&running, "crm", headers, &body);
        assert_eq!(status, 200);
        assert_eq!(answer, serde_json::json!({ "received": 3, "stored": 2, "rejected": 1 }));
        assert_eq!(raws(&intake), ["one", "bad two", "three"]);
        assert!(intake.look(|disk| disk.events.iter().all(|e| &*e.header.source == "http:crm")));
    }
}

#[test]
fn a_body_larger_than_an_append_keeps_its_order() {
    let intake = StandIn::new();
    let running = start(HttpConfig::default(), &intake);
    let lines: Vec<_> = (0..20_000).map(|n| format!("line {n}")).collect();
    let (status, answer) = post(&running, "crm", "", lines.join("\n").as_bytes());
    assert_eq!((status, answer["stored"].as_u64()), (200, Some(20_000)));
    assert_eq!(raws(&intake), lines);
    assert!(intake.look(|disk| disk.commits) > 1);
}

#[test]
fn each_refusal_names_what_is_wrong_and_stores_nothing() {
    let limits = HttpConfig {
        sources: Some(["crm".to_owned()].into()),
        limits: BodyLimits {
            body_bytes_max: 1_000,
            inflated_bytes_max: 5_000,
            ..BodyLimits::default()
        },
    };
    let intake = StandIn::new();
    let running = start(limits, &intake);
    let gz = "content-encoding: gzip\r\n";
    let bomb = gzip(&vec![b'a'; 100_000]);
    let cut = gzip(b"one\ntwo\n");
    let cases: [(&str, &str, &[u8], u16, &str); 6] = [
        ("doors", "", b"x", 404, "unknown_source"),
        ("a%20b", "", b"x", 400, "bad_source_name"),
        ("crm", "content-encoding: br\r\n", b"x", 415, "unsupported_encoding"),
        ("crm", "", &[b'a'; 1_001], 413, "too_large"),
        ("crm", gz, &bomb, 413, "too_large"),
        ("crm", gz, &cut[..cut.len() - 9], 400, "bad_gzip"),
    ];
    for (source, headers, body, status, error) in cases {
        let (got, answer) = post(&running, source, headers, body);
        assert_eq!((got, answer["error"].as_str()), (status, Some(error)), "{answer}");
        assert!(answer["message"].as_str().is_some_and(|text| text.len() > 10));
    }
    assert!(raws(&intake).is_empty());
}

#[test]
fn a_client_is_told_how_many_lines_it_need_not_send_again() {
    let intake = StandIn::with_fates([Fate::Store, Fate::Pause]);
    let running = start(HttpConfig::default(), &intake);
    let lines: Vec<_> = (0..10_000).map(|n| format!("line {n}")).collect();
    let (status, answer) = post(&running, "crm", "", lines.join("\n").as_bytes());
    assert_eq!((status, answer["error"].as_str()), (503, Some("paused")));
    let stored = answer["lines"].as_u64().unwrap();
    assert_eq!(raws(&intake).len() as u64, stored);
    assert!(stored > 0 && stored < 10_000);
}

#[test]
fn beyond_what_may_be_in_flight_clients_are_asked_to_wait() {
    let intake = StandIn::new();
    let limits = BodyLimits { in_flight_bytes_max: 1_000, ..BodyLimits::default() };
    let running = start(HttpConfig { limits, ..HttpConfig::default() }, &intake);
    assert_eq!(post(&running, "crm", "", &[b'a'; 1_000]).0, 200);
    let (status, answer) = post(&running, "crm", "", &[b'a'; 1_001]);
    assert_eq!((status, answer["error"].as_str()), (429, Some("busy")));
}
