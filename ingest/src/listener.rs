//! The built-in Kafka listener: any Kafka producer ships straight to Custos, no broker between.
//!
//! Frames come off a socket ([`frame`]), are read as requests ([`request`]); a Produce request's batches
//! become events ([`records`], [`inflate`], [`reader`]), get their offsets and wait in the [`ledger`]
//! until [`commit`] has seen them durable; only then is the [`answer`] written. Who speaks is told by TLS and
//! by a [`login`], where they are asked for.

mod answer;
mod commit;
mod config;
mod connection;
mod frame;
mod inflate;
mod ledger;
mod login;
mod produce;
mod reader;
mod records;
mod refusal;
mod request;
mod scram;
mod sequence;
#[cfg(test)]
mod tests;
mod wire;

pub use config::{ListenerConfig, is_topic_name};
pub(crate) use inflate::bound as inflation_bound;
pub use login::User;

use crate::{batch::Intake, decoding::Decoders};
use answer::Advertised;
use custos_event::Clock;
use kafka_protocol::{ResponseError, protocol::StrBytes};
use ledger::Ledger;
use login::Accounts;
use refusal::Refusal;
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// How long open connections may take to get the answers they wait for when the process ends; half of
/// what a clean stop has (RELIABILITY §1). The store may take the other half.
const GRACE: Duration = Duration::from_secs(5);

/// After a failed accept (mostly: no file descriptor left) the next try waits, or the loop would spin.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, thiserror::Error)]
pub enum ListenerError {
    #[error(
        "the Kafka listener cannot use {address}; stop whatever uses it (ss -ltnp shows it) or set \
         listener.listen to another address"
    )]
    Bind {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("the system gives no random numbers, which logins need")]
    Random(#[from] getrandom::Error),
    #[error("listener.topics: '{0}' is no Kafka topic name; use up to 249 of a-z A-Z 0-9 . _ -")]
    TopicName(String),
    #[error(
        "listener.frames_bytes_max ({in_flight}) is less than listener.frame_bytes_max ({frame}): the \
         largest request would wait for ever; raise it"
    )]
    Limits { in_flight: usize, frame: usize },
    /// The store failed; the process ends.
    #[error("the Kafka listener stops: the store failed: {0}")]
    Store(Arc<str>),
}

/// What every connection needs.
pub(crate) struct Shared {
    config: ListenerConfig,
    ledger: Ledger,
    accounts: Accounts,
    decoders: Decoders,
    clock: Arc<dyn Clock>,
    /// A permit for each byte of requests in flight.
    frames: Arc<Semaphore>,
    /// A permit for each byte of events that are read and not yet durable.
    events: Arc<Semaphore>,
}

impl Shared {
    fn advertised(&self, stream: &TcpStream) -> io::Result<Advertised> {
        if let Some((host, port)) = &self.config.advertised {
            return Ok((StrBytes::from_string(host.clone()), i32::from(*port)));
        }
        let reached = stream.local_addr()?;
        Ok((StrBytes::from_string(reached.ip().to_string()), i32::from(reached.port())))
    }
}

/// A bound listener; [`Listener::run`] serves it.
pub struct Listener<I> {
    socket: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
    intake: Arc<I>,
}

impl<I: Intake> Listener<I> {
    /// Takes the address, and reads offsets and producers from the store.
    pub async fn bind(
        config: ListenerConfig,
        intake: Arc<I>,
        decoders: Decoders,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ListenerError> {
        if let Some(name) = config.topics.keys().find(|name| !is_topic_name(name)) {
            return Err(ListenerError::TopicName(name.clone()));
        }
        let (in_flight, frame) = (config.frames_bytes_max, config.frame_bytes_max);
        if in_flight < frame {
            return Err(ListenerError::Limits { in_flight, frame });
        }
        let busy = |source| ListenerError::Bind { address: config.listen, source };
        let socket = TcpListener::bind(config.listen).await.map_err(busy)?;
        let address = socket.local_addr().map_err(busy)?;
        let ledger = Ledger::open(&config, &intake.sources(), &intake.producers());
        let frames = Arc::new(Semaphore::new(config.frames_bytes_max));
        let events = Arc::new(Semaphore::new(config.events_bytes_max));
        let accounts = Accounts::new(&config.users, &config.mechanisms)?;
        let shared = Shared { config, ledger, accounts, decoders, clock, frames, events };
        let shared = Arc::new(shared);
        Ok(Self { socket, address, shared, intake })
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` or until the store fails; everything taken by then is stored or refused.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), ListenerError> {
        let Self { socket, address, shared, intake } = self;
        tracing::info!(%address, "Kafka listener is open");
        let storing = commit::run(&shared.ledger, &*intake);
        tokio::pin!(storing);
        let mut connections = JoinSet::new();
        let failed = tokio::select! {
            stored = &mut storing => stored.err(),
            () = accept(&socket, &shared, &mut connections, &shutdown) => None,
        };
        drop(socket);
        if let Some(reason) = failed {
            connections.shutdown().await;
            return Err(ListenerError::Store(reason));
        }
        let draining = async {
            if timeout(GRACE, connections.join_all_quietly()).await.is_err() {
                tracing::warn!("clients did not take their answers in time");
            }
            shared
                .ledger
                .close(Refusal::new(ResponseError::NotEnoughReplicas, "the listener is closing"));
        };
        let (stored, ()) = tokio::join!(timeout(2 * GRACE, storing), draining);
        if stored.is_err() {
            tracing::warn!(
                "the store did not take what Kafka clients had sent; they send it again"
            );
        }
        stored.unwrap_or(Ok(())).map_err(ListenerError::Store)
    }
}

/// Waiting for tasks whose ends have been told where they happened.
trait JoinAllQuietly {
    async fn join_all_quietly(&mut self);
}

impl JoinAllQuietly for JoinSet<()> {
    async fn join_all_quietly(&mut self) {
        while self.join_next().await.is_some() {}
    }
}

async fn accept(
    socket: &TcpListener,
    shared: &Arc<Shared>,
    connections: &mut JoinSet<()>,
    shutdown: &CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            ended = connections.join_next(), if !connections.is_empty() => {
                if let Some(Err(error)) = ended {
                    tracing::error!(%error, "a connection's task failed");
                }
                continue;
            }
            () = shutdown.cancelled() => return,
        };
        match accepted {
            Ok(_) if connections.len() >= shared.config.connections_max => {
                let limit = shared.config.connections_max;
                tracing::warn!(limit, "too many Kafka connections, one turned away");
                metrics::counter!("custos_listener_turned_away_total").increment(1);
            }
            Ok((stream, peer)) => {
                let (shared, shutdown) = (Arc::clone(shared), shutdown.clone());
                connections.spawn(serve(shared, stream, peer, shutdown));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a Kafka connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a gauge, and at most a thousand")]
        metrics::gauge!("custos_listener_connections").set(connections.len() as f64);
    }
}

async fn serve(
    shared: Arc<Shared>,
    stream: TcpStream,
    peer: SocketAddr,
    shutdown: CancellationToken,
) {
    match connection::serve(shared, stream, shutdown).await {
        Ok(()) => tracing::debug!(%peer, "Kafka client left"),
        Err(error) => {
            tracing::warn!(%peer, error = %Chain(&error), "Kafka connection closed");
            metrics::counter!("custos_listener_closed_total").increment(1);
        }
    }
}

/// An error with everything it follows from.
pub(crate) struct Chain<'e>(pub(crate) &'e dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
