//! From a source's bytes to the log: decoded off the async threads, handed on in appends of bounded size.

use crate::{
    batch::{Batch, Intake, IntakeError},
    counters::Tally,
    decoding::{Decode, Decoders, Piece},
};
use custos_event::{Clock, ParsedEvent, Timestamp};
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

/// An append is closed at 8,192 events or 4 MiB, as at the Kafka listener.
pub(crate) const APPEND_EVENTS_MAX: usize = 8_192;
pub(crate) const APPEND_BYTES_MAX: usize = 4 << 20;

/// While the disk is full, senders that cannot be told wait: so often it is tried again.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// What every way in needs.
pub struct Gate<I> {
    pub(crate) intake: Arc<I>,
    pub(crate) decoders: Decoders,
    pub(crate) clock: Arc<dyn Clock>,
}

impl<I> Clone for Gate<I> {
    fn clone(&self) -> Self {
        let Self { intake, decoders, clock } = self;
        Self {
            intake: Arc::clone(intake),
            decoders: Arc::clone(decoders),
            clock: Arc::clone(clock),
        }
    }
}

impl<I: Intake> Gate<I> {
    pub fn new(intake: Arc<I>, decoders: Decoders, clock: Arc<dyn Clock>) -> Self {
        Self { intake, decoders, clock }
    }

    /// The way in for one source.
    pub(crate) fn feed(&self, source: &str) -> Feed<I> {
        Feed { gate: self.clone(), source: source.into(), decoder: None }
    }
}

/// Why events are not durable.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum FeedError {
    #[error(transparent)]
    Intake(#[from] IntakeError),
    #[error("a decoder failed: a fault of Custos, please report it")]
    Decoder,
    #[error("the server is stopping")]
    Stopping,
}

/// One source's events, in their order.
pub(crate) struct Feed<I> {
    gate: Gate<I>,
    source: Arc<str>,
    /// Away while it reads; made anew if it never comes back.
    decoder: Option<Box<dyn Decode>>,
}

impl<I: Intake> Feed<I> {
    pub(crate) fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// Takes `pieces` off as they become durable, and says how many were understood. What is left in
    /// `pieces` after an error is not durable.
    pub(crate) async fn deliver(
        &mut self,
        pieces: &mut VecDeque<Piece>,
    ) -> Result<Tally, FeedError> {
        let mut tally = self.nothing();
        while !pieces.is_empty() {
            self.append(pieces, &mut tally).await?;
        }
        Ok(tally)
    }

