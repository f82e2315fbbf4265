//! The streams of one port: how many there may be, and what becomes of each.

use super::{
    PortConfig, Protocol,
    dialogue::{self, Speaking},
    stream,
    tls::{self, Acceptor, NoTls},
};
use crate::{
    batch::{Intake, IntakeError},
    beats, fluent,
    gate::{Feed, FeedError, Gate},
    gelf, syslog,
};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Each may hold an event that is not whole yet (256 KiB), what it has read (64 KiB) and the events of that:
/// in all less than 200 MiB, if every one of them means harm. What clients that wait for answers hold beyond that
/// shares one room ([`dialogue::ROOM_BYTES`]).
const CONNECTIONS_MAX: usize = 512;
/// What open connections hold at the end is stored in this time, or told as lost.
const GRACE: Duration = Duration::from_secs(5);

/// Why one connection ended otherwise than by its client's wish.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionError {
    #[error(transparent)]
    Tls(#[from] NoTls),
    #[error("the connection broke")]
    Io(#[from] io::Error),
    /// What came is not what the port speaks, or not from whom it may come.
    #[error("{reason}")]
    Refused { label: &'static str, reason: String },
    #[error(transparent)]
    Feed(#[from] FeedError),
}

impl ConnectionError {
    pub(super) fn refused(label: &'static str, reason: &str) -> Self {
        Self::Refused { label, reason: reason.into() }
    }

    /// One word for programs.
    fn label(&self) -> &'static str {
        match self {
            Self::Tls(_) => "tls",
            Self::Refused { label, .. } => label,
            Self::Io(_) | Self::Feed(_) => "broken",
        }
    }
}

/// Serves until `stop`; an error only if the store failed.
pub(super) async fn run<I: Intake>(
    listener: TcpListener,
    tls: Option<Acceptor>,
    config: &PortConfig,
    gate: &Gate<I>,
    stop: &CancellationToken,
) -> Result<(), FeedError> {
    let mut open = JoinSet::new();
    let room = Arc::new(Semaphore::new(dialogue::ROOM_BYTES));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = open.join_next() => {
                failed(ended)?;
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let source = Arc::clone(&config.source);
        match accepted {
            Ok(_) if open.len() >= CONNECTIONS_MAX => {
                tracing::warn!(%source, limit = CONNECTIONS_MAX, "too many connections, one turned away");
                count_refused(&source, "too_many");
            }
            Ok((_, peer)) if !config.allows(peer.ip()) => {
                tracing::debug!(%source, %peer, "a connection from no network of this port");
                count_refused(&source, "network");
            }
            Ok((stream, peer)) => {
                let (config, room) = (config.clone(), Arc::clone(&room));
                let one = One { config, source, peer, stop: stop.clone(), room };
                open.spawn(one.serve(stream, tls.clone(), gate.clone()));
            }
            Err(error) => {
                tracing::warn!(%source, %error, "cannot accept a connection");
                tokio::time::sleep(crate::listener::ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let draining = async {
        while let Some(ended) = open.join_next().await {
            failed(ended)?;
        }
        Ok(())
    };
    timeout(GRACE, draining).await.unwrap_or_else(|_| {
        tracing::warn!(source = %config.source, "connections did not end in time");
        Ok(())
    })
}

/// What ended a connection may have to end the server.
fn failed(ended: Result<Option<FeedError>, tokio::task::JoinError>) -> Result<(), FeedError> {
    match ended {
        Ok(Some(error @ FeedError::Intake(IntakeError::Failed(_)))) => Err(error),
        Ok(_) => Ok(()),
        Err(error) => {
            tracing::error!(%error, "a connection's task failed");
            Ok(())
        }
    }
}

fn count_refused(source: &str, reason: &'static str) {
    let source = source.to_owned();
    metrics::counter!("custos_port_refused_total", "source" => source, "reason" => reason)
        .increment(1);
}

/// One client's connection.
struct One {
    config: PortConfig,
    source: Arc<str>,
    peer: SocketAddr,
    stop: CancellationToken,
    /// Shared by all of the port.
    room: Arc<Semaphore>,
}

impl One {
    async fn serve<I: Intake>(
        self,
        stream: TcpStream,
        tls: Option<Acceptor>,
        gate: Gate<I>,
    ) -> Option<FeedError> {
        let ended = match tls {
            None => self.speak(stream, gate).await,
            Some(tls) => match tls::accept(&tls, stream).await {
                Ok(stream) => self.speak(stream, gate).await,
                Err(error) => Err(error.into()),
            },
        };
        let (source, peer) = (&self.source, self.peer);
        match ended {
            Ok(()) => tracing::debug!(%source, %peer, "a client left"),
            Err(ConnectionError::Feed(error)) => {
                tracing::warn!(%source, %peer, %error, "a connection was closed");
                return Some(error);
            }
            Err(error) => {
                let told = crate::listener::Chain(&error);
                tracing::warn!(%source, %peer, error = %told, "a connection was closed");
                count_refused(source, error.label());
            }
        }
        None
    }

    async fn speak<I: Intake>(
        &self,
        stream: impl stream::Stream,
        gate: Gate<I>,
    ) -> Result<(), ConnectionError> {
        let feed = gate.feed(&self.source);
        let peer = self.peer.ip().to_canonical();
        match self.config.protocol {
            Protocol::Syslog => {
                stream::read(stream, syslog::Frames::default(), feed, peer, &self.stop).await
            }
            Protocol::Gelf => {
                stream::read(stream, gelf::Frames::default(), feed, peer, &self.stop).await
            }
            Protocol::Fluent => {
                let forward = fluent::Forward::new(self.config.shared_key.clone())?;
                self.speaking(feed, peer).hold(stream, forward).await
            }
            Protocol::Beats => {
                self.speaking(feed, peer).hold(stream, beats::Beats::default()).await
            }
        }
    }

    fn speaking<I>(&self, feed: Feed<I>, peer: IpAddr) -> Speaking<'_, I> {
        Speaking { feed, peer, stop: &self.stop, room: Arc::clone(&self.room) }
    }
}
