//! A stream that only ever sends: read no faster than what it sent becomes durable.

use super::connections::ConnectionError;
use crate::{
    batch::Intake,
    decoding::{Context, Piece},
    gate::Feed,
    gelf, syslog,
};
use std::{collections::VecDeque, net::IpAddr};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio_util::sync::CancellationToken;

/// 64 KiB: some hundred lines, which is what a sender of 10,000 lines a second has sent by the next sync.
const READ_BYTES: usize = 64 << 10;

/// A connection, with TLS or without.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Where one message ends and the next begins.
pub(super) trait Frames: Send {
    /// Takes what came next; the messages that are whole by now go to `whole`.
    fn take(&mut self, bytes: &[u8], whole: impl FnMut(Piece));

    /// The stream has ended.
    fn end(&mut self, whole: impl FnMut(Piece));
}

impl Frames for syslog::Frames {
    fn take(&mut self, bytes: &[u8], whole: impl FnMut(Piece)) {
        self.take(bytes, whole);
    }

    fn end(&mut self, whole: impl FnMut(Piece)) {
        self.end(whole);
    }
}

impl Frames for gelf::Frames {
    fn take(&mut self, bytes: &[u8], whole: impl FnMut(Piece)) {
        self.take(bytes, whole);
    }

    fn end(&mut self, whole: impl FnMut(Piece)) {
        self.end(whole);
    }
}

pub(super) async fn read<I: Intake>(
    mut stream: impl Stream,
    mut frames: impl Frames,
    mut feed: Feed<I>,
    peer: IpAddr,
    stop: &CancellationToken,
) -> Result<(), ConnectionError> {
    let mut buffer = vec![0; READ_BYTES];
    let mut waiting = VecDeque::new();
    let context = Context { sender: Some(peer), ..Context::default() };
    loop {
        let read = tokio::select! {
            () = stop.cancelled() => Ok(0),
            read = stream.read(&mut buffer) => read,
        };
        let taken = buffer.get(..*read.as_ref().unwrap_or(&0)).unwrap_or_default();
        let mut keep = |piece| waiting.push_back(Piece { context: context.clone(), ..piece });
        if taken.is_empty() {
            frames.end(&mut keep);
        } else {
            frames.take(taken, &mut keep);
        }
        let is_end = taken.is_empty();
        feed.deliver_patiently(&mut waiting, stop).await?;
        if is_end {
            // Many senders end TLS without saying so; their messages are whole or told as cut.
            return match read {
                Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
                    Err(error.into())
                }
                Ok(_) | Err(_) => Ok(()),
            };
        }
    }
}
