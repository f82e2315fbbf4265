//! A stream whose sender waits for answers: each is given when the events that it is for are durable.

use super::{connections::ConnectionError, stream::Stream};
use crate::{
    batch::Intake,
    decoding::{Context, Piece},
    gate::{APPEND_BYTES_MAX, APPEND_EVENTS_MAX, Feed, FeedError},
};
use bytes::{Bytes, BytesMut};
use std::{collections::VecDeque, io, net::IpAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
    time::{MissedTickBehavior, timeout},
};
use tokio_util::sync::CancellationToken;

/// Read at once, and what a connection may hold without asking for room.
const READ_BYTES: usize = 64 << 10;
/// What the connections of a port hold together of messages that are longer: eight of the longest.
pub(super) const ROOM_BYTES: usize = 128 << 20;
/// Who begins a message and says nothing more holds room that others need.
const SILENT_FOR: Duration = Duration::from_mins(1);
/// So often a client that waits longer is told that it is not forgotten, where its protocol has a way.
const PATIENCE: Duration = Duration::from_secs(10);

/// Events as they are asked for.
pub(crate) type Events = Box<dyn Iterator<Item = Piece> + Send>;

/// What a client has said, and what is to be done.
pub(crate) enum Turn {
    /// To be stored; then the answer is given.
    Events { events: Events, answer: Vec<u8> },
    /// The last thing: it is answered and hung up on.
    Refuse(Refusal),
}

impl Turn {
    pub(crate) fn answer(answer: Vec<u8>) -> Self {
        Self::Events { events: Box::new(std::iter::empty()), answer }
    }
}

pub(crate) struct Refusal {
    pub(crate) answer: Vec<u8>,
    /// One word for programs.
    pub(crate) label: &'static str,
    pub(crate) reason: String,
    /// Kept with the reason, unless empty.
    pub(crate) kept: Bytes,
}

/// A protocol in which clients wait for answers.
pub(crate) trait Dialogue: Send {
    /// What is said before the client speaks.
    fn greeting(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Takes the next thing that is whole off `buffer`.
    fn take(&mut self, buffer: &mut BytesMut) -> Option<Turn>;

    /// Why the rest is kept when the connection ends in the middle; `None` where it is sent again.
    fn cut(&self) -> Option<&'static str> {
        None
    }

    /// What tells a client that waits for its answer to wait on.
    fn patience(&self) -> Option<&'static [u8]> {
        None
    }
}

/// One connection.
pub(super) struct Speaking<'c, I> {
    pub(super) feed: Feed<I>,
    pub(super) peer: IpAddr,
    pub(super) stop: &'c CancellationToken,
    pub(super) room: Arc<Semaphore>,
}

impl<I: Intake> Speaking<'_, I> {
    pub(super) async fn hold(
        mut self,
        mut stream: impl Stream,
        mut dialogue: impl Dialogue,
    ) -> Result<(), ConnectionError> {
        let (mut buffer, mut room) = (BytesMut::new(), None);
        stream.write_all(&dialogue.greeting()).await?;
        stream.flush().await?;
        loop {
            while let Some(turn) = dialogue.take(&mut buffer) {
                self.carry_out(turn, &mut stream, &dialogue).await?;
            }
            room = room_for(&self.room, &buffer, room).await?;
            let is_end = read_more(self.stop, &mut stream, &mut buffer).await?;
            if is_end {
                if let Some(why) = dialogue.cut().filter(|_| !buffer.is_empty()) {
                    self.keep(buffer.freeze(), why).await?;
                }
                return Ok(());
            }
        }
    }

    async fn carry_out(
        &mut self,
        turn: Turn,
        stream: &mut impl Stream,
        dialogue: &impl Dialogue,
    ) -> Result<(), ConnectionError> {
        let (events, answer) = match turn {
            Turn::Events { events, answer } => (events, answer),
            Turn::Refuse(Refusal { answer, label, reason, kept }) => {
                stream.write_all(&answer).await?;
                stream.shutdown().await?;
                if !kept.is_empty() {
                    self.keep(kept, &reason).await?;
                }
                return Err(ConnectionError::Refused { label, reason });
            }
        };
        let mut tick = tokio::time::interval(PATIENCE);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        tick.reset();
        let delivering = self.deliver(events);
        tokio::pin!(delivering);
        loop {
            tokio::select! {
                delivered = &mut delivering => break delivered?,
                _ = tick.tick() => {
                    if let Some(patience) = dialogue.patience() {
                        stream.write_all(patience).await?;
                        stream.flush().await?;
                    }
                }
            }
        }
        stream.write_all(&answer).await?;
        Ok(stream.flush().await?)
    }

    /// Returns when all are durable; they are read as they are stored.
    async fn deliver(&mut self, mut events: Events) -> Result<(), FeedError> {
        loop {
            let reading = move || (portion(&mut events), events);
            let ((some, is_end), rest) =
                spawn_blocking(reading).await.map_err(|_| FeedError::Decoder)?;
            let mut some = some.into_iter().map(|piece| self.named(piece)).collect();
            self.feed.deliver_patiently(&mut some, self.stop).await?;
            if is_end {
                return Ok(());
            }
            events = rest;
        }
    }

    async fn keep(&mut self, bytes: Bytes, why: &str) -> Result<(), FeedError> {
        let mut kept = VecDeque::from([self.named(Piece::faulty(bytes, why))]);
        self.feed.deliver_patiently(&mut kept, self.stop).await
    }

    fn named(&self, piece: Piece) -> Piece {
        let context = Context { sender: Some(self.peer), ..piece.context };
        Piece { context, ..piece }
    }
}

/// Room for what a connection holds, once that is much; given back when it is not.
async fn room_for(
    shared: &Arc<Semaphore>,
    buffer: &BytesMut,
    had: Option<OwnedSemaphorePermit>,
) -> Result<Option<OwnedSemaphorePermit>, ConnectionError> {
    if buffer.len() <= READ_BYTES {
        return Ok(None);
    }
    let has = had.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
    let more = u32::try_from(buffer.len().saturating_sub(has)).unwrap_or(u32::MAX);
    let getting = timeout(SILENT_FOR, Arc::clone(shared).acquire_many_owned(more)).await;
    let Ok(Ok(mut room)) = getting else {
        return Err(ConnectionError::refused("busy", "too much is in flight at this port"));
    };
    if let Some(had) = had {
        room.merge(had);
    }
    Ok(Some(room))
}

/// Reads some more; true at the end.
async fn read_more(
    stop: &CancellationToken,
    stream: &mut impl Stream,
    buffer: &mut BytesMut,
) -> Result<bool, ConnectionError> {
    let has_begun = !buffer.is_empty();
    buffer.reserve(READ_BYTES);
    let reading = timeout(SILENT_FOR, stream.read_buf(buffer));
    tokio::select! {
        () = stop.cancelled() => Ok(true),
        read = reading => match read {
            Ok(Ok(read)) => Ok(read == 0),
            // Many senders end TLS without saying so.
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(true),
            Ok(Err(error)) => Err(error.into()),
            Err(_) if has_begun => {
                Err(ConnectionError::refused("slow", "a message did not go on for a minute"))
            }
            Err(_) => Ok(false),
        }
    }
}

/// As many as go into one append; and are they the last?
fn portion(events: &mut Events) -> (Vec<Piece>, bool) {
    let mut bytes = 0;
    let mut some = Vec::new();
    while some.len() < APPEND_EVENTS_MAX && bytes < APPEND_BYTES_MAX {
        let Some(piece) = events.next() else { return (some, true) };
        bytes += piece.bytes.len();
        some.push(piece);
    }
    (some, false)
}
