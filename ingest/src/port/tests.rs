//! Ports as their clients see them, over real sockets.

use super::*;
use crate::stand_in::{Fate, StandIn, clock, decoders};
use custos_event::Flags;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
    task::JoinHandle,
};

struct Running {
    address: SocketAddr,
    intake: Arc<StandIn>,
    stop: CancellationToken,
    ended: JoinHandle<Result<(), PortError>>,
}

async fn open_for(protocol: Protocol, transport: Transport, intake: Arc<StandIn>) -> Running {
    open_to(&[], protocol, transport, intake).await
}

#[expect(clippy::disallowed_methods, reason = "a test waits for what it spawns")]
async fn open_to(
    networks: &[&str],
    protocol: Protocol,
    transport: Transport,
    intake: Arc<StandIn>,
) -> Running {
    let gate = Gate::new(Arc::clone(&intake), decoders(), clock());
    let config = PortConfig {
        protocol,
        transport,
        listen: ([127, 0, 0, 1], 0).into(),
        source: "syslog:test".into(),
        networks: networks.iter().map(|network| network.parse().unwrap()).collect(),
        shared_key: None,
    };
    let port = Port::bind(config, gate).await.unwrap();
    let (address, stop) = (port.local_addr(), CancellationToken::new());
    let ended = tokio::spawn(port.run(stop.clone()));
    Running { address, intake, stop, ended }
}

async fn open(transport: Transport, intake: Arc<StandIn>) -> Running {
    open_for(Protocol::Syslog, transport, intake).await
}

impl Running {
    async fn wait_events(&self, count: usize) {
        let intake = Arc::clone(&self.intake);
        tokio::task::spawn_blocking(move || intake.wait_events(count)).await.unwrap();
    }

