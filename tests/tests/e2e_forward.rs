//! Clients that wait for an answer, set up by the snippets of docs/sources/, each as it is written there.

use anyhow::{Context as _, Result, ensure};
use custos_tests::{
    api::Api, certificates::Authority, custos::Node, process::free_port, snippets::Places, wait,
};
use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

const LIMIT: Duration = Duration::from_mins(1);

#[test]
fn fluentds_clients_send_by_tcp_and_with_their_key_by_tls() -> Result<()> {
    let folder = tempfile::tempdir()?;
    Authority::make(folder.path(), &["server"])?;
    let key = folder.path().join("fluent.key");
    fs::write(&key, "shared-key-of-this-test\n")?;
    let (http, plain, tls) = (free_port()?, free_port()?, free_port()?);
    let places = Places::default()
        .with("24224", plain)
        .with("24225", tls)
        .with("/etc/custos", folder.path().display());
    let page = "fluent.md";
    let node_js = "Node.js with TLS and a shared key";
    let mut node = Node::start(folder.path(), http, &places.snippet(page, "Custos")?)?;
    let api = Api::new(&node, http)?;
    places.python(page, "Python")?;
    let message = api.found("\"a message by fluent-logger\" and fluent.tag:shop.web", 1)?;
    let fields = &message[0]["fields"];
    ensure!(fields["json.order.total"] == 1.5, "{fields}");
    ensure!(fields["log.source.address"] == "127.0.0.1", "{fields}");
    let line = api.found("event.action:ssh-invalid-user and fluent.tag:shop.auth", 1)?;
    ensure!(line[0]["fields"]["host.name"] == "gate", "{}", line[0]);

    // Four modes, each acknowledged.
    for mode in ["Message", "Forward", "PackedForward", "CompressedPackedForward"] {
        let other = Places::default()
            .with("CompressedPackedForward", mode)
            .with("by Node.js", format!("by Node.js as {mode}"))
            .with("24225", tls)
            .with("/etc/custos", folder.path().display());
        other.node(page, node_js)?;
        api.found(&format!("\"by Node.js as {mode}\" and fluent.tag:shop.web"), 500)?;
    }
    // Who has another key writes nothing.
    fs::write(folder.path().join("other.key"), "shared-key-of-that-test\n")?;
    let stranger = Places::default()
        .with("fluent.key", "other.key")
        .with("by Node.js", "by a stranger")
        .with("24225", tls)
        .with("/etc/custos", folder.path().display());
    // How it ends is the client's own affair.
    drop(stranger.node(page, node_js));
    wait::until("the stranger to be refused", LIMIT, || {
        let refused = "custos_port_refused_total{source=\"fluent:branches\",reason=\"auth\"}";
        Ok((node.metric(refused)? >= 1.0).then_some(()))
    })?;
    api.found("\"by a stranger\"", 0)?;
    // What was acknowledged is there after a kill, once.
    let chunk = b"\x94\xa1t\x02\x81\xa1k\xa9the\x20last1\x81\xa5chunk\xa3one";
    let mut stream = TcpStream::connect(("127.0.0.1", plain))?;
    stream.write_all(chunk)?;
    let mut answer = [0; 9];
    stream.read_exact(&mut answer)?;
    ensure!(&answer == b"\x81\xa3ack\xa3one", "{answer:?}");
    node.kill()?;
    node.restart()?;
    api.found("json.k:\"the last1\"", 1)?;
    api.found("\"by Node.js as Forward\"", 500)?;
    let answer = api.get("/sources")?;
    for (name, stored) in [("fluent:apps", 3), ("fluent:branches", 2_000)] {
        let sources = answer["sources"].as_array().context("no sources")?;
        let source = sources.iter().find(|source| source["name"] == name).context("no source")?;
        ensure!(source["stored"] == stored && source["rejected"] == 0, "{source}");
    }
    node.stop()
}

#[test]
fn beats_clients_send_by_tcp_and_with_their_certificate_by_tls() -> Result<()> {
    let folder = tempfile::tempdir()?;
    Authority::make(folder.path(), &["server", "client"])?;
    let (http, plain, tls) = (free_port()?, free_port()?, free_port()?);
    let places = Places::default()
        .with("5044", plain)
        .with("5045", tls)
        .with("/etc/custos", folder.path().display());
    let page = "beats.md";
    let mut node = Node::start(folder.path(), http, &places.snippet(page, "Custos")?)?;
    let api = Api::new(&node, http)?;
    places.python(page, "Python")?;
    places.python(page, "Python with TLS")?;
    let orders = api.found("\"by pylogbeat\" and event.dataset:shop.order", 500)?;
    ensure!(orders[0]["fields"]["log.source.address"] == "127.0.0.1", "{}", orders[0]);
    let logon = api.found("event.code:4625 and host.name:dc1", 1)?;
    ensure!(logon[0]["fields"]["event.dataset"] == "windows.security", "{}", logon[0]);
    api.found("\"by pylogbeat with TLS\" and custos.source:\"beats:windows\"", 1)?;

    // Frames of our own: what is acknowledged is there after a kill; the other half of a window is not waited for.
    let json = br#"{"door":"V2","result":"denied","time":"2026-11-26T08:00:00Z"}"#;
    let length = u32::try_from(json.len())?.to_be_bytes();
    let event = [&b"2J\0\0\0\x07"[..], &length, json].concat();
    let mut stream = TcpStream::connect(("127.0.0.1", plain))?;
    stream.write_all(&[&b"2W\0\0\0\x01"[..], &event].concat())?;
    let mut answer = [0; 6];
    stream.read_exact(&mut answer)?;
    ensure!(&answer == b"2A\0\0\0\x07", "{answer:?}");
    node.kill()?;
    node.restart()?;
    api.found("event.dataset:custos.door", 1)?;
    let mut stream = TcpStream::connect(("127.0.0.1", plain))?;
    stream.write_all(b"1W\0\0\0\x01")?;
    ensure!(stream.read(&mut answer)? == 0, "version 1 was answered");
    api.found("error.message:\"version 1 of Lumberjack\"", 1)?;
    node.stop()
}