    /// The same for senders who cannot be told to come back: waits while the intake is paused.
    pub(crate) async fn deliver_patiently(
        &mut self,
        pieces: &mut VecDeque<Piece>,
        stop: &CancellationToken,
    ) -> Result<(), FeedError> {
        let mut tally = self.nothing();
        while !pieces.is_empty() {
            match self.append(pieces, &mut tally).await {
                Err(FeedError::Intake(IntakeError::Paused(_))) => tokio::select! {
                    () = stop.cancelled() => return Err(FeedError::Stopping),
                    () = tokio::time::sleep(TRY_AGAIN_AFTER) => {}
                },
                Ok(()) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn nothing(&self) -> Tally {
        Tally { source: Arc::clone(&self.source), stored: 0, rejected: 0 }
    }

    /// One append; its pieces are taken off once it is durable.
    async fn append(
        &mut self,
        pieces: &mut VecDeque<Piece>,
        tally: &mut Tally,
    ) -> Result<(), FeedError> {
        let some = first(pieces);
        let count = some.len();
        let events = self.read(some).await?;
        let part = Tally::of(Arc::clone(&self.source), &events);
        let log = self.gate.intake.log_of(&self.source);
        self.gate.intake.submit(Batch::new(log, events)).await?;
        pieces.drain(..count);
        part.count();
        tally.add(&part);
        Ok(())
    }

    async fn read(&mut self, pieces: Vec<Piece>) -> Result<Vec<ParsedEvent>, FeedError> {
        let made = || (self.gate.decoders)(&self.source);
        let mut decoder = self.decoder.take().unwrap_or_else(made);
        let (source, received) = (Arc::clone(&self.source), self.gate.clock.now());
        let reading = move || {
            let events = decode(&mut *decoder, pieces, &source, received);
            (decoder, events)
        };
        let (decoder, events) = spawn_blocking(reading).await.map_err(|_| FeedError::Decoder)?;
        self.decoder = Some(decoder);
        Ok(events)
    }
}

/// Copies of the first pieces, as many as go into one append; their bytes are shared.
fn first(pieces: &VecDeque<Piece>) -> Vec<Piece> {
    let mut bytes = 0;
    let fits = |piece: &&Piece| {
        let has_room = bytes < APPEND_BYTES_MAX;
        bytes += piece.bytes.len();
        has_room
    };
    pieces.iter().take(APPEND_EVENTS_MAX).take_while(fits).cloned().collect()
}

pub(crate) fn decode(
    decoder: &mut dyn Decode,
    pieces: Vec<Piece>,
    source: &Arc<str>,
    received: Timestamp,
) -> Vec<ParsedEvent> {
    let read = |piece| {
        let mut event = decoder.decode_piece(piece, received);
        event.header.source = Arc::clone(source);
        event
    };
    pieces.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stand_in::{Fate, StandIn, clock, decoders};

    fn pieces(texts: &[&'static str]) -> VecDeque<Piece> {
        texts.iter().map(|text| Piece::new((*text).into())).collect()
    }

    fn feed(intake: &Arc<StandIn>) -> Feed<StandIn> {
        Gate::new(Arc::clone(intake), decoders(), clock()).feed("syslog:a")
    }

    #[tokio::test]
    async fn what_is_not_durable_stays_with_the_caller() {
        let intake = StandIn::with_fates([Fate::Pause]);
        let mut waiting = pieces(&["a", "bad", "c"]);
        let mut feed = feed(&intake);
        let error = feed.deliver(&mut waiting).await.unwrap_err();
        assert!(matches!(error, FeedError::Intake(IntakeError::Paused(_))), "{error}");
        assert_eq!(waiting.len(), 3);
        let tally = feed.deliver(&mut waiting).await.unwrap();
        assert_eq!((tally.stored, tally.rejected, waiting.len()), (2, 1, 0));
        assert_eq!(intake.look(|disk| disk.events.len()), 3);
    }

    #[tokio::test]
    async fn many_pieces_go_in_appends_of_bounded_size() {
        let intake = StandIn::new();
        let mut waiting: VecDeque<_> =
            (0..=APPEND_EVENTS_MAX).map(|n| Piece::new(n.to_string().into())).collect();
        waiting.push_back(Piece::new(vec![b'x'; APPEND_BYTES_MAX].into()));
        waiting.push_back(Piece::new("last".into()));
        feed(&intake).deliver(&mut waiting).await.unwrap();
        assert_eq!(intake.look(|disk| disk.commits), 3);
        let in_order = |disk: &crate::stand_in::Disk| {
            disk.events.first().map(|event| event.raw.clone()) == Some("0".into())
                && disk.events.last().map(|event| event.raw.clone()) == Some("last".into())
        };
        assert!(intake.look(in_order));
    }

    #[tokio::test]
    async fn a_sender_who_cannot_be_told_waits_while_the_disk_is_full() {
        let intake = StandIn::with_fates([Fate::Pause]);
        let mut waiting = pieces(&["a"]);
        feed(&intake).deliver_patiently(&mut waiting, &CancellationToken::new()).await.unwrap();
        assert_eq!(intake.look(|disk| disk.events.len()), 1);
        let intake = StandIn::with_fates([Fate::Fail]);
        let mut waiting = pieces(&["a"]);
        let stop = CancellationToken::new();
        let error = feed(&intake).deliver_patiently(&mut waiting, &stop).await.unwrap_err();
        assert!(matches!(error, FeedError::Intake(IntakeError::Failed(_))), "{error}");
    }
}