    async fn end(self) -> Vec<String> {
        self.stop.cancel();
        self.ended.await.unwrap().unwrap();
        self.intake
            .look(|disk| disk.events.iter().map(|event| event.raw_text().into_owned()).collect())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_end_with_their_last_message_stored() {
    let port = open(Transport::Tcp, StandIn::new()).await;
    let mut stream = TcpStream::connect(port.address).await.unwrap();
    stream.write_all(b"<13>a\n5 <13>b<13>not ended").await.unwrap();
    stream.shutdown().await.unwrap();
    port.wait_events(3).await;
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(port.end().await, ["<13>a", "<13>b", "<13>not ended"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_nothing_becomes_durable_nothing_more_is_read() {
    let intake = StandIn::new();
    intake.hold();
    let port = open(Transport::Tcp, intake).await;
    let mut stream = TcpStream::connect(port.address).await.unwrap();
    let line = [&[b'x'; 1_023][..], b"\n"].concat();
    // More than both sockets' buffers hold: the sender is held up.
    let sending = async {
        for _ in 0..65_536 {
            stream.write_all(&line).await.unwrap();
        }
        stream.shutdown().await.unwrap();
    };
    tokio::pin!(sending);
    let held = tokio::time::timeout(std::time::Duration::from_millis(500), &mut sending).await;
    assert!(held.is_err(), "64 MiB were taken while nothing was durable");
    port.intake.release();
    sending.await;
    port.wait_events(65_536).await;
    assert_eq!(port.end().await.len(), 65_536);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn datagrams_are_messages_and_wait_while_the_disk_is_full() {
    let port = open(Transport::Udp, StandIn::with_fates([Fate::Pause, Fate::Pause])).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for text in ["<13>a\n", "\n", "bad\0", "<13>two\nlines"] {
        socket.send_to(text.as_bytes(), port.address).await.unwrap();
    }
    port.wait_events(3).await;
    let rejected = port.intake.look(|disk| {
        disk.events.iter().filter(|event| event.header.flags.has(Flags::REJECTED)).count()
    });
    assert_eq!(rejected, 1);
    assert_eq!(port.end().await, ["<13>a", "bad", "<13>two\nlines"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gelf_comes_by_datagrams_in_chunks_and_what_is_not_whole_is_kept_at_the_end() {
    let port = open_for(Protocol::Gelf, Transport::Udp, StandIn::new()).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let chunk = |name: u8, nth, part: &str| {
        [&[0x1e, 0x0f][..], &[name; 8], &[nth, 2], part.as_bytes()].concat()
    };
    for datagram in [
        chunk(1, 1, "world\"}"),
        b"{\"alone\":1}".to_vec(),
        chunk(2, 0, "only this"),
        chunk(1, 0, "{\"a\":\"hello "),
    ] {
        socket.send_to(&datagram, port.address).await.unwrap();
    }
    port.wait_events(2).await;
    let intake = Arc::clone(&port.intake);
    let texts = port.end().await;
    assert_eq!(texts, ["{\"alone\":1}", "{\"a\":\"hello world\"}", "only this"]);
    let rejection =
        intake.look(|disk| disk.events.last().and_then(|event| event.header.rejection.clone()));
    assert!(rejection.unwrap().contains("1 of 2 GELF chunks did not come"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gelf_over_tcp_ends_with_a_zero_byte_or_with_the_stream() {
    let port = open_for(Protocol::Gelf, Transport::Tcp, StandIn::new()).await;
    let mut stream = TcpStream::connect(port.address).await.unwrap();
    stream.write_all(b"{\"a\":\n1}\0\0{\"b\":2}").await.unwrap();
    stream.shutdown().await.unwrap();
    port.wait_events(2).await;
    assert_eq!(port.end().await, ["{\"a\":\n1}", "{\"b\":2}"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_networks_of_a_port_write_to_it() {
    let networks = ["192.0.2.0/24", "127.0.0.2/32"];
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let known = UdpSocket::bind("127.0.0.2:0").await.unwrap();
    let port = open_to(&networks, Protocol::Syslog, Transport::Udp, StandIn::new()).await;
    stranger.send_to(b"<13>a", port.address).await.unwrap();
    known.send_to(b"<13>b", port.address).await.unwrap();
    port.wait_events(1).await;
    assert_eq!(port.end().await, ["<13>b"]);

    let port = open_to(&networks, Protocol::Gelf, Transport::Tcp, StandIn::new()).await;
    let mut stranger = TcpStream::connect(port.address).await.unwrap();
    // Hung up on; what it sends may be refused already.
    drop(stranger.write_all(b"{\"a\":1}").await);
    assert_eq!(stranger.read(&mut [0]).await.unwrap_or(0), 0);
    let known = tokio::net::TcpSocket::new_v4().unwrap();
    known.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut known = known.connect(port.address).await.unwrap();
    known.write_all(b"{\"b\":2}").await.unwrap();
    known.shutdown().await.unwrap();
    port.wait_events(1).await;
    assert_eq!(port.end().await, ["{\"b\":2}"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_store_ends_the_port() {
    let port = open(Transport::Tcp, StandIn::with_fates([Fate::Fail])).await;
    let mut stream = TcpStream::connect(port.address).await.unwrap();
    stream.write_all(b"<13>a\n").await.unwrap();
    let error = port.ended.await.unwrap().unwrap_err().to_string();
    assert!(error.contains("syslog:test") && error.contains("sync failed"), "{error}");
}

#[tokio::test]
async fn an_address_in_use_is_named_with_its_mend() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = PortConfig {
        protocol: Protocol::Syslog,
        transport: Transport::Tcp,
        listen: taken.local_addr().unwrap(),
        source: "syslog:test".into(),
        networks: Vec::new(),
        shared_key: None,
    };
    let gate = Gate::new(StandIn::new(), decoders(), clock());
    let error = Port::bind(config, gate).await.err().unwrap().to_string();
    assert!(error.contains("syslog:test") && error.contains("ss -lntup"), "{error}");
}

/// `["t", 2, {"k": "v"}, {"chunk": "one"}]`.
const MESSAGE: &[u8] = b"\x94\xa1t\x02\x81\xa1k\xa1v\x81\xa5chunk\xa3one";
const ACK: &[u8] = b"\x81\xa3ack\xa3one";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fluentds_chunks_are_acknowledged_only_when_they_are_durable() {
    let intake = StandIn::with_fates([Fate::Pause]);
    intake.hold();
    let port = open_for(Protocol::Fluent, Transport::Tcp, intake).await;
    let mut stream = TcpStream::connect(port.address).await.unwrap();
    stream.write_all(MESSAGE).await.unwrap();
    let mut answer = [0; ACK.len()];
    let early = stream.read_exact(&mut answer);
    let early = tokio::time::timeout(std::time::Duration::from_millis(300), early).await;
    assert!(early.is_err(), "acknowledged before it was durable");
    port.intake.release();
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, ACK);
    port.intake.look(|disk| assert_eq!(disk.events.len(), 1));
    // What is cut off is kept, since nobody may send it again.
    stream.write_all(&MESSAGE[..9]).await.unwrap();
    stream.shutdown().await.unwrap();
    port.wait_events(2).await;
    let intake = Arc::clone(&port.intake);
    assert_eq!(port.end().await[0], r#"{"k":"v"}"#);
    let rejection =
        intake.look(|disk| disk.events.last().and_then(|event| event.header.rejection.clone()));
    assert!(rejection.unwrap().contains("in the middle of a message"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_fails_acknowledges_nothing_of_fluentds() {
    let port =
        open_for(Protocol::Fluent, Transport::Tcp, StandIn::with_fates([Fate::StoreAndFail])).await;
    let mut stream = TcpStream::connect(port.address).await.unwrap();
    stream.write_all(MESSAGE).await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
    assert!(port.ended.await.unwrap().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_messages_share_their_room_and_give_it_back() {
    let port = open_for(Protocol::Fluent, Transport::Tcp, StandIn::new()).await;
    // 24 of 8 MiB are more than the 128 MiB that there are at once.
    let text = vec![b'x'; 8 << 20];
    let head = [&b"\x94\xa1t\x02\x81\xa1k\xdb"[..], &(8_u32 << 20).to_be_bytes()].concat();
    let message = [&head[..], &text, b"\x81\xa5chunk\xa3one"].concat();
    let send = async |message: &[u8]| {
        let mut stream = TcpStream::connect(port.address).await.unwrap();
        let mut answer = [0; ACK.len()];
        stream.write_all(message).await.unwrap();
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, ACK);
    };
    for _ in 0..6 {
        tokio::join!(send(&message), send(&message), send(&message), send(&message));
    }
    let kept = port.end().await;
    assert_eq!(kept.len(), 24);
    assert!(kept.iter().all(|text| text.len() < (256 << 10) + 100), "kept whole");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_of_beats_are_acknowledged_only_when_they_are_durable() {
    let intake = StandIn::new();
    intake.hold();
    let port = open_for(Protocol::Beats, Transport::Tcp, intake).await;
    let mut stream = TcpStream::connect(port.address).await.unwrap();
    stream.write_all(b"2W\0\0\0\x012J\0\0\0\x05\0\0\0\x02{}2W").await.unwrap();
    let mut answer = [0; 6];
    let early = stream.read_exact(&mut answer);
    let early = tokio::time::timeout(std::time::Duration::from_millis(300), early).await;
    assert!(early.is_err(), "acknowledged before it was durable");
    port.intake.release();
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"2A\0\0\0\x05");
    // What is cut off comes again and is not kept.
    stream.shutdown().await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(port.end().await, ["{}"]);
}
