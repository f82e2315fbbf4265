//! One client: requests are read one after the other, answers follow in the same order as soon as each
//! can be given, and neither waits for the other.

use super::{
    Shared,
    answer::{self, Advertised, EncodeError, WRONG_LOGIN},
    frame::{Frame, FrameError, FrameReader},
    login::Login,
    produce::{Parts, Readers, outcomes},
    request::{self, Asked, Kind, Request, RequestError},
};
use crate::port::tls::{self, NoTls};
use bytes::BytesMut;
use kafka_protocol::{ResponseError, protocol::StrBytes};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, mpsc},
    task::JoinError,
    time::{error::Elapsed, timeout},
};
use tokio_util::sync::CancellationToken;

/// Requests of one connection whose answer is not given yet. librdkafka and Java keep five; a client
/// with more waits.
const UNANSWERED_MAX: usize = 64;

/// A request at most of who has not logged in: none of these is longer, and nobody unknown takes room from others.
const STRANGERS_FRAME_BYTES_MAX: usize = 64 << 10;

/// A client that does not take its answers for this long is gone.
const WRITE_STALL: Duration = Duration::from_secs(30);

/// Why a connection ended otherwise than by its client's wish.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    #[error("{0}; a client of this listener has security.protocol SSL or SASL_SSL")]
    NoTls(#[source] NoTls),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("the client has not logged in")]
    NotLoggedIn,
    #[error("{WRONG_LOGIN}")]
    WrongLogin,
    #[error("a batch sent with acks=0 was refused")]
    RefusedSilently,
    #[error("a decoder failed: a fault of Custos, please report it")]
    Decoder(#[from] JoinError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error("the client does not take its answers")]
    Stalled(#[from] Elapsed),
    #[error("the connection broke")]
    Io(#[from] io::Error),
}

/// What is to be written, or waited for.
enum Answer {
    Ready(BytesMut),
    Produce { asked: Asked, silent: bool, parts: Parts, _room: OwnedSemaphorePermit },
}

pub(crate) async fn serve(
    shared: Arc<Shared>,
    stream: TcpStream,
    shutdown: CancellationToken,
) -> Result<(), ConnectionError> {
    stream.set_nodelay(true)?;
    let advertised = shared.advertised(&stream)?;
    let Some(acceptor) = shared.config.tls.clone() else {
        let (from, to) = stream.into_split();
        return speak(shared, advertised, from, to, shutdown).await;
    };
    let accepted = tokio::select! {
        accepted = tls::accept(&acceptor, stream) => accepted,
        () = shutdown.cancelled() => return Ok(()),
    };
    let (from, to) = tokio::io::split(accepted.map_err(ConnectionError::NoTls)?);
    speak(shared, advertised, from, to, shutdown).await
}

async fn speak(
    shared: Arc<Shared>,
    advertised: Advertised,
    from: impl AsyncRead + Unpin,
    to: impl AsyncWrite + Unpin,
    shutdown: CancellationToken,
) -> Result<(), ConnectionError> {
    let (answers, queue) = mpsc::channel(UNANSWERED_MAX);
    let reader = Reader {
        frames: FrameReader::new(from, shared.config.frame_bytes_max, Arc::clone(&shared.frames)),
        readers: Readers::default(),
        login: Login::new(&shared.accounts),
        advertised,
        shared,
        answers,
    };
    let reading = reader.run(shutdown);
    let writing = write(to, queue);
    tokio::pin!(writing);
    let read = tokio::select! {
        read = reading => read,
        written = &mut writing => return written,
    };
    writing.await?;
    read
}

/// Ends when the reader has, and every answer is written.
async fn write(
    mut to: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Answer>,
) -> Result<(), ConnectionError> {
    while let Some(answer) = queue.recv().await {
        let bytes = match answer {
            Answer::Ready(bytes) => bytes,
            Answer::Produce { asked, silent, parts, _room } => {
                let produced = outcomes(parts).await;
                if !silent {
                    answer::produce(asked, produced)?
                } else if produced.iter().flat_map(|(_, parts)| parts).any(|(_, r)| r.is_err()) {
                    // acks=0 has no answer: closing is the only way to say that something is wrong.
                    return Err(ConnectionError::RefusedSilently);
                } else {
                    continue;
                }
            }
        };
        timeout(WRITE_STALL, to.write_all(&bytes)).await??;
        // What TLS still holds of it.
        timeout(WRITE_STALL, to.flush()).await??;
    }
    // A client that is gone already is no fault.
    if let Ok(Err(error)) = timeout(WRITE_STALL, to.shutdown()).await {
        tracing::debug!(%error, "a client had left before");
    }
    Ok(())
}

struct Reader<R> {
    frames: FrameReader<R>,
    readers: Readers,
    login: Login,
    advertised: Advertised,
    shared: Arc<Shared>,
    answers: mpsc::Sender<Answer>,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    async fn run(mut self, shutdown: CancellationToken) -> Result<(), ConnectionError> {
        loop {
            let max = self.shared.config.frame_bytes_max;
            let known = self.login.allows(Kind::Produce);
            self.frames.bound(if known { max } else { max.min(STRANGERS_FRAME_BYTES_MAX) });
            let frame = tokio::select! {
                frame = self.frames.next() => frame?,
                () = shutdown.cancelled() => None,
            };
            let Some(Frame { bytes, room }) = frame else { return Ok(()) };
            let (asked, request) = request::read(bytes)?;
            if !self.login.allows(asked.key) {
                return Err(ConnectionError::NotLoggedIn);
            }
            let answer = self.answer(asked, request, room).await?;
            if self.answers.send(answer).await.is_err() {
                return Ok(());
            }
            if self.login.is_refused() {
                metrics::counter!("custos_listener_login_failed_total").increment(1);
                return Err(ConnectionError::WrongLogin);
            }
        }
    }

    async fn answer(
        &mut self,
        asked: Asked,
        request: Request,
        room: OwnedSemaphorePermit,
    ) -> Result<Answer, ConnectionError> {
        let ledger = &self.shared.ledger;
        let bytes = match request {
            Request::Produce(produce) => {
                let silent = produce.acks == 0;
                let parts = self.readers.produce(&self.shared, &self.login, produce).await?;
                return Ok(Answer::Produce { asked, silent, parts, _room: room });
            }
            Request::ApiVersions { known } => {
                answer::api_versions(asked, known, self.shared.accounts.are_asked_for())
            }
            Request::Metadata { topics, may_create } => {
                let topics = self.described(topics, may_create);
                answer::metadata(asked, &self.advertised, topics)
            }
            Request::Fetch { topics } => answer::fetch(asked, topics),
            Request::ListOffsets { topics } => {
                let offset = |topic: &StrBytes, (partition, time): (i32, i64)| {
                    // Kafka's -2 asks for the first offset, -1 for the next one, others for a time.
                    let may = self.login.may_write(topic);
                    let next = ledger.next_offset(topic, partition).filter(|_| may);
                    let asked = next.map(|next| match time {
                        -2 => 0,
                        -1 => next,
                        _ => -1,
                    });
                    (partition, asked)
                };
                let offsets = topics.into_iter().map(|(topic, partitions)| {
                    let found = partitions.into_iter().map(|asked| offset(&topic, asked)).collect();
                    (topic, found)
                });
                answer::list_offsets(asked, offsets.collect())
            }
            Request::FindCoordinator { key_type, keys } => {
                answer::find_coordinator(asked, key_type, keys)
            }
            Request::InitProducerId { transactional: true } => {
                answer::producer_id(asked, Err(ResponseError::TransactionalIdAuthorizationFailed))
            }
            Request::InitProducerId { transactional: false } => {
                answer::producer_id(asked, producer_id())
            }
            Request::SaslHandshake { mechanism } => {
                let accounts = &self.shared.accounts;
                let refused = self.login.handshake(accounts, &mechanism);
                answer::sasl_handshake(asked, accounts.mechanisms(), refused)
            }
            Request::SaslAuthenticate { auth } => {
                let judged = self.login.authenticate(&self.shared.accounts, &auth);
                answer::sasl_authenticate(asked, judged)
            }
        };
        Ok(Answer::Ready(bytes?))
    }

    fn described(&self, topics: Option<Vec<StrBytes>>, may_create: bool) -> Vec<answer::Described> {
        let ledger = &self.shared.ledger;
        let Some(names) = topics else {
            let all = ledger.topics().into_iter().filter(|(name, _)| self.login.may_write(name));
            return all.map(|(name, n)| (StrBytes::from_string(name.to_string()), Ok(n))).collect();
        };
        let found = |name: &StrBytes| {
            if self.login.may_write(name) {
                ledger.partitions(name, may_create)
            } else {
                Err(ResponseError::TopicAuthorizationFailed)
            }
        };
        let described = names.into_iter().map(|name| {
            let found = found(&name);
            (name, found)
        });
        described.collect()
    }
}

/// A number that no producer has had, over all restarts, without a write for each: 63 random bits. Among
/// a million producers two meet with a probability of 5 in 10^8.
fn producer_id() -> Result<i64, ResponseError> {
    match getrandom::u64() {
        Ok(random) => Ok((random >> 1).cast_signed()),
        Err(error) => {
            tracing::error!(%error, "the system gives no random numbers");
            Err(ResponseError::CoordinatorNotAvailable)
        }
    }
}

/// Requests that are answered before a login.
pub(crate) fn is_open_to_all(key: Kind) -> bool {
    matches!(key, Kind::ApiVersions | Kind::SaslHandshake | Kind::SaslAuthenticate)
}
