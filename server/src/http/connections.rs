//! The connections of HTTP: how many there may be, and how long one may take to say what it wants.

use axum::{Router, extract::ConnectInfo, http::Request};
use custos_ingest::port::tls::Acceptor;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tracing::{debug, warn};

/// Each browser has up to six, each stream one; a connection costs some 20 KB.
const CONNECTIONS_MAX: usize = 2_000;
/// From the first byte of a request, or the end of the one before it, to the end of its head.
pub(super) const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// When the machine has no more descriptors, it needs a moment to get some back.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Answers until `stop`, then lets each connection end the answer it is giving.
pub(super) async fn serve(
    listener: TcpListener,
    speaking: Speaking,
    router: Router,
    head_within: Duration,
    stop: CancellationToken,
) {
    let Speaking { tls, finishes } = speaking;
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut open = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = open.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            metrics::counter!("custos_http_connections_refused_total").increment(1);
            continue;
        };
        let stop = stop.clone();
        let service = Answering { router: router.clone(), head_within, finishes, stop };
        open.spawn(service.accept(stream, tls.clone(), peer, place));
    }
    drop(listener);
    while open.join_next().await.is_some() {}
}

/// How a port is spoken to.
#[derive(Clone, Default)]
pub(super) struct Speaking {
    pub(super) tls: Option<Acceptor>,
    /// A request that came whole is carried out though its sender has hung up: some shippers, as pygelf, never
    /// wait for an answer. Elsewhere nobody is left to read what is still being made.
    pub(super) finishes: bool,
}

/// What every connection needs.
struct Answering {
    router: Router,
    head_within: Duration,
    finishes: bool,
    stop: CancellationToken,
}

impl Answering {
    /// Answers what comes over one connection; its place is free again at the end.
    async fn accept(
        self,
        stream: TcpStream,
        tls: Option<Acceptor>,
        peer: SocketAddr,
        _place: OwnedSemaphorePermit,
    ) {
        let Some(tls) = tls else { return self.answer(stream, peer).await };
        match tokio::time::timeout(self.head_within, tls.now().accept(stream)).await {
            Ok(Ok(stream)) => self.answer(stream, peer).await,
            Ok(Err(error)) => {
                metrics::counter!("custos_http_tls_refused_total").increment(1);
                debug!(%peer, %error, "no TLS came of a connection");
            }
            Err(_) => debug!(%peer, "a connection said nothing"),
        }
    }

    async fn answer(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: SocketAddr,
    ) {
        let Self { router, head_within, finishes, stop } = self;
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            router.clone().oneshot(request)
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(head_within).half_close(finishes);
        let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            debug!(%error, "a connection broke off");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn who_never_ends_the_head_of_a_request_is_hung_up_on() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let router = Router::new().route(
            "/",
            get(|ConnectInfo(from): ConnectInfo<SocketAddr>| async move { from.ip().to_string() }),
        );
        let served = JoinSet::from_iter([serve(
            listener,
            Speaking::default(),
            router,
            Duration::from_millis(200),
            stop.clone(),
        )]);
        let mut whole = TcpStream::connect(address).await.unwrap();
        whole.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        whole.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("127.0.0.1"), "{answer}");
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n").await.unwrap();
        let mut rest = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(20), slow.read_to_end(&mut rest)).await;
        assert!(read.is_ok(), "the connection is still open");
        stop.cancel();
        served.join_all().await;
    }

    /// pygelf and the like close before the answer: with the connection's end taken for theirs, hyper drops the
    /// handler in the midst of its work.
    #[tokio::test]
    async fn a_request_that_came_whole_is_carried_out_though_its_sender_has_left() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let (began, released, done) = (Semaphore::new(0), Semaphore::new(0), Semaphore::new(0));
        let steps = Arc::new((began, released, done));
        let work = Arc::clone(&steps);
        let handler = move || async move {
            work.0.add_permits(1);
            drop(work.1.acquire().await);
            work.2.add_permits(1);
        };
        let speaking = Speaking { tls: None, finishes: true };
        let router = Router::new().route("/", get(handler));
        let served =
            JoinSet::from_iter([serve(listener, speaking, router, HEAD_WITHIN, stop.clone())]);
        let mut sender = TcpStream::connect(address).await.unwrap();
        sender.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        drop(steps.0.acquire().await.unwrap());
        drop(sender);
        // The next connection is answered after the end of the one before was seen.
        let mut next = TcpStream::connect(address).await.unwrap();
        next.write_all(b"GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        next.read_to_end(&mut Vec::new()).await.unwrap();
        steps.1.add_permits(1);
        let wait = tokio::time::timeout(Duration::from_secs(20), steps.2.acquire());
        drop(wait.await.expect("the request was dropped").unwrap());
        stop.cancel();
        served.join_all().await;
    }
}
