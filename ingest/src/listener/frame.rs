//! Frames off a socket: four bytes of length and that many bytes, bounded before room is made.

use bytes::{Buf, Bytes, BytesMut};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore},
    time::{error::Elapsed, timeout},
};

/// Small frames are read many at a time: one system call for 64 KiB instead of two for each frame.
const READ_BYTES: usize = 64 << 10;

/// A client that has begun a frame and sends nothing for this long holds room that others wait for.
const STALL: Duration = Duration::from_secs(30);

/// Kafka's own `connections.max.idle.ms`: ten minutes between frames.
const IDLE: Duration = Duration::from_mins(10);

/// How a TLS client begins: a record of its handshake. As a frame it would be 352 MiB long.
const TLS_HELLO: [u8; 2] = [0x16, 0x03];

#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error(
        "frame of {bytes} bytes is longer than the limit of {max}; lower the client's message.max.bytes \
         or raise listener.frame_bytes_max"
    )]
    TooLong { bytes: u64, max: usize },
    #[error(
        "the client speaks TLS, and this listener does not: set listener.certificate and listener.key, or the \
         client's security.protocol to PLAINTEXT or SASL_PLAINTEXT"
    )]
    SpeaksTls,
    #[error("frame has the negative length {0}: this is no Kafka client")]
    Negative(i32),
    #[error("the client stopped in the middle of a frame")]
    Stalled(#[from] Elapsed),
    #[error("the connection broke")]
    Io(#[from] io::Error),
    #[error("the listener is closing")]
    Closing(#[from] AcquireError),
}

/// One request's bytes, and the room they take of all that may be in flight; both live until the answer.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) bytes: Bytes,
    pub(crate) room: OwnedSemaphorePermit,
}

/// The length of the frame that begins in `buffer`; `None` when its four bytes are not there yet.
fn length(buffer: &[u8], max: usize) -> Result<Option<usize>, FrameError> {
    let Some(prefix) = buffer.first_chunk::<4>() else { return Ok(None) };
    let stated = i32::from_be_bytes(*prefix);
    let bytes = usize::try_from(stated).map_err(|_| FrameError::Negative(stated))?;
    if bytes > max {
        if prefix.starts_with(&TLS_HELLO) {
            return Err(FrameError::SpeaksTls);
        }
        return Err(FrameError::TooLong { bytes: bytes as u64, max });
    }
    Ok(Some(bytes))
}

pub(crate) struct FrameReader<R> {
    from: R,
    buffer: BytesMut,
    max: usize,
    room: Arc<Semaphore>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// `room` holds one permit for each byte that may be in flight, at least `max` of them.
    pub(crate) fn new(from: R, max: usize, room: Arc<Semaphore>) -> Self {
        Self { from, buffer: BytesMut::new(), max, room }
    }

    /// Frames from now on are no longer than this.
    pub(crate) fn bound(&mut self, max: usize) {
        self.max = max;
    }

    /// The next frame; `None` when the client has closed between frames.
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        let len = loop {
            if let Some(len) = length(&self.buffer, self.max)? {
                break len;
            }
            if self.buffer.is_empty() {
                let Ok(read) = timeout(IDLE, self.fill(READ_BYTES)).await else { return Ok(None) };
                if read? == 0 {
                    return Ok(None);
                }
            } else if timeout(STALL, self.fill(READ_BYTES)).await?? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        };
        let permits = u32::try_from(len).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(permits).await?;
        while self.buffer.len() < 4 + len {
            let missing = 4 + len - self.buffer.len();
            if timeout(STALL, self.fill(missing)).await?? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
        self.buffer.advance(4);
        Ok(Some(Frame { bytes: self.buffer.split_to(len).freeze(), room }))
    }

    async fn fill(&mut self, bytes: usize) -> io::Result<usize> {
        self.buffer.reserve(bytes);
        self.from.read_buf(&mut self.buffer).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames(bytes: &[u8], max: usize) -> (Vec<Bytes>, Option<FrameError>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut reader = FrameReader::new(bytes, max, Arc::new(Semaphore::new(max)));
            let mut frames = Vec::new();
            loop {
                match reader.next().await {
                    Ok(Some(frame)) => frames.push(frame.bytes),
                    Ok(None) => return (frames, None),
                    Err(error) => return (frames, Some(error)),
                }
            }
        })
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_by_its_length_alone() {
        let (read, error) = frames(&[0, 0, 0, 1, 7, 0x7f, 0xff, 0xff, 0xff], 10);
        assert_eq!(read, [&[7_u8][..]]);
        assert!(matches!(error, Some(FrameError::TooLong { bytes: 2_147_483_647, max: 10 })));
    }

    #[test]
    fn a_client_that_speaks_tls_is_told_apart() {
        let (_, error) = frames(&[0x16, 0x03, 0x01, 0x02, 0x00], 1 << 20);
        assert!(matches!(error, Some(FrameError::SpeaksTls)));
    }

    #[test]
    fn a_frame_cut_short_is_no_frame() {
        let (read, error) = frames(&[0, 0, 0, 2, 7], 10);
        assert!(read.is_empty());
        assert!(matches!(error, Some(FrameError::Io(_))));
    }

    #[test]
    fn beyond_the_bytes_in_flight_nothing_is_read_until_there_is_room() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let room = Arc::new(Semaphore::new(10));
            let bytes = [0, 0, 0, 6, 1, 2, 3, 4, 5, 6];
            let mut first = FrameReader::new(&bytes[..], 10, Arc::clone(&room));
            let held = first.next().await.unwrap().unwrap();
            let mut second = FrameReader::new(&bytes[..], 10, room);
            assert!(timeout(Duration::ZERO, second.next()).await.is_err());
            drop(held);
            assert_eq!(second.next().await.unwrap().unwrap().bytes, &bytes[4..]);
        });
    }

    proptest! {
        #[test]
        fn frames_read_as_they_were_cut(parts in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..300), 0..20))
        {
            let mut bytes = Vec::new();
            for part in &parts {
                bytes.extend_from_slice(&u32::try_from(part.len()).unwrap().to_be_bytes());
                bytes.extend_from_slice(part);
            }
            let (read, error) = frames(&bytes, 300);
            prop_assert!(error.is_none());
            prop_assert_eq!(read, parts);
        }

        #[test]
        fn no_bytes_make_reader_or_parser_panic(bytes: Vec<u8>) {
            let (read, _) = frames(&bytes, 1 << 20);
            for frame in read {
                drop(super::super::request::read(frame));
            }
        }
    }
}
