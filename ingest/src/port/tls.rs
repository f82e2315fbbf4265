//! TLS for shippers: one certificate for the server, and, where clients are to show theirs, who signs those. All are read
//! anew when their files change, so that a certificate is renewed without a restart.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, RootCertStore, ServerConfig,
        crypto::aws_lc_rs::default_provider,
        pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
        server::{VerifierBuilderError, WebPkiClientVerifier, danger::ClientCertVerifier},
    },
    server::TlsStream,
};

/// A machine that is up answers in a round trip or two.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// A connection that comes so long after the last look at the files looks at them again.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Why a connection came to no TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoTls {
    #[error("no TLS came of it")]
    Broken(#[source] io::Error),
    #[error("no TLS came of it within {} s", HANDSHAKE_WITHIN.as_secs())]
    Slow,
}

pub(crate) async fn accept(
    acceptor: &Acceptor,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, NoTls> {
    match timeout(HANDSHAKE_WITHIN, acceptor.now().accept(stream)).await {
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

/// A port's side of TLS, as its files are now.
#[derive(Clone)]
pub struct Acceptor(Arc<Inner>);

struct Inner {
    files: TlsFiles,
    read: Mutex<Read>,
}

struct Read {
    acceptor: TlsAcceptor,
    /// The files as they were read last, whether or not they served.
    stamps: Stamps,
    looked: Instant,
}

/// When each of the files was changed, and how long it is; none where it is not there.
type Stamps = [Option<(SystemTime, u64)>; 3];

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Acceptor").field(&self.0.files).finish()
    }
}

/// Reads the files; they are to hold together.
pub fn acceptor(files: &TlsFiles) -> Result<Acceptor, TlsError> {
    let stamps = stamps(files);
    let read = Read { acceptor: read(files)?, stamps, looked: now() };
    Ok(Acceptor(Arc::new(Inner { files: files.clone(), read: Mutex::new(read) })))
}

impl Acceptor {
    /// For one connection. Files that do not hold together leave what was there before, and are told of once.
    pub fn now(&self) -> TlsAcceptor {
        let mut known = self.0.read.lock().unwrap_or_else(PoisonError::into_inner);
        if known.looked.elapsed() >= LOOK_EVERY {
            known.looked = now();
            self.look(&mut known);
        }
        known.acceptor.clone()
    }

    fn look(&self, known: &mut Read) {
        let stamps = stamps(&self.0.files);
        if stamps == known.stamps {
            return;
        }
        known.stamps = stamps;
        let certificate = self.0.files.certificate.display();
        match read(&self.0.files) {
            Ok(acceptor) => {
                known.acceptor = acceptor;
                tracing::info!(%certificate, "a port's certificate was read anew");
            }
            Err(error) => {
                let error = crate::listener::Chain(&error);
                tracing::error!(%error, "a port goes on with the certificate it had");
                metrics::counter!("custos_tls_files_refused_total").increment(1);
            }
        }
    }
}

fn stamps(files: &TlsFiles) -> Stamps {
    let stamp = |path: &PathBuf| {
        let meta = fs::metadata(path).ok()?;
        Some((meta.modified().ok()?, meta.len()))
    };
    [stamp(&files.certificate), stamp(&files.key), files.client_ca.as_ref().and_then(stamp)]
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "paces looks at files; no event depends on it")]
    Instant::now()
}

/// TLS 1.2 and 1.3, as rustls holds them safe.
fn read(files: &TlsFiles) -> Result<TlsAcceptor, TlsError> {
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
