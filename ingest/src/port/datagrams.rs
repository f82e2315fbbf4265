//! UDP: one datagram, one message. What the kernel had to throw away because nobody took it in time is counted.

use super::{PortConfig, Protocol};
use crate::{
    batch::{Intake, IntakeError},
    decoding::{Context, Piece},
    gate::{Feed, FeedError, Gate},
};
use bytes::Bytes;
use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::{net::UdpSocket, sync::mpsc, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// The longest that UDP carries.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// What is received while the messages before become durable: 16 MiB are 30,000 messages of usual length.
const WAITING_BYTES_MAX: usize = 16 << 20;
/// Asked of the kernel, which gives at most `net.core.rmem_max`.
const SOCKET_BYTES: usize = 8 << 20;
/// So often the kernel is asked what it threw away.
const LOOK_EVERY: Duration = Duration::from_secs(5);
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
    let storing = store(feed, queue, stop);
    let (stored, ()) = tokio::join!(storing, receiving);
    stored
}

async fn store<I: Intake>(
    mut feed: Feed<I>,
    mut received: mpsc::Receiver<Received>,
    stop: &CancellationToken,
) -> Result<(), FeedError> {
    while let Some(mut pieces) = received.recv().await {
        match feed.deliver_patiently(&mut pieces, stop).await {
            Ok(()) => {}
            Err(error @ FeedError::Intake(IntakeError::Failed(_))) => return Err(error),
            Err(error) => {
                let (source, lost) = (feed.source(), pieces.len());
                tracing::error!(%source, lost, %error, "datagrams could not be stored");
                count_dropped(source, "not_stored", lost as u64);
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
    let mut waiting = Waiting::default();
    let mut every = tokio::time::interval(LOOK_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut dropped = 0;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            room = store.reserve(), if !waiting.pieces.is_empty() => match room {
                Ok(room) => room.send(waiting.take()),
                Err(_) => return,
            },
            _ = every.tick() => look(receiver.address, config, &mut dropped),
            read = receiver.socket.recv_from(&mut buffer), if waiting.bytes < WAITING_BYTES_MAX => {
                match read {
                    Ok((len, from)) => waiting.add(config.protocol, buffer.get(..len), from.ip()),
                    // An answer to something that this socket never sent.
                    Err(error) => tracing::debug!(%error, "a datagram could not be read"),
                }
            }
        }
    }
    // What lies in the socket was received too.
    while let Ok((len, from)) = receiver.socket.try_recv_from(&mut buffer) {
        waiting.add(config.protocol, buffer.get(..len), from.ip());
    }
    if !waiting.pieces.is_empty() && store.send(waiting.take()).await.is_err() {
        tracing::debug!("the store has failed");
    }
}

#[derive(Default)]
struct Waiting {
    pieces: Received,
    bytes: usize,
}

impl Waiting {
    fn add(&mut self, protocol: Protocol, datagram: Option<&[u8]>, from: IpAddr) {
        let datagram = datagram.unwrap_or_default();
        let message = match protocol {
            Protocol::Syslog => datagram.trim_ascii_end(),
        };
        let message = message.strip_suffix(b"\0").unwrap_or(message);
        if message.is_empty() {
            return;
        }
        self.bytes += message.len() + PIECE_BYTES;
        let context = Context { sender: Some(from.to_canonical()), ..Context::default() };
        let bytes = Bytes::copy_from_slice(message);
        self.pieces.push_back(Piece { context, ..Piece::new(bytes) });
    }

    fn take(&mut self) -> Received {
        self.bytes = 0;
        std::mem::take(&mut self.pieces)
    }
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
