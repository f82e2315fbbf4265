//! UDP: one datagram, one message, or one chunk of one of GELF's. What the kernel had to throw away because nobody took
//! it in time is counted.

use super::{PortConfig, Protocol};
use crate::{
    batch::{Intake, IntakeError},
    decoding::{Context, Piece},
    gate::{APPEND_BYTES_MAX, Feed, FeedError, Gate},
    gelf::{self, Chunks},
};
use bytes::Bytes;
use std::{collections::VecDeque, io, net::SocketAddr, time::Duration};
use tokio::{net::UdpSocket, sync::mpsc, task::spawn_blocking, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// The longest that UDP carries.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// What is received while the messages before become durable: 16 MiB are 30,000 messages of usual length.
const WAITING_BYTES_MAX: usize = 16 << 20;
/// Asked of the kernel, which gives at most `net.core.rmem_max`.
const SOCKET_BYTES: usize = 8 << 20;
/// So often the chunks of messages that are not whole become older.
const TICK_EVERY: Duration = Duration::from_secs(1);
/// So many ticks apart the kernel is asked what it threw away.
const LOOK_TICKS: u32 = 5;
/// The room that a datagram takes beside its bytes.
const PIECE_BYTES: usize = 128;

pub(super) struct Receiver {
    socket: UdpSocket,
    address: SocketAddr,
}

impl Receiver {
    pub(super) fn bind(address: SocketAddr) -> io::Result<(Self, SocketAddr)> {
        use socket2::{Domain, Socket, Type};
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
        socket.set_recv_buffer_size(SOCKET_BYTES)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        let address = socket.local_addr()?;
        Ok((Self { socket, address }, address))
    }
}

type Received = VecDeque<Piece>;

/// Serves until `stop`; an error only if the store failed.
pub(super) async fn run<I: Intake>(
    receiver: Receiver,
    config: &PortConfig,
    gate: &Gate<I>,
    stop: &CancellationToken,
) -> Result<(), FeedError> {
    let feed = gate.feed(&config.source);
    let (send, queue) = mpsc::channel(1);
    let receiving = receive(receiver, config, send, stop);
    let storing = store(feed, config.protocol, queue, stop);
    let (stored, ()) = tokio::join!(storing, receiving);
    stored
}

async fn store<I: Intake>(
    mut feed: Feed<I>,
    protocol: Protocol,
    mut received: mpsc::Receiver<Received>,
    stop: &CancellationToken,
) -> Result<(), FeedError> {
    while let Some(mut received) = received.recv().await {
        while !received.is_empty() {
            let all = received.len();
            let mut pieces = VecDeque::new();
            let read = match protocol {
                Protocol::Syslog | Protocol::Fluent | Protocol::Beats => {
                    pieces = std::mem::take(&mut received);
                    Ok(())
                }
                Protocol::Gelf => inflate(&mut received, &mut pieces).await,
            };
            let delivered = match read {
                Ok(()) => feed.deliver_patiently(&mut pieces, stop).await,
                Err(error) => Err(error),
            };
            match delivered {
                Ok(()) => {}
                Err(error @ FeedError::Intake(IntakeError::Failed(_))) => return Err(error),
                Err(error) => {
                    // What failed while it was inflated is gone with its task.
                    let lost = if pieces.is_empty() { all } else { pieces.len() };
                    let source = feed.source();
                    tracing::error!(%source, lost, %error, "datagrams could not be stored");
                    count_dropped(source, "not_stored", lost as u64);
                }
            }
        }
    }
    Ok(())
}

fn count_dropped(source: &str, reason: &'static str, count: u64) {
    let source = source.to_owned();
    metrics::counter!("custos_udp_dropped_total", "source" => source, "reason" => reason)
        .increment(count);
}

/// Takes datagrams off the socket while those before are being stored.
async fn receive(
    receiver: Receiver,
    config: &PortConfig,
    store: mpsc::Sender<Received>,
    stop: &CancellationToken,
) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    let mut waiting = Waiting::new(config.protocol);
    let mut every = tokio::time::interval(TICK_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut ticks, mut dropped) = (0_u32, 0);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            room = store.reserve(), if !waiting.pieces.is_empty() => match room {
                Ok(room) => room.send(waiting.take()),
                Err(_) => return,
            },
            _ = every.tick() => {
                waiting.tick();
                if ticks.is_multiple_of(LOOK_TICKS) {
                    look(receiver.address, config, &mut dropped);
                }
                ticks = ticks.wrapping_add(1);
            }
            read = receiver.socket.recv_from(&mut buffer), if waiting.bytes < WAITING_BYTES_MAX => {
                match read {
                    Ok((len, from)) => waiting.receive(config, buffer.get(..len), from),
                    // An answer to something that this socket never sent.
                    Err(error) => tracing::debug!(%error, "a datagram could not be read"),
                }
            }
        }
    }
    // What lies in the socket was received too.
    while let Ok((len, from)) = receiver.socket.try_recv_from(&mut buffer) {
        waiting.receive(config, buffer.get(..len), from);
    }
    waiting.end();
    if !waiting.pieces.is_empty() && store.send(waiting.take()).await.is_err() {
        tracing::debug!("the store has failed");
    }
}

