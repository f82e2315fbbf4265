//! TLS for shippers: one certificate for the server, and, where clients are to show theirs, who signs those.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{
    rustls::{
        self, RootCertStore, ServerConfig,
        crypto::aws_lc_rs::default_provider,
        pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
        server::{VerifierBuilderError, WebPkiClientVerifier, danger::ClientCertVerifier},
    },
    server::TlsStream,
};

pub use tokio_rustls::TlsAcceptor;

/// A machine that is up answers in a round trip or two.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// Why a connection came to no TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoTls {
    #[error("no TLS came of it")]
    Broken(#[source] io::Error),
    #[error("no TLS came of it within {} s", HANDSHAKE_WITHIN.as_secs())]
    Slow,
}

pub(crate) async fn accept(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, NoTls> {
    match timeout(HANDSHAKE_WITHIN, acceptor.accept(stream)).await {
        Ok(accepted) => accepted.map_err(NoTls::Broken),
        Err(_) => Err(NoTls::Slow),
    }
}

/// PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, with those between it and its root behind it.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Clients must show a certificate that one of these has signed.
    pub client_ca: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {what} from {}; it has to be a PEM file that the server may read", path.display())]
    Pem {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: pem::Error,
    },
    #[error("{} holds no certificate", .0.display())]
    Empty(PathBuf),
    #[error("certificate and key do not serve: {}", certificate.display())]
    Pair {
        certificate: PathBuf,
        #[source]
        source: rustls::Error,
    },
    #[error("{} does not serve to check clients", path.display())]
    Clients {
        path: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// TLS 1.2 and 1.3, as rustls holds them safe.
pub fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, TlsError> {
    let TlsFiles { certificate, key, client_ca } = files;
    let chain = certificates("the certificate", certificate)?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|source| TlsError::Pem {
        what: "the key",
        path: key.clone(),
        source,
    })?;
    let pair = |source| TlsError::Pair { certificate: certificate.clone(), source };
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(pair)?;
    let builder = match client_ca {
        Some(path) => builder.with_client_cert_verifier(verifier(path)?),
        None => builder.with_no_client_auth(),
    };
    let config = builder.with_single_cert(chain, secret).map_err(pair)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unread = |source| TlsError::Pem { what, path: path.to_owned(), source };
    let all = CertificateDer::pem_file_iter(path).map_err(unread)?;
    let all: Vec<_> = all.collect::<Result<_, _>>().map_err(unread)?;
    if all.is_empty() { Err(TlsError::Empty(path.to_owned())) } else { Ok(all) }
}

fn verifier(path: &Path) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for root in certificates("the certificates that sign clients'", path)? {
        let unfit = |source: rustls::Error| unfit(path, source);
        roots.add(root).map_err(unfit)?;
    }
    let provider = Arc::new(default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|source: VerifierBuilderError| unfit(path, source))
}

fn unfit(path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> TlsError {
    TlsError::Clients { path: path.to_owned(), source: source.into() }
}
