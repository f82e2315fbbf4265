//! A socket that shippers write to: syslog or GELF over UDP, TCP or TLS, Fluentd's and Beats' protocols over the latter two.
//!
//! [`connections`] takes streams and, where asked, speaks TLS on them ([`tls`]); [`stream`] reads one that only
//! ever sends, [`dialogue`] one whose client waits for answers; [`datagrams`] takes UDP.

mod connections;
mod datagrams;
pub(crate) mod dialogue;
mod stream;
pub mod tls;

pub use crate::fluent::SharedKey;

use crate::{batch::Intake, gate::Gate};
use ipnet::IpNet;
use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Syslog,
    Gelf,
    Fluent,
    Beats,
}

impl Protocol {
    pub fn name(self) -> &'static str {
        match self {
            Self::Syslog => "syslog",
            Self::Gelf => "gelf",
            Self::Fluent => "fluent",
            Self::Beats => "beats",
        }
    }
}

/// What it is spoken over.
#[derive(Clone)]
pub enum Transport {
    Udp,
    Tcp,
    Tls(tls::Acceptor),
}

impl Transport {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls(_) => "tls",
        }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[derive(Clone, Debug)]
pub struct PortConfig {
    pub protocol: Protocol,
    pub transport: Transport,
    pub listen: SocketAddr,
    /// The events' source, as `syslog:firewalls`.
    pub source: Arc<str>,
    /// Who may send; empty: whoever reaches the port.
    pub networks: Vec<IpNet>,
    /// What clients of [`Protocol::Fluent`] must know; `None`: nothing.
    pub shared_key: Option<Arc<SharedKey>>,
}

impl PortConfig {
    fn allows(&self, from: IpAddr) -> bool {
        let from = from.to_canonical();
        self.networks.is_empty() || self.networks.iter().any(|network| network.contains(&from))
    }
}

#[derive(Debug, thiserror::Error)]
pub enum PortError {
    #[error(
        "intake '{name}' cannot use {address}; stop whatever uses it (ss -lntup shows it) or set its listen \
         to another address"
    )]
    Bind {
        name: Arc<str>,
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    /// The store failed; the process ends.
    #[error("intake '{name}' stops: {reason}")]
    Store { name: Arc<str>, reason: Arc<str> },
}

/// A bound port; [`Port::run`] serves it.
pub struct Port<I> {
    config: PortConfig,
    address: SocketAddr,
    gate: Gate<I>,
    socket: Socket,
}

enum Socket {
    Datagrams(datagrams::Receiver),
    Streams(TcpListener, Option<tls::Acceptor>),
}

impl<I: Intake> Port<I> {
    pub async fn bind(config: PortConfig, gate: Gate<I>) -> Result<Self, PortError> {
        let (name, address) = (Arc::clone(&config.source), config.listen);
        let busy = |source| PortError::Bind { name, address, source };
        let bound = match &config.transport {
            Transport::Udp => datagrams::Receiver::bind(address)
                .map(|(receiver, address)| (Socket::Datagrams(receiver), address)),
            Transport::Tcp => streams(address, None).await,
            Transport::Tls(acceptor) => streams(address, Some(acceptor.clone())).await,
        };
        let (socket, address) = bound.map_err(busy)?;
        Ok(Self { config, address, gate, socket })
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` or until the store fails.
    pub async fn run(self, stop: CancellationToken) -> Result<(), PortError> {
        let Self { config, address, gate, socket } = self;
        let (name, transport) = (Arc::clone(&config.source), config.transport.name());
        tracing::info!(source = %name, %address, transport, "intake is open");
        let ended = match socket {
            Socket::Datagrams(receiver) => datagrams::run(receiver, &config, &gate, &stop).await,
            Socket::Streams(listener, tls) => {
                connections::run(listener, tls, &config, &gate, &stop).await
            }
        };
        ended.map_err(|reason| PortError::Store { name, reason: reason.to_string().into() })
    }
}

async fn streams(
    address: SocketAddr,
    tls: Option<tls::Acceptor>,
) -> io::Result<(Socket, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok((Socket::Streams(listener, tls), address))
}

#[cfg(test)]
mod tests;