/// Messages on their way to the log.
#[derive(Default)]
struct Waiting {
    pieces: Received,
    bytes: usize,
    /// Where messages may come in several datagrams.
    chunks: Option<Chunks>,
}

impl Waiting {
    fn new(protocol: Protocol) -> Self {
        let chunks = match protocol {
            // The latter two are not spoken over UDP, which the configuration says.
            Protocol::Syslog | Protocol::Fluent | Protocol::Beats => None,
            Protocol::Gelf => Some(Chunks::default()),
        };
        Self { chunks, ..Self::default() }
    }

    fn receive(&mut self, config: &PortConfig, datagram: Option<&[u8]>, from: SocketAddr) {
        if config.allows(from.ip()) {
            self.add(datagram, from);
        } else {
            count_dropped(&config.source, "network", 1);
        }
    }

    fn add(&mut self, datagram: Option<&[u8]>, from: SocketAddr) {
        let datagram = datagram.unwrap_or_default();
        self.with_chunks(|chunks, whole| chunks.take(datagram, from, whole));
        if self.chunks.is_none() {
            let message = datagram.trim_ascii_end();
            let message = message.strip_suffix(b"\0").unwrap_or(message);
            self.keep(from, Piece::new(Bytes::copy_from_slice(message)));
        }
    }

    fn tick(&mut self) {
        self.with_chunks(|chunks, whole| chunks.tick(whole));
    }

    fn end(&mut self) {
        self.with_chunks(|chunks, whole| chunks.end(whole));
    }

    fn with_chunks(&mut self, does: impl FnOnce(&mut Chunks, &mut dyn FnMut(SocketAddr, Piece))) {
        if let Some(mut chunks) = self.chunks.take() {
            does(&mut chunks, &mut |from, piece| self.keep(from, piece));
            self.chunks = Some(chunks);
        }
    }

    fn keep(&mut self, from: SocketAddr, piece: Piece) {
        if piece.bytes.is_empty() {
            return;
        }
        self.bytes += piece.bytes.len() + PIECE_BYTES;
        let context = Context { sender: Some(from.ip().to_canonical()), ..Context::default() };
        self.pieces.push_back(Piece { context, ..piece });
    }

    fn take(&mut self) -> Received {
        self.bytes = 0;
        std::mem::take(&mut self.pieces)
    }
}

/// Takes off `received` as much as goes into one append when it is inflated, so that a little that is much when
/// inflated does not fill the memory.
async fn inflate(received: &mut Received, plain: &mut Received) -> Result<(), FeedError> {
    let mut sent = std::mem::take(received);
    let inflating = spawn_blocking(move || {
        let (mut plain, mut bytes) = (VecDeque::new(), 0);
        while bytes < APPEND_BYTES_MAX
            && let Some(piece) = sent.pop_front()
        {
            let piece = gelf::plain(piece);
            bytes += piece.bytes.len();
            plain.push_back(piece);
        }
        (sent, plain)
    });
    (*received, *plain) = inflating.await.map_err(|_| FeedError::Decoder)?;
    Ok(())
}

/// Tells what the kernel has thrown away since the last look.
fn look(address: SocketAddr, config: &PortConfig, before: &mut u64) {
    let Some(now) = dropped_by_kernel(address) else { return };
    let new = now.saturating_sub(*before);
    *before = now;
    if new > 0 {
        let source = &config.source;
        tracing::warn!(
            %source, new, "UDP came faster than it was taken: raise net.core.rmem_max, or send by TCP"
        );
        count_dropped(source, "kernel", new);
    }
}

/// The last column of the socket's line in /proc/net/udp.
fn dropped_by_kernel(address: SocketAddr) -> Option<u64> {
    let table = if address.is_ipv4() { "/proc/net/udp" } else { "/proc/net/udp6" };
    let table = std::fs::read_to_string(table).ok()?;
    let port = format!(":{:04X}", address.port());
    let mine = |line: &&str| {
        line.split_whitespace().nth(1).is_some_and(|local| local.ends_with(port.as_str()))
    };
    let line = table.lines().skip(1).find(mine)?;
    line.split_whitespace().last()?.parse().ok()
}
