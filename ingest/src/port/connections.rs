//! The streams of one port: how many there may be, and what becomes of each.

use super::{PortConfig, Protocol, stream};
use crate::{
    batch::{Intake, IntakeError},
    gate::{FeedError, Gate},
    gelf, syslog,
};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Each may hold an event that is not whole yet (256 KiB), what it has read (64 KiB) and the events of that:
/// in all less than 200 MiB, if every one of them means harm.
const CONNECTIONS_MAX: usize = 512;
/// A machine that is up answers in a round trip or two.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// What open connections hold at the end is stored in this time, or told as lost.
const GRACE: Duration = Duration::from_secs(5);

/// Why one connection ended otherwise than by its client's wish.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionError {
    #[error("no TLS came of it")]
    Tls(#[source] io::Error),
    #[error("no TLS came of it within {} s", HANDSHAKE_WITHIN.as_secs())]
    TlsSlow,
    #[error("the connection broke")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Feed(#[from] FeedError),
}

/// Serves until `stop`; an error only if the store failed.
pub(super) async fn run<I: Intake>(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    config: &PortConfig,
    gate: &Gate<I>,
    stop: &CancellationToken,
) -> Result<(), FeedError> {
    let mut open = JoinSet::new();
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
                let one = One { protocol: config.protocol, source, peer, stop: stop.clone() };
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
    protocol: Protocol,
    source: Arc<str>,
    peer: SocketAddr,
    stop: CancellationToken,
}

impl One {
    async fn serve<I: Intake>(
        self,
        stream: TcpStream,
        tls: Option<TlsAcceptor>,
        gate: Gate<I>,
    ) -> Option<FeedError> {
        let ended = match tls {
            None => self.speak(stream, gate).await,
            Some(tls) => match timeout(HANDSHAKE_WITHIN, tls.accept(stream)).await {
                Ok(Ok(stream)) => self.speak(stream, gate).await,
                Ok(Err(error)) => Err(ConnectionError::Tls(error)),
                Err(_) => Err(ConnectionError::TlsSlow),
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
                let is_tls = matches!(error, ConnectionError::Tls(_) | ConnectionError::TlsSlow);
                count_refused(source, if is_tls { "tls" } else { "broken" });
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
        match self.protocol {
            Protocol::Syslog => {
                stream::read(stream, syslog::Frames::default(), feed, peer, &self.stop).await
            }
            Protocol::Gelf => {
                stream::read(stream, gelf::Frames::default(), feed, peer, &self.stop).await
            }
        }
    }
}
